//! A glance, and a scan that begins with what it saw.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use fs_err as fs;
use gantry_tree::{
    ContentId, FileKind, KnownFn, Scan, ScanOptions, Seen, Stat, TreePath, Verdict, glance, scan,
};
use proptest::prelude::*;

use crate::common::{Place, path};

/// One thing of a tree on disk.
#[derive(Debug, Clone)]
enum Thing {
    File(u8),
    Dir,
    Symlink,
    Socket,
    /// A further name of the first file.
    HardLink,
    /// More names than a stretch has.
    Many(u16),
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        8 => any::<u8>().prop_map(Thing::File),
        4 => Just(Thing::Dir),
        2 => Just(Thing::Symlink),
        1 => Just(Thing::Socket),
        2 => Just(Thing::HardLink),
        1 => (500..1100_u16).prop_map(Thing::Many),
    ]
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(crate::common::name(), 1..4)
}

/// What some names are let in as; all others are kept.
fn rules() -> impl Strategy<Value = Vec<(Vec<&'static str>, Verdict)>> {
    let verdict = prop::sample::select(vec![Verdict::Skip, Verdict::Descend]);
    prop::collection::vec((names(), verdict), 0..4)
}

/// Makes what has room; what is in the way of something else is left out.
fn make(tree: &Path, things: &[(Vec<&'static str>, Thing)]) {
    fs::write(tree.join("first"), "first").unwrap();
    for (names, thing) in things {
        let at = tree.join(names.join("/"));
        if at.symlink_metadata().is_ok() || fs::create_dir_all(at.parent().unwrap()).is_err() {
            continue;
        }
        match thing {
            Thing::File(content) => {
                fs::write(&at, [*content]).unwrap();
                if content % 2 == 0 {
                    // As a file system without fractions of a second would keep it.
                    let file = fs::File::options().write(true).open(&at).unwrap();
                    let whole = Duration::from_secs(1_000_000_000 + u64::from(*content));
                    file.file().set_modified(UNIX_EPOCH + whole).unwrap();
                }
            }
            Thing::Dir => fs::create_dir(&at).unwrap(),
            Thing::Symlink => symlink("first", &at).unwrap(),
            Thing::Socket => drop(UnixListener::bind(&at).unwrap()),
            Thing::HardLink => fs::hard_link(tree.join("first"), &at).unwrap(),
            Thing::Many(count) => {
                fs::create_dir(&at).unwrap();
                for number in 0..*count {
                    fs::write(at.join(number.to_string()), "").unwrap();
                }
            }
        }
    }
}

/// Stats without the blocks, of which a glance takes no note.
fn stats(scan: &Scan) -> Vec<Stat> {
    scan.stats.iter().map(|stat| Stat { blocks: 0, ..*stat }).collect()
}

fn indexed(scan: &Scan) -> Vec<(TreePath, Stat, ContentId)> {
    let line = |(path, stat, content): (&TreePath, &Stat, _)| (path.clone(), *stat, content);
    scan.indexable().map(line).collect()
}

fn scan_seen(place: &Place, seen: &Seen, known: Option<KnownFn<'_>>) -> Scan {
    let options = ScanOptions { seen: Some(seen), known, ..ScanOptions::default() };
    scan(&place.root(), &options).unwrap()
}

fn see(place: &Place) -> Seen {
    glance(&place.root(), &ScanOptions::default()).unwrap().1.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_scan_sees_what_a_glance_sees_and_can_begin_with_it(
        things in prop::collection::vec((names(), thing()), 0..14),
        rules in rules(),
        workers in prop::sample::select(vec![1, 4]),
    ) {
        let place = Place::new();
        make(&place.tree(), &things);
        let asked = AtomicUsize::new(0);
        let filter = |path: &TreePath, _: FileKind| {
            asked.fetch_add(1, Ordering::Relaxed);
            let at = path.to_string();
            let rule = rules.iter().find(|(names, _)| names.join("/") == at);
            rule.map_or(Verdict::Keep, |(_, verdict)| *verdict)
        };
        let options = ScanOptions { filter: Some(&filter), workers, ..ScanOptions::default() };
        let root = place.root();
        let (look, seen) = glance(&root, &options).unwrap();
        let seen = seen.unwrap();
        let plain = scan(&root, &options).unwrap();
        prop_assert_eq!(plain.glance, None);
        let looked = scan(&root, &ScanOptions { glance: true, ..options }).unwrap();
        prop_assert_eq!(looked.glance, Some(look));
        prop_assert_eq!(&looked.manifest, &plain.manifest);

        let listed = asked.load(Ordering::Relaxed);
        let again = scan(&root, &ScanOptions { seen: Some(&seen), ..options }).unwrap();
        prop_assert_eq!(asked.load(Ordering::Relaxed), listed, "nothing is listed");
        prop_assert_eq!(again.glance, Some(look));
        prop_assert_eq!(&again.manifest, &plain.manifest);
        prop_assert_eq!(&again.sockets, &plain.sockets);
        prop_assert_eq!(stats(&again), stats(&plain));
        prop_assert_eq!(again.files_read, plain.files_read);

        let files = indexed(&plain);
        let known = |path: &TreePath, stat: &Stat| {
            let same = |(p, s, _): &&(TreePath, Stat, _)| p == path && Stat { blocks: 0, ..*s } == *stat;
            files.iter().find(same).map(|(.., content)| *content)
        };
        let known = ScanOptions { seen: Some(&seen), known: Some(&known), ..options };
        let known = scan(&root, &known).unwrap();
        prop_assert_eq!(known.files_read, 0);
        prop_assert_eq!(known.manifest, plain.manifest);
    }
}

/// What happens to a tree.
type Change = &'static dyn Fn(&Path);

/// Whatever changes between the two: a scan tells of the tree as it was at one moment.
#[test]
fn what_changed_since_a_glance_is_looked_at_again() {
    let changes: [(&str, Change); 8] = [
        ("replaced", &|tree| {
            fs::write(tree.join("new"), "replaced").unwrap();
            fs::rename(tree.join("new"), tree.join("a/file")).unwrap();
        }),
        ("written", &|tree| fs::write(tree.join("a/file"), "longer than before").unwrap()),
        ("removed", &|tree| fs::remove_file(tree.join("a/file")).unwrap()),
        ("become a link", &|tree| {
            fs::remove_file(tree.join("a/file")).unwrap();
            symlink("other", tree.join("a/file")).unwrap();
        }),
        ("a link become a file", &|tree| {
            fs::remove_file(tree.join("a/link")).unwrap();
            fs::write(tree.join("a/link"), "no link").unwrap();
        }),
        ("a directory removed", &|tree| fs::remove_dir_all(tree.join("a")).unwrap()),
        ("a directory become a link", &|tree| {
            fs::rename(tree.join("a"), tree.join("z")).unwrap();
            symlink("z", tree.join("a")).unwrap();
        }),
        ("added", &|tree| fs::write(tree.join("a/new"), "").unwrap()),
    ];
    for (what, change) in changes {
        let place = Place::with(&[("a/file", "content"), ("a/other", "x"), ("b/file", "y")]);
        symlink("file", place.tree().join("a/link")).unwrap();
        let before = indexed(&place.scan());
        let seen = see(&place);
        change(&place.tree());
        let known = |path: &TreePath, stat: &Stat| {
            // Of the files that change, none is known.
            let line = before.iter().find(|(p, s, _)| p == path && s.ino == stat.ino)?;
            (path.as_bytes() != b"a/file").then_some(line.2)
        };
        let now = place.scan();
        let scan = scan_seen(&place, &seen, Some(&known));
        assert_eq!(scan.manifest, now.manifest, "{what}");
        assert_eq!(scan_seen(&place, &seen, None).manifest, now.manifest, "{what}");
    }
}

/// The files of one moment go together: what is known is as it was then, and the rest is read.
#[test]
fn only_what_is_not_known_is_read() {
    let place = Place::with(&[("a/known", "1"), ("a/unknown", "2"), ("known", "3")]);
    let before = place.scan();
    let known = |path: &TreePath, _: &Stat| {
        (path.file_name() == Some(b"known"))
            .then(|| before.manifest.get(path).unwrap().content())?
    };
    let seen = see(&place);
    // A scan that listed would not find it, and one that looked again would see the length.
    fs::write(place.tree().join("known"), "changed").unwrap();
    let scan = scan_seen(&place, &seen, Some(&known));
    assert_eq!(scan.manifest.get(&path("known")), before.manifest.get(&path("known")));
    assert_eq!(scan.files_read, 1);
    assert_eq!(scan.glance, Some(seen.glance()));
    assert_ne!(see(&place).glance().digest, seen.glance().digest);
}

/// What is not readable is told as without a glance, which reads nothing.
#[test]
fn what_cannot_be_read_is_told_after_a_glance_too() {
    let place = Place::with(&[("dir/secret", "x")]);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    fs::set_permissions(place.tree().join("dir/secret"), mode).unwrap();
    let seen = see(&place);
    let options = ScanOptions { seen: Some(&seen), ..ScanOptions::default() };
    match scan(&place.root(), &options) {
        Ok(_) => crate::common::skip("unprivileged", &"this user may read every file"),
        Err(error) => assert_eq!(error.to_string(), "Failed to open `dir/secret`"),
    }
}

/// A directory's attributes show in no stat, and are read whatever was seen.
#[test]
fn attributes_are_read_again() {
    let place = Place::with(&[("dir/file", "x")]);
    let root = place.root();
    for at in ["dir", "dir/file"] {
        if let Err(error) = root.set_xattr(&path(at), b"user.x", b"y") {
            return crate::common::skip("xattrs", &error);
        }
    }
    let scan = scan_seen(&place, &see(&place), None);
    assert_eq!(scan.manifest, place.scan().manifest);
    assert_eq!(scan.manifest.get(&path("dir")).unwrap().xattrs.len(), 1);
}
