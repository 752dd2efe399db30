//! A container's root filesystem: the image's layers under its own upper directory, or, where
//! overlay can't be mounted, a copy of them all.

use std::path::Path;

use gantry_cache::{Image, Store};
use gantry_image::layer::{Ids, UnpackOptions};
use gantry_sandbox::{Host, IdMap, Overlay, RootfsSpec};
use gantry_tree::{CopyPlan, Dialect, Existing, Overrides, Root, TreePath, View, copy};

use crate::RunError;

/// Puts the root filesystem of the container in `dir` together. Unpacks layers that have no tree.
pub(crate) fn prepare(
    store: &Store,
    host: &Host,
    image: &Image,
    dir: &Path,
    read_only: bool,
) -> Result<RootfsSpec, RunError> {
    let unpack = unpack_options(host);
    let mut trees = Vec::new();
    for id in &image.layers {
        let tree = store.layers().ensure_tree(id, &unpack)?.tree();
        trees.push(tree.ok_or(gantry_cache::StoreError::NoForm { layer: *id })?);
    }
    match host.overlay(store.root()) {
        Overlay::Available { userxattr } => {
            if trees.is_empty() {
                // `FROM scratch` with nothing in it: overlay wants at least one lower.
                let empty = dir.join("empty");
                fs_err::create_dir_all(&empty)
                    .map_err(|error| RunError::io("make an empty layer", error))?;
                trees.push(empty);
            }
            let spec = RootfsSpec::overlay(trees, dir.join("upper"), dir.join("work"), userxattr);
            Ok(RootfsSpec { read_only, ..spec })
        }
        Overlay::Unavailable { .. } => {
            let upper = dir.join("upper");
            if fs_err::read_dir(&upper).is_ok_and(|mut entries| entries.next().is_none()) {
                merge(store, host, image, &trees, &upper)?;
            }
            Ok(RootfsSpec { read_only, ..RootfsSpec::plain(upper) })
        }
    }
}

/// How layers are unpacked with the rights that this process has.
fn unpack_options(host: &Host) -> UnpackOptions {
    match host.id_map() {
        IdMap::Full if !host.in_user_namespace() => UnpackOptions::root(),
        IdMap::Single => UnpackOptions::rootless(Ids::Single),
        IdMap::Full | IdMap::SubIds { .. } => UnpackOptions::rootless(Ids::Full),
    }
}

fn merge(
    store: &Store,
    host: &Host,
    image: &Image,
    trees: &[std::path::PathBuf],
    dest: &Path,
) -> Result<(), RunError> {
    let manifests = image
        .layers
        .iter()
        .map(|id| store.layers().ensure_manifest(id))
        .collect::<Result<Vec<_>, _>>()?;
    let layers: Vec<_> = manifests.iter().map(|manifest| &**manifest).collect();
    let view = View::new(&layers);
    let roots = trees.iter().map(Root::open).collect::<Result<Vec<_>, _>>()?;
    let mut plan = CopyPlan {
        dialect: Dialect::Plain,
        existing: Existing::Replace,
        trust_contents: true,
        keep_owner: host.id_map() == IdMap::Single,
        ..CopyPlan::default()
    };
    plan.add_view(&view, &TreePath::root(), &TreePath::root(), &Overrides::default());
    // The directory itself is there already.
    plan.items.retain(|item| !item.entry.path.is_root());
    let sources: Vec<&Root> = roots.iter().collect();
    copy(&sources, &Root::open(dest)?, &plan)?;
    Ok(())
}
