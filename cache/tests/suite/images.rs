//! Images and names, as docker has them.

use gantry_cache::{FsckOptions, Member, NewList, Pin, PruneOptions, StoreError};
use gantry_image::{Descriptor, Digest, ImageIndex, ImageManifest, MediaType, Raw, Reference};

use crate::support::{Fixture, image, layer};

fn name(text: &str) -> Reference {
    text.parse::<Reference>().unwrap()
}

fn names(fixture: &Fixture, id: &Digest) -> Vec<String> {
    let image = fixture.store.images().get(id).unwrap().unwrap();
    image.names.iter().map(Reference::familiar).collect()
}

#[test]
fn a_name_moves_and_leaves_the_old_image_dangling() {
    let fixture = Fixture::new();
    let images = fixture.store.images();
    let (one, two) = (image(&fixture.store, "1", &[]), image(&fixture.store, "2", &[]));
    images.tag(&name("app"), &one).unwrap();
    images.tag(&name("app:latest"), &two).unwrap();
    assert_eq!(names(&fixture, &one), [] as [&str; 0]);
    assert_eq!(names(&fixture, &two), ["app:latest"]);
    assert_eq!(images.resolve("docker.io/library/app").unwrap().id, two);
    assert_eq!(images.list().unwrap().len(), 2);
}

#[test]
fn an_image_is_found_by_name_digest_id_and_the_beginning_of_its_id() {
    let fixture = Fixture::new();
    let images = fixture.store.images();
    let ids: Vec<Digest> =
        (0..40).map(|n| image(&fixture.store, &format!("config {n}"), &[])).collect();
    images.tag(&name("app:1"), &ids[0]).unwrap();
    for text in ["app:1", &ids[0].to_string(), &ids[0].hex(), &ids[0].short()] {
        assert_eq!(images.resolve(text).unwrap().id, ids[0], "{text}");
    }
    let prefix = format!("sha256:{}", ids[1].short());
    assert_eq!(images.resolve(&prefix).unwrap().id, ids[1]);
    // 40 ids and 16 digits: some digit begins several.
    let counts =
        "0123456789abcdef".chars().filter_map(|digit| match images.resolve(&digit.to_string()) {
            Err(StoreError::AmbiguousImage { count, .. }) => Some(count),
            _ => None,
        });
    assert!(counts.max().unwrap() > 1);
    // A name that looks like the beginning of an id is a name first.
    let digits = ids[1].short();
    images.tag(&name(&digits), &ids[2]).unwrap();
    assert_eq!(images.resolve(&digits).unwrap().id, ids[2]);
}

#[test]
fn what_is_not_there_is_said_in_dockers_words() {
    let fixture = Fixture::new();
    let message = |text: &str| fixture.store.images().resolve(text).unwrap_err().to_string();
    assert_eq!(message("nope"), "No such image: nope:latest");
    assert_eq!(message("a/b:1"), "No such image: a/b:1");
    let id = Digest::of(b"nope").to_string();
    assert_eq!(message(&id), format!("No such image: {id}"));
    assert_eq!(message("No Name!"), "No such image: No Name!");
}

#[test]
fn the_last_name_takes_the_image_along() {
    let fixture = Fixture::new();
    let images = fixture.store.images();
    let id = image(&fixture.store, "1", &[]);
    images.tag(&name("app:1"), &id).unwrap();
    images.tag(&name("app:2"), &id).unwrap();
    let removed = images.remove("app:1", false).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec![name("app:1")], None));
    let removed = images.remove("app:2", false).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec![name("app:2")], Some(id)));
    assert!(images.get(&id).unwrap().is_none());
    fixture.clean();
}

#[test]
fn the_id_of_an_image_in_several_repositories_needs_force() {
    let fixture = Fixture::new();
    let images = fixture.store.images();
    let id = image(&fixture.store, "1", &[]);
    images.tag(&name("app"), &id).unwrap();
    images.tag(&name("other"), &id).unwrap();
    let error = images.remove(&id.short(), false).unwrap_err();
    let expected = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple \
         repositories",
        id.short()
    );
    assert_eq!(error.to_string(), expected);
    let removed = images.remove(&id.short(), true).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted), (2, Some(id)));
}

#[test]
fn an_image_that_a_container_uses_stays() {
    let fixture = Fixture::new();
    let images = fixture.store.images();
    let id = image(&fixture.store, "1", &[]);
    images.tag(&name("app"), &id).unwrap();
    fixture.store.pins().set("container:x", &[Pin::Image(id)]).unwrap();
    let error = images.remove("app", false).unwrap_err();
    assert!(matches!(error, StoreError::ImageUsed { .. }), "{error}");
    let removed = images.remove("app", true).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted), (1, None));
    assert!(images.get(&id).unwrap().is_some());
    fixture.store.pins().clear("container:x").unwrap();
    assert_eq!(images.remove(&id.to_string(), false).unwrap().deleted, Some(id));
}

#[test]
fn an_image_needs_all_that_it_names() {
    let fixture = Fixture::new();
    let id = layer(&fixture.store, &[("a", "a")]);
    let config = image(&fixture.store, "1", &[id]);
    assert_eq!(fixture.store.images().get(&config).unwrap().unwrap().layers, [id]);
    let platform = "linux/amd64".parse().unwrap();
    let new = gantry_cache::NewImage {
        id: Digest::of(b"not stored"),
        manifest: None,
        platform: &platform,
        layers: &[],
        size: 0,
        created: None,
    };
    let error = fixture.store.images().put(&new).unwrap_err();
    assert!(matches!(error, StoreError::BlobGone { .. }), "{error}");
}

#[test]
fn a_pulled_image_is_found_by_its_manifests_digest() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let (id, manifest) =
        (store.blobs().put(b"config").unwrap(), store.blobs().put(b"manifest").unwrap());
    let platform = "linux/arm64/v8".parse().unwrap();
    let new = gantry_cache::NewImage {
        id,
        manifest: Some(manifest),
        platform: &platform,
        layers: &[],
        size: 0,
        created: None,
    };
    store.images().put(&new).unwrap();
    store.images().tag(&name("ubuntu:14.04"), &id).unwrap();
    assert_eq!(store.images().resolve(&format!("ubuntu@{manifest}")).unwrap().id, id);
    assert!(store.images().resolve(&format!("debian@{manifest}")).is_err());
    // By digest alone, as `pull x@sha256:…` leaves it.
    store.images().tag(&name(&format!("debian@{manifest}")), &id).unwrap();
    assert_eq!(store.images().resolve(&format!("debian@{manifest}")).unwrap().id, id);
    assert_eq!(store.images().get(&id).unwrap().unwrap().platform, platform);
}

/// A manifest of an image whose config is a blob of the store.
fn manifest(store: &gantry_cache::Store, config: Digest) -> Digest {
    let size = store.blobs().size(&config).unwrap().unwrap();
    let config = Descriptor::new(MediaType::OciConfig, config, size);
    store.blobs().put(Raw::write(ImageManifest::new(config, Vec::new(), false)).bytes()).unwrap()
}

/// An index over images, for amd64 and arm64; with a statement's blob, if there is one to be made.
fn index(store: &gantry_cache::Store, images: [Digest; 2], said: Option<&[u8]>) -> Digest {
    let mut blobs = Vec::new();
    let mut entries = Vec::new();
    for (image, platform) in images.into_iter().zip(["linux/amd64", "linux/arm64"]) {
        let manifest = manifest(store, image);
        let size = store.blobs().size(&manifest).unwrap().unwrap();
        let mut entry = Descriptor::new(MediaType::OciManifest, manifest, size);
        entry.platform = Some(platform.parse().unwrap());
        entries.push(entry);
        blobs.push(manifest);
    }
    if let Some(said) = said {
        let blob =
            Descriptor::new(MediaType::InToto, store.blobs().put(said).unwrap(), said.len() as u64);
        let config = store.blobs().put(b"{}").unwrap();
        let config = Descriptor::new(MediaType::OciConfig, config, 2);
        let manifest = Raw::write(ImageManifest::new(config, vec![blob.clone()], false));
        let entry = Descriptor::new(
            MediaType::OciManifest,
            manifest.digest(),
            manifest.bytes().len() as u64,
        )
        .annotate("vnd.docker.reference.type", "attestation-manifest");
        entries.push(entry);
        store.blobs().put(manifest.bytes()).unwrap();
        blobs.extend([manifest.digest(), blob.digest, Digest::of(b"{}")]);
    }
    let index = store.blobs().put(Raw::write(ImageIndex::new(entries, false)).bytes()).unwrap();
    let list = NewList { index, blobs: &blobs, images: &images };
    store.images().set_list(&images[0], Some(&list)).unwrap();
    index
}

#[test]
fn a_name_of_an_index_keeps_what_that_lists_and_no_longer() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let images = store.images();
    let below = layer(store, &[("f", "other")]);
    let (one, other) = (image(store, "1", &[]), image(store, "2", &[below]));
    let list = index(store, [one, other], Some(b"said"));
    let lost = NewList { index: list, blobs: &[], images: &[Digest::of(b"lost")] };
    let error = images.set_list(&one, Some(&lost)).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchImage { .. }), "{error}");
    images.tag_list(&name("app"), &one, Some(&list)).unwrap();
    let there = |id: &Digest| images.get(id).unwrap();
    assert_eq!(there(&other).unwrap().within, Some(one));
    assert_eq!(there(&one).unwrap().within, None, "it stays for its own name");
    assert_eq!(there(&one).unwrap().lists, [(name("app:latest"), list)]);
    let listed = images.list().unwrap();
    assert!(listed.iter().all(|image| Some(image) == there(&image.id).as_ref()));
    let fixture = fixture.reopened();
    let images = fixture.store.images();
    fixture.store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(images.get(&other).unwrap().unwrap().layers, [below]);
    assert!(fixture.store.layers().get(&below).unwrap().is_some());
    let members = images.members(&list).unwrap();
    assert_eq!(members.images().map(|(image, _)| image.id).collect::<Vec<_>>(), [one, other]);
    let [_, _, Member::Other { blobs, .. }] = &members.members[..] else {
        panic!("{members:?}");
    };
    assert_eq!(blobs[0].1, b"said");
    // By force it loses its own name, and stays.
    images.tag(&name("own"), &other).unwrap();
    let error = images.remove(&other.to_string(), false).unwrap_err();
    assert!(matches!(error, StoreError::ImageUsed { .. }), "{error}");
    assert_eq!(images.remove(&other.to_string(), true).unwrap().deleted, None);
    let removed = images.remove("app", false).unwrap();
    assert_eq!((removed.deleted, removed.others), (Some(one), vec![other]));
    assert_eq!(images.get(&other).unwrap(), None);
    fixture.store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(fixture.store.blobs().size(&list).unwrap(), None);
}

#[test]
fn one_image_has_names_that_stand_for_it_alone_and_for_indexes() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let images = store.images();
    let ids = ["1", "2", "3"].map(|text| image(store, text, &[]));
    let first = index(store, [ids[0], ids[1]], None);
    images.tag_list(&name("two"), &ids[0], Some(&first)).unwrap();
    let second = index(store, [ids[0], ids[2]], None);
    images.tag_list(&name("three"), &ids[0], Some(&second)).unwrap();
    images.tag(&name("alone"), &ids[0]).unwrap();
    for (text, list) in [("two", Some(first)), ("three", Some(second)), ("alone", None)] {
        let found = images.resolve(text).unwrap();
        assert_eq!((found.id, found.list), (ids[0], list), "{text}");
    }
    assert_eq!(images.resolve(&ids[0].to_string()).unwrap().list, Some(second), "the last one");
    assert_eq!(images.resolve(&format!("two@{first}")).unwrap().list, Some(first));
    let arm = "linux/arm64".parse().unwrap();
    // The fixture's images say all the same of themselves; what does not is not found.
    let error = images.resolve_for("alone", Some(&arm)).unwrap_err();
    assert!(matches!(error, StoreError::NoPlatform { .. }), "{error}");
    // A name that is given away lets its index go, and one that is removed.
    images.tag(&name("two"), &ids[0]).unwrap();
    assert!(images.get(&ids[1]).unwrap().unwrap().is_dangling());
    let removed = images.remove("three", false).unwrap();
    assert_eq!((removed.deleted, removed.others), (None, vec![ids[2]]));
    let fixture = fixture.reopened();
    fixture.store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    for list in [first, second] {
        assert_eq!(fixture.store.blobs().size(&list).unwrap(), None);
    }
    assert_eq!(fixture.store.images().resolve("two").unwrap().list, None);
}

#[test]
fn an_index_of_which_a_part_is_gone_is_none() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let images = store.images();
    let (one, other) = (image(store, "1", &[]), image(store, "2", &[]));
    let list = index(store, [one, other], Some(b"said"));
    images.tag_list(&name("app"), &one, Some(&list)).unwrap();
    fs_err::remove_file(store.blobs().path(&Digest::of(b"said"))).unwrap();
    store.fsck(FsckOptions { deep: false, repair: true }).unwrap();
    let found = images.resolve("app").unwrap();
    assert_eq!((found.id, found.list, found.lists), (one, None, vec![]));
}
