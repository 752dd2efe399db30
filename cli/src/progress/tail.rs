//! What is left to say when a build is over: the last lines of failed steps, and the warnings.

use super::model::{Build, State};

/// How the warnings are shown at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Warnings {
    /// One line each: these, and those that were told as events.
    Brief(Vec<String>),
    /// The caller shows them, with the places that they are about.
    Elsewhere,
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

/// The warnings, counted.
pub(super) fn warnings(build: &Build, how: Warnings) -> String {
    let mut warnings = match how {
        Warnings::Elsewhere => return String::new(),
        Warnings::Brief(warnings) => warnings,
    };
    for warning in &build.warnings {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    let count = warnings.len();
    if count == 0 {
        return String::new();
    }
    let noun = if count == 1 { "warning" } else { "warnings" };
    let mut text = format!("\n {count} {noun} found (use gantry --debug to expand):\n");
    for warning in &warnings {
        text.push_str(&format!(" - {}\n", warning.lines().next().unwrap_or("")));
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
        insta::assert_snapshot!(warnings(&build, Warnings::Brief(vec!["B: two".into(), "C: three".into()])), @"

        3 warnings found (use gantry --debug to expand):
        - B: two
        - C: three
        - A: one (line 1)
        ");
        assert_eq!(warnings(&build, Warnings::Elsewhere), "");
    }
}
