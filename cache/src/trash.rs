//! Getting rid of things: out of the way at once, off the disk when there is time.
//!
//! And the reserve: space that is kept for the day when the disk is full and pruning, which has to
//! write a little before it can free a lot, needs some.

use std::path::Path;

use fs_err as fs;
use gantry_tree::remove_tree;

use crate::StoreError;
use crate::error::Context;
use crate::store::Inner;

/// How many bytes the reserve has.
pub(crate) const RESERVE: u64 = 512 * 1024;

impl Inner {
    /// Moves something out of the way, so that it is gone at once; [`empty_trash`] frees its space.
    ///
    /// [`empty_trash`]: Self::empty_trash
    pub(crate) fn trash(&self, path: &Path) -> Result<(), StoreError> {
        let to = self.owner()?.fresh("trash");
        match fs::rename(path, to) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.doing(|| format!("move `{}` out of the way", path.display())),
        }
    }

    /// Removes what [`trash`](Self::trash) moved.
    ///
    /// # Errors
    /// When some of it can't be removed, as outside of the user namespace of a rootless store.
    pub(crate) fn empty_trash(&self) -> Result<(), StoreError> {
        let Some(owner) = self.owner.made() else { return Ok(()) };
        let entries =
            fs::read_dir(owner.dir()).doing(|| format!("list `{}`", owner.dir().display()))?;
        for entry in entries.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"trash-") {
                let path = entry.path();
                remove_tree(&path)
                    .map_err(|e| StoreError::tree(format!("remove `{}`", path.display()), e))?;
            }
        }
        Ok(())
    }

    /// Keeps some space for the day when the disk is full and pruning has to write.
    pub(crate) fn keep_reserve(&self) {
        let path = self.layout.reserve();
        if path.exists() {
            return;
        }
        // The next pruning tries again; half a reserve is better than none.
        if let Ok(file) = fs::File::create(&path) {
            let flags = rustix::fs::FallocateFlags::empty();
            let _ = rustix::fs::fallocate(&file, flags, 0, RESERVE);
        }
    }

    /// Gives the reserve up.
    pub(crate) fn spend_reserve(&self) -> Result<(), StoreError> {
        let path = self.layout.reserve();
        match fs::remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other.doing(|| format!("remove `{}`", path.display())),
        }
    }
}
