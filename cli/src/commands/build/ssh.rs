//! `--ssh`: agents for steps, in BuildKit's form and words (C1-16).

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::PathBuf;

use gantry_executor::SshAgent;

use super::values;
use crate::ui::Failure;

/// Reads all `--ssh` of a command line.
///
/// # Errors
/// An id twice, files that are not there, sockets and keys mixed.
pub(super) fn agents(texts: &[String]) -> Result<BTreeMap<String, SshAgent>, Failure> {
    let mut agents = BTreeMap::new();
    for text in texts {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, values::csv(paths).map_err(Failure::usage)?),
            None => (text.as_str(), Vec::new()),
        };
        let id = if id.is_empty() { "default" } else { id };
        if agents.insert(id.to_owned(), agent(paths)?).is_some() {
            return Err(Failure::text(format_args!("invalid duplicate ID {id}")));
        }
    }
    Ok(agents)
}

fn agent(paths: Vec<String>) -> Result<SshAgent, Failure> {
    let mut paths: Vec<PathBuf> =
        paths.into_iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    if paths.is_empty() {
        let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
        paths.extend(socket.map(PathBuf::from));
    }
    let (mut socket, mut keys) = (None, Vec::new());
    for path in paths {
        if socket.is_some() {
            return Err(Failure::text("only single socket allowed"));
        }
        if fs_err::metadata(&path)?.file_type().is_socket() {
            socket = Some(path);
        } else {
            keys.push(path);
        }
    }
    match (socket, keys.is_empty()) {
        (Some(socket), true) => Ok(SshAgent::Socket(socket)),
        (Some(_), false) => Err(Failure::text("invalid combination of keys and sockets")),
        (None, false) => Ok(SshAgent::Keys(keys)),
        (None, true) => {
            Err(Failure::text("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set"))
        }
    }
}
