//! The history of builds: one small file a build, which says what happened in it.
//!
//! Owns `builds/`. What a record says is the caller's matter; here it is bytes, and the names of
//! the step logs that it keeps in the store. A file appears whole by one rename, and no row in the
//! database goes with it: a history that a power failure cuts short costs nobody anything.
//!
//! ```text
//! builds/<milliseconds since 1970>-<id>
//!     "gbld" version:u8 count:u32 log:[u8; 32]{count} record
//! ```
//! So a listing needs no file opened, and pruning reads no record. Builds that run are no part of it
//! yet (see `running`).

mod format;
mod running;
mod trim;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use fs_err as fs;

use crate::db::{from_millis, to_millis};
use crate::error::Context;
use crate::layout::Layout;
use crate::store::Inner;
use crate::{LogId, StoreError, owner};

pub(crate) use format::logs_named;
pub use running::RunningBuild;
pub(crate) use running::settle;

/// The history of the builds of a store.
#[derive(Debug, Clone, Copy)]
pub struct Builds<'s> {
    pub(crate) inner: &'s Inner,
}

/// The name of a build: 12 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(pub [u8; 6]);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&owner::hex(&self.0))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

/// Reads 12 lower-case hex digits.
fn parse_id(text: &str) -> Option<BuildId> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 12 || !text.bytes().all(digit) {
        return None;
    }
    let mut bytes = [0; 6];
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(BuildId(bytes))
}

/// A build that the history knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildEntry {
    /// Its name.
    pub id: BuildId,
    /// When it began, to the millisecond.
    pub started: SystemTime,
}

/// How long builds are remembered. What exceeds any of these goes, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The age of a build.
    pub age: std::time::Duration,
    /// How many there are.
    pub count: usize,
    /// What they take on disk, with the logs that only they name.
    pub bytes: u64,
}

impl Default for Retention {
    /// 30 days, 500 builds, 512 MiB.
    fn default() -> Self {
        let age = std::time::Duration::from_secs(30 * 86400);
        Retention { age, count: 500, bytes: 512 << 20 }
    }
}

impl Builds<'_> {
    /// Remembers a build, and keeps the logs that it names.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn put(
        &self,
        started: SystemTime,
        logs: &[LogId],
        record: &[u8],
    ) -> Result<BuildId, StoreError> {
        let id = BuildId(owner::random());
        self.put_as(&BuildEntry { id, started }, logs, record)?;
        Ok(id)
    }

    fn put_as(&self, build: &BuildEntry, logs: &[LogId], record: &[u8]) -> Result<(), StoreError> {
        let path = self.path(build);
        let doing = || format!("remember the build `{}`", build.id);
        let temporary = path.with_extension("new");
        let create = || fs::File::create_new(&temporary);
        let mut file = match create() {
            // A store of an older gantry has no such directory yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(self.inner.layout.builds()).doing(doing)?;
                create().doing(doing)?
            }
            other => other.doing(doing)?,
        };
        let written = file.write_all(&format::encode(logs, record));
        let renamed = written.and_then(|()| fs::rename(&temporary, &path));
        if renamed.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        renamed.doing(doing)
    }

    /// Lists all builds, the newest first. Opens none.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn list(&self) -> Result<Vec<BuildEntry>, StoreError> {
        let dir = self.inner.layout.builds();
        let doing = || format!("list `{}`", dir.display());
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.doing(doing)?,
        };
        let mut builds = Vec::new();
        for entry in entries {
            let name = entry.doing(doing)?.file_name();
            builds.extend(name.to_str().and_then(parse_name));
        }
        builds.sort_by_key(|build| std::cmp::Reverse((build.started, build.id)));
        Ok(builds)
    }

    /// Finds a build by the beginning of its name, or by how many builds came after it: `^1` is the
    /// one before the last.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBuild`], [`StoreError::AmbiguousBuild`].
    pub fn resolve(&self, text: &str) -> Result<BuildEntry, StoreError> {
        let builds = self.list()?;
        let none = || StoreError::NoSuchBuild { text: text.to_owned() };
        if let Some(back) = text.strip_prefix('^') {
            let back = if back.is_empty() { Ok(1) } else { back.parse::<usize>() };
            return back.ok().and_then(|back| builds.get(back).copied()).ok_or_else(none);
        }
        let mut found = builds
            .iter()
            .filter(|build| !text.is_empty() && build.id.to_string().starts_with(text));
        match (found.next(), found.next()) {
            (Some(build), None) => Ok(*build),
            (Some(_), Some(_)) => Err(StoreError::AmbiguousBuild { text: text.to_owned() }),
            (None, _) => Err(none()),
        }
    }

    /// Returns what was remembered of a build; nothing if it was forgotten meanwhile.
    ///
    /// # Errors
    /// When the file can't be read, or is none of these.
    pub fn read(&self, build: &BuildEntry) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(build);
        match fs::read(&path) {
            Ok(bytes) => match format::decode(&bytes) {
                Some((_, record)) => Ok(Some(record.to_vec())),
                None => Err(StoreError::BadFile { path, why: "it is no build record".to_owned() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("read `{}`", path.display()), error)),
        }
    }

    /// Forgets builds, and the logs that nothing else names.
    ///
    /// # Errors
    /// When a file can't be removed.
    pub fn remove(&self, builds: &[BuildEntry]) -> Result<(), StoreError> {
        trim::remove(self.inner, builds)
    }

    /// Forgets builds as `retention` says. Returns how many.
    ///
    /// # Errors
    /// When `builds/` can't be read or a file can't be removed.
    pub fn trim(&self, retention: &Retention) -> Result<usize, StoreError> {
        trim::trim(self.inner, retention, SystemTime::now())
    }

    fn path(&self, build: &BuildEntry) -> PathBuf {
        path_of(&self.inner.layout, build)
    }
}

fn path_of(layout: &Layout, build: &BuildEntry) -> PathBuf {
    layout.builds().join(format!("{:013}-{}", to_millis(build.started).max(0), build.id))
}

/// Reads a file's name; `None` for one that is still being written.
pub(crate) fn parse_name(name: &str) -> Option<BuildEntry> {
    let (millis, id) = name.split_once('-')?;
    Some(BuildEntry { id: parse_id(id)?, started: from_millis(millis.parse().ok()?) })
}
