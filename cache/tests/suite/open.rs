//! Opening: formats, strangers, reboots.

use std::time::Instant;

use fs_err as fs;
use gantry_cache::{OpenOptions, Store, StoreError};

use crate::support::{Fixture, image, key, layer, open, record};

#[test]
fn a_store_is_not_made_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let error = Store::open(&root, OpenOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    assert!(Store::open_existing(&root).unwrap().is_none());
    assert!(!root.exists());
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    let database = fixture.root().join("gantry.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.execute_batch("pragma user_version = 9").unwrap();
    drop(connection);
    let options = OpenOptions { create: true, ..OpenOptions::default() };
    let error = Store::open(&fixture.root(), options).unwrap_err();
    let expected = format!(
        "The store at `{}` was made by a newer gantry (format 9, this one knows 5)",
        fixture.root().display()
    );
    assert_eq!(error.to_string(), expected);
    let connection = rusqlite::Connection::open(&database).unwrap();
    let version: i64 = connection.query_row("pragma user_version", (), |r| r.get(0)).unwrap();
    assert_eq!(version, 9);
}

/// Format 4 knew of an image which index came with it, and nothing of its names.
#[test]
fn a_store_of_format_4_is_lifted() {
    let fixture = Fixture::new();
    let id = image(&fixture.store, "1", &[]);
    let list = fixture.store.blobs().put(b"an index").unwrap();
    fixture.store.images().tag(&"app".parse().unwrap(), &id).unwrap();
    let connection = rusqlite::Connection::open(fixture.root().join("gantry.db")).unwrap();
    let back = format!(
        "drop table index_blobs; drop table index_images; alter table names drop column list;
         create table list_blobs (image text not null, digest text not null,
             primary key (image, digest)) without rowid;
         create table siblings (image text not null, other text not null,
             primary key (image, other)) without rowid;
         insert into list_blobs values ('{id}', '{list}');
         update images set list = '{list}'; pragma user_version = 4"
    );
    connection.execute_batch(&back).unwrap();
    drop(connection);
    let fixture = fixture.reopened();
    let found = fixture.store.images().resolve("app").unwrap();
    assert_eq!((found.id, found.list), (id, Some(list)));
    fixture.clean();
}

#[test]
fn somebody_elses_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    fs::create_dir(&root).unwrap();
    let options = || OpenOptions { create: true, ..OpenOptions::default() };
    let connection = rusqlite::Connection::open(root.join("gantry.db")).unwrap();
    connection.execute_batch("create table theirs (x)").unwrap();
    let error = Store::open(&root, options()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    drop(connection);
    fs::write(root.join("gantry.db"), "just some text, and not little of it").unwrap();
    let error = Store::open(&root, options()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
}

#[test]
fn many_may_make_the_same_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let dir = dir.path();
            scope.spawn(move || {
                let store = open(dir);
                store.blobs().put(format!("blob {n}").as_bytes()).unwrap();
            });
        }
    });
    let report = crate::support::check(&open(dir.path()));
    assert_eq!((report.problems.len(), report.blobs), (0, 8));
}

#[test]
fn what_was_not_synced_is_dropped_after_a_reboot_with_what_names_it() {
    let fixture = Fixture::new();
    let old = layer(&fixture.store, &[("old", "synced")]);
    record(&fixture.store, "old", &[old]);
    let old_image = image(&fixture.store, "old config", &[old]);
    let name = "app:1".parse().unwrap();
    fixture.store.images().tag(&name, &old_image).unwrap();
    fixture.store.sync().unwrap();

    let new = layer(&fixture.store, &[("new", "not synced")]);
    record(&fixture.store, "new", &[old, new]);
    let new_image = image(&fixture.store, "new config", &[old, new]);
    fixture.store.images().tag(&name, &new_image).unwrap();
    let lost_tree = fixture.store.layers().get(&new).unwrap().unwrap().tree().unwrap();

    let fixture = fixture.rebooted();
    let store = &fixture.store;
    assert!(store.layers().get(&old).unwrap().is_some());
    assert!(store.records().get(&key("old")).unwrap().is_some());
    assert!(store.layers().get(&new).unwrap().is_none());
    assert!(store.records().get(&key("new")).unwrap().is_none());
    assert!(store.images().get(&new_image).unwrap().is_none());
    assert!(!lost_tree.exists());
    // The name means again what it meant when the disk was last known to be good.
    assert_eq!(store.images().resolve("app:1").unwrap().id, old_image);
    fixture.clean();
}

#[test]
fn after_a_reboot_a_synced_row_without_its_files_is_dropped() {
    let fixture = Fixture::new();
    let gone = layer(&fixture.store, &[("a", "a")]);
    record(&fixture.store, "gone", &[gone]);
    fixture.store.sync().unwrap();
    // A power failure may undo the deletion of a row and not that of its files.
    let tree = fixture.store.layers().get(&gone).unwrap().unwrap().tree().unwrap();
    fs::remove_dir_all(tree.parent().unwrap()).unwrap();
    let fixture = fixture.rebooted();
    assert!(fixture.store.layers().get(&gone).unwrap().is_none());
    assert!(fixture.store.records().get(&key("gone")).unwrap().is_none());
    fixture.clean();
}

#[test]
fn without_a_reboot_nothing_is_dropped() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("a", "a")]);
    record(&fixture.store, "a", &[id]);
    let fixture = fixture.reopened();
    assert!(fixture.store.records().get(&key("a")).unwrap().is_some());
}

#[test]
fn opening_and_one_look_up_are_quick() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("a", "a")]);
    record(&fixture.store, "a", &[id]);
    fixture.store.sync().unwrap();
    let fixture = fixture.reopened();
    let best = (0..20).map(|_| {
        let start = Instant::now();
        let store = fixture.again();
        assert!(store.records().get(&key("a")).unwrap().is_some());
        start.elapsed()
    });
    let best = best.min().unwrap();
    let limit = if cfg!(debug_assertions) { 5_000 } else { 1_000 };
    assert!(best.as_micros() < limit, "{best:?}");
    crate::support::measured(&format!("opened and answered in {best:?}"));
}

#[test]
fn a_damaged_database_is_set_aside_and_the_store_goes_on() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("a", "a")]);
    fixture.store.sync().unwrap();
    let root = fixture.root();
    let database = root.join("gantry.db");
    let mut bytes = fs::read(&database).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0xa5);
    fs::write(&database, bytes).unwrap();
    let open = || {
        let store = Store::open(&root, OpenOptions { create: true, ..OpenOptions::default() })?;
        store.layers().get(&id).map(|layer| layer.is_some())
    };
    let error = open().unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.hint().is_some());
    let aside = Store::set_aside(&root).unwrap();
    assert!(aside.is_file());
    assert!(!open().unwrap());
    let fixture = fixture.reopened();
    assert!(crate::support::check(&fixture.store).is_clean());
    fixture.store.prune(&gantry_cache::PruneOptions::default()).unwrap();
    fixture.clean();
}
