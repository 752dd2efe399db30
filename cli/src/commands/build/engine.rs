//! The end of a build that a docker client asked for: its engine gets the image, if one runs.

use std::time::Instant;

use gantry_cache::Store;
use gantry_executor::{BuildOutcome, BuildRequest, Output};
use gantry_sandbox::Host;
use gantry_solver::{CancelToken, Event, Observer as _, VertexId};

use super::Context;
use crate::plugin::engine::Engine;
use crate::progress::Progress;
use crate::ui::Failure;

/// How handing over ended that didn't fail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    NeedsUserNamespace,
}

/// The number of the vertex that tells of it.
const VERTEX: u32 = 0x7000_0000;

/// Finds the engine that the image of this build is meant for.
///
/// # Errors
/// The docker client's configuration can't be read.
pub(super) fn wanted(request: &BuildRequest, context: &Context) -> Result<Option<Engine>, Failure> {
    let stored = request.outputs.iter().any(|output| matches!(output, Output::Store { .. }));
    if !stored || !context.called.for_engine() {
        return Ok(None);
    }
    Engine::find(&context.called.client).map(Some)
}

/// Hands the image over. Without an engine there is nothing to do.
///
/// # Errors
/// The engine refuses the image; it was canceled.
pub(super) fn load(
    engine: &Engine,
    built: &BuildOutcome,
    store: &Store,
    host: &Host,
    progress: &Progress,
    cancel: &CancelToken,
    context: &Context,
) -> Result<Ended, Failure> {
    let Some(image) = &built.image else { return Ok(Ended::Done) };
    if !engine.answers() {
        if let Some(note) = engine.silence() {
            context.ui.note(format_args!("WARNING: {note}"));
        }
        return Ok(Ended::Done);
    }
    if host.needs_user_namespace() {
        // Files of the layers belong to users that only a user namespace knows.
        return Ok(Ended::NeedsUserNamespace);
    }
    let Some(image) = store.images().get(&image.stored)? else { return Ok(Ended::Done) };
    let vertex = VertexId::internal(VERTEX);
    let started = Instant::now();
    progress.event(Event::VertexAdded {
        vertex,
        kind: "export".to_owned(),
        title: "importing to docker".to_owned(),
        inputs: Vec::new(),
    });
    progress.event(Event::Started { vertex });
    let names = built.tags.iter().map(|tag| tag.clone().with_default_tag()).collect();
    let loaded = engine.hand_over(&image, names, store, cancel);
    match loaded {
        Ok(()) => {
            progress.event(Event::Done { vertex, took: started.elapsed() });
            Ok(Ended::Done)
        }
        Err(failure) => {
            progress.event(Event::Canceled { vertex });
            Err(failure)
        }
    }
}
