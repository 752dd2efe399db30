//! Inputs: the contexts opened, the Dockerfile found, the ignore files read.
//!
//! `remote` fetches those that lie elsewhere.

mod remote;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_cache::{Store, WorkDir};
use gantry_image::compress;
use gantry_image::layer::{self, Ids, UnpackOptions};
use gantry_parser::SourceFile;
use gantry_parser::ignore::{IgnoreError, IgnoreFile};
use gantry_solver::op::ContextOp;
use gantry_solver::{CancelToken, Observer};
use gantry_tree::{Dialect, Follow, Root, TreePath};

use self::remote::{Fetched, Remote};
use crate::build::EPOCH;
use crate::error::{BuildError, ContextError};
use crate::request::{BuildRequest, ContextSource, DockerfileSource, NamedContext};
use crate::work::{Executor, Ignore, Index, LocalContext, Origin};

/// A Dockerfile or an ignore file that is larger is none.
const TEXT_LIMIT: u64 = 16 << 20;

/// Everything that a build reads its files from.
pub(crate) struct Inputs {
    pub(crate) dockerfile: SourceFile,
    pub(crate) contexts: BTreeMap<String, LocalContext>,
    /// What was read for it, in this order.
    pub(crate) loaded: [Loaded; 2],
    /// What is known of the time of a context that lies elsewhere.
    pub(crate) origin: Option<Origin>,
    /// Holds what was spooled for as long as the build lives.
    pub(crate) _spool: Option<WorkDir>,
}

/// A file that says how to build, and was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What people know it as, such as `load .dockerignore`.
    pub(crate) title: String,
    /// What its bytes are called.
    pub(crate) what: &'static str,
    /// How many there were; `None` without such a file.
    pub(crate) size: Option<u64>,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Opens all contexts and reads the Dockerfile.
pub(crate) fn open(
    executor: &Executor,
    request: &mut BuildRequest,
    observer: &Arc<dyn Observer>,
    cancel: &CancelToken,
) -> Result<Inputs, BuildError> {
    let store = &executor.store;
    let remote = Remote { executor, observer, cancel };
    let context = std::mem::replace(&mut request.context, ContextSource::Empty);
    // Only a directory of this host has an ignore file (C3-07).
    let is_directory = matches!(context, ContextSource::Directory(_));
    let pinned = request.source_date_epoch.is_some()
        || request.build_args.get(EPOCH).is_some_and(|epoch| !epoch.is_empty());
    let mut main = open_main(&remote, context, &request.build_args, pinned)?;
    let started = Instant::now();
    let dockerfile = main.dockerfile.take().map_or_else(
        || std::mem::replace(&mut request.dockerfile, DockerfileSource::Default),
        DockerfileSource::Text,
    );
    let (dockerfile, beside) = match dockerfile {
        DockerfileSource::Text(source) => (source, None),
        DockerfileSource::InContext(path) => (read_dockerfile(&main.root, &path)?, Some(path)),
        DockerfileSource::Default => {
            let path = default_name(&main.root);
            (read_dockerfile(&main.root, path)?, Some(path.to_owned()))
        }
        DockerfileSource::Url(url) => (remote.dockerfile(&url)?, None),
    };
    let definition = Loaded {
        title: format!("load build definition from {}", dockerfile.name()),
        what: "transferring dockerfile:",
        size: Some(dockerfile.text().len() as u64),
        took: started.elapsed(),
    };
    let started = Instant::now();
    let (ignore, size) = match &request.ignore {
        Some((name, text)) => (parse_ignore(name, text)?, Some(text.len() as u64)),
        None if is_directory => read_ignore(&main.root, beside.as_deref())?,
        None => (Ignore::default(), None),
    };
    let ignored = Loaded {
        title: "load .dockerignore".to_owned(),
        what: "transferring context:",
        size,
        took: started.elapsed(),
    };
    let mut contexts = BTreeMap::new();
    let stable = request.stable_modes;
    let context = LocalContext::new(main.root, ignore, main.index).with_stable_modes(stable);
    contexts.insert(ContextOp::MAIN.to_owned(), context);
    for (name, context) in &request.named_contexts {
        if let NamedContext::Directory(path) = context {
            let (root, index) = open_directory(store, path)?;
            let (ignore, _) = read_ignore(&root, None)?;
            let context = LocalContext::new(root, ignore, index).with_stable_modes(stable);
            contexts.insert(name.clone(), context);
        }
    }
    let (loaded, origin) = ([definition, ignored], main.origin);
    Ok(Inputs { dockerfile, contexts, loaded, origin, _spool: main.spool })
}

/// The main context, opened.
struct Main {
    root: Root,
    index: Index,
    /// What the context turned out to be, if it is no context.
    dockerfile: Option<SourceFile>,
    spool: Option<WorkDir>,
    origin: Option<Origin>,
}

fn open_main(
    remote: &Remote<'_>,
    context: ContextSource,
    build_args: &BTreeMap<String, String>,
    pinned: bool,
) -> Result<Main, BuildError> {
    let store = &remote.executor.store;
    let fresh = || Index::new(store.clone(), None);
    let spooled = |stream: Option<Box<dyn Read + Send>>| -> Result<Main, BuildError> {
        let work = store.work_dir()?;
        let path = work.scratch();
        let root = Root::open(&path).map_err(|source| ContextError::Open { path, source })?;
        if let Some(stream) = stream {
            unpack(stream, &root)?;
        }
        Ok(Main { root, index: fresh(), dockerfile: None, spool: Some(work), origin: None })
    };
    match context {
        ContextSource::Directory(path) => {
            let (root, index) = open_directory(store, &path)?;
            Ok(Main { root, index, dockerfile: None, spool: None, origin: None })
        }
        ContextSource::Empty => spooled(None),
        ContextSource::Tar(stream) => spooled(Some(stream)),
        ContextSource::Git(mut git) => {
            let keep = build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
            git.keep_git_dir |= keep.is_some_and(|keep| keep == "1" || keep == "true");
            if git.commit_time.is_none() && pinned {
                git.commit_time = Some(true);
            }
            let (root, origin) = remote.repository(git)?;
            let origin = Some(origin);
            Ok(Main { root, index: fresh(), dockerfile: None, spool: None, origin })
        }
        ContextSource::Http(url) => {
            let (fetched, origin) = remote.file(&url)?;
            let main = match fetched {
                Fetched::Tar(stream) => spooled(Some(stream))?,
                Fetched::Other { root, text } => {
                    let dockerfile = Some(SourceFile::from_bytes("Dockerfile", &text));
                    Main { root, index: fresh(), dockerfile, spool: None, origin: None }
                }
            };
            Ok(Main { origin: Some(origin), ..main })
        }
    }
}

/// The name under which a Dockerfile lies in a context; `Dockerfile` if there is none.
pub(crate) fn default_name(root: &Root) -> &'static str {
    ["Dockerfile", "dockerfile", "Containerfile"]
        .into_iter()
        .find(|name| {
            TreePath::new(name).is_ok_and(|path| root.stat(&path, Follow::Parents).is_ok())
        })
        .unwrap_or("Dockerfile")
}

fn open_directory(store: &Store, path: &Path) -> Result<(Root, Index), BuildError> {
    let root = Root::open(path)
        .map_err(|source| ContextError::Open { path: path.to_path_buf(), source })?;
    // One directory by two paths has two indexes, which costs no more than reading it twice.
    let id = fs_err::canonicalize(path).ok().map(|path| path.as_os_str().as_bytes().to_vec());
    Ok((root, Index::new(store.clone(), id)))
}

/// Unpacks a context. Owners don't count in one, so none is set, and devices have no place in it.
fn unpack(stream: Box<dyn Read + Send>, root: &Root) -> Result<(), BuildError> {
    let options = UnpackOptions { dialect: Dialect::Plain, ..UnpackOptions::rootless(Ids::Single) };
    let (_, mut tar) = compress::reader(BufReader::with_capacity(1 << 16, stream))
        .map_err(|error| ContextError::Tar(error.into()))?;
    layer::unpack(&mut tar, root, &options).map_err(|error| ContextError::Tar(error.into()))?;
    Ok(())
}

pub(crate) fn read_dockerfile(root: &Root, path: &str) -> Result<SourceFile, ContextError> {
    let absent = |similar| ContextError::NoDockerfile { path: path.to_owned(), similar };
    let place = TreePath::clamp(path).map_err(|_| absent(None))?;
    match root.read(&place, TEXT_LIMIT) {
        Ok(Some(bytes)) => Ok(SourceFile::from_bytes(path, &bytes)),
        Ok(None) => Err(ContextError::TooLarge { path: path.to_owned() }),
        Err(error) if error.is_not_found() => Err(absent(similar(root, &place))),
        Err(source) => Err(ContextError::Read { path: path.to_owned(), source }),
    }
}

/// A file beside it that only differs a little, such as `dockerfile`.
fn similar(root: &Root, path: &TreePath) -> Option<String> {
    let parent = path.parent()?;
    let names: Vec<String> = root
        .read_dir(&parent, Follow::Last)
        .ok()?
        .into_iter()
        .filter_map(|entry| String::from_utf8(entry.name).ok())
        .collect();
    let wanted = std::str::from_utf8(path.file_name()?).ok()?;
    gantry_parser::did_you_mean(wanted, &names, false)
}

/// Reads the ignore file that belongs to the Dockerfile, else the context's own (C3-01, C3-08);
/// also says how long it is.
pub(crate) fn read_ignore(
    root: &Root,
    dockerfile: Option<&str>,
) -> Result<(Ignore, Option<u64>), ContextError> {
    const NAMES: [&str; 2] = [".containerignore", ".dockerignore"];
    let beside = dockerfile
        .into_iter()
        .flat_map(|dockerfile| NAMES.iter().rev().map(move |name| format!("{dockerfile}{name}")));
    for name in beside.chain(NAMES.map(str::to_owned)) {
        let name = name.as_str();
        let Ok(place) = TreePath::clamp(name) else { continue };
        match root.read(&place, TEXT_LIMIT) {
            Ok(Some(bytes)) => {
                let ignore = parse_ignore(name, &String::from_utf8_lossy(&bytes))?;
                return Ok((ignore, Some(bytes.len() as u64)));
            }
            Ok(None) => return Err(ContextError::TooLarge { path: name.to_owned() }),
            Err(error) if error.is_not_found() => {}
            Err(source) => return Err(ContextError::Read { path: name.to_owned(), source }),
        }
    }
    Ok((Ignore::default(), None))
}

pub(crate) fn parse_ignore(name: &str, text: &str) -> Result<Ignore, ContextError> {
    let rules = IgnoreFile::parse(text).map_err(|source| {
        let line = match &source {
            IgnoreError::LoneExclamation { line } | IgnoreError::BadPattern { line, .. } => *line,
        };
        ContextError::Ignore { path: name.to_owned(), line, source }
    })?;
    Ok(Ignore { name: name.to_owned(), rules, digest: *blake3::hash(text.as_bytes()).as_bytes() })
}
