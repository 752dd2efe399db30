//! Tars that want out, or that mean two things (design §13). Each is refused, and leaves nothing
//! outside the directory that it was unpacked in.

use gantry_image::layer::{self, LayerError, Limits, Note, UnpackOptions};
use gantry_tree::{Follow, Node, Root, ScanOptions, TreePath, scan};
use proptest::prelude::*;

use crate::support::{RawTar, is_root, path, trees};

/// Unpacks below `outer/inner`, checks that `outer` holds nothing else, and that reading the
/// manifest alone gives the same answer.
#[track_caller]
fn unpack(tar: &[u8]) -> Result<layer::Unpacked, LayerError> {
    unpack_with(tar, &UnpackOptions::root())
}

#[track_caller]
fn unpack_with(tar: &[u8], options: &UnpackOptions) -> Result<layer::Unpacked, LayerError> {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    fs_err::create_dir(&inner).unwrap();
    fs_err::write(outer.path().join("victim"), "untouched").unwrap();
    let root = Root::open(&inner).unwrap();
    let unpacked = layer::unpack(&mut &tar[..], &root, options);
    let names = fs_err::read_dir(outer.path()).unwrap().map(|e| e.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["inner", "victim"]);
    assert_eq!(fs_err::read_to_string(outer.path().join("victim")).unwrap(), "untouched");
    let indexed = layer::index(&mut &tar[..], &options.limits);
    match (&unpacked, &indexed) {
        (Ok(unpacked), Ok(indexed)) => assert_eq!(unpacked.manifest, indexed.manifest),
        (Err(LayerError::Place { .. }), _) => {}
        (Err(unpacked), Err(indexed)) => assert_eq!(unpacked.to_string(), indexed.to_string()),
        (unpacked, indexed) => panic!("{unpacked:?} but {indexed:?}"),
    }
    // What was unpacked can be walked without leaving, whatever links it has.
    scan(&root, &ScanOptions::default()).unwrap();
    unpacked
}

#[track_caller]
fn refused(tar: RawTar, why: &str) {
    let err = unpack(&tar.end()).expect_err(why);
    assert!(err.is_invalid(), "{err:?}");
    assert!(err.to_string().contains(why), "{err}");
}

fn tar() -> RawTar {
    RawTar::default()
}

#[test]
fn names_that_lead_out() {
    refused(tar().file("../victim", "x"), "`..`");
    refused(tar().file("a/../../victim", "x"), "`..`");
    refused(tar().file("/victim", "x"), "absolute");
    refused(tar().pax(&[("path", "../victim")]).file("ok", "x"), "`..`");
    refused(tar().dir(".."), "`..`");
}

#[test]
fn a_link_is_never_written_through() {
    refused(tar().symlink("l", "..").file("l/victim", "x"), "symbolic link");
    refused(tar().symlink("l", "/tmp").dir("l/d"), "symbolic link");
    refused(tar().symlink("l", "..").file("l/a/b", "x"), "symbolic link");
    refused(tar().symlink("l", "../victim").file("l/.wh.x", ""), "symbolic link");
    refused(
        tar()
            .symlink("l", "..")
            .file("l/.wh..wh..opq", "")
            .file("l/x", "")
            .symlink("l", "..")
            .file("l/x", ""),
        "symbolic link",
    );
    refused(tar().file("f", "").file("f/x", ""), "no directory");
    // A link at the very name is replaced, and not followed.
    let unpacked = unpack(&tar().symlink("l", "../victim").file("l", "x").end()).unwrap();
    assert!(matches!(unpacked.manifest.entries()[0].node, Node::File { size: 1, .. }));
}

#[test]
fn hard_links_stay_in_the_layer() {
    refused(tar().hard_link("h", "../victim"), "leads out");
    refused(tar().hard_link("h", "/etc/passwd"), "not in the layer");
    refused(tar().hard_link("h", "later").file("later", ""), "not in the layer");
    refused(tar().symlink("l", "..").hard_link("h", "l/victim"), "not in the layer");
    refused(tar().dir("d").hard_link("h", "d"), "no file");
    refused(tar().file("f", "").hard_link("f", "f"), "itself");
    refused(tar().file("d/f", "").hard_link("d", "d/f"), "replaces");
    // A link to a symbolic link is one to the link itself, and writing it anew writes no target.
    let unpacked =
        unpack(&tar().symlink("l", "../victim").hard_link("h", "l").file("h", "x").end()).unwrap();
    assert!(matches!(unpacked.manifest.get(&path("l")).unwrap().node, Node::Symlink { .. }));
}

#[test]
fn later_names_win() {
    let unpacked = unpack(
        &tar().file("a", "1").file("a", "22").dir("b").file("b/x", "").file("b", "333").end(),
    )
    .unwrap();
    let sizes: Vec<_> =
        unpacked.manifest.entries().iter().map(|e| (e.path.to_string(), e.size())).collect();
    assert_eq!(sizes, [("a".to_owned(), 2), ("b".to_owned(), 3)]);
    // The other name of a file that was replaced keeps the old bytes.
    let unpacked = unpack(&tar().file("a", "1").hard_link("b", "a").file("a", "22").end()).unwrap();
    assert_eq!(unpacked.manifest.get(&path("b")).unwrap().size(), 1);
    // Whichever name came first, the first in order is the file.
    let unpacked = unpack(&tar().file("z", "1").hard_link("a", "z").end()).unwrap();
    assert_eq!(
        unpacked.manifest.get(&path("z")).unwrap().node,
        Node::HardLink { target: path("a") }
    );
}

#[test]
fn whiteouts_of_nothing_and_auf_leftovers() {
    refused(tar().file(".wh.", ""), "without a name");
    refused(tar().file("d/.wh...", ""), "`.` or `..`");
    refused(tar().file(".wh..", ""), "`.` or `..`");
    refused(tar().file(".wh.d/x", ""), "called like a whiteout");
    let unpacked = unpack(
        &tar().dir(".wh..wh.plnk").file(".wh..wh.plnk/12.34", "x").file(".wh..wh.aufs", "").end(),
    )
    .unwrap();
    assert_eq!(unpacked.manifest.entries(), []);
}

#[test]
fn whiteouts_and_what_they_hide() {
    // Deleted and made anew: the new directory shows nothing of the old one.
    for tar in
        [tar().file(".wh.d", "").dir("d").file("d/x", ""), tar().file(".wh.d", "").file("d/x", "")]
    {
        let unpacked = unpack(&tar.end()).unwrap();
        assert_eq!(unpacked.manifest.get(&path("d")).unwrap().node, Node::Dir { opaque: true });
    }
    // A whiteout behind what it names deletes it.
    let unpacked = unpack(&tar().dir("d").file("d/x", "").file(".wh.d", "").end()).unwrap();
    assert_eq!(
        unpacked.manifest.entries().iter().map(|e| &e.node).collect::<Vec<_>>(),
        [&Node::Whiteout]
    );
    // The root itself may be opaque, and a 0/0 device is a whiteout to overlayfs.
    let unpacked = unpack(&tar().file(".wh..wh..opq", "").add(b'3', "c", "", b"").end()).unwrap();
    assert_eq!(unpacked.manifest.get(&TreePath::root()).unwrap().node, Node::Dir { opaque: true });
    assert_eq!(unpacked.manifest.get(&path("c")).unwrap().node, Node::Whiteout);
}

#[test]
fn sizes_that_contradict_each_other() {
    refused(tar().pax(&[("size", "1")]).file("f", "22"), "by PAX");
    refused(tar().pax(&[("size", "512")]).file("f", ""), "by PAX");
    refused(tar().pax(&[("size", "1"), ("size", "2")]).file("f", "x"), "twice");
    refused(tar().pax(&[("path", "a")]).pax(&[("path", "b")]).file("f", "x"), "two PAX headers");
    refused(tar().add(b'g', "g", "", b"9 size=1\n").file("f", ""), "global");
    refused(tar().pax(&[("path", "a")]), "next member");
    assert!(unpack(&tar().pax(&[("size", "1")]).file("f", "x").end()).is_ok());
    assert!(unpack(&tar().add(b'g', "g", "", b"17 comment=hello\n").file("f", "").end()).is_ok());
    // Links have no data, whatever they say: the next header follows at once, as docker reads it.
    let mut tar = tar().file("a", "");
    tar.header(b'1', "b", "a", 512);
    assert_eq!(unpack(&tar.file("c", "").end()).unwrap().manifest.entries().len(), 3);
}

#[test]
fn what_never_ends_is_given_up() {
    let limits = Limits { bytes: 1000, entries: 5 };
    let options = UnpackOptions { limits, ..UnpackOptions::root() };
    let many = (0..6).fold(tar(), |tar, n| tar.file(&n.to_string(), ""));
    assert!(matches!(unpack_with(&many.end(), &options), Err(LayerError::TooLarge { .. })));
    let big = tar().file("big", &"x".repeat(1001));
    assert!(matches!(unpack_with(&big.end(), &options), Err(LayerError::TooLarge { .. })));
    // A file of holes alone takes no space in the tar.
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "9000000000000000000"),
        ("GNU.sparse.name", "s"),
    ];
    let sparse = tar().pax(&records).file("x", &format!("0\n{}", "\0".repeat(510)));
    assert!(matches!(unpack(&sparse.end()), Err(LayerError::TooLarge { .. })));
}

#[test]
fn sizes_beyond_octal_are_counted_exactly() {
    let size = 9_u64 << 30;
    let mut tar = tar();
    tar.header(b'0', "big", "", size);
    for (bytes, too_large) in [(size - 1, true), (size, false)] {
        let err =
            layer::index(&mut &tar.0[..], &Limits { bytes, ..Limits::default() }).unwrap_err();
        assert_eq!(matches!(err, LayerError::TooLarge { .. }), too_large, "{err}");
    }
}

#[test]
fn overlayfs_gets_no_orders_from_a_layer() {
    let dir = tempfile::tempdir().unwrap();
    if !is_root(dir.path()) {
        return;
    }
    let records = [
        ("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
        ("SCHILY.xattr.user.overlay.opaque", "y"),
        ("SCHILY.xattr.user.fine", "1"),
    ];
    let tar = tar().pax(&records).dir("d").end();
    let root = Root::open(dir.path()).unwrap();
    let unpacked = layer::unpack(&mut &tar[..], &root, &UnpackOptions::root()).unwrap();
    assert_eq!(unpacked.manifest.entries()[0].xattrs, [(b"user.fine".to_vec(), b"1".to_vec())]);
    assert_eq!(root.xattrs(&path("d")).unwrap(), [(b"user.fine".to_vec(), b"1".to_vec())]);
    assert!(matches!(unpacked.notes[..], [Note::Xattr { .. }, Note::Xattr { .. }]));
}

#[test]
fn missing_parents_are_added_and_said() {
    let unpacked = unpack(&tar().file("a/b/c", "").end()).unwrap();
    assert_eq!(unpacked.notes, [Note::Implied(path("a")), Note::Implied(path("a/b"))]);
    assert_eq!(unpacked.manifest.get(&path("a")).unwrap().mode, 0o755);
}

#[test]
fn a_tar_that_is_cut_or_garbled_is_an_error() {
    let tar = tar().file("a", "hello").end();
    for cut in [1, 100, 511, 513, 700] {
        assert!(unpack(&tar[..cut]).is_err(), "{cut}");
    }
    // No end mark at all is taken, as docker takes it, and so is anything behind it.
    assert!(unpack(&tar[..1024]).is_ok());
    let trailing = [&tar[..], b"anything"].concat();
    assert_eq!(unpack(&trailing).unwrap().size, trailing.len() as u64);
    let mut garbled = tar.clone();
    garbled[0] ^= 1;
    assert!(unpack(&garbled).unwrap_err().to_string().contains("checksum"));
    let lone = [&[0; 512][..], &tar[..]].concat();
    assert!(unpack(&lone).unwrap_err().to_string().contains("single zero block"));
}

#[test]
fn a_directory_replaced_by_a_link_takes_its_contents_along() {
    let tar = tar().file("d/x", "").symlink("d", "/").file("e/.wh.x", "");
    let unpacked = unpack(&tar.end()).unwrap();
    assert!(unpacked.manifest.get(&path("d/x")).is_none());
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let tar = RawTar::default().file("d/x", "").file("d", "now a file").end();
    layer::unpack(&mut &tar[..], &root, &UnpackOptions::root()).unwrap();
    assert_eq!(root.stat(&path("d"), Follow::Parents).unwrap().size, 10);
}

/// Changes some bytes, and repairs the checksums so that more than the checksum is tested.
fn mutate(tar: &mut [u8], changes: &[(prop::sample::Index, u8)], repair: bool) {
    for (at, byte) in changes {
        let at = at.index(tar.len());
        tar[at] = *byte;
    }
    if repair {
        for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_make_it_panic_or_write_outside(
        tree in trees(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        repair in proptest::bool::weighted(0.9),
    ) {
        let mut tar = tree.tar();
        mutate(&mut tar, &changes, repair);
        let limits = Limits { bytes: 8 << 20, entries: 10_000 };
        let _ = unpack_with(&tar, &UnpackOptions { limits, ..UnpackOptions::root() });
    }

    #[test]
    fn any_bytes_at_all_are_an_error_or_a_tar(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = layer::index(&mut &data[..], &Limits::default());
    }
}
