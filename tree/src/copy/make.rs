//! The parallel part of a copy: directories, files, links and devices come into being.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, symlinkat, unlinkat, utimensat};
use rustix::io::{Errno, Result as SysResult};

use super::layout::Layout;
use super::{CopyPlan, Defaults, Existing, set_xattrs};
use crate::root::{DIR, Opener, below, chmod, chown, special, times};
use crate::scan::BUFFER;
use crate::workers::{self, Queue};
use crate::xattr::On;
use crate::{ContentId, Entry, FileKind, Manifest, Node, Root, TreeError};

/// A directory with more files than this is split up among the workers.
const STRETCH: usize = 128;

/// A file of at least this size is a task of its own.
const LARGE: u64 = 1024 * 1024;

/// What all workers made together.
#[derive(Default)]
pub(super) struct Made {
    /// Files whose content nobody knew before, by job.
    pub(super) read: Vec<(usize, u64, ContentId)>,
    pub(super) linked: u64,
    pub(super) bytes: u64,
    pub(super) attributes_lost: u64,
}

impl Made {
    /// Writes the contents that were read into the manifest of what was planned.
    pub(super) fn fill_in(&self, manifest: Manifest) -> Manifest {
        if self.read.is_empty() {
            return manifest;
        }
        let mut entries = manifest.into_entries();
        for (job, size, content) in &self.read {
            entries[*job].node = Node::File { size: *size, content: *content };
        }
        Manifest::from_walk(entries)
    }
}

enum Task {
    Dir(usize),
    Files { dir: usize, first: usize, end: usize },
}

/// What all workers share.
pub(super) struct Make<'a> {
    dest: &'a Root,
    pub(super) plan: &'a CopyPlan<'a>,
    pub(super) layout: &'a Layout<'a>,
    pub(super) donors: Option<&'a [Option<usize>]>,
    defaults: Option<Defaults>,
    /// Whether a directory was there before, about which the defaults say nothing.
    old_dirs: AtomicBool,
    /// For each source, whether it is known that nothing can be cloned from it.
    pub(super) no_clones: Vec<AtomicBool>,
}

pub(super) struct Worker<'a> {
    pub(super) sources: Vec<Opener<'a>>,
    pub(super) donor: Option<Opener<'a>>,
    pub(super) buffer: Vec<u8>,
    pub(super) made: Made,
}

pub(super) fn make(
    sources: &[&Root],
    dest: &Root,
    plan: &CopyPlan<'_>,
    layout: &Layout<'_>,
    donors: Option<&[Option<usize>]>,
) -> Result<Made, TreeError> {
    let make = Make {
        dest,
        plan,
        layout,
        donors,
        defaults: Defaults::below(dest),
        old_dirs: AtomicBool::new(false),
        no_clones: sources.iter().map(|_| AtomicBool::new(false)).collect(),
    };
    let worker = || Worker {
        sources: sources.iter().map(|root| Opener::new(root)).collect(),
        donor: plan.donor.map(|donor| Opener::new(donor.root)),
        buffer: vec![0; BUFFER],
        made: Made::default(),
    };
    let workers = workers::run(plan.workers, vec![Task::Dir(0)], worker, |worker, task, queue| {
        make.task(worker, task, queue)
    })?;
    Ok(workers.into_iter().fold(Made::default(), |mut all, mut worker| {
        all.read.append(&mut worker.made.read);
        all.linked += worker.made.linked;
        all.bytes += worker.made.bytes;
        all.attributes_lost += worker.made.attributes_lost;
        all
    }))
}

impl Make<'_> {
    fn task(
        &self,
        worker: &mut Worker<'_>,
        task: Task,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let (Task::Dir(dir) | Task::Files { dir, .. }) = task;
        let path = self.layout.dir_path(dir);
        let fd = below(self.dest.as_fd(), path, DIR.union(OFlags::PATH))
            .map_err(|error| TreeError::io("open", path, error))?;
        let (first, end) = match task {
            Task::Files { first, end, .. } => (first, end),
            Task::Dir(dir) => self.directory(dir, fd.as_fd(), queue)?,
        };
        for job in &self.layout.dirs[dir].files[first..end] {
            self.file(worker, *job, fd.as_fd())?;
        }
        Ok(())
    }

    /// Makes a directory's directories, and hands on all work but its first files.
    fn directory(
        &self,
        dir: usize,
        fd: BorrowedFd<'_>,
        queue: &Queue<Task>,
    ) -> Result<(usize, usize), TreeError> {
        let dir_job = &self.layout.dirs[dir];
        for child in &dir_job.dirs {
            self.mkdir(*child, fd)?;
        }
        queue.extend(dir_job.dirs.iter().rev().map(|child| Task::Dir(*child)));
        // Cut where many files have come together, and around each large one.
        let mut cuts = vec![0];
        let mut start = 0;
        for (index, job) in dir_job.files.iter().enumerate() {
            let large = self.layout.entry(*job).size() >= LARGE;
            if index - start >= STRETCH || (large && index > start) {
                cuts.push(index);
                start = index;
            }
            if large {
                cuts.push(index + 1);
                start = index + 1;
            }
        }
        cuts.push(dir_job.files.len());
        cuts.dedup();
        let later = cuts.windows(2).skip(1).rev();
        queue.extend(later.map(|cut| Task::Files { dir, first: cut[0], end: cut[1] }));
        Ok((0, cuts.get(1).copied().unwrap_or(0)))
    }

    fn mkdir(&self, dir: usize, parent: BorrowedFd<'_>) -> Result<(), TreeError> {
        let path = self.layout.dir_path(dir);
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let made = match mkdirat(parent, name, Mode::RWXU) {
            Err(Errno::EXIST) => {
                self.old_dirs.store(true, Ordering::Relaxed);
                let flags = DIR.union(OFlags::PATH).union(OFlags::NOFOLLOW);
                match openat(parent, name, flags, Mode::empty()) {
                    Err(Errno::NOTDIR | Errno::LOOP) if self.plan.existing == Existing::Replace => {
                        unlinkat(parent, name, AtFlags::empty())
                            .and_then(|()| mkdirat(parent, name, Mode::RWXU))
                    }
                    answer => answer.map(drop),
                }
            }
            answer => answer,
        };
        made.map_err(|error| TreeError::io("make the directory", path, error))
    }

    /// Makes one thing that is no directory.
    fn file(
        &self,
        worker: &mut Worker<'_>,
        job: usize,
        dir: BorrowedFd<'_>,
    ) -> Result<(), TreeError> {
        let entry = self.layout.entry(job);
        let path = entry.path.as_bytes();
        let name = entry.path.file_name().unwrap_or(b".");
        let failed = |action| move |error| TreeError::io(action, path, error);
        match &entry.node {
            Node::File { .. } => {
                if !self.link_donor(worker, job, dir, name)? {
                    self.regular(worker, job, dir, name)?;
                }
                return Ok(());
            }
            Node::Symlink { target } => self
                .creating(dir, name, || symlinkat(&target[..], dir, name))
                .map_err(failed("make the link"))?,
            Node::CharDevice { major, minor } => {
                self.special(dir, name, FileKind::CharDevice, (*major, *minor), entry)?;
            }
            Node::BlockDevice { major, minor } => {
                self.special(dir, name, FileKind::BlockDevice, (*major, *minor), entry)?;
            }
            Node::Fifo => self.special(dir, name, FileKind::Fifo, (0, 0), entry)?,
            Node::Whiteout => return self.special(dir, name, FileKind::CharDevice, (0, 0), entry),
            // The layout holds neither here.
            Node::Dir { .. } | Node::HardLink { .. } => return Ok(()),
        }
        if !self.plan.keep_owner && !self.defaults().is_some_and(|d| d.owner_is(entry)) {
            chown(dir, name, entry.uid, entry.gid).map_err(failed("change the owner of"))?;
        }
        worker.made.attributes_lost +=
            set_xattrs(On::Name(dir, name), entry).map_err(failed("set an attribute of"))?;
        if !matches!(entry.node, Node::Symlink { .. }) && entry.mode != 0 {
            chmod(dir, name, entry.mode).map_err(failed("change the mode of"))?;
        }
        utimensat(dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("change the time of"))
    }

    fn special(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        kind: FileKind,
        device: (u32, u32),
        entry: &Entry,
    ) -> Result<(), TreeError> {
        self.creating(dir, name, || special(dir, name, kind, device, 0))
            .map_err(|error| TreeError::io("make the special file", entry.path.as_bytes(), error))
    }

    pub(super) fn defaults(&self) -> Option<&Defaults> {
        self.defaults.as_ref().filter(|_| !self.old_dirs.load(Ordering::Relaxed))
    }

    /// Creates something, after removing what has its name if the plan says so.
    pub(super) fn creating<T>(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        mut create: impl FnMut() -> SysResult<T>,
    ) -> SysResult<T> {
        match create() {
            Err(Errno::EXIST) if self.plan.existing == Existing::Replace => {
                unlinkat(dir, name, AtFlags::empty())?;
                create()
            }
            answer => answer,
        }
    }
}
