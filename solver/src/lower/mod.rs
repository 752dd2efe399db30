//! Lowering: from a parsed Dockerfile to a graph, an image config and a history.

use std::{collections::BTreeMap, error::Error, fmt};

use gantry_image::{ImageConfig, Platform};
use gantry_parser::{Diagnostic, Dockerfile, SourceFile};

use crate::{
    graph::{Graph, VertexId},
    op::{GitOp, HttpOp, Limits, Network, Ulimit},
    resolve::Resolve,
};

/// How to lower: what the command line says.
#[derive(Debug, Clone)]
pub struct LowerOptions {
    /// The stage to build; the last one if absent.
    pub target: Option<String>,
    /// `--build-arg`, those with a value.
    pub build_args: BTreeMap<String, String>,
    /// `--label`; they win over the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// `--platform`. If absent, the platform of the host is meant, and the image keeps what its
    /// base says.
    pub platform: Option<Platform>,
    /// The platform that steps can run on.
    pub host: Platform,
    /// Whether other platforms are built too: titles name the platform then.
    pub multi_platform: bool,
    /// The build context.
    pub context: Context,
    /// `--build-context`, by name; `name::os/arch` counts for one platform only.
    pub contexts: BTreeMap<String, Context>,
    /// `--network`.
    pub network: Network,
    /// `--add-host`: host, address.
    pub extra_hosts: Vec<(String, String)>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// `--memory` and its like.
    pub limits: Limits,
}

/// Where the files of a context come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A local directory (or a tar on stdin), known to the executor by the context's name.
    Local,
    /// An image: what follows `docker-image://`.
    Image(String),
    /// An image in an OCI layout: what follows `oci-layout://`.
    OciLayout(String),
    /// A git repository.
    Git(GitOp),
    /// A single file behind an address.
    Http(HttpOp),
}

/// A Dockerfile, lowered.
#[derive(Debug)]
pub struct Lowered {
    /// All that the target can need.
    pub graph: Graph,
    /// The vertex whose root filesystem becomes the image.
    pub target: VertexId,
    /// The image config, with the base's history and without diff IDs and times.
    pub config: ImageConfig,
    /// What this Dockerfile adds to the history.
    pub history: Vec<HistoryItem>,
    /// The platform of the image.
    pub platform: Platform,
    /// `SOURCE_DATE_EPOCH`, if it was given.
    pub source_date_epoch: Option<i64>,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
}

/// One entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// What made it, such as `RUN /bin/sh -c make # buildkit`.
    pub created_by: String,
    /// `buildkit.dockerfile.v0`, as tools expect it.
    pub comment: &'static str,
    /// Whether there is no layer for it.
    pub empty_layer: bool,
    /// The vertex whose one layer it is.
    pub vertex: Option<VertexId>,
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

/// Lowers a Dockerfile that was parsed without errors from `source`.
///
/// # Errors
/// [`LowerErrors`] for whatever is wrong with it: expansion, stages, images that can't be
/// resolved, ONBUILD triggers.
pub async fn lower(
    source: &SourceFile,
    dockerfile: &Dockerfile,
    options: &LowerOptions,
    resolve: &dyn Resolve,
) -> Result<Lowered, LowerErrors> {
    let _ = (source, dockerfile, options, resolve);
    todo!()
}
