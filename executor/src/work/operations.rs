//! [`Work`] for the [`Executor`]: each operation handed to the file that carries it out.

use std::sync::atomic::Ordering;
use std::time::Instant;

use gantry_solver::key::Value;
use gantry_solver::op::Selection;
use gantry_solver::{CancelToken, Done, Events, Op, Snapshot, SourceAnswer, StepError, Task, Work};

use super::fault::Fault;
use super::stack::{Stack, layer_id};
use super::{Executor, copy, git, http, make_dir, mounting, picked, run, select};
use crate::history::micros;

/// Where something came from that was fetched: what is known of its time.
#[derive(Debug)]
pub(crate) struct Origin(When);

#[derive(Debug)]
enum When {
    Commit(i64),
    /// Its time may have to be looked for in it.
    Download {
        known: http::Known,
        name: String,
    },
}

impl Work for Executor {
    fn source(
        &self,
        op: &Op,
        events: &Events,
        cancel: &CancelToken,
    ) -> Result<SourceAnswer, StepError> {
        match op {
            Op::Context(op) => {
                let digest = self.context(&op.name)?.digest(&op.selection);
                if let Err(Fault::Missing { .. }) = &digest {
                    self.lacking().insert(op.clone());
                }
                Ok(SourceAnswer { digest: digest?, own: Vec::new() })
            }
            Op::Http(_) | Op::Git(_) => Ok(self.fetch_source(op, events, cancel)?.0),
            _ => Err(Fault::bug("Only sources can be read").into()),
        }
    }

    fn describe(&self, op: &Op) -> Option<Value> {
        let Op::Context(op) = op else { return None };
        self.context(&op.name).ok()?.describe(&op.selection).ok()
    }

    fn describe_content(&self, snapshot: &Snapshot, selection: &Selection) -> Option<Value> {
        let stack = Stack::open(&self.store, snapshot).ok()?;
        let view = stack.view();
        let chosen = select::select(&view, &selection.paths).ok()?;
        let exclude = picked::excludes(&selection.exclude).ok()?;
        let picked = picked::pick(&view, &chosen, &exclude);
        Some(picked::describe(&view, &picked, selection.any_mode))
    }

    fn content(&self, snapshot: &Snapshot, selection: &Selection) -> Result<[u8; 32], StepError> {
        let began = Instant::now();
        let content = self.content_of(snapshot, selection);
        self.shared.digesting.fetch_add(micros(began.elapsed()), Ordering::Relaxed);
        Ok(content?)
    }

    fn execute(&self, task: Task) -> Result<Done, StepError> {
        let done = self.run(&task);
        if let Err(Fault::Spawn(_)) = &done {
            mounting::forget(&self.store);
        }
        Ok(done?)
    }
}

impl Executor {
    /// Fetches a source that lies elsewhere, with all that is known of its time.
    pub(crate) fn fetch_source(
        &self,
        op: &Op,
        events: &Events,
        cancel: &CancelToken,
    ) -> Result<(SourceAnswer, Origin), StepError> {
        match op {
            Op::Http(op) => {
                let known = http::fetch(self, op, events, cancel)?;
                Ok((known.answer(), Origin(When::Download { known, name: op.name.clone() })))
            }
            Op::Git(op) => {
                let (answer, time) = git::fetch(self, op, cancel)?;
                Ok((answer, Origin(When::Commit(time))))
            }
            _ => Err(Fault::bug("Only what lies elsewhere can be fetched").into()),
        }
    }

    /// Returns the time of what was fetched, in seconds since 1970, if it has one.
    pub(crate) fn time_of(&self, origin: &Origin) -> Result<Option<i64>, StepError> {
        match &origin.0 {
            When::Commit(time) => Ok(Some(*time)),
            When::Download { known, name } => Ok(http::time(self, known, name)?),
        }
    }

    fn run(&self, task: &Task) -> Result<Done, Fault> {
        for input in &task.inputs {
            self.fetch(&input.snapshot)?;
        }
        if self.single_id() {
            let message = "Only one user ID is available: all files belong to root, and steps can \
                           run as nobody else; `gantry info` says what is missing";
            self.warn_once(&task.events, "ids", message.to_owned());
        }
        let done = match &task.op {
            Op::Run(op) => run::execute(self, task, op),
            Op::Copy(op) => copy::execute(self, task, op),
            Op::MakeDir(op) => make_dir::execute(self, task, op),
            Op::Scratch | Op::Image(_) => Ok(Done { own: Vec::new() }),
            Op::Context(_) | Op::Http(_) | Op::Git(_) => {
                Err(Fault::bug("A source is read, not executed"))
            }
        }?;
        if let Some(diffs) = self.shared.diffs.get() {
            diffs.start(done.own.iter().map(layer_id));
        }
        Ok(done)
    }

    /// Digests what a selection takes from a snapshot.
    pub(super) fn content_of(
        &self,
        snapshot: &Snapshot,
        selection: &Selection,
    ) -> Result<[u8; 32], Fault> {
        self.fetch(snapshot)?;
        let stack = Stack::open(&self.store, snapshot)?;
        let view = stack.view();
        let chosen = select::select(&view, &selection.paths)?;
        let picked = picked::pick(&view, &chosen, &picked::excludes(&selection.exclude)?);
        Ok(picked::digest(&view, &picked, selection.any_mode))
    }
}
