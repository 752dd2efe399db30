//! The serial part of a scan: what the workers found becomes one sorted list.

use std::collections::HashMap;
use std::collections::hash_map;

use super::Scan;
use super::walk::{Output, Outputs, Row};
use crate::{Entry, Manifest, Node, Stat, TreePath, Xattrs};

/// A directory's parts, gathered from the tasks that had a share in it.
#[derive(Default)]
struct Dir {
    itself: Option<(Stat, Xattrs, bool)>,
    stretches: Vec<(usize, Vec<Row>)>,
}

/// A directory that the walk is in.
struct Open {
    rows: Vec<std::vec::IntoIter<Row>>,
    /// Where it stands in the list, if it leaves the list again should nothing follow it.
    on_demand: Option<usize>,
}

pub(super) fn assemble(outputs: Outputs, include_root: bool) -> Scan {
    let mut dirs: Vec<Dir> = Vec::new();
    let mut large = HashMap::new();
    let mut sockets = Vec::new();
    for output in outputs.all {
        match output {
            Output::Dir { id, stat, xattrs, opaque } => {
                dir(&mut dirs, id).itself = Some((stat, xattrs, opaque));
            }
            Output::Rows { dir: id, first, rows } => {
                dir(&mut dirs, id).stretches.push((first, rows))
            }
            Output::Content { path, content, size } => {
                large.insert(path, Node::File { size, content });
            }
            Output::Socket(path) => sockets.push(path),
        }
    }
    sockets.sort();
    let (mut entries, stats) = flatten(dirs, include_root);
    if !large.is_empty() {
        for entry in &mut entries {
            if let Some(node) = large.remove(&entry.path) {
                entry.node = node;
            }
        }
    }
    link(&mut entries, &stats);
    let manifest = Manifest::from_walk(entries);
    Scan { manifest, stats, sockets, files_read: outputs.files_read, glance: outputs.glance }
}

fn dir(dirs: &mut Vec<Dir>, id: usize) -> &mut Dir {
    if dirs.len() <= id {
        dirs.resize_with(id + 1, Dir::default);
    }
    &mut dirs[id]
}

/// Puts each directory's contents right behind it.
fn flatten(mut dirs: Vec<Dir>, include_root: bool) -> (Vec<Entry>, Vec<Stat>) {
    let total = dirs.iter().flat_map(|dir| &dir.stretches).map(|(_, rows)| rows.len()).sum();
    let mut entries: Vec<Entry> = Vec::with_capacity(total);
    let mut stats: Vec<Stat> = Vec::with_capacity(total);
    let mut describe = |id: usize, mut entry: Entry, mut stat: Stat| {
        let dir = dirs.get_mut(id).map(std::mem::take).unwrap_or_default();
        if let Some((itself, xattrs, opaque)) = dir.itself {
            let (mode, uid, gid, mtime) = (itself.mode, itself.uid, itself.gid, itself.mtime);
            entry = Entry { node: Node::Dir { opaque }, mode, uid, gid, mtime, xattrs, ..entry };
            stat = itself;
        }
        let mut stretches = dir.stretches;
        stretches.sort_unstable_by_key(|(first, _)| *first);
        let rows = stretches.into_iter().rev().map(|(_, rows)| rows.into_iter()).collect();
        (entry, stat, rows)
    };
    let root = Entry::plain_dir(TreePath::root());
    let (root, root_stat, rows) = describe(0, root, super::walk::UNKNOWN);
    if include_root {
        entries.push(root);
        stats.push(root_stat);
    }
    let mut open = vec![Open { rows, on_demand: None }];
    while let Some(current) = open.last_mut() {
        let Some(stretch) = current.rows.last_mut() else {
            if current.on_demand.is_some_and(|at| at + 1 == entries.len()) {
                entries.pop();
                stats.pop();
            }
            open.pop();
            continue;
        };
        let Some(row) = stretch.next() else {
            current.rows.pop();
            continue;
        };
        let Some(id) = row.dir else {
            entries.push(row.entry);
            stats.push(row.stat);
            continue;
        };
        let (entry, stat, rows) = describe(id, row.entry, row.stat);
        open.push(Open { rows, on_demand: row.on_demand.then_some(entries.len()) });
        entries.push(entry);
        stats.push(stat);
    }
    (entries, stats)
}

/// Turns every further name of a file into a hard link to the first.
fn link(entries: &mut [Entry], stats: &[Stat]) {
    let mut first = HashMap::new();
    for (index, stat) in stats.iter().enumerate().filter(|(_, stat)| stat.nlink > 1) {
        // Overlayfs makes all whiteouts of an upper links of one inode, and directories count
        // their subdirectories.
        if matches!(entries[index].node, Node::Dir { .. } | Node::Whiteout) {
            continue;
        }
        match first.entry((stat.dev, stat.ino)) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(index);
            }
            hash_map::Entry::Occupied(occupied) => {
                let target: &Entry = &entries[*occupied.get()];
                let link = Node::HardLink { target: target.path.clone() };
                let path = entries[index].path.clone();
                entries[index] = Entry { path, node: link, ..target.clone() };
            }
        }
    }
}
