//! Context indexes: never a stale answer, and quick.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use fs_err as fs;
use gantry_cache::{ContextIndex, ContextIndexBuilder, Look, Store};
use gantry_tree::{ContentId, FileKind, Root, Scan, ScanOptions, Stat, Time, TreePath, scan};
use proptest::prelude::*;

use crate::support::Fixture;

/// Scans `dir` as a build does: with the index if there is one, and remembers what it found.
fn build(store: &Store, dir: &Path) -> Scan {
    let started = SystemTime::now();
    let index = store.contexts().load(b"context").unwrap();
    let known = |path: &TreePath, stat: &Stat| index.as_ref()?.known(path, stat);
    let options = ScanOptions { known: Some(&known), ..ScanOptions::default() };
    let found = scan(&Root::open(dir).unwrap(), &options).unwrap();
    let mut builder = ContextIndexBuilder::new(started);
    builder.add_scan(&found);
    store.contexts().save(b"context", builder).unwrap();
    found
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("src/deep")).unwrap();
    for n in 0..50 {
        fs::write(dir.path().join(format!("src/deep/{n}")), format!("text {n}")).unwrap();
        fs::write(dir.path().join(format!("src/{n}.c")), format!("code {n}")).unwrap();
    }
    std::thread::sleep(Duration::from_millis(40));
    let first = build(&fixture.store, dir.path());
    assert_eq!(first.files_read, 100);
    let second = build(&fixture.store, dir.path());
    assert_eq!(second.files_read, 0);
    assert_eq!(first.manifest.id(), second.manifest.id());
    fs::write(dir.path().join("src/7.c"), "CODE 7").unwrap();
    assert_eq!(build(&fixture.store, dir.path()).files_read, 1);
}

#[test]
fn an_edit_of_the_same_size_within_one_tick_is_seen() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    for n in 0..300u32 {
        // Written, scanned, and written again as fast as it goes: often the times stay the same.
        fs::write(&path, format!("{n:08}")).unwrap();
        build(&fixture.store, dir.path());
        fs::write(&path, format!("{:08}", n + 1_000_000)).unwrap();
        let found = build(&fixture.store, dir.path());
        let expected = ContentId::of(format!("{:08}", n + 1_000_000).as_bytes());
        assert_eq!(found.manifest.entries()[0].content(), Some(expected), "round {n}");
    }
}

#[test]
fn a_time_set_back_by_hand_does_not_hide_an_edit() {
    let fixture = Fixture::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let set = |text: &str| {
        fs::write(&path, text).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let at = TreePath::new(b"file").unwrap();
        root.set_mtime(&at, Time { secs: 1_000_000, nanos: 0 }).unwrap();
    };
    set("one");
    std::thread::sleep(Duration::from_millis(40));
    build(&fixture.store, dir.path());
    set("two");
    let found = build(&fixture.store, dir.path());
    assert_eq!(found.manifest.entries()[0].content(), Some(ContentId::of(b"two")));
}

fn stat(n: u64) -> Stat {
    Stat {
        kind: FileKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: n,
        mtime: Time { secs: 1_000 + n as i64, nanos: 5 },
        ctime: Time { secs: 2_000 + n as i64, nanos: 6 },
        dev: (8, 1),
        ino: n,
        nlink: 1,
        rdev: (0, 0),
        blocks: 8,
    }
}

fn load(fixture: &Fixture, files: &[(TreePath, Stat, ContentId)]) -> ContextIndex {
    let mut builder = ContextIndexBuilder::new(SystemTime::now());
    for (path, stat, content) in files {
        builder.add(path, stat, *content);
    }
    fixture.store.contexts().save(b"x", builder).unwrap();
    fixture.store.contexts().load(b"x").unwrap().unwrap()
}

#[test]
fn any_change_that_a_stat_shows_is_a_change() {
    let fixture = Fixture::new();
    let path = TreePath::new(b"a/b").unwrap();
    let index = load(&fixture, &[(path.clone(), stat(1), ContentId([9; 32]))]);
    assert_eq!(index.known(&path, &stat(1)), Some(ContentId([9; 32])));
    let changes: [fn(&mut Stat); 7] = [
        |s| s.size += 1,
        |s| s.mtime.nanos += 1,
        |s| s.mtime.secs -= 1,
        |s| s.ctime.nanos += 1,
        |s| s.ino += 1,
        |s| s.dev.1 += 1,
        |s| s.mode = 0o755,
    ];
    for change in changes {
        let mut changed = stat(1);
        change(&mut changed);
        assert_eq!(index.known(&path, &changed), None, "{changed:?}");
    }
    assert_eq!(index.known(&TreePath::new(b"a").unwrap(), &stat(1)), None);
}

#[test]
fn files_of_the_last_moment_and_of_the_future_are_not_remembered() {
    let fixture = Fixture::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let at = |offset: i64, nanos: u32| Time { secs: now.as_secs() as i64 + offset, nanos };
    let file = |name: &[u8], mtime, ctime| {
        let stat = Stat { mtime, ctime, ..stat(1) };
        (TreePath::new(name).unwrap(), stat, ContentId([1; 32]))
    };
    let index = load(
        &fixture,
        &[
            file(b"old", at(-9, 1), at(-9, 1)),
            file(b"now", at(-9, 1), at(0, now.subsec_nanos())),
            file(b"future", at(3600, 1), at(-9, 1)),
            // A file system that only knows seconds.
            file(b"coarse", at(-1, 0), at(-1, 0)),
        ],
    );
    assert_eq!(index.len(), 1);
}

#[test]
fn a_broken_index_is_no_index() {
    let fixture = Fixture::new();
    let path = TreePath::new(b"a").unwrap();
    load(&fixture, &[(path, stat(1), ContentId([9; 32]))]);
    let dir = fixture.root().join("contexts");
    let file = fs::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let good = fs::read(&file).unwrap();
    for length in 0..good.len() {
        fs::write(&file, &good[..length]).unwrap();
        assert!(fixture.store.contexts().load(b"x").unwrap().is_none(), "{length}");
        let mut bad = good.clone();
        bad[length] ^= 1;
        fs::write(&file, bad).unwrap();
        // One record and a name of one byte stand at the end; before them, what is checked apart.
        let of_looks = (56..good.len() - 97).contains(&length);
        let loaded = fixture.store.contexts().load(b"x").unwrap();
        assert_eq!(loaded.is_some(), of_looks, "{length}");
        assert_eq!(fixture.store.contexts().looks(b"x").unwrap(), [], "{length}");
    }
}

#[test]
fn fifty_thousand_files_load_quickly() {
    let fixture = Fixture::new();
    let files: Vec<_> = (0..50_000u64)
        .map(|n| {
            let path = format!("some/directory/{}/file-{n}.rs", n / 100);
            (TreePath::new(path.as_bytes()).unwrap(), stat(n), ContentId::of(path.as_bytes()))
        })
        .collect();
    load(&fixture, &files);
    let load = || {
        let start = Instant::now();
        let index = fixture.store.contexts().load(b"x").unwrap().unwrap();
        (start.elapsed(), index)
    };
    let best = (0..10).map(|_| load().0).min().unwrap();
    let index = load().1;
    let start = Instant::now();
    for (path, stat, content) in &files {
        assert_eq!(index.known(path, stat), Some(*content));
    }
    let asked = start.elapsed();
    let limit = if cfg!(debug_assertions) { 60_000 } else { 12_000 };
    assert!(best.as_micros() < limit, "{best:?}");
    crate::support::measured(&format!("loaded in {best:?}, asked all in {asked:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_file_is_found_in_any_order(
        names in proptest::collection::btree_set("[a-c/]{1,6}", 0..40),
        shift in 0usize..40,
    ) {
        let fixture = Fixture::new();
        let files: std::collections::BTreeMap<_, _> = names
            .iter()
            .filter_map(|name| TreePath::new(name.as_bytes()).ok())
            .enumerate()
            .map(|(n, path)| (path, (stat(n as u64), ContentId([n as u8; 32]))))
            .collect();
        let list: Vec<_> =
            files.iter().map(|(path, (stat, id))| (path.clone(), *stat, *id)).collect();
        let index = load(&fixture, &list);
        for at in 0..list.len() {
            let (path, stat, content) = &list[(at * 7 + shift) % list.len()];
            prop_assert_eq!(index.known(path, stat), Some(*content));
        }
    }
}

#[test]
fn looks_are_kept_apart_from_the_files_and_never_read_spoilt() {
    let fixture = Fixture::new();
    let contexts = fixture.store.contexts();
    let look = |n: u8| Look { selection: [n; 32], glance: [n + 100; 32], digest: [n + 200; 32] };
    assert_eq!(contexts.looks(b"context").unwrap(), []);
    contexts.keep_looks(b"context", &[look(1)]).unwrap();
    assert_eq!(contexts.looks(b"context").unwrap(), [], "there is no index to keep them in");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "text").unwrap();
    std::thread::sleep(Duration::from_millis(40));
    build(&fixture.store, dir.path());
    contexts.keep_looks(b"context", &[look(1), look(2)]).unwrap();
    assert_eq!(contexts.looks(b"context").unwrap(), [look(1), look(2)]);
    assert_eq!(build(&fixture.store, dir.path()).files_read, 0, "the files are known as before");
    let many: Vec<Look> = (1..20).map(look).collect();
    contexts.keep_looks(b"context", &many).unwrap();
    let kept = contexts.looks(b"context").unwrap();
    assert!(many.ends_with(&kept) && !kept.is_empty(), "the last ones stay");
    let file = fs::read_dir(fixture.root().join("contexts")).unwrap().next().unwrap().unwrap();
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[200] ^= 1;
    fs::write(file.path(), bytes).unwrap();
    assert_eq!(contexts.looks(b"context").unwrap(), []);
    assert_eq!(build(&fixture.store, dir.path()).files_read, 0);
}
