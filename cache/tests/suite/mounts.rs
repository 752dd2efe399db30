//! Cache mounts and who shares them.

use fs_err as fs;
use gantry_cache::{CacheMount, PruneOptions, Sharing, Store};

use crate::support::Fixture;
use crate::worker::Worker;

fn acquire(store: &Store, sharing: Sharing) -> CacheMount {
    store.mounts().acquire("/root/.cache", sharing, &mut |_| Ok(())).unwrap()
}

#[test]
fn what_is_written_is_there_next_time() {
    let fixture = Fixture::new();
    let mount = acquire(&fixture.store, Sharing::Shared);
    fs::write(mount.path().join("x"), "kept").unwrap();
    drop(mount);
    let fixture = fixture.reopened();
    let mount = acquire(&fixture.store, Sharing::Locked);
    assert_eq!(fs::read_to_string(mount.path().join("x")).unwrap(), "kept");
}

#[test]
fn it_is_filled_once_and_never_seen_half_filled() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut fill = |path: &std::path::Path| {
                    fs::write(path.join("one"), "1").unwrap();
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    fs::write(path.join("two"), "2").unwrap();
                    Ok(())
                };
                let store = fixture.again();
                let mount = store.mounts().acquire("m", Sharing::Shared, &mut fill).unwrap();
                assert!(mount.path().join("two").exists());
            });
        }
    });
    let failing = fixture.store.mounts().acquire("other", Sharing::Shared, &mut |path| {
        fs::write(path.join("half"), "").unwrap();
        Err(gantry_cache::StoreError::NoSuchImage { name: "base".to_owned() })
    });
    assert!(failing.is_err());
    let mount = fixture.store.mounts().acquire("other", Sharing::Shared, &mut |_| Ok(())).unwrap();
    assert!(!mount.path().join("half").exists());
}

#[test]
fn private_users_get_a_directory_each() {
    let fixture = Fixture::new();
    let one = acquire(&fixture.store, Sharing::Private);
    let two = acquire(&fixture.again(), Sharing::Private);
    assert_ne!(one.path(), two.path());
    let path = one.path().to_path_buf();
    drop(one);
    assert_eq!(acquire(&fixture.store, Sharing::Private).path(), path);
}

#[test]
fn shared_users_get_the_same_directory() {
    let fixture = Fixture::new();
    let one = acquire(&fixture.store, Sharing::Shared);
    let two = acquire(&fixture.again(), Sharing::Shared);
    assert_eq!(one.path(), two.path());
}

#[test]
fn locked_users_of_many_processes_come_one_at_a_time() {
    let fixture = Fixture::new();
    let out = tempfile::tempdir().unwrap();
    let workers: Vec<Worker> =
        (0..4).map(|_| Worker::start("mount", &fixture.root(), out.path())).collect();
    workers.into_iter().for_each(Worker::finish);
    assert!(!out.path().join("crowded").exists());
    let mount = fixture.store.mounts().acquire("counter", Sharing::Locked, &mut |_| Ok(()));
    let counter = mount.unwrap().path().join("counter");
    assert_eq!(fs::read_to_string(counter).unwrap(), "80");
}

#[test]
fn pruning_spares_a_mount_in_use() {
    let fixture = Fixture::new();
    let all = PruneOptions { all: true, ..PruneOptions::default() };
    let mount = acquire(&fixture.store, Sharing::Shared);
    fs::write(mount.path().join("x"), "x").unwrap();
    fixture.again().prune(&all).unwrap();
    assert!(mount.path().join("x").exists());
    let path = mount.path().to_path_buf();
    drop(mount);
    fixture.again().prune(&PruneOptions::default()).unwrap();
    assert!(path.exists(), "mounts go with `all` only");
    let report = fixture.again().prune(&all).unwrap();
    assert!(!path.exists());
    assert_eq!(report.freed.len(), 1);
    assert!(report.freed[0].description.contains("/root/.cache"), "{report:?}");
    assert!(
        fs::read_dir(acquire(&fixture.store, Sharing::Shared).path()).unwrap().next().is_none()
    );
}

#[test]
fn trying_never_waits() {
    let fixture = Fixture::new();
    let held = acquire(&fixture.store, Sharing::Locked);
    let attempt = |sharing| {
        let store = fixture.again();
        store.mounts().try_acquire("/root/.cache", sharing, &mut |_| Ok(())).unwrap()
    };
    assert!(attempt(Sharing::Locked).is_none());
    assert!(attempt(Sharing::Shared).is_none());
    assert!(attempt(Sharing::Private).is_some_and(|other| other.path() != held.path()));
    drop(held);
    let first = attempt(Sharing::Shared).unwrap();
    assert_eq!(attempt(Sharing::Shared).unwrap().path(), first.path());
}
