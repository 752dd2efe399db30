//! Containers: an image's root filesystem with a writable layer of its own, and a process in it.
//!
//! Owns `<store>/containers/`; nothing else creates or removes below it.
//!
//! ```text
//! containers/<64 hex>/
//! ├── lock             flock'd by the process that runs the container, as long as it does
//! ├── container.json   what it was made from, how it ended
//! ├── upper/           its writable layer
//! ├── base.manifest    where overlay can't be mounted: what `upper` began as
//! └── work/            overlay's own
//! ```
//!
//! A container runs in the foreground of the process that [started](Container::start) it. Who
//! wants to know whether one runs looks at its lock, not at what a file says, so that a killed
//! gantry leaves no container that only seems to run.

#![forbid(unsafe_code)]

mod changes;
mod command;
mod container;
mod error;
mod names;
mod pause;
mod record;
mod request;
mod rootfs;
mod start;

pub use changes::{Change, Changes};
pub use container::{Container, Containers, Status};
pub use error::RunError;
pub use names::{check_name, random_name};
pub use pause::Paused;
pub use record::Record;
pub use request::{BindMount, Entrypoint, NetworkMode, RunRequest, Streams};
pub use start::Running;
