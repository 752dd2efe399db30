//! From a [`Spec`] to a running [`Child`].
//!
//! Each child has a thread of its own, which prepares it, makes it, waits for it and cleans up
//! after it. The kernel's "die with your parent" is about the *thread* that made a child, so that
//! thread must last exactly as long; and where mounts need a mount namespace of this process's
//! own, the thread has it for itself.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::mount::{FsOpenFlags, MountPropagationFlags, fsopen, mount_change};
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::child::{Exit, Handle};
use crate::error::Step;
use crate::leaving::Leaving;
use crate::plan::{self, Plan, Words};
use crate::sys::{clone, raw};
use crate::{Capabilities, Child, ExitStatus, LoneNetwork, Network, Security, SpawnError, Spec};

/// Starts a process as PID 1 of new namespaces and returns once its program runs.
///
/// Blocks for about 3 ms; call it off the async threads. A failure leaves nothing behind.
///
/// # Errors
/// [`SpawnError`] says what of the spec or of the host stood in the way.
pub fn spawn(spec: Spec) -> Result<Child, SpawnError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let exit = Arc::new(Exit::default());
    let publish = exit.clone();
    thread::Builder::new()
        .name("gantry-sandbox".to_owned())
        .spawn(move || live(spec, &sender, &publish))
        .map_err(|cause| SpawnError::Setup { what: "start a thread", cause })?;
    let (handle, ends) = receiver.recv().map_err(|_| SpawnError::Setup {
        what: "prepare the sandbox",
        cause: io::Error::other("its thread has panicked"),
    })??;
    Ok(Child::new(handle, ends, exit))
}

type Started = (Handle, plan::stdio::Ends);

/// A child's thread, from before the child's beginning to after its end.
fn live(mut spec: Spec, started: &mpsc::SyncSender<Result<Started, SpawnError>>, exit: &Exit) {
    let _published = exit.publish_on_unwind();
    let changes_network =
        spec.security != Security::Sandbox || !Capabilities::DEFAULT.has(spec.capabilities);
    let begun = own_mount_namespace()
        .and_then(|()| enter(&mut spec.network))
        .and_then(|()| plan::prepare(spec))
        .and_then(begin);
    let (running, handle, ends) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let pidfd = running.pidfd.try_clone();
    // Nobody waits for it any more: then it is not to run either.
    if started.send(Ok((handle, ends))).is_err()
        && let Ok(pidfd) = &pidfd
    {
        use std::os::fd::AsFd;
        let _ = raw::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
    }
    let (status, left) = running.finish(changes_network);
    exit.publish(status);
    drop(left);
}

/// Puts this thread into the network that its child is to be in, if that is the way into it.
fn enter(network: &mut Network) -> Result<(), SpawnError> {
    let failed = |what| move |cause| SpawnError::Setup { what, cause };
    match network {
        Network::Lone(lone) => lone.enter().map_err(failed("make a network namespace")),
        Network::Private(private) => private.enter().map_err(failed("join the network namespace")),
        Network::None | Network::Host => Ok(()),
    }
}

/// Where this process may not mount because its mount namespace belongs to another user
/// namespace, this thread gets one that belongs to its own.
pub(crate) fn own_mount_namespace() -> Result<(), SpawnError> {
    match fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(_) => return Ok(()),
        Err(rustix::io::Errno::PERM) => {}
        Err(errno) => {
            return Err(SpawnError::Setup { what: "use the mount API", cause: errno.into() });
        }
    }
    let failed = |cause| SpawnError::Setup { what: "make a mount namespace", cause };
    raw::unshare(libc::CLONE_NEWNS | libc::CLONE_FS).map_err(failed)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(|errno| failed(errno.into()))
}

/// A child and what has to be undone after it.
struct Running {
    pidfd: std::os::fd::OwnedFd,
    places: plan::place::Places,
    cgroup: Option<crate::cgroup::Cgroup>,
    network: Network,
}

fn begin(plan: Plan) -> Result<(Running, Handle, plan::stdio::Ends), SpawnError> {
    let Plan { program, namespaces, mut places, ends, cgroup, network, words, fds } = plan;
    let cloned = clone::vfork(namespaces, &program);
    drop(fds);
    places.forget_mounts();
    let cloned = match cloned {
        Ok(cloned) => cloned,
        Err(cause) => return Err(SpawnError::Setup { what: "make new namespaces", cause }),
    };
    let pidfd = cloned.pidfd;
    if let Some((step, item, cause)) = program.outcome.failure() {
        let _ = wait(&pidfd);
        return Err(explain(&words, step, item, cause));
    }
    let handle = Handle {
        pid: cloned.pid,
        pidfd: pidfd
            .try_clone()
            .map_err(|cause| SpawnError::Setup { what: "keep a pidfd", cause })?,
    };
    Ok((Running { pidfd, places, cgroup, network }, handle, ends))
}

/// What goes after a child's end was told, in the order of the fields.
struct Left {
    network: Option<LoneNetwork>,
    /// Closing the last descriptor of a root filesystem unmounts it, which takes a while.
    _places: plan::place::Places,
    _leaving: Leaving,
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Some(lone) = self.network.take() {
            lone.give_back();
        }
    }
}

impl Running {
    /// Waits for the end and undoes what was done, as far as anybody could see it.
    /// `changes_network` says that the child was able to change its network.
    fn finish(mut self, changes_network: bool) -> (ExitStatus, Left) {
        let mut status = wait(&self.pidfd);
        let leaving = Leaving::begin();
        self.places.clean();
        if let Some(cgroup) = self.cgroup {
            status.oom_killed = cgroup.oom_killed();
        }
        let network = match self.network {
            Network::Lone(lone) if !changes_network => Some(lone),
            // At once: who hears of the end may want it for the next, or take the bridge away.
            Network::Private(private) if !changes_network => {
                private.give_back();
                None
            }
            other => {
                drop(other);
                None
            }
        };
        (status, Left { network, _places: self.places, _leaving: leaving })
    }
}

/// Waits for PID 1; the kernel ends all others of its namespace before it lets it go.
fn wait(pidfd: &std::os::fd::OwnedFd) -> ExitStatus {
    use std::os::fd::AsFd;
    loop {
        match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                return ExitStatus {
                    code: status.exit_status(),
                    signal: status.terminating_signal(),
                    oom_killed: false,
                };
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            // Somebody else has reaped it: `waitpid(-1)` in this process.
            Err(_) => return ExitStatus { code: Some(255), signal: None, oom_killed: false },
        }
    }
}

/// Turns what the child reported into words about the spec.
fn explain(words: &Words, step: Step, item: usize, cause: io::Error) -> SpawnError {
    let errno = cause.raw_os_error();
    let program = words.program.clone();
    match (step, errno) {
        (Step::Mount, _) => SpawnError::Mount {
            target: words.targets.get(item).cloned().unwrap_or_default(),
            what: "the kernel refused it".to_owned(),
            cause,
        },
        (Step::Cwd, _) => SpawnError::Cwd { cwd: words.cwd.clone(), cause },
        (Step::CheckProgram, _) => SpawnError::OutsideRoot { program },
        (Step::FindProgram, _) => SpawnError::NotFound { program, in_path: words.in_path },
        // It was there a moment ago, so it is what its `#!` line or ELF header names.
        (Step::Execute, Some(libc::ENOENT)) => SpawnError::NoInterpreter { program },
        (Step::Execute, _) => SpawnError::NotExecutable { program, cause },
        (Step::Uid, Some(libc::EINVAL)) => SpawnError::NotMapped { id: words.uid },
        (Step::Gid | Step::Groups, Some(libc::EINVAL)) => SpawnError::NotMapped { id: words.gid },
        _ => SpawnError::Child { step, cause },
    }
}
