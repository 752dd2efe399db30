//! One file of a scan: what it is, what it holds, which attributes it has.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::PoisonError;

use rustix::fs::{Mode, OFlags, openat, readlinkat};

use super::walk::{LARGE, Linked, Row, Task, Walk, Worker, failed};
use super::{Contents, Dialect, hash_fd};
use crate::root::{FILE, stat_name};
use crate::workers::Queue;
use crate::xattr::{self, On};
use crate::{ContentId, Entry, FileKind, Node, Stat, TreeError, TreePath, Xattrs};

impl<'a> Walk<'a> {
    /// Looks at whatever is no directory, and describes it.
    pub(super) fn file(
        &self,
        worker: &mut Worker<'_>,
        path: TreePath,
        dir: BorrowedFd<'_>,
        name: &[u8],
        queue: &Queue<Task<'a>>,
    ) -> Result<Row, TreeError> {
        let stat = stat_name(dir, name).map_err(|error| failed("stat", &path, error))?;
        self.describe(worker, path, stat, dir, name, queue)
    }

    /// Describes what has this stat.
    pub(super) fn describe(
        &self,
        worker: &mut Worker<'_>,
        path: TreePath,
        stat: Stat,
        dir: BorrowedFd<'_>,
        name: &[u8],
        queue: &Queue<Task<'a>>,
    ) -> Result<Row, TreeError> {
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
        let row = Row::file(path, node, stat, xattrs);
        if row.entry.node != Node::Whiteout {
            return Ok(row);
        }
        // Nothing of a whiteout but its name reaches a layer.
        let entry = Entry { node: Node::Whiteout, mode: 0, ..Entry::plain_dir(row.entry.path) };
        Ok(Row { entry, ..row })
    }

    /// Says what a regular file is if it need not be opened for that.
    pub(super) fn unopened(&self, path: &TreePath, stat: &Stat) -> Option<Node> {
        let content = match self.options.contents {
            _ if stat.kind != FileKind::File => None,
            Contents::Skip => Some(ContentId::UNREAD),
            Contents::Hash => self.options.known.and_then(|known| known(path, stat)),
        };
        content.map(|content| Node::File { size: stat.size, content })
    }

    #[expect(clippy::too_many_arguments, reason = "what is known of one file, and where to put it")]
    fn regular(
        &self,
        worker: &mut Worker<'_>,
        path: &TreePath,
        stat: &Stat,
        dir: BorrowedFd<'_>,
        name: &[u8],
        xattrs: &mut Xattrs,
        queue: &Queue<Task<'a>>,
    ) -> Result<Node, TreeError> {
        if let Some(node) = self.unopened(path, stat) {
            return Ok(node);
        }
        let size = stat.size;
        let fd = openat(dir, name, FILE.union(OFlags::NOFOLLOW), Mode::empty())
            .map_err(|error| failed("open", path, error))?;
        *xattrs = self.xattrs(On::Fd(fd.as_fd()), path)?.0;
        let read = |worker: &mut Worker<'_>| {
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
    pub(super) fn xattrs(&self, on: On<'_>, path: &TreePath) -> Result<(Xattrs, bool), TreeError> {
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
