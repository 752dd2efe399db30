//! The mountable index, mounted by the kernel: it shows what the manifest says.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use fs_err as fs;
use gantry_image::layer::{self, IndexError, Limits, Offsets};
use gantry_tree::{
    ContentId, Dialect, Entry, Follow, Manifest, Node, Root, ScanOptions, Time, scan,
};
use proptest::prelude::*;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use crate::support::{RawTar, Tree, entry, file, path, skip, trees};

fn mount(tar: &Path, index: &Path) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", index)?;
    fsconfig_set_string(&context, "device", tar)?;
    fsconfig_set_flag(&context, "ro")?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// A layer's two files.
struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    fn new(manifest: &Manifest, offsets: &Offsets, tar: &[u8]) -> Self {
        let pair = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(pair.tar(), tar).unwrap();
        fs::write(pair.index(), index_of(manifest, offsets)).unwrap();
        pair
    }

    fn of(tree: &Tree) -> Self {
        Self::new(&tree.manifest, &Offsets::of_written(&tree.manifest), &tree.tar())
    }

    fn tar(&self) -> PathBuf {
        self.dir.path().join("tar")
    }

    fn index(&self) -> PathBuf {
        self.dir.path().join("index")
    }

    /// Mounts it, if that can be done here.
    fn mounted(&self) -> Option<Root> {
        match mount(&self.tar(), &self.index()) {
            Ok(mount) => Some(Root::from_fd(mount)),
            // Damaged images have other errors, which are no reason to skip.
            Err(
                error @ (rustix::io::Errno::PERM
                | rustix::io::Errno::NODEV
                | rustix::io::Errno::NOTBLK),
            ) => {
                skip("index", &format!("an EROFS image in a file can't be mounted: {error}"));
                None
            }
            Err(error) => panic!("mounting: {error}"),
        }
    }
}

fn index_of(manifest: &Manifest, offsets: &Offsets) -> Vec<u8> {
    let mut index = Vec::new();
    let root = Entry::plain_dir(gantry_tree::TreePath::root());
    layer::write_index(manifest, offsets, &root, &mut index).unwrap();
    index
}

/// What a mount shows, in the words of a manifest.
fn shown(root: &Root, manifest: &Manifest) -> Manifest {
    let include_root = manifest.entries().first().is_some_and(|entry| entry.path.is_root());
    let options =
        ScanOptions { dialect: Dialect::OverlayTrusted, include_root, ..ScanOptions::default() };
    scan(root, &options).unwrap().manifest
}

fn check(tree: &Tree) {
    let pair = Pair::of(tree);
    let Some(root) = pair.mounted() else { return };
    assert_eq!(shown(&root, &tree.manifest), tree.manifest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_mounted_index_shows_the_manifest(tree in trees()) {
        let tar = tree.tar();
        let offsets = Offsets::of_written(&tree.manifest);
        // Reading the tar finds the files where writing it says that they are.
        let read = layer::index(&mut &tar[..], &Limits::default()).unwrap();
        prop_assert_eq!(&read.offsets, &offsets);
        let pair = Pair::new(&tree.manifest, &offsets, &tar);
        if let Some(root) = pair.mounted() {
            prop_assert_eq!(shown(&root, &tree.manifest), tree.manifest);
        }
    }
}

#[test]
fn every_kind_of_entry_is_shown() {
    let mut tree = Tree::of(&[("a/file", "hello"), ("a/empty", ""), ("z", "end")]);
    let capability =
        b"\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let mut entries = tree.manifest.into_entries();
    for entry in &mut entries {
        entry.mtime = Time { secs: 1_700_000_000, nanos: 123_456_789 };
        if entry.path == path("a/file") {
            entry.mode = 0o4755;
            (entry.uid, entry.gid) = (70_000, 4_000_000_000);
            entry.xattrs = vec![
                (b"security.capability".to_vec(), capability.to_vec()),
                (b"user.one".to_vec(), vec![7; 1000]),
            ];
        }
    }
    entries.push(entry("a/again", Node::HardLink { target: path("a/file") }));
    let real = entries.iter().find(|entry| entry.path == path("a/file")).unwrap().clone();
    let link = entries.last_mut().unwrap();
    *link = Entry { path: link.path.clone(), node: link.node.clone(), ..real };
    // The first name in order is the file.
    let (first, second) = (path("a/again"), path("a/file"));
    for entry in &mut entries {
        if entry.path == first {
            entry.node = file(b"hello");
        } else if entry.path == second {
            entry.node = Node::HardLink { target: first.clone() };
        }
    }
    tree.files.insert(first, b"hello".to_vec());
    entries.push(Entry { mode: 0o755, ..entry("opaque", Node::Dir { opaque: true }) });
    entries.push(entry("gone", Node::Whiteout));
    entries.push(entry("null", Node::CharDevice { major: 1, minor: 3 }));
    entries.push(entry("disk", Node::BlockDevice { major: 259, minor: 70_000 }));
    entries.push(entry("pipe", Node::Fifo));
    let symlink = |name: &str, length: usize| Entry {
        mode: 0o777,
        ..entry(name, Node::Symlink { target: vec![b't'; length] })
    };
    entries.extend([symlink("short", 1), symlink("long", 383), symlink("longest", 4095)]);
    tree.manifest = Manifest::new(entries).unwrap();
    check(&tree);
    let pair = Pair::of(&tree);
    let Some(root) = pair.mounted() else { return };
    let stat = root.stat(&path("a/file"), Follow::Parents).unwrap();
    assert_eq!((stat.nlink, stat.size), (2, 5));
    assert_eq!(root.stat(&path("a"), Follow::Parents).unwrap().nlink, 2);
    assert_eq!(root.stat(&path(""), Follow::Parents).unwrap().nlink, 4);
}

#[test]
fn large_directories_and_long_names_are_found() {
    let mut files: Vec<(String, String)> =
        (0..10_000).map(|number| (format!("many/file-{number:05}"), number.to_string())).collect();
    // Names on both sides of `.` and `..`, and of all lengths up to the longest.
    for name in ["!", "-", ".!", "..!", "...", ".a", "a", "\u{e9}"] {
        files.push((format!("odd/{name}"), name.to_owned()));
    }
    for length in 1..=255 {
        files.push((format!("names/{}", "n".repeat(length)), String::new()));
    }
    let deep = vec!["d".repeat(200); 40].join("/");
    files.push((deep.clone(), "deep".to_owned()));
    let list: Vec<(&str, &str)> = files.iter().map(|(name, data)| (&**name, &**data)).collect();
    let tree = Tree::of(&list);
    check(&tree);
    let pair = Pair::of(&tree);
    let Some(root) = pair.mounted() else { return };
    for (name, data) in files.iter().step_by(7) {
        let read = root.read(&path(name), 100).unwrap().unwrap();
        assert_eq!(read, data.as_bytes(), "{name}");
    }
    assert!(root.stat(&path("many/file-1"), Follow::Parents).unwrap_err().is_not_found());
    assert_eq!(root.read(&path(deep), 100).unwrap().unwrap(), b"deep");
}

#[test]
fn a_file_beyond_4_gib_is_read_at_its_end() {
    const SIZE: u64 = (5 << 30) + 12_345;
    let mut big = entry("big", Node::File { size: SIZE, content: ContentId([1; 32]) });
    big.mode = 0o600;
    let manifest = Manifest::new(vec![big, entry("small", file(b"behind it"))]).unwrap();
    let offsets = Offsets::of_written(&manifest);
    let pair = Pair::new(&manifest, &offsets, b"");
    let mut tar = fs::OpenOptions::new().write(true).open(pair.tar()).unwrap();
    tar.set_len(offsets.tar_size()).unwrap();
    let mut put = |at: u64, bytes: &[u8]| {
        tar.seek(SeekFrom::Start(at)).unwrap();
        tar.write_all(bytes).unwrap();
    };
    put(offsets.get(0).unwrap() + SIZE - 3, b"end");
    put(offsets.get(1).unwrap(), b"behind it");
    let Some(root) = pair.mounted() else { return };
    let mut file = root.open_file(&path("big"), Follow::Parents).unwrap();
    assert_eq!(file.metadata().unwrap().len(), SIZE);
    file.seek(SeekFrom::Start(SIZE - 5)).unwrap();
    let mut end = Vec::new();
    file.read_to_end(&mut end).unwrap();
    assert_eq!(end, b"\0\0end");
    assert_eq!(root.read(&path("small"), 100).unwrap().unwrap(), b"behind it");
}

#[test]
fn a_foreign_tar_is_indexed_as_it_is_read() {
    // Replaced members, a link that comes first in order, parents left out.
    let tar = RawTar::default()
        .file("z/file", "old")
        .file("z/file", "new")
        .hard_link("a", "z/file")
        .file("z/other", "other")
        .file(".wh.gone", "")
        .end();
    let read = layer::index(&mut &tar[..], &Limits::default()).unwrap();
    let pair = Pair::new(&read.manifest, &read.offsets, &tar);
    let Some(root) = pair.mounted() else { return };
    assert_eq!(shown(&root, &read.manifest), read.manifest);
    assert_eq!(root.read(&path("a"), 100).unwrap().unwrap(), b"new");
}

#[test]
fn what_an_index_cannot_say_has_none() {
    let unfit = |entry: Entry| {
        let manifest = Manifest::new(vec![entry]).unwrap();
        let root = Entry::plain_dir(gantry_tree::TreePath::root());
        let mut out = Vec::new();
        let offsets = Offsets::of_written(&manifest);
        let result = layer::write_index(&manifest, &offsets, &root, &mut out);
        assert!(out.is_empty());
        match result {
            Err(IndexError::Unfit(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let with = |name: &[u8], value: usize| Entry {
        xattrs: vec![(name.to_vec(), vec![0; value])],
        ..entry("f", file(b""))
    };
    assert!(unfit(with(b"strange.name", 1)).contains("`strange.name` of `f`"));
    assert!(unfit(with(b"user.big", 65_536)).contains("user.big"));
    let huge = Node::File { size: (1 << 40) + 1, content: ContentId([1; 32]) };
    assert!(unfit(entry("huge", huge)).contains("too large"));
    assert!(unfit(entry(&"n".repeat(256), file(b""))).contains("too long"));
    assert!(unfit(entry("d", Node::CharDevice { major: 5000, minor: 1 })).contains("too large"));
    // A member with holes is not in one piece.
    let sparse = RawTar::default()
        .pax(&[
            ("GNU.sparse.major", "0"),
            ("GNU.sparse.minor", "1"),
            ("GNU.sparse.size", "1024"),
            ("GNU.sparse.map", "512,4"),
        ])
        .file("sparse", "data")
        .end();
    let read = layer::index(&mut &sparse[..], &Limits::default()).unwrap();
    let root = Entry::plain_dir(gantry_tree::TreePath::root());
    let result = layer::write_index(&read.manifest, &read.offsets, &root, &mut std::io::sink());
    assert!(matches!(result, Err(IndexError::Unfit(why)) if why.contains("one piece")));
}

#[test]
fn the_root_of_an_index_has_the_looks_that_it_was_given() {
    let manifest = Tree::of(&[("a", "")]).manifest;
    let mut root = Entry::plain_dir(gantry_tree::TreePath::root());
    (root.mode, root.uid, root.gid) = (0o1700, 5, 70_000);
    let mut file = tempfile::tempfile().unwrap();
    layer::write_index(&manifest, &Offsets::of_written(&manifest), &root, &mut file).unwrap();
    assert_eq!(layer::root_looks(&file).unwrap(), (0o1700, 5, 70_000));
    let other = tempfile::tempfile().unwrap();
    other.set_len(4096).unwrap();
    assert!(layer::root_looks(&other).is_err());
}

/// The sandbox tries with files that it brings along whether an index can be mounted. `BLESS=1`
/// writes them.
#[test]
fn the_sandboxs_trial_is_what_is_written() {
    let mut tree = Tree::of(&[("file", "works\n")]);
    let mut entries = tree.manifest.into_entries();
    entries.push(entry("gone", Node::Whiteout));
    entries.push(Entry { mode: 0o755, ..entry("hidden", Node::Dir { opaque: true }) });
    tree.manifest = Manifest::new(entries).unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/src/host");
    let index = index_of(&tree.manifest, &Offsets::of_written(&tree.manifest));
    for (name, bytes) in [("trial.tar", tree.tar()), ("trial.index", index)] {
        if std::env::var_os("BLESS").is_some() {
            fs::write(dir.join(name), &bytes).unwrap();
        }
        assert!(fs::read(dir.join(name)).unwrap() == bytes, "{name} is not what is written");
    }
}
