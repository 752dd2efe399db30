//! The peers: Debian's `buildah` and `podman`, and the BuildKit inside its `docker.io`, each with a
//! store of its own that holds the same base image.
//!
//! The first two run their steps by `chroot`, the cheapest of their ways of isolating them, and
//! the one that works on every host; gantry's steps get their namespaces all the same. BuildKit
//! needs an engine: one is started for the time of the measurement where `dockerd` is installed
//! and this is root, and ended by its pid.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workspace::{Problem, Workspace, median, run};

/// How they are called in the table.
pub(crate) const NAMES: [&str; 3] = ["buildah", "podman", "BuildKit"];

/// One of something for each peer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peers<T> {
    pub(crate) buildah: T,
    pub(crate) podman: T,
    pub(crate) buildkit: T,
}

impl<T> Peers<T> {
    /// All three, in the order of their names.
    pub(crate) fn each(&self) -> [&T; 3] {
        [&self.buildah, &self.podman, &self.buildkit]
    }
}

/// Those peers that are installed and work here.
#[derive(Default)]
pub(crate) struct Rivals<'w>(Peers<Option<Peer<'w>>>);

impl<'w> Rivals<'w> {
    /// Makes their stores and brings in the base image. Without any, if `runs` is 0.
    ///
    /// # Errors
    /// If one is there and does not work, other than an engine that does not start.
    pub(crate) fn new(workspace: &'w Workspace, runs: usize) -> Result<Self, Problem> {
        if runs == 0 {
            return Ok(Self::default());
        }
        // It asks for more open files than a process may have, unless told.
        let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output()?;
        let limit = String::from_utf8(limit.stdout)?.trim().to_owned();
        let peer =
            |program, engine| Peer { workspace, runs, limit: limit.clone(), program, engine };
        let found = |name: &str| {
            let answer = Command::new(name).arg("--version").stdout(Stdio::null()).status();
            answer.is_ok_and(|status| status.success())
        };
        let mut rivals = Peers::default();
        if found("buildah") {
            rivals.buildah = Some(peer(Program::Buildah, None).with_base()?);
        }
        if found("podman") {
            rivals.podman = Some(peer(Program::Podman, None).with_base()?);
        }
        if found("dockerd") && found("docker") {
            match Engine::start(workspace)? {
                Some(engine) => {
                    rivals.buildkit = Some(peer(Program::Docker, Some(engine)).with_base()?);
                }
                None => eprintln!("gantry-benches: `dockerd` is installed and does not start here"),
            }
        }
        Ok(Self(rivals))
    }

    /// Returns the median of what `once` reports of each.
    pub(crate) fn measure(
        &self,
        mut once: impl FnMut(&Peer<'_>) -> Result<Duration, Problem>,
    ) -> Result<Peers<Option<Duration>>, Problem> {
        self.measure_where(|peer| once(peer).map(Some))
    }

    /// The same, where `once` reports nothing of those that can't do it.
    pub(crate) fn measure_where(
        &self,
        mut once: impl FnMut(&Peer<'_>) -> Result<Option<Duration>, Problem>,
    ) -> Result<Peers<Option<Duration>>, Problem> {
        let mut all = |peer: &Option<Peer<'_>>| -> Result<Option<Duration>, Problem> {
            let Some(peer) = peer else { return Ok(None) };
            let times = (0..peer.runs).map(|_| once(peer)).collect::<Result<Vec<_>, _>>()?;
            Ok(times.into_iter().collect::<Option<Vec<_>>>().map(median))
        };
        Ok(Peers {
            buildah: all(&self.0.buildah)?,
            podman: all(&self.0.podman)?,
            buildkit: all(&self.0.buildkit)?,
        })
    }
}

/// Whose command is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Buildah,
    Podman,
    Docker,
}

/// One peer with its store.
pub(crate) struct Peer<'w> {
    workspace: &'w Workspace,
    runs: usize,
    limit: String,
    program: Program,
    engine: Option<Engine>,
}

impl Peer<'_> {
    fn with_base(self) -> Result<Self, Problem> {
        let base = fs_err::canonicalize("target/bases/busybox.tar")?;
        match self.program {
            Program::Buildah => {
                run(&mut self.command(&["from", "--name", "base", "scratch"]))?;
                run(self.command(&["add", "-q", "base"]).arg(base).arg("/"))?;
                run(&mut self.command(&["commit", "-q", "base", "localhost/busybox"]))?;
                run(&mut self.command(&["rm", "base"]))?;
            }
            Program::Podman => {
                run(self.command(&["import", "-q"]).arg(base).arg("localhost/busybox"))?;
            }
            Program::Docker => {
                run(self.command(&["import"]).arg(base).arg("busybox"))?;
            }
        }
        Ok(self)
    }

    fn command(&self, words: &[&str]) -> Command {
        let path = |name: &str| self.workspace.path(name);
        let mut command = match (self.program, &self.engine) {
            (Program::Docker, Some(engine)) => {
                let mut command = Command::new("docker");
                command
                    .env("DOCKER_HOST", format!("unix://{}", engine.socket.display()))
                    .env("DOCKER_CONFIG", path("docker.config"))
                    .env("DOCKER_BUILDKIT", "1");
                command
            }
            (program, _) => {
                let name = if program == Program::Podman { "podman" } else { "buildah" };
                // It mounts its own store and leaves it so: in a mount namespace that goes with it.
                let mut command = Command::new("unshare");
                command
                    .args(["--mount", "--propagation", "private", name, "--root"])
                    .arg(path(&format!("{name}.store")))
                    .arg("--runroot")
                    .arg(path(&format!("{name}.run")))
                    .args(["--storage-driver", "overlay"]);
                command
            }
        };
        command.args(words).stdin(Stdio::null());
        command
    }

    /// A pull of a name of a registry that speaks plain HTTP.
    pub(crate) fn pull(&self, name: &str) -> Command {
        self.travel(&["pull", "-q"], &[name])
    }

    /// A push of a name that [`pull`](Self::pull) brought.
    pub(crate) fn push(&self, name: &str) -> Command {
        self.travel(&["push", "-q"], &[name])
    }

    fn travel(&self, verb: &[&str], name: &[&str]) -> Command {
        let plain: &[&str] = match self.program {
            Program::Docker => &[],
            Program::Buildah | Program::Podman => &["--tls-verify=false"],
        };
        self.command(&[verb, plain, name].concat())
    }

    /// Removes an image, if it is there.
    pub(crate) fn forget(&self, name: &str) {
        let _ = self.command(&["rmi", "-f", name]).output();
    }

    /// Writes an image into a docker archive.
    pub(crate) fn save(&self, name: &str, to: &Path) -> Command {
        let path = to.display().to_string();
        match self.program {
            Program::Buildah => {
                self.command(&["push", "-q", name, &format!("docker-archive:{path}:{name}")])
            }
            Program::Podman => self.command(&["save", "-q", "-o", &path, name]),
            Program::Docker => self.command(&["save", "-o", &path, name]),
        }
    }

    /// Writes an image into an OCI archive, compressed by gzip; an engine of Debian's can't.
    pub(crate) fn oci_archive(&self, name: &str, to: &Path) -> Option<Command> {
        let path = to.display().to_string();
        match self.program {
            Program::Buildah => {
                Some(self.command(&["push", "-q", name, &format!("oci-archive:{path}")]))
            }
            Program::Podman => {
                Some(self.command(&["save", "-q", "--format", "oci-archive", "-o", &path, name]))
            }
            Program::Docker => None,
        }
    }

    /// Reads a docker archive.
    pub(crate) fn load(&self, from: &Path) -> Command {
        let path = from.display().to_string();
        match self.program {
            Program::Buildah => self.command(&["pull", "-q", &format!("docker-archive:{path}")]),
            Program::Podman | Program::Docker => self.command(&["load", "-q", "-i", &path]),
        }
    }

    /// A build of `context`, with its layers kept as a cache; `flags` come before the context.
    pub(crate) fn build(&self, flags: &[&str], context: &Path) -> Command {
        let mut build = self.command(&["build", "-q"]);
        if self.program == Program::Docker {
            build.args(["--network", "none"]);
        } else {
            build
                .args(["--layers", "--pull=never"])
                .args(["--isolation", "chroot", "--network", "host", "--ulimit"])
                .arg(format!("nofile={0}:{0}", self.limit));
        }
        build.args(["-t", "made"]).args(flags).arg(context);
        build
    }
}

/// A `dockerd` of one's own, ended when dropped.
struct Engine {
    child: Child,
    socket: std::path::PathBuf,
}

impl Engine {
    /// Starts it in the workspace; `None` if it does not answer.
    fn start(workspace: &Workspace) -> Result<Option<Self>, Problem> {
        // Newer clients build by a plugin, which may lie beside them and nowhere else.
        let plugins = workspace.path("docker.config/cli-plugins");
        fs_err::create_dir_all(&plugins)?;
        let found = Command::new("sh").args(["-c", "command -v docker-buildx"]).output()?.stdout;
        let found = String::from_utf8(found)?;
        if !found.is_empty() {
            fs_err::os::unix::fs::symlink(found.trim(), plugins.join("docker-buildx"))?;
        }
        let socket = workspace.path("docker.sock");
        let log = fs_err::File::create(workspace.path("docker.log"))?;
        let child = Command::new("dockerd")
            .arg("--data-root")
            .arg(workspace.path("docker.store"))
            .arg("--exec-root")
            .arg(workspace.path("docker.run"))
            .arg("--pidfile")
            .arg(workspace.path("docker.pid"))
            .arg("-H")
            .arg(format!("unix://{}", socket.display()))
            .args([
                "--bridge=none",
                "--userland-proxy=false",
                "--iptables=false",
                "--ip-forward=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.file().try_clone()?)
            .stderr(log.into_parts().0)
            .spawn()?;
        let mut engine = Self { child, socket };
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if engine.child.try_wait()?.is_some() {
                return Ok(None);
            }
            let mut info = Command::new("docker");
            info.arg("-H").arg(format!("unix://{}", engine.socket.display())).arg("info");
            let answer = info.stdout(Stdio::null()).stderr(Stdio::null()).status();
            if engine.socket.exists() && answer.is_ok_and(|status| status.success()) {
                return Ok(Some(engine));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(None)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends its containers and its containerd itself, if it is asked to.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        let start = Instant::now();
        while asked.as_ref().is_ok_and(|status| status.success())
            && start.elapsed() < Duration::from_secs(20)
        {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
