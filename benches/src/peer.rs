//! The peer: Debian's `buildah`, with a store of its own that holds the same base image.
//!
//! It runs its steps by `chroot`, the cheapest of its ways of isolating them, and the one that
//! works on every host; gantry's steps get their namespaces all the same.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::workspace::{Problem, Workspace, median, run};

/// A store of buildah's.
pub(crate) struct Peer<'w> {
    workspace: &'w Workspace,
    runs: usize,
    limit: String,
}

impl<'w> Peer<'w> {
    /// Makes the store and brings in the base image; `None` where there is no buildah.
    ///
    /// # Errors
    /// If buildah is there and does not work.
    pub(crate) fn new(workspace: &'w Workspace, runs: usize) -> Result<Option<Self>, Problem> {
        let found = Command::new("buildah").arg("version").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        // It asks for more open files than a process may have, unless told.
        let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output()?;
        let limit = String::from_utf8(limit.stdout)?.trim().to_owned();
        let peer = Self { workspace, runs, limit };
        let base = fs_err::canonicalize("target/bases/busybox.tar")?;
        run(&mut peer.command(&["from", "--name", "base", "scratch"]))?;
        run(peer.command(&["add", "-q", "base"]).arg(base).arg("/"))?;
        run(&mut peer.command(&["commit", "-q", "base", "localhost/busybox"]))?;
        run(&mut peer.command(&["rm", "base"]))?;
        Ok(Some(peer))
    }

    fn command(&self, words: &[&str]) -> Command {
        // It mounts its own store and leaves it so: in a mount namespace that goes with it.
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "buildah", "--root"])
            .arg(self.workspace.path("peer"))
            .arg("--runroot")
            .arg(self.workspace.path("peer.run"))
            .args(["--storage-driver", "overlay"])
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// A build of `context`, with its layers kept as a cache; `flags` come before the context.
    pub(crate) fn build(&self, flags: &[&str], context: &Path) -> Command {
        let mut build = self.command(&["build", "-q", "--layers", "--pull-never"]);
        build
            .args(["--isolation", "chroot", "--network", "host", "--ulimit"])
            .arg(format!("nofile={0}:{0}", self.limit))
            .args(["-t", "made"])
            .args(flags)
            .arg(context);
        build
    }

    /// Returns the median of what `once` reports.
    pub(crate) fn measure(
        &self,
        mut once: impl FnMut(&Self) -> Result<Duration, Problem>,
    ) -> Result<Duration, Problem> {
        let times = (0..self.runs).map(|_| once(self)).collect::<Result<_, _>>()?;
        Ok(median(times))
    }
}
