//! Looking at a build context: which files it has, which rule of the ignore file kept or dropped each
//! of them, and which instruction uses it. Reads no file's content, and needs no store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_cache::Store;
use gantry_image::ImageConfig;
use gantry_parser::SourceFile;
use gantry_solver::op::{ContextOp, Selection};
use gantry_solver::{
    BoxFuture, ImageRequest, LowerErrors, Lowered, Op, Resolve, ResolveError, ResolvedImage, lower,
};
use gantry_tree::{Contents, FileKind, Root, ScanOptions, TreePath, scan};

use crate::error::{BuildError, ContextError, DockerfileError};
use crate::inputs;
use crate::request::{BuildRequest, ContextSource, DockerfileSource};
use crate::resolve::read_config;
use crate::work::{Index, LocalContext, kind_of};

/// What a build context holds.
#[derive(Debug)]
pub struct Explored {
    /// The name of the ignore file; nothing if there is none.
    pub ignore_file: Option<String>,
    /// Every file, link and directory, sorted by path.
    pub files: Vec<ContextFile>,
    /// Why it can't be told which instructions use what, if it can't.
    pub unclear: Option<BuildError>,
}

/// A file of a build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Its path in the context.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes of a regular file.
    pub size: u64,
    /// Whether steps can see it.
    pub kept: bool,
    /// The line of the ignore file that decided, and what stands there; nothing if none matched.
    pub rule: Option<(usize, String)>,
    /// Whether it says how to build: the Dockerfile and the ignore file, which are read whatever
    /// the rules say.
    pub definition: bool,
    /// The titles of the instructions that take it, of all stages.
    pub used_by: Vec<String>,
}

/// Looks at the context of `request`. Images of `store` tell what their triggers and variables do;
/// of others it is taken that they bring none.
///
/// # Errors
/// [`BuildError::Unsupported`] if the context is no directory; [`BuildError::Context`] if it can't
/// be read. A Dockerfile that can't be understood is no error: see [`Explored::unclear`].
pub fn explore(mut request: BuildRequest, store: Option<&Store>) -> Result<Explored, BuildError> {
    let ContextSource::Directory(path) =
        std::mem::replace(&mut request.context, ContextSource::Empty)
    else {
        return Err(BuildError::Unsupported {
            what: "Only a context that is a directory can be looked at".to_owned(),
            hint: None,
        });
    };
    let root = open(&path)?;
    let dockerfile = std::mem::replace(&mut request.dockerfile, DockerfileSource::Default);
    let name = match &dockerfile {
        DockerfileSource::InContext(path) => Some(path.clone()),
        DockerfileSource::Default => Some(inputs::default_name(&root).to_owned()),
        DockerfileSource::Text(_) | DockerfileSource::Url(_) => None,
    };
    let ignore = match &request.ignore {
        Some((name, text)) => inputs::parse_ignore(name, text)?,
        None => inputs::read_ignore(&root, name.as_deref())?.0,
    };
    let ignore_file = Some(ignore.name.clone()).filter(|name| !name.is_empty());
    let options = ScanOptions { contents: Contents::Skip, ..ScanOptions::default() };
    let all = scan(&root, &options)
        .map_err(|source| ContextError::Open { path: path.clone(), source })?;
    let mut files = Vec::new();
    for entry in all.manifest.entries().iter().filter(|entry| !entry.path.is_root()) {
        let verdict = ignore.rules.matches(entry.path.as_bytes());
        let real = all.manifest.real(entry);
        let path = entry.path.to_string();
        files.push(ContextFile {
            kind: kind_of(&real.node),
            size: real.size(),
            kept: !verdict.excluded,
            rule: verdict
                .line
                .map(|line| (line, ignore.rules.pattern(line).unwrap_or_default().to_owned())),
            definition: Some(&path) == name.as_ref() || Some(&path) == ignore_file.as_ref(),
            used_by: Vec::new(),
            path,
        });
    }
    let context = LocalContext::new(open(&path)?, ignore, Index::none());
    let source = match (dockerfile, &name) {
        (DockerfileSource::Text(source), _) => Ok(source),
        (_, Some(name)) => inputs::read_dockerfile(&root, name).map_err(BuildError::from),
        (_, None) => Err(BuildError::Unsupported {
            what: "The Dockerfile lies elsewhere, and is not fetched".to_owned(),
            hint: None,
        }),
    };
    let used = source.and_then(|source| uses(&source, request, store, &context));
    let unclear = match used {
        Ok(used) => {
            for file in &mut files {
                if let Some(titles) = used.get(&file.path) {
                    file.used_by.clone_from(titles);
                }
            }
            None
        }
        Err(error) => Some(error),
    };
    Ok(Explored { ignore_file, files, unclear })
}

fn open(path: &PathBuf) -> Result<Root, ContextError> {
    Root::open(path).map_err(|source| ContextError::Open { path: path.clone(), source })
}

/// For each path, the titles of the instructions that take it. All stages count, also those that
/// nobody builds by default.
fn uses(
    source: &SourceFile,
    mut request: BuildRequest,
    store: Option<&Store>,
    context: &LocalContext,
) -> Result<HashMap<String, Vec<String>>, BuildError> {
    let wrong = |diagnostics| {
        BuildError::Dockerfile(DockerfileError { source: source.clone(), diagnostics })
    };
    let parsed = gantry_parser::parse(source);
    if parsed.has_errors() {
        return Err(wrong(parsed.diagnostics));
    }
    let mut options = crate::build::lower_options(&mut request);
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().map_err(BuildError::Runtime)?;
    let images = Images { store: store.cloned() };
    let mut used: HashMap<String, Vec<String>> = HashMap::new();
    let mut seen: HashMap<Selection, Vec<TreePath>> = HashMap::new();
    // A stage without a name can't be asked for, unless it is the last.
    let layout = parsed.dockerfile.layout();
    let named = layout.stages.iter().filter_map(|stage| stage.from.stage_name()).map(Some);
    for target in named.chain([None]) {
        options.target = target;
        let lowered = match runtime.block_on(lower(&parsed.dockerfile, &options, &images)) {
            Ok(lowered) => lowered,
            Err(LowerErrors(diagnostics)) => return Err(wrong(diagnostics)),
        };
        let Lowered { graph, .. } = &lowered;
        for id in graph.ids() {
            let Op::Context(op) = &graph.vertex(id).op else { continue };
            if op.name != ContextOp::MAIN {
                continue;
            }
            let paths = seen
                .entry(op.selection.clone())
                // What is not there is used by nobody; the build will say so.
                .or_insert_with(|| context.paths(&op.selection).unwrap_or_default());
            for user in graph.users(id) {
                let title = &graph.vertex(user).title;
                for path in paths.iter() {
                    let titles = used.entry(path.to_string()).or_default();
                    if !titles.contains(title) {
                        titles.push(title.clone());
                    }
                }
            }
        }
    }
    Ok(used)
}

/// Images as far as they are known.
struct Images {
    store: Option<Store>,
}

impl Resolve for Images {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        Box::pin(async move {
            let name = request.name.text();
            let known = self.store.as_ref().and_then(|store| {
                let image = store.images().resolve(name).ok()?;
                Some(read_config(store, &image.id).ok()?.value().clone())
            });
            let config = known.unwrap_or_else(|| ImageConfig {
                os: request.platform.os.clone(),
                architecture: request.platform.architecture.clone(),
                ..ImageConfig::default()
            });
            Ok(ResolvedImage {
                reference: name.to_owned(),
                config_digest: name.to_owned(),
                config: Arc::new(config),
                layers: Vec::new(),
            })
        })
    }
}
