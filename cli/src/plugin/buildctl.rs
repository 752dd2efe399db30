//! `buildctl build`: a solve request of the Dockerfile frontend, as a build.
//!
//! What the frontend takes as options (`--opt`) are flags here; directories that it takes by name
//! (`--local`) are the context, the place of the Dockerfile, and named contexts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::words::{Flag, Words};
use super::{Translated, not_offered};
use crate::commands::build::values::{csv, fields};
use crate::ui::Failure;

/// Options in front of a command: all of them say where the daemon is.
const GLOBALS: &[Flag<()>] = &[
    Flag { names: &["--addr"], value: true, means: () },
    Flag { names: &["--log-format"], value: true, means: () },
    Flag { names: &["--timeout"], value: true, means: () },
    Flag { names: &["--tlscacert"], value: true, means: () },
    Flag { names: &["--tlscert"], value: true, means: () },
    Flag { names: &["--tlsdir"], value: true, means: () },
    Flag { names: &["--tlskey"], value: true, means: () },
    Flag { names: &["--tlsservername"], value: true, means: () },
    Flag { names: &["--wait"], value: false, means: () },
    Flag { names: &["--debug"], value: false, means: () },
];

#[derive(Clone, Copy)]
enum Means {
    Frontend,
    Local,
    Opt,
    Output,
    OciLayout,
    /// A flag of the same form, under another name.
    Same(&'static str),
    /// The same without a value.
    Switch(&'static str),
    Ignored,
}

const BUILD: &[Flag<Means>] = &[
    Flag { names: &["--frontend"], value: true, means: Means::Frontend },
    Flag { names: &["--local"], value: true, means: Means::Local },
    Flag { names: &["--opt"], value: true, means: Means::Opt },
    Flag { names: &["--output", "-o"], value: true, means: Means::Output },
    Flag { names: &["--oci-layout"], value: true, means: Means::OciLayout },
    Flag { names: &["--allow"], value: true, means: Means::Same("--allow") },
    Flag { names: &["--export-cache"], value: true, means: Means::Same("--cache-to") },
    Flag { names: &["--import-cache"], value: true, means: Means::Same("--cache-from") },
    Flag { names: &["--metadata-file"], value: true, means: Means::Same("--metadata-file") },
    Flag { names: &["--progress"], value: true, means: Means::Same("--progress") },
    Flag { names: &["--secret"], value: true, means: Means::Same("--secret") },
    Flag { names: &["--ssh"], value: true, means: Means::Same("--ssh") },
    Flag { names: &["--no-cache"], value: false, means: Means::Switch("--no-cache") },
    Flag { names: &["--debug-json-cache-metrics"], value: true, means: Means::Ignored },
    Flag { names: &["--ref-file"], value: true, means: Means::Ignored },
    Flag { names: &["--registry-auth-tlscontext"], value: true, means: Means::Ignored },
    Flag { names: &["--trace"], value: true, means: Means::Ignored },
];

/// `buildctl [OPTIONS] COMMAND …`.
pub(super) fn buildctl(words: Vec<OsString>) -> Result<Translated, Failure> {
    let mut words = Words::after_program(words);
    while words.take(GLOBALS).is_some() {}
    let command = words.next();
    match command.as_deref().and_then(OsStr::to_str) {
        Some("build" | "b") => build(words),
        Some("prune") => {
            let mut translated = Translated::new();
            translated.words.extend(["prune", "--force"].map(OsString::from));
            translated.words.extend(words.rest());
            Ok(translated)
        }
        Some("du") | None => {
            let mut translated = Translated::new();
            translated.words.extend(command);
            translated.words.extend(words.rest());
            Ok(translated)
        }
        Some("--help" | "-h" | "--version" | "-v") => {
            let mut translated = Translated::new();
            translated.words.extend(command);
            Ok(translated)
        }
        Some(other) => Err(not_offered("buildctl", other, "There are `build`, `du` and `prune`")),
    }
}

/// A solve request as it is gathered.
#[derive(Debug, Default)]
struct Solve {
    frontend: Option<String>,
    locals: BTreeMap<String, String>,
    layouts: BTreeMap<String, String>,
    opts: Vec<(String, String)>,
    outputs: usize,
}

fn build(mut words: Words) -> Result<Translated, Failure> {
    let mut translated = Translated::new();
    translated.words.push("build".into());
    let mut solve = Solve::default();
    while let Some(word) = words.peek().map(OsStr::to_owned) {
        let Some(taken) = words.take(BUILD) else {
            let word = word.to_string_lossy().into_owned();
            if matches!(word.as_str(), "--help" | "-h") {
                translated.words.push("--help".into());
                return Ok(translated);
            }
            return Err(Failure::text(format_args!("`buildctl build` takes no `{word}` here"))
                .with_hint(
                    "A definition on stdin is not offered, only `--frontend dockerfile.v0`",
                ));
        };
        let value = taken.value.unwrap_or_default();
        let text = value.to_string_lossy().into_owned();
        match taken.flag.means {
            Means::Frontend => solve.frontend = Some(text),
            Means::Local => solve.locals.extend([pair(taken.name, &text)?]),
            Means::OciLayout => solve.layouts.extend([pair(taken.name, &text)?]),
            Means::Opt => solve.opts.push(pair(taken.name, &text)?),
            Means::Output => {
                solve.outputs += 1;
                translated.words.extend([OsString::from("--output"), output(&text)?.into()]);
            }
            Means::Same(name) => translated.words.extend([OsString::from(name), value]),
            Means::Switch(name) => translated.words.push(name.into()),
            Means::Ignored => translated.ignored(taken.name),
        }
    }
    solve.finish(&mut translated)?;
    Ok(translated)
}

fn pair(flag: &str, text: &str) -> Result<(String, String), Failure> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        Failure::text(format_args!("invalid value '{text}' for {flag}: expected key=value"))
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

/// An archive without a place goes to stdout, as a client without a store of its own has it.
fn output(text: &str) -> Result<String, Failure> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let fields = fields(text).map_err(Failure::text)?;
    let get = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    match (get("type"), get("dest")) {
        (Some("docker" | "oci" | "tar"), None) => Ok(format!("{text},dest=-")),
        _ => Ok(text.to_owned()),
    }
}

impl Solve {
    fn finish(mut self, translated: &mut Translated) -> Result<(), Failure> {
        let source = self.opts.iter().find(|(key, _)| key == "source").map(|(_, v)| v.as_str());
        let dockerfiles = source.is_some_and(|source| {
            let source = source.strip_prefix("docker.io/").unwrap_or(source);
            source.starts_with("docker/dockerfile")
        });
        match self.frontend.as_deref() {
            Some("dockerfile.v0") => {}
            Some("gateway.v0") if dockerfiles => {}
            frontend => {
                let what = frontend.unwrap_or("a definition on stdin");
                return Err(Failure::text(format_args!("gantry does not offer `{what}`"))
                    .with_hint("It builds Dockerfiles: give `--frontend dockerfile.v0`"));
            }
        }
        let mut word = |flag: &str, value: String| {
            translated.words.extend([OsString::from(flag), value.into()]);
        };
        let mut remote = None;
        let mut filename = None;
        for (key, value) in std::mem::take(&mut self.opts) {
            match key.split_once(':') {
                Some(("build-arg", name)) => word("--build-arg", format!("{name}={value}")),
                Some(("label", name)) => word("--label", format!("{name}={value}")),
                Some(("context", name)) => {
                    let value = self.named(&value)?;
                    word("--build-context", format!("{name}={value}"));
                }
                Some(("attest", kind)) => {
                    let rest = if value.is_empty() { value } else { format!(",{value}") };
                    word("--attest", format!("type={kind}{rest}"));
                }
                _ => match key.as_str() {
                    "target" => word("--target", value),
                    "platform" => word("--platform", value),
                    "filename" => filename = Some(value),
                    "context" => remote = Some(value),
                    "no-cache" if value.is_empty() => word("--no-cache", String::new()),
                    "no-cache" => word("--no-cache-filter", value),
                    "add-hosts" => {
                        for host in csv(&value).map_err(Failure::text)? {
                            word("--add-host", host);
                        }
                    }
                    "force-network-mode" => word("--network", value),
                    "shm-size" => word("--shm-size", value),
                    "cgroup-parent" => word("--cgroup-parent", value),
                    "ulimit" => {
                        for limit in csv(&value).map_err(Failure::text)? {
                            word("--ulimit", limit);
                        }
                    }
                    "image-resolve-mode" if value == "pull" => word("--pull", String::new()),
                    "image-resolve-mode" | "source" | "cmdline" | "multi-platform" | "hostname" => {
                    }
                    "requestid" => {
                        let method = value.strip_prefix("frontend.").unwrap_or(&value);
                        let method = if method == "lint" { "check" } else { method };
                        word("--call", method.to_owned());
                    }
                    other => {
                        return Err(Failure::text(format_args!(
                            "gantry does not offer the frontend option `{other}`"
                        )));
                    }
                },
            }
        }
        if self.outputs == 0 {
            word("--output", "type=cacheonly".to_owned());
        }
        let context = remote.or_else(|| self.locals.get("context").cloned());
        if let Some(directory) = self.locals.get("dockerfile")
            && (filename.is_some() || Some(directory) != context.as_ref())
        {
            let name = filename.as_deref().unwrap_or("Dockerfile");
            word("--file", format!("{}/{name}", directory.trim_end_matches('/')));
        } else if let Some(name) = filename {
            let directory = context.as_deref().filter(|context| !context.contains("://"));
            let directory = directory.map(|directory| format!("{directory}/")).unwrap_or_default();
            word("--file", format!("{directory}{name}"));
        }
        // Switches took no value.
        translated.words.retain(|word| !word.is_empty());
        let context = context.ok_or_else(|| {
            Failure::text("buildctl build has no context").with_hint("Give `--local context=.`")
        })?;
        translated.words.push(context.into());
        Ok(())
    }

    /// What a named context means: `local:name` is one of the directories.
    fn named(&self, value: &str) -> Result<String, Failure> {
        let missing = |flag: &str, name: &str| {
            Failure::text(format_args!("`{value}` has no directory"))
                .with_hint(format!("Give `{flag} {name}=…`"))
        };
        if let Some(name) = value.strip_prefix("local:") {
            return self.locals.get(name).cloned().ok_or_else(|| missing("--local", name));
        }
        if let Some(rest) = value.strip_prefix("oci-layout://") {
            let end = rest.find(['@', ':']).unwrap_or(rest.len());
            let (name, reference) = rest.split_at(end);
            let place = self.layouts.get(name).ok_or_else(|| missing("--oci-layout", name))?;
            return Ok(format!("oci-layout://{place}{reference}"));
        }
        Ok(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(line: &str) -> Result<String, String> {
        let words = line.split(' ').map(OsString::from).collect();
        let translated = buildctl(words).map_err(|failure| failure.to_string())?;
        let words: Vec<_> = translated.words.iter().map(|w| w.to_string_lossy()).collect();
        Ok(words.join(" "))
    }

    fn check(line: &str, expect: &str) {
        assert_eq!(translate(line).as_deref(), Ok(expect), "{line}");
    }

    #[test]
    fn a_solve_request_is_a_build() {
        check(
            "buildctl --addr unix:///run/b.sock build --frontend dockerfile.v0 \
             --local context=. --local dockerfile=. --opt target=x --opt build-arg:A=b=c",
            "gantry build --target x --build-arg A=b=c --output type=cacheonly .",
        );
        check(
            "buildctl build --frontend=dockerfile.v0 --local context=/c --local dockerfile=/d \
             --opt filename=D.x --output type=image,name=a,push=true --no-cache",
            "gantry build --output type=image,name=a,push=true --no-cache --file /d/D.x /c",
        );
        check(
            "buildctl build --frontend gateway.v0 --opt source=docker/dockerfile:1 \
             --opt context=https://h/r.git --opt no-cache= -o type=oci",
            "gantry build --output type=oci,dest=- --no-cache https://h/r.git",
        );
        check(
            "buildctl build --frontend dockerfile.v0 --local context=. --local more=/m \
             --opt context:other=local:more --export-cache type=local,dest=x -o out",
            "gantry build --cache-to type=local,dest=x --output out --build-context other=/m .",
        );
        check("buildctl prune --all", "gantry prune --force --all");
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let refused = |line: &str| translate(line).unwrap_err();
        assert_eq!(refused("buildctl build"), "gantry does not offer `a definition on stdin`");
        assert_eq!(
            refused("buildctl build --frontend gateway.v0 --opt source=other/frontend"),
            "gantry does not offer `gateway.v0`"
        );
        assert_eq!(
            refused("buildctl build --frontend dockerfile.v0 --local context=. --opt x=y"),
            "gantry does not offer the frontend option `x`"
        );
        assert_eq!(refused("buildctl dial-stdio"), "gantry does not offer `buildctl dial-stdio`");
    }
}
