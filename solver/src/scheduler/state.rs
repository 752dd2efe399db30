//! How far a vertex is, and the one match that moves it.
//!
//! ```text
//! Idle ─► Unkeyed ─► Probing ─► Found ─► Done
//!   │        │          │         ▲ │
//!   │        └──────────┴─► Awaiting ◄┘ (another base than it was recorded on)
//!   │                          │  │
//!   │                          │  └─► Narrowing ─► Found
//!   │                          ▼        │
//!   │                        Ready ◄────┘
//!   │                        │  ▲
//!   │                        ▼  │
//!   │                      Running ─► Contended (somebody else runs it)
//!   │                        └─► Found
//!   └─► Reading ─► Done
//! ```
//! A live vertex can also end as `Failed`, or as `Canceled` because of another's failure.

use crate::{scheduler::Output, store::Cached, work::StepError};

/// How far a vertex is. Only [`advance`] moves it.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Nobody has asked for its result.
    Idle,
    /// A source, being read.
    Reading,
    /// Some source below it has not been read, so it has no recipe key yet.
    Unkeyed,
    /// The store has been asked for its recipe key.
    Probing,
    /// Its own layers are known; the base below them is not.
    Found(Cached, Origin),
    /// Its inputs are being solved.
    Awaiting,
    /// What it takes from its inputs is being digested, to ask for its content key.
    Narrowing,
    /// It runs as soon as there is a free worker.
    Ready,
    /// It runs.
    Running,
    /// Somebody else runs the same: another vertex, or another process.
    Contended,
    /// Here is its result.
    Done(Output),
    /// It failed itself.
    Failed(StepError),
    /// It was given up because something else failed, or the build was stopped.
    Canceled,
}

/// Where known layers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The store had the recipe key.
    Recipe,
    /// The store had the content key, or another vertex or process made it meanwhile.
    Content,
    /// They were just made.
    Run,
}

/// What happened to a vertex.
#[derive(Debug, Clone)]
pub(super) enum Happened {
    /// Somebody wants its result.
    Wanted(Start),
    /// A source was read.
    Read(Result<Output, StepError>),
    /// It has a recipe key now; `ask` says whether the store may be asked for it.
    Keyed { ask: bool },
    /// The store has answered for the recipe key.
    Said(Result<Option<Cached>, StepError>),
    /// The base is there, and the layers fit on it.
    Fits(Output),
    /// The base is there, and the layers were made on another result of it.
    Misfits,
    /// All inputs that it needs to run are there; `narrow` says whether there is a content key
    /// to ask for.
    InputsDone { narrow: bool },
    /// The store has answered for the content key.
    Narrowed(Result<Option<Cached>, StepError>),
    /// A worker is free.
    Picked,
    /// Another vertex of this build runs the same just now.
    Taken,
    /// The run has ended.
    Ended(Ended),
    /// It is time to try again.
    Freed,
    /// Something that it needs failed, or nobody needs it any more, or the build is stopped.
    GivenUp,
}

/// What a vertex starts with.
#[derive(Debug, Clone)]
pub(super) enum Start {
    /// Nothing has to be done for its result.
    With(Output),
    /// It must be read.
    Read,
    /// It has no recipe key yet.
    Unkeyed,
    /// It has a recipe key; `ask` says whether the store may be asked for it.
    Keyed { ask: bool },
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    /// The step ran.
    Made(Cached),
    /// While waiting for its turn, somebody else made it.
    Found(Cached),
    /// Another process runs the same just now.
    Busy,
    /// It failed.
    Failed(StepError),
}

/// What is to be done next for the vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Nothing.
    Nothing,
    /// Read the source.
    Read,
    /// Ask the store for the recipe key.
    Ask,
    /// Want the base, and say whether the layers fit on it.
    WantBase,
    /// Want all inputs, and say when they are there.
    WantInputs,
    /// Digest what is taken from the inputs, and ask the store for the content key.
    Narrow,
    /// Give it a worker when one is free.
    Enqueue,
    /// Run it.
    Run,
    /// Try again when somebody else's run may be over.
    Wait,
    /// Tell everybody that the result is there.
    Publish,
    /// Tell everybody that there will be none.
    Fail,
    /// Tell everybody that it was given up, and stop what runs for it.
    Abandon,
}

/// Takes one step. Pure: the caller carries the command out and brings the answer back.
pub(super) fn advance(state: State, happened: Happened) -> (State, Command) {
    use {Command as C, Happened as H, State as S};
    match (state, happened) {
        (S::Idle, H::Wanted(Start::With(output))) => (S::Done(output), C::Publish),
        (S::Idle, H::Wanted(Start::Read)) => (S::Reading, C::Read),
        (S::Idle, H::Wanted(Start::Unkeyed)) => (S::Unkeyed, C::Nothing),
        (S::Idle, H::Wanted(Start::Keyed { ask })) | (S::Unkeyed, H::Keyed { ask }) => {
            if ask {
                (S::Probing, C::Ask)
            } else {
                (S::Awaiting, C::WantInputs)
            }
        }

        (S::Reading, H::Read(Ok(output))) => (S::Done(output), C::Publish),
        (S::Reading, H::Read(Err(error))) => (S::Failed(error), C::Fail),

        (S::Probing, H::Said(Ok(Some(cached)))) => (S::Found(cached, Origin::Recipe), C::WantBase),
        (S::Probing, H::Said(Ok(None))) => (S::Awaiting, C::WantInputs),
        (S::Probing, H::Said(Err(error))) => (S::Failed(error), C::Fail),

        (S::Found(..), H::Fits(output)) => (S::Done(output), C::Publish),
        (S::Found(_, Origin::Recipe), H::Misfits) => (S::Awaiting, C::WantInputs),
        // Both are looked up with the base at hand, so this can't be; running it is right anyway.
        (S::Found(_, Origin::Content | Origin::Run), H::Misfits) => (S::Ready, C::Enqueue),

        (S::Awaiting, H::InputsDone { narrow: true }) => (S::Narrowing, C::Narrow),
        (S::Awaiting, H::InputsDone { narrow: false }) => (S::Ready, C::Enqueue),

        (S::Narrowing, H::Narrowed(Ok(Some(cached)))) => {
            (S::Found(cached, Origin::Content), C::WantBase)
        }
        (S::Narrowing, H::Narrowed(Ok(None))) => (S::Ready, C::Enqueue),
        (S::Narrowing, H::Narrowed(Err(error))) => (S::Failed(error), C::Fail),

        (S::Ready, H::Picked) => (S::Running, C::Run),
        (S::Ready, H::Taken) => (S::Contended, C::Wait),

        (S::Running, H::Ended(Ended::Made(cached))) => (S::Found(cached, Origin::Run), C::WantBase),
        (S::Running, H::Ended(Ended::Found(cached))) => {
            (S::Found(cached, Origin::Content), C::WantBase)
        }
        (S::Running, H::Ended(Ended::Busy)) => (S::Contended, C::Wait),
        (S::Running, H::Ended(Ended::Failed(error))) => (S::Failed(error), C::Fail),

        (S::Contended, H::Freed) => (S::Ready, C::Enqueue),

        (
            S::Idle
            | S::Reading
            | S::Unkeyed
            | S::Probing
            | S::Found(..)
            | S::Awaiting
            | S::Narrowing
            | S::Ready
            | S::Running
            | S::Contended,
            H::GivenUp,
        ) => (S::Canceled, C::Abandon),

        // Whoever is asked twice has been asked once.
        (
            live @ (S::Reading
            | S::Unkeyed
            | S::Probing
            | S::Found(..)
            | S::Awaiting
            | S::Narrowing
            | S::Ready
            | S::Running
            | S::Contended),
            H::Wanted(_),
        ) => (live, C::Nothing),
        // A key comes before anybody asks, and a base can be there before it is looked at.
        (live @ S::Idle, H::Keyed { .. } | H::Freed) => (live, C::Nothing),
        (
            live @ (S::Reading
            | S::Unkeyed
            | S::Probing
            | S::Found(..)
            | S::Awaiting
            | S::Narrowing
            | S::Ready
            | S::Running),
            H::Freed,
        ) => (live, C::Nothing),
        // A base that a linked copy does not need may come between the inputs and the word of them,
        // and then they are seen to be there twice.
        (
            live @ (S::Found(..) | S::Narrowing | S::Ready | S::Running | S::Contended),
            H::InputsDone { .. },
        ) => (live, C::Nothing),
        // Answers to what was asked before the end still trickle in.
        (end @ (S::Done(_) | S::Failed(_) | S::Canceled), _) => (end, C::Nothing),

        // A bug of ours fails this vertex, never the process.
        (S::Idle, H::Read(_) | H::Said(_) | H::Fits(_) | H::Misfits | H::InputsDone { .. })
        | (S::Idle, H::Narrowed(_) | H::Picked | H::Taken | H::Ended(_))
        | (S::Reading, H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Reading, H::InputsDone { .. } | H::Narrowed(_) | H::Picked | H::Taken)
        | (S::Reading, H::Ended(_))
        | (S::Unkeyed, H::Read(_) | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Unkeyed, H::InputsDone { .. } | H::Narrowed(_) | H::Picked | H::Taken)
        | (S::Unkeyed, H::Ended(_))
        | (S::Probing, H::Read(_) | H::Keyed { .. } | H::Fits(_) | H::Misfits)
        | (S::Probing, H::InputsDone { .. } | H::Narrowed(_) | H::Picked | H::Taken)
        | (S::Probing, H::Ended(_))
        | (S::Found(..), H::Read(_) | H::Keyed { .. } | H::Said(_))
        | (S::Found(..), H::Narrowed(_) | H::Picked | H::Taken | H::Ended(_))
        | (S::Awaiting, H::Read(_) | H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Awaiting, H::Narrowed(_) | H::Picked | H::Taken | H::Ended(_))
        | (S::Narrowing, H::Read(_) | H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Narrowing, H::Picked | H::Taken | H::Ended(_))
        | (S::Ready, H::Read(_) | H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Ready, H::Narrowed(_) | H::Ended(_))
        | (S::Running, H::Read(_) | H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Running, H::Narrowed(_) | H::Picked | H::Taken)
        | (S::Contended, H::Read(_) | H::Keyed { .. } | H::Said(_) | H::Fits(_) | H::Misfits)
        | (S::Contended, H::Narrowed(_) | H::Picked | H::Taken)
        | (S::Contended, H::Ended(_)) => {
            (S::Failed(StepError::new("The scheduler lost track of this step")), C::Fail)
        }
    }
}

impl State {
    /// Returns whether nothing more will happen to the vertex.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, State::Done(_) | State::Failed(_) | State::Canceled)
    }
}

#[cfg(test)]
mod tests;
