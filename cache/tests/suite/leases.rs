//! Leases: what a live process uses stays.

use gantry_cache::{LayerId, PruneOptions};
use gantry_image::Digest;

use crate::support::{Fixture, key, layer, record};

#[test]
fn pruning_leaves_what_is_leased_and_takes_it_after() {
    let fixture = Fixture::new();
    let (one, two) = (layer(&fixture.store, &[("1", "1")]), layer(&fixture.store, &[("2", "2")]));
    record(&fixture.store, "one", &[one]);
    record(&fixture.store, "two", &[two]);
    let blob = fixture.store.blobs().put(b"blob").unwrap();
    let fixture = fixture.reopened();
    let lease = fixture.store.lease().unwrap();
    assert_eq!(lease.keep_layers(&[one, LayerId([1; 32])]).unwrap(), [LayerId([1; 32])]);
    assert!(lease.keep_blob(&blob).unwrap());
    assert!(!lease.keep_blob(&Digest::of(b"other")).unwrap());

    fixture.again().prune(&PruneOptions::default()).unwrap();
    assert!(fixture.store.records().get(&key("one")).unwrap().is_some());
    assert!(fixture.store.blobs().open(&blob).unwrap().is_some());
    assert!(fixture.store.records().get(&key("two")).unwrap().is_none());
    assert!(!lease.keep(&two).unwrap());

    drop(lease);
    fixture.again().prune(&PruneOptions::default()).unwrap();
    assert!(fixture.store.layers().get(&one).unwrap().is_none());
    assert!(fixture.store.blobs().open(&blob).unwrap().is_none());
    fixture.clean();
}

#[test]
fn what_a_handle_put_in_is_leased_by_it() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("1", "1")]);
    fixture.again().prune(&PruneOptions::default()).unwrap();
    assert!(fixture.store.layers().get(&id).unwrap().is_some());
    let fixture = fixture.reopened();
    fixture.store.prune(&PruneOptions::default()).unwrap();
    assert!(fixture.store.layers().get(&id).unwrap().is_none());
}

#[test]
fn users_and_pruners_at_the_same_time_never_see_half_a_layer() {
    let fixture = Fixture::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pruner = scope.spawn(|| {
            let mut gone = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                gone += fixture.again().prune(&PruneOptions::default()).unwrap().freed.len();
            }
            gone
        });
        let user = |n: u32| {
            let mut found = 0;
            for round in 0..120 {
                let name = format!("{}", (n + round) % 4);
                // A handle each time, so that nothing is leased from before.
                let store = fixture.again();
                let lease = store.lease().unwrap();
                let cached = store.records().get(&key(&name)).unwrap();
                let cached =
                    cached.filter(|record| lease.keep_layers(&record.layers).unwrap().is_empty());
                match cached {
                    Some(record) => {
                        found += 1;
                        let layer = store.layers().require(&record.layers[0]).unwrap();
                        let file = layer.tree().unwrap().join("file");
                        assert_eq!(fs_err::read_to_string(file).unwrap(), name);
                        assert!(layer.manifest().is_ok());
                    }
                    None => {
                        let id = layer(&store, &[("file", &name)]);
                        record(&store, &name, &[id]);
                    }
                }
            }
            found
        };
        let users: Vec<_> = (0..2).map(|n| scope.spawn(move || user(n))).collect();
        let found: Vec<_> = users.into_iter().map(|user| user.join()).collect();
        // Before anything can fail, or the pruner would go on for ever.
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        let found: u32 = found.into_iter().map(Result::unwrap).sum();
        let gone = pruner.join().unwrap();
        assert!(found > 0 && gone > 0, "they never met: {found} found, {gone} pruned");
    });
    fixture.clean();
}
