//! A scan that begins with what a glance saw: nothing is listed, and files that are known are not
//! looked at again.
//!
//! Whatever has to be opened after all must look as it did then. If it doesn't, or has gone, the
//! whole scan fails, and its caller makes an ordinary one.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;

use super::look::{ITSELF, Part, Seen, Sight, is_same};
use super::walk::{Output, Outputs, Row, Task, Walk, Worker, failed};
use crate::root::{DIR, stat_fd, stat_name};
use crate::workers::Queue;
use crate::xattr::On;
use crate::{Stat, TreeError, TreePath, Xattrs};

impl<'a> Walk<'a> {
    /// Finds what an ordinary walk would, had it been made when the glance was.
    pub(super) fn again(&self, seen: &'a Seen) -> Result<Outputs, TreeError> {
        // The last is begun first.
        let parts = seen.parts().iter().rev().map(|part| Task::Seen { seen, part });
        let outputs = self.run(parts.collect())?;
        Ok(Outputs { glance: Some(seen.glance()), ..outputs })
    }

    pub(super) fn part(
        &self,
        worker: &mut Worker<'_>,
        seen: &Seen,
        part: &Part,
        queue: &Queue<Task<'a>>,
    ) -> Result<(), TreeError> {
        let id = number(seen, &part.path)?;
        let output = match part.first {
            ITSELF => self.dir_again(id, part)?,
            first => {
                let rows = self.stretch_again(worker, seen, part, queue)?;
                Output::Rows { dir: id, first, rows }
            }
        };
        worker.outputs.push(output);
        Ok(())
    }

    /// Opens a directory for its attributes, of which a stat says nothing.
    fn dir_again(&self, id: usize, part: &Part) -> Result<Output, TreeError> {
        let dir = self.open(&part.path, DIR)?;
        let stat = stat_fd(&dir).map_err(|error| failed("stat", &part.path, error))?;
        if !part.is_like(&stat) {
            return Err(TreeError::changed(part.path.as_bytes(), None));
        }
        let (xattrs, opaque) = self.xattrs(On::Fd(dir.as_fd()), &part.path)?;
        Ok(Output::Dir { id, stat, xattrs, opaque })
    }

    fn stretch_again(
        &self,
        worker: &mut Worker<'_>,
        seen: &Seen,
        part: &Part,
        queue: &Queue<Task<'a>>,
    ) -> Result<Vec<Row>, TreeError> {
        let mut rows = Vec::new();
        // Opened for the first file that isn't known.
        let mut opened: Option<OwnedFd> = None;
        for sight in part.sights() {
            match sight {
                Sight::Socket { name } => {
                    worker.outputs.push(Output::Socket(part.path.child(name)));
                }
                Sight::Dir { name, kept } => {
                    let path = part.path.child(name);
                    rows.push(Row::dir(number(seen, &path)?, path, kept));
                }
                Sight::File { name, stat } => {
                    let path = part.path.child(name);
                    if let Some(node) = self.unopened(&path, &stat) {
                        rows.push(Row::file(path, node, stat, Xattrs::new()));
                        continue;
                    }
                    let dir = match &opened {
                        Some(dir) => dir,
                        None => opened.insert(self.open(&part.path, DIR.union(OFlags::PATH))?),
                    };
                    rows.push(self.file_again(worker, path, &stat, dir, name, queue)?);
                }
            }
        }
        Ok(rows)
    }

    fn file_again(
        &self,
        worker: &mut Worker<'_>,
        path: TreePath,
        seen: &Stat,
        dir: &OwnedFd,
        name: &[u8],
        queue: &Queue<Task<'a>>,
    ) -> Result<Row, TreeError> {
        let now = stat_name(dir, name).map_err(|error| failed("stat", &path, error))?;
        if !is_same(seen, &now) {
            return Err(TreeError::changed(path.as_bytes(), None));
        }
        self.describe(worker, path, now, dir.as_fd(), name, queue)
    }
}

fn number(seen: &Seen, dir: &TreePath) -> Result<usize, TreeError> {
    seen.number(dir).ok_or_else(|| TreeError::changed(dir.as_bytes(), None))
}
