//! Provenance in the words of SLSA, with BuildKit's additions
//! (`docs/attestations/slsa-definitions.md` in its repository).
//!
//! Fields stand in the order in which BuildKit writes them: what it takes over from SLSA's structs
//! first, then what it adds or replaces.

use std::collections::BTreeMap;

use gantry_image::{DateTime, Descriptor};
use serde::Serialize;
use serde_json::Value;

use super::request::{ProvenanceMode, SlsaVersion};
use super::statement::Body;

const TYPE_V1: &str =
    "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
const TYPE_V02: &str = "https://mobyproject.org/buildkit@v1";

/// What a provenance says, whatever its form.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) builder_id: String,
    pub(super) materials: Vec<Material>,
    pub(super) source: ConfigSource,
    pub(super) parameters: Parameters,
    pub(super) platform: String,
    pub(super) build_config: Option<BuildConfig>,
    pub(super) invocation: String,
    pub(super) started: Option<DateTime>,
    pub(super) finished: Option<DateTime>,
    /// Whether all parameters are told.
    pub(super) parameters_complete: bool,
    /// Whether all materials are known: a local directory is none that is.
    pub(super) materials_complete: bool,
    pub(super) hermetic: bool,
    pub(super) reproducible: bool,
    pub(super) metadata: Metadata,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Material {
    pub(super) uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) digest: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ConfigSource {
    pub(super) uri: String,
    pub(super) digest: BTreeMap<String, String>,
    pub(super) path: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Parameters {
    pub(super) frontend: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) args: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) secrets: Vec<Wanted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ssh: Vec<Wanted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) locals: Vec<Local>,
}

/// A secret or an agent that a step wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Wanted {
    pub(super) id: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) optional: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Local {
    pub(super) name: String,
}

/// The steps, in the form of BuildKit's.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BuildConfig {
    #[serde(rename = "llbDefinition")]
    pub(super) definition: Vec<BuildStep>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct BuildStep {
    pub(super) id: String,
    pub(super) op: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) inputs: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Metadata {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) vcs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) layers: BTreeMap<String, Vec<Vec<Descriptor>>>,
}

/// Where the steps stand in the Dockerfile, and its text.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Source {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) locations: BTreeMap<String, Value>,
    pub(super) infos: Vec<SourceInfo>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct SourceInfo {
    pub(super) filename: String,
    pub(super) language: &'static str,
    /// In base64, as Go writes bytes.
    pub(super) data: String,
    #[serde(rename = "llbDefinition", skip_serializing_if = "Vec::is_empty")]
    pub(super) definition: Vec<BuildStep>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// <https://slsa.dev/spec/v1.1/provenance>
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slsa1 {
    build_definition: Definition1,
    run_details: Details1,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Definition1 {
    build_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resolved_dependencies: Vec<Material>,
    external_parameters: External1,
    internal_parameters: Internal1,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct External1 {
    config_source: Config1,
    request: Parameters,
}

#[derive(Debug, Clone, Serialize)]
struct Config1 {
    #[serde(skip_serializing_if = "String::is_empty")]
    uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Internal1 {
    #[serde(skip_serializing_if = "Option::is_none")]
    build_config: Option<BuildConfig>,
    builder_platform: String,
}

#[derive(Debug, Clone, Serialize)]
struct Details1 {
    builder: Builder,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata1>,
}

#[derive(Debug, Clone, Serialize)]
struct Metadata1 {
    #[serde(rename = "invocationID")]
    invocation_id: String,
    #[serde(rename = "startedOn", skip_serializing_if = "Option::is_none")]
    started_on: Option<DateTime>,
    #[serde(rename = "finishedOn", skip_serializing_if = "Option::is_none")]
    finished_on: Option<DateTime>,
    buildkit_metadata: Metadata,
    #[serde(skip_serializing_if = "is_false")]
    buildkit_hermetic: bool,
    buildkit_completeness: Complete1,
    #[serde(skip_serializing_if = "is_false")]
    buildkit_reproducible: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Complete1 {
    request: bool,
    resolved_dependencies: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Builder {
    id: String,
}

/// <https://slsa.dev/spec/v0.2/provenance>
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slsa02 {
    builder: Builder,
    build_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    materials: Vec<Material>,
    invocation: Invocation02,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_config: Option<BuildConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata02>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation02 {
    config_source: Config02,
    parameters: Parameters,
    environment: Environment02,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config02 {
    #[serde(skip_serializing_if = "String::is_empty")]
    uri: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    digest: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    entry_point: String,
}

#[derive(Debug, Clone, Serialize)]
struct Environment02 {
    platform: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata02 {
    #[serde(rename = "buildInvocationID")]
    invocation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_started_on: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_finished_on: Option<DateTime>,
    completeness: Complete02,
    reproducible: bool,
    #[serde(rename = "https://mobyproject.org/buildkit@v1#metadata")]
    buildkit: Metadata,
    #[serde(
        rename = "https://mobyproject.org/buildkit@v1#hermetic",
        skip_serializing_if = "is_false"
    )]
    hermetic: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Complete02 {
    parameters: bool,
    environment: bool,
    materials: bool,
}

impl Facts {
    /// Leaves out what a provenance of this mode does not say.
    pub(super) fn reduce(&mut self, mode: ProvenanceMode) {
        if mode == ProvenanceMode::Max {
            return;
        }
        let value = |key: &String| key.starts_with("build-arg:") || key.starts_with("label:");
        let before = self.parameters.args.len();
        self.parameters.args.retain(|key, _| !value(key));
        self.parameters_complete &= self.parameters.args.len() == before;
        self.parameters.secrets.clear();
        self.parameters.ssh.clear();
        self.build_config = None;
        self.metadata.source = None;
        self.metadata.layers.clear();
    }

    /// Writes it all down. Without `with_metadata`, as the metadata of a build has it in brief.
    pub(super) fn body(self, version: SlsaVersion, with_metadata: bool) -> Body {
        match version {
            SlsaVersion::V1 => Body::V1(Box::new(self.v1(with_metadata))),
            SlsaVersion::V02 => Body::V02(Box::new(self.v02(with_metadata))),
        }
    }

    fn v1(self, with_metadata: bool) -> Slsa1 {
        let ConfigSource { uri, digest, path } = self.source;
        Slsa1 {
            build_definition: Definition1 {
                build_type: TYPE_V1,
                resolved_dependencies: self.materials,
                external_parameters: External1 {
                    config_source: Config1 { uri, digest, path },
                    request: self.parameters,
                },
                internal_parameters: Internal1 {
                    build_config: self.build_config,
                    builder_platform: self.platform,
                },
            },
            run_details: Details1 {
                builder: Builder { id: self.builder_id },
                metadata: with_metadata.then_some(Metadata1 {
                    invocation_id: self.invocation,
                    started_on: self.started,
                    finished_on: self.finished,
                    buildkit_metadata: self.metadata,
                    buildkit_hermetic: self.hermetic,
                    buildkit_completeness: Complete1 {
                        request: self.parameters_complete,
                        resolved_dependencies: self.materials_complete,
                    },
                    buildkit_reproducible: self.reproducible,
                }),
            },
        }
    }

    fn v02(self, with_metadata: bool) -> Slsa02 {
        let ConfigSource { uri, digest, path } = self.source;
        Slsa02 {
            builder: Builder { id: self.builder_id },
            build_type: TYPE_V02,
            materials: self.materials,
            invocation: Invocation02 {
                config_source: Config02 { uri, digest, entry_point: path },
                parameters: self.parameters,
                environment: Environment02 { platform: self.platform },
            },
            build_config: self.build_config,
            metadata: with_metadata.then_some(Metadata02 {
                invocation_id: self.invocation,
                build_started_on: self.started,
                build_finished_on: self.finished,
                completeness: Complete02 {
                    parameters: self.parameters_complete,
                    environment: true,
                    materials: self.materials_complete,
                },
                reproducible: self.reproducible,
                buildkit: self.metadata,
                hermetic: self.hermetic,
            }),
        }
    }
}
