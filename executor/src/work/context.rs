//! Contexts: files of a directory of this host, selected by source paths and the ignore file.
//!
//! Looks only at what a selection names (B6-26), and opens only files whose stat the context
//! index doesn't know. Everything counts as root's, whoever owns it here (B6-09).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use gantry_parser::ignore::{IgnoreFile, Walk};
use gantry_solver::key::Value;
use gantry_solver::op::Selection;
use gantry_tree::{
    Contents, FileKind, FilterFn, Follow, Glance, KnownFn, Manifest, Node, Root, Scan, ScanOptions,
    TreePath, Verdict, View, glance, scan,
};

use super::fault::{Because, Fault};
use super::files::{Files, FilesError, Place, names};
use super::index::Index;
use super::picked::{self, excludes};
use super::select::{Chosen, SelectError, select, shown};

/// A directory that files are copied from.
#[derive(Debug)]
pub(crate) struct LocalContext {
    root: Root,
    ignore: Ignore,
    index: Index,
    /// Whether modes are made what git would check out.
    stable_modes: bool,
    /// What was selected before; a file is looked at once for each selection and build.
    selected: Mutex<HashMap<Selection, Arc<Selected>>>,
    /// Selections of which a glance told the digest.
    glanced: Mutex<HashMap<Selection, [u8; 32]>>,
}

/// The rules of an ignore file, and what it is called.
#[derive(Debug, Default)]
pub(crate) struct Ignore {
    pub(crate) name: String,
    pub(crate) rules: IgnoreFile,
    /// Of its text.
    pub(crate) digest: [u8; 32],
}

/// The files that a selection takes.
#[derive(Debug)]
pub(crate) struct Selected {
    /// Everything chosen, and the directories on the way; all of it root's.
    scan: Option<Scan>,
    nothing: Manifest,
    /// What the source paths stand for.
    pub(crate) chosen: Vec<Chosen>,
    /// The digest of it all.
    pub(crate) digest: [u8; 32],
}

impl Selected {
    /// Everything chosen, and the directories on the way; all of it root's.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.scan.as_ref().map_or(&self.nothing, |scan| &scan.manifest)
    }
}

impl LocalContext {
    /// Takes a directory with the rules of its ignore file and what is known of its files.
    pub(crate) fn new(root: Root, ignore: Ignore, index: Index) -> Self {
        Self {
            root,
            ignore,
            index,
            stable_modes: false,
            selected: Mutex::default(),
            glanced: Mutex::default(),
        }
    }

    /// Has all modes count as git would check them out, whatever umask did so here.
    pub(crate) fn with_stable_modes(self, stable_modes: bool) -> Self {
        Self { stable_modes, ..self }
    }

    /// Returns the rules of its ignore file.
    pub(crate) fn rules(&self) -> &IgnoreFile {
        &self.ignore.rules
    }

    /// Returns the directory.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Finds the files of a selection, and reads those that are not known.
    pub(crate) fn select(&self, selection: &Selection) -> Result<Arc<Selected>, Fault> {
        let known = |map: &Mutex<HashMap<Selection, Arc<Selected>>>| {
            map.lock().unwrap_or_else(PoisonError::into_inner).get(selection).cloned()
        };
        if let Some(selected) = known(&self.selected) {
            return Ok(selected);
        }
        let selected = Arc::new(self.look(selection, Contents::Hash)?);
        let mut map = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(map.entry(selection.clone()).or_insert(selected).clone())
    }

    /// Returns the digest of a selection; lists its files only if they look otherwise than when
    /// that was found out.
    pub(crate) fn digest(&self, selection: &Selection) -> Result<[u8; 32], Fault> {
        let locked = || self.glanced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = locked().get(selection) {
            return Ok(*digest);
        }
        let seen = self.glance(selection, |key| self.index.has_seen(key))?;
        if let Some((key, glance)) = &seen
            && let Some(digest) = self.index.digest(key, glance)
        {
            locked().insert(selection.clone(), digest);
            return Ok(digest);
        }
        let digest = self.select(selection)?.digest;
        if let Some((key, glance)) = &seen {
            // Should a file have changed in between, it will never look like that again.
            self.index.note_look(*key, glance, digest);
        }
        Ok(digest)
    }

    /// Glances at a selection, if `wanted` says so of what tells it from others. A tree that
    /// changes meanwhile gives nothing.
    fn glance(
        &self,
        selection: &Selection,
        wanted: impl FnOnce(&[u8; 32]) -> bool,
    ) -> Result<Option<([u8; 32], Glance)>, Fault> {
        self.filtered(selection, |chosen, _, filter| {
            if chosen.is_empty() {
                return Ok(None);
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"gantry look 1");
            hasher.update(&self.ignore.digest);
            let modes = (self.stable_modes, selection.any_mode);
            let rest = format!("{:?}", (modes, &chosen, &selection.exclude));
            let key = *hasher.update(rest.as_bytes()).finalize().as_bytes();
            if !wanted(&key) {
                return Ok(None);
            }
            let options = ScanOptions { filter: Some(filter), ..ScanOptions::default() };
            Ok(glance(&self.root, &options).ok().map(|glance| (key, glance)))
        })
    }

    /// Finds what a selection stands for, and which paths it takes.
    fn filtered<T>(
        &self,
        selection: &Selection,
        then: impl FnOnce(Vec<Chosen>, IgnoreFile, FilterFn<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let ignore = Walk::new(&self.ignore.rules);
        let files = Visible { root: &self.root, ignore: &ignore };
        let chosen = select(&files, &selection.paths).map_err(|error| self.explain(error))?;
        let exclude = excludes(&selection.exclude)?;
        let exclude_walk = Walk::new(&exclude);
        let whole: HashSet<&[u8]> = chosen.iter().map(|one| one.path.as_bytes()).collect();
        let ways: HashSet<TreePath> = chosen.iter().flat_map(|one| one.path.ancestors()).collect();
        // `--exclude` patterns start at each source; only with one directory is it plain where.
        let pruned = match chosen.as_slice() {
            [one] if one.base.is_none() && one.kind == FileKind::Dir && !exclude.is_empty() => {
                Some(&one.path)
            }
            _ => None,
        };
        let filter = |path: &TreePath, kind: FileKind| {
            if !is_within(&whole, path.as_bytes()) {
                return if ways.contains(path) { Verdict::Descend } else { Verdict::Skip };
            }
            if let Some(below) = pruned.and_then(|base| path.strip_prefix(base))
                && !below.is_root()
                && skipped(&exclude_walk, &below, kind) == Verdict::Skip
            {
                return Verdict::Skip;
            }
            skipped(&ignore, path, kind)
        };
        then(chosen.clone(), exclude.clone(), &filter)
    }

    fn look(&self, selection: &Selection, contents: Contents) -> Result<Selected, Fault> {
        self.filtered(selection, |chosen, exclude, filter| {
            let mut selected = self.look_at(chosen, filter, contents)?;
            let view = View::new(&[selected.manifest()]);
            let picked = picked::pick(&view, &selected.chosen, &exclude);
            selected.digest = picked::digest(&view, &picked, selection.any_mode);
            Ok(selected)
        })
    }

    fn look_at(
        &self,
        chosen: Vec<Chosen>,
        filter: FilterFn<'_>,
        contents: Contents,
    ) -> Result<Selected, Fault> {
        let index = self.index.load();
        let known: KnownFn<'_> = &|path, stat| index.known(path, stat);
        let options = ScanOptions {
            filter: Some(filter),
            known: Some(known),
            workers: index.workers(),
            contents,
            ..ScanOptions::default()
        };
        let mut scan = if chosen.is_empty() { None } else { Some(scan(&self.root, &options)?) };
        if let Some(scan) = &mut scan {
            self.index.note(scan);
            let manifest = std::mem::take(&mut scan.manifest);
            scan.manifest = roots_own(manifest, self.stable_modes)?;
        }
        Ok(Selected { scan, nothing: Manifest::default(), chosen, digest: [0; 32] })
    }

    /// Lists what a selection takes, without reading any file.
    pub(crate) fn paths(&self, selection: &Selection) -> Result<Vec<TreePath>, Fault> {
        let selected = self.look(selection, Contents::Skip)?;
        let exclude = excludes(&selection.exclude)?;
        let view = View::new(&[selected.manifest()]);
        let picked = picked::pick(&view, &selected.chosen, &exclude);
        Ok(picked.iter().flat_map(|one| &one.items).map(|item| item.entry.path.clone()).collect())
    }

    /// Lists per path what the digest of a selection was made of.
    pub(crate) fn describe(&self, selection: &Selection) -> Result<Value, Fault> {
        let selected = self.select(selection)?;
        let exclude = excludes(&selection.exclude)?;
        let view = View::new(&[selected.manifest()]);
        let picked = picked::pick(&view, &selected.chosen, &exclude);
        Ok(picked::describe(&view, &picked, selection.any_mode))
    }

    /// Writes down what was learnt of the files; a failure costs the next build some time only.
    pub(crate) fn save_index(&self) {
        let selected = || self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> =
            selected().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (selection, known) in &all {
            // Where nothing was touched since the build began, it looks as it did then.
            let unseen = self.glance(selection, |key| !self.index.has_seen(key));
            if let Ok(Some((key, glance))) = unseen {
                self.index.note_look(key, &glance, known.digest);
            }
        }
        if self.index.is_stale() {
            // The index is replaced as a whole: files that were only glanced at belong in it, too.
            let glanced = self.glanced.lock().unwrap_or_else(PoisonError::into_inner);
            glanced.keys().for_each(|selection| drop(self.select(selection)));
        }
        let all: Vec<_> = selected().values().cloned().collect();
        self.index.save(all.iter().filter_map(|selected| selected.scan.as_ref()));
    }

    /// Says so if a path is missing only because the ignore file drops it.
    fn explain(&self, error: SelectError) -> Fault {
        let SelectError::NotFound { path } = &error else { return error.into() };
        let Ok(written) = TreePath::clamp(shown(path).as_bytes()) else { return error.into() };
        let there = self.root.resolve(&written, Follow::Last);
        let there = there.ok().filter(|path| self.root.stat(path, Follow::Parents).is_ok());
        let Some(real) = there else { return self.similar(error, &written) };
        let rules = &self.ignore.rules;
        let line = [&written, &real].into_iter().find_map(|path| {
            let verdict = rules.matches(path.as_bytes());
            verdict.line.filter(|_| verdict.excluded)
        });
        match line {
            Some(line) => Fault::Missing {
                missing: error,
                cause: Some(Because(format!(
                    "line {line} of `{}`, `{}`, excludes `{written}`",
                    self.ignore.name,
                    rules.pattern(line).unwrap_or_default(),
                ))),
                hint: Some(format!("To let it in, add `!{written}` below line {line}")),
            },
            None => error.into(),
        }
    }

    /// Names the file beside a missing one that may be meant.
    fn similar(&self, error: SelectError, written: &TreePath) -> Fault {
        let near = || {
            let parent = written.parent()?;
            let listed = self.root.read_dir(&parent, Follow::Last).ok()?;
            let listed: Vec<String> =
                listed.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()).collect();
            let wanted = std::str::from_utf8(written.file_name()?).ok()?;
            let near = gantry_parser::did_you_mean(wanted, &listed, true)?;
            Some(parent.join(near).ok()?.to_string())
        };
        match near() {
            Some(near) => Fault::Missing {
                missing: error,
                cause: None,
                hint: Some(format!("Did you mean `{near}`?")),
            },
            None => error.into(),
        }
    }
}

/// Says whether a path is in a set, or something above it. Asked for every file of a context, so
/// it allocates nothing.
fn is_within(set: &HashSet<&[u8]>, path: &[u8]) -> bool {
    // Most COPYs name one or two sources, and comparing is quicker than hashing.
    const FEW: usize = 8;
    if set.len() <= FEW {
        let above = |one: &&[u8]| match path.strip_prefix(*one) {
            Some(rest) => one.is_empty() || rest.is_empty() || rest[0] == b'/',
            None => false,
        };
        return set.iter().any(above);
    }
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    set.contains(&b""[..])
        || set.contains(path)
        || slashes.map(|(at, _)| &path[..at]).any(|above| set.contains(above))
}

/// What a pattern list says of a path, in the words of a scan.
fn skipped(rules: &Walk<'_>, path: &TreePath, kind: FileKind) -> Verdict {
    if !rules.matches(path.as_bytes()).excluded {
        Verdict::Keep
    } else if kind == FileKind::Dir
        && rules.file().has_exceptions()
        && !rules.prunes(path.as_bytes())
    {
        Verdict::Descend
    } else {
        Verdict::Skip
    }
}

fn roots_own(manifest: Manifest, stable_modes: bool) -> Result<Manifest, Fault> {
    let mut entries = manifest.into_entries();
    for entry in &mut entries {
        if stable_modes {
            entry.mode = match &entry.node {
                Node::File { .. } if entry.mode & 0o100 == 0 => 0o644,
                Node::File { .. } | Node::Dir { .. } => 0o755,
                _ => entry.mode,
            };
        }
        entry.uid = 0;
        entry.gid = 0;
    }
    Ok(Manifest::new(entries)?)
}

/// A directory without what its ignore file drops.
struct Visible<'a> {
    root: &'a Root,
    ignore: &'a Walk<'a>,
}

impl Visible<'_> {
    fn shows(&self, path: &TreePath, kind: FileKind) -> Result<bool, FilesError> {
        Ok(path.is_root()
            || match skipped(self.ignore, path, kind) {
                Verdict::Keep => true,
                Verdict::Skip => false,
                // Left out itself, and there only as the way to something that is let in.
                Verdict::Descend => self.shows_below(path)?,
            })
    }

    fn shows_below(&self, dir: &TreePath) -> Result<bool, FilesError> {
        for entry in self.root.read_dir(dir, Follow::Parents)? {
            let Ok(path) = dir.join(&entry.name) else { continue };
            if self.shows(&path, entry.kind)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Files for Visible<'_> {
    fn find(&self, path: &TreePath, follow: Follow) -> Result<Option<Place>, FilesError> {
        let real = match self.root.resolve(path, follow) {
            Ok(real) => real,
            Err(gantry_tree::TreeError::Resolve {
                source: gantry_tree::ResolveError::NotADirectory(_),
                ..
            }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = match self.root.stat(&real, Follow::Parents) {
            Ok(stat) => stat,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // A link that is dropped leads nowhere, and one that is not does not lead to what is.
        let shown = self.shows(&real, stat.kind)?
            && (*path == real || self.shows(path, FileKind::Symlink)?);
        Ok(shown.then_some(Place { path: real, kind: stat.kind }))
    }

    fn list(&self, dir: &TreePath) -> Result<Vec<(Vec<u8>, FileKind)>, FilesError> {
        let mut shown = Vec::new();
        for entry in self.root.read_dir(dir, Follow::Parents)? {
            let path = dir.join(&entry.name);
            if path.is_ok_and(|path| self.shows(&path, entry.kind).unwrap_or(false)) {
                shown.push(entry);
            }
        }
        Ok(names(shown))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::is_within;

    #[test]
    fn few_and_many_sources_let_in_the_same() {
        let few = HashSet::from([&b"a/b"[..], b"c"]);
        let mut many = few.clone();
        let others: Vec<String> = (0..20).map(|number| format!("other{number}")).collect();
        many.extend(others.iter().map(String::as_bytes));
        for (path, within) in [
            ("a", false),
            ("a/b", true),
            ("a/b/c", true),
            ("a/bc", false),
            ("c", true),
            ("d", false),
        ] {
            assert_eq!(is_within(&few, path.as_bytes()), within, "{path}");
            assert_eq!(is_within(&many, path.as_bytes()), within, "{path}");
        }
        assert!(is_within(&HashSet::from([&b""[..]]), b"any"), "the whole tree");
    }
}
