//! Selecting: which files of a tree the source paths of a `COPY` stand for.
//!
//! One set of rules for contexts, stages and images (B6-02 to B6-08, B6-14): links are followed
//! inside the tree, patterns are Go's `filepath.Match` a component, `**` only with `--parents`.

use gantry_parser::glob::Glob;
use gantry_parser::ignore::IgnoreFile;
use gantry_solver::op::SourcePath;
use gantry_tree::{FileKind, Follow, PathError, TreePath};

use super::files::{Files, FilesError, Place};

/// One file or directory that a source path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Where it lies, links followed.
    pub(crate) path: TreePath,
    /// What it is.
    pub(crate) kind: FileKind,
    /// What it is called: one name, or a path with `--parents`.
    pub(crate) name: TreePath,
    /// With `--parents`: where the path of `name` starts, so that parents can be looked up.
    pub(crate) base: Option<TreePath>,
    /// Which of the source paths chose it.
    pub(crate) source: usize,
}

/// Why a selection selects nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectError {
    /// A path without wildcards is not there.
    #[error("\"/{}\": not found", shown(.path))]
    NotFound { path: SourcePath },
    #[error("Invalid pattern `{pattern}`: syntax error in pattern")]
    BadPattern { pattern: String },
    #[error("`{path}` is no path")]
    BadPath { path: String, source: PathError },
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Lists what `paths` stand for, in their order; matches of one pattern are sorted.
pub(crate) fn select(files: &dyn Files, paths: &[SourcePath]) -> Result<Vec<Chosen>, SelectError> {
    let mut chosen = Vec::new();
    for (source, path) in paths.iter().enumerate() {
        let before = chosen.len();
        match &path.base {
            Some(base) => select_with_parents(files, base, path, source, &mut chosen)?,
            None if path.literal => {
                if let Some(found) = literal(files, path, source)? {
                    chosen.push(found);
                }
            }
            None => glob(files, path, source, &mut chosen)?,
        }
        if path.literal && chosen.len() == before {
            return Err(SelectError::NotFound { path: path.clone() });
        }
    }
    Ok(chosen)
}

/// A source path from the root of its tree.
pub(crate) fn shown(path: &SourcePath) -> String {
    match &path.base {
        Some(base) if !base.is_empty() => format!("{base}/{}", path.pattern),
        _ => path.pattern.clone(),
    }
}

/// Reads a path of an instruction; `..` stops at the root.
pub(crate) fn clamp(text: &str) -> Result<TreePath, SelectError> {
    TreePath::clamp(text.as_bytes())
        .map_err(|source| SelectError::BadPath { path: text.to_owned(), source })
}

fn literal(
    files: &dyn Files,
    path: &SourcePath,
    source: usize,
) -> Result<Option<Chosen>, SelectError> {
    let written = clamp(&path.pattern)?;
    Ok(files.find(&written, Follow::Last)?.map(|place| {
        let name = last_component(&written);
        Chosen { path: place.path, kind: place.kind, name, base: None, source }
    }))
}

/// Walks a pattern component by component; only directories that can match are listed.
fn glob(
    files: &dyn Files,
    path: &SourcePath,
    source: usize,
    chosen: &mut Vec<Chosen>,
) -> Result<(), SelectError> {
    let components: Vec<&str> = path.pattern.split('/').filter(|part| !part.is_empty()).collect();
    let plain = components.iter().take_while(|part| !gantry_parser::glob::has_wildcards(part));
    let fixed = plain.count();
    // What stands before the first wildcard is an ordinary path, whose links are followed.
    let start = clamp(&components[..fixed].join("/"))?;
    let Some(place) = files.find(&start, Follow::Last)? else { return Ok(()) };
    let mut level = vec![place];
    for (index, part) in components[fixed..].iter().enumerate() {
        let pattern = compile(part)?;
        let last = fixed + index + 1 == components.len();
        let mut next = Vec::new();
        for dir in level.iter().filter(|place| place.kind == FileKind::Dir) {
            for (name, kind) in files.list(&dir.path)? {
                if pattern.matches(&name) && (last || kind == FileKind::Dir) {
                    let path = join(&dir.path, &name)?;
                    next.push(Place { path, kind });
                }
            }
        }
        level = next;
    }
    for place in level {
        let name = last_component(&place.path);
        // A match that is a link stands for what it leads to; a broken one for nothing.
        let Some(real) = files.find(&place.path, Follow::Last)? else { continue };
        chosen.push(Chosen { path: real.path, kind: real.kind, name, base: None, source });
    }
    Ok(())
}

/// `--parents`: names are paths below `base`, and `**` crosses directories.
fn select_with_parents(
    files: &dyn Files,
    base: &str,
    path: &SourcePath,
    source: usize,
    chosen: &mut Vec<Chosen>,
) -> Result<(), SelectError> {
    let Some(base) = files.find(&clamp(base)?, Follow::Last)? else { return Ok(()) };
    let base = base.path;
    let mut push = |name: TreePath, kind: FileKind| {
        let path = base.join_path(&name);
        chosen.push(Chosen { path, kind, name, base: Some(base.clone()), source });
    };
    if path.literal {
        let name = clamp(&path.pattern)?;
        // The name is kept as written, so its directories may not be links.
        if let Some(place) = files.find(&base.join_path(&name), Follow::Parents)? {
            if place.path == base.join_path(&name) {
                push(name, place.kind);
            } else if let Some(name) = place.path.strip_prefix(&base) {
                push(name, place.kind);
            }
        }
        return Ok(());
    }
    let patterns = IgnoreFile::from_patterns(&[&path.pattern])
        .map_err(|_| SelectError::BadPattern { pattern: path.pattern.clone() })?;
    let deepest = path.pattern.contains("**");
    let depth = path.pattern.split('/').filter(|part| !part.is_empty()).count();
    let mut pending = vec![TreePath::root()];
    while let Some(dir) = pending.pop() {
        let mut below = Vec::new();
        for (name, kind) in files.list(&base.join_path(&dir))? {
            let name = join(&dir, &name)?;
            if patterns.matches(name.as_bytes()).excluded {
                push(name, kind);
            } else if kind == FileKind::Dir && (deepest || name.components().count() < depth) {
                below.push(name);
            }
        }
        // A stack gives back last what was put in first; sorted order is kept by reversing.
        pending.extend(below.into_iter().rev());
    }
    Ok(())
}

fn compile(pattern: &str) -> Result<Glob, SelectError> {
    Glob::new(pattern).map_err(|_| SelectError::BadPattern { pattern: pattern.to_owned() })
}

fn join(dir: &TreePath, name: &[u8]) -> Result<TreePath, SelectError> {
    dir.join(name).map_err(|source| SelectError::BadPath {
        path: String::from_utf8_lossy(name).into_owned(),
        source,
    })
}

fn last_component(path: &TreePath) -> TreePath {
    path.file_name().and_then(|name| TreePath::new(name).ok()).unwrap_or_else(TreePath::root)
}
