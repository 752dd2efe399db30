//! Placing: where in the root filesystem each copied file comes to lie, and what is in its way.
//!
//! Follows BuildKit (B6-03 to B6-05): a directory's contents are copied, not the directory; a file
//! goes into a destination that is a directory, or becomes it. Answered from manifests alone.

use std::collections::HashMap;

use gantry_tree::{
    CopyPlan, Entry, FileKind, Follow, Manifest, Node, Overrides, Time, TreePath, View,
};

use super::super::fault::Fault;
use super::super::picked::{Item, Picked};

/// Plans one layer on top of `base`.
pub(super) struct Placer<'a> {
    base: View<'a>,
    plan: CopyPlan<'a>,
    /// What the layer holds so far, and whether that is a directory.
    planned: HashMap<TreePath, bool>,
    overrides: Overrides,
    /// The time of directories that are made on the way.
    made: Time,
}

/// Where one copy goes.
#[derive(Debug, Clone)]
pub(super) struct Dest {
    /// The path, links followed.
    pub(super) path: TreePath,
    /// It was written with a slash at its end, or is the root.
    pub(super) is_dir: bool,
}

/// Where bytes come from: a tree's number for each layer of a source, and the layer's manifest.
pub(super) struct Source<'m> {
    pub(super) manifests: Vec<&'m Manifest>,
    pub(super) trees: Vec<Option<usize>>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(base: View<'a>, overrides: Overrides, made: Time) -> Self {
        let plan = CopyPlan::default();
        Self { base, plan, planned: HashMap::new(), overrides, made }
    }

    /// The time of what nobody gave a time.
    pub(super) fn time(&self) -> Time {
        self.made
    }

    /// Reads a destination as written, and follows its links in the base.
    pub(super) fn dest(&self, text: &str) -> Result<Dest, Fault> {
        let written = super::super::select::clamp(text)?;
        let resolved = self.base.resolve(&written, Follow::Last).map_err(|error| match error {
            gantry_tree::ResolveError::NotADirectory(path) => non_directory(&path),
            other => other.into(),
        })?;
        let is_dir = text.ends_with('/') || written.is_root();
        Ok(Dest { path: resolved.path, is_dir })
    }

    /// Places one source.
    pub(super) fn place(
        &mut self,
        picked: &Picked<'_>,
        source: &Source<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        if picked.chosen.base.is_some() {
            return self.place_with_parents(picked, source, dest);
        }
        self.reach(dest)?;
        let target = if picked.chosen.kind == FileKind::Dir {
            dest.path.clone()
        } else if self.is_dir(&dest.path) == Some(true) {
            self.make_dir(&dest.path)?;
            dest.path.join_path(&picked.chosen.name)
        } else {
            dest.path.clone()
        };
        self.place_items(picked, source, &target)
    }

    /// Makes what must be there before something is copied: the destination if it is written as
    /// a directory, else the one that it lies in.
    pub(super) fn reach(&mut self, dest: &Dest) -> Result<(), Fault> {
        if dest.is_dir {
            return self.make_dir(&dest.path);
        }
        dest.path.parent().map_or(Ok(()), |parent| self.make_dir(&parent))
    }

    fn place_with_parents(
        &mut self,
        picked: &Picked<'_>,
        source: &Source<'_>,
        dest: &Dest,
    ) -> Result<(), Fault> {
        self.make_dir(&dest.path)?;
        for item in &picked.parents {
            let target = dest.path.join_path(&item.below);
            match self.is_dir(&target) {
                // What is there keeps its looks: `--parents /usr/x /` must not change `/usr`.
                Some(true) => self.make_dir(&target)?,
                Some(false) => return Err(non_directory(&target)),
                None => self.add(item, source, target),
            }
        }
        let target = dest.path.join_path(&picked.chosen.name);
        self.place_items(picked, source, &target)
    }

    fn place_items(
        &mut self,
        picked: &Picked<'_>,
        source: &Source<'_>,
        target: &TreePath,
    ) -> Result<(), Fault> {
        let there = self.is_dir(target);
        if picked.chosen.kind == FileKind::Dir {
            let listed = picked.items.first().is_some_and(|item| item.below.is_root());
            match there {
                Some(false) => return Err(non_directory(target)),
                // Its contents are copied, and not itself: a destination that is new looks like
                // any new directory. Its time is the source's all the same: the same source makes
                // the same layer.
                None if listed && picked.chosen.base.is_none() => {
                    let root = picked.items.first();
                    let mtime = root.map_or(self.made, |root| root.entry.mtime.whole());
                    self.push_own(Entry { mtime, ..self.new_dir(target.clone()) });
                }
                None if listed => {}
                _ => self.make_dir(target)?,
            }
        }
        for item in &picked.items {
            let is_dir = source.manifests[item.layer].real(item.entry).is_dir();
            let path = target.join_path(&item.below);
            if item.below.is_root() && is_dir {
                // A destination that is there keeps its looks.
                if there.is_none() && picked.chosen.base.is_some() {
                    self.add(item, source, path);
                }
                continue;
            }
            // Below a directory that is new, nothing can be in the way.
            let existing = if there.is_some() { self.is_dir(&path) } else { None };
            match existing {
                Some(true) if !is_dir => return Err(over_directory(&path)),
                Some(false) if is_dir => return Err(non_directory(&path)),
                _ => self.add(item, source, path),
            }
        }
        Ok(())
    }

    /// Plans `path` as a directory: as the base has it, or a new one of mode 0755.
    pub(super) fn make_dir(&mut self, path: &TreePath) -> Result<(), Fault> {
        let mut ways: Vec<TreePath> = path.ancestors().collect();
        ways.push(path.clone());
        ways.sort();
        ways.dedup();
        for way in ways.into_iter().filter(|way| !way.is_root()) {
            match self.planned.get(&way) {
                Some(true) => continue,
                Some(false) => return Err(non_directory(&way)),
                None => {}
            }
            let entry = match self.base.lookup(&way, Follow::Parents) {
                Some((_, entry)) if entry.is_dir() => {
                    let mtime = entry.mtime.whole();
                    Entry { node: Node::Dir { opaque: false }, mtime, ..entry.clone() }
                }
                Some(_) => return Err(non_directory(&way)),
                None => self.new_dir(way.clone()),
            };
            self.push_own(entry);
        }
        Ok(())
    }

    fn new_dir(&self, path: TreePath) -> Entry {
        let (uid, gid) = self.overrides.owner.unwrap_or_default();
        Entry { uid, gid, mtime: self.made, ..Entry::plain_dir(path) }
    }

    fn push_own(&mut self, entry: Entry) {
        self.planned.insert(entry.path.clone(), true);
        self.plan.add_dir(entry);
    }

    fn add(&mut self, item: &Item<'_>, source: &Source<'_>, to: TreePath) {
        let manifest = source.manifests[item.layer];
        let real = manifest.real(item.entry);
        self.planned.insert(to.clone(), real.is_dir());
        let tree = source.trees[item.layer].unwrap_or_default();
        self.plan.add(tree, manifest, item.entry, to, &self.overrides);
    }

    /// Plans an entry of an unpacked archive, which replaces what is in its way, as `tar -x` does.
    pub(super) fn put(
        &mut self,
        tree: usize,
        manifest: &Manifest,
        entry: &Entry,
        to: TreePath,
    ) -> Result<(), Fault> {
        let own = Overrides { owner: self.overrides.owner, ..Overrides::default() };
        let owner = Overrides { whole_seconds: self.overrides.whole_seconds, ..own };
        if let Some(parent) = to.parent() {
            self.make_dir(&parent)?;
        }
        if entry.is_dir() {
            // A directory over a link to a directory goes through it.
            let through = self.base.lookup(&to, Follow::Last).is_some_and(|(_, e)| e.is_dir());
            if through && self.is_dir(&to) == Some(false) && !self.planned.contains_key(&to) {
                return Ok(());
            }
        } else if self.planned.get(&to) == Some(&true) {
            self.forget_below(&to);
        }
        self.planned.insert(to.clone(), entry.is_dir());
        self.plan.add(tree, manifest, entry, to, &owner);
        Ok(())
    }

    /// Where an archive's path leads in the root filesystem, links of the base followed.
    pub(super) fn through(&self, path: &TreePath, is_dir: bool) -> Result<TreePath, Fault> {
        let planned = path.ancestors().any(|way| self.planned.get(&way) == Some(&false));
        if planned {
            return Err(non_directory(path));
        }
        let follow = if is_dir { Follow::Last } else { Follow::Parents };
        match self.base.resolve(path, follow) {
            // A link to a file, or to nothing, is replaced by the directory.
            Ok(resolved) if !is_dir || resolved.found.is_none_or(|(_, e)| e.is_dir()) => {
                Ok(resolved.path)
            }
            Ok(_) | Err(gantry_tree::ResolveError::NotADirectory(_)) => Ok(path.clone()),
            Err(error) => Err(error.into()),
        }
    }

    fn forget_below(&mut self, dir: &TreePath) {
        self.planned.retain(|path, _| !path.starts_with(dir));
        self.plan.items.retain(|item| !item.entry.path.starts_with(dir));
    }

    /// Says whether there is a directory (true) or something else (false), or nothing.
    pub(super) fn is_dir(&self, path: &TreePath) -> Option<bool> {
        if path.is_root() {
            return Some(true);
        }
        if let Some(is_dir) = self.planned.get(path) {
            return Some(*is_dir);
        }
        self.base.lookup(path, Follow::Parents).map(|(_, entry)| entry.is_dir())
    }

    /// Gives the plan away.
    pub(super) fn finish(self) -> CopyPlan<'a> {
        self.plan
    }
}

fn non_directory(path: &TreePath) -> Fault {
    Fault::refused_with(
        format!("cannot copy to non-directory: /{path}"),
        "There is a file; copy the directory somewhere else, or remove the file before",
    )
}

fn over_directory(path: &TreePath) -> Fault {
    Fault::refused_with(
        format!("cannot replace to directory /{path} with file"),
        format!("To put the file into the directory, end the destination with `/`: `/{path}/`"),
    )
}
