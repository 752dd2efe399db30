//! What the solver asks of whoever carries operations out: the [`Work`] trait and its words.

use std::{error::Error, fmt, sync::Arc};

use crate::{
    cancel::CancelToken,
    event::{Event, Observer, Stream},
    graph::{Role, VertexId},
    key::Value,
    op::{Op, Selection},
    store::{LayerRef, Snapshot},
};

/// Carries out operations. All calls block; the solver makes them on worker threads, several at
/// once, as many as [`Options::jobs`](crate::Options::jobs) allows.
pub trait Work: Send + Sync + 'static {
    /// Finds out what a source ([`Op::Context`], [`Op::Http`], [`Op::Git`]) holds now, and
    /// returns a digest of it. For the latter two this fetches, unless what was fetched before is
    /// still good.
    ///
    /// The digest of a context covers what its selection takes and nothing else: per file name,
    /// type, mode bits, link target, extended attributes and content; no times, no owner (it is
    /// always 0:0), no file outside the selection.
    ///
    /// # Errors
    /// [`StepError`] if a file can't be read, or a path that must exist doesn't.
    fn source(
        &self,
        op: &Op,
        events: &Events,
        cancel: &CancelToken,
    ) -> Result<SourceAnswer, StepError>;

    /// Returns the parts that the digest of a source was made of (per path a digest), so that
    /// [`crate::why`] can say which file changed. Only asked for steps that run.
    fn describe(&self, op: &Op) -> Option<Value> {
        let _ = op;
        None
    }

    /// Returns the parts that a digest of [`content`](Self::content) was made of, as
    /// [`describe`](Self::describe) does. Only asked for steps that run.
    fn describe_content(&self, snapshot: &Snapshot, selection: &Selection) -> Option<Value> {
        let _ = (snapshot, selection);
        None
    }

    /// Returns a digest of what `selection` takes from `snapshot`: per file name, type, mode
    /// bits, owner, link target, extended attributes and content, and no times.
    ///
    /// # Errors
    /// [`StepError`] if a layer can't be read, or a path that must exist doesn't.
    fn content(&self, snapshot: &Snapshot, selection: &Selection) -> Result<[u8; 32], StepError>;

    /// Runs an [`Op::Run`], [`Op::Copy`] or [`Op::MakeDir`] on top of its inputs.
    ///
    /// # Errors
    /// [`StepError`] if it fails; [`StepError::canceled`] if it ended because of `task.cancel`.
    fn execute(&self, task: Task) -> Result<Done, StepError>;
}

/// One operation to run, with all that it needs.
#[derive(Debug, Clone)]
pub struct Task {
    /// Which vertex it is.
    pub vertex: VertexId,
    /// What to do.
    pub op: Op,
    /// What to do it with, sorted by role.
    pub inputs: Vec<TaskInput>,
    /// Where logs and progress go.
    pub events: Events,
    /// Asks for an early end.
    pub cancel: CancelToken,
}

impl Task {
    /// Returns the root filesystem that the operation builds upon; an empty one for
    /// `COPY --link`, which must not look at it.
    #[must_use]
    pub fn base(&self) -> Snapshot {
        self.input(Role::Base).map(|input| input.snapshot.clone()).unwrap_or_default()
    }

    /// Returns the input with this role.
    #[must_use]
    pub fn input(&self, role: Role) -> Option<&TaskInput> {
        self.inputs.iter().find(|input| input.role == role)
    }
}

/// An input of a task.
#[derive(Debug, Clone)]
pub struct TaskInput {
    /// Which input it is.
    pub role: Role,
    /// The vertex that made it.
    pub vertex: VertexId,
    /// The operation that made it. For [`Op::Context`] this is all there is: the files are read
    /// straight from the directory.
    pub op: Op,
    /// Its layers, lowest first.
    pub snapshot: Snapshot,
}

/// What an operation made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its own layers, lowest first; already in the store, and kept there by this process.
    pub own: Vec<LayerRef>,
}

/// What a source holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceAnswer {
    /// Digest of what it holds; git: of the commit.
    pub digest: [u8; 32],
    /// Layers in the store that hold it (HTTP, git); none for a context.
    pub own: Vec<LayerRef>,
}

/// Where a running operation tells about itself. Cheap to clone; can be used on any thread.
#[derive(Clone)]
pub struct Events {
    observer: Arc<dyn Observer>,
    vertex: VertexId,
}

impl Events {
    /// Makes a handle that reports for `vertex`.
    #[must_use]
    pub fn new(observer: Arc<dyn Observer>, vertex: VertexId) -> Self {
        Events { observer, vertex }
    }

    /// Reports output of a process.
    pub fn log(&self, stream: Stream, data: impl Into<Vec<u8>>) {
        let data = data.into();
        self.observer.event(Event::Log { vertex: self.vertex, stream, data });
    }

    /// Reports how far something with a name (a layer, a download) has come.
    pub fn status(&self, name: impl Into<String>, current: u64, total: Option<u64>) {
        let name = name.into();
        self.observer.event(Event::Status { vertex: self.vertex, name, current, total });
    }

    /// Reports something that the user should know, but that is no failure.
    pub fn warn(&self, message: impl Into<String>) {
        let message = message.into();
        self.observer.event(Event::Warning { vertex: Some(self.vertex), message });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.vertex).finish()
    }
}

/// Why an operation failed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StepError {
    error: Arc<dyn Error + Send + Sync>,
    hint: Option<Arc<str>>,
    exit_code: Option<i32>,
    canceled: bool,
}

impl StepError {
    /// Wraps what went wrong.
    #[must_use]
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        StepError { error: error.into().into(), hint: None, exit_code: None, canceled: false }
    }

    /// Says that the operation ended because it was asked to.
    #[must_use]
    pub fn canceled() -> Self {
        StepError { canceled: true, ..Self::new("Canceled") }
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        StepError { hint: Some(hint.into().into()), ..self }
    }

    /// Adds the exit code of the process that failed.
    #[must_use]
    pub fn with_exit_code(self, code: i32) -> Self {
        StepError { exit_code: Some(code), ..self }
    }

    /// Returns the error itself, to look for a known type or print the chain of sources.
    #[must_use]
    pub fn inner(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Returns what the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the exit code of the process that failed, if one did.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// Returns what failed and all causes, outermost first.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let mut messages = vec![self.to_string()];
        let mut next = self.source();
        while let Some(error) = next {
            messages.push(error.to_string());
            next = error.source();
        }
        messages
    }

    /// Returns whether the operation ended because it was asked to.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.canceled
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
