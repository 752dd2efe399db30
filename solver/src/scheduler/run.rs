//! The job that runs a step: lock, look again, execute, record.

use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::Event,
    key::Key,
    scheduler::{
        World,
        explain::{self, InputFact},
        jobs::{Message, fits, spawn},
        state::Ended,
    },
    store::{Cached, Nearest, Place, Record},
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
    spawn(
        sender,
        move || run_locked(&world, job),
        move |result| Message::Ended(vertex, result.unwrap_or_else(Ended::Failed)),
    );
}

fn run_locked(world: &World, job: Run) -> Result<Ended, StepError> {
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
    let input = |role| task.input(role).map(|input| (&input.op, Some(&input.snapshot)));
    let preimage = explain::detailed(world, &task.op, &inputs, input);
    let why = match ask {
        // Who was not asked about before may have run before all the same.
        true if nearest.is_none() => {
            let nearest = world.store.nearest(&place)?;
            explain::why(nearest.as_ref(), &preimage, &task.op, &inputs, rebased)
        }
        true => explain::why(nearest.as_ref(), &preimage, &task.op, &inputs, rebased),
        false => Why::NoCache,
    };
    world.observer.event(Event::Missed { vertex, why });

    let kind = task.op.kind();
    let began = Instant::now();
    let done = world.work.execute(task)?;
    let cached = Cached { own: done.own, base, content_key, took: began.elapsed() };
    let preimage = preimage.encode().into();
    world.store.record(Record { vertex, keys, kind, cached: cached.clone(), preimage, place })?;
    Ok(Ended::Made(cached))
}
