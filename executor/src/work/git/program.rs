//! The program `git`, run so that neither the host's configuration nor a repository can make it do
//! anything else than what it is asked for.
//!
//! Credentials are in its environment, which only this user can read: never among its arguments.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_cache::WorkDir;
use gantry_solver::CancelToken;
use rustix::process::{Pid, Signal, kill_process_group};

use super::super::Executor;
use super::super::fault::{Because, Fault};
use super::remote::Remote;

/// More than this of what git prints is thrown away.
const PRINTED: u64 = 4 << 20;

/// Variables of this process that git gets: where programs and certificates are, and proxies.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// Settings, whatever the host's configuration says.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("core.fileMode", "true"),
    ("advice.detachedHead", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("init.defaultBranch", "main"),
    ("credential.helper", ""),
    // A server that says nothing for this long has gone away.
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
];

/// git, in one directory, for one repository.
pub(super) struct Git {
    dir: PathBuf,
    environment: Vec<(OsString, OsString)>,
    secrets: Vec<String>,
    cancel: CancelToken,
    running: Arc<Mutex<Option<Pid>>>,
}

impl Git {
    /// Prepares to run it in the directory that becomes the layer.
    pub(super) fn new(
        executor: &Executor,
        remote: &Remote,
        work: &WorkDir,
        cancel: &CancelToken,
    ) -> Result<Self, Fault> {
        let running: Arc<Mutex<Option<Pid>>> = Arc::default();
        let group = Arc::clone(&running);
        cancel.on_cancel(move || {
            if let Some(pid) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
                // It may have ended meanwhile.
                let _ = kill_process_group(pid, Signal::KILL);
            }
        });
        Ok(Self {
            dir: work.upper(),
            environment: environment(executor, remote, work)?,
            secrets: remote.secrets.clone(),
            cancel: cancel.clone(),
            running,
        })
    }

    /// The directory that it runs in.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs it to its end and returns what it printed; `what` is what it is needed for.
    pub(super) fn run(&self, what: &str, args: &[&str]) -> Result<String, Fault> {
        let output = self.output(args).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Fault::refused_with(
                "Git repositories need the program `git`, which is not installed",
                "Install it, or name a clone with `--build-context NAME=DIR`",
            ),
            _ => Fault::Io { what: what.to_owned(), source },
        })?;
        if self.cancel.is_canceled() {
            return Err(Fault::Canceled);
        }
        if output.success {
            return Ok(output.stdout);
        }
        let hint = hint(&output.stderr);
        let cause = Because(self.told(&output.stderr));
        Err(Fault::Program { what: what.to_owned(), cause, hint })
    }

    fn output(&self, args: &[&str]) -> io::Result<Output> {
        let mut child = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if self.cancel.is_canceled() {
                return Ok(Output::default());
            }
            let child = self.spawn(args)?;
            *running = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            child
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = std::thread::scope(|scope| {
            let errors = scope.spawn(|| stderr.map(drain).unwrap_or_default());
            let printed = stdout.map(drain).unwrap_or_default();
            (printed, errors.join().unwrap_or_default())
        });
        let status = child.wait();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(Output { success: status?.success(), stdout, stderr })
    }

    fn spawn(&self, args: &[&str]) -> io::Result<Child> {
        Command::new("git")
            .args(args)
            .current_dir(&self.dir)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    /// The end of what it said, without secrets.
    fn told(&self, stderr: &str) -> String {
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(6)..].join("\n");
        let hidden = self.secrets.iter().filter(|secret| !secret.is_empty());
        hidden.fold(last, |text, secret| text.replace(secret.as_str(), "****"))
    }
}

#[derive(Default)]
struct Output {
    success: bool,
    stdout: String,
    stderr: String,
}

fn drain(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // A stream that breaks is one that ends: the exit status says whether all went well.
    let _ = from.by_ref().take(PRINTED).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn environment(
    executor: &Executor,
    remote: &Remote,
    work: &WorkDir,
) -> Result<Vec<(OsString, OsString)>, Fault> {
    let inherited =
        INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    let mut all: Vec<(OsString, OsString)> = inherited.collect();
    let mut set = |name: &str, value: OsString| all.push((name.into(), value));
    for (name, value) in [
        ("LC_ALL", "C"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ALLOW_PROTOCOL", "http:https:git:ssh"),
        ("GIT_NO_REPLACE_OBJECTS", "1"),
        ("GIT_SSH_COMMAND", "ssh -F /dev/null -o BatchMode=yes"),
    ] {
        set(name, value.into());
    }
    // Nothing above is a repository of ours.
    set("GIT_CEILING_DIRECTORIES", work.path().into());
    if let Some(socket) = executor.agent("default")? {
        set("SSH_AUTH_SOCK", socket.into());
    }
    let mut settings: Vec<(String, String)> =
        SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if let Some((value, origin)) = &remote.authorization {
        settings.push((format!("http.{origin}.extraHeader"), format!("Authorization: {value}")));
    }
    set("GIT_CONFIG_COUNT", settings.len().to_string().into());
    for (number, (name, value)) in settings.into_iter().enumerate() {
        set(&format!("GIT_CONFIG_KEY_{number}"), name.into());
        set(&format!("GIT_CONFIG_VALUE_{number}"), value.into());
    }
    Ok(all)
}

/// What to do about the commonest things that git has to say.
fn hint(told: &str) -> Option<&'static str> {
    let hints = [
        (
            ["Authentication failed", "could not read Username", "error: 403"],
            "Give a token with `--secret id=GIT_AUTH_TOKEN,src=FILE`",
        ),
        (
            ["Permission denied (publickey", "Permission denied, please", "no such identity"],
            "Give your SSH agent to the build with `--ssh default`",
        ),
        (
            ["Host key verification failed", "host key is known", "HOST IDENTIFICATION"],
            "Add the host's key to `~/.ssh/known_hosts`",
        ),
    ];
    let says = |words: &[&str; 3]| words.iter().any(|word| told.contains(word));
    let known = hints.iter().find(|(words, _)| says(words)).map(|(_, hint)| *hint);
    known.or(Some("Check the address, and that this machine reaches it"))
}
