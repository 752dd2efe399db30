//! What is written is read back the same, by us and on disk.

use gantry_image::layer::{self, Ids, Limits, Note, UnpackOptions};
use gantry_image::{DiffId, Digest};
use gantry_tree::{Dialect, Manifest, Node, Root, ScanOptions, Time, View, scan};
use proptest::prelude::*;

use crate::support::{Tree, entry, file, is_root, path, trees};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_manifest_survives_its_tar(tree in trees()) {
        let tar = tree.tar();
        let read = layer::index(&mut &tar[..], &Limits::default()).unwrap();
        prop_assert_eq!(&read.manifest, &tree.manifest);
        prop_assert_eq!(read.diff_id, DiffId(Digest::of(&tar)));
        prop_assert_eq!(read.size, tar.len() as u64);
        prop_assert_eq!(read.notes, []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tree_on_disk_is_the_tars(tree in trees()) {
        let dir = tempfile::tempdir().unwrap();
        if !is_root(dir.path()) {
            return Ok(());
        }
        let root = Root::open(dir.path()).unwrap();
        let unpacked = layer::unpack(&mut &tree.tar()[..], &root, &UnpackOptions::root()).unwrap();
        prop_assert_eq!(&unpacked.manifest, &tree.manifest);
        let include_root = tree.manifest.entries().first().is_some_and(|e| e.path.is_root());
        let options = ScanOptions { dialect: Dialect::OverlayTrusted, include_root, ..ScanOptions::default() };
        let found = scan(&root, &options).unwrap().manifest;
        prop_assert_eq!(without_whiteout_times(found), tree.manifest);
    }
}

/// A whiteout on disk has a time, one in a tar hasn't; it means nothing.
fn without_whiteout_times(manifest: Manifest) -> Manifest {
    let entries = manifest.into_entries().into_iter().map(|mut entry| {
        if entry.node == Node::Whiteout {
            (entry.mtime, entry.mode, entry.uid, entry.gid) = (Time::default(), 0, 0, 0);
        }
        entry
    });
    Manifest::new(entries.collect()).unwrap()
}

#[test]
fn the_bytes_of_a_layer_are_pinned() {
    // Cached diff IDs and pushed layers hang on every byte of this.
    let mut tree = Tree::of(&[("bin/sh", "#!"), ("etc/motd", "hello\n")]);
    let mut entries = tree.manifest.into_entries();
    entries[0].mtime = Time { secs: 1_700_000_000, nanos: 500 };
    entries.push(entry("bin/gone", Node::Whiteout));
    entries.push(entry("bin/long", Node::Symlink { target: vec![b'x'; 120] }));
    tree.manifest = Manifest::new(entries).unwrap();
    let digest = |clamp| Digest::of(&tree.tar_clamped(clamp)).short();
    assert_eq!((digest(None), digest(Some(0))), PINNED.map(str::to_owned).into());
}

const PINNED: [&str; 2] = ["4824e378c0fb", "b633d1808b22"];

#[test]
fn a_clamp_lowers_times_and_never_raises_them() {
    let mut tree = Tree::of(&[("new", ""), ("old", "")]);
    let mut entries = tree.manifest.into_entries();
    entries[0].mtime = Time { secs: 2000, nanos: 7 };
    entries[1].mtime = Time { secs: 500, nanos: 7 };
    tree.manifest = Manifest::new(entries).unwrap();
    let tar = tree.tar_clamped(Some(1000));
    let read = layer::index(&mut &tar[..], &Limits::default()).unwrap().manifest;
    let times: Vec<Time> = read.entries().iter().map(|e| e.mtime).collect();
    assert_eq!(times, [Time { secs: 1000, nanos: 0 }, Time { secs: 500, nanos: 0 }]);
}

#[test]
fn whiteouts_come_before_their_siblings() {
    let entries = [
        ("d", Node::Dir { opaque: true }),
        ("d/a", file(b"")),
        ("d/z", Node::Whiteout),
        ("y", Node::Whiteout),
    ];
    let manifest = Manifest::new(entries.map(|(name, node)| entry(name, node)).to_vec()).unwrap();
    let tree = Tree { manifest, files: [(path("d/a"), Vec::new())].into() };
    let tar = tree.tar();
    let mut archive = tar::Archive::new(&tar[..]);
    let names = archive
        .entries()
        .unwrap()
        .map(|e| String::from_utf8(e.unwrap().path_bytes().to_vec()).unwrap());
    assert_eq!(names.collect::<Vec<_>>(), [".wh.y", "d/", "d/.wh..wh..opq", "d/.wh.z", "d/a"]);
}

#[test]
fn a_file_that_changed_its_length_is_no_layer() {
    let tree = Tree::of(&[("a", "12345")]);
    for content in [&b"1234"[..], b"123456"] {
        let mut open = |_: &gantry_tree::Entry| -> std::io::Result<Box<dyn std::io::Read>> {
            Ok(Box::new(content))
        };
        let failed = layer::write_tar(&tree.manifest, &mut open, None, &mut std::io::sink());
        assert!(matches!(failed, Err(layer::LayerError::Changed { .. })), "{failed:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_filled_and_keeps_its_time() {
    let tree = Tree::of(&[("ro/file", "x")]);
    let mut entries = tree.manifest.clone().into_entries();
    (entries[0].mode, entries[0].mtime.secs) = (0o555, 1234);
    let tree = Tree { manifest: Manifest::new(entries).unwrap(), ..tree };
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let options = UnpackOptions::rootless(Ids::Single);
    layer::unpack(&mut &tree.tar()[..], &root, &options).unwrap();
    let stat = root.stat(&path("ro"), gantry_tree::Follow::Parents).unwrap();
    assert_eq!((stat.mode, stat.mtime.secs), (0o555, 1234));
}

#[test]
fn rootless_skips_devices_and_keeps_whiteouts() {
    let entries = [
        ("null", Node::CharDevice { major: 1, minor: 3 }),
        ("gone", Node::Whiteout),
        ("q", Node::Dir { opaque: true }),
    ];
    let manifest = Manifest::new(entries.map(|(name, node)| entry(name, node)).to_vec()).unwrap();
    let tree = Tree { manifest: manifest.clone(), files: [].into() };
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let unpacked =
        layer::unpack(&mut &tree.tar()[..], &root, &UnpackOptions::rootless(Ids::Single)).unwrap();
    assert_eq!(unpacked.notes, [Note::Device(path("null"))]);
    assert_eq!(unpacked.manifest, manifest);
    let options = ScanOptions { dialect: Dialect::OverlayUser, ..ScanOptions::default() };
    let found = scan(&root, &options).unwrap().manifest;
    let nodes: Vec<_> =
        found.entries().iter().map(|e| (e.path.to_string(), e.node.clone())).collect();
    assert_eq!(
        nodes,
        [("gone".to_owned(), Node::Whiteout), ("q".to_owned(), Node::Dir { opaque: true })]
    );
}

#[test]
fn an_opaque_directory_spelled_out_shows_the_same_tree() {
    let lower = Tree::of(&[("d/a", ""), ("d/b", ""), ("e", "")]).manifest;
    let entries = [("d", Node::Dir { opaque: true }), ("d/b", file(b"new"))];
    let upper = Manifest::new(entries.map(|(name, node)| entry(name, node)).to_vec()).unwrap();
    let expanded = layer::expand_opaque(&upper, &View::new(&[&lower])).unwrap();
    let whiteouts =
        expanded.entries().iter().filter(|e| e.node == Node::Whiteout).map(|e| e.path.to_string());
    assert_eq!(whiteouts.collect::<Vec<_>>(), ["d/a"]);
}
