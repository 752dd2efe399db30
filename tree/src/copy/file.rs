//! One regular file of a copy: linked from a donor, or made with its bytes, owner, mode and time.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, futimens, linkat, openat};
use rustix::io::Errno;

use super::bytes::{self, Failed};
use super::make::{Make, Worker};
use super::set_xattrs;
use crate::root::{stat_fd, times};
use crate::scan::read_full;
use crate::xattr::On;
use crate::{ContentId, Entry, FileKind, TreeError};

impl Make<'_> {
    /// Links a donor's file if there is one. A donor that can't be linked after all (pruned, or
    /// with too many links already) is none.
    pub(super) fn link_donor(
        &self,
        worker: &mut Worker<'_>,
        job: usize,
        dir: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<bool, TreeError> {
        let (Some(donors), Some(donor), Some(opener)) =
            (self.donors, self.plan.donor, &mut worker.donor)
        else {
            return Ok(false);
        };
        let Some(donor) = donors[job].map(|index| &donor.manifest.entries()[index].path) else {
            return Ok(false);
        };
        let Ok(from) = opener.dir(donor.parent_bytes().unwrap_or_default()) else {
            return Ok(false);
        };
        let old = donor.file_name().unwrap_or(b".");
        let linked = self.creating(dir, name, || linkat(from, old, dir, name, AtFlags::empty()));
        worker.made.linked += u64::from(linked.is_ok());
        Ok(linked.is_ok())
    }

    pub(super) fn regular(
        &self,
        worker: &mut Worker<'_>,
        job: usize,
        dir: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(), TreeError> {
        let entry = self.layout.entry(job);
        let item = self.layout.jobs[job].item;
        let source = item.source.as_bytes();
        let known = entry.content().filter(ContentId::is_read);
        let trusted = self.plan.trust_contents && known.is_some();
        let Some(opener) = worker.sources.get_mut(item.tree) else {
            return Err(TreeError::io("open", source, Errno::BADF));
        };
        let from = opener.open_unchecked(&item.source)?;
        if known.is_none() {
            // Nothing will tell by its content that it isn't what was meant.
            let stat = stat_fd(&from).map_err(|error| TreeError::io("stat", source, error))?;
            if stat.kind != FileKind::File {
                return Err(TreeError::changed(source, None));
            }
        }
        let buffer = &mut worker.buffer;
        let create = || self.create(dir, name, entry);
        let (to, size, content) = if entry.size() < buffer.len() as u64 {
            let length = read_full(&from, buffer, entry.size())
                .map_err(|error| TreeError::io("read", source, error))?;
            if length == buffer.len() {
                return Err(TreeError::changed(source, None));
            }
            let bytes = &buffer[..length];
            let content = if trusted { known } else { Some(ContentId::of(bytes)) };
            check(source, entry, length as u64, known, content)?;
            let to = create()?;
            bytes::write_all(&to, bytes)
                .map_err(|error| TreeError::io("write", entry.path.as_bytes(), error))?;
            (to, length as u64, content)
        } else {
            let to = create()?;
            let no_clones = &self.no_clones[item.tree];
            let cloned = !no_clones.load(Ordering::Relaxed) && bytes::clone(&from, &to);
            if !cloned {
                no_clones.store(true, Ordering::Relaxed);
            }
            let (from, fd) = (from.as_fd(), to.as_fd());
            let moved = match (cloned, trusted) {
                (true, true) => stat_fd(fd).map(|s| (known, s.size)).map_err(Failed::Read),
                (true, false) => bytes::hash_clone(fd, buffer).map(|(c, size)| (Some(c), size)),
                (false, true) => bytes::copy_unread(from, fd, buffer).map(|size| (known, size)),
                (false, false) => {
                    bytes::copy_hashing(from, fd, buffer).map(|(c, size)| (Some(c), size))
                }
            };
            let (content, size) = moved.map_err(|failed| match failed {
                Failed::Read(error) => TreeError::io("read", source, error),
                Failed::Write(error) => TreeError::io("write", entry.path.as_bytes(), error),
            })?;
            check(source, entry, size, known, content)?;
            (to, size, content)
        };
        self.describe(worker, &to, entry)?;
        worker.made.bytes += size;
        if let (None, Some(content)) = (known, content) {
            worker.made.read.push((job, size, content));
        }
        Ok(())
    }

    fn create(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        entry: &Entry,
    ) -> Result<OwnedFd, TreeError> {
        let flags = OFlags::RDWR
            .union(OFlags::CREATE)
            .union(OFlags::EXCL)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::CLOEXEC);
        let mode = Mode::from_raw_mode(created_mode(entry));
        self.creating(dir, name, || openat(dir, name, flags, mode))
            .map_err(|error| TreeError::io("create", entry.path.as_bytes(), error))
    }

    /// Gives a written file its owner, mode, attributes and time, in the order in which none of
    /// them undoes or forbids another: a change of owner clears set-user-ID bits and capabilities,
    /// and attributes can be set only while the mode lets one write.
    fn describe(
        &self,
        worker: &mut Worker<'_>,
        to: &OwnedFd,
        entry: &Entry,
    ) -> Result<(), TreeError> {
        let path = entry.path.as_bytes();
        let defaults = self.defaults();
        if !self.plan.keep_owner && !defaults.is_some_and(|d| d.owner_is(entry)) {
            fchown(to, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
                .map_err(|error| TreeError::io("change the owner of", path, error))?;
        }
        worker.made.attributes_lost += set_xattrs(On::Fd(to.as_fd()), entry)
            .map_err(|error| TreeError::io("set an attribute of", path, error))?;
        if !defaults.is_some_and(|d| d.mode_is(entry.mode)) || created_mode(entry) != entry.mode {
            fchmod(to, Mode::from_raw_mode(entry.mode))
                .map_err(|error| TreeError::io("change the mode of", path, error))?;
        }
        futimens(to, &times(entry.mtime))
            .map_err(|error| TreeError::io("change the time of", path, error))
    }
}

/// Returns the mode to create a file with: as it shall be in the end, as far as creating can, and
/// writable while attributes are yet to be set.
fn created_mode(entry: &Entry) -> u32 {
    let writable = if entry.xattrs.is_empty() { 0 } else { 0o200 };
    entry.mode & 0o777 | writable
}

/// Compares what was read with what was planned.
fn check(
    source: &[u8],
    entry: &Entry,
    size: u64,
    known: Option<ContentId>,
    content: Option<ContentId>,
) -> Result<(), TreeError> {
    match known {
        Some(_) if size == entry.size() && known == content => Ok(()),
        Some(_) => Err(TreeError::changed(source, None)),
        None => Ok(()),
    }
}
