//! Layers and blobs against what their rows and manifests promise.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use gantry_image::{Hasher, layer};
use gantry_tree::{Entry, FileKind, Follow, Manifest, Node, Root, Stat, TreePath, hash_reader};

use super::check::{Findings, Remedy};
use crate::store::Inner;
use crate::{Layer, LayerId, Store, StoreError};

/// A blob's size, or with `deep` its digest.
pub(super) fn check_blob(
    inner: &Arc<Inner>,
    digest: &str,
    size: u64,
    deep: bool,
    findings: &mut Findings,
) {
    let path = inner.layout.blob_named(digest);
    let wrong = match fs::File::open(&path) {
        Err(error) => Some(error.to_string()),
        Ok(mut file) => match file.metadata() {
            Ok(metadata) if metadata.len() != size => {
                Some(format!("it has {} bytes instead of {size}", metadata.len()))
            }
            Ok(_) if deep => {
                let mut hasher = Hasher::new();
                match io::copy(&mut file, &mut hasher).map(|_| hasher.finish().to_string()) {
                    Ok(actual) if actual == digest => None,
                    Ok(actual) => Some(format!("its digest is `{actual}`")),
                    Err(error) => Some(error.to_string()),
                }
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        },
    };
    if let Some(wrong) = wrong {
        findings.damage(format!("blob `{digest}`"), wrong, Remedy::Blob(digest.to_owned()));
    }
}

/// A layer's manifest, and its forms against it.
pub(super) fn check_layer(
    store: &Store,
    layer: &Layer,
    deep: bool,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    // A tar of a layer that was made here need not give the same manifest again; building it does.
    let remedy = if layer.imported { Remedy::Strip(layer.id) } else { Remedy::Layer(layer.id) };
    let mut damage = |what: String| {
        findings.damage(format!("layer `{}`", layer.id), what, remedy.clone());
    };
    if !layer.forms.any_local() && layer.forms.remote.is_empty() {
        damage("no form of it is there".to_owned());
        return Ok(());
    }
    if layer.has_manifest() {
        match layer.manifest() {
            Err(error) => {
                damage(error.to_string());
                return Ok(());
            }
            Ok(manifest) if !layer.imported && LayerId::from_manifest(&manifest) != layer.id => {
                damage("its manifest is another layer's".to_owned());
                return Ok(());
            }
            Ok(manifest) => {
                if let Some(tree) = layer.tree()
                    && let Some(what) = compare(&tree, &manifest, deep, owners_count(store))
                {
                    damage(what);
                    return Ok(());
                }
            }
        }
    } else if layer.forms.tree || layer.forms.tar {
        damage("its manifest is not there".to_owned());
        return Ok(());
    }
    if let Some((tar, index)) = layer.mountable()
        && let Some(what) = compare_index(layer, &tar, &index, deep)
    {
        damage(what);
        return Ok(());
    }
    // Only tars that lie ready are held against the diff ID: they are given out as they are.
    if deep && (layer.forms.tar || !layer.forms.blobs.is_empty()) {
        let mut sink = io::sink();
        match store.layers().tar_stream(&layer.id, None, &mut sink) {
            Err(StoreError::LayerGone { .. }) | Ok(_) => {}
            Err(error) => damage(error.to_string()),
        }
    }
    Ok(())
}

/// Owners mean something only to root looking at a store of root's: elsewhere ids are mapped.
fn owners_count(store: &Store) -> bool {
    let full = fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
    full && fs::metadata(store.root()).is_ok_and(|metadata| metadata.uid() == 0)
}

/// Returns what is wrong with an index: with `deep`, the first difference from one that is made anew.
fn compare_index(layer: &Layer, tar: &Path, index: &Path, deep: bool) -> Option<String> {
    let compare = || -> io::Result<bool> {
        let (mode, uid, gid) = layer::root_looks(fs::File::open(index)?.file())?;
        if !deep {
            return Ok(fs::metadata(tar)?.is_file());
        }
        let (manifest, offsets) = if layer.imported {
            let read = layer::index(&mut fs::File::open(tar)?, &layer::Limits::default());
            let read = read.map_err(io::Error::other)?;
            (read.manifest, read.offsets)
        } else {
            let manifest = (*layer.manifest().map_err(io::Error::other)?).clone();
            let offsets = layer::Offsets::of_written(&manifest);
            (manifest, offsets)
        };
        let root = Entry { mode, uid, gid, ..Entry::plain_dir(TreePath::root()) };
        let mut anew = Vec::new();
        layer::write_index(&manifest, &offsets, &root, &mut anew).map_err(io::Error::other)?;
        Ok(fs::read(index)? == anew)
    };
    match compare() {
        Ok(true) => None,
        Ok(false) => Some("its mountable index is another layer's".to_owned()),
        Err(error) => Some(format!("its mountable index: {error}")),
    }
}

/// Returns the first thing in which a tree differs from its manifest.
fn compare(tree: &Path, manifest: &Manifest, deep: bool, owners: bool) -> Option<String> {
    let root = match Root::open(tree) {
        Ok(root) => root,
        Err(error) => return Some(error.to_string()),
    };
    for entry in manifest.entries() {
        let real = manifest.real(entry);
        let what = match root.stat(&entry.path, Follow::Parents) {
            // Where devices can't be made they are left out.
            Err(e) if e.is_not_found() && is_device(real) && !owners => None,
            Err(error) => Some(error.to_string()),
            Ok(stat) => differs(real, &stat, owners),
        };
        if let Some(what) = what {
            return Some(format!("`{}` in its tree: {what}", entry.path));
        }
        if let (true, Node::File { content, .. }) = (deep, &entry.node) {
            let read = root
                .open_file(&entry.path, Follow::Parents)
                .map_err(io::Error::other)
                .and_then(|mut file| hash_reader(&mut file));
            match read {
                Ok((actual, _)) if actual == *content => {}
                Ok(_) => return Some(format!("`{}` in its tree: other content", entry.path)),
                Err(error) => return Some(format!("`{}` in its tree: {error}", entry.path)),
            }
        }
    }
    if deep { stranger(&root, manifest) } else { None }
}

fn is_device(entry: &Entry) -> bool {
    matches!(entry.node, Node::CharDevice { .. } | Node::BlockDevice { .. })
}

/// What a step left behind has fractions of seconds on disk, and none in its manifest.
fn same_time(stat: &Stat, entry: &Entry) -> bool {
    stat.mtime == entry.mtime || stat.mtime.whole() == entry.mtime
}

fn differs(entry: &Entry, stat: &Stat, owners: bool) -> Option<String> {
    let kind = match &entry.node {
        Node::Dir { .. } => FileKind::Dir,
        Node::File { .. } | Node::HardLink { .. } => FileKind::File,
        Node::Symlink { .. } => FileKind::Symlink,
        Node::CharDevice { .. } | Node::Whiteout => FileKind::CharDevice,
        Node::BlockDevice { .. } => FileKind::BlockDevice,
        Node::Fifo => FileKind::Fifo,
    };
    if stat.kind != kind {
        return Some(format!("it is a {:?} instead of a {kind:?}", stat.kind));
    }
    if let Node::File { size, .. } = entry.node
        && (stat.size != size || !same_time(stat, entry))
    {
        return Some("another size or time".to_owned());
    }
    let plain = !matches!(entry.node, Node::Whiteout | Node::Symlink { .. });
    if plain && stat.mode != entry.mode {
        return Some(format!("mode {:o} instead of {:o}", stat.mode, entry.mode));
    }
    if owners && entry.node != Node::Whiteout && (stat.uid, stat.gid) != (entry.uid, entry.gid) {
        return Some("another owner".to_owned());
    }
    None
}

/// Returns something in the tree that the manifest does not know.
fn stranger(root: &Root, manifest: &Manifest) -> Option<String> {
    let mut directories = vec![TreePath::root()];
    while let Some(directory) = directories.pop() {
        for entry in root.read_dir(&directory, Follow::Parents).ok()? {
            let path = directory.join(&entry.name).ok()?;
            match manifest.get(&path) {
                None => return Some(format!("`{path}` in its tree is not in its manifest")),
                Some(known) if known.is_dir() => directories.push(path),
                Some(_) => {}
            }
        }
    }
    None
}
