//! [`glance`]: what a tree looks like from outside, to tell whether a scan would find it as before.
//!
//! One stat for each file, and nothing kept of it but a digest: no path, no list, no content.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::walk::{STRETCH, failed};
use super::{ScanOptions, Verdict};
use crate::root::{DIR, Names, below, list, stat_fd, stat_name};
use crate::workers::{self, Queue};
use crate::{FileKind, Root, Stat, Time, TreeError, TreePath};

/// What a tree looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Of all names that the filter lets in, with their types, modes, sizes, times, inodes.
    pub digest: [u8; 32],
    /// The latest time of all files and directories, but for those of whole seconds.
    pub newest: Time,
    /// The latest of those times that are whole seconds, as file systems without fractions have.
    pub newest_whole: Time,
}

enum Task {
    Dir(TreePath),
    Stretch { path: Arc<TreePath>, names: Arc<Names>, first: usize },
}

/// What one worker saw.
struct Seen {
    /// The digest of each stretch of a directory.
    parts: Vec<(TreePath, usize, [u8; 32])>,
    newest: Time,
    newest_whole: Time,
    buffer: Vec<u8>,
}

const LONG_AGO: Time = Time { secs: i64::MIN, nanos: 0 };

/// Looks at everything below `root` that the filter of `options` lets in, and opens no file.
///
/// Equal digests mean that [`scan`](super::scan()) with the same options finds the same entries with the
/// same contents, as far as the kernel keeps its word on `ctime`: it says nothing of a change
/// within the same tick of its clock, so a tree is to be trusted only if its newest times are older
/// than that.
///
/// # Errors
/// As [`scan`](super::scan()), without those of reading.
pub fn glance(root: &Root, options: &ScanOptions<'_>) -> Result<Glance, TreeError> {
    let make =
        || Seen { parts: Vec::new(), newest: LONG_AGO, newest_whole: LONG_AGO, buffer: Vec::new() };
    let first = vec![Task::Dir(TreePath::root())];
    let workers = workers::run(options.workers, first, make, |seen, task, queue| match task {
        Task::Dir(path) => seen.dir(root, options, path, queue),
        Task::Stretch { path, names, first } => {
            let fd = below(root.as_fd(), path.as_bytes(), DIR)
                .map_err(|error| failed("open", &path, error))?;
            seen.stretch(options, &path, fd.as_fd(), &names, first, queue)
        }
    })?;
    let (mut newest, mut newest_whole) = (LONG_AGO, LONG_AGO);
    let mut parts = Vec::new();
    for seen in workers {
        newest = newest.max(seen.newest);
        newest_whole = newest_whole.max(seen.newest_whole);
        parts.extend(seen.parts);
    }
    parts.sort_unstable_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let mut hasher = blake3::Hasher::new();
    for (path, first, digest) in &parts {
        hasher.update(&(path.as_bytes().len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(&(*first as u64).to_le_bytes());
        hasher.update(digest);
    }
    Ok(Glance { digest: *hasher.finalize().as_bytes(), newest, newest_whole })
}

impl Seen {
    fn dir(
        &mut self,
        root: &Root,
        options: &ScanOptions<'_>,
        path: TreePath,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let fd = below(root.as_fd(), path.as_bytes(), DIR)
            .map_err(|error| failed("open", &path, error))?;
        let stat = stat_fd(&fd).map_err(|error| failed("stat", &path, error))?;
        self.buffer.clear();
        if path.is_root() {
            // It is in no manifest, but its times say whether a name in it has gone.
            self.date(&stat);
        } else {
            self.add(b"", &stat);
        }
        let itself = *blake3::hash(&self.buffer).as_bytes();
        self.parts.push((path.clone(), usize::MAX, itself));
        let names = list(&fd).map_err(|error| failed("list", &path, error))?;
        if names.len() <= STRETCH {
            return self.stretch(options, &path, fd.as_fd(), &names, 0, queue);
        }
        let (names, path) = (Arc::new(names), Arc::new(path));
        let later = (STRETCH..names.len()).step_by(STRETCH).rev();
        queue.extend(later.map(|first| Task::Stretch {
            path: path.clone(),
            names: names.clone(),
            first,
        }));
        self.stretch(options, &path, fd.as_fd(), &names, 0, queue)
    }

    fn stretch(
        &mut self,
        options: &ScanOptions<'_>,
        dir: &TreePath,
        fd: BorrowedFd<'_>,
        names: &Names,
        first: usize,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let end = names.len().min(first + STRETCH);
        let mut dirs = Vec::new();
        self.buffer.clear();
        for (name, kind, _) in (first..end).map(|index| names.get(index)) {
            let path = dir.child(name);
            let verdict = options.filter.map_or(Verdict::Keep, |filter| filter(&path, kind));
            match (verdict, kind) {
                (Verdict::Skip, _) => {}
                (_, FileKind::Dir) => {
                    self.buffer.push(u8::from(verdict == Verdict::Keep));
                    self.name(name);
                    dirs.push(Task::Dir(path));
                }
                (Verdict::Descend, _) => {}
                (Verdict::Keep, _) => {
                    let stat = stat_name(fd, name).map_err(|error| failed("stat", &path, error))?;
                    self.buffer.push(2);
                    self.add(name, &stat);
                }
            }
        }
        queue.extend(dirs.into_iter().rev());
        let digest = *blake3::hash(&self.buffer).as_bytes();
        self.parts.push((dir.clone(), first, digest));
        Ok(())
    }

    fn name(&mut self, name: &[u8]) {
        self.buffer.extend((name.len() as u32).to_le_bytes());
        self.buffer.extend(name);
    }

    fn add(&mut self, name: &[u8], stat: &Stat) {
        self.date(stat);
        self.name(name);
        self.buffer.push(stat.kind as u8);
        for number in [stat.mode, stat.uid, stat.gid, stat.nlink, stat.dev.0, stat.dev.1] {
            self.buffer.extend(number.to_le_bytes());
        }
        for number in [stat.rdev.0, stat.rdev.1, stat.mtime.nanos, stat.ctime.nanos] {
            self.buffer.extend(number.to_le_bytes());
        }
        for number in [stat.size, stat.ino] {
            self.buffer.extend(number.to_le_bytes());
        }
        for number in [stat.mtime.secs, stat.ctime.secs] {
            self.buffer.extend(number.to_le_bytes());
        }
    }

    fn date(&mut self, stat: &Stat) {
        for time in [stat.mtime, stat.ctime] {
            let newest = if time.nanos == 0 { &mut self.newest_whole } else { &mut self.newest };
            *newest = time.max(*newest);
        }
    }
}
