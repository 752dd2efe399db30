//! Filling a [`CopyPlan`]: from a manifest, from a view, with COPY's overrides.

use std::collections::BTreeMap;

use super::layout::Layout;
use super::{CopyItem, CopyPlan, Overrides, Resolution};
use crate::view::Found;
use crate::{Entry, Manifest, ManifestError, Node, TreeError, TreePath, View, error};

impl CopyPlan<'_> {
    /// Plans the copy of one entry of `manifest`, which describes the source `tree`, to `to`.
    ///
    /// Directories come without their opaque marks, hard links with what they stand for.
    pub fn add(
        &mut self,
        tree: usize,
        manifest: &Manifest,
        entry: &Entry,
        to: TreePath,
        overrides: &Overrides,
    ) {
        let linked = matches!(entry.node, Node::HardLink { .. });
        let real = manifest.real(entry);
        let mut made = Entry { path: to, ..real.clone() };
        if made.is_dir() {
            made.node = Node::Dir { opaque: false };
        }
        overrides.apply(&mut made);
        self.items.push(CopyItem { tree, source: real.path.clone(), linked, entry: made });
    }

    /// Plans the copy of a subtree so that `from` comes to lie at `to`, changed as `overrides` say.
    /// Hard links in it are kept. Nothing at `from` plans nothing.
    pub fn add_subtree(
        &mut self,
        tree: usize,
        manifest: &Manifest,
        from: &TreePath,
        to: &TreePath,
        overrides: &Overrides,
    ) {
        for entry in manifest.subtree(from) {
            if let Some(below) = entry.path.strip_prefix(from) {
                self.add(tree, manifest, entry, to.join_path(&below), overrides);
            }
        }
    }

    /// Plans the copy of what a view shows; the sources of [`copy`](super::copy) are then the trees
    /// of the view's layers, in their order.
    pub fn add_found(
        &mut self,
        view: &View<'_>,
        found: Found<'_>,
        to: TreePath,
        overrides: &Overrides,
    ) {
        if let Some(manifest) = view.layer(found.0) {
            self.add(found.0, manifest, found.1, to, overrides);
        }
    }

    /// Plans the copy of what a view shows at and below `from`, as
    /// [`add_subtree`](Self::add_subtree) does.
    pub fn add_view(
        &mut self,
        view: &View<'_>,
        from: &TreePath,
        to: &TreePath,
        overrides: &Overrides,
    ) {
        for found in view.walk(from) {
            if let Some(below) = found.1.path.strip_prefix(from) {
                self.add_found(view, found, to.join_path(&below), overrides);
            }
        }
    }

    /// Plans a directory that no source has.
    pub fn add_dir(&mut self, entry: Entry) {
        let source = TreePath::root();
        self.items.push(CopyItem { tree: 0, source, linked: false, entry });
    }

    /// Adds the parent directories that no item makes, each as `make` says.
    pub fn add_parents(&mut self, mut make: impl FnMut(TreePath) -> Entry) {
        let planned: std::collections::BTreeSet<&TreePath> =
            self.items.iter().map(|item| &item.entry.path).collect();
        let mut missing = BTreeMap::new();
        for path in &planned {
            for parent in path.ancestors().filter(|parent| !parent.is_root()) {
                if planned.contains(&parent) || missing.contains_key(&parent) {
                    break;
                }
                missing.insert(parent.clone(), make(parent));
            }
        }
        for entry in missing.into_values() {
            self.add_dir(entry);
        }
    }

    /// Returns the manifest that the copy will have, without copying. Its
    /// [`content_digest`](Manifest::content_digest) says what the copy depends on.
    ///
    /// # Errors
    /// [`ManifestError`] if the items make up no tree.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        Layout::new(&self.items)?.manifest()
    }

    /// Returns the manifest that the copy will have and where its bytes come from, for who writes
    /// it in another form than a directory.
    ///
    /// # Errors
    /// [`TreeError::Malformed`] if the items make up no tree.
    pub fn resolved(self) -> Result<Resolution, TreeError> {
        let malformed = |source| TreeError::Malformed { path: error::display(b""), source };
        if self.is_plain() {
            let items = self.items.into_iter();
            let (sources, entries) =
                items.map(|item| ((item.tree, item.source), item.entry)).unzip();
            return Ok(Resolution {
                sources,
                manifest: Manifest::new(entries).map_err(malformed)?,
            });
        }
        let layout = Layout::new(&self.items).map_err(malformed)?;
        let jobs = layout.jobs.iter();
        Ok(Resolution {
            sources: jobs.map(|job| (job.item.tree, job.item.source.clone())).collect(),
            manifest: layout.manifest().map_err(malformed)?,
        })
    }

    /// Says whether the items are in order, one a path, and none a further name of another: what
    /// they say is then what will be there, and need not be put in order in a second list.
    fn is_plain(&self) -> bool {
        self.items.is_sorted_by(|a, b| a.entry.path < b.entry.path)
            && !self.items.iter().any(|item| item.linked)
    }
}

impl Overrides {
    /// Changes an entry.
    pub fn apply(&self, entry: &mut Entry) {
        if entry.node == Node::Whiteout {
            return;
        }
        if let Some((uid, gid)) = self.owner {
            (entry.uid, entry.gid) = (uid, gid);
        }
        if let Some(chmod) = &self.mode
            && !matches!(entry.node, Node::Symlink { .. })
        {
            entry.mode = chmod.apply(entry.mode, entry.is_dir());
        }
        if let Some(mtime) = self.mtime {
            entry.mtime = mtime;
        }
        if self.whole_seconds {
            entry.mtime = entry.mtime.whole();
        }
    }
}
