//! A container's root filesystem: the image's layers under its own upper directory, or, where
//! overlay can't be mounted, a copy of them all.

use std::path::{Path, PathBuf};

use gantry_cache::{Image, Store};
use gantry_image::layer::{Ids, UnpackOptions};
use gantry_sandbox::{Host, IdMap, Overlay, RootfsSpec};
use gantry_tree::{
    CopyPlan, Dialect, Existing, Follow, Manifest, Overrides, Root, TreePath, View, copy,
};

use crate::RunError;

/// Where the manifest of what was copied lies, in a container that can't be mounted.
pub(crate) const BASE: &str = "base.manifest";

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
    let upper = dir.join("upper");
    imitate_root(&upper, trees.last().map(PathBuf::as_path), host)?;
    match host.overlay(store.root()) {
        Overlay::Available { userxattr } => {
            if trees.is_empty() {
                // `FROM scratch` with nothing in it: overlay wants at least one lower.
                let empty = dir.join("empty");
                fs_err::create_dir_all(&empty)
                    .map_err(|error| RunError::io("make an empty layer", error))?;
                trees.push(empty);
            }
            let spec = RootfsSpec::overlay(trees, upper, dir.join("work"), userxattr);
            Ok(RootfsSpec { read_only, ..spec })
        }
        Overlay::Unavailable { .. } => {
            if fs_err::read_dir(&upper).is_ok_and(|mut entries| entries.next().is_none()) {
                let manifest = merge(store, host, image, &trees, &upper)?;
                let path = dir.join(BASE);
                fs_err::write(&path, manifest.encode())
                    .map_err(|error| RunError::io(format!("write `{}`", path.display()), error))?;
            }
            Ok(RootfsSpec { read_only, ..RootfsSpec::plain(upper) })
        }
    }
}

/// Gives the root directory of a fresh container the looks of the image's, whatever the umask is.
fn imitate_root(upper: &Path, top: Option<&Path>, host: &Host) -> Result<(), RunError> {
    let (upper, root) = (Root::open(upper)?, TreePath::root());
    let now = upper.stat(&root, Follow::Parents)?;
    let (mode, owner) = match top {
        None => (0o755, (now.uid, now.gid)),
        Some(top) => {
            let stat = Root::open(top)?.stat(&root, Follow::Parents)?;
            (stat.mode, (stat.uid, stat.gid))
        }
    };
    if owner != (now.uid, now.gid) && host.id_map() != IdMap::Single {
        upper.set_owner(&root, owner.0, owner.1)?;
    }
    Ok(upper.set_mode(&root, mode)?)
}

/// How layers are unpacked with the rights that this process has.
pub(crate) fn unpack_options(host: &Host) -> UnpackOptions {
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
    trees: &[PathBuf],
    dest: &Path,
) -> Result<Manifest, RunError> {
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
    Ok(copy(&sources, &Root::open(dest)?, &plan)?.manifest)
}
