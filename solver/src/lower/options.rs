//! How to lower: what the command line says.

use std::collections::BTreeMap;

use gantry_image::Platform;

use crate::op::{GitOp, HttpOp, Limits, Network, Ulimit};

/// How to lower: what the command line says.
#[derive(Debug, Clone)]
pub struct LowerOptions {
    /// The stage to build; the last one if absent.
    pub target: Option<String>,
    /// `--build-arg`, those with a value.
    pub build_args: BTreeMap<String, String>,
    /// `--label`; they win over the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// `--platform`. If absent, [`host`](Self::host) is meant, and the image keeps what its base
    /// says of itself.
    pub platform: Option<Platform>,
    /// The platform that steps can run on.
    pub host: Platform,
    /// Whether other platforms are built too: titles name the platform then.
    pub multi_platform: bool,
    /// The build context.
    pub context: Context,
    /// `--build-context`, by name; `name::os/arch` counts for that platform only.
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

impl LowerOptions {
    /// Makes options that say nothing but the host's platform.
    #[must_use]
    pub fn new(host: Platform) -> Self {
        LowerOptions {
            target: None,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            platform: None,
            host,
            multi_platform: false,
            context: Context::Local,
            contexts: BTreeMap::new(),
            network: Network::Default,
            extra_hosts: Vec::new(),
            ulimits: Vec::new(),
            shm_size: None,
            limits: Limits::default(),
        }
    }

    /// Returns the platform that the image is for.
    #[must_use]
    pub fn target_platform(&self) -> &Platform {
        self.platform.as_ref().unwrap_or(&self.host)
    }

    /// Returns the key of the named context that takes the place of `name`, if there is one.
    /// `scratch` and `context` can't be replaced.
    pub(super) fn named_context(&self, name: &str, platform: &Platform) -> Option<&str> {
        if name.eq_ignore_ascii_case("scratch") || name.eq_ignore_ascii_case("context") {
            return None;
        }
        let familiar = name.parse().map(|name: gantry_image::Reference| name.familiar());
        let familiar = familiar.as_deref().unwrap_or(name);
        let name = familiar.strip_suffix(":latest").unwrap_or(familiar);
        let for_platform = format!("{name}::{platform}");
        let found = self.contexts.get_key_value(&for_platform);
        found.or_else(|| self.contexts.get_key_value(name)).map(|(key, _)| key.as_str())
    }
}

/// Where the files of a context come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A local directory (or a tar on stdin), known to the executor by the context's name.
    Local,
    /// An image: what follows `docker-image://`; `scratch` is the empty one.
    Image(String),
    /// An image in an OCI layout: what follows `oci-layout://`.
    OciLayout(String),
    /// A git repository.
    Git(GitOp),
    /// A single file behind an address.
    Http(HttpOp),
}
