//! Which files of an earlier layer can stand for files of the copy.

use std::collections::HashMap;

use crate::{ContentId, Entry, Manifest, Node};

/// For each entry of `wanted`, the index of the donor's entry that is the same inode but for its
/// name. No donor is given twice: two files that were separate stay so.
pub(super) fn choose(wanted: &Manifest, donor: &Manifest) -> Vec<Option<usize>> {
    let mut chosen = vec![None; wanted.entries().len()];
    let mut used = vec![false; donor.entries().len()];
    let mut open = Vec::new();
    // Nearly always the same file has the same path, and both lists are sorted.
    let mut at = 0;
    for (index, entry) in wanted.entries().iter().enumerate() {
        if !entry.content().is_some_and(|content| content.is_read()) {
            continue;
        }
        while donor.entries().get(at).is_some_and(|other| other.path < entry.path) {
            at += 1;
        }
        match donor.entries().get(at) {
            Some(other) if other.path == entry.path && is_same(entry, other) => {
                chosen[index] = Some(at);
                used[at] = true;
            }
            _ => open.push(index),
        }
    }
    if open.is_empty() {
        return chosen;
    }
    let mut by_content: HashMap<ContentId, Vec<usize>> = HashMap::new();
    for (at, entry) in donor.entries().iter().enumerate().filter(|(at, _)| !used[*at]) {
        if let Some(content) = entry.content() {
            by_content.entry(content).or_default().push(at);
        }
    }
    for index in open {
        let entry = &wanted.entries()[index];
        let Some(others) = entry.content().and_then(|content| by_content.get_mut(&content)) else {
            continue;
        };
        let found = others.iter().position(|at| is_same(entry, &donor.entries()[*at]));
        chosen[index] = found.map(|found| others.swap_remove(found));
    }
    chosen
}

/// Says whether two files differ in nothing that an inode holds.
fn is_same(a: &Entry, b: &Entry) -> bool {
    matches!((&a.node, &b.node), (Node::File { .. }, Node::File { .. }))
        && a.node == b.node
        && (a.mode, a.uid, a.gid, a.mtime) == (b.mode, b.uid, b.gid, b.mtime)
        && a.xattrs == b.xattrs
}
