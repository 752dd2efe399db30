//! The words of podman and of buildah, whose commands are docker's in all that gantry offers.

use std::ffi::{OsStr, OsString};

use super::words::{Flag, Words};
use super::{Translated, not_offered};
use crate::ui::Failure;

#[derive(Clone, Copy)]
enum Global {
    /// The store's place.
    Root,
    Debug,
    Version,
    /// How they store and run things, which gantry does its own way.
    Ignored,
}

const GLOBALS: &[Flag<Global>] = &[
    Flag { names: &["--root"], value: true, means: Global::Root },
    Flag { names: &["--debug"], value: false, means: Global::Debug },
    Flag { names: &["--version", "-v"], value: false, means: Global::Version },
    Flag { names: &["--cgroup-manager"], value: true, means: Global::Ignored },
    Flag { names: &["--connection", "-c"], value: true, means: Global::Ignored },
    Flag { names: &["--events-backend"], value: true, means: Global::Ignored },
    Flag { names: &["--log-level"], value: true, means: Global::Ignored },
    Flag { names: &["--registries-conf-dir"], value: true, means: Global::Ignored },
    Flag { names: &["--registries-conf"], value: true, means: Global::Ignored },
    Flag { names: &["--runroot"], value: true, means: Global::Ignored },
    Flag { names: &["--runtime"], value: true, means: Global::Ignored },
    Flag { names: &["--short-name-alias-conf"], value: true, means: Global::Ignored },
    Flag { names: &["--storage-driver"], value: true, means: Global::Ignored },
    Flag { names: &["--storage-opt"], value: true, means: Global::Ignored },
    Flag { names: &["--tmpdir"], value: true, means: Global::Ignored },
    Flag { names: &["--userns-gid-map"], value: true, means: Global::Ignored },
    Flag { names: &["--userns-uid-map"], value: true, means: Global::Ignored },
];

/// `podman [OPTIONS] COMMAND …`.
pub(super) fn podman(words: Vec<OsString>) -> Result<Translated, Failure> {
    let (mut words, mut translated) = globals(words);
    let command = words.next();
    match command.as_deref().and_then(OsStr::to_str) {
        Some("buildx") if words.peek() == Some(OsStr::new("build")) => {}
        Some(
            name @ ("machine" | "pod" | "kube" | "play" | "generate" | "quadlet" | "farm"
            | "artifact"),
        ) => return Err(not_offered("podman", name, "`gantry --help` lists what there is")),
        _ => translated.words.extend(command),
    }
    translated.words.extend(words.rest());
    Ok(translated)
}

/// `buildah [OPTIONS] COMMAND …`.
pub(super) fn buildah(words: Vec<OsString>) -> Result<Translated, Failure> {
    let (mut words, mut translated) = globals(words);
    let command = words.next();
    match command.as_deref().and_then(OsStr::to_str) {
        Some("bud" | "build-using-dockerfile") => translated.words.push("build".into()),
        Some(
            name @ ("add" | "commit" | "config" | "containers" | "copy" | "from" | "mount"
            | "rename" | "rm" | "run" | "umount" | "unmount" | "unshare"),
        ) => {
            let hint = "Write it as a Dockerfile: gantry has no working containers";
            return Err(not_offered("buildah", name, hint));
        }
        _ => translated.words.extend(command),
    }
    translated.words.extend(words.rest());
    Ok(translated)
}

fn globals(words: Vec<OsString>) -> (Words, Translated) {
    let mut words = Words::after_program(words);
    let mut translated = Translated::new();
    while let Some(taken) = words.take(GLOBALS) {
        match taken.flag.means {
            Global::Root => {
                translated.words.push("--root".into());
                translated.words.extend(taken.value);
            }
            Global::Debug => translated.words.push("--debug".into()),
            Global::Version => translated.words.push("--version".into()),
            Global::Ignored => translated.ignored(taken.name),
        }
    }
    (words, translated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn check(translated: Result<Translated, Failure>, expect: &str) -> Vec<String> {
        let translated = translated.unwrap();
        let words: Vec<_> = translated.words.iter().map(|w| w.to_string_lossy()).collect();
        assert_eq!(words.join(" "), expect);
        translated.notes
    }

    #[test]
    fn commands_of_both_are_gantrys() {
        check(podman(words("podman build -t a .")), "gantry build -t a .");
        check(podman(words("podman buildx build .")), "gantry build .");
        check(podman(words("podman --root=/s images")), "gantry --root /s images");
        check(buildah(words("buildah bud -f x")), "gantry build -f x");
        check(buildah(words("buildah images -q")), "gantry images -q");
        let notes = check(buildah(words("buildah --storage-driver vfs bud")), "gantry build");
        assert_eq!(notes, ["--storage-driver has no effect and is ignored"]);
    }

    #[test]
    fn working_containers_are_not_offered() {
        let refused = buildah(words("buildah from scratch")).unwrap_err();
        assert_eq!(refused.to_string(), "gantry does not offer `buildah from`");
        assert!(podman(words("podman pod ls")).is_err());
    }
}
