use gantry_tree::{FileKind, Follow, Time, TreeError, TreePath, remove_tree};

use crate::common::{Place, path, skip};

#[test]
fn modes_are_exact_whatever_the_umask() {
    let place = Place::new();
    let root = place.root();
    root.mkdir(&path("d"), 0o2777).unwrap();
    root.mkdir_all(&path("d/e/f"), 0o777).unwrap();
    root.create_file(&path("d/file"), 0o4666).unwrap();
    root.mknod(&path("fifo"), FileKind::Fifo, (0, 0), 0o666).unwrap();
    let mode = |at: &str| root.stat(&path(at), Follow::Parents).unwrap().mode;
    assert_eq!(mode("d"), 0o2777);
    assert_eq!(mode("d/e/f") & 0o777, 0o777);
    assert_eq!(mode("d/file"), 0o4666);
    assert_eq!(mode("fifo"), 0o666);
    // Those that are there stay as they are.
    root.mkdir_all(&path("d/e"), 0o700).unwrap();
    assert_eq!(mode("d/e") & 0o777, 0o777);
}

#[test]
fn metadata_is_set_on_links_themselves() {
    let place = Place::with(&[("file", "x")]);
    let root = place.root();
    root.symlink(b"file", &path("link")).unwrap();
    let mtime = Time { secs: -5, nanos: 7 };
    root.set_mtime(&path("link"), mtime).unwrap();
    assert_eq!(root.stat(&path("link"), Follow::Parents).unwrap().mtime, mtime);
    assert_ne!(root.stat(&path("file"), Follow::Parents).unwrap().mtime, mtime);
    assert!(root.set_mode(&path("link"), 0o600).is_err());
    root.set_mode(&path("file"), 0o600).unwrap();
    assert_eq!(root.stat(&path("link"), Follow::Last).unwrap().mode, 0o600);
    assert_eq!(root.readlink(&path("link")).unwrap(), b"file");
    assert!(root.readlink(&path("file")).is_err());
}

#[test]
fn attributes_come_and_go() {
    let place = Place::with(&[("file", "x")]);
    let root = place.root();
    if let Err(error) = root.set_xattr(&path("file"), b"user.b", b"2") {
        return skip("xattrs", &error);
    }
    root.set_xattr(&path("file"), b"user.a", &[0; 2000]).unwrap();
    let expected = [(b"user.a".to_vec(), vec![0; 2000]), (b"user.b".to_vec(), b"2".to_vec())];
    assert_eq!(root.xattrs(&path("file")).unwrap(), expected);
    root.remove_xattr(&path("file"), b"user.a").unwrap();
    root.remove_xattr(&path("file"), b"user.a").unwrap();
    assert_eq!(root.xattrs(&path("file")).unwrap().len(), 1);
    assert_eq!(root.xattrs(&TreePath::root()).unwrap(), []);
}

#[test]
fn only_regular_files_are_opened() {
    let place = Place::with(&[("file", "text"), ("dir/", "")]);
    let root = place.root();
    root.mknod(&path("fifo"), FileKind::Fifo, (0, 0), 0o644).unwrap();
    root.symlink(b"file", &path("link")).unwrap();
    assert!(matches!(
        root.open_file(&path("fifo"), Follow::Last),
        Err(TreeError::NotAFile { path }) if path == "fifo"
    ));
    assert!(root.open_file(&path("dir"), Follow::Last).is_err());
    assert!(root.open_file(&path("link"), Follow::Parents).is_err());
    assert_eq!(root.read(&path("link"), 4).unwrap().unwrap(), b"text");
    assert_eq!(root.read(&path("link"), 3).unwrap(), None);
}

#[test]
fn listings_are_sorted() {
    let place = Place::with(&[("b", ""), ("a", ""), ("c/", ""), ("a-", "")]);
    let names: Vec<_> = place
        .root()
        .read_dir(&TreePath::root(), Follow::Parents)
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name, entry.kind))
        .collect();
    let expected = [
        (b"a".to_vec(), FileKind::File),
        (b"a-".to_vec(), FileKind::File),
        (b"b".to_vec(), FileKind::File),
        (b"c".to_vec(), FileKind::Dir),
    ];
    assert_eq!(names, expected);
}

#[test]
fn paths_beyond_the_limit_of_the_kernel_work() {
    let place = Place::new();
    let root = place.root();
    // 30 names of 255 bytes each are nearly twice PATH_MAX.
    let deep = path(&vec!["n".repeat(255); 30].join("/"));
    root.mkdir_all(&deep, 0o755).unwrap();
    let file = deep.join("file").unwrap();
    root.create_file(&file, 0o600).unwrap();
    assert_eq!(root.stat(&file, Follow::Last).unwrap().kind, FileKind::File);
    assert_eq!(root.resolve(&file, Follow::Last).unwrap(), file);
    assert_eq!(place.scan().manifest.entries().len(), 31);
    remove_tree(place.tree()).unwrap();
    assert!(!place.tree().exists());
}

#[test]
fn errors_name_the_path() {
    let place = Place::new();
    let error = place.root().stat(&path("no/such"), Follow::Last).unwrap_err();
    assert_eq!(error.to_string(), "Failed to stat `no/such`");
    assert!(error.is_not_found());
}
