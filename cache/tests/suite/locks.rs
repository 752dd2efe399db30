//! Locks between processes, and work directories of processes that died.

use std::time::{Duration, Instant};

use fs_err as fs;

use crate::support::{Fixture, key};
use crate::worker::{Worker, wait_for};

#[test]
fn a_step_that_many_processes_need_runs_once() {
    let fixture = Fixture::new();
    let out = tempfile::tempdir().unwrap();
    let workers: Vec<Worker> =
        (0..6).map(|_| Worker::start("step", &fixture.root(), out.path())).collect();
    for worker in workers {
        worker.finish();
    }
    // Each that ran the step left a file.
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
    assert!(fixture.store.records().get(&key("step")).unwrap().is_some());
    fixture.clean();
    let locks = fs::read_dir(fixture.root().join("locks")).unwrap();
    let names: Vec<_> = locks.map(|entry| entry.unwrap().file_name()).collect();
    // One is shared, so nobody knows whether he was the last.
    assert!(names.iter().all(|name| name == "sweep"), "{names:?}");
}

#[test]
fn kill_minus_nine_frees_a_lock_and_the_work_directory_is_swept() {
    let fixture = Fixture::new();
    let out = tempfile::tempdir().unwrap();
    let worker = Worker::start("hold", &fixture.root(), out.path());
    wait_for(|| out.path().join("holding").exists());
    assert!(fixture.store.try_lock("test", b"key").unwrap().is_none());
    assert_eq!(fixture.store.sweep().unwrap(), 0, "the owner lives");
    worker.kill();
    let start = Instant::now();
    drop(fixture.store.lock("test", b"key").unwrap());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(fs::read_dir(fixture.root().join("work")).unwrap().count(), 1);
    assert_eq!(fixture.store.sweep().unwrap(), 1);
    assert_eq!(fs::read_dir(fixture.root().join("work")).unwrap().count(), 0);
}

#[test]
fn a_dead_owner_is_known_by_its_lock_and_not_by_its_pid() {
    let fixture = Fixture::new();
    // A directory that bears the pid of somebody who lives: of this very process.
    let dir = fixture.root().join("work").join(format!("{}-0123456789abcdef", std::process::id()));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("owner"), "").unwrap();
    let work = fixture.store.work_dir().unwrap();
    fixture.store.sweep().unwrap();
    wait_for(|| !dir.exists());
    assert!(work.upper().is_dir());
}

#[test]
fn the_work_directory_goes_when_it_is_dropped() {
    let fixture = Fixture::new();
    let work = fixture.store.work_dir().unwrap();
    let path = work.path().to_path_buf();
    for path in [work.upper(), work.work(), work.merged(), work.scratch()] {
        assert!(path.is_dir());
        fs::write(path.join("file"), "x").unwrap();
    }
    drop(work);
    assert!(!path.exists());
    let fixture = fixture.reopened();
    assert_eq!(fs::read_dir(fixture.root().join("work")).unwrap().count(), 0);
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    let fixture = Fixture::new();
    let _one = fixture.store.lock("a", b"1").unwrap();
    let _two = fixture.store.lock("a", b"2").unwrap();
    let _three = fixture.store.lock("b", b"1").unwrap();
    assert!(fixture.again().try_lock("a", b"1").unwrap().is_none());
}
