//! Linux for gantry: a process in namespaces over a root filesystem that is not trusted.
//!
//! Owns namespaces, id maps, mounts, seccomp, capabilities, cgroups, bridge and NAT, terminals,
//! and every `unsafe` of the workspace (all of it in `sys`). Knows paths, mounts and an argv;
//! nothing of Dockerfiles, images or the store.
//!
//! ```text
//! Host::probe() ──► what this machine offers, each with a reason where it does not
//! reexec_in_user_namespace() ──► this program again, as root of a user namespace
//! Spec ──spawn()──► Child ──wait()──► ExitStatus
//! ```
//!
//! What one `spawn` does, and where to read it:
//!
//! 1. `spawn`: a thread for this child alone; it lives exactly as long as the child does.
//! 2. `plan`: mounts the root filesystem *detached* (no path leads to it, and it is gone with its
//!    file descriptor), looks up the user in it, makes and opens every mount point in it.
//! 3. `sys::clone`, `sys::program`: a `vfork`-like child carries out the prepared program, which
//!    allocates nothing and takes no lock, and executes the command as PID 1.
//! 4. Back in the thread: the exit is awaited, mount points that were made are removed again, the
//!    end is told, and then (`leaving`) the root filesystem is unmounted.
//!
//! Nothing stays behind, also when gantry is killed: mounts live in the child's mount namespace,
//! the child dies with the thread that made it, and the kernel ends all others with their PID 1.

#![deny(unsafe_code)]

mod caps;
mod cgroup;
mod child;
mod error;
mod host;
mod leaving;
mod net;
mod plan;
mod seccomp;
mod spawn;
mod spec;
#[allow(unsafe_code, reason = "the one place for it")]
mod sys;
mod userns;

pub use caps::Capabilities;
pub use child::{Child, ExitStatus, Killer, Signal};
pub use error::{HostError, NetworkError, SandboxError, SpawnError, Step};
pub use host::{CgroupVersion, Finding, Host, IdMap, Overlay, State, probe};
pub use net::{LoneNetwork, Network, Networks, PrivateNetwork, Retired};
pub use plan::index::{MountedIndex, mount_index, mount_part};
pub use spawn::spawn;
pub use spec::{
    Bind, BindSource, ExtraHost, FileMount, Limits, Lower, Mount, Resource, Rlimit, RootfsSpec,
    Security, Spec, Stdio, Tmpfs, UserSpec, WindowSize,
};
pub use userns::{USERNS_MARKER, reexec_in_user_namespace};
