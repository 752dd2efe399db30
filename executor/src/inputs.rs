//! Inputs: the contexts opened, the Dockerfile found, the ignore files read.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use gantry_cache::{Store, WorkDir};
use gantry_image::compress;
use gantry_image::layer::{self, Ids, UnpackOptions};
use gantry_parser::SourceFile;
use gantry_parser::ignore::{IgnoreError, IgnoreFile};
use gantry_solver::op::ContextOp;
use gantry_tree::{Dialect, Follow, Root, TreePath};

use crate::error::{BuildError, ContextError};
use crate::request::{BuildRequest, ContextSource, DockerfileSource, NamedContext};
use crate::work::{Ignore, Index, LocalContext};

/// A Dockerfile or an ignore file that is larger is none.
const TEXT_LIMIT: u64 = 16 << 20;

/// Everything that a build reads its files from.
pub(crate) struct Inputs {
    pub(crate) dockerfile: SourceFile,
    pub(crate) contexts: BTreeMap<String, LocalContext>,
    /// What was read for it, in this order.
    pub(crate) loaded: [Loaded; 2],
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
pub(crate) fn open(store: &Store, request: &mut BuildRequest) -> Result<Inputs, BuildError> {
    let context = std::mem::replace(&mut request.context, ContextSource::Empty);
    let (root, index, spool) = open_main(store, context)?;
    let started = Instant::now();
    let (dockerfile, beside) = match &request.dockerfile {
        DockerfileSource::Text(source) => (source.clone(), None),
        DockerfileSource::InContext(path) => {
            (read_dockerfile(&root, path)?, Some(format!("{path}.dockerignore")))
        }
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
        None => read_ignore(&root, beside.as_deref())?,
    };
    let ignored = Loaded {
        title: "load .dockerignore".to_owned(),
        what: "transferring context:",
        size,
        took: started.elapsed(),
    };
    let mut contexts = BTreeMap::new();
    contexts.insert(ContextOp::MAIN.to_owned(), LocalContext::new(root, ignore, index));
    for (name, context) in &request.named_contexts {
        if let NamedContext::Directory(path) = context {
            let (root, index) = open_directory(store, path)?;
            let (ignore, _) = read_ignore(&root, None)?;
            contexts.insert(name.clone(), LocalContext::new(root, ignore, index));
        }
    }
    Ok(Inputs { dockerfile, contexts, loaded: [definition, ignored], _spool: spool })
}

fn open_main(
    store: &Store,
    context: ContextSource,
) -> Result<(Root, Index, Option<WorkDir>), BuildError> {
    if let ContextSource::Directory(path) = &context {
        let (root, index) = open_directory(store, path)?;
        return Ok((root, index, None));
    }
    let work = store.work_dir()?;
    let path = work.scratch();
    let open =
        || Root::open(&path).map_err(|source| ContextError::Open { path: path.clone(), source });
    let root = open()?;
    if let ContextSource::Tar(stream) = context {
        unpack(stream, &root)?;
    }
    Ok((root, Index::new(store.clone(), None), Some(work)))
}

fn open_directory(store: &Store, path: &Path) -> Result<(Root, Index), BuildError> {
    let root = Root::open(path)
        .map_err(|source| ContextError::Open { path: path.to_path_buf(), source })?;
    // One directory by two paths has two indexes, which costs no more than reading it twice.
    let id = fs_err::canonicalize(path).ok().map(|path| path.as_os_str().as_bytes().to_vec());
    Ok((root, Index::new(store.clone(), id)))
}

/// Unpacks a context. Owners don't count in one, so none is set, and devices have no place in it.
fn unpack(stream: Box<dyn std::io::Read + Send>, root: &Root) -> Result<(), BuildError> {
    let options = UnpackOptions { dialect: Dialect::Plain, ..UnpackOptions::rootless(Ids::Single) };
    let (_, mut tar) = compress::reader(BufReader::with_capacity(1 << 16, stream))
        .map_err(|error| ContextError::Tar(error.into()))?;
    layer::unpack(&mut tar, root, &options).map_err(|error| ContextError::Tar(error.into()))?;
    Ok(())
}

fn read_dockerfile(root: &Root, path: &str) -> Result<SourceFile, ContextError> {
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

/// Reads the ignore file that belongs to the Dockerfile, else the context's own; also says how
/// long it is.
fn read_ignore(root: &Root, beside: Option<&str>) -> Result<(Ignore, Option<u64>), ContextError> {
    for name in beside.into_iter().chain([".dockerignore"]) {
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

fn parse_ignore(name: &str, text: &str) -> Result<Ignore, ContextError> {
    let rules = IgnoreFile::parse(text).map_err(|source| {
        let line = match &source {
            IgnoreError::LoneExclamation { line } | IgnoreError::BadPattern { line, .. } => *line,
        };
        ContextError::Ignore { path: name.to_owned(), line, source }
    })?;
    Ok(Ignore { name: name.to_owned(), rules })
}
