//! What came out of a build.

use std::path::PathBuf;
use std::time::Duration;

use gantry_cache::BuildId;
use gantry_image::{Descriptor, Digest, Platform, Reference};
use gantry_parser::{Diagnostic, SourceFile};

use crate::history::BuildRecord;

/// A build that succeeded.
#[derive(Debug)]
pub struct BuildOutcome {
    /// The image, if an output made one.
    pub image: Option<BuiltImage>,
    /// The names that the image has in the store now, besides those it had.
    pub tags: Vec<Reference>,
    /// What the outputs wrote, in their order; streams are not listed.
    pub exported: Vec<PathBuf>,
    /// The Dockerfile, for showing warnings.
    pub dockerfile: SourceFile,
    /// What the user should know about the Dockerfile.
    pub warnings: Vec<Diagnostic>,
    /// How each platform's image was built, if that was asked for: a provenance.
    pub provenance: Vec<(Platform, serde_json::Value)>,
    /// What became of the steps.
    pub stats: Stats,
    /// What the history remembers of it; nothing if that could not be written.
    pub past: Option<(BuildId, BuildRecord)>,
}

/// An image that a build made, or found to be there already.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltImage {
    /// The image ID: the digest of its config; of several platforms' images, of the index.
    pub id: Digest,
    /// The ID of the image that names in the store stand for: of several, the one that runs here.
    pub stored: Digest,
    /// The digest of its manifest, or of the index.
    pub manifest: Digest,
    /// What a registry would call it.
    pub descriptor: Descriptor,
    /// Whether it is an index: over the images of several platforms, or an image and what is said
    /// about it.
    pub is_index: bool,
    /// What it runs on; of several, the first one.
    pub platform: Platform,
    /// Whether it was in the store before.
    pub reused: bool,
}

/// What became of the steps of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Steps that the target could need (sources not counted).
    pub steps: usize,
    /// Titles of those that were executed, in the order in which they ended.
    pub ran: Vec<String>,
    /// From the first question to the store to the last step's end.
    pub solving: Duration,
    /// Diff IDs, image and other outputs.
    pub exporting: Duration,
}
