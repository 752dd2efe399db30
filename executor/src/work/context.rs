//! Contexts: files of a directory of this host, selected by source paths and the ignore file.
//!
//! Looks only at what a selection names (B6-26), and opens only files whose stat the context
//! index doesn't know. Everything counts as root's, whoever owns it here (B6-09).

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantry_parser::ignore::{IgnoreFile, Walk};
use gantry_solver::key::Value;
use gantry_solver::op::Selection;
use gantry_tree::{
    Contents, Entry, FileKind, FilterFn, Follow, KnownFn, Manifest, Node, Root, Scan, ScanOptions,
    Seen, TreePath, Verdict, View, glance, scan,
};

use super::fault::{Because, Fault};
use super::index::Index;
use super::picked::{self, Picked, excludes};
use super::select::{Chosen, SelectError, select, shown};
use super::visible::{Visible, is_within, skipped};

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
    glanced: Mutex<HashMap<Selection, Glanced>>,
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
    /// What the instruction leaves out of them.
    exclude: IgnoreFile,
    /// The digest of it all.
    pub(crate) digest: [u8; 32],
}

/// A selection that looks as it did when its digest was found out.
#[derive(Debug)]
struct Glanced {
    digest: [u8; 32],
    /// What was seen with which [`Found::key`], until somebody wants the files.
    seen: Option<([u8; 32], Seen)>,
}

/// What a selection stands for in the directory as it is.
struct Found<'a> {
    chosen: Vec<Chosen>,
    exclude: IgnoreFile,
    /// Which paths it takes.
    filter: FilterFn<'a>,
    /// Tells it from others of its context, together with the rules that it obeys.
    key: [u8; 32],
}

impl Selected {
    /// Everything chosen, and the directories on the way; all of it root's.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.scan.as_ref().map_or(&self.nothing, |scan| &scan.manifest)
    }

    /// Hands on what the selection brings along, as one list.
    fn picked<T>(&self, then: impl FnOnce(&View<'_>, &[Picked<'_>]) -> T) -> T {
        let view = View::new(&[self.manifest()]);
        then(&view, &picked::pick(&view, &self.chosen, &self.exclude))
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
        if let Some(selected) = self.selected().get(selection) {
            return Ok(selected.clone());
        }
        let seen = self.glanced().get_mut(selection).and_then(|glanced| glanced.seen.take());
        self.find(selection, |found| {
            // The source paths may stand for other files by now.
            let seen = seen.as_ref().filter(|(key, _)| *key == found.key);
            self.look(selection, found, seen.map(|(_, seen)| seen))
        })
    }

    /// Returns the digest of a selection; lists its files only if they look otherwise than when
    /// that was found out.
    pub(crate) fn digest(&self, selection: &Selection) -> Result<[u8; 32], Fault> {
        if let Some(glanced) = self.glanced().get(selection) {
            return Ok(glanced.digest);
        }
        if let Some(selected) = self.selected().get(selection) {
            return Ok(selected.digest);
        }
        self.find(selection, |found| {
            let options = ScanOptions { filter: Some(found.filter), ..ScanOptions::default() };
            let look = match self.index.has_seen(&found.key) {
                // A tree that changes meanwhile tells nothing.
                true => glance(&self.root, &options).ok(),
                false => None,
            };
            let Some((glance, seen)) = look else {
                return Ok(self.look(selection, found, None)?.digest);
            };
            let Some(digest) = self.index.digest(&found.key, &glance) else {
                return Ok(self.look(selection, found, seen.as_ref())?.digest);
            };
            let seen = seen.map(|seen| (found.key, seen));
            self.glanced().insert(selection.clone(), Glanced { digest, seen });
            Ok(digest)
        })
    }

    fn selected(&self) -> MutexGuard<'_, HashMap<Selection, Arc<Selected>>> {
        self.selected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn glanced(&self) -> MutexGuard<'_, HashMap<Selection, Glanced>> {
        self.glanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds what a selection stands for, and which paths it takes.
    fn find<T>(
        &self,
        selection: &Selection,
        then: impl FnOnce(Found<'_>) -> Result<T, Fault>,
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
        let key = self.key(selection, &chosen);
        let (chosen, exclude) = (chosen.clone(), exclude.clone());
        then(Found { chosen, exclude, filter: &filter, key })
    }

    fn key(&self, selection: &Selection, chosen: &Vec<Chosen>) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"gantry look 2");
        hasher.update(&self.ignore.digest);
        let modes = (self.stable_modes, selection.any_mode);
        let rest = format!("{:?}", (modes, chosen, &selection.exclude));
        *hasher.update(rest.as_bytes()).finalize().as_bytes()
    }

    /// Reads what was found, and remembers it for this build and for later ones.
    fn look(
        &self,
        selection: &Selection,
        found: Found<'_>,
        seen: Option<&Seen>,
    ) -> Result<Arc<Selected>, Fault> {
        let key = found.key;
        let mut selected = self.scan(found, Contents::Hash, seen)?;
        selected.digest =
            selected.picked(|view, picked| picked::digest(view, picked, selection.any_mode));
        if let Some(scan) = &selected.scan {
            self.index.note(scan);
            if let Some(glance) = &scan.glance {
                // Should a file have changed in between, it will never look like that again.
                self.index.note_look(key, glance, selected.digest);
            }
        }
        Ok(self.selected().entry(selection.clone()).or_insert(Arc::new(selected)).clone())
    }

    fn scan(
        &self,
        found: Found<'_>,
        contents: Contents,
        seen: Option<&Seen>,
    ) -> Result<Selected, Fault> {
        let Found { chosen, exclude, filter, .. } = found;
        let index = self.index.load();
        let known: KnownFn<'_> = &|path, stat| index.known(path, stat);
        let options = ScanOptions {
            filter: Some(filter),
            known: Some(known),
            workers: index.workers(),
            contents,
            glance: self.index.remembers(),
            seen,
            ..ScanOptions::default()
        };
        let mut scan = if chosen.is_empty() { None } else { Some(scan(&self.root, &options)?) };
        if let Some(Scan { manifest, .. }) = &mut scan {
            manifest.set_owner(0, 0);
            if self.stable_modes {
                manifest.set_modes(stable_mode);
            }
        }
        Ok(Selected { scan, nothing: Manifest::default(), chosen, exclude, digest: [0; 32] })
    }

    /// Lists what a selection takes, without reading any file.
    pub(crate) fn paths(&self, selection: &Selection) -> Result<Vec<TreePath>, Fault> {
        let selected = self.find(selection, |found| self.scan(found, Contents::Skip, None))?;
        Ok(selected.picked(|_, picked| {
            let items = picked.iter().flat_map(|one| &one.items);
            items.map(|item| item.entry.path.clone()).collect()
        }))
    }

    /// Lists per path what the digest of a selection was made of.
    pub(crate) fn describe(&self, selection: &Selection) -> Result<Value, Fault> {
        let selected = self.select(selection)?;
        Ok(selected.picked(|view, picked| picked::describe(view, picked, selection.any_mode)))
    }

    /// Writes down what was learnt of the files; a failure costs the next build some time only.
    pub(crate) fn save_index(&self) {
        if self.index.is_stale() {
            // The index is replaced as a whole: files that were only glanced at belong in it, too.
            let glanced: Vec<Selection> = self.glanced().keys().cloned().collect();
            glanced.iter().for_each(|selection| drop(self.select(selection)));
        }
        let all: Vec<_> = self.selected().values().cloned().collect();
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

/// What git would have checked out, whatever umask did so here.
fn stable_mode(entry: &Entry) -> u32 {
    match &entry.node {
        Node::File { .. } if entry.mode & 0o100 == 0 => 0o644,
        Node::File { .. } | Node::Dir { .. } => 0o755,
        _ => entry.mode,
    }
}
