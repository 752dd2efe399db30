//! A way out without privileges: `pasta` carries a namespace's packets over ordinary sockets.
//!
//! It goes to the background once the interface is there. So that it never outlives gantry, it
//! runs in a PID namespace whose first process (a fork of gantry, see `sys::keeper`) dies with
//! gantry: the kernel then ends all in it.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, waitid};

use super::{find_program, setup};
use crate::NetworkError;
use crate::sys::clone::{self, Stack};
use crate::sys::keeper::{Keeper, LOWEST};
use crate::sys::raw;
use crate::sys::strings::Strings;

/// A running `pasta`; ended when dropped.
#[derive(Debug)]
pub(super) struct Pasta {
    keeper: OwnedFd,
    /// Made the keeper, which dies with it, and so waits for it.
    thread: Option<JoinHandle<()>>,
}

impl Drop for Pasta {
    fn drop(&mut self) {
        let _ = raw::pidfd_send_signal(self.keeper.as_fd(), libc::SIGKILL);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Pasta {
    pub(super) fn is_running(&self) -> bool {
        !raw::has_ended(self.keeper.as_fd())
    }

    /// Starts it for a namespace and returns once the namespace is configured.
    pub(super) fn start(namespace: &OwnedFd, state: &Path) -> Result<Self, NetworkError> {
        let namespace = namespace.try_clone().map_err(setup("keep the namespace"))?;
        let place = state.join("netns");
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("gantry-pasta".to_owned())
            .spawn(move || {
                let started = start_here(&namespace, &place);
                drop(namespace);
                let pidfd = started.as_ref().ok().and_then(|pidfd| pidfd.try_clone().ok());
                let _ = sender.send(started);
                if let Some(pidfd) = pidfd {
                    while let Err(rustix::io::Errno::INTR) =
                        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
                    {
                    }
                }
            })
            .map_err(setup("start a thread"))?;
        let died = |_| setup("start `pasta`")(io::Error::other("its thread has ended"));
        let keeper = receiver.recv().map_err(died)??;
        Ok(Self { keeper, thread: Some(thread) })
    }
}

/// Starts it from this thread, which gets a mount namespace of its own for that: the network
/// namespace is mounted over a file there, as pasta only takes a path (and drops, before it opens
/// it, what it would need to open one below `/proc`).
fn start_here(namespace: &OwnedFd, place: &Path) -> Result<OwnedFd, NetworkError> {
    raw::unshare(libc::CLONE_NEWNS | libc::CLONE_FS).map_err(setup("make a mount namespace"))?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(setup("make mounts private"))?;
    fs_err::write(place, "").map_err(setup("make a mount point"))?;
    let source = format!("/proc/thread-self/fd/{}", namespace.as_raw_fd());
    mount_bind(source, place).map_err(setup("mount the network namespace"))?;

    let program = find_program("pasta").ok_or_else(|| NetworkError::Unavailable {
        reason: "`pasta` is not installed (package `passt`)".to_owned(),
    })?;
    let c_string = |bytes: Vec<u8>| CString::new(bytes).map_err(setup("name a file"));
    let path = c_string(program.into_os_string().into_vec())?;
    let mut argv = vec![path.clone()];
    // No ports in either direction, and no way to the host's loopback interface.
    for argument in ["--config-net", "--quiet", "--no-map-gw", "-t", "none", "-u", "none"] {
        argv.push(c_string(argument.into())?);
    }
    for argument in ["-T", "none", "-U", "none", "--netns-only", "--netns"] {
        argv.push(c_string(argument.into())?);
    }
    argv.push(c_string(place.as_os_str().to_owned().into_vec())?);

    let (said, say) = pipe().map_err(setup("make a pipe"))?;
    let (told, tell) = pipe().map_err(setup("make a pipe"))?;
    let parent = pidfd_open(getpid(), PidfdFlags::empty())
        .and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, LOWEST))
        .map_err(setup("open a pidfd of this process"))?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, LOWEST))
    .map_err(setup("open `/dev/null`"))?;
    let keeper = Keeper {
        path,
        strings: Strings::new(argv, vec![c"PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()]),
        null: null.as_raw_fd(),
        output: say.as_raw_fd(),
        status: tell.as_raw_fd(),
        parent: parent.as_raw_fd(),
        stack: Stack::new(),
    };
    let cloned = clone::fork(libc::CLONE_NEWPID, &keeper).map_err(setup("start `pasta`"))?;
    drop((say, tell));
    let mut status = Vec::new();
    let mut output = String::new();
    // The status comes when it has gone to the background or failed; its output ends by then.
    let read = std::fs::File::from(told).read_to_end(&mut status);
    let _ = std::fs::File::from(said).read_to_string(&mut output);
    match (read, status.as_slice()) {
        (Ok(_), [0]) => Ok(cloned.pidfd),
        _ => {
            let _ = raw::pidfd_send_signal(cloned.pidfd.as_fd(), libc::SIGKILL);
            let _ = waitid(WaitId::PidFd(cloned.pidfd.as_fd()), WaitIdOptions::EXITED);
            Err(NetworkError::Tool { tool: "pasta", output: output.trim().to_owned() })
        }
    }
}

/// A pipe whose write end has a number that the keeper does not overwrite.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((read, rustix::io::fcntl_dupfd_cloexec(write, LOWEST)?))
}
