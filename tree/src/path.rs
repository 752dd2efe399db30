//! [`TreePath`]: where something lies below a root, as raw bytes.
//!
//! Promises that every value is normal: relative, without empty, `.` or `..` components and
//! without NUL bytes, so that nobody behind the constructors checks again. The order is by
//! components, so a directory sorts right before its contents.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A normal relative path below some root; the empty path is the root itself.
///
/// The bytes need not be UTF-8. Two paths compare component by component: `a`, `a/b`, `a-b` are
/// in order, although `-` is a smaller byte than `/`. A clone shares the bytes: on its way from a
/// source to a layer each path stands in several lists.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct TreePath(Arc<[u8]>);

/// Why some bytes are no [`TreePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A component is empty, which covers leading, trailing and doubled slashes.
    #[error("Path `{0}` has an empty component")]
    Empty(String),
    /// A component is `.` or `..`.
    #[error("Path `{0}` has a `.` or `..` component")]
    Dots(String),
    /// The path holds a NUL byte, which no file system can store.
    #[error("Path `{0}` holds a NUL byte")]
    Nul(String),
}

impl TreePath {
    /// Takes bytes that are normal already.
    ///
    /// # Errors
    /// [`PathError`] if they aren't; see [`normalize`](Self::normalize) and
    /// [`clamp`](Self::clamp) for more forgiving ways in.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        if !bytes.is_empty() {
            for name in bytes.split(|&b| b == b'/') {
                match name {
                    b"" => return Err(PathError::Empty(lossy(bytes))),
                    b"." | b".." => return Err(PathError::Dots(lossy(bytes))),
                    _ => {}
                }
            }
            no_nul(bytes)?;
        }
        Ok(Self(bytes.into()))
    }

    /// Returns the root itself, the empty path.
    pub fn root() -> Self {
        Self::default()
    }

    /// Drops leading, trailing and doubled slashes and `.` components, as in names of tar members.
    ///
    /// # Errors
    /// [`PathError::Dots`] for any `..`, which is never resolved here: whoever writes such a name
    /// into an archive wants out.
    pub fn normalize(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        no_nul(bytes)?;
        let mut kept = Vec::with_capacity(bytes.len());
        for name in bytes.split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => return Err(PathError::Dots(lossy(bytes))),
                _ => push(&mut kept, name),
            }
        }
        Ok(Self(kept.into()))
    }

    /// Resolves `.` and `..` lexically and stops at the root, as COPY sources do:
    /// `/../a/./b/../c` is `a/c`.
    ///
    /// # Errors
    /// [`PathError::Nul`] only.
    pub fn clamp(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        no_nul(bytes)?;
        let mut kept = Vec::with_capacity(bytes.len());
        for name in bytes.split(|&b| b == b'/') {
            match name {
                b"" | b"." => {}
                b".." => kept.truncate(last_slash(&kept).unwrap_or(0)),
                _ => push(&mut kept, name),
            }
        }
        Ok(Self(kept.into()))
    }

    /// Returns the path of `name` in this directory.
    ///
    /// # Errors
    /// [`PathError`] if `name` isn't a single normal component.
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let name = name.as_ref();
        match name {
            b"" => return Err(PathError::Empty(lossy(name))),
            b"." | b".." => return Err(PathError::Dots(lossy(name))),
            _ if name.contains(&b'/') => return Err(PathError::Empty(lossy(name))),
            _ => no_nul(name)?,
        }
        Ok(self.child(name))
    }

    /// Joins a name that came from a directory listing, which the kernel keeps normal.
    pub(crate) fn child(&self, name: &[u8]) -> Self {
        let mut joined = Vec::with_capacity(self.0.len() + 1 + name.len());
        joined.extend_from_slice(&self.0);
        push(&mut joined, name);
        Self(joined.into())
    }

    /// Returns `below` hung under this path: `a/b` and `c/d` make `a/b/c/d`.
    pub fn join_path(&self, below: &Self) -> Self {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => self.child(&below.0),
        }
    }

    /// Returns the directory this lies in; the root lies in none.
    pub fn parent(&self) -> Option<Self> {
        self.parent_bytes().map(|bytes| Self(bytes.into()))
    }

    pub(crate) fn parent_bytes(&self) -> Option<&[u8]> {
        if self.is_root() {
            return None;
        }
        Some(&self.0[..last_slash(&self.0).unwrap_or(0)])
    }

    /// Returns the last component; the root has none.
    pub fn file_name(&self) -> Option<&[u8]> {
        if self.is_root() {
            return None;
        }
        Some(last_slash(&self.0).map_or(&self.0[..], |slash| &self.0[slash + 1..]))
    }

    /// Iterates over the components, none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|name| !name.is_empty())
    }

    /// Iterates over all directories above, the nearest first, ending with the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent)
    }

    /// Says whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Says whether this is `base` or lies below it, counting whole components.
    pub fn starts_with(&self, base: &Self) -> bool {
        lies_below(&self.0, &base.0)
    }

    /// Returns what is left of the path seen from `base`, or `None` if it does not lie there.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if base.is_root() {
            return Some(self.clone());
        }
        if !self.starts_with(base) {
            return None;
        }
        let rest = &self.0[base.0.len()..];
        Some(Self(rest.strip_prefix(b"/").unwrap_or(rest).into()))
    }

    /// Returns the bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the same as a relative [`Path`].
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

/// Compares two normal paths component by component.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let shared = a.iter().zip(b).position(|(x, y)| x != y);
    match shared {
        None => a.len().cmp(&b.len()),
        // A slash ends a component, so whoever has one here has the shorter component.
        Some(at) => match (a[at], b[at]) {
            (b'/', _) => Ordering::Less,
            (_, b'/') => Ordering::Greater,
            (x, y) => x.cmp(&y),
        },
    }
}

/// Says whether `path` is `base` or lies below it.
pub(crate) fn lies_below(path: &[u8], base: &[u8]) -> bool {
    path.strip_prefix(base)
        .is_some_and(|rest| base.is_empty() || rest.is_empty() || rest[0] == b'/')
}

fn last_slash(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|&b| b == b'/')
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn no_nul(bytes: &[u8]) -> Result<(), PathError> {
    if bytes.contains(&0) { Err(PathError::Nul(lossy(bytes))) } else { Ok(()) }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl TryFrom<&str> for TreePath {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Self, PathError> {
        Self::new(text)
    }
}
