//! What lowering yields.

use std::{error::Error, fmt};

use gantry_image::{DateTime, DiffId, History, ImageConfig, Platform};
use gantry_parser::Diagnostic;

use crate::graph::{Graph, VertexId};

/// A Dockerfile, lowered.
#[derive(Debug)]
pub struct Lowered {
    /// All that the target can need.
    pub graph: Graph,
    /// The vertex whose root filesystem becomes the image.
    pub target: VertexId,
    /// The image config, with the base image's history and diff IDs, and with no times.
    pub config: ImageConfig,
    /// What this Dockerfile adds to the history.
    pub history: Vec<HistoryItem>,
    /// The platform of the image.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`, if it was given.
    pub source_date_epoch: Option<i64>,
    /// What wants to be looked through when a bill of materials is made.
    pub scans: Scans,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
}

/// What wants to be looked through besides the image, when a bill of materials is made
/// (`BUILDKIT_SBOM_SCAN_CONTEXT`, `BUILDKIT_SBOM_SCAN_STAGE`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scans {
    /// The build context.
    pub context: bool,
    /// The root filesystems of other stages, by their names.
    pub stages: Vec<(String, VertexId)>,
}

impl Lowered {
    /// Returns the vertices that made the layers above the base image's, lowest first. Each made
    /// exactly one.
    pub fn layer_vertices(&self) -> impl Iterator<Item = VertexId> + '_ {
        self.history.iter().filter_map(|item| item.vertex)
    }

    /// Returns the finished config: `diff_ids` are those of [`layer_vertices`](Self::layer_vertices),
    /// in that order, and `created` is the time of the build. The base's history is untouched.
    #[must_use]
    pub fn image_config(&self, diff_ids: &[DiffId], created: &DateTime) -> ImageConfig {
        let mut config = self.config.clone();
        config.created = Some(created.clone());
        config.rootfs.diff_ids.extend(diff_ids.iter().copied());
        config.history.extend(self.history.iter().map(|item| History {
            created: Some(created.clone()),
            created_by: item.created_by.clone(),
            comment: HistoryItem::COMMENT.to_owned(),
            empty_layer: item.vertex.is_none(),
            ..History::default()
        }));
        config
    }
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// What made it, such as `RUN /bin/sh -c make # buildkit`.
    pub created_by: String,
    /// The vertex whose one layer it is; `None` if there is no layer for it.
    pub vertex: Option<VertexId>,
}

impl HistoryItem {
    /// The comment of every entry: tools look for it.
    pub const COMMENT: &'static str = "buildkit.dockerfile.v0";
}

/// A Dockerfile can't be lowered. Each diagnostic says where and why.
#[derive(Debug, Clone)]
pub struct LowerErrors(pub Vec<Diagnostic>);

impl fmt::Display for LowerErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.first() {
            Some(first) => f.write_str(&first.message),
            None => f.write_str("The Dockerfile can't be built"),
        }
    }
}

impl Error for LowerErrors {}
