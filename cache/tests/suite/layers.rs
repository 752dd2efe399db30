//! Layers, and one form from another.

use std::os::unix::fs::MetadataExt;
use std::sync::Barrier;

use fs_err as fs;
use gantry_cache::{BlobForm, LayerId, Store, StoreError};
use gantry_image::layer::{Ids, UnpackOptions};
use gantry_image::{DiffId, Digest};
use gantry_tree::TreePath;

use crate::support::{Fixture, layer, manifest_of};

fn options() -> UnpackOptions {
    match rustix::process::geteuid().is_root() {
        true => UnpackOptions::root(),
        false => UnpackOptions::rootless(Ids::Single),
    }
}

/// The layer's tar.
fn tar(store: &Store, id: &LayerId) -> (Vec<u8>, DiffId) {
    let mut bytes = Vec::new();
    let (diff_id, size) = store.layers().tar_stream(id, None, &mut bytes).unwrap();
    assert_eq!(size, bytes.len() as u64);
    assert_eq!(diff_id.0, Digest::of(&bytes));
    (bytes, diff_id)
}

/// Puts a tar in as the blob of an imported layer.
fn import(store: &Store, bytes: &[u8], diff_id: &DiffId) -> LayerId {
    let digest = store.blobs().put(bytes).unwrap();
    store.layers().add_blob(diff_id, &digest, "application/vnd.oci.image.layer.v1.tar").unwrap()
}

#[test]
fn a_committed_tree_is_the_layer_that_was_made() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("etc/x", "one"), ("y", "two")]);
    let fixture = fixture.reopened();
    let layer = fixture.store.layers().get(&id).unwrap().unwrap();
    assert_eq!(layer.size, Some(6));
    let tree = layer.tree().unwrap();
    assert_eq!(fs::read_to_string(tree.join("etc/x")).unwrap(), "one");
    assert_eq!(LayerId::from_manifest(&layer.manifest().unwrap()), id);
    assert!(layer.manifest().unwrap().get(&TreePath::new(b"y").unwrap()).is_some());
    fixture.clean();
}

#[test]
fn the_same_layer_made_by_two_at_once_is_there_once() {
    let fixture = Fixture::new();
    // The same tree twice, times included, so that it has one id.
    let sources = [fixture.store.work_dir().unwrap(), fixture.store.work_dir().unwrap()];
    for work in &sources {
        let path = work.upper().join("file");
        fs::write(&path, "text").unwrap();
        let root = gantry_tree::Root::open(work.upper()).unwrap();
        let time = gantry_tree::Time { secs: 1_000_000, nanos: 1 };
        root.set_mtime(&TreePath::new(b"file").unwrap(), time).unwrap();
    }
    let barrier = Barrier::new(2);
    let ids: Vec<LayerId> = std::thread::scope(|scope| {
        let commit = |work: &gantry_cache::WorkDir| {
            let store = fixture.again();
            let manifest = manifest_of(&work.upper());
            barrier.wait();
            store.layers().commit_tree(&work.upper(), &manifest).unwrap()
        };
        let threads: Vec<_> =
            sources.iter().map(|work| scope.spawn(move || commit(work))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids[0], ids[1]);
    assert_eq!(fixture.store.layers().list().unwrap(), [ids[0]]);
    // What was not needed goes with the directory that it was made in.
    let paths = sources.each_ref().map(|work| work.path().to_owned());
    drop(sources);
    assert!(!paths.iter().any(|path| path.exists()));
    let kept = fixture.store.layers().require(&ids[0]).unwrap();
    assert_eq!(fs::read_to_string(kept.tree().unwrap().join("file")).unwrap(), "text");
    fixture.clean();
}

#[test]
fn a_blob_becomes_a_tree_and_its_tar_stays_the_same() {
    let fixture = Fixture::new();
    let made = layer(&fixture.store, &[("etc/x", "one"), ("y", "two")]);
    let (bytes, diff_id) = tar(&fixture.store, &made);
    let id = import(&fixture.store, &bytes, &diff_id);
    assert_ne!(id, made);
    let known = fixture.store.layers().get(&id).unwrap().unwrap();
    assert_eq!((known.tree(), known.diff_id(None)), (None, Some(diff_id)));
    // Clamping does not apply to what was brought in.
    assert_eq!(known.diff_id(Some(0)), Some(diff_id));
    assert!(matches!(known.manifest().unwrap_err(), StoreError::NoForm { .. }));

    let manifest = fixture.store.layers().ensure_manifest(&id).unwrap();
    assert_eq!(manifest.total_size(), 6);
    let unpacked = fixture.store.layers().ensure_tree(&id, &options()).unwrap();
    assert_eq!(fs::read_to_string(unpacked.tree().unwrap().join("y")).unwrap(), "two");
    assert_eq!(tar(&fixture.store, &id).0, bytes);
    fixture.clean();
}

#[test]
fn a_blob_that_is_another_layer_leaves_nothing() {
    let fixture = Fixture::new();
    let made = layer(&fixture.store, &[("x", "one")]);
    let (bytes, _) = tar(&fixture.store, &made);
    let wrong = DiffId(Digest::of(b"something else"));
    let id = import(&fixture.store, &bytes, &wrong);
    for _ in 0..2 {
        let error = fixture.store.layers().ensure_tree(&id, &options()).unwrap_err();
        assert!(matches!(error, StoreError::DiffIdMismatch { .. }), "{error}");
    }
    assert!(fixture.store.layers().ensure_manifest(&id).is_err());
    let known = fixture.store.layers().get(&id).unwrap().unwrap();
    assert!(!known.forms.tree && !known.has_manifest());
    assert!(!fixture.root().join("layers").join(id.to_string()).exists());
}

#[test]
fn one_of_many_unpacks_and_all_get_the_tree() {
    let fixture = Fixture::new();
    let files: Vec<(String, String)> =
        (0..200).map(|n| (format!("dir/{n}"), format!("text {n}"))).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (&name[..], &text[..])).collect();
    let made = layer(&fixture.store, &files);
    let (bytes, diff_id) = tar(&fixture.store, &made);
    let id = import(&fixture.store, &bytes, &diff_id);
    let inodes: Vec<u64> = std::thread::scope(|scope| {
        let ensure = || {
            let layer = fixture.again().layers().ensure_tree(&id, &options()).unwrap();
            fs::metadata(layer.tree().unwrap()).unwrap().ino()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ensure)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(inodes.iter().all(|inode| *inode == inodes[0]));
    fixture.clean();
}

#[test]
fn a_clamped_tar_is_another_and_both_diff_ids_are_remembered() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("x", "one")]);
    let (plain, size) = fixture.store.layers().ensure_diff_id(&id, None).unwrap();
    let (clamped, _) = fixture.store.layers().ensure_diff_id(&id, Some(1_000_000_000)).unwrap();
    assert_ne!(plain, clamped);
    let fixture = fixture.reopened();
    let layer = fixture.store.layers().get(&id).unwrap().unwrap();
    assert_eq!(layer.diff_id(None), Some(plain));
    assert_eq!(layer.diff_id(Some(1_000_000_000)), Some(clamped));
    assert_eq!(layer.diff_id(Some(5)), None);
    assert_eq!(fixture.store.layers().ensure_diff_id(&id, None).unwrap(), (plain, size));
    assert_eq!(fixture.store.layers().by_diff_id(&plain).unwrap().unwrap().id, id);
}

#[test]
fn what_a_layer_was_compressed_to_stands_beside_it() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("x", "one")]);
    let (bytes, diff_id) = tar(&fixture.store, &id);
    let digest = fixture.store.blobs().put(&bytes).unwrap();
    let form = BlobForm {
        digest,
        diff_id,
        media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
        how: "none".to_owned(),
    };
    fixture.store.layers().attach_blob(&id, &form).unwrap();
    assert_eq!(
        fixture.store.layers().get(&id).unwrap().unwrap().forms.blobs,
        std::slice::from_ref(&form)
    );
    let missing = BlobForm { digest: Digest::of(b"missing"), ..form };
    let error = fixture.store.layers().attach_blob(&id, &missing).unwrap_err();
    assert!(matches!(error, StoreError::BlobGone { .. }), "{error}");
    fixture.clean();
}

#[test]
fn a_layer_written_as_a_tar_is_unpacked_when_a_tree_is_needed() {
    let fixture = Fixture::new();
    let made = layer(&fixture.store, &[("x", "one")]);
    let (bytes, diff_id) = tar(&fixture.store, &made);
    let manifest = fixture.store.layers().get(&made).unwrap().unwrap().manifest().unwrap();
    let work = fixture.store.work_dir().unwrap();
    let path = work.scratch().join("tar");
    fs::write(&path, &bytes).unwrap();
    let id = fixture.store.layers().commit_tar(&path, None, &manifest, diff_id, true).unwrap();
    assert_eq!(id, LayerId::from_diff_id(&diff_id));
    assert_eq!(tar(&fixture.store, &id).0, bytes);
    let tree = fixture.store.layers().ensure_tree(&id, &options()).unwrap().tree().unwrap();
    assert_eq!(fs::read_to_string(tree.join("x")).unwrap(), "one");
    drop(work);
    fixture.clean();
}

#[test]
fn a_committed_layers_directory_left_by_the_dead_is_replaced() {
    let fixture = Fixture::new();
    let work = fixture.store.work_dir().unwrap();
    fs::write(work.upper().join("x"), "one").unwrap();
    let manifest = manifest_of(&work.upper());
    let id = LayerId::from_manifest(&manifest);
    let orphan = fixture.root().join("layers").join(id.to_string());
    fs::create_dir_all(orphan.join("tree")).unwrap();
    fs::write(orphan.join("tree/x"), "rubbish").unwrap();
    fixture.store.layers().commit_tree(&work.upper(), &manifest).unwrap();
    assert_eq!(fs::read_to_string(orphan.join("tree/x")).unwrap(), "one");
    drop(work);
    fixture.clean();
}
