//! What is left to say when a build is over: the last lines of failed steps, and the warnings.

use super::model::{Build, State};

/// How the warnings are shown at the end, together with those that were told as events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Warnings {
    /// What the Dockerfile is warned of.
    pub(crate) list: Vec<Warned>,
    /// The program whose `--debug` shows more; `None` if all is to be shown.
    pub(crate) more: Option<&'static str>,
}

/// Something that was warned of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Warned {
    /// In one line.
    pub(crate) short: String,
    /// What is wanted, in a sentence.
    pub(crate) detail: Option<&'static str>,
    /// Where there is more to read.
    pub(crate) url: Option<String>,
    /// The lines that it is about.
    pub(crate) excerpt: String,
}

impl Warnings {
    /// Adds what was told as events, each once.
    pub(super) fn with_told(mut self, build: &Build) -> Self {
        for warning in &build.warnings {
            let short = warning.lines().next().unwrap_or("").to_owned();
            if !self.list.iter().any(|known| known.short == short) {
                self.list.push(Warned { short, ..Warned::default() });
            }
        }
        self
    }
}

/// The last lines of every step that failed.
pub(super) fn failures(build: &Build) -> String {
    let mut text = String::new();
    for step in build.steps() {
        if !matches!(step.state, State::Failed { .. }) {
            continue;
        }
        text.push_str(&format!("------\n > {}:\n", step.title));
        for line in &step.lines {
            text.push_str(&format!("{line}\n"));
        }
        text.push_str("------\n");
    }
    text
}

/// The warnings, counted, in buildx's words.
pub(super) fn warnings(build: &Build, how: Warnings) -> String {
    let Warnings { list, more } = how.with_told(build);
    let count = list.len();
    if count == 0 {
        return String::new();
    }
    let noun = if count == 1 { "warning" } else { "warnings" };
    let hint = more.map(|program| format!(" (use {program} --debug to expand)"));
    let mut text = format!("\n {count} {noun} found{}:\n", hint.unwrap_or_default());
    for warning in &list {
        text.push_str(&format!(" - {}\n", warning.short));
        if more.is_some() {
            continue;
        }
        if let Some(detail) = warning.detail {
            text.push_str(&format!("{detail}\n"));
        }
        if let Some(url) = &warning.url {
            text.push_str(&format!("More info: {url}\n"));
        }
        text.push_str(&format!("{}\n", warning.excerpt));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Silent;
    use super::super::script::{Script, play_build};
    use super::*;

    #[test]
    fn a_failed_step_shows_its_last_25_lines() {
        let mut script =
            Script::default().add(1, "[2/2] RUN x").add(2, "[1/2] y").start(1).start(2);
        for n in 1..=30 {
            script = script.log(1, &format!("line {n}\n")).log(2, "other\n");
        }
        let (build, _) = play_build(Silent, script.fail(1, &["exit code: 1"]));
        let text = failures(&build);
        assert!(text.starts_with("------\n > [2/2] RUN x:\n0.000 line 6\n"), "{text}");
        assert!(text.ends_with("0.000 line 30\n------\n"), "{text}");
        assert!(!text.contains("other"), "the other step didn't fail");
    }

    #[test]
    fn warnings_are_counted_once_each() {
        let script = Script::default().warn("A: one (line 1)").warn("B: two").warn("B: two");
        let (build, _) = play_build(Silent, script);
        let brief = |short: &str| Warned { short: short.to_owned(), ..Warned::default() };
        let list = vec![brief("B: two"), brief("C: three")];
        let how = Warnings { list, more: Some("gantry") };
        insta::assert_snapshot!(warnings(&build, how), @"

        3 warnings found (use gantry --debug to expand):
        - B: two
        - C: three
        - A: one (line 1)
        ");
        let detailed = Warned {
            short: "B: two".to_owned(),
            detail: Some("Don't"),
            url: Some("https://x/".to_owned()),
            excerpt: "> lines\n".to_owned(),
        };
        let how = Warnings { list: vec![detailed], more: None };
        assert_eq!(
            warnings(&build, how),
            "\n 2 warnings found:\n - B: two\nDon't\nMore info: https://x/\n> lines\n\n - A: one \
             (line 1)\n\n"
        );
        assert_eq!(warnings(&Build::default(), Warnings::default()), "");
    }
}
