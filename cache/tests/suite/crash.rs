//! Processes that are killed at any moment leave a store that works.

use std::time::Duration;

use gantry_cache::{FsckOptions, PruneOptions, Severity};

use crate::support::{Fixture, key, layer, record};
use crate::worker::{Worker, wait_for};

/// Kills `count` churning processes at once at random moments, `rounds` times.
fn kill_loop(rounds: u32, count: usize) {
    let fixture = Fixture::new();
    let kept = layer(&fixture.store, &[("kept", "x")]);
    record(&fixture.store, "kept", &[kept]);
    let mut progress = 0;
    for round in 0..rounds {
        let out = tempfile::tempdir().unwrap();
        let workers: Vec<Worker> =
            (0..count).map(|_| Worker::start("churn", &fixture.root(), out.path())).collect();
        wait_for(|| fs_err::read_dir(out.path()).unwrap().count() > 0);
        // Moments spread over a few turns of the loop, different in every round.
        std::thread::sleep(Duration::from_micros(u64::from(round * 7919 % 40_000)));
        workers.into_iter().for_each(Worker::kill);
        progress += fs_err::read_dir(out.path()).unwrap().count();

        let store = fixture.again();
        let report = store.fsck(FsckOptions { deep: true, repair: false }).unwrap();
        assert!(report.is_clean(), "round {round}: {:#?}", report.problems);
        assert!(store.records().get(&key("kept")).unwrap().is_some());
        let next = layer(&store, &[("next", &round.to_string())]);
        record(&store, &format!("next {round}"), &[next]);
    }
    assert!(progress > 0, "nobody got anywhere");
    // What was left behind can be cleared away, and then nothing is left to say.
    fixture.store.prune(&PruneOptions::default()).unwrap();
    let report = fixture.store.fsck(FsckOptions { deep: true, repair: true }).unwrap();
    assert!(report.problems.iter().all(|p| p.severity == Severity::Leftover && p.repaired));
    fixture.clean();
    assert!(fixture.store.records().get(&key("kept")).unwrap().is_some());
}

#[test]
fn one_killed_at_any_moment() {
    kill_loop(25, 1);
}

#[test]
fn three_killed_at_once() {
    kill_loop(8, 3);
}
