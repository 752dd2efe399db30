//! Events around the solver's: kept back while it is open whether this process can build, and what
//! happens outside of the graph (reading the Dockerfile, writing outputs) as vertices of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gantry_solver::{Event, Observer, VertexId};

use crate::history::Recorder;
use crate::inputs::Loaded;
use crate::request::Output;

/// Keeps events back until it is known that this process can build.
pub(super) struct Held {
    inner: Arc<dyn Observer>,
    /// Hears everything when it happens, whoever else hears of it.
    pub(super) recorder: Recorder,
    events: Mutex<Option<Vec<Event>>>,
}

impl Held {
    /// Tells `inner` everything at once, or keeps it back for now.
    pub(super) fn new(inner: Arc<dyn Observer>, recorder: Recorder, keep_back: bool) -> Self {
        Self { inner, recorder, events: Mutex::new(keep_back.then(Vec::new)) }
    }

    /// Tells all that was kept back, and from now on everything at once.
    pub(super) fn release(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.take().into_iter().flatten().for_each(|event| self.inner.event(event));
    }
}

impl Observer for Held {
    fn event(&self, event: Event) {
        self.recorder.event(&event);
        let mut held = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *held {
            Some(events) => events.push(event),
            None => {
                drop(held);
                self.inner.event(event);
            }
        }
    }

    fn follows_file(&self) -> bool {
        self.inner.follows_file()
    }
}

/// Tells of the files that were read before there was a graph.
pub(super) fn tell_loaded(observer: &Held, loaded: &[Loaded]) {
    for (loaded, number) in loaded.iter().zip(1..) {
        let vertex = VertexId::internal(number);
        observer.event(Event::VertexAdded {
            vertex,
            kind: "internal".to_owned(),
            title: format!("[internal] {}", loaded.title),
            inputs: Vec::new(),
        });
        observer.event(Event::Started { vertex });
        if let Some(size) = loaded.size {
            let name = loaded.what.to_owned();
            observer.event(Event::Status { vertex, name, current: size, total: Some(size) });
        }
        observer.event(Event::Done { vertex, took: loaded.took });
    }
}

/// Tells that outputs are written, as one more vertex that belongs to no graph.
pub(super) struct Progress<'a> {
    observer: &'a Held,
    started: Instant,
    told: bool,
}

impl<'a> Progress<'a> {
    const VERTEX: u32 = 0;

    /// Tells that writing begins; without outputs there is nothing to tell.
    pub(super) fn begin(observer: &'a Held, outputs: &[Output]) -> Self {
        let title = match outputs {
            [] => None,
            [Output::Store { .. }]
            | [Output::Registry { .. }]
            | [Output::Store { .. }, Output::Registry { .. }] => Some("exporting to image"),
            [Output::Docker { .. }] => Some("exporting to docker image format"),
            [Output::Oci { .. }] => Some("exporting to oci image format"),
            [Output::Local { .. }] => Some("exporting to client directory"),
            [Output::Tar { .. }] => Some("exporting to client tarball"),
            _ => Some("exporting"),
        };
        if let Some(title) = title {
            let vertex = VertexId::internal(Self::VERTEX);
            observer.event(Event::VertexAdded {
                vertex,
                kind: "export".to_owned(),
                title: title.to_owned(),
                inputs: Vec::new(),
            });
            observer.event(Event::Started { vertex });
        }
        Self { observer, started: Instant::now(), told: title.is_none() }
    }

    /// Tells that a part of it begins.
    pub(super) fn begin_part(&self, name: &str) {
        self.part(name, 0, None);
    }

    /// Tells that a part of it is done.
    pub(super) fn end_part(&self, name: &str) {
        self.part(name, 0, Some(0));
    }

    /// Tells how far a part has come.
    pub(super) fn part(&self, name: &str, current: u64, total: Option<u64>) {
        if !self.told {
            let vertex = VertexId::internal(Self::VERTEX);
            let name = name.to_owned();
            self.observer.event(Event::Status { vertex, name, current, total });
        }
    }

    /// Tells that it failed.
    pub(super) fn failed(mut self, error: &dyn std::error::Error) {
        if !std::mem::replace(&mut self.told, true) {
            let vertex = VertexId::internal(Self::VERTEX);
            let chain = std::iter::successors(Some(error), |error| error.source());
            let mut messages: Vec<String> = chain.map(ToString::to_string).collect();
            messages.dedup();
            self.observer.event(Event::Failed { vertex, messages, exit_code: None });
        }
    }

    /// Tells that all is written.
    pub(super) fn done(&mut self) {
        if !std::mem::replace(&mut self.told, true) {
            let vertex = VertexId::internal(Self::VERTEX);
            self.observer.event(Event::Done { vertex, took: self.started.elapsed() });
        }
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if !self.told {
            let vertex = VertexId::internal(Self::VERTEX);
            self.observer.event(Event::Canceled { vertex });
        }
    }
}
