//! What several tests need: a temporary tree, and trees as proptest draws them.

use std::path::{Path, PathBuf};

use gantry_tree::{
    ContentId, Entry, Manifest, Node, Root, Scan, ScanOptions, Time, TreePath, scan,
};
use proptest::prelude::*;

/// A directory that goes away with the test, and the tree `t` in it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("t")).unwrap();
        Self { dir }
    }

    /// A place whose tree holds these files (`dir/` for a directory).
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let place = Self::new();
        for (path, content) in files {
            let full = place.tree().join(path);
            fs_err::create_dir_all(full.parent().unwrap()).unwrap();
            if path.ends_with('/') {
                fs_err::create_dir_all(full).unwrap();
            } else {
                fs_err::write(full, content).unwrap();
            }
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.path().join("t")
    }

    pub(crate) fn root(&self) -> Root {
        Root::open(self.tree()).unwrap()
    }

    pub(crate) fn scan(&self) -> Scan {
        scan(&self.root(), &ScanOptions::default()).unwrap()
    }

    /// A second, empty directory to copy to.
    pub(crate) fn target(&self) -> Root {
        fs_err::create_dir_all(self.path().join("out")).unwrap();
        Root::open(self.path().join("out")).unwrap()
    }
}

pub(crate) fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub(crate) fn file(at: &str, content: &str) -> Entry {
    let node =
        Node::File { size: content.len() as u64, content: ContentId::of(content.as_bytes()) };
    Entry { node, mode: 0o644, ..Entry::plain_dir(path(at)) }
}

/// A directory of whoever runs the test, who may not be able to give files away.
pub(crate) fn own_dir(at: TreePath) -> Entry {
    let (uid, gid) = own_ids();
    Entry { uid, gid, ..Entry::plain_dir(at) }
}

pub(crate) fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

pub(crate) fn dir(at: &str) -> Entry {
    Entry::plain_dir(path(at))
}

pub(crate) fn link(at: &str, target: &str) -> Entry {
    Entry { node: Node::Symlink { target: target.into() }, mode: 0o777, ..dir(at) }
}

pub(crate) fn whiteout(at: &str) -> Entry {
    Entry { node: Node::Whiteout, mode: 0, ..dir(at) }
}

pub(crate) fn manifest(entries: Vec<Entry>) -> Manifest {
    Manifest::with_parents(entries, Entry::plain_dir).unwrap()
}

pub(crate) fn paths(manifest: &Manifest) -> Vec<String> {
    manifest.entries().iter().map(|entry| entry.path.to_string()).collect()
}

/// Says why a test does nothing, unless the environment demands that it does something.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub(crate) fn skip(what: &str, reason: &dyn std::fmt::Display) {
    let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|r| r == what), "{what} is required, but: {reason}");
    eprintln!("skipped: {reason}");
}

/// A short name out of few, so that the layers of a stack meet each other.
pub(crate) fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "b-c", "c"])
}

pub(crate) fn time() -> impl Strategy<Value = Time> {
    (any::<i64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Time { secs, nanos })
}

/// A layer of few names: files, directories (some opaque), links, whiteouts, hard links.
pub(crate) fn layer(whiteouts: bool) -> impl Strategy<Value = Manifest> {
    let node = prop_oneof![
        4 => (any::<u8>()).prop_map(|n| Node::File { size: 1, content: ContentId::of(&[n]) }),
        3 => Just(Node::Dir { opaque: false }),
        1 => Just(Node::Dir { opaque: true }),
        1 => Just(Node::Fifo),
        1 => Just(Node::CharDevice { major: 1, minor: 3 }),
        1 => name().prop_map(|to| Node::Symlink { target: to.into() }),
        2 => Just(Node::Whiteout),
    ];
    let names = prop::collection::vec(name(), 1..4);
    let xattrs = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    let entry = (names, node, 0..0o10000_u32, 0..3_u32, time(), xattrs);
    (prop::collection::vec(entry, 0..14), any::<bool>()).prop_map(move |(drawn, linked)| {
        let mut all = std::collections::BTreeMap::new();
        for (names, node, mode, id, mtime, xattr) in drawn {
            if node == Node::Whiteout && !whiteouts {
                continue;
            }
            let path = path(&names.join("/"));
            let xattrs = xattr.map(|value| (b"user.x".to_vec(), value)).into_iter().collect();
            let entry = Entry { path: path.clone(), node, mode, uid: id, gid: id, mtime, xattrs };
            let taken = all.contains_key(&path)
                || path.ancestors().any(|p| all.get(&p).is_some_and(|e: &Entry| !e.is_dir()))
                || all.keys().any(|p: &TreePath| p.starts_with(&path) && !entry.is_dir());
            if !taken {
                all.insert(path, entry);
            }
        }
        let mut entries: Vec<Entry> = all.into_values().collect();
        if linked {
            hard_link(&mut entries);
        }
        manifest(entries)
    })
}

/// Makes the last file a further name of the first.
fn hard_link(entries: &mut [Entry]) {
    let is_file = |entry: &Entry| matches!(entry.node, Node::File { .. });
    let (Some(first), Some(last)) =
        (entries.iter().position(is_file), entries.iter().rposition(is_file))
    else {
        return;
    };
    if first != last {
        let path = entries[last].path.clone();
        let node = Node::HardLink { target: entries[first].path.clone() };
        entries[last] = Entry { path, node, ..entries[first].clone() };
    }
}
