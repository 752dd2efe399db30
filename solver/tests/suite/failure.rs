//! What a failing step stops, and what it doesn't.

use std::sync::Arc;

use gantry_solver::{Event, Options, SolveError};

use crate::toys::{Builder, Meeting, Toys};

#[test]
fn a_failing_step_fails_the_build_with_its_name_and_code() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let bad = b.run("fail 42", Some(base));
    let target = b.run("add 2 never", Some(bad));
    let error = toys.solve(b.take(), target).unwrap_err();
    assert_eq!(error.to_string(), "`fail 42` failed");
    let SolveError::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].vertex, bad);
    assert_eq!(failures[0].error.exit_code(), Some(42));
    assert_eq!(toys.work.take_ran(), ["add 1 base", "fail 42"]);
    let events = toys.ears.take();
    let messages = vec!["it fails".to_owned()];
    assert!(events.contains(&Event::Failed { vertex: bad, messages, exit_code: Some(42) }));
    assert!(events.contains(&Event::Canceled { vertex: target }));

    // What was done before is not done again.
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let good = b.run("add 42", Some(base));
    toys.solve(b.take(), good).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 42"]);
}

#[test]
fn a_step_runs_while_the_one_before_is_recorded_and_the_build_waits_for_both() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let first = b.run("add 1 first", None);
    let target = b.run("add 2 second", Some(first));
    let meeting = Arc::new(Meeting::default());
    let there = meeting.clone();
    toys.store.while_recording(move |record| record.vertex != first || there.wait(2));
    toys.work.during("add 2 second", move |_| assert!(meeting.wait(2)));
    toys.solve(b.take(), target).unwrap();
    assert_eq!(toys.store.records.lock().unwrap().len(), 2);

    // The last one too is recorded when the build is over.
    let mut b = Builder::default();
    let target = b.run("add 3", None);
    toys.store.while_recording(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        true
    });
    toys.solve(b.take(), target).unwrap();
    assert_eq!(toys.store.records.lock().unwrap().len(), 3);
}

#[test]
fn a_step_that_cannot_be_recorded_fails_the_build() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let first = b.run("add 1 first", None);
    let second = b.run("add 2 second", Some(first));
    let target = b.run("add 3 third", Some(second));
    toys.store.while_recording(move |record| record.vertex != first);
    toys.work.during("add 2 second", |task| {
        while !task.cancel.is_canceled() {
            std::thread::yield_now();
        }
    });
    let error = toys.solve(b.take(), target).unwrap_err();
    let SolveError::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].vertex, first);
    assert_eq!(
        failures[0].error.messages(),
        ["Failed to record a step in the build cache", "it is full"]
    );
    assert_eq!(toys.work.take_ran(), ["add 1 first"]);
    assert!(toys.ears.take().contains(&Event::Canceled { vertex: target }));

    // So does the last one, of which nobody is in need.
    let mut b = Builder::default();
    let target = b.run("add 4", None);
    toys.store.while_recording(|_| false);
    assert!(matches!(toys.solve(b.take(), target), Err(SolveError::Failed(_))));
}

#[test]
fn a_failure_stops_steps_that_run_for_nothing() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let bad = b.run("fail 1", None);
    let other = b.run("add 1 other", None);
    let after = b.run("add 2 after", Some(other));
    let target = b.run_with("add 0", Some(after), &[(bad, 9)]);
    let meeting = Arc::new(Meeting::default());
    let there = meeting.clone();
    toys.work.during("fail 1", move |_| assert!(there.wait(2)));
    toys.work.during("add 1 other", move |task| {
        assert!(meeting.wait(2));
        while !task.cancel.is_canceled() {
            std::thread::yield_now();
        }
    });
    let error = toys.solve(b.take(), target).unwrap_err();
    assert!(matches!(error, SolveError::Failed(failures) if failures.len() == 1));
    assert_eq!(toys.work.take_ran(), ["fail 1"]);
    assert_eq!(toys.work.now.lock().unwrap().0, 0, "nothing runs any more");
    assert!(toys.ears.take().contains(&Event::Canceled { vertex: other }));
}

#[test]
fn what_another_target_needs_goes_on() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let shared = b.run("add 1 shared", None);
    let bad = b.run("fail 1", Some(shared));
    let good = b.run("add 2 good", Some(shared));
    let goodbye = b.run("add 3 goodbye", Some(good));
    let options = Options { jobs: 1, ..Options::default() };
    let error = toys.solve_with(b.take(), &[bad, goodbye], &options).unwrap_err();
    assert!(matches!(error, SolveError::Failed(failures) if failures[0].vertex == bad));
    let ran = toys.work.take_ran();
    assert!(ran.contains(&"add 3 goodbye".to_owned()), "{ran:?}");
}

#[test]
fn all_failures_are_reported() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let (one, two) = (b.run("fail 1", None), b.run("fail 2", None));
    let target = b.run_with("add 0", None, &[(one, 9), (two, 9)]);
    let meeting = Arc::new(Meeting::default());
    for step in ["fail 1", "fail 2"] {
        let meeting = meeting.clone();
        toys.work.during(step, move |_| assert!(meeting.wait(2)));
    }
    let error =
        toys.solve_with(b.take(), &[one, two, target], &Options { jobs: 2, ..Options::default() });
    let Err(SolveError::Failed(failures)) = error else { panic!("{error:?}") };
    let mut failed: Vec<_> = failures.iter().map(|failure| failure.vertex).collect();
    failed.sort_unstable();
    assert_eq!(failed, [one, two]);
}

#[test]
fn a_source_that_is_not_there_fails_before_anything_runs() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let context = b.context("missing");
    let target = b.copy("/x", base, &[(context, 9)], false);
    let error = toys.solve(b.take(), target).unwrap_err();
    let SolveError::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(failures[0].vertex, context);
    assert_eq!(toys.work.take_ran(), [""; 0]);
}

#[test]
fn a_bug_fails_one_step_and_not_the_process() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let bad = b.run("panic", None);
    let error = toys.solve(b.take(), bad).unwrap_err();
    let SolveError::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(failures[0].error.to_string(), "The step hit a bug in gantry: a toy breaks");
}

#[test]
fn a_broken_store_fails_the_step() {
    let toys = Toys::default();
    *toys.store.broken.lock().unwrap() = true;
    let mut b = Builder::default();
    let step = b.run("add 1", None);
    let error = toys.solve(b.take(), step).unwrap_err();
    let SolveError::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(
        failures[0].error.messages(),
        ["Failed to look up a step in the build cache", "it is broken"]
    );
}
