//! The parallel part of a scan: listing, describing, reading.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::{BUFFER, Contents, Dialect, ScanOptions, Verdict, hash_fd};
use crate::root::{DIR, FILE, Names, below, list, stat_fd, stat_name};
use crate::workers::{self, Queue};
use crate::xattr::{self, On};
use crate::{ContentId, Entry, FileKind, Node, Root, Stat, TreeError, TreePath, Xattrs};

/// A directory with more names than this is split up among the workers.
const STRETCH: usize = 512;

/// A file of at least this size is a task of its own, so that several are read at once.
const LARGE: u64 = 4 * 1024 * 1024;

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

enum Task {
    Dir { id: usize, path: TreePath },
    Stretch { id: usize, path: Arc<TreePath>, names: Arc<Names>, first: usize },
    Large { path: TreePath, size: u64 },
}

/// A file system and a number in it.
type Inode = ((u32, u32), u64);

/// A file that has several names is read under one of them, while those who have the others wait.
type Linked = Arc<Mutex<Option<(ContentId, u64)>>>;

struct Walk<'a> {
    root: &'a Root,
    options: &'a ScanOptions<'a>,
    next_dir: AtomicUsize,
    linked: Mutex<HashMap<Inode, Linked>>,
}

struct Worker {
    outputs: Vec<Output>,
    files_read: u64,
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

    /// Describes whatever is no directory.
    fn file(
        &self,
        worker: &mut Worker,
        path: TreePath,
        dir: BorrowedFd<'_>,
        name: &[u8],
        queue: &Queue<Task>,
    ) -> Result<Row, TreeError> {
        let stat = stat_name(dir, name).map_err(|error| failed("stat", &path, error))?;
        let mut xattrs = Xattrs::new();
        let node = match stat.kind {
            FileKind::File => self.regular(worker, &path, &stat, dir, name, &mut xattrs, queue)?,
            FileKind::Symlink => {
                let target = readlinkat(dir, name, Vec::new());
                let target = target.map_err(|error| failed("read the link", &path, error))?;
                Node::Symlink { target: target.into_bytes() }
            }
            FileKind::CharDevice if self.is_whiteout(&stat) => Node::Whiteout,
            FileKind::CharDevice => Node::CharDevice { major: stat.rdev.0, minor: stat.rdev.1 },
            FileKind::BlockDevice => Node::BlockDevice { major: stat.rdev.0, minor: stat.rdev.1 },
            FileKind::Fifo => Node::Fifo,
            // Neither was here when the directory was listed.
            FileKind::Dir | FileKind::Socket => {
                return Err(TreeError::changed(path.as_bytes(), None));
            }
        };
        if !matches!(node, Node::File { .. } | Node::Whiteout)
            && self.options.contents == Contents::Hash
        {
            xattrs = self.xattrs(On::Name(dir, name), &path)?.0;
        }
        let entry = match node {
            // Nothing of a whiteout but its name reaches a layer.
            Node::Whiteout => Entry { node, mode: 0, ..Entry::plain_dir(path) },
            node => Entry {
                path,
                node,
                mode: stat.mode,
                uid: stat.uid,
                gid: stat.gid,
                mtime: stat.mtime,
                xattrs,
            },
        };
        Ok(Row { entry, stat, dir: None, on_demand: false })
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one file, and where to put it")]
    fn regular(
        &self,
        worker: &mut Worker,
        path: &TreePath,
        stat: &Stat,
        dir: BorrowedFd<'_>,
        name: &[u8],
        xattrs: &mut Xattrs,
        queue: &Queue<Task>,
    ) -> Result<Node, TreeError> {
        let size = stat.size;
        if self.options.contents == Contents::Skip {
            return Ok(Node::File { size, content: ContentId::UNREAD });
        }
        if let Some(content) = self.options.known.and_then(|known| known(path, stat)) {
            return Ok(Node::File { size, content });
        }
        let fd = openat(dir, name, FILE.union(OFlags::NOFOLLOW), Mode::empty())
            .map_err(|error| failed("open", path, error))?;
        *xattrs = self.xattrs(On::Fd(fd.as_fd()), path)?.0;
        let read = |worker: &mut Worker| {
            worker.files_read += 1;
            hash_fd(&fd, size, worker.buffer()).map_err(|error| failed("read", path, error))
        };
        let (content, size) = if stat.nlink > 1 {
            let linked = self.linked(stat);
            let mut linked = linked.lock().unwrap_or_else(PoisonError::into_inner);
            match *linked {
                Some(known) => known,
                None => *linked.insert(read(worker)?),
            }
        } else if size >= LARGE {
            queue.push(Task::Large { path: path.clone(), size });
            (ContentId::UNREAD, size)
        } else {
            read(worker)?
        };
        Ok(Node::File { size, content })
    }

    fn linked(&self, stat: &Stat) -> Linked {
        let mut all = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((stat.dev, stat.ino)).or_default().clone()
    }

    fn is_whiteout(&self, stat: &Stat) -> bool {
        self.options.dialect != Dialect::Plain && stat.rdev == (0, 0)
    }

    /// Reads the attributes, and takes overlayfs's own out: says whether they mark an opaque
    /// directory, and fails if they make the file depend on another layer.
    fn xattrs(&self, on: On<'_>, path: &TreePath) -> Result<(Xattrs, bool), TreeError> {
        let overlay = self.options.dialect.prefix();
        if self.options.contents == Contents::Skip && overlay.is_none() {
            return Ok((Xattrs::new(), false));
        }
        let mut xattrs =
            xattr::read(on).map_err(|error| failed("read the attributes of", path, error))?;
        let mut opaque = false;
        let mut indirect = None;
        if let Some(prefix) = overlay {
            xattrs.retain(|(name, value)| {
                match name.strip_prefix(prefix) {
                    None => return true,
                    Some(b"opaque") => opaque |= value == b"y",
                    Some(b"redirect" | b"metacopy") => indirect = Some(name.clone()),
                    Some(_) => {}
                }
                false
            });
        }
        match indirect {
            Some(name) => Err(TreeError::Indirect {
                path: path.to_string(),
                attribute: String::from_utf8_lossy(&name).into_owned(),
            }),
            None => Ok((xattrs, opaque)),
        }
    }
}

impl Worker {
    fn buffer(&mut self) -> &mut [u8] {
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
fn failed(action: &'static str, path: &TreePath, error: Errno) -> TreeError {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE if !path.is_root() => {
            TreeError::changed(path.as_bytes(), Some(error.into()))
        }
        error => TreeError::io(action, path.as_bytes(), error),
    }
}
