//! Asking about the paths of a walk in any order, from any thread.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::{DirState, IgnoreFile, Verdict};

/// An ignore file that remembers directories, for whoever can't carry a [`DirState`].
///
/// Says the same as the [`IgnoreFile`] does. Takes memory for every directory that is asked about.
pub struct Walk<'a> {
    file: &'a IgnoreFile,
    root: Arc<DirState>,
    known: RwLock<HashMap<Box<[u8]>, Arc<DirState>>>,
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    #[must_use]
    pub fn new(file: &'a IgnoreFile) -> Self {
        Self { file, root: Arc::new(file.root()), known: RwLock::default() }
    }

    /// The ignore file.
    #[must_use]
    pub fn file(&self) -> &'a IgnoreFile {
        self.file
    }

    /// What is said about `path`, as [`IgnoreFile::matches`].
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> Verdict {
        if self.file.is_empty() {
            return Verdict::default();
        }
        match memchr::memrchr(b'/', path) {
            Some(slash) => self.file.matches_in(&self.dir(&path[..slash]), path),
            None => self.file.matches_in(&self.root, path),
        }
    }

    /// Whether a walk need not enter the directory `path`, as [`IgnoreFile::prunes`].
    #[must_use]
    pub fn prunes(&self, path: &[u8]) -> bool {
        self.matches(path).excluded && !self.file.may_let_in_below(path)
    }

    /// The state of a directory; those above it are found out if they are not known.
    fn dir(&self, path: &[u8]) -> Arc<DirState> {
        let known = |path: &[u8]| {
            self.known.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
        };
        if let Some(state) = known(path) {
            return state;
        }
        let mut state = Arc::clone(&self.root);
        for end in memchr::memchr_iter(b'/', path).chain([path.len()]) {
            let dir = &path[..end];
            state = known(dir).unwrap_or_else(|| {
                let entered = Arc::new(self.file.enter(&state, dir));
                let mut all = self.known.write().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(all.entry(dir.into()).or_insert(entered))
            });
        }
        state
    }
}

impl fmt::Debug for Walk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk").field("file", self.file).finish_non_exhaustive()
    }
}
