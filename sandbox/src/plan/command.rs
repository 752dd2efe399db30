//! What is executed, and with which environment.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::SpawnError;

/// Where programs are searched if the environment does not say: Docker's default.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments, environment, and the paths to try.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) candidates: Vec<CString>,
    /// For error messages.
    pub(crate) program: String,
    pub(crate) in_path: bool,
}

/// Prepares a command; `home` is set where the environment has none, or an empty one, as runc does.
pub(crate) fn prepare(
    argv: Vec<OsString>,
    mut env: Vec<OsString>,
    home: &str,
) -> Result<Command, SpawnError> {
    let first = argv.first().ok_or(SpawnError::NoCommand)?;
    let program = first.to_string_lossy().into_owned();
    env.retain(|variable| variable.as_bytes() != b"HOME=");
    if env.iter().all(|variable| !variable.as_bytes().starts_with(b"HOME=")) {
        env.push(format!("HOME={home}").into());
    }
    let in_path = !first.as_bytes().contains(&b'/');
    let candidates = match (first.as_bytes(), in_path) {
        // Programs are never called "", and a directory of PATH with nothing behind it is none.
        (b"", _) => Vec::new(),
        (name, true) => {
            let path = env.iter().rev().find_map(|v| v.as_bytes().strip_prefix(b"PATH="));
            path.unwrap_or(DEFAULT_PATH)
                .split(|&byte| byte == b':')
                // An empty entry means the working directory, which docker leaves out, too.
                .filter(|directory| !directory.is_empty())
                .map(|directory| [directory, b"/", name].concat())
                .collect()
        }
        (name, false) => vec![name.to_vec()],
    };
    Ok(Command {
        candidates: c_strings("The program", candidates.into_iter().map(OsString::from_vec))?,
        argv: c_strings("The argument", argv)?,
        env: c_strings("The variable", env)?,
        program,
        in_path,
    })
}

fn c_strings(
    what: &'static str,
    strings: impl IntoIterator<Item = OsString>,
) -> Result<Vec<CString>, SpawnError> {
    strings.into_iter().map(|string| c_string(what, string)).collect()
}

/// Makes a NUL-terminated string.
pub(crate) fn c_string(what: &'static str, string: OsString) -> Result<CString, SpawnError> {
    let shown = string.to_string_lossy().into_owned();
    CString::new(string.into_vec()).map_err(|_| SpawnError::Nul { what, value: shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(program: &str, env: &[&str]) -> Vec<String> {
        let env = env.iter().map(OsString::from).collect();
        let command = prepare(vec![program.into()], env, "/").unwrap();
        command.candidates.iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn programs_are_searched_in_the_sandboxes_own_path() {
        assert_eq!(candidates("sh", &["PATH=/a:/b"]), ["/a/sh", "/b/sh"]);
        assert_eq!(candidates("sh", &["PATH=/a", "PATH=/b::"]), ["/b/sh"]);
        assert_eq!(candidates("./sh", &["PATH=/a"]), ["./sh"]);
        assert_eq!(candidates("sh", &[]).len(), 6);
        assert_eq!(candidates("", &[]), [""; 0]);
    }

    #[test]
    fn home_is_set_where_it_is_not() {
        let env = |env: Vec<OsString>| prepare(vec!["x".into()], env, "/h").unwrap().env;
        assert_eq!(env(vec![]), [c"HOME=/h".to_owned()]);
        assert_eq!(env(vec!["HOME=/x".into()]), [c"HOME=/x".to_owned()]);
        assert_eq!(env(vec!["HOME=".into()]), [c"HOME=/h".to_owned()]);
    }

    #[test]
    fn what_cannot_be_passed_on_is_named() {
        let error = prepare(vec!["a\0b".into()], vec![], "/").unwrap_err();
        assert!(matches!(error, SpawnError::Nul { .. }), "{error}");
        assert!(matches!(prepare(vec![], vec![], "/"), Err(SpawnError::NoCommand)));
    }
}
