//! What runs on blocking threads: reading, asking, narrowing, running. Each job ends with one
//! message to the owner, whatever happens inside it; a run may send another before.

use std::{
    any::Any,
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    cancel::CancelToken,
    event::Event,
    graph::{Graph, Role, VertexId},
    key::{InputId, Key, preimage},
    op::Selection,
    scheduler::{World, state::Ended},
    store::{Cached, Nearest, Place, Snapshot, StoreError},
    work::{Events, SourceAnswer, StepError},
};

/// What a job tells the owner.
#[derive(Debug)]
pub(super) enum Message {
    /// A source was read.
    Read(VertexId, Result<SourceAnswer, StepError>),
    /// The store answered for recipe keys.
    Answered(Vec<(VertexId, Result<Answer, StepError>)>),
    /// What is taken from the inputs was digested, and the store asked if that was wanted.
    Narrowed(VertexId, Result<Narrowed, StepError>),
    /// A run made something, and now records it.
    Made(VertexId, Cached),
    /// What was made is recorded, or could not be.
    Recorded(VertexId, Result<(), StepError>),
    /// A run ended that made nothing.
    Ended(VertexId, Ended),
    /// It is time to look at contended steps again.
    Tick,
}

/// What the store has for a recipe key.
#[derive(Debug)]
pub(super) enum Answer {
    Hit(Cached),
    Miss(Option<Nearest>),
}

/// What narrowing found out.
#[derive(Debug)]
pub(super) struct Narrowed {
    pub(super) content_key: Key,
    /// Digests of what is taken from stages and images, by role.
    pub(super) contents: Vec<(Role, [u8; 32])>,
    pub(super) cached: Option<Cached>,
}

/// Runs `body` on a blocking thread and sends what it returns; a panic becomes a failure.
pub(super) fn spawn<T: Send + 'static>(
    sender: &UnboundedSender<Message>,
    body: impl FnOnce() -> Result<T, StepError> + Send + 'static,
    message: impl FnOnce(Result<T, StepError>) -> Message + Send + 'static,
) {
    let sender = sender.clone();
    drop(tokio::task::spawn_blocking(move || {
        let result = caught(body);
        // The owner has gone only if the runtime is being torn down.
        let _ = sender.send(message(result));
    }));
}

fn caught<T>(body: impl FnOnce() -> Result<T, StepError>) -> Result<T, StepError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> StepError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    StepError::new(format!("The step hit a bug in gantry: {}", text.unwrap_or("it panicked")))
        .with_hint("Please report it, with the message above")
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        StepError::new(error)
    }
}

/// Comes back after a while.
pub(super) fn tick(sender: &UnboundedSender<Message>, after: Duration) {
    let body = move || {
        std::thread::sleep(after);
        Ok(())
    };
    spawn(sender, body, |_| Message::Tick);
}

/// Reads sources, one after the other; several readers share one list.
pub(super) fn read(
    world: &World,
    graph: &Arc<Graph>,
    sources: &Arc<Mutex<VecDeque<(VertexId, CancelToken)>>>,
    sender: &UnboundedSender<Message>,
) {
    let (world, graph) = (world.clone(), graph.clone());
    let (sources, sender) = (sources.clone(), sender.clone());
    drop(tokio::task::spawn_blocking(move || {
        loop {
            let next = sources.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some((vertex, cancel)) = next else { break };
            let result = caught(|| {
                if cancel.is_canceled() {
                    return Err(StepError::canceled());
                }
                world.observer.event(Event::Started { vertex });
                let began = Instant::now();
                let events = Events::new(world.observer.clone(), vertex);
                let answer = world.work.source(&graph.vertex(vertex).op, &events, &cancel)?;
                world.observer.event(Event::Done { vertex, took: began.elapsed() });
                Ok(answer)
            });
            let _ = sender.send(Message::Read(vertex, result));
        }
    }));
}

/// Asks the store for recipe keys, and for the nearest earlier runs of those that it hasn't.
pub(super) fn ask(
    world: &World,
    questions: Vec<(VertexId, Key, Place)>,
    sender: &UnboundedSender<Message>,
) {
    let store = world.store.clone();
    let vertices: Vec<_> = questions.iter().map(|(vertex, ..)| *vertex).collect();
    let body = move || {
        let keys: Vec<_> = questions.iter().map(|(_, key, _)| *key).collect();
        let found = store.lookup(&keys)?;
        let mut answers = Vec::with_capacity(found.len());
        for ((vertex, _, place), cached) in questions.iter().zip(found) {
            let answer = match cached {
                Some(cached) => Answer::Hit(cached),
                None => Answer::Miss(store.nearest(place)?),
            };
            answers.push((*vertex, Ok(answer)));
        }
        Ok(answers)
    };
    spawn(sender, body, move |result: Result<Vec<_>, StepError>| match result {
        Ok(answers) => Message::Answered(answers),
        Err(error) => {
            Message::Answered(vertices.iter().map(|v| (*v, Err(error.clone()))).collect())
        }
    });
}

/// Inputs of a step, as they count for its content key.
pub(super) struct Narrow {
    pub(super) vertex: VertexId,
    pub(super) graph: Arc<Graph>,
    /// Inputs that count by their keys.
    pub(super) keyed: Vec<(Role, Key)>,
    /// Inputs that count by what is taken from them.
    pub(super) taken: Vec<(Role, Snapshot, Selection)>,
    /// What the step is made on top of, if it depends on that.
    pub(super) base: Option<[u8; 32]>,
    /// Whether the store may be asked.
    pub(super) ask: bool,
    /// By which the store did not know it.
    pub(super) recipe_key: Option<Key>,
}

/// Digests what a step takes from its inputs, and asks the store for the content key.
pub(super) fn narrow(world: &World, job: Narrow, sender: &UnboundedSender<Message>) {
    let world = world.clone();
    let vertex = job.vertex;
    let body = move || {
        let mut contents = Vec::with_capacity(job.taken.len());
        for (role, snapshot, selection) in &job.taken {
            contents.push((*role, world.work.content(snapshot, selection)?));
        }
        let keyed = job.keyed.iter().map(|(role, key)| (*role, InputId::Key(*key, None)));
        let taken = contents.iter().map(|(role, digest)| (*role, InputId::Content(*digest)));
        let content_key = preimage::of_step(&job.graph.vertex(vertex).op, keyed.chain(taken)).key();
        let cached = if job.ask {
            let found = world.store.lookup(&[content_key])?;
            let found = found.into_iter().flatten().find(|cached| fits(cached, job.base));
            if let (Some(found), Some(recipe_key)) = (&found, job.recipe_key)
                && recipe_key != content_key
            {
                // Where it can't be written down, the next build looks at the inputs again.
                drop(world.store.also(recipe_key, found, &job.graph.vertex(vertex).place));
            }
            found
        } else {
            None
        };
        Ok(Narrowed { content_key, contents, cached })
    };
    spawn(sender, body, move |result| Message::Narrowed(vertex, result));
}

/// Returns whether layers can lie on a base with this [`Snapshot::id`].
pub(super) fn fits(cached: &Cached, base: Option<[u8; 32]>) -> bool {
    cached.base.is_none() || cached.base == base
}
