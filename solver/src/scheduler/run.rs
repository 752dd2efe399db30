//! The job that runs a step: lock, look again, execute, record.

use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    event::Event,
    graph::Role,
    key::{InputId, Key, Value, preimage},
    op::Op,
    scheduler::{
        World,
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

/// What is known of one input of a step.
pub(super) struct InputFact {
    pub(super) role: Role,
    pub(super) recipe_key: Key,
    /// What a source was found to hold.
    pub(super) source: Option<[u8; 32]>,
    /// The digest of what the step takes from it.
    pub(super) content: Option<[u8; 32]>,
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
    if ask {
        // Whoever held the lock before may have made it.
        let found = world.store.lookup(&keys)?;
        if let Some(cached) = found.into_iter().flatten().find(|cached| fits(cached, base)) {
            return Ok(Ended::Found(cached));
        }
    }
    if task.cancel.is_canceled() {
        return Err(StepError::canceled());
    }

    let vertex = task.vertex;
    world.observer.event(Event::Started { vertex });
    let ids: Vec<_> = inputs
        .iter()
        .filter(|input| input.role != Role::Base || preimage::depends_on_base(&task.op))
        .map(|input| (input.role, InputId::Key(input.recipe_key, explain(world, &task, input))))
        .collect();
    let preimage = preimage::of_step(&task.op, ids);
    let why = if ask { Why::compare(nearest.as_ref(), &preimage) } else { Why::NoCache };
    world.observer.event(Event::Missed { vertex, why });

    let kind = task.op.kind();
    let began = Instant::now();
    let done = world.work.execute(task)?;
    let cached = Cached { own: done.own, base, content_key, took: began.elapsed() };
    let preimage = preimage.encode().into();
    world.store.record(Record { vertex, keys, kind, cached: cached.clone(), preimage, place })?;
    Ok(Ended::Made(cached))
}

/// Returns what an input's key stands for, as far as that helps to explain a change.
fn explain(world: &World, task: &Task, input: &InputFact) -> Option<Value> {
    let op = &task.input(input.role)?.op;
    if op.is_source() && !(matches!(op, Op::Image(_)) && input.content.is_some()) {
        let content = input.source.map(|digest| (digest, world.work.describe(op)));
        return preimage::of_source(op, content).map(|preimage| preimage.0);
    }
    input.content.map(|digest| Value::tree([("content", Value::Digest(digest, None))]))
}
