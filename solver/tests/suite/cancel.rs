//! Stopping a build from outside.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use gantry_solver::{CancelToken, Event, Options, SolveError};

use crate::toys::{Builder, Toys};

#[test]
fn a_canceled_build_ends_when_its_steps_have_ended() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let target = b.run("add 2", Some(base));
    let cancel = CancelToken::new();
    let outside = cancel.clone();
    toys.work.during("add 1 base", move |task| {
        outside.cancel();
        assert!(task.cancel.is_canceled(), "the step's token is the build's child");
    });
    let error = toys.solve_until(b.take(), &[target], &Options::default(), &cancel).unwrap_err();
    assert!(matches!(error, SolveError::Canceled), "{error}");
    assert_eq!(toys.work.now.lock().unwrap().0, 0);
    let events = toys.ears.take();
    for vertex in [base, target] {
        assert!(events.contains(&Event::Canceled { vertex }));
    }
}

#[test]
fn a_build_canceled_before_it_begins_does_nothing() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let target = b.run("add 1", None);
    let cancel = CancelToken::new();
    cancel.cancel();
    let error = toys.solve_until(b.take(), &[target], &Options::default(), &cancel).unwrap_err();
    assert!(matches!(error, SolveError::Canceled), "{error}");
    assert_eq!(toys.work.take_ran(), [""; 0]);
}

#[test]
fn hooks_run_once_whenever_they_come() {
    let count = Arc::new(AtomicUsize::new(0));
    let hook = || {
        let count = count.clone();
        move || {
            count.fetch_add(1, Ordering::SeqCst);
        }
    };
    let token = CancelToken::new();
    let child = token.child();
    token.on_cancel(hook());
    child.on_cancel(hook());
    token.cancel();
    token.cancel();
    assert_eq!(count.load(Ordering::SeqCst), 2);
    child.on_cancel(hook());
    assert_eq!(count.load(Ordering::SeqCst), 3);
    assert!(child.is_canceled());

    let (parent, child) = (CancelToken::new(), CancelToken::new().child());
    child.cancel();
    assert!(!parent.is_canceled());
}
