//! Following symbolic links inside a root, for trees on disk and for views alike.

use crate::TreePath;

/// How many symbolic links one resolution may follow, as in Linux.
pub const SYMLINK_LIMIT: usize = 40;

/// Whether a symbolic link at the end of a path is followed. Those on the way always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The last component too.
    Last,
    /// Only the components before.
    Parents,
}

/// Why a path has no end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// More than [`SYMLINK_LIMIT`] links, most likely a circle.
    #[error("`{0}` goes through too many symbolic links")]
    TooManyLinks(TreePath),
    /// Something on the way is neither a directory nor a link to one.
    #[error("`{0}` is not a directory")]
    NotADirectory(TreePath),
}
