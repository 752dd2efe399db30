//! The job that runs a step: lock, look again, execute, record. Others go on with what it made while
//! that is recorded.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::Event,
    key::Key,
    op::Op,
    scheduler::{
        World,
        explain::{self, InputFact},
        jobs::{Message, fits, spawn},
        state::Ended,
    },
    store::{Cached, Nearest, Packed, Place, Record},
    why::Why,
    work::{StepError, Task},
};

/// A step to run.
pub(super) struct Run {
    pub(super) task: Task,
    pub(super) place: Place,
    pub(super) recipe_key: Key,
    pub(super) content_key: Key,
    /// What identifies each input in the recipe key.
    pub(super) inputs: Vec<InputFact>,
    /// What the step is made on top of, if it depends on that.
    pub(super) base: Option<[u8; 32]>,
    /// Whether the store may be asked.
    pub(super) ask: bool,
    pub(super) nearest: Option<Nearest>,
}

/// Runs a step under the lock of its content key, unless somebody else does, or just did.
pub(super) fn run(world: &World, job: Run, sender: &UnboundedSender<Message>) {
    let world = world.clone();
    let vertex = job.task.vertex;
    let told = Arc::new(AtomicBool::new(false));
    let tell = {
        let (sender, told) = (sender.clone(), told.clone());
        move |cached: Cached| {
            told.store(true, Ordering::Relaxed);
            // The owner has gone only if the runtime is being torn down.
            let _ = sender.send(Message::Made(vertex, cached));
        }
    };
    spawn(
        sender,
        move || run_locked(&world, job, tell),
        move |result| match told.load(Ordering::Relaxed) {
            true => Message::Recorded(vertex, result.map(drop)),
            false => Message::Ended(vertex, result.unwrap_or_else(Ended::Failed)),
        },
    );
}

/// Tells what it made before that is recorded.
fn run_locked(world: &World, job: Run, tell: impl FnOnce(Cached)) -> Result<Ended, StepError> {
    let Run { task, place, recipe_key, content_key, inputs, base, ask, nearest } = job;
    let Some(_lock) = world.store.try_lock(&content_key)? else { return Ok(Ended::Busy) };
    let mut keys = vec![recipe_key, content_key];
    keys.dedup();
    let mut rebased = false;
    if ask {
        // Whoever held the lock before may have made it.
        let found = world.store.lookup(&keys)?;
        let (fitting, others): (Vec<_>, Vec<_>) =
            found.into_iter().flatten().partition(|cached| fits(cached, base));
        if let Some(cached) = fitting.into_iter().next() {
            return Ok(Ended::Found(cached));
        }
        rebased = !others.is_empty();
    }
    if task.cancel.is_canceled() {
        return Err(StepError::canceled());
    }

    let vertex = task.vertex;
    world.observer.event(Event::Started { vertex });
    let kind = task.op.kind();
    let miss = Miss { place: &place, inputs: &inputs, ask, nearest, rebased };
    // What says nothing while it runs need not wait until its miss is explained.
    let silent = matches!(task.op, Op::Copy(_));
    let execute = |task| {
        let began = Instant::now();
        Ok::<_, StepError>((world.work.execute(task)?, began.elapsed()))
    };
    let (preimage, (done, took)) = if silent {
        let explained = task.clone();
        let (preimage, done) = beside(|| miss.explain(world, &explained), || execute(task))?;
        let done = done?;
        (preimage?, done)
    } else {
        (miss.explain(world, &task)?, execute(task)?)
    };
    let cached = Cached { own: done.own, base, content_key, took };
    tell(cached.clone());
    world.store.record(Record { vertex, keys, kind, cached: cached.clone(), preimage, place })?;
    Ok(Ended::Made(cached))
}

/// Does the first on a thread of its own while this one does the second.
fn beside<A: Send, B>(
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B,
) -> Result<(A, B), StepError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("gantry-why".to_owned());
        let first = thread.spawn_scoped(scope, first).map_err(StepError::new)?;
        let second = second();
        Ok((first.join().unwrap_or_else(|panic| resume_unwind(panic)), second))
    })
}

/// What is known of a step that the store did not have.
struct Miss<'a> {
    place: &'a Place,
    inputs: &'a [InputFact],
    /// Whether the store was asked.
    ask: bool,
    nearest: Option<Nearest>,
    rebased: bool,
}

impl Miss<'_> {
    /// Tells why, and returns what explains the next miss.
    fn explain(self, world: &World, task: &Task) -> Result<Packed, StepError> {
        let input = |role| task.input(role).map(|input| (&input.op, Some(&input.snapshot)));
        let preimage = explain::detailed(world, &task.op, self.inputs, input);
        let why = match (self.ask, self.nearest) {
            (false, _) => Why::NoCache,
            (true, nearest) => {
                // Who was not asked about before may have run before all the same.
                let nearest =
                    nearest.map_or_else(|| world.store.nearest(self.place), |n| Ok(Some(n)))?;
                explain::why(nearest.as_ref(), &preimage, &task.op, self.inputs, self.rebased)
            }
        };
        world.observer.event(Event::Missed { vertex: task.vertex, why });
        Ok(world.store.pack(preimage)?)
    }
}
