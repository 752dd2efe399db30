//! A container's root filesystem: the image's layers under its own upper directory, or, where
//! overlay can't be mounted, a copy of them all.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use gantry_cache::{Image, LayerId, Store};
use gantry_image::layer::{Ids, UnpackOptions, root_looks};
use gantry_sandbox::{Host, IdMap, Lower, Overlay, RootfsSpec};
use gantry_tree::{
    CopyPlan, Dialect, Existing, Follow, Manifest, Overrides, Root, TreePath, View, copy,
};

use crate::RunError;

/// Where the manifest of what was copied lies, in a container that can't be mounted.
pub(crate) const BASE: &str = "base.manifest";

/// Puts the root filesystem of the container in `dir` together. Layers that have no tree are
/// unpacked where they can't be mounted as they are.
pub(crate) fn prepare(
    store: &Store,
    host: &Host,
    image: &Image,
    dir: &Path,
    read_only: bool,
) -> Result<RootfsSpec, RunError> {
    let upper = dir.join("upper");
    match host.overlay(store.root()) {
        Overlay::Available { userxattr } => {
            let indexes = host.index(store.root()).is_ok();
            let layers = image.layers.iter();
            let mut lowers =
                layers.map(|id| lower(store, host, id, indexes)).collect::<Result<Vec<_>, _>>()?;
            imitate_root(&upper, lowers.last(), host)?;
            if lowers.is_empty() {
                // `FROM scratch` with nothing in it: overlay wants at least one lower.
                let empty = dir.join("empty");
                fs_err::create_dir_all(&empty)
                    .map_err(|error| RunError::io("make an empty layer", error))?;
                lowers.push(Lower::Tree(empty));
            }
            let spec = RootfsSpec::overlay(lowers, upper, dir.join("work"), userxattr);
            Ok(RootfsSpec { read_only, ..spec })
        }
        Overlay::Unavailable { .. } => {
            let layers = image.layers.iter();
            let trees = layers.map(|id| tree(store, host, id)).collect::<Result<Vec<_>, _>>()?;
            let top = trees.last().cloned().map(Lower::Tree);
            imitate_root(&upper, top.as_ref(), host)?;
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

/// Returns a layer in a form that overlay can be laid over; what it lacks for that is made.
fn lower(store: &Store, host: &Host, id: &LayerId, indexes: bool) -> Result<Lower, RunError> {
    let mut layer = store.layers().require(id)?;
    if indexes && layer.tree().is_none() && layer.mountable().is_none() {
        layer = store.layers().ensure_mountable(id)?;
    }
    match (layer.tree(), layer.mountable().filter(|_| indexes)) {
        (Some(tree), _) => Ok(Lower::Tree(tree)),
        (None, Some((tar, index))) => Ok(Lower::Index { tar, index }),
        (None, None) => tree(store, host, id).map(Lower::Tree),
    }
}

/// Returns a layer's directory, unpacking it if it has none.
fn tree(store: &Store, host: &Host, id: &LayerId) -> Result<PathBuf, RunError> {
    let tree = store.layers().ensure_tree(id, &unpack_options(host))?.tree();
    Ok(tree.ok_or(gantry_cache::StoreError::NoForm { layer: *id })?)
}

/// Gives the root directory of a fresh container the looks of the image's, whatever the umask is.
fn imitate_root(upper: &Path, top: Option<&Lower>, host: &Host) -> Result<(), RunError> {
    let (upper, root) = (Root::open(upper)?, TreePath::root());
    let now = upper.stat(&root, Follow::Parents)?;
    let looks = |top: &Root| -> Result<_, RunError> {
        let stat = top.stat(&TreePath::root(), Follow::Parents)?;
        Ok((stat.mode, (stat.uid, stat.gid)))
    };
    let (mode, owner) = match top {
        None => (0o755, (now.uid, now.gid)),
        Some(Lower::Index { index, .. }) => {
            let looks = fs_err::File::open(index).and_then(|index| root_looks(index.file()));
            let (mode, uid, gid) =
                looks.map_err(|error| RunError::io("read a layer's index", error))?;
            (mode, (uid, gid))
        }
        Some(Lower::Tree(top)) => looks(&Root::open(top)?)?,
        Some(Lower::Mounted(top)) => {
            let top = top.as_fd().try_clone_to_owned();
            looks(&Root::from_fd(top.map_err(|error| RunError::io("open a layer", error))?))?
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
