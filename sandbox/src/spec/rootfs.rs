//! What a root filesystem is put together from.

use std::path::PathBuf;
use std::sync::Arc;

use crate::MountedIndex;

/// A layer, as something that overlay can be laid over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Lower {
    /// A directory that nobody but the store writes to.
    Tree(PathBuf),
    /// A tar and a mountable index of it, where [`Host::index`](crate::Host::index) says that
    /// it can be mounted. Only ever one that gantry wrote.
    Index {
        /// The uncompressed tar.
        tar: PathBuf,
        /// Its index, an EROFS image.
        index: PathBuf,
    },
    /// The same, mounted before, so that many sandboxes share it: what one has read is in memory
    /// for the next.
    Mounted(Arc<MountedIndex>),
}

impl From<PathBuf> for Lower {
    fn from(tree: PathBuf) -> Self {
        Self::Tree(tree)
    }
}

/// A root filesystem: layers under an upper directory, or one plain directory.
///
/// Mounted so that no path on the host leads to it, and gone with the child. Device nodes in it
/// cannot be opened (`nodev`): that is what keeps a step that may `mknod` away from the host's
/// disks without a device cgroup.
#[derive(Debug, Clone, Default)]
pub struct RootfsSpec {
    /// Layers, the lowest first.
    pub lowers: Vec<Lower>,
    /// Where changes go; after the step this directory *is* the layer. `None` is read-only.
    pub upper: Option<PathBuf>,
    /// Overlay's work directory, empty, on the same filesystem as `upper`.
    pub work: Option<PathBuf>,
    /// A ready directory instead of layers (the copying fall-back), written to directly.
    pub plain: Option<PathBuf>,
    /// Overlay marks as `user.overlay.*` xattrs; [`Host::overlay`](crate::Host::overlay) says.
    pub userxattr: bool,
    /// Leaves out every `fsync` into the upper directory (Linux 5.10), for steps whose result is
    /// thrown away after a crash anyway. The work directory must not be used a second time.
    pub volatile: bool,
    /// Attaches mounted indexes in a mount namespace of their own before overlay is laid over them.
    /// Kernels before 6.15 want it so, which is found out by trying; this takes that way at once.
    pub attached: bool,
    /// Mounts the result read-only (mount points are still made before that).
    pub read_only: bool,
}

impl RootfsSpec {
    /// A stack of layers (lowest first) with an upper directory and its work directory.
    ///
    /// Of a layer that is in the stack several times, the uppermost counts: it hides all that the
    /// lower ones hold, and overlay refuses to mount one directory twice (`ELOOP`).
    pub fn overlay(
        lowers: Vec<impl Into<Lower>>,
        upper: impl Into<PathBuf>,
        work: impl Into<PathBuf>,
        userxattr: bool,
    ) -> Self {
        let mut lowers: Vec<Lower> = lowers.into_iter().map(Into::into).collect();
        let mut seen = std::collections::HashSet::new();
        let mut keep: Vec<bool> =
            lowers.iter().rev().map(|layer| seen.insert(layer.clone())).collect();
        lowers.retain(|_| keep.pop().unwrap_or(true));
        Self {
            lowers,
            upper: Some(upper.into()),
            work: Some(work.into()),
            userxattr,
            ..Self::default()
        }
    }

    /// One ready directory, written to directly.
    pub fn plain(directory: impl Into<PathBuf>) -> Self {
        Self { plain: Some(directory.into()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_layer_that_comes_twice_the_uppermost_counts() {
        let lowers = ["base", "empty", "more", "empty"].map(PathBuf::from).to_vec();
        let spec = RootfsSpec::overlay(lowers, "upper", "work", false);
        assert_eq!(spec.lowers, ["base", "more", "empty"].map(|name| Lower::Tree(name.into())));
    }
}
