//! Caches elsewhere, at the end of a build: layers fetched that the result needs, caches written.

use std::time::Instant;

use gantry_cache::remote::{INLINE_CACHE, RemoteError};
use gantry_image::ImageConfig;
use gantry_solver::{Event, Observer as _, Snapshot, VertexId};

use super::{Build, Ready, Target};
use crate::error::BuildError;
use crate::export::{Assembly, ExportError};
use crate::remote::{Exporter, Places, inline};

/// The first vertex that tells of a cache being written.
const VERTEX: u32 = 0x2000_0000;

impl Build<'_> {
    /// Makes layers of the result known to the store that are in other caches only; `whole` fetches
    /// them, and those of images.
    pub(super) fn fetch(&self, ready: &Ready, whole: bool) -> Result<(), BuildError> {
        for target in &ready.targets {
            if let Some(snapshot) = ready.solved.snapshot(target.vertex) {
                self.fetch_snapshot(snapshot, whole)?;
            }
        }
        Ok(())
    }

    /// The same for one root filesystem.
    pub(super) fn fetch_snapshot(
        &self,
        snapshot: &Snapshot,
        whole: bool,
    ) -> Result<(), BuildError> {
        self.executor.know(snapshot, !whole).map_err(|error| match error {
            RemoteError::Store(error) => error.into(),
            error => BuildError::Export(ExportError::Cache(error)),
        })?;
        if whole {
            self.executor.bring(snapshot).map_err(|error| match self.cancel.is_canceled() {
                true => BuildError::Canceled,
                false => error.into(),
            })?;
        }
        Ok(())
    }

    fn places(&self) -> Places<'_> {
        let registry = self.request.registry.clone();
        Places { store: self.store, registry, cancel: self.cancel }
    }

    /// Writes what is known of the image's layers into its config, if that was asked for.
    pub(super) fn add_inline_cache(
        &self,
        ready: &Ready,
        target: &Target,
        snapshot: &Snapshot,
        config: &mut ImageConfig,
    ) -> Result<(), BuildError> {
        if !self.request.cache_inline {
            return Ok(());
        }
        // A time here would make a new image of every build.
        let places = self.places();
        let targets = [target.vertex];
        let (graph, solved) = (&ready.graph, &ready.solved);
        let exporter = Exporter::new(&self.executor, graph, solved, &targets, Some(0), &places);
        if let Some(records) = inline(&exporter, target.vertex, snapshot)? {
            config.extra.insert(INLINE_CACHE.to_owned(), records.into());
        }
        Ok(())
    }

    /// Writes the caches that were asked for. What fails there is a warning, unless it is to be
    /// more: the build has its result.
    pub(super) fn export_caches(
        &mut self,
        ready: &Ready,
        image: Option<&Assembly>,
    ) -> Result<(), BuildError> {
        let targets: Vec<VertexId> = ready.targets.iter().map(|target| target.vertex).collect();
        let caches = std::mem::take(&mut self.request.cache_to);
        let places = self.places();
        let epoch = ready.targets.first().and_then(|target| target.epoch);
        for (cache, number) in caches.iter().zip(VERTEX..) {
            if self.cancel.is_canceled() {
                return Err(BuildError::Canceled);
            }
            let (graph, solved) = (&ready.graph, &ready.solved);
            let mut exporter =
                Exporter::new(&self.executor, graph, solved, &targets, epoch, &places);
            if let Some(image) = image {
                exporter = exporter.with_image(image);
            }
            let (vertex, began) = (VertexId::internal(number), Instant::now());
            let title = cache.place.export_title();
            let (kind, inputs) = ("export".to_owned(), Vec::new());
            self.observer.event(Event::VertexAdded { vertex, kind, title, inputs });
            self.observer.event(Event::Started { vertex });
            let tell = |name: &str| {
                let name = name.to_owned();
                self.observer.event(Event::Status { vertex, name, current: 0, total: Some(0) });
            };
            match exporter.write(cache, self.cancel, &tell) {
                Ok(()) => self.observer.event(Event::Done { vertex, took: began.elapsed() }),
                Err(error) => {
                    let chain =
                        std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
                            error.source()
                        });
                    let mut messages: Vec<String> = chain.map(ToString::to_string).collect();
                    messages.dedup();
                    let why = messages.join(": ");
                    self.observer.event(Event::Failed { vertex, messages, exit_code: None });
                    if !cache.ignore_error {
                        return Err(error.into());
                    }
                    let place = cache.place.title();
                    let message = format!("The cache could not be exported to {place}: {why}");
                    self.observer.event(Event::Warning { vertex: None, message });
                }
            }
        }
        Ok(())
    }
}
