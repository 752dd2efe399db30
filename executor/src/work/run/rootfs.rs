//! The root filesystem of a step: layers under an upper directory, or all of them copied together.

use std::collections::HashSet;

use gantry_cache::{LayerId, WorkDir};
use gantry_sandbox::{Lower, RootfsSpec};
use gantry_solver::{LayerRef, Snapshot};
use gantry_tree::{
    CopyPlan, Dialect, Follow, Manifest, Root, ScanOptions, Stat, TreePath, copy, scan,
};

use super::super::fault::Fault;
use super::super::stack::{Stack, layer_id};
use super::super::{Executor, Mounting, merge, root_dir};
use super::diff;
use super::opaque::spell_out;
use crate::request::Snapshotter;

/// Overlay takes 500 lowers; beyond this many the lowest are merged into one.
const DEEPEST: usize = 450;

/// A root filesystem that is ready to be changed by one step.
pub(super) struct RootFs {
    spec: RootfsSpec,
    /// The root directory as it was.
    before: Stat,
    /// With the copying fall-back: all that was there.
    copied: Option<Manifest>,
}

impl RootFs {
    /// Puts the layers of `base` together, in `work`.
    pub(super) fn prepare(
        executor: &Executor,
        base: &Snapshot,
        work: &WorkDir,
    ) -> Result<Self, Fault> {
        match executor.mounting()? {
            Mounting::Overlay { userxattr } => Self::overlay(executor, base, work, userxattr),
            Mounting::Copying => Self::copying(executor, base, work),
        }
    }

    /// What the sandbox mounts.
    pub(super) fn spec(&self) -> RootfsSpec {
        self.spec.clone()
    }

    fn overlay(
        executor: &Executor,
        base: &Snapshot,
        work: &WorkDir,
        userxattr: bool,
    ) -> Result<Self, Fault> {
        let layers = &*topmost(&base.layers());
        let merged = layers.len().saturating_sub(DEEPEST);
        let mut lowers: Vec<Lower> = Vec::with_capacity(layers.len());
        if merged > 0 {
            let lowest: Snapshot = layers[..=merged].iter().copied().collect();
            let stack = Stack::open(&executor.store, &lowest)?;
            work.make(&work.merged())?;
            merge::merge(executor, &stack, &TreePath::root(), &work.merged())?;
            lowers.push(work.merged().into());
        }
        let rest = if merged > 0 { &layers[merged + 1..] } else { layers };
        for layer in rest {
            lowers.push(executor.lower(&layer_id(layer))?);
        }
        let upper = Root::open(work.upper())?;
        if let Some(top) = lowers.last() {
            root_dir::imitate_lower(&upper, top, executor.single_id())?;
        }
        let before = upper.stat(&TreePath::root(), Follow::Parents)?;
        lowers.insert(0, executor.mount_points()?.into());
        let mut spec = RootfsSpec::overlay(lowers, work.upper(), work.work(), userxattr);
        // A layer that is not synced goes with a crash anyway. Without this, unmounting waits for
        // all that anybody has written to the file system below.
        spec.volatile = true;
        spec.attached = executor.snapshotter == Snapshotter::Attached;
        Ok(Self { spec, before, copied: None })
    }

    fn copying(executor: &Executor, base: &Snapshot, work: &WorkDir) -> Result<Self, Fault> {
        let stack = Stack::open(&executor.store, base)?;
        work.make(&work.merged())?;
        let dir = Root::open(work.merged())?;
        root_dir::imitate(&dir, &stack.view(), executor.single_id())?;
        let manifest = merge::merge(executor, &stack, &TreePath::root(), &work.merged())?;
        let before = dir.stat(&TreePath::root(), Follow::Parents)?;
        root_dir::imitate(&Root::open(work.upper())?, &stack.view(), executor.single_id())?;
        Ok(Self { spec: RootfsSpec::plain(work.merged()), before, copied: Some(manifest) })
    }

    /// Makes a layer of what the step changed on top of `base`.
    pub(super) fn commit(
        self,
        executor: &Executor,
        base: &Snapshot,
        work: &WorkDir,
    ) -> Result<LayerId, Fault> {
        let manifest = match &self.copied {
            None => {
                let upper = Root::open(work.upper())?;
                let changes = self.scan(&upper, executor.dialect())?;
                spell_out(executor, base, &upper, changes)?
            }
            Some(before) => {
                let merged = Root::open(work.merged())?;
                let after = self.scan(&merged, Dialect::Plain)?;
                self.take_changes(executor, before, &after, &merged, work)?
            }
        };
        Ok(executor.store.layers().commit_tree(&work.upper(), &manifest)?)
    }

    fn scan(&self, root: &Root, dialect: Dialect) -> Result<Manifest, Fault> {
        let options = ScanOptions { dialect, include_root: true, ..ScanOptions::default() };
        let found = scan(root, &options)?;
        let manifest = found.manifest.in_whole_seconds();
        let listed = manifest.get(&TreePath::root());
        if listed.is_some_and(|entry| !root_dir::changed(entry, &self.before)) {
            let mut entries = manifest.into_entries();
            entries.retain(|entry| !entry.path.is_root());
            return Ok(Manifest::new(entries)?);
        }
        Ok(manifest)
    }

    /// Copies what differs into the upper directory, in the form that overlay would leave.
    fn take_changes(
        &self,
        executor: &Executor,
        before: &Manifest,
        after: &Manifest,
        merged: &Root,
        work: &WorkDir,
    ) -> Result<Manifest, Fault> {
        let upper = Root::open(work.upper())?;
        let mut plan = CopyPlan {
            dialect: executor.dialect(),
            keep_owner: executor.single_id(),
            ..CopyPlan::default()
        };
        diff::plan(before, after, &mut plan);
        let changes = copy(&[merged], &upper, &plan)?.manifest;
        let Some(root) = after.get(&TreePath::root()) else { return Ok(changes) };
        if !executor.single_id() {
            upper.set_owner(&root.path, root.uid, root.gid)?;
        }
        upper.set_mode(&root.path, root.mode)?;
        let mut entries = changes.into_entries();
        entries.push(root.clone());
        Ok(Manifest::new(entries)?)
    }
}

/// Leaves out layers that come again further up, where they hide all of themselves: steps that
/// change nothing all make the same empty layer.
fn topmost(layers: &[LayerRef]) -> Vec<LayerRef> {
    let mut seen = HashSet::new();
    let mut kept: Vec<_> =
        layers.iter().rev().filter(|layer| seen.insert(**layer)).copied().collect();
    kept.reverse();
    kept
}
