//! What a build is asked for, as plain values: no terminal, no environment, no current directory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use gantry_image::{Platform, Reference};
use gantry_parser::SourceFile;
use gantry_solver::NoCache;
use gantry_solver::op::{GitOp, HttpOp, Limits, Ulimit};

use crate::attest::Attestations;
use crate::image_options::{ConfigChanges, ImageOptions};
use crate::registry::Registry;
use crate::remote::{CachePlace, CacheTarget};

/// Everything that [`build`](crate::build) has to know.
///
/// Start from [`BuildRequest::new`] and set what differs.
#[derive(Debug)]
pub struct BuildRequest {
    /// Where the text comes from.
    pub dockerfile: DockerfileSource,
    /// The ignore file that goes with a Dockerfile outside of the context, name and text.
    ///
    /// `None`: `<Dockerfile>.dockerignore` next to one inside the context, else `.dockerignore`.
    pub ignore: Option<(String, String)>,
    /// Where files come from that no `--from` names.
    pub context: ContextSource,
    /// `--build-context name=…`. A name hides stages and images of the same name.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// The stage to build, by name or number; the last one if absent.
    pub target: Option<String>,
    /// `--build-arg`: values of ARGs.
    pub build_args: BTreeMap<String, String>,
    /// `--label`: added to the image's labels, these win.
    pub labels: Vec<(String, String)>,
    /// The platforms to build for; the host's if empty. Several make an index.
    pub platforms: Vec<Platform>,
    /// Which steps run although the cache has them.
    pub no_cache: NoCache,
    /// `--pull`: ask the registry, although the store has an image of that name.
    pub pull: bool,
    /// Where images come from that the store does not have; `None`: from nowhere.
    pub registry: Option<Arc<Registry>>,
    /// What `RUN` without `--network`, or with `--network=default`, gets.
    pub network: DefaultNetwork,
    /// Secrets by ID.
    pub secrets: BTreeMap<String, Secret>,
    /// SSH agents by ID.
    pub ssh: BTreeMap<String, SshAgent>,
    /// What steps may do that could harm the host.
    pub allow: Entitlements,
    /// `--add-host`: name and address.
    pub extra_hosts: Vec<(String, String)>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// `--ulimit`.
    pub ulimits: Vec<Ulimit>,
    /// Memory and CPU limits of `RUN` steps.
    pub limits: Limits,
    /// Takes the place of the image that the first `FROM` names.
    pub from: Option<String>,
    /// Names that the image gets in the store.
    pub tags: Vec<Reference>,
    /// What the image is called, with the digest of its manifest, if it gets no other name.
    pub dangling_prefix: Option<Reference>,
    /// Whether each name is there once more, with the digest of the image's manifest for a tag.
    pub canonical_names: bool,
    /// What to make of the result. Empty: nothing but the cache.
    pub outputs: Vec<Output>,
    /// `--cache-from`: asked, in this order, where the store knows nothing.
    pub cache_from: Vec<CachePlace>,
    /// `--cache-to`: written when everything else is done.
    pub cache_to: Vec<CacheTarget>,
    /// `--cache-to type=inline`: the image holds what is known of its layers.
    pub cache_inline: bool,
    /// `SOURCE_DATE_EPOCH`: pins every time that the build writes.
    pub source_date_epoch: Option<i64>,
    /// `--squash`: the layers of this build become one. Those of the base image stay.
    pub squash: bool,
    /// Whether the image's annotations name what it is built upon
    /// (`org.opencontainers.image.base.name` and `.digest`).
    pub base_annotations: bool,
    /// Changes of the image's config.
    pub changes: ConfigChanges,
    /// What of a step that failed is kept, and where.
    pub on_fail: Option<OnFail>,
    /// Files of contexts get the modes that git would check them out with: 644, 755 if their owner
    /// may execute them, 755 for directories.
    pub stable_modes: bool,
    /// What is said about the result, beside it.
    pub attestations: Attestations,
    /// How many steps may run at once; 0 means as many as there are CPUs.
    pub jobs: usize,
    /// How root filesystems are put together; for tests and for odd file systems.
    pub snapshotter: Snapshotter,
}

impl BuildRequest {
    /// Asks for the Dockerfile's last stage, put into the store without a name.
    pub fn new(dockerfile: DockerfileSource, context: ContextSource) -> Self {
        Self {
            dockerfile,
            ignore: None,
            context,
            named_contexts: BTreeMap::new(),
            target: None,
            build_args: BTreeMap::new(),
            labels: Vec::new(),
            platforms: Vec::new(),
            no_cache: NoCache::default(),
            pull: false,
            registry: None,
            network: DefaultNetwork::default(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            allow: Entitlements::default(),
            extra_hosts: Vec::new(),
            shm_size: None,
            ulimits: Vec::new(),
            limits: Limits::default(),
            from: None,
            tags: Vec::new(),
            dangling_prefix: None,
            canonical_names: false,
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            cache_inline: false,
            outputs: vec![Output::Store { options: ImageOptions::default() }],
            source_date_epoch: None,
            squash: false,
            base_annotations: false,
            changes: ConfigChanges::default(),
            on_fail: None,
            stable_modes: false,
            attestations: Attestations::default(),
            jobs: 0,
            snapshotter: Snapshotter::default(),
        }
    }
}

/// Where the Dockerfile's text comes from.
#[derive(Debug)]
pub enum DockerfileSource {
    /// It was read already.
    Text(SourceFile),
    /// A path in the main context, which is opened without leaving it.
    InContext(String),
    /// Whichever of `Dockerfile`, `dockerfile` and `Containerfile` the main context has.
    Default,
    /// An `http://` or `https://` address.
    Url(String),
}

/// The main build context.
pub enum ContextSource {
    /// A directory of this host.
    Directory(PathBuf),
    /// Nothing: every `COPY` of a file fails.
    Empty,
    /// A tar, compressed or not; spooled into the store's work directory for this build.
    Tar(Box<dyn Read + Send>),
    /// A git repository. Its ignore file does not count.
    Git(GitOp),
    /// What lies behind an `http://` or `https://` address: a tar that is the context, or else a
    /// Dockerfile, whatever [`BuildRequest::dockerfile`] says.
    Http(String),
}

impl fmt::Debug for ContextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Empty => f.write_str("Empty"),
            Self::Tar(_) => f.write_str("Tar(..)"),
            // Addresses may hold passwords.
            Self::Git(_) => f.write_str("Git(..)"),
            Self::Http(_) => f.write_str("Http(..)"),
        }
    }
}

/// What stands behind the name of an additional context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory of this host.
    Directory(PathBuf),
    /// `docker-image://`: an image, by reference.
    Image(String),
    /// `oci-layout://`: an image in an OCI layout directory, `path[:tag][@digest]`.
    OciLayout(String),
    /// A git repository.
    Git(GitOp),
    /// One file behind an `http://` or `https://` address.
    Http(HttpOp),
}

/// What `RUN` gets that asks for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DefaultNetwork {
    /// A private network if this host can make one, else the host's, with a warning.
    #[default]
    Private,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// What steps may do that could harm the host (`--allow`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entitlements {
    /// `network.host`.
    pub network_host: bool,
    /// `security.insecure`.
    pub security_insecure: bool,
}

/// An SSH agent that steps may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshAgent {
    /// One that runs.
    Socket(PathBuf),
    /// One that is started for these keys, which have no passphrase.
    Keys(Vec<PathBuf>),
}

/// A secret's value, fetched when a step wants it and at no other time.
#[derive(Clone)]
pub struct Secret(Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>);

impl Secret {
    /// Most bytes that a secret may have (B5-12).
    pub const LIMIT: usize = 500 * 1024;

    /// Takes something that fetches the value.
    pub fn new(fetch: impl Fn() -> io::Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fetch))
    }

    /// Takes the value itself.
    pub fn from_bytes(value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self::new(move || Ok(value.clone()))
    }

    /// Fetches the value.
    ///
    /// # Errors
    /// Whatever the source of the secret says.
    pub fn fetch(&self) -> io::Result<Vec<u8>> {
        (self.0)()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How root filesystems are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshotter {
    /// Overlay over layers that were not unpacked if those can be mounted, else over their trees,
    /// else copying.
    #[default]
    Auto,
    /// The same in the way of kernels before 6.15, which lay nothing over mounts that are nowhere,
    /// nor mount a part of one.
    Attached,
    /// Overlay over trees if it can be mounted, else copying.
    Trees,
    /// Copying, whether overlay can be mounted or not.
    Copying,
}

/// What to make of the result.
#[derive(Debug)]
pub enum Output {
    /// An image in the store, under the request's tags.
    Store {
        /// How it is written.
        options: ImageOptions,
    },
    /// An image in a registry.
    Registry {
        /// Under which names; the request's tags if empty.
        names: Vec<Reference>,
        /// Whether it gets no tag there, and is known by its digest alone.
        by_digest: bool,
        /// How the image is written. Layers are compressed by gzip unless it says otherwise.
        options: ImageOptions,
    },
    /// A tar that is both a docker archive and an OCI layout.
    Docker {
        /// Where to.
        dest: Dest,
        /// Names inside; the request's tags if empty.
        names: Vec<Reference>,
        /// How the image is written.
        options: ImageOptions,
    },
    /// An OCI layout, as a tar or (only to a path) as a directory.
    Oci {
        /// Where to.
        dest: Dest,
        /// Whether as one tar file.
        tar: bool,
        /// Names inside; the request's tags if empty.
        names: Vec<Reference>,
        /// How the image is written.
        options: ImageOptions,
    },
    /// The root filesystem in a directory, its files owned by the caller.
    Local {
        /// The directory; made if it is missing, merged into if not.
        dest: PathBuf,
        /// Whether each platform's files get a directory of their own, such as `linux_arm64`;
        /// absent: if there are several platforms.
        split: Option<bool>,
        /// Whether what is there and not in the result is deleted.
        delete: bool,
        /// What the names of files begin with that hold attestations.
        prefix: String,
    },
    /// The root filesystem as a tar; of several platforms, each in a directory of its own.
    Tar {
        /// Where to.
        dest: Dest,
        /// What the names of files begin with that hold attestations.
        prefix: String,
    },
}

impl Output {
    /// Says whether layers may stay where they are: in a registry that the store knows.
    pub(crate) fn may_be_thin(&self) -> bool {
        matches!(self, Self::Store { .. } | Self::Registry { .. })
    }

    /// Whether it is written to a stream, such as standard output.
    pub fn is_stream(&self) -> bool {
        matches!(
            self,
            Self::Docker { dest: Dest::Writer(_), .. }
                | Self::Oci { dest: Dest::Writer(_), .. }
                | Self::Tar { dest: Dest::Writer(_), .. }
        )
    }
}

/// Files of a step that failed, written out before they are thrown away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnFail {
    /// A file or directory of the failed step's root filesystem.
    pub src: String,
    /// Where it goes: a directory, or a tar file.
    pub dest: PathBuf,
    /// Whether as a tar.
    pub tar: bool,
}

/// Where a file of an output goes.
pub enum Dest {
    /// A file; written under another name and renamed once it is whole.
    File(PathBuf),
    /// A directory (OCI layout without tar).
    Directory(PathBuf),
    /// A stream, such as standard output.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Dest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Writer(_) => f.write_str("Writer(..)"),
        }
    }
}
