//! The parallel part of a scan: listing, describing, reading.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::look::{self, Glance, Look, Part, Room, Seen};
use super::{BUFFER, ScanOptions, Verdict, hash_fd};
use crate::root::{DIR, FILE, Names, below, list, stat_fd};
use crate::workers::{self, Queue};
use crate::xattr::On;
use crate::{ContentId, Entry, FileKind, Node, Root, Stat, TreeError, TreePath, Xattrs};

/// A directory with more names than this is split up among the workers.
pub(super) const STRETCH: usize = 512;

/// A file of at least this size is a task of its own, so that several are read at once.
pub(super) const LARGE: u64 = 4 * 1024 * 1024;

/// One line of a directory's listing, in the end an entry of the manifest.
pub(super) struct Row {
    pub(super) entry: Entry,
    pub(super) stat: Stat,
    /// For a directory, the number under which its contents come.
    pub(super) dir: Option<usize>,
    /// Only listed if something below is.
    pub(super) on_demand: bool,
}

/// What one task found.
pub(super) enum Output {
    /// A directory itself, which is described when it is opened.
    Dir { id: usize, stat: Stat, xattrs: Xattrs, opaque: bool },
    /// Some of its contents, sorted; `first` orders the stretches of one directory.
    Rows { dir: usize, first: usize, rows: Vec<Row> },
    /// A large file's digest.
    Content { path: TreePath, content: ContentId, size: u64 },
    /// A socket, which is in no manifest.
    Socket(TreePath),
}

/// What all workers gathered.
pub(super) struct Outputs {
    pub(super) all: Vec<Output>,
    pub(super) files_read: u64,
    pub(super) glance: Option<Glance>,
}

pub(super) enum Task<'a> {
    Dir {
        id: usize,
        path: TreePath,
    },
    Stretch {
        id: usize,
        path: Arc<TreePath>,
        names: Arc<Names>,
        first: usize,
    },
    Large {
        path: TreePath,
        size: u64,
    },
    /// What a glance saw takes the place of listing.
    Seen {
        seen: &'a Seen,
        part: &'a Part,
    },
}

/// A file system and a number in it.
type Inode = ((u32, u32), u64);

/// A file that has several names is read under one of them, while those who have the others wait.
pub(super) type Linked = Arc<Mutex<Option<(ContentId, u64)>>>;

pub(super) struct Walk<'a> {
    pub(super) root: &'a Root,
    pub(super) options: &'a ScanOptions<'a>,
    next_dir: AtomicUsize,
    pub(super) linked: Mutex<HashMap<Inode, Linked>>,
    /// None: of what a scan sees, the glance is made and nothing kept.
    room: Room,
}

pub(super) struct Worker<'w> {
    pub(super) outputs: Vec<Output>,
    pub(super) files_read: u64,
    buffer: Vec<u8>,
    look: Option<Look<'w>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(root: &'a Root, options: &'a ScanOptions<'a>) -> Self {
        let (next_dir, room) = (AtomicUsize::new(1), Room::new(0));
        Self { root, options, next_dir, linked: Mutex::default(), room }
    }

    /// Visits everything below the root. The root's own directory has the number 0.
    pub(super) fn all(&self) -> Result<Outputs, TreeError> {
        self.run(vec![Task::Dir { id: 0, path: TreePath::root() }])
    }

    pub(super) fn run(&self, first: Vec<Task<'a>>) -> Result<Outputs, TreeError> {
        let look = || self.options.glance.then(|| Look::new(&self.room));
        let make =
            || Worker { outputs: Vec::new(), files_read: 0, buffer: Vec::new(), look: look() };
        let workers = workers::run(self.options.workers, first, make, |worker, task, queue| {
            self.task(worker, task, queue)
        })?;
        let mut all = Outputs { all: Vec::new(), files_read: 0, glance: None };
        let mut looks = Vec::new();
        for mut worker in workers {
            all.all.append(&mut worker.outputs);
            all.files_read += worker.files_read;
            looks.extend(worker.look);
        }
        all.glance = self.options.glance.then(|| look::join(looks).glance());
        Ok(all)
    }

    fn task(
        &self,
        worker: &mut Worker<'_>,
        task: Task<'a>,
        queue: &Queue<Task<'a>>,
    ) -> Result<(), TreeError> {
        match task {
            Task::Dir { id, path } => self.dir(worker, id, path, queue),
            Task::Stretch { id, path, names, first } => {
                let dir = self.open(&path, DIR.union(OFlags::PATH))?;
                self.stretch(worker, id, &path, dir.as_fd(), &names, first, queue)
            }
            Task::Large { path, size } => {
                let fd = self.open(&path, FILE)?;
                let (content, size) = hash_fd(fd, size, worker.buffer())
                    .map_err(|error| failed("read", &path, error))?;
                worker.files_read += 1;
                worker.outputs.push(Output::Content { path, content, size });
                Ok(())
            }
            Task::Seen { seen, part } => self.part(worker, seen, part, queue),
        }
    }

    fn number(&self) -> usize {
        self.next_dir.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn open(&self, path: &TreePath, flags: OFlags) -> Result<OwnedFd, TreeError> {
        below(self.root.as_fd(), path.as_bytes(), flags)
            .map_err(|error| failed("open", path, error))
    }

    fn dir(
        &self,
        worker: &mut Worker<'_>,
        id: usize,
        path: TreePath,
        queue: &Queue<Task<'a>>,
    ) -> Result<(), TreeError> {
        let fd = self.open(&path, DIR)?;
        let stat = stat_fd(&fd).map_err(|error| failed("stat", &path, error))?;
        worker.look.iter_mut().for_each(|look| look.opened(&path, &stat));
        let (xattrs, opaque) = self.xattrs(On::Fd(fd.as_fd()), &path)?;
        worker.outputs.push(Output::Dir { id, stat, xattrs, opaque });
        let names = list(&fd).map_err(|error| failed("list", &path, error))?;
        if names.len() <= STRETCH {
            return self.stretch(worker, id, &path, fd.as_fd(), &names, 0, queue);
        }
        let (names, path) = (Arc::new(names), Arc::new(path));
        let later = (STRETCH..names.len()).step_by(STRETCH).rev();
        let stretch = |first| Task::Stretch { id, path: path.clone(), names: names.clone(), first };
        queue.extend(later.map(stretch));
        self.stretch(worker, id, &path, fd.as_fd(), &names, 0, queue)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one task, and who does it")]
    fn stretch(
        &self,
        worker: &mut Worker<'_>,
        id: usize,
        dir: &TreePath,
        fd: BorrowedFd<'_>,
        names: &Names,
        first: usize,
        queue: &Queue<Task<'a>>,
    ) -> Result<(), TreeError> {
        let end = names.len().min(first + STRETCH);
        let mut rows = Vec::with_capacity(end - first);
        let mut dirs = Vec::new();
        for (name, kind, _) in (first..end).map(|index| names.get(index)) {
            let path = dir.child(name);
            let verdict = self.options.filter.map_or(Verdict::Keep, |filter| filter(&path, kind));
            match (verdict, kind) {
                (Verdict::Skip, _) => {}
                (_, FileKind::Dir) => {
                    let (id, kept) = (self.number(), verdict == Verdict::Keep);
                    worker.look.iter_mut().for_each(|look| look.dir(name, kept));
                    dirs.push(Task::Dir { id, path: path.clone() });
                    rows.push(Row::dir(id, path, kept));
                }
                (Verdict::Descend, _) => {}
                (Verdict::Keep, FileKind::Socket) => {
                    worker.look.iter_mut().for_each(|look| look.socket(name));
                    worker.outputs.push(Output::Socket(path));
                }
                (Verdict::Keep, _) => {
                    let row = self.file(worker, path, fd, name, queue)?;
                    worker.look.iter_mut().for_each(|look| look.file(name, &row.stat));
                    rows.push(row);
                }
            }
        }
        // The last is begun first, and so the walk goes in order.
        queue.extend(dirs.into_iter().rev());
        worker.look.iter_mut().for_each(|look| look.end(dir, first));
        worker.outputs.push(Output::Rows { dir: id, first, rows });
        Ok(())
    }
}

impl Row {
    /// A directory, which is described when it is opened.
    pub(super) fn dir(id: usize, path: TreePath, kept: bool) -> Self {
        let entry = Entry::plain_dir(path);
        Self { entry, stat: UNKNOWN, dir: Some(id), on_demand: !kept }
    }

    /// Whatever is none.
    pub(super) fn file(path: TreePath, node: Node, stat: Stat, xattrs: Xattrs) -> Self {
        let Stat { mode, uid, gid, mtime, .. } = stat;
        let entry = Entry { path, node, mode, uid, gid, mtime, xattrs };
        Self { entry, stat, dir: None, on_demand: false }
    }
}

impl Worker<'_> {
    pub(super) fn buffer(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        &mut self.buffer
    }
}

/// Stands for a directory's stat until it is opened.
pub(super) const UNKNOWN: Stat = Stat {
    kind: FileKind::Dir,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: crate::Time { secs: 0, nanos: 0 },
    ctime: crate::Time { secs: 0, nanos: 0 },
    dev: (0, 0),
    ino: 0,
    nlink: 0,
    rdev: (0, 0),
    blocks: 0,
};

/// What was listed and then isn't there, or has become a link, changed meanwhile.
pub(super) fn failed(action: &'static str, path: &TreePath, error: Errno) -> TreeError {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE if !path.is_root() => {
            TreeError::changed(path.as_bytes(), Some(error.into()))
        }
        error => TreeError::io(action, path.as_bytes(), error),
    }
}
