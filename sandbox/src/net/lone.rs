//! Network namespaces with nothing but `lo`, used by one sandbox after the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::spares::{Spares, is_quiet};
use crate::sys::raw;

/// A network namespace of one's own, with nothing but `lo`, which is up.
#[derive(Debug)]
pub struct LoneNetwork {
    spares: Arc<Spares<OwnedFd>>,
    /// Once a thread has entered it.
    namespace: Option<OwnedFd>,
}

impl LoneNetwork {
    pub(super) fn new(spares: &Arc<Spares<OwnedFd>>) -> Self {
        Self { spares: Arc::clone(spares), namespace: None }
    }

    /// Puts this thread, and so what it clones from now on, into the namespace.
    pub(crate) fn enter(&mut self) -> io::Result<()> {
        if let Some(namespace) = self.spares.take() {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            self.namespace = Some(namespace);
            return Ok(());
        }
        raw::unshare(libc::CLONE_NEWNET)?;
        raw::raise_loopback()?;
        let namespace = fs_err::File::open("/proc/thread-self/ns/net")?;
        self.namespace = Some(namespace.into_parts().0.into());
        Ok(())
    }

    /// Lets another sandbox have the namespace, if nothing is left in it. For the thread that
    /// entered it, once the processes in it have ended; they must not have been able to change it.
    pub(crate) fn give_back(self) {
        if let Some(namespace) = self.namespace.filter(|_| is_quiet()) {
            self.spares.keep(namespace);
        }
    }
}
