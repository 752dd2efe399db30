//! Two builds on one store.

use std::{sync::Arc, time::Duration};

use gantry_solver::{CancelToken, Event, Options, SolveError, Store};

use crate::toys::{Builder, Meeting, Toys, number};

fn build() -> (gantry_solver::Graph, gantry_solver::VertexId) {
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let sides: Vec<_> = (0..4).map(|n| (b.run(&format!("add {n} side"), Some(base)), 9)).collect();
    let target = b.run_with("add 0 target", Some(base), &sides);
    (b.take(), target)
}

#[test]
fn two_builds_at_once_run_each_step_once() {
    let one = Toys::default();
    let two = one.another();
    let start = Arc::new(Meeting::default());
    let threads = [one.clone(), two.clone()].map(|toys| {
        let start = start.clone();
        for n in 0..4 {
            let step = format!("add {n} side");
            toys.work.during(&step, |_| std::thread::sleep(Duration::from_millis(10)));
        }
        std::thread::spawn(move || {
            assert!(start.wait(2));
            let (graph, target) = build();
            let solved = toys.solve(graph, target).unwrap();
            number(solved.snapshot(target).unwrap())
        })
    });
    let numbers = threads.map(|thread| thread.join().unwrap());
    assert_eq!(numbers, [1 + 1 + 2 + 3 + 4; 2]);
    let mut ran = [one.work.take_ran(), two.work.take_ran()].concat();
    ran.sort_unstable();
    let once: std::collections::BTreeSet<_> = ran.iter().cloned().collect();
    assert_eq!(ran.len(), 6, "{ran:?}");
    assert_eq!(once.len(), 6, "{ran:?}");
}

#[test]
fn who_waits_for_another_build_says_so_and_can_be_stopped() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let step = b.run("add 1", None);
    let solved = toys.solve(b.take(), step).unwrap();
    let key = solved.key(step).unwrap();
    toys.store.forget(key);
    toys.work.take_ran();

    // Another process holds the lock, and never lets go.
    let _held = toys.store.try_lock(&key).unwrap().unwrap();
    let cancel = CancelToken::new();
    let outside = cancel.clone();
    let ears = toys.ears.clone();
    let stop = std::thread::spawn(move || {
        while !ears.take().iter().any(|event| matches!(event, Event::Waiting { .. })) {
            std::thread::sleep(Duration::from_millis(1));
        }
        outside.cancel();
    });
    let mut b = Builder::default();
    let step = b.run("add 1", None);
    let error = toys.solve_until(b.take(), &[step], &Options::default(), &cancel).unwrap_err();
    assert!(matches!(error, SolveError::Canceled), "{error}");
    stop.join().unwrap();
    assert_eq!(toys.work.take_ran(), [""; 0]);
}

#[test]
fn a_lock_that_is_let_go_without_a_result_means_running() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let step = b.run("add 1", None);
    let key = toys.solve(b.take(), step).unwrap().key(step).unwrap();
    toys.store.forget(key);
    toys.work.take_ran();
    let held = toys.store.try_lock(&key).unwrap().unwrap();
    let ears = toys.ears.clone();
    let release = std::thread::spawn(move || {
        while !ears.take().iter().any(|event| matches!(event, Event::Waiting { .. })) {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(held);
    });
    let mut b = Builder::default();
    let step = b.run("add 1", None);
    toys.solve(b.take(), step).unwrap();
    release.join().unwrap();
    assert_eq!(toys.work.take_ran(), ["add 1"]);
}
