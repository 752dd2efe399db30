//! What is to be said about the result of a build, as asked for.

use std::collections::BTreeMap;

/// What is to be said about the result of a build. The default is nothing: one image, one manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestations {
    /// How it was built.
    pub provenance: Option<Provenance>,
    /// What is in it.
    pub sbom: Option<Sbom>,
    /// Whether the provenance is told in the outcome, be it attached or not, and how much of it.
    pub told: Option<ProvenanceMode>,
    /// What a version control system says of the context: `revision`, `source`. Only a hint.
    pub vcs: BTreeMap<String, String>,
}

impl Attestations {
    /// Says whether something is attached wherever it can be, and not to images only.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.sbom.is_some() || self.provenance.as_ref().is_some_and(|asked| !asked.inline_only)
    }

    /// Says whether anything is attached anywhere.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.sbom.is_some() || self.provenance.is_some()
    }
}

/// How a provenance is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// How much it says.
    pub mode: ProvenanceMode,
    /// In which form.
    pub version: SlsaVersion,
    /// Who built it: an address, or nothing.
    pub builder_id: String,
    /// Whether the same input is promised to give the same bytes.
    pub reproducible: bool,
    /// Only images in a store or a registry get it.
    pub inline_only: bool,
}

/// How much a provenance says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProvenanceMode {
    /// No values of build arguments and labels, no secrets' names, no steps.
    Min,
    /// All: arguments, the steps, the Dockerfile's text, the layers.
    #[default]
    Max,
}

/// The form of a provenance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SlsaVersion {
    /// <https://slsa.dev/spec/v0.2/provenance>
    #[default]
    V02,
    /// <https://slsa.dev/spec/v1.1/provenance>
    V1,
}

impl SlsaVersion {
    /// The type of the predicate.
    #[must_use]
    pub fn predicate_type(self) -> &'static str {
        match self {
            SlsaVersion::V02 => "https://slsa.dev/provenance/v0.2",
            SlsaVersion::V1 => "https://slsa.dev/provenance/v1",
        }
    }
}

/// How a bill of materials is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The image that looks through the result, by BuildKit's scanning protocol.
    pub generator: String,
    /// What it is told besides, as variables `BUILDKIT_SCAN_<name>`.
    pub parameters: BTreeMap<String, String>,
}

impl Sbom {
    /// The image that is used where none is named.
    pub const GENERATOR: &'static str = "docker/buildkit-syft-scanner:stable-1";
}
