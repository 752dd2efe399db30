//! The recorder hears what happens in a build, and makes a record of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gantry_cache::{BuildId, LogId, Retention, RunningBuild, Store, StoreError};
use gantry_solver::{Event, Key, VertexId};

use super::record::{BuildRecord, Outcome, StepRecord, StepStatus};
use crate::error::BuildError;
use crate::outcome::BuildOutcome;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};

/// Takes notes of one build.
#[derive(Debug)]
pub(crate) struct Recorder {
    started: SystemTime,
    began: Instant,
    notes: Mutex<Notes>,
    /// Where it is told that the build runs, and what tells it.
    store: Option<Store>,
    running: Mutex<Option<RunningBuild>>,
}

#[derive(Debug, Default)]
struct Notes {
    record: BuildRecord,
    steps: Vec<Note>,
    index: HashMap<VertexId, usize>,
    /// Which steps began, in that order.
    order: Vec<usize>,
    ran: bool,
}

#[derive(Debug, Default)]
struct Note {
    step: StepRecord,
    inputs: Vec<VertexId>,
    begun: Option<Duration>,
    over: bool,
}

impl Recorder {
    /// Starts to take notes; `record` holds what was asked for.
    pub(crate) fn new(record: BuildRecord) -> Self {
        let notes = Mutex::new(Notes { record, ..Notes::default() });
        Self {
            started: SystemTime::now(),
            began: Instant::now(),
            notes,
            store: None,
            running: Mutex::new(None),
        }
    }

    /// Tells in this store that the build runs, once it runs a step.
    pub(crate) fn telling(self, store: &Store) -> Self {
        Self { store: Some(store.clone()), ..self }
    }

    /// Tells that the build runs, once. Where that can't be written, the build is merely not listed yet.
    fn tell(&self, store: &Store) {
        let mut running = lock(&self.running);
        if running.is_some() {
            return;
        }
        let record = BuildRecord {
            outcome: Outcome::Killed,
            error: Some("The process was killed".to_owned()),
            ..self.notes().record.clone()
        };
        if let Ok(json) = serde_json::to_vec(&record) {
            *running = store.builds().start(self.started, &json).ok();
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        lock(&self.notes)
    }

    /// Notes something about the build as a whole.
    pub(crate) fn describe(&self, describe: impl FnOnce(&mut BuildRecord)) {
        describe(&mut self.notes().record);
    }

    /// Says what is built: context and Dockerfile.
    pub(crate) fn project(&self) -> String {
        let notes = self.notes();
        format!("{}\n{}", notes.record.context, notes.record.dockerfile)
    }

    /// Notes the key and the log of a step.
    pub(crate) fn know(&self, vertex: VertexId, key: Option<Key>, log: Option<LogId>) {
        let mut notes = self.notes();
        if let Some(note) = notes.note(vertex) {
            note.step.key = key.map(|key| key.to_string());
            note.step.log = log.map(|log| log.to_string());
        }
    }

    /// Notes an event.
    pub(crate) fn event(&self, event: &Event) {
        if matches!(event, Event::Log { .. } | Event::Status { .. } | Event::Warning { .. }) {
            return;
        }
        let at = self.began.elapsed();
        self.notes().take(event, at);
        if let (Event::Missed { .. }, Some(store)) = (event, &self.store) {
            self.tell(store);
        }
    }

    /// Writes the record, and forgets old ones where this build took its time anyway.
    ///
    /// # Errors
    /// The store can't be written to.
    pub(crate) fn write(
        &self,
        store: &Store,
        result: &Result<BuildOutcome, BuildError>,
    ) -> Result<(BuildId, BuildRecord), StoreError> {
        let (record, ran) = self.finish(result);
        let logs: Vec<LogId> = record.steps.iter().filter_map(StepRecord::log_id).collect();
        let json = serde_json::to_vec(&record).map_err(|error| StoreError::Io {
            what: "put the build's record into words".to_owned(),
            source: error.into(),
        })?;
        let id = match lock(&self.running).take() {
            Some(running) => store.builds().end(running, &logs, &json)?,
            None => store.builds().put(self.started, &logs, &json)?,
        };
        // Of builds that ran nothing, one in sixteen tidies up.
        if ran || id.0[0] < 16 {
            store.builds().trim(&Retention::default())?;
        }
        Ok((id, record))
    }

    fn finish(&self, result: &Result<BuildOutcome, BuildError>) -> (BuildRecord, bool) {
        let mut notes = std::mem::take(&mut *self.notes());
        let places: HashMap<usize, usize> =
            notes.order.iter().enumerate().map(|(place, number)| (*number, place)).collect();
        let place = |vertex: &VertexId| places.get(notes.index.get(vertex)?).copied();
        let mut steps = Vec::with_capacity(notes.order.len());
        for &number in &notes.order {
            let note = &mut notes.steps[number];
            note.step.inputs = note.inputs.iter().filter_map(place).collect();
            if !note.over {
                note.step.status = StepStatus::Canceled;
            }
            steps.push(std::mem::take(&mut note.step));
        }
        let mut record = notes.record;
        record.steps = steps;
        record.took_us = micros(self.began.elapsed());
        match result {
            Ok(outcome) => {
                record.outcome = Outcome::Completed;
                record.image = outcome.image.as_ref().map(|image| image.id.to_string());
            }
            Err(BuildError::Canceled) => record.outcome = Outcome::Canceled,
            Err(error) => {
                record.outcome = Outcome::Error;
                record.error = Some(words(error));
            }
        }
        (record, notes.ran)
    }
}

impl Notes {
    fn note(&mut self, vertex: VertexId) -> Option<&mut Note> {
        self.index.get(&vertex).map(|number| &mut self.steps[*number])
    }

    fn take(&mut self, event: &Event, at: Duration) {
        match event {
            Event::VertexAdded { vertex, kind, title, inputs } => {
                let number = self.steps.len();
                if self.index.contains_key(vertex) {
                    return;
                }
                self.index.insert(*vertex, number);
                let (title, kind) = (title.clone(), kind.clone());
                let step = StepRecord { title, kind, ..StepRecord::default() };
                self.steps.push(Note { step, inputs: inputs.clone(), ..Note::default() });
            }
            Event::Started { vertex } => self.begin(*vertex, at),
            Event::Missed { vertex, why } => {
                self.ran = true;
                if let Some(note) = self.note(*vertex) {
                    note.step.why = Some(why.clone());
                }
            }
            Event::Cached { vertex } => self.end(*vertex, at, StepStatus::Cached, None),
            Event::Done { vertex, took } => self.end(*vertex, at, StepStatus::Ran, Some(*took)),
            Event::Failed { vertex, messages, .. } => {
                self.end(*vertex, at, StepStatus::Failed, None);
                if let Some(note) = self.note(*vertex) {
                    note.step.error = Some(messages.join(": "));
                }
            }
            Event::Canceled { vertex } => {
                // What never began is not worth a line.
                if self.note(*vertex).is_some_and(|note| note.begun.is_some()) {
                    self.end(*vertex, at, StepStatus::Canceled, None);
                }
            }
            Event::Waiting { .. }
            | Event::Instructions { .. }
            | Event::Named { .. }
            | Event::Skipped { .. }
            | Event::Log { .. }
            | Event::Status { .. }
            | Event::Warning { .. } => {}
        }
    }

    fn begin(&mut self, vertex: VertexId, at: Duration) {
        let Some(&number) = self.index.get(&vertex) else { return };
        let note = &mut self.steps[number];
        if note.begun.is_none() {
            note.begun = Some(at);
            note.step.started_us = micros(at);
            self.order.push(number);
        }
    }

    fn end(&mut self, vertex: VertexId, at: Duration, status: StepStatus, took: Option<Duration>) {
        self.begin(vertex, at);
        let Some(note) = self.note(vertex).filter(|note| !note.over) else { return };
        note.over = true;
        note.step.status = status;
        let since = at.saturating_sub(note.begun.unwrap_or(at));
        note.step.took_us = micros(took.unwrap_or(since));
        if let Some(took) = took {
            // Steps outside of the graph are told of when they are over.
            let began = at.saturating_sub(took.max(since));
            note.step.started_us = micros(began);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// What failed, with its causes.
fn words(error: &BuildError) -> String {
    if let BuildError::Steps(failures) = error
        && let Some(step) = failures.steps.first()
    {
        return step.error.messages().join(": ");
    }
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// What of a request is remembered: names, and no values.
pub(crate) fn requested(request: &BuildRequest) -> BuildRecord {
    let context = match &request.context {
        ContextSource::Directory(path) => {
            let whole = fs_err::canonicalize(path).unwrap_or_else(|_| path.clone());
            whole.to_string_lossy().into_owned()
        }
        ContextSource::Empty | ContextSource::Tar(_) => "-".to_owned(),
        ContextSource::Git(git) => crate::work::without_password(&git.remote),
        ContextSource::Http(url) => crate::work::without_password(url),
    };
    let dockerfile = match &request.dockerfile {
        DockerfileSource::Text(source) => source.name().to_owned(),
        DockerfileSource::InContext(path) => path.clone(),
        DockerfileSource::Default => "Dockerfile".to_owned(),
        DockerfileSource::Url(url) => crate::work::without_password(url),
    };
    BuildRecord {
        context,
        dockerfile,
        target: request.target.clone(),
        args: request.build_args.keys().cloned().collect(),
        tags: request.tags.iter().map(|tag| tag.familiar()).collect(),
        ..BuildRecord::default()
    }
}
