//! Several platforms in one build: their graphs put together, so that all steps run at once and
//! what does not depend on the platform runs once.

use gantry_parser::Diagnostic;
use gantry_solver::lower::{HistoryItem, Lowered, Scans};
use gantry_solver::{Graph, VertexId};

use super::{Ready, Target};

/// The graphs of some platforms as one.
#[derive(Default)]
pub(super) struct Together {
    graph: Graph,
    targets: Vec<Target>,
}

impl Together {
    /// Adds a platform's graph, and its warnings to those of the others, each once.
    pub(super) fn add(&mut self, lowered: Lowered, warnings: &mut Vec<Diagnostic>) {
        for warning in lowered.warnings {
            let same = |other: &Diagnostic| {
                (other.code, other.span(), &other.message)
                    == (warning.code, warning.span(), &warning.message)
            };
            if !warnings.iter().any(same) {
                warnings.push(warning);
            }
        }
        // The usual case, one platform, keeps its graph as it is.
        let places = match self.graph.is_empty() {
            true => {
                self.graph = lowered.graph;
                None
            }
            false => Some(self.take_in(&lowered.graph)),
        };
        let place = |vertex: VertexId| match &places {
            Some(places) => places[vertex.index()],
            None => vertex,
        };
        let moved = |item: HistoryItem| HistoryItem { vertex: item.vertex.map(place), ..item };
        self.targets.push(Target {
            vertex: place(lowered.target),
            config: lowered.config,
            history: lowered.history.into_iter().map(moved).collect(),
            platform: lowered.platform,
            epoch: lowered.source_date_epoch,
            scans: Scans {
                stages: lowered.scans.stages.into_iter().map(|(n, v)| (n, place(v))).collect(),
                ..lowered.scans
            },
            scan: None,
        });
    }

    /// Adds all vertices of another graph; returns where each came to be.
    fn take_in(&mut self, other: &Graph) -> Vec<VertexId> {
        let mut places: Vec<VertexId> = Vec::with_capacity(other.len());
        for id in other.ids() {
            // Inputs come first, so they have their places.
            let inputs: Vec<_> = other
                .inputs(id)
                .into_iter()
                .map(|(role, input)| (role, places[input.index()]))
                .collect();
            places.push(self.graph.add(other.vertex(id).clone(), &inputs));
        }
        places
    }

    pub(super) fn finish(self) -> (Graph, Vec<Target>) {
        (self.graph, self.targets)
    }
}

impl Target {
    /// Its image's vertex, and that of what looks through it.
    pub(super) fn all(&self) -> impl Iterator<Item = VertexId> + use<> {
        std::iter::once(self.vertex).chain(self.scan.map(|scan| scan.result))
    }
}

impl Ready {
    /// All that was solved for: images, and what looks through them.
    pub(super) fn all(&self) -> Vec<VertexId> {
        self.targets.iter().flat_map(Target::all).collect()
    }
}
