//! The history of builds.

use std::io::Write;
use std::time::{Duration, SystemTime};

use gantry_cache::{Kind, LogId, PruneOptions, Retention, Store, StoreError};

use crate::support::{Fixture, key, new_record};

fn log(store: &Store, text: &str) -> LogId {
    let mut log = store.logs().writer().unwrap();
    log.write_all(text.as_bytes()).unwrap();
    log.finish().unwrap()
}

fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

#[test]
fn builds_are_listed_newest_first_and_found_by_prefix_and_distance() {
    let fixture = Fixture::new();
    let builds = fixture.store.builds();
    let old = builds.put(ago(20), &[], b"old").unwrap();
    let new = builds.put(ago(10), &[], b"new").unwrap();
    let middle = builds.put(ago(15), &[], b"middle").unwrap();
    let listed: Vec<_> = builds.list().unwrap().iter().map(|build| build.id).collect();
    assert_eq!(listed, [new, middle, old]);
    for (text, expect) in [("^0", "new"), ("^1", "middle"), ("^", "middle"), ("^2", "old")] {
        let found = builds.resolve(text).unwrap();
        assert_eq!(builds.read(&found).unwrap().unwrap(), expect.as_bytes(), "{text}");
    }
    assert_eq!(builds.resolve(&old.to_string()).unwrap().id, old);
    for text in ["^3", "^x", "", "zz"] {
        let error = builds.resolve(text).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchBuild { .. }), "{text}: {error}");
    }
    builds.remove(&[builds.resolve("^0").unwrap()]).unwrap();
    assert_eq!(builds.list().unwrap().len(), 2);
    fixture.clean();
}

#[test]
fn a_log_stays_as_long_as_a_build_or_a_record_names_it() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let [shared, cached, lone] = ["shared", "cached", "lone"].map(|text| log(store, text));
    let mut record = new_record(key("k"), &[], "RUN x");
    record.log = Some(cached);
    store.records().put(&record).unwrap();
    store.builds().put(ago(2), &[shared, cached, lone], b"").unwrap();
    store.builds().put(ago(1), &[shared], b"").unwrap();
    // Pruning keeps what a build names, however old it is.
    for id in [shared, cached, lone] {
        let path = fixture.root().join("logs").join(id.to_string());
        let file = fs_err::OpenOptions::new().append(true).open(path).unwrap();
        file.file().set_modified(ago(86400)).unwrap();
    }
    store.prune(&PruneOptions::default()).unwrap();
    let there = |id: &LogId| store.logs().open(id).unwrap().is_some();
    assert!([shared, cached, lone].iter().all(there));
    store.builds().remove(&[store.builds().resolve("^1").unwrap()]).unwrap();
    assert_eq!([shared, cached, lone].map(|id| there(&id)), [true, true, false]);
}

#[test]
fn what_is_too_old_too_much_or_too_large_is_forgotten() {
    let fixture = Fixture::new();
    let builds = fixture.store.builds();
    for seconds in 0..10 {
        builds.put(ago(1000 * seconds), &[], &[0; 5000]).unwrap();
    }
    let all = Retention { age: Duration::from_secs(1 << 30), count: 100, bytes: 1 << 40 };
    assert_eq!(builds.trim(&all).unwrap(), 0);
    assert_eq!(builds.trim(&Retention { age: Duration::from_secs(8500), ..all }).unwrap(), 1);
    assert_eq!(builds.trim(&Retention { count: 5, ..all }).unwrap(), 4);
    assert_eq!(builds.trim(&Retention { bytes: 3 * 8192, ..all }).unwrap(), 2);
    let left = builds.list().unwrap();
    assert_eq!(left.len(), 3);
    assert!(left[0].started > ago(500), "the newest are left");
}

#[test]
fn the_history_counts_for_du() {
    let fixture = Fixture::new();
    let id = fixture.store.builds().put(ago(1), &[], b"x").unwrap();
    let usages = fixture.store.du().unwrap();
    let row = usages.iter().find(|usage| usage.kind == Kind::Build).unwrap();
    assert!(row.id.ends_with(&id.to_string()) && row.size > 0);
}

#[test]
fn a_store_without_a_history_gets_one() {
    let fixture = Fixture::new();
    fs_err::remove_dir(fixture.root().join("builds")).unwrap();
    assert_eq!(fixture.store.builds().list().unwrap(), []);
    fixture.store.builds().put(ago(1), &[], b"x").unwrap();
    assert_eq!(fixture.store.builds().list().unwrap().len(), 1);
}

#[test]
fn a_build_runs_until_it_ends_or_is_dropped() {
    let fixture = Fixture::new();
    let builds = fixture.store.builds();
    let running = builds.start(ago(5), b"asked").unwrap();
    drop(builds.start(ago(4), b"dropped").unwrap());
    let listed = builds.running().unwrap();
    assert_eq!(listed.iter().map(|(_, record)| &record[..]).collect::<Vec<_>>(), [b"asked"]);
    builds.settle().unwrap();
    assert!(builds.list().unwrap().is_empty(), "the process lives");
    let id = builds.end(running, &[], b"done").unwrap();
    assert_eq!(id, listed[0].0.id);
    assert!(builds.running().unwrap().is_empty());
    let ended = builds.resolve(&id.to_string()).unwrap();
    assert_eq!(builds.read(&ended).unwrap().unwrap(), b"done");
    fixture.clean();
}

#[test]
fn builds_of_dead_processes_become_history_unless_they_had_ended() {
    let fixture = Fixture::new();
    let builds = fixture.store.builds();
    let id = builds.put(ago(9), &[], b"ended").unwrap();
    let ended = builds.list().unwrap()[0];
    let millis =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let name = format!("build-{:013}-{id}", millis(ended.started));
    // Nobody holds the lock of this one.
    let dead = fixture.root().join("work/1-0123456789abcdef");
    fs_err::create_dir(&dead).unwrap();
    let file = |record: &str| [b"gbld\x01\0\0\0\0", record.as_bytes()].concat();
    fs_err::write(dead.join(name), file("killed")).unwrap();
    let name = |id: &str| dead.join(format!("build-{:013}-{id}", millis(ago(5))));
    fs_err::write(name("aaaaaaaaaaaa"), file("killed")).unwrap();
    fs_err::write(name("bbbbbbbbbbbb"), "").unwrap();
    assert!(builds.running().unwrap().is_empty());
    assert_eq!(fixture.store.sweep().unwrap(), 1);
    let read = |id: &str| builds.read(&builds.resolve(id).unwrap()).unwrap().unwrap();
    assert_eq!(read(&id.to_string()), b"ended");
    assert_eq!(read("aaaa"), b"killed");
    assert_eq!(builds.list().unwrap().len(), 2);
    fixture.clean();
}
