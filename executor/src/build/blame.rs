//! Who is to blame for a source path that leads nowhere: the instruction that names it.
//!
//! The solver learns of it when the context is read, as one read may serve several instructions.
//! People hear it of the instruction, as BuildKit tells it, and see where the path is written.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gantry_parser::ast::{Dockerfile, Instruction, Source};
use gantry_parser::{SourceFile, Span};
use gantry_solver::op::{CopyItem, SourcePath};
use gantry_solver::{Event, Graph, Observer, Op, StepError, VertexId};

use super::events::Held;
use crate::error::StepFailure;
use crate::work::{Executor, missing_source};

/// Tells the failure of a context as that of the step which asked for what is not there.
pub(super) struct Blame {
    inner: Arc<Held>,
    executor: Arc<Executor>,
    graph: Arc<Graph>,
    /// What the targets can need.
    needed: Vec<VertexId>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// When contexts began to be read.
    started: HashMap<VertexId, Instant>,
    /// Steps that were told to have failed.
    failed: HashSet<VertexId>,
}

impl Blame {
    /// Passes everything else on to `inner`.
    pub(super) fn new(
        inner: Arc<Held>,
        executor: Arc<Executor>,
        graph: Arc<Graph>,
        targets: &[VertexId],
    ) -> Self {
        let needed = graph.reachable(targets);
        Self { inner, executor, graph, needed, told: Mutex::default() }
    }

    /// The step that wants a path of a context which is not there.
    fn culprit(&self, vertex: VertexId) -> Option<VertexId> {
        let Op::Context(op) = &self.graph.vertex(vertex).op else { return None };
        if !self.executor.lacks(op) {
            return None;
        }
        self.graph.users(vertex).into_iter().find(|user| self.needed.contains(user))
    }

    /// Puts a failed step into the words of the Dockerfile.
    pub(super) fn failure(
        &self,
        vertex: VertexId,
        title: String,
        error: StepError,
        dockerfile: &SourceFile,
    ) -> StepFailure {
        let (vertex, title) = match self.culprit(vertex) {
            Some(user) => (user, self.graph.vertex(user).title.clone()),
            None => (vertex, title),
        };
        let span = self.graph.vertex(vertex).span;
        let place = missing_source(&error).and_then(|path| {
            let parsed = gantry_parser::parse(dockerfile);
            written(&parsed.dockerfile, span?, &self.graph.vertex(vertex).op, path)
        });
        StepFailure { title, span, place, error }
    }
}

impl Observer for Blame {
    fn event(&self, event: Event) {
        if matches!(event, Event::Failed { .. }) && self.executor.imports.is_lossy() {
            // All of it is tried again, without that cache.
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            Event::Started { vertex } if self.graph.vertex(*vertex).op.is_source() => {
                told.started.insert(*vertex, Instant::now());
            }
            Event::Canceled { vertex } if told.failed.contains(vertex) => return,
            Event::Failed { vertex, messages, exit_code } => {
                if let Some(user) = self.culprit(*vertex)
                    && told.failed.insert(user)
                {
                    let took = told.started.get(vertex).map(Instant::elapsed).unwrap_or_default();
                    self.inner.event(Event::Done { vertex: *vertex, took });
                    self.inner.event(Event::Started { vertex: user });
                    let (messages, exit_code) = (messages.clone(), *exit_code);
                    self.inner.event(Event::Failed { vertex: user, messages, exit_code });
                    return;
                }
            }
            _ => {}
        }
        drop(told);
        self.inner.event(event);
    }

    fn follows_file(&self) -> bool {
        self.inner.follows_file()
    }
}

/// Where an instruction names a source path: its items and its words are in the same order.
fn written(dockerfile: &Dockerfile, span: Span, op: &Op, wanted: &SourcePath) -> Option<Span> {
    let Op::Copy(op) = op else { return None };
    let number = op
        .items
        .iter()
        .position(|item| matches!(item, CopyItem::Tree { path, .. } if path == wanted))?;
    let statement = dockerfile.statements.iter().find(|statement| statement.span == span)?;
    let transfer = match &statement.instruction {
        Instruction::Copy(copy) => &copy.transfer,
        Instruction::Add(add) => &add.transfer,
        _ => return None,
    };
    match transfer.sources.get(number)? {
        Source::Path(word) => Some(word.span),
        Source::Heredoc(_) => None,
    }
}
