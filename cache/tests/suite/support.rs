//! What the tests share: a store in a temporary directory, and ways to fill it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use gantry_cache::{
    FsckOptions, FsckReport, Key, LayerId, NewImage, NewRecord, OpenOptions, RecordKind, Store,
};
use gantry_image::{Digest, Platform};
use gantry_tree::{Dialect, Manifest, Root, ScanOptions, scan};

/// A store that goes with the test.
pub(crate) struct Fixture {
    dir: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        Fixture { dir, store }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Another handle, as another process would have it.
    pub(crate) fn again(&self) -> Store {
        open(self.dir.path())
    }

    /// Drops the handle, with its leases, and opens the store anew.
    pub(crate) fn reopened(self) -> Fixture {
        let Fixture { dir, store } = self;
        drop(store);
        let store = open(dir.path());
        Fixture { dir, store }
    }

    /// As [`reopened`](Self::reopened), some seconds after 1 January 2020: what is put in or used
    /// from now on was then.
    pub(crate) fn at(self, seconds: u64) -> Fixture {
        let Fixture { dir, store } = self;
        drop(store);
        let present = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + seconds));
        let options = OpenOptions { present, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        Fixture { dir, store }
    }

    /// As [`reopened`](Self::reopened), after a reboot.
    pub(crate) fn rebooted(self) -> Fixture {
        let Fixture { dir, store } = self;
        drop(store);
        let boot_id = Some("another".to_owned());
        let options = OpenOptions { boot_id, ..OpenOptions::default() };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        Fixture { dir, store }
    }

    pub(crate) fn clean(&self) {
        let report = check(&self.store);
        assert_eq!(report.problems, [], "the store is not clean");
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    let options = OpenOptions { create: true, ..OpenOptions::default() };
    Store::open(&dir.join("store"), options).unwrap()
}

pub(crate) fn check(store: &Store) -> FsckReport {
    store.fsck(FsckOptions { deep: true, repair: false }).unwrap()
}

pub(crate) fn manifest_of(tree: &Path) -> Manifest {
    let root = Root::open(tree).unwrap();
    let options = ScanOptions { dialect: Dialect::OverlayTrusted, ..ScanOptions::default() };
    scan(&root, &options).unwrap().manifest
}

/// Commits a layer of files with the given texts.
pub(crate) fn layer(store: &Store, files: &[(&str, &str)]) -> LayerId {
    let work = store.work_dir().unwrap();
    for (path, text) in files {
        let path = work.upper().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let manifest = manifest_of(&work.upper());
    store.layers().commit_tree(&work.upper(), &manifest).unwrap()
}

/// A layer with one file of `size` bytes.
pub(crate) fn big_layer(store: &Store, name: &str, size: usize) -> LayerId {
    layer(store, &[(name, &name[..1].repeat(size))])
}

pub(crate) fn key(text: &str) -> Key {
    Key(std::array::from_fn(|n| text.as_bytes().get(n).copied().unwrap_or(0)))
}

static PREIMAGE: LazyLock<Vec<u8>> =
    LazyLock::new(|| gantry_cache::pack_preimage(b"what it was made from").unwrap());

pub(crate) fn new_record<'a>(key: Key, layers: &'a [LayerId], text: &'a str) -> NewRecord<'a> {
    NewRecord {
        key,
        kind: RecordKind::Recipe,
        layers,
        preimage: Some(&PREIMAGE),
        project: "project",
        took: Duration::from_millis(1234),
        log: None,
        extra: b"extra",
        stage: "build",
        position: 3,
        text,
    }
}

/// Records a step that made these layers.
pub(crate) fn record(store: &Store, name: &str, layers: &[LayerId]) {
    store.records().put(&new_record(key(name), layers, name)).unwrap();
}

/// Stores an image of these layers; its config is `config`.
pub(crate) fn image(store: &Store, config: &str, layers: &[LayerId]) -> Digest {
    let id = store.blobs().put(config.as_bytes()).unwrap();
    let platform: Platform = "linux/amd64".parse().unwrap();
    let new = NewImage { id, manifest: None, platform: &platform, layers, size: 10, created: None };
    store.images().put(&new).unwrap();
    id
}

/// Says whether we are real root; else tells the reader that the test did not run.
pub(crate) fn is_root(need: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.split(',').any(|word| word == "root"), "{need} needs root");
        skip(need);
    }
    root
}

#[expect(clippy::print_stderr, reason = "says why a test did not run")]
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Records a step without layers, if that can be done.
pub(crate) fn try_record(store: &Store, name: &str) -> Result<(), gantry_cache::StoreError> {
    // More than fits the space that is left in the database's own files.
    let noise: Vec<u8> =
        (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    store.records().put(&NewRecord { extra: &noise, ..new_record(key(name), &[], name) })
}

/// Tells the reader of a test's output what was measured.
#[expect(clippy::print_stderr, reason = "figures are for people, limits are asserted")]
pub(crate) fn measured(what: &str) {
    eprintln!("measured: {what}");
}
