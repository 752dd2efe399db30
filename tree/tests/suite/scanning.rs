use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_tree::{
    ContentId, Contents, Dialect, Entry, FileKind, Node, Scan, ScanOptions, Stat, Time, TreeError,
    TreePath, Verdict, glance, scan,
};

use crate::common::{Place, path, paths, skip};

#[test]
fn a_tree_is_listed_with_all_that_it_holds() {
    let place = Place::with(&[("a/file", "content"), ("a-b", ""), ("empty/", "")]);
    let root = place.root();
    root.symlink(b"../nowhere", &path("a/link")).unwrap();
    root.mknod(&path("fifo"), FileKind::Fifo, (0, 0), 0o640).unwrap();
    root.hard_link(&path("a/file"), &path("z")).unwrap();
    root.set_mode(&path("a/file"), 0o4751).unwrap();
    root.set_mtime(&path("a/file"), Time { secs: 1, nanos: 5 }).unwrap();
    root.set_mtime(&path("a"), Time { secs: 3, nanos: 0 }).unwrap();
    let scan = place.scan();
    let names = ["a", "a/file", "a/link", "a-b", "empty", "fifo", "z"];
    assert_eq!(paths(&scan.manifest), names);
    let get = |at: &str| scan.manifest.get(&path(at)).unwrap();
    let file = get("a/file");
    assert_eq!(file.node, Node::File { size: 7, content: ContentId::of(b"content") });
    assert_eq!((file.mode, file.mtime), (0o4751, Time { secs: 1, nanos: 5 }));
    assert_eq!(get("a").mtime, Time { secs: 3, nanos: 0 });
    assert_eq!(get("a/link").node, Node::Symlink { target: b"../nowhere".to_vec() });
    assert_eq!(get("fifo").node, Node::Fifo);
    assert_eq!(get("z").node, Node::HardLink { target: path("a/file") });
    assert_eq!(get("z").mode, 0o4751);
    assert_eq!(scan.stats.len(), names.len());
    assert_eq!(scan.manifest.total_size(), 7);
    // Three names, two of them of one file, which is read once.
    assert_eq!(scan.files_read, 2);
}

#[test]
fn names_need_not_be_text_and_may_be_long() {
    let place = Place::new();
    let long = [b'x'; 255];
    for name in [&b"\xff\xfe"[..], b"with\nnewline", b" ", &long] {
        fs_err::write(place.tree().join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    let manifest = place.scan().manifest;
    let names: Vec<&[u8]> = manifest.entries().iter().map(|e| e.path.as_bytes()).collect();
    assert_eq!(names, [&b" "[..], b"with\nnewline", &long, b"\xff\xfe"]);
}

#[test]
fn a_large_directory_and_large_files_come_whole_and_in_order() {
    let place = Place::new();
    for index in 0..2000 {
        fs_err::write(place.tree().join(format!("f{index:04}")), index.to_string()).unwrap();
    }
    let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n / 7) as u8).collect();
    fs_err::write(place.tree().join("large"), &large).unwrap();
    let exact = vec![1; 256 * 1024];
    fs_err::write(place.tree().join("exact"), &exact).unwrap();
    for workers in [1, 4] {
        let options = ScanOptions { workers, ..ScanOptions::default() };
        let scan = scan(&place.root(), &options).unwrap();
        assert_eq!(scan.manifest.entries().len(), 2002);
        for (index, entry) in scan.manifest.entries()[1..2001].iter().enumerate() {
            assert_eq!(entry.path, path(&format!("f{index:04}")));
            assert_eq!(entry.content(), Some(ContentId::of(index.to_string().as_bytes())));
        }
        let get = |at: &str| scan.manifest.get(&path(at)).unwrap().content();
        assert_eq!(get("large"), Some(ContentId::of(&large)));
        assert_eq!(get("exact"), Some(ContentId::of(&exact)));
    }
}

#[test]
fn what_is_filtered_out_is_not_looked_at() {
    let place = Place::with(&[
        ("keep/a", ""),
        ("node_modules/b/c", ""),
        ("deep/down/wanted", ""),
        ("deep/down/unwanted", ""),
        ("deep/nothing/unwanted", ""),
    ]);
    let asked = AtomicUsize::new(0);
    let filter = |path: &TreePath, kind: FileKind| {
        asked.fetch_add(1, Ordering::Relaxed);
        match (path.file_name().unwrap(), kind) {
            (b"node_modules" | b"unwanted", _) => Verdict::Skip,
            (_, FileKind::Dir) if path.starts_with(&crate::common::path("deep")) => {
                Verdict::Descend
            }
            _ => Verdict::Keep,
        }
    };
    let options = ScanOptions { filter: Some(&filter), ..ScanOptions::default() };
    let scan = scan(&place.root(), &options).unwrap();
    assert_eq!(paths(&scan.manifest), ["deep", "deep/down", "deep/down/wanted", "keep", "keep/a"]);
    assert_eq!(scan.stats.len(), 5);
    assert_eq!(asked.load(Ordering::Relaxed), 9);
}

#[test]
fn known_contents_are_not_read_again() {
    let place = Place::with(&[("same", "1"), ("other", "2"), ("touched", "3")]);
    let with_attribute = place.root().set_xattr(&path("same"), b"user.x", b"y").is_ok();
    let before = place.scan();
    let indexed: Vec<(TreePath, Stat, ContentId)> =
        before.indexable().map(|(path, stat, content)| (path.clone(), *stat, content)).collect();
    assert_eq!(indexed.len(), if with_attribute { 2 } else { 3 });
    fs_err::write(place.tree().join("touched"), "4").unwrap();
    let known = |path: &TreePath, stat: &Stat| {
        let line = indexed.iter().find(|(p, s, _)| p == path && s == stat);
        line.map(|(_, _, content)| *content)
    };
    let options = ScanOptions { known: Some(&known), ..ScanOptions::default() };
    let after = scan(&place.root(), &options).unwrap();
    assert_eq!(after.files_read, if with_attribute { 2 } else { 1 });
    let again = place.scan();
    assert_eq!(after.manifest, again.manifest);
}

#[test]
fn stat_only_reads_nothing() {
    let place = Place::with(&[("a", "1")]);
    let options =
        ScanOptions { contents: Contents::Skip, include_root: true, ..ScanOptions::default() };
    let scan = scan(&place.root(), &options).unwrap();
    assert_eq!(paths(&scan.manifest), ["/", "a"].map(|p| p.trim_matches('/')));
    assert_eq!(scan.manifest.entries()[1].content(), Some(ContentId::UNREAD));
    assert_eq!((scan.files_read, scan.indexable().count()), (0, 0));
}

#[test]
fn an_overlay_upper_is_read_in_its_dialect() {
    let place = Place::with(&[("dir/file", ""), ("plain/", "")]);
    let root = place.root();
    for gone in ["gone", "dir/gone"] {
        if let Err(error) = root.whiteout(&path(gone)) {
            return skip("root", &error);
        }
    }
    // Overlayfs links its whiteouts to each other.
    root.hard_link(&path("gone"), &path("gone2")).unwrap();
    for (at, name) in [("dir", &b"trusted.overlay.opaque"[..]), ("plain", b"user.overlay.opaque")] {
        if let Err(error) = root.set_xattr(&path(at), name, b"y") {
            return skip("root", &error);
        }
    }
    root.set_xattr(&path("dir/file"), b"trusted.overlay.origin", b"abc").unwrap();
    let read = |dialect| {
        let options = ScanOptions { dialect, ..ScanOptions::default() };
        scan(&root, &options).unwrap()
    };
    let get = |scan: &Scan, at: &str| -> Entry { scan.manifest.get(&path(at)).unwrap().clone() };
    let trusted = read(Dialect::OverlayTrusted);
    for gone in ["gone", "gone2", "dir/gone"] {
        assert_eq!(get(&trusted, gone).node, Node::Whiteout);
        assert_eq!(get(&trusted, gone).mtime, Time::default());
    }
    assert_eq!(get(&trusted, "dir").node, Node::Dir { opaque: true });
    assert_eq!(get(&trusted, "dir").xattrs, []);
    assert_eq!(get(&trusted, "dir/file").xattrs, []);
    // A process in a step may set the other dialect's attribute; it means nothing then.
    assert_eq!(get(&trusted, "plain").node, Node::Dir { opaque: false });
    assert_eq!(get(&trusted, "plain").xattrs.len(), 1);
    assert_eq!(get(&read(Dialect::OverlayUser), "plain").node, Node::Dir { opaque: true });
    let plain = read(Dialect::Plain);
    assert_eq!(get(&plain, "dir/gone").node, Node::CharDevice { major: 0, minor: 0 });
    assert_eq!(get(&plain, "dir").xattrs.len(), 1);

    root.set_xattr(&path("dir/file"), b"trusted.overlay.metacopy", b"").unwrap();
    let options = ScanOptions { dialect: Dialect::OverlayTrusted, ..ScanOptions::default() };
    assert!(
        matches!(scan(&root, &options), Err(TreeError::Indirect { path, .. }) if path == "dir/file")
    );
}

#[test]
fn what_goes_away_is_named() {
    let place = Place::with(&[("dir/a", ""), ("dir/file", "")]);
    let tree = place.tree();
    let filter = |path: &TreePath, _: FileKind| {
        if path.file_name() == Some(b"file") {
            fs_err::remove_file(tree.join("dir/file")).unwrap();
        }
        Verdict::Keep
    };
    let options = ScanOptions { filter: Some(&filter), ..ScanOptions::default() };
    let error = scan(&place.root(), &options).unwrap_err();
    assert_eq!(error.to_string(), "`dir/file` changed while it was being read");
    assert!(error.is_not_found());
}

#[test]
fn a_directory_that_becomes_a_link_is_an_error() {
    let place = Place::with(&[("dir/a", "")]);
    let tree = place.tree();
    let filter = |path: &TreePath, _: FileKind| {
        if path.file_name() == Some(b"dir") {
            fs_err::rename(tree.join("dir"), place.path().join("elsewhere")).unwrap();
            symlink("../elsewhere", tree.join("dir")).unwrap();
        }
        Verdict::Keep
    };
    let options = ScanOptions { filter: Some(&filter), ..ScanOptions::default() };
    let error = scan(&place.root(), &options).unwrap_err();
    assert!(matches!(error, TreeError::Changed { path, .. } if path == "dir"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let place = Place::with(&[("dir/secret", "x")]);
    let mode = std::fs::Permissions::from_mode(0o000);
    fs_err::set_permissions(place.tree().join("dir/secret"), mode).unwrap();
    match scan(&place.root(), &ScanOptions::default()) {
        Ok(_) => skip("unprivileged", &"this user may read every file"),
        Err(error) => assert_eq!(error.to_string(), "Failed to open `dir/secret`"),
    }
}

#[test]
fn a_glance_tells_what_a_scan_would() {
    let place =
        Place::with(&[("a/file", "content"), ("a-b", ""), ("left-out", ""), ("empty/", "")]);
    let root = place.root();
    let filter = |path: &TreePath, _: FileKind| match path.as_bytes() {
        b"left-out" => Verdict::Skip,
        _ => Verdict::Keep,
    };
    let options = ScanOptions { filter: Some(&filter), ..ScanOptions::default() };
    let look = || glance(&root, &options).unwrap().0;
    let first = look();
    assert_eq!(look(), first);
    fs_err::write(place.tree().join("left-out"), "longer").unwrap();
    assert_eq!(look().digest, first.digest, "what the filter drops is not looked at");
    let mut seen = vec![first.digest];
    let mut differs = |what: &str| {
        let now = look().digest;
        assert!(!seen.contains(&now), "{what}");
        seen.push(now);
    };
    fs_err::write(place.tree().join("a/file"), "longer than before").unwrap();
    differs("size");
    root.set_mtime(&path("a/file"), Time { secs: 7, nanos: 0 }).unwrap();
    differs("time");
    assert_eq!(look().newest_whole, Time { secs: 7, nanos: 0 });
    root.set_mode(&path("empty"), 0o700).unwrap();
    differs("mode of a directory");
    fs_err::rename(place.tree().join("a-b"), place.tree().join("a-c")).unwrap();
    differs("name");
    fs_err::remove_dir(place.tree().join("empty")).unwrap();
    differs("one less");
    fs_err::create_dir(place.tree().join("many")).unwrap();
    for number in 0..1500 {
        fs_err::write(place.tree().join(format!("many/{number}")), "").unwrap();
    }
    differs("more than one stretch");
    assert_eq!(look(), look());
}
