use std::os::unix::fs::{FileExt, MetadataExt};

use gantry_tree::{
    Chmod, ContentId, Contents, CopyItem, CopyPlan, Dialect, Donor, Entry, Existing, FileKind,
    Manifest, Node, Overrides, Root, ScanOptions, Time, TreeError, TreePath, View, copy, scan,
};
use proptest::prelude::*;

use crate::common::{Place, dir, file, layer, manifest, own_dir, own_ids, path, skip};

fn whole(manifest: &Manifest) -> CopyPlan<'static> {
    let mut plan = CopyPlan::default();
    let top = TreePath::root();
    plan.add_subtree(0, manifest, &top, &top, &Overrides::default());
    plan
}

fn scan_of(root: &Root) -> Manifest {
    scan(root, &ScanOptions::default()).unwrap().manifest
}

#[test]
fn a_copy_is_the_same_to_the_last_bit() {
    let place = Place::with(&[("d/e/file", "content"), ("big", ""), ("empty/", "")]);
    let root = place.root();
    fs_err::write(place.tree().join("big"), vec![7; 3_000_000]).unwrap();
    root.symlink(b"/etc/passwd", &path("d/link")).unwrap();
    root.hard_link(&path("big"), &path("d/big2")).unwrap();
    root.mknod(&path("fifo"), FileKind::Fifo, (0, 0), 0o622).unwrap();
    root.set_mode(&path("big"), 0o6755).unwrap();
    root.set_mode(&path("d/e"), 0o1777).unwrap();
    root.set_mode(&path("d/e/file"), 0o666).unwrap();
    let attributes = root.set_xattr(&path("d/e/file"), b"user.x", b"y").is_ok();
    for (at, secs) in [("d/link", 3), ("big", 4), ("d/e/file", -1), ("d/e", 6), ("d", 7)] {
        root.set_mtime(&path(at), Time { secs, nanos: 123_456_789 }).unwrap();
    }
    let owned = root.set_owner(&path("d/e/file"), 12, 34).is_ok()
        && root.set_mode(&path("d/e/file"), 0o6711).is_ok();
    let source = place.scan().manifest;
    let target = place.target();
    let copied = copy(&[&root], &target, &whole(&source)).unwrap();
    assert_eq!(copied.manifest, source);
    assert_eq!(scan_of(&target), source);
    assert_eq!(copied.bytes, 3_000_007);
    assert_eq!(copied.attributes_lost, 0);
    if !attributes {
        skip("xattrs", &"no user attributes here");
    }
    if !owned {
        skip("root", &"owners cannot be changed");
    }
}

#[test]
fn unread_contents_are_hashed_on_the_way() {
    let place = Place::with(&[("a", "1"), ("b/c", "22")]);
    fs_err::write(place.tree().join("large"), vec![1; 700_000]).unwrap();
    let options = ScanOptions { contents: Contents::Skip, ..ScanOptions::default() };
    let listed = scan(&place.root(), &options).unwrap().manifest;
    let copied = copy(&[&place.root()], &place.target(), &whole(&listed)).unwrap();
    assert_eq!(copied.manifest, place.scan().manifest);
}

#[test]
fn a_file_that_changed_since_it_was_hashed_is_an_error() {
    for (old, new) in [("1", "2"), ("1", ""), ("1", "11")] {
        let place = Place::with(&[("d/a", old)]);
        let before = place.scan().manifest;
        fs_err::write(place.tree().join("d/a"), new).unwrap();
        let error = copy(&[&place.root()], &place.target(), &whole(&before)).unwrap_err();
        assert_eq!(error.to_string(), "`d/a` changed while it was being read");
    }
    let place = Place::new();
    fs_err::write(place.tree().join("large"), vec![1; 500_000]).unwrap();
    let before = place.scan().manifest;
    fs_err::write(place.tree().join("large"), vec![2; 500_000]).unwrap();
    let error = copy(&[&place.root()], &place.target(), &whole(&before)).unwrap_err();
    assert!(matches!(error, TreeError::Changed { path, .. } if path == "large"));
}

#[test]
fn holes_stay_holes() {
    let place = Place::new();
    let sparse = fs_err::File::create(place.tree().join("sparse")).unwrap();
    sparse.file().set_len(50_000_000).unwrap();
    sparse.file().write_all_at(b"data", 10_000_000).unwrap();
    let source = place.scan().manifest;
    for trust_contents in [false, true] {
        let target = place.path().join(format!("out{trust_contents}"));
        fs_err::create_dir(&target).unwrap();
        let plan = CopyPlan { trust_contents, ..whole(&source) };
        let root = Root::open(&target).unwrap();
        copy(&[&place.root()], &root, &plan).unwrap();
        assert_eq!(scan_of(&root), source);
        let blocks = fs_err::metadata(target.join("sparse")).unwrap().blocks();
        assert!(blocks < 10_000, "{blocks} blocks");
    }
}

#[test]
fn overrides_change_what_they_say() {
    let place = Place::with(&[("d/run", "x")]);
    let root = place.root();
    root.symlink(b"run", &path("d/link")).unwrap();
    root.set_mode(&path("d/run"), 0o640).unwrap();
    let overrides = Overrides {
        owner: None,
        mode: Chmod::parse("u=rwX,go=rX"),
        mtime: Some(Time { secs: 99, nanos: 5 }),
        whole_seconds: true,
    };
    let mut plan = CopyPlan::default();
    plan.add_subtree(0, &place.scan().manifest, &path("d"), &path("opt/app"), &overrides);
    plan.add_parents(own_dir);
    let target = place.target();
    copy(&[&root], &target, &plan).unwrap();
    let made = scan_of(&target);
    let get = |at: &str| made.get(&path(at)).unwrap();
    assert_eq!(get("opt").mode, 0o755);
    assert_eq!(get("opt/app").mode, 0o755);
    assert_eq!(get("opt/app/run").mode, 0o644);
    assert_eq!(get("opt/app/link").mode, 0o777);
    for at in ["opt/app", "opt/app/run", "opt/app/link"] {
        assert_eq!(get(at).mtime, Time { secs: 99, nanos: 0 }, "{at}");
    }
}

#[test]
fn a_plan_comes_to_the_same_in_any_order() {
    let place = Place::with(&[("d/a", "x"), ("d/e/b", "y"), ("d/z", "z")]);
    let mut plan = CopyPlan::default();
    let manifest = place.scan().manifest;
    plan.add_subtree(3, &manifest, &path("d"), &path("to"), &Overrides::default());
    let mut turned = plan.clone();
    turned.items.reverse();
    let (plain, sorted) = (plan.resolved().unwrap(), turned.resolved().unwrap());
    assert_eq!(plain.manifest, sorted.manifest);
    assert_eq!(plain.sources, sorted.sources);
    assert_eq!(plain.sources[1], (3, path("d/a")));
}

#[test]
fn symbolic_and_octal_modes() {
    let check = |text: &str, mode: u32, is_dir: bool, expected: u32| {
        let got = Chmod::parse(text).unwrap().apply(mode, is_dir);
        assert_eq!(got, expected, "{text} on {mode:o} made {got:o}");
    };
    check("755", 0o600, false, 0o755);
    check("0", 0o600, false, 0);
    check("07777", 0o600, true, 0o7777);
    check("+x", 0o644, false, 0o755);
    check("u+x", 0o644, false, 0o744);
    check("go-rwx", 0o777, false, 0o700);
    check("a=r", 0o777, false, 0o444);
    check("u=rwX,go=rX", 0o600, false, 0o644);
    check("u=rwX,go=rX", 0o700, false, 0o755);
    check("u=rwX,go=rX", 0o600, true, 0o755);
    check("g=u", 0o750, false, 0o770);
    check("g+u-w", 0o750, false, 0o750);
    check("u+s,g+s,+t", 0o755, false, 0o7755);
    check("u=rwx", 0o6755, false, 0o2755);
    for bad in ["", "8", "10000", "u", "z+x", "u+q", "u=rw,", "64a", "-1"] {
        assert_eq!(Chmod::parse(bad), None, "{bad}");
    }
}

#[test]
fn the_later_item_wins_and_kinds_do_not_mix() {
    let place = Place::with(&[("a/f", "1"), ("b/f", "2"), ("c/f/x", "3")]);
    let source = place.scan().manifest;
    let mut plan = CopyPlan::default();
    for from in ["a", "b"] {
        let to = path("dst");
        plan.add_subtree(0, &source, &path(from), &to, &Overrides::default());
    }
    let target = place.target();
    let copied = copy(&[&place.root()], &target, &plan).unwrap();
    assert_eq!(copied.manifest.entries().len(), 2);
    assert_eq!(target.read(&path("dst/f"), 9).unwrap().unwrap(), b"2");
    plan.add_subtree(0, &source, &path("c"), &path("dst"), &Overrides::default());
    let error = copy(&[&place.root()], &target, &plan).unwrap_err();
    assert!(matches!(error, TreeError::Malformed { .. }));
}

#[test]
fn links_between_files_are_kept_and_no_others_made() {
    let place = Place::with(&[("z", "1"), ("same", "1")]);
    let root = place.root();
    root.hard_link(&path("z"), &path("d")).unwrap();
    root.symlink(b"same", &path("to-same")).unwrap();
    let source = place.scan().manifest;
    let mut plan = CopyPlan::default();
    let plain = Overrides::default();
    // The first name in the source becomes the last one of the copy.
    plan.add(0, &source, source.get(&path("d")).unwrap(), path("y"), &plain);
    plan.add(0, &source, source.get(&path("z")).unwrap(), path("b"), &plain);
    // One source twice, as by a link that is followed, is two files.
    plan.add(0, &source, source.get(&path("same")).unwrap(), path("same1"), &plain);
    plan.add(0, &source, source.get(&path("same")).unwrap(), path("same2"), &plain);
    let target = place.target();
    let copied = copy(&[&root], &target, &plan).unwrap();
    let node = |at: &str| copied.manifest.get(&path(at)).unwrap().node.clone();
    assert!(matches!(node("b"), Node::File { .. }));
    assert_eq!(node("y"), Node::HardLink { target: path("b") });
    assert!(matches!(node("same2"), Node::File { .. }));
    assert_eq!(scan_of(&target), copied.manifest);
}

#[test]
fn a_donor_gives_each_inode_once_and_only_equal_ones() {
    let names = ["a", "b", "mode", "moved/here", "time", "twin1", "twin2"];
    let place = Place::with(&names.map(|name| (name, name)));
    let twin = |place: &Place| {
        for name in ["twin1", "twin2"] {
            fs_err::write(place.tree().join(name), "twin").unwrap();
        }
        for name in names {
            place.root().set_mtime(&path(name), Time { secs: 5, nanos: 0 }).unwrap();
        }
    };
    twin(&place);
    let donor = Place::new();
    copy(&[&place.root()], &donor.root(), &whole(&place.scan().manifest)).unwrap();
    let donor_root = donor.root();
    donor_root.rename(&path("moved/here"), &path("was-here")).unwrap();
    donor_root.remove_file(&path("twin2")).unwrap();
    donor_root.set_mode(&path("mode"), 0o600).unwrap();
    donor_root.set_mtime(&path("time"), Time { secs: 6, nanos: 0 }).unwrap();
    fs_err::write(place.tree().join("b"), "changed").unwrap();
    let source = place.scan().manifest;
    let donor_manifest = donor.scan().manifest;
    let given = Donor { root: &donor_root, manifest: &donor_manifest };
    let plan = CopyPlan { donor: Some(given), ..whole(&source) };
    let target = place.target();
    let copied = copy(&[&place.root()], &target, &plan).unwrap();
    // `a`, the one that moved, and one of the twins.
    assert_eq!(copied.linked, 3);
    assert_eq!(copied.manifest, source);
    let made = scan(&target, &ScanOptions::default()).unwrap();
    let inode = |at: &str| target.stat(&path(at), gantry_tree::Follow::Parents).unwrap().ino;
    assert_ne!(inode("twin1"), inode("twin2"));
    assert_eq!(made.manifest, source);

    // A donor that was pruned meanwhile costs a copy and no more.
    donor_root.remove_all(&TreePath::root()).unwrap();
    let second = place.path().join("second");
    fs_err::create_dir(&second).unwrap();
    let copied = copy(&[&place.root()], &Root::open(&second).unwrap(), &plan).unwrap();
    assert_eq!((copied.linked, copied.manifest), (0, source));
}

#[test]
fn sources_can_be_the_layers_of_a_view() {
    let low = Place::with(&[("d/a", "old"), ("d/b", "low"), ("gone", "")]);
    let high = Place::with(&[("d/a", "new"), ("d/c", "high")]);
    let (low_manifest, high_manifest) = (low.scan().manifest, high.scan().manifest);
    let view = View::new(&[&low_manifest, &high_manifest]);
    let mut plan = CopyPlan { trust_contents: true, ..CopyPlan::default() };
    plan.add_view(&view, &path("d"), &TreePath::root(), &Overrides::default());
    let target = low.target();
    let copied = copy(&[&low.root(), &high.root()], &target, &plan).unwrap();
    for (at, text) in [("a", "new"), ("b", "low"), ("c", "high")] {
        assert_eq!(target.read(&path(at), 9).unwrap().unwrap(), text.as_bytes());
    }
    // The root of the copy got the metadata of `d`, and is in the list.
    assert!(copied.manifest.get(&TreePath::root()).is_some());
}

#[test]
fn existing_files_are_replaced_only_on_request() {
    let place = Place::with(&[("d/f", "new"), ("e", "new"), ("was-link/x", "new")]);
    let source = place.scan().manifest;
    let target = place.target();
    target.mkdir(&path("d"), 0o700).unwrap();
    target.create_file(&path("d/f"), 0o600).unwrap();
    target.symlink(b"../t/e", &path("e")).unwrap();
    target.symlink(b"../t", &path("was-link")).unwrap();
    let refused = copy(&[&place.root()], &target, &whole(&source));
    assert!(refused.is_err());
    let plan = CopyPlan { existing: Existing::Replace, ..whole(&source) };
    copy(&[&place.root()], &target, &plan).unwrap();
    assert_eq!(scan_of(&target), source);
}

#[test]
fn whiteouts_and_opaque_marks_are_written_in_the_dialect() {
    let place = Place::new();
    let opaque = Entry { node: Node::Dir { opaque: true }, ..dir("o") };
    let gone = Entry { node: Node::Whiteout, mode: 0, ..dir("gone") };
    let item = |entry: Entry| CopyItem { tree: 0, source: TreePath::root(), linked: false, entry };
    let items = vec![item(gone), item(opaque)];
    let dialect = Dialect::OverlayTrusted;
    let plan = CopyPlan { items, dialect, keep_owner: true, ..CopyPlan::default() };
    let target = place.target();
    if let Err(error) = copy(&[&place.root()], &target, &plan) {
        return skip("root", &error);
    }
    let options = ScanOptions { dialect, ..ScanOptions::default() };
    let made = scan(&target, &options).unwrap().manifest;
    assert_eq!(made.get(&path("o")).unwrap().node, Node::Dir { opaque: true });
    assert_eq!(made.get(&path("gone")).unwrap().node, Node::Whiteout);
}

#[test]
fn a_missing_parent_is_refused_before_anything_is_written() {
    let place = Place::with(&[("a", "1")]);
    let source = place.scan().manifest;
    let mut plan = CopyPlan::default();
    let plain = Overrides::default();
    plan.add(0, &source, source.get(&path("a")).unwrap(), path("a"), &plain);
    plan.add(0, &source, source.get(&path("a")).unwrap(), path("x/y"), &plain);
    let target = place.target();
    assert!(copy(&[&place.root()], &target, &plan).is_err());
    assert_eq!(scan_of(&target).entries(), []);
    plan.add_parents(|at| Entry { mode: 0o700, ..own_dir(at) });
    copy(&[&place.root()], &target, &plan).unwrap();
    assert_eq!(scan_of(&target).get(&path("x")).unwrap().mode, 0o700);
}

#[test]
fn a_full_disk_is_told_as_such() {
    let place = Place::with(&[("d/big", "")]);
    fs_err::write(place.tree().join("d/big"), vec![1; 4_000_000]).unwrap();
    let small = place.path().join("small");
    fs_err::create_dir(&small).unwrap();
    let mount = |program: &str, args: &[&str]| {
        let mut command = std::process::Command::new(program);
        let status = command.args(args).arg(&small).stderr(std::process::Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
        return skip("root", &"mounting a tmpfs is refused");
    }
    let root = Root::open(&small).unwrap();
    let result = copy(&[&place.root()], &root, &whole(&place.scan().manifest));
    drop(root);
    assert!(mount("umount", &[]));
    let error = result.unwrap_err();
    assert!(error.is_no_space(), "{error:?}");
    assert_eq!(error.to_string(), "Failed to write `d/big`");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What a plan says it makes is what it makes, and the donor makes no difference.
    #[test]
    fn a_copy_is_what_was_planned(layer in layer(false), with_donor in any::<bool>()) {
        let place = Place::with(&[("unused", "")]);
        // All contents are one byte, so any tree can be a source of any other.
        for byte in 0..=255_u8 {
            fs_err::write(place.tree().join(format!("{byte}")), [byte]).unwrap();
        }
        let privileged = place.root().set_owner(&path("unused"), 1, 1).is_ok();
        let bytes: std::collections::BTreeMap<ContentId, u8> =
            (0..=255_u8).map(|byte| (ContentId::of(&[byte]), byte)).collect();
        let mut plan = whole(&layer);
        for item in &mut plan.items {
            if let Some(content) = item.entry.content() {
                item.source = path(&bytes[&content].to_string());
                item.linked = false;
            }
            // Times that a file system can store, and owners that we may give.
            item.entry.mtime.secs %= 1_000_000_000;
            if !privileged {
                (item.entry.uid, item.entry.gid) = own_ids();
                // What the scan below could not read.
                item.entry.mode |= if item.entry.is_dir() { 0o700 } else { 0o400 };
                if matches!(item.entry.node, Node::CharDevice { .. }) {
                    item.entry.node = Node::Fifo;
                }
            }
            // No attributes on what can't have any.
            if !matches!(item.entry.node, Node::Dir { .. } | Node::File { .. }) {
                item.entry.xattrs.clear();
            }
            if matches!(item.entry.node, Node::Symlink { .. }) {
                item.entry.mode = 0o777;
            }
        }
        let planned = plan.manifest().unwrap();
        let target = place.target();
        let copied = copy(&[&place.root()], &target, &plan).unwrap();
        prop_assert_eq!(&copied.manifest, &planned);
        prop_assert_eq!(scan_of(&target), planned.clone());
        if with_donor {
            let second = place.path().join("second");
            fs_err::create_dir(&second).unwrap();
            let second = Root::open(second).unwrap();
            plan.donor = Some(Donor { root: &target, manifest: &planned });
            let copied = copy(&[&place.root()], &second, &plan).unwrap();
            prop_assert_eq!(copied.manifest, planned.clone());
            prop_assert_eq!(scan_of(&second), planned);
        }
    }
}

#[test]
fn the_digest_of_a_plan_does_not_depend_on_how_it_was_made() {
    let one = manifest(vec![file("src/a", "1"), file("src/b", "2")]);
    let mut whole = CopyPlan::default();
    whole.add_subtree(0, &one, &path("src"), &path("dst"), &Overrides::default());
    let mut single = CopyPlan::default();
    for name in ["b", "a"] {
        let from = one.get(&path(&format!("src/{name}"))).unwrap();
        single.add(3, &one, from, path(&format!("dst/{name}")), &Overrides::default());
    }
    single.add_parents(Entry::plain_dir);
    let digest = |plan: &CopyPlan<'_>| plan.manifest().unwrap().content_digest();
    assert_eq!(digest(&whole), digest(&single));
}
