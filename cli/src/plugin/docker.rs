//! The docker client's words: its options in front of a command, and those of its build plugin.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde_json::json;

use super::words::{Flag, Words};
use super::{Translated, not_offered};
use crate::ui::Failure;

/// What the docker client was told about where engines and its configuration are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ClientOptions {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// `--host`.
    pub(crate) host: Option<String>,
    /// `--context`.
    pub(crate) context: Option<String>,
    /// `--tls`, `--tlsverify`.
    pub(crate) tls: bool,
}

#[derive(Clone, Copy)]
enum Global {
    Config,
    Host,
    Context,
    Debug,
    Tls,
    Version,
    Ignored,
}

const GLOBALS: &[Flag<Global>] = &[
    Flag { names: &["--config"], value: true, means: Global::Config },
    Flag { names: &["--host", "-H"], value: true, means: Global::Host },
    Flag { names: &["--context", "-c"], value: true, means: Global::Context },
    Flag { names: &["--debug", "-D"], value: false, means: Global::Debug },
    Flag { names: &["--tlscacert"], value: true, means: Global::Ignored },
    Flag { names: &["--tlscert"], value: true, means: Global::Ignored },
    Flag { names: &["--tlskey"], value: true, means: Global::Ignored },
    Flag { names: &["--tlsverify"], value: false, means: Global::Tls },
    Flag { names: &["--tls"], value: false, means: Global::Tls },
    Flag { names: &["--log-level", "-l"], value: true, means: Global::Ignored },
    Flag { names: &["--version", "-v"], value: false, means: Global::Version },
];

/// `--builder` chooses among builders; there is one.
const BUILDER: &[Flag<()>] = &[Flag { names: &["--builder"], value: true, means: () }];

/// What the client asks of whatever it finds in its directory of plugins.
const METADATA: &str = "docker-cli-plugin-metadata";

/// Answers a client that looks for plugins.
pub(super) fn metadata(words: &[OsString]) -> Option<String> {
    if words.get(1).is_none_or(|word| word != METADATA) {
        return None;
    }
    let metadata = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "gantry",
        "Version": concat!("v", env!("CARGO_PKG_VERSION")),
        "ShortDescription": "Docker Buildx by gantry: builds without an engine",
        "URL": env!("CARGO_PKG_REPOSITORY"),
    });
    Some(format!("{metadata:#}\n"))
}

/// `docker [OPTIONS] buildx COMMAND …`, as the client calls its plugin, or without `buildx`, as
/// people call it by hand.
pub(super) fn plugin(words: Vec<OsString>) -> Result<Translated, Failure> {
    let mut words = Words::after_program(words);
    let mut translated = Translated::new();
    globals(&mut words, &mut translated);
    if words.peek() == Some(OsStr::new("buildx")) {
        words.next();
    }
    translated.words.push("buildx".into());
    buildx(&mut words, &mut translated)?;
    translated.words.extend(words.rest());
    Ok(translated)
}

/// `docker [OPTIONS] COMMAND …`: gantry's commands are docker's.
pub(super) fn client(words: Vec<OsString>) -> Result<Translated, Failure> {
    let mut words = Words::after_program(words);
    let mut translated = Translated::new();
    globals(&mut words, &mut translated);
    if words.peek() == Some(OsStr::new("buildx")) {
        translated.words.extend(words.next());
        buildx(&mut words, &mut translated)?;
    }
    translated.words.extend(words.rest());
    Ok(translated)
}

/// Takes the options in front of a command.
fn globals(words: &mut Words, translated: &mut Translated) {
    while let Some(taken) = words.take(GLOBALS) {
        let text = || taken.value.as_ref().map(|value| value.to_string_lossy().into_owned());
        let client = &mut translated.client;
        match taken.flag.means {
            Global::Config => client.config = taken.value.clone().map(PathBuf::from),
            Global::Host => client.host = text(),
            Global::Context => client.context = text(),
            Global::Tls => client.tls = text().as_deref() != Some("false"),
            Global::Debug if text().as_deref() == Some("false") => {}
            Global::Debug => translated.words.push("--debug".into()),
            Global::Version => translated.words.push("--version".into()),
            Global::Ignored => {}
        }
    }
}

/// Takes what stands between `buildx` and its command, and refuses what there is none of here.
fn buildx(words: &mut Words, translated: &mut Translated) -> Result<(), Failure> {
    while words.take(BUILDER).is_some() {}
    if words.peek() == Some(OsStr::new("--debug")) || words.peek() == Some(OsStr::new("-D")) {
        words.next();
        translated.words.insert(1, "--debug".into());
    }
    let hint = match words.peek().and_then(OsStr::to_str) {
        Some("dial-stdio" | "debug" | "dap") => "It needs BuildKit's interface, which isn't there",
        Some("policy") => "There are no source policies",
        _ => return Ok(()),
    };
    let command = words.next().unwrap_or_default();
    Err(not_offered("docker buildx", &command.to_string_lossy(), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        translate: fn(Vec<OsString>) -> Result<Translated, Failure>,
        line: &str,
        expect: &str,
    ) -> Translated {
        let translated = translate(line.split(' ').map(OsString::from).collect()).unwrap();
        let words: Vec<_> = translated.words.iter().map(|w| w.to_string_lossy()).collect();
        assert_eq!(words.join(" "), expect, "{line}");
        translated
    }

    #[test]
    fn the_clients_options_are_taken_out_in_front_of_the_plugins_command() {
        let seen = check(
            plugin,
            "docker-buildx -D -H unix:///s --config=/c --log-level warn buildx build -t a .",
            "gantry --debug buildx build -t a .",
        );
        assert_eq!(seen.client.host.as_deref(), Some("unix:///s"));
        assert_eq!(seen.client.config, Some("/c".into()));
        let seen = check(
            plugin,
            "docker-buildx -c other buildx --builder b build .",
            "gantry buildx build .",
        );
        assert_eq!(seen.client.context.as_deref(), Some("other"));
        check(plugin, "docker-buildx build .", "gantry buildx build .");
        check(plugin, "docker-buildx buildx", "gantry buildx");
        // Options behind the command are the command's.
        check(plugin, "p buildx build -c 3 -H x", "gantry buildx build -c 3 -H x");
    }

    #[test]
    fn the_client_has_the_same_commands() {
        check(client, "docker --host=x images -q", "gantry images -q");
        check(client, "docker buildx --builder=x build .", "gantry buildx build .");
        check(client, "docker --version", "gantry --version");
    }

    #[test]
    fn what_is_not_offered_says_so() {
        let refused = plugin(["p", "buildx", "dial-stdio"].map(OsString::from).into()).unwrap_err();
        assert_eq!(refused.to_string(), "gantry does not offer `docker buildx dial-stdio`");
    }
}
