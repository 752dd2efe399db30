//! [`glance`]: what a tree looks like from outside, to tell whether a scan would find it as before.
//!
//! One stat for each file, and no file opened.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::look::{Glance, Look, Room, Seen, join};
use super::walk::{STRETCH, failed};
use super::{ScanOptions, Verdict};
use crate::root::{DIR, Names, below, list, stat_fd, stat_name};
use crate::workers::{self, Queue};
use crate::{FileKind, Root, TreeError, TreePath};

/// Of more names than this nothing is kept but the digest: it would take more than 10 MB.
const MOST_KEPT: usize = 200_000;

enum Task {
    Dir(TreePath),
    Stretch { path: Arc<TreePath>, names: Arc<Names>, first: usize },
}

/// Looks at everything below `root` that the filter of `options` lets in, and opens no file.
///
/// Equal digests mean that [`scan`](super::scan()) with the same options finds the same entries with the
/// same contents, as far as the kernel keeps its word on `ctime`: it says nothing of a change
/// within the same tick of its clock, so a tree is to be trusted only if its newest times are older
/// than that.
///
/// Also returns all that was seen, for a scan to begin with, unless the tree is very large.
///
/// # Errors
/// As [`scan`](super::scan()), without those of reading.
pub fn glance(root: &Root, options: &ScanOptions<'_>) -> Result<(Glance, Option<Seen>), TreeError> {
    let room = Room::new(MOST_KEPT);
    let glancing = Glancing { root, options };
    let first = vec![Task::Dir(TreePath::root())];
    let make = || Look::new(&room);
    let workers = workers::run(options.workers, first, make, |look, task, queue| match task {
        Task::Dir(path) => glancing.dir(look, path, queue),
        Task::Stretch { path, names, first } => {
            let fd = below(root.as_fd(), path.as_bytes(), DIR)
                .map_err(|error| failed("open", &path, error))?;
            glancing.stretch(look, &path, fd.as_fd(), &names, first, queue)
        }
    })?;
    Ok(join(workers).if_whole())
}

struct Glancing<'a> {
    root: &'a Root,
    options: &'a ScanOptions<'a>,
}

impl Glancing<'_> {
    fn dir(
        &self,
        look: &mut Look<'_>,
        path: TreePath,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let fd = below(self.root.as_fd(), path.as_bytes(), DIR)
            .map_err(|error| failed("open", &path, error))?;
        let stat = stat_fd(&fd).map_err(|error| failed("stat", &path, error))?;
        look.opened(&path, &stat);
        let names = list(&fd).map_err(|error| failed("list", &path, error))?;
        if names.len() <= STRETCH {
            return self.stretch(look, &path, fd.as_fd(), &names, 0, queue);
        }
        let (names, path) = (Arc::new(names), Arc::new(path));
        let later = (STRETCH..names.len()).step_by(STRETCH).rev();
        queue.extend(later.map(|first| Task::Stretch {
            path: path.clone(),
            names: names.clone(),
            first,
        }));
        self.stretch(look, &path, fd.as_fd(), &names, 0, queue)
    }

    fn stretch(
        &self,
        look: &mut Look<'_>,
        dir: &TreePath,
        fd: BorrowedFd<'_>,
        names: &Names,
        first: usize,
        queue: &Queue<Task>,
    ) -> Result<(), TreeError> {
        let end = names.len().min(first + STRETCH);
        let mut dirs = Vec::new();
        for (name, kind, _) in (first..end).map(|index| names.get(index)) {
            let path = dir.child(name);
            let verdict = self.options.filter.map_or(Verdict::Keep, |filter| filter(&path, kind));
            match (verdict, kind) {
                (Verdict::Skip, _) => {}
                (_, FileKind::Dir) => {
                    look.dir(name, verdict == Verdict::Keep);
                    dirs.push(Task::Dir(path));
                }
                (Verdict::Descend, _) => {}
                (Verdict::Keep, FileKind::Socket) => look.socket(name),
                (Verdict::Keep, _) => {
                    let stat = stat_name(fd, name).map_err(|error| failed("stat", &path, error))?;
                    look.file(name, &stat);
                }
            }
        }
        queue.extend(dirs.into_iter().rev());
        look.end(dir, first);
        Ok(())
    }
}
