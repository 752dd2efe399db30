//! A plan put in order: sorted, one item a path, grouped by directory, links told from files.

use std::collections::{HashMap, HashSet};

use super::CopyItem;
use crate::{Entry, Manifest, ManifestError, Node, TreePath};

/// What will be made, in the order of the manifest.
pub(super) struct Layout<'p> {
    pub(super) jobs: Vec<Job<'p>>,
    /// The directories that things are made in; the first is the destination itself.
    pub(super) dirs: Vec<DirJob>,
}

pub(super) struct Job<'p> {
    pub(super) item: &'p CopyItem,
    /// The earlier job that makes the inode which this one only links.
    pub(super) link_to: Option<usize>,
}

/// A directory and what lies directly in it.
#[derive(Default)]
pub(super) struct DirJob {
    /// Its own job; the destination needs none.
    pub(super) job: Option<usize>,
    /// The jobs of whatever is no directory and no link.
    pub(super) files: Vec<usize>,
    /// The directories in it, as indices of [`Layout::dirs`].
    pub(super) dirs: Vec<usize>,
}

impl<'p> Layout<'p> {
    pub(super) fn new(items: &'p [CopyItem]) -> Result<Self, ManifestError> {
        let mut jobs: Vec<Job<'p>> =
            sorted(items)?.into_iter().map(|item| Job { item, link_to: None }).collect();
        find_links(&mut jobs);
        let mut layout = Self { jobs, dirs: vec![DirJob::default()] };
        layout.group()?;
        Ok(layout)
    }

    /// Describes what will be made.
    pub(super) fn manifest(&self) -> Result<Manifest, ManifestError> {
        let entries = self.jobs.iter().map(|job| match job.link_to {
            None => job.item.entry.clone(),
            Some(first) => {
                let target = self.path(first).clone();
                Entry { node: Node::HardLink { target }, ..job.item.entry.clone() }
            }
        });
        Manifest::new(entries.collect())
    }

    pub(super) fn entry(&self, job: usize) -> &'p Entry {
        &self.jobs[job].item.entry
    }

    pub(super) fn path(&self, job: usize) -> &'p TreePath {
        &self.entry(job).path
    }

    /// Returns where a directory lies.
    pub(super) fn dir_path(&self, dir: usize) -> &'p [u8] {
        self.dirs[dir].job.map_or(b"", |job| self.path(job).as_bytes())
    }

    fn group(&mut self) -> Result<(), ManifestError> {
        // The directories that the current job lies in, the nearest last.
        let mut open = vec![0];
        for (index, job) in self.jobs.iter().enumerate() {
            let entry = &job.item.entry;
            let Some(parent) = entry.path.parent_bytes() else {
                if !entry.is_dir() {
                    return Err(ManifestError::RootNotDir);
                }
                self.dirs[0].job = Some(index);
                continue;
            };
            let path_of = |dir: &DirJob| {
                dir.job
                    .map_or(b"".as_slice(), |job: usize| self.jobs[job].item.entry.path.as_bytes())
            };
            while open.len() > 1 && path_of(&self.dirs[open[open.len() - 1]]) != parent {
                open.pop();
            }
            let dir = open[open.len() - 1];
            if path_of(&self.dirs[dir]) != parent {
                return Err(ManifestError::NoParent(entry.path.clone()));
            }
            if entry.is_dir() {
                let new = self.dirs.len();
                self.dirs.push(DirJob { job: Some(index), ..DirJob::default() });
                self.dirs[dir].dirs.push(new);
                open.push(new);
            } else if job.link_to.is_none() {
                self.dirs[dir].files.push(index);
            }
        }
        Ok(())
    }
}

/// Sorts by destination; of two items for one the later stays.
fn sorted(items: &[CopyItem]) -> Result<Vec<&CopyItem>, ManifestError> {
    let mut all: Vec<&CopyItem> = items.iter().collect();
    // Stable, so that the later of two stays behind the earlier.
    if !all.is_sorted_by(|a, b| a.entry.path <= b.entry.path) {
        all.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    }
    let mut kept: Vec<&CopyItem> = Vec::with_capacity(all.len());
    for item in all {
        match kept.last_mut() {
            Some(last) if last.entry.path == item.entry.path => {
                if last.entry.is_dir() != item.entry.is_dir() {
                    return Err(ManifestError::Conflict(item.entry.path.clone()));
                }
                *last = item;
            }
            _ => kept.push(item),
        }
    }
    Ok(kept)
}

/// Makes all names of an inode but the first into links of it.
fn find_links(jobs: &mut [Job<'_>]) {
    fn inode(item: &CopyItem) -> (usize, &TreePath) {
        (item.tree, &item.source)
    }
    let several: HashSet<_> =
        jobs.iter().filter(|job| job.item.linked).map(|job| inode(job.item)).collect();
    if several.is_empty() {
        return;
    }
    let mut first: HashMap<_, usize> = HashMap::new();
    for index in 0..jobs.len() {
        let item = jobs[index].item;
        if matches!(item.entry.node, Node::Dir { .. } | Node::Whiteout)
            || !several.contains(&inode(item))
        {
            continue;
        }
        let first = *first.entry(inode(item)).or_insert(index);
        if first != index && same_inode(&jobs[first].item.entry, &item.entry) {
            jobs[index].link_to = Some(first);
        }
    }
}

fn same_inode(a: &Entry, b: &Entry) -> bool {
    (a.mode, a.uid, a.gid, a.mtime) == (b.mode, b.uid, b.gid, b.mtime)
        && a.node == b.node
        && a.xattrs == b.xattrs
}
