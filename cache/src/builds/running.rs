//! Builds that run, and those whose process was killed.
//!
//! A build that runs something says so by a file in its process's own directory, whose lock tells
//! whether the process lives. One that ends puts its record into the history and removes the file.
//! A file whose process is dead becomes the history's record of that build, by one rename.
//!
//! ```text
//! work/<pid>-<rand>/build-<milliseconds since 1970>-<id>    as a file of the history
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;

use super::{BuildEntry, BuildId, Builds, format, parse_name, path_of};
use crate::error::Context;
use crate::layout::Layout;
use crate::{LogId, StoreError, owner};

/// A build that runs in this process, until it is dropped or [ended](Builds::end).
#[derive(Debug)]
pub struct RunningBuild {
    entry: BuildEntry,
    path: PathBuf,
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        // What stays goes with the directory that it is in.
        let _ = fs::remove_file(&self.path);
    }
}

impl Builds<'_> {
    /// Says that a build runs. `record` is what the history remembers of it if this process is
    /// killed before the build ends.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn start(&self, started: SystemTime, record: &[u8]) -> Result<RunningBuild, StoreError> {
        let entry = BuildEntry { id: BuildId(owner::random()), started };
        let name = path_of(&self.inner.layout, &entry);
        let name = name.file_name().unwrap_or_default().to_string_lossy();
        let path = self.inner.owner()?.dir().join(format!("build-{name}"));
        let running = RunningBuild { entry, path };
        fs::write(&running.path, format::encode(&[], record))
            .doing(|| format!("say that the build `{}` runs", entry.id))?;
        Ok(running)
    }

    /// Remembers a build that ran, under the name that it had while it ran.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn end(
        &self,
        running: RunningBuild,
        logs: &[LogId],
        record: &[u8],
    ) -> Result<BuildId, StoreError> {
        self.put_as(&running.entry, logs, record)?;
        Ok(running.entry.id)
    }

    /// Lists the builds that run, in any process, with the records that they began with.
    ///
    /// # Errors
    /// When `work/` can't be read.
    pub fn running(&self) -> Result<Vec<(BuildEntry, Vec<u8>)>, StoreError> {
        let owners = owner::list(&self.inner.layout)?;
        let files = owners.iter().filter(|found| found.alive).flat_map(|found| files(&found.dir));
        // A file that is gone is a build's that has ended; an empty one is being written.
        let records = files.filter_map(|(entry, path)| {
            let bytes = fs::read(path).ok()?;
            Some((entry, format::decode(&bytes)?.1.to_vec()))
        });
        Ok(records.collect())
    }

    /// Puts the builds of processes that were killed into the history.
    ///
    /// The sweep of what dead processes left does the same.
    ///
    /// # Errors
    /// When `work/` can't be read, or a file can't be moved.
    pub fn settle(&self) -> Result<(), StoreError> {
        let owners = owner::list(&self.inner.layout)?;
        let mut dead = owners.iter().filter(|found| !found.alive);
        dead.try_for_each(|found| settle(&self.inner.layout, &found.dir))
    }
}

/// Puts the builds of a dead process into the history. Several may do so at once.
pub(crate) fn settle(layout: &Layout, dir: &Path) -> Result<(), StoreError> {
    for (entry, from) in files(dir) {
        let to = path_of(layout, &entry);
        let whole = fs::read(&from).is_ok_and(|bytes| format::decode(&bytes).is_some());
        // It may have died after it put its record in; and a power failure leaves empty files.
        let moved = match whole && !to.exists() {
            true => fs::rename(&from, &to),
            false => fs::remove_file(&from),
        };
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.doing(|| format!("remember the build `{}`", entry.id))?,
        }
    }
    Ok(())
}

/// The builds that a process said it runs.
fn files(dir: &Path) -> Vec<(BuildEntry, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let builds = entries.filter_map(|entry| {
        let name = entry.file_name();
        Some((parse_name(name.to_str()?.strip_prefix("build-")?)?, entry.path()))
    });
    builds.collect()
}
