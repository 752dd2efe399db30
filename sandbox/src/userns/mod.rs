//! Becoming root of a user namespace by running this program again in one.
//!
//! This process may have threads, so it cannot enter one itself: it makes a child in a new user
//! and mount namespace, writes the child's id maps, and lets it execute this program.

pub(crate) mod ids;
mod maps;
mod reexec;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::SandboxError;
use crate::sys::{clone, signal};
pub(crate) use maps::{sub_ids, user_name};

/// Set in the environment of a re-executed program.
pub const USERNS_MARKER: &str = "GANTRY_USERNS";

/// Signals that reach the re-executed program when they are sent to this one.
const FORWARDED: [i32; 6] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];

/// Runs this program again (same arguments and environment, and [`USERNS_MARKER`]) as root of a
/// new user and mount namespace, and returns how it ended.
///
/// IDs are mapped by `newuidmap` and `newgidmap` where the user has subordinate IDs, else only
/// the caller's own. Signals are forwarded; it stays in this process group and terminal, and
/// ends if this process is killed. Call it early and do nothing else, from a thread that lasts
/// until it returns: it takes over the handlers of the signals that it forwards.
///
/// # Errors
/// [`SandboxError`]; the program has not run then.
pub fn reexec_in_user_namespace() -> Result<ExitStatus, SandboxError> {
    if std::env::var_os(USERNS_MARKER).is_some() {
        return Err(SandboxError::Nested);
    }
    let setup = |what| move |cause| SandboxError::Setup { what, cause };
    let (program, ends) = reexec::prepare().map_err(setup("prepare the re-execution"))?;
    let cloned = clone::fork(libc::CLONE_NEWUSER | libc::CLONE_NEWNS, &program)
        .map_err(|cause| SandboxError::Refused { hint: hint(&cause), cause })?;
    // From now on the child waits for a byte, and ends if it gets the end of the pipe instead.
    let ends = ends.of_parent();
    maps::write(cloned.pid)?;
    signal::forward(&FORWARDED, cloned.pid).map_err(setup("forward signals"))?;
    let failure = ends.let_go().map_err(setup("start the re-execution"))?;
    let status = wait(&cloned.pidfd).map_err(setup("wait for the re-execution"));
    signal::forward_to_nobody();
    match failure {
        Some(cause) => Err(SandboxError::Setup { what: "execute this program again", cause }),
        None => status,
    }
}

fn wait(pidfd: &std::os::fd::OwnedFd) -> io::Result<ExitStatus> {
    use std::os::fd::AsFd;
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                let raw = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => (code & 0xff) << 8,
                    (None, signal) => signal.unwrap_or(libc::SIGKILL),
                };
                return Ok(ExitStatus::from_raw(raw));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Which knob of this host stands in the way.
pub(crate) fn hint(cause: &io::Error) -> String {
    let knob = |path: &str| {
        fs_err::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok())
    };
    if knob("/proc/sys/user/max_user_namespaces") == Some(0) {
        return "Set `user.max_user_namespaces` to more than 0 (sysctl)".to_owned();
    }
    if knob("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        return "Set `kernel.unprivileged_userns_clone` to 1 (sysctl)".to_owned();
    }
    if knob("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        return "Set `kernel.apparmor_restrict_unprivileged_userns` to 0 (sysctl), or give gantry \
                an AppArmor profile with `userns`"
            .to_owned();
    }
    if cause.raw_os_error() == Some(libc::ENOSPC) {
        return "Too many user namespaces are in use or nested".to_owned();
    }
    "In a container: run it with a seccomp profile that allows `unshare` and `clone` with \
     namespace flags"
        .to_owned()
}
