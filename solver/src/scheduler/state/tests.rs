//! The match, tried with everything that can happen in every state.

use std::time::Duration;

use super::*;
use crate::{key::Key, store::Snapshot};

fn cached() -> Cached {
    Cached { own: vec![], base: None, content_key: Key([0; 32]), took: Duration::ZERO }
}

fn output() -> Output {
    Output { own: vec![], snapshot: Snapshot::default(), content_key: Key([0; 32]) }
}

fn states() -> Vec<State> {
    vec![
        State::Idle,
        State::Reading,
        State::Unkeyed,
        State::Probing,
        State::Found(cached(), Origin::Recipe),
        State::Awaiting,
        State::Narrowing,
        State::Ready,
        State::Running,
        State::Contended,
        State::Done(output()),
        State::Failed(StepError::canceled()),
        State::Canceled,
    ]
}

fn happenings() -> Vec<Happened> {
    let error = || StepError::new("an error");
    vec![
        Happened::Wanted(Start::Read),
        Happened::Wanted(Start::With(output())),
        Happened::Wanted(Start::Unkeyed),
        Happened::Wanted(Start::Keyed { ask: true }),
        Happened::Read(Ok(output())),
        Happened::Read(Err(error())),
        Happened::Keyed { ask: true },
        Happened::Said(Ok(Some(cached()))),
        Happened::Said(Ok(None)),
        Happened::Said(Err(error())),
        Happened::Fits(output()),
        Happened::Misfits,
        Happened::InputsDone { narrow: true },
        Happened::InputsDone { narrow: false },
        Happened::Narrowed(Ok(None)),
        Happened::Narrowed(Err(error())),
        Happened::Picked,
        Happened::Taken,
        Happened::Ended(Ended::Made(cached())),
        Happened::Ended(Ended::Found(cached())),
        Happened::Ended(Ended::Busy),
        Happened::Ended(Ended::Failed(error())),
        Happened::Freed,
        Happened::GivenUp,
    ]
}

#[test]
fn what_is_over_stays_over() {
    for state in states().into_iter().filter(State::is_over) {
        for happened in happenings() {
            let before = format!("{state:?}");
            let (after, command) = advance(state.clone(), happened.clone());
            assert_eq!(format!("{after:?}"), before, "after {happened:?}");
            assert_eq!(command, Command::Nothing);
        }
    }
}

#[test]
fn whatever_is_live_can_be_given_up() {
    for state in states().into_iter().filter(|state| !state.is_over()) {
        let (after, command) = advance(state, Happened::GivenUp);
        assert!(matches!(after, State::Canceled));
        assert_eq!(command, Command::Abandon);
    }
}

#[test]
fn every_end_is_told() {
    for state in states().into_iter().filter(|state| !state.is_over()) {
        for happened in happenings() {
            let (after, command) = advance(state.clone(), happened.clone());
            let told = match after {
                State::Done(_) => Command::Publish,
                State::Failed(_) => Command::Fail,
                State::Canceled => Command::Abandon,
                _ => continue,
            };
            assert_eq!(command, told, "{state:?} and {happened:?}");
        }
    }
}

#[test]
fn an_answer_that_nobody_asked_for_fails_the_vertex() {
    let (after, _) = advance(State::Ready, Happened::Ended(Ended::Made(cached())));
    let State::Failed(error) = after else { panic!("{after:?}") };
    assert_eq!(error.to_string(), "The scheduler lost track of this step");
}
