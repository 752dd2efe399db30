//! Operations: what a vertex of the graph does, with everything that it depends on spelled out.
//!
//! An operation is plain data. It names its inputs by number only ([`Role`](crate::Role)), knows
//! no path of the host, and holds nothing that must stay secret. What of it counts for a key is
//! said in one place, [`crate::key::preimage`]; fields that don't count say so here.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::store::LayerRef;

/// One thing that a build does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// The empty root filesystem (`FROM scratch`).
    Scratch,
    /// The layers of an image that was resolved while lowering.
    Image(ImageOp),
    /// Files selected from a local directory (a build context).
    Context(ContextOp),
    /// One file behind an HTTP or HTTPS address.
    Http(HttpOp),
    /// The tree of a git commit.
    Git(GitOp),
    /// A process run in a container (`RUN`). Makes one layer.
    Run(Box<RunOp>),
    /// Files put into a root filesystem (`COPY`, `ADD`). Makes one layer.
    Copy(Box<CopyOp>),
    /// A directory made if it is missing (`WORKDIR`). Makes one layer.
    MakeDir(MakeDirOp),
}

impl Op {
    /// Returns whether the operation has no inputs and is keyed by what it brings in.
    #[must_use]
    pub fn is_source(&self) -> bool {
        matches!(self, Op::Scratch | Op::Image(_) | Op::Context(_) | Op::Http(_) | Op::Git(_))
    }

    /// Returns whether the world has to be asked ([`Work::source`](crate::Work::source)) before
    /// the operation has a key.
    #[must_use]
    pub fn must_be_read(&self) -> bool {
        matches!(self, Op::Context(_) | Op::Http(_) | Op::Git(_))
    }

    /// Returns the word by which people know the operation.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Scratch => "scratch",
            Op::Image(_) => "image",
            Op::Context(_) => "context",
            Op::Http(_) => "http",
            Op::Git(_) => "git",
            Op::Run(_) => "run",
            Op::Copy(_) => "copy",
            Op::MakeDir(_) => "make-dir",
        }
    }
}

/// An image, after its name was resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageOp {
    /// How the image is called. For people; not part of the key.
    pub reference: String,
    /// Digest of the image config (`sha256:…`), which covers the diff IDs of all layers.
    pub config: String,
    /// Platform as `os/arch[/variant]`.
    pub platform: String,
    /// The image's layers, lowest first. Follows from `config`, so not part of the key.
    pub layers: Vec<LayerRef>,
}

/// A selection of files from a local directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContextOp {
    /// Which context: [`ContextOp::MAIN`] or the name given to `--build-context`.
    pub name: String,
    /// Which of its files. Only these count for the key.
    pub selection: Selection,
}

impl ContextOp {
    /// The name of the build context itself.
    pub const MAIN: &'static str = "context";
}

/// Which files of a tree an operation takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Selection {
    /// The paths and patterns, in the order of the instruction.
    pub paths: Vec<SourcePath>,
    /// Patterns (ignore-file syntax, relative to each source) of what is left out.
    pub exclude: Vec<String>,
    /// Whether modes don't count, because whoever takes the files gives them other ones (F9).
    pub any_mode: bool,
}

impl Selection {
    /// Selects one path and all below it; `""` selects the whole tree.
    #[must_use]
    pub fn of(path: impl Into<String>) -> Self {
        let path = SourcePath { base: None, pattern: path.into(), literal: true };
        Selection { paths: vec![path], exclude: Vec::new(), any_mode: false }
    }
}

/// One source path of a `COPY`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourcePath {
    /// With `--parents`: the part before the pivot `/./` (`""` without a pivot), below which
    /// directories are kept. `None` without `--parents`.
    pub base: Option<String>,
    /// Path or pattern, relative to the root of the source (or to `base`), `/`-separated, clean:
    /// no leading slash, no `.` or `..`; `""` is the root itself.
    pub pattern: String,
    /// Whether the path must exist. False if it holds wildcards: those may match nothing.
    pub literal: bool,
}

/// One file behind an HTTP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpOp {
    /// The address. Only what it delivers counts for the key, and the file's name.
    pub url: String,
    /// The name of the file that the download becomes.
    pub name: String,
    /// `sha256:…` that the bytes must have.
    pub checksum: Option<String>,
}

impl HttpOp {
    /// Asks for the file behind an address, named as the address ends (B6-19).
    #[must_use]
    pub fn new(url: impl Into<String>) -> HttpOp {
        let url = url.into();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let path = path.split_once("://").map_or(path, |(_, rest)| rest);
        let path = path.split_once('/').map_or("", |(_, path)| path);
        let name = match crate::lower::base_name(path) {
            name if name == "/" => "__unnamed__".to_owned(),
            name => name,
        };
        HttpOp { url, name, checksum: None }
    }
}

/// The tree of a git commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitOp {
    /// The repository as written, without `#…` and query.
    pub remote: String,
    /// Branch, tag or commit; the default branch if absent.
    pub reference: Option<String>,
    /// The directory inside the repository to take.
    pub subdir: Option<String>,
    /// Whether `.git` stays.
    pub keep_git_dir: bool,
    /// Commit (or a prefix of it) that must come out.
    pub checksum: Option<String>,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Whether files get the time of the commit, or that of the checkout. If it isn't said, it is
    /// the checkout's, but for the build context of a build that is given `SOURCE_DATE_EPOCH`.
    pub commit_time: Option<bool>,
    /// Whether [`checksum`](Self::checksum) is fetched whatever the reference leads to by now.
    pub fetch_by_commit: bool,
}

impl GitOp {
    /// Reads the address of a repository with its fragment and query, as `ADD` and contexts take it.
    ///
    /// # Errors
    /// Its fragment or query makes no sense.
    pub fn parse(source: &str) -> Result<GitOp, crate::lower::BadAddress> {
        crate::lower::git::parse(source).map(|(git, _)| git)
    }
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvVar {
    /// The name.
    pub name: Arc<str>,
    /// The value.
    pub value: Arc<str>,
    /// Whether an ARG set it, and not ENV or the base image. Only for telling people.
    pub arg: bool,
}

/// A process in a container on top of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOp {
    /// Program and arguments, with the shell in front for the shell form.
    pub argv: Vec<Arc<str>>,
    /// The environment: ENV and ARG of the stage, sorted by name, so that order cannot count.
    pub env: Arc<[EnvVar]>,
    /// Proxy variables for the process only. Not part of the key.
    pub proxy: Arc<[EnvVar]>,
    /// Absolute working directory.
    pub cwd: Arc<str>,
    /// `user[:group]`, names or numbers; root if absent.
    pub user: Option<String>,
    /// What is mounted, in order.
    pub mounts: Vec<Mount>,
    /// Which network the process sees.
    pub network: Network,
    /// How far the process is locked in.
    pub security: Security,
    /// A script of a heredoc that begins with `#!`: appears at `/dev/pipes/<name>`, mode 0755.
    pub script: Option<InlineFile>,
    /// `host`, `address` pairs for `/etc/hosts`. The names count for the key, addresses don't.
    pub extra_hosts: Vec<(String, String)>,
    /// Resource limits of the process (`nofile`, …).
    pub ulimits: Vec<Ulimit>,
    /// Size of `/dev/shm` in bytes, if not the default.
    pub shm_size: Option<u64>,
    /// Host name inside, if not the default.
    pub hostname: Option<String>,
    /// Memory and CPU limits. Not part of the key.
    pub limits: Limits,
    /// Platform as `os/arch[/variant]`.
    pub platform: Arc<str>,
}

/// What nearly always differs is enough: environments are long, and shared by many steps.
impl Hash for RunOp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.argv, &self.cwd, &self.user).hash(state);
    }
}

/// A file whose content stands in the Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InlineFile {
    /// The heredoc's word.
    pub name: String,
    /// The content.
    pub content: Arc<str>,
}

/// Which network a `RUN` sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// The build's default network.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// How far a `RUN` is locked in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// The usual sandbox.
    #[default]
    Sandbox,
    /// All capabilities, nothing masked.
    Insecure,
}

/// A resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ulimit {
    /// Name without `RLIMIT_`, in lower case.
    pub name: String,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// Memory and CPU that a process may take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap in bytes.
    pub memory_swap: Option<i64>,
    /// Relative CPU weight.
    pub cpu_shares: Option<u64>,
    /// CPU period in microseconds.
    pub cpu_period: Option<u64>,
    /// CPU time per period in microseconds.
    pub cpu_quota: Option<i64>,
    /// CPUs, such as `0-3`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Parent control group.
    pub cgroup_parent: Option<String>,
}

/// Something mounted into a `RUN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mount {
    /// Files of another stage, image or context.
    Bind {
        /// Absolute path inside.
        target: String,
        /// Number of the input ([`Role::Mount`](crate::Role::Mount)).
        input: u32,
        /// Path below the input's root; `""` is the root.
        source: String,
        /// Whether writes are refused. Else they work and are thrown away.
        read_only: bool,
    },
    /// A directory that outlives the build.
    Cache {
        /// Absolute path inside.
        target: String,
        /// Who shares it. Not part of the key.
        id: String,
        /// What happens if two steps want it at once. Not part of the key.
        sharing: Sharing,
        /// Whether writes are refused.
        read_only: bool,
        /// Mode of a fresh directory.
        mode: u32,
        /// Owner of a fresh directory. If neither this nor the group is said, it belongs to the
        /// user of the step, so that the step can write to it (G-07).
        uid: Option<u32>,
        /// Group of a fresh directory.
        gid: Option<u32>,
        /// What a fresh directory starts with: input and path below it.
        seed: Option<(u32, String)>,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Absolute path inside.
        target: String,
        /// Size in bytes.
        size: Option<u64>,
    },
    /// A secret as a file, a variable, or both. Its value never counts.
    Secret {
        /// Which secret.
        id: String,
        /// Where the file appears.
        target: Option<String>,
        /// Which variable holds it.
        env: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// Mode of the file.
        mode: u32,
        /// Owner of the file.
        uid: u32,
        /// Group of the file.
        gid: u32,
    },
    /// A socket of an SSH agent.
    Ssh {
        /// Which agent.
        id: String,
        /// Where the socket appears.
        target: String,
        /// Whether the build fails without it.
        required: bool,
        /// Mode of the socket.
        mode: u32,
        /// Owner of the socket.
        uid: u32,
        /// Group of the socket.
        gid: u32,
    },
}

/// What happens if two steps want one cache directory at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Both have it.
    #[default]
    Shared,
    /// The second gets a fresh one.
    Private,
    /// The second waits.
    Locked,
}

/// Files put into the base.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CopyOp {
    /// What is copied, in order.
    pub items: Vec<CopyItem>,
    /// Absolute destination; a trailing `/` says that it is a directory.
    pub dest: String,
    /// `user[:group]`, names or numbers. `None`: see [`CopyItem`].
    pub chown: Option<String>,
    /// Octal or symbolic mode, checked while lowering.
    pub chmod: Option<String>,
    /// Patterns (ignore-file syntax) of what is left out of each source.
    pub exclude: Vec<String>,
    /// Whether the layer must not depend on the base (`--link`): then the base is not part of
    /// the key, and the step may run before the base is there.
    pub link: bool,
}

impl CopyOp {
    /// Returns whether all that is copied gets one mode, so that those of the sources don't count:
    /// an octal `--chmod` is for directories too. A symbolic one may keep bits.
    #[must_use]
    pub fn sets_all_modes(&self) -> bool {
        let octal = |mode: &str| !mode.is_empty() && mode.bytes().all(|b| matches!(b, b'0'..=b'7'));
        self.chmod.as_deref().is_some_and(octal)
    }
}

/// One source of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CopyItem {
    /// Files of a context (owned 0:0 in the copy) or of a stage or image (owners kept).
    Tree {
        /// Number of the input ([`Role::Source`](crate::Role::Source)).
        input: u32,
        /// Which files.
        path: SourcePath,
        /// Whether archives are unpacked (`ADD`).
        unpack: bool,
    },
    /// A downloaded file: mode 0600, owner 0:0.
    Download {
        /// Number of the input, an [`Op::Http`].
        input: u32,
        /// Name of the file in it.
        name: String,
        /// Whether an archive is unpacked.
        unpack: bool,
    },
    /// The content of a git tree.
    Git {
        /// Number of the input, an [`Op::Git`].
        input: u32,
    },
    /// A heredoc: mode 0644, owner 0:0.
    Inline(InlineFile),
}

impl CopyItem {
    /// Returns the number of the input that the item takes from.
    #[must_use]
    pub fn input(&self) -> Option<u32> {
        match self {
            CopyItem::Tree { input, .. }
            | CopyItem::Download { input, .. }
            | CopyItem::Git { input } => Some(*input),
            CopyItem::Inline(_) => None,
        }
    }
}

/// A directory made, with its parents, if it is missing. An existing one stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MakeDirOp {
    /// Absolute path.
    pub path: String,
    /// Mode of what is made.
    pub mode: u32,
    /// `user[:group]` who owns what is made; root if absent.
    pub user: Option<String>,
}
