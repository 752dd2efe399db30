//! SSH agents that a build was given: sockets of this host, or keys, for which one is started.
//!
//! Keys are held by the program `ssh-agent`, which reads no key with a passphrase here: nobody
//! could be asked for it. It ends with the build, and also if this process is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use gantry_cache::{Store, WorkDir};
use rustix::process::{Pid, Signal, kill_process};

use super::fault::{Because, Fault};
use crate::request::SshAgent;

/// All agents of one build, by id.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    given: BTreeMap<String, SshAgent>,
    running: Mutex<BTreeMap<String, Running>>,
}

/// An agent that was started for keys.
#[derive(Debug)]
struct Running {
    /// Lives until its standard input ends, and the agent as long as it.
    child: Child,
    agent: Option<Pid>,
    socket: PathBuf,
    _dir: std::fs::File,
    _work: WorkDir,
}

impl Agents {
    pub(crate) fn new(given: BTreeMap<String, SshAgent>) -> Self {
        Self { given, running: Mutex::default() }
    }

    /// Returns the socket of an agent; `None` if nobody gave one with this id.
    pub(super) fn socket(&self, store: &Store, id: &str) -> Result<Option<PathBuf>, Fault> {
        let keys = match self.given.get(id) {
            None => return Ok(None),
            Some(SshAgent::Socket(path)) => return Ok(Some(path.clone())),
            Some(SshAgent::Keys(keys)) => keys,
        };
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = all.get(id) {
            return Ok(Some(running.socket.clone()));
        }
        let running = Running::start(store)?;
        for key in keys {
            running.add(key)?;
        }
        Ok(Some(all.entry(id.to_owned()).or_insert(running).socket.clone()))
    }
}

impl Running {
    fn start(store: &Store) -> Result<Self, Fault> {
        let start = || Fault::io("start `ssh-agent`");
        let work = store.work_dir()?;
        let path = work.scratch();
        let dir = fs_err::File::open(&path).map_err(start())?.into_file();
        let mut child = program("ssh-agent")
            .args(["-a", "agent", "sh", "-c", "echo $SSH_AGENT_PID; exec cat >/dev/null"])
            .current_dir(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| missing("ssh-agent", source))?;
        let mut line = String::new();
        let told = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
        let agent = line.trim().parse().ok().and_then(Pid::from_raw);
        // Paths of sockets must be short, and those of stores need not be.
        let socket = format!("/proc/{}/fd/{}/agent", std::process::id(), dir.as_raw_fd());
        // From here on, dropping it ends what was started.
        let running = Self { child, agent, socket: socket.into(), _dir: dir, _work: work };
        told.transpose().map_err(start())?;
        match running.agent {
            Some(_) => Ok(running),
            None => Err(Fault::refused_with(
                "`ssh-agent` did not start",
                "Give an agent that runs already: `--ssh default`",
            )),
        }
    }

    fn add(&self, key: &Path) -> Result<(), Fault> {
        let what = format!("give the key `{}` to an SSH agent", key.display());
        let key = fs_err::canonicalize(key).map_err(Fault::io(what.clone()))?;
        let output = program("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            // Whoever asks for a passphrase gets none.
            .env("SSH_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .output()
            .map_err(|source| missing("ssh-add", source))?;
        if output.status.success() {
            return Ok(());
        }
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let cause = Because(match told.is_empty() {
            true => "it has a passphrase, or is no private key".to_owned(),
            false => told,
        });
        let hint = "Add a key with a passphrase to your own agent, and give that: `--ssh default`";
        Err(Fault::Program { what, cause, hint: Some(hint) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(agent) = self.agent {
            // It may have been ended by somebody else.
            let _ = kill_process(agent, Signal::TERM);
        }
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_clear().stderr(Stdio::piped());
    for name in ["PATH", "HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

fn missing(program: &str, source: std::io::Error) -> Fault {
    match source.kind() {
        std::io::ErrorKind::NotFound => Fault::refused_with(
            format!("SSH keys need the program `{program}`, which is not installed"),
            "Install OpenSSH's client, or give an agent that runs already: `--ssh default`",
        ),
        _ => Fault::Io { what: format!("run `{program}`"), source },
    }
}
