//! The parallel part of a scan: listing, describing, reading.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{BUFFER, ScanOptions, Verdict, hash_fd};
use crate::root::{DIR, FILE, Names, below, list, stat_fd};
use crate::workers::{self, Queue};
use crate::xattr::On;
use crate::{ContentId, Entry, FileKind, Root, Stat, TreeError, TreePath, Xattrs};

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
}

pub(super) enum Task {
    Dir { id: usize, path: TreePath },
    Stretch { id: usize, path: Arc<TreePath>, names: Arc<Names>, first: usize },
    Large { path: TreePath, size: u64 },
}

/// A file system and a number in it.
type Inode = ((u32, u32), u64);

/// A file that has several names is read under one of them, while those who have the others wait.
pub(super) type Linked = Arc<Mutex<Option<(ContentId, u64)>>>;

pub(super) struct Walk<'a> {
    root: &'a Root,
    pub(super) options: &'a ScanOptions<'a>,
    next_dir: AtomicUsize,
    pub(super) linked: Mutex<HashMap<Inode, Linked>>,
}

pub(super) struct Worker {
    outputs: Vec<Output>,
    pub(super) files_read: u64,
    buffer: Vec<u8>,
}

/// Visits everything below `root`. The root's own directory has the number 0.
pub(super) fn walk(root: &Root, options: &ScanOptions<'_>) -> Result<Outputs, TreeError> {
    let walk = Walk { root, options, next_dir: AtomicUsize::new(1), linked: Mutex::default() };
    let first = vec![Task::Dir { id: 0, path: TreePath::root() }];
    let make = || Worker { outputs: Vec::new(), files_read: 0, buffer: Vec::new() };
    let workers = workers::run(options.workers, first, make, |worker, task, queue| {
        walk.task(worker, task, queue)
    })?;
    let mut all = Outputs { all: Vec::new(), files_read: 0 };
    for mut worker in workers {
        all.all.append(&mut worker.outputs);
        all.files_read += worker.files_read;
    }
    Ok(all)
}

impl Walk<'_> {
    fn task(&self, worker: &mut Worker, task: Task, queue: &Queue<Task>) -> Result<(), TreeError> {
        match task {
            Task::Dir { id, path } => self.dir(worker, id, path, queue),
            Task::Stretch { id, path, names, first } => {
                let dir = below(self.root.as_fd(), path.as_bytes(), DIR.union(OFlags::PATH))
                    .map_err(|error| failed("open", &path, error))?;
                self.stretch(worker, id, &path, dir.as_fd(), &names, first, queue)
            }
            Task::Large { path, size } => {
                let fd = below(self.root.as_fd(), path.as_bytes(), FILE)
                    .map_err(|error| failed("open", &path, error))?;
                let (content, size) = hash_fd(fd, size, worker.buffer())
                    .map_err(|error| failed("read", &path, error))?;
                worker.files_read += 1;
                worker.outputs.push(Output::Content { path, content, size });
                Ok(())
            }
        }
    }

    fn dir(
        &self,
        worker: &mut Worker,
        id: usize,
        path: TreePath,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let fd = below(self.root.as_fd(), path.as_bytes(), DIR)
            .map_err(|error| failed("open", &path, error))?;
        let stat = stat_fd(&fd).map_err(|error| failed("stat", &path, error))?;
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
        worker: &mut Worker,
        id: usize,
        dir: &TreePath,
        fd: BorrowedFd<'_>,
        names: &Names,
        first: usize,
        queue: &Queue<Task>,
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
                    let id = self.next_dir.fetch_add(1, Ordering::Relaxed);
                    dirs.push(Task::Dir { id, path: path.clone() });
                    rows.push(Row {
                        entry: Entry::plain_dir(path),
                        stat: UNKNOWN,
                        dir: Some(id),
                        on_demand: verdict == Verdict::Descend,
                    });
                }
                (Verdict::Descend, _) => {}
                (Verdict::Keep, FileKind::Socket) => worker.outputs.push(Output::Socket(path)),
                (Verdict::Keep, _) => rows.push(self.file(worker, path, fd, name, queue)?),
            }
        }
        // The last is begun first, and so the walk goes in order.
        queue.extend(dirs.into_iter().rev());
        worker.outputs.push(Output::Rows { dir: id, first, rows });
        Ok(())
    }
}

impl Worker {
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
