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

/// What a path without links in its parents leads to.
pub(crate) enum Step {
    Missing,
    Dir,
    Link(Vec<u8>),
    Other,
}

/// Resolves `path` with the help of `look`, which is only asked for paths whose parents are real
/// directories. What is missing is kept as written, so that it can be created.
pub(crate) fn resolve<E: From<ResolveError>>(
    path: &TreePath,
    follow: Follow,
    mut look: impl FnMut(&TreePath) -> Result<Step, E>,
) -> Result<TreePath, E> {
    // What is still to go, the next component last.
    let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
    let mut current = TreePath::root();
    let mut links = 0;
    // How many of the current path's last components do not exist.
    let mut missing = 0_usize;
    while let Some(name) = pending.pop() {
        if name == b".." {
            current = current.parent().unwrap_or_default();
            missing = missing.saturating_sub(1);
            continue;
        }
        let next = current.child(&name);
        if missing > 0 {
            (current, missing) = (next, missing + 1);
            continue;
        }
        match look(&next)? {
            Step::Missing => (current, missing) = (next, 1),
            Step::Dir => current = next,
            Step::Other if pending.is_empty() => current = next,
            Step::Other => return Err(ResolveError::NotADirectory(next).into()),
            Step::Link(_) if pending.is_empty() && follow == Follow::Parents => current = next,
            Step::Link(target) => {
                links += 1;
                if links > SYMLINK_LIMIT {
                    return Err(ResolveError::TooManyLinks(path.clone()).into());
                }
                if target.starts_with(b"/") {
                    current = TreePath::root();
                }
                let names = target.split(|&b| b == b'/').rev();
                pending.extend(names.filter(|n| !matches!(*n, b"" | b".")).map(<[u8]>::to_vec));
            }
        }
    }
    Ok(current)
}
