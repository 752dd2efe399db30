//! Images and names, as docker has them.

use gantry_cache::{Pin, PruneOptions, StoreError};
use gantry_image::{Digest, Reference};

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

#[test]
fn images_for_other_platforms_stay_with_a_name_and_no_longer() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let images = store.images();
    let (below, lost) = (layer(store, &[("f", "other")]), Digest::of(b"lost"));
    let (one, other) = (image(store, "1", &[]), image(store, "2", &[below]));
    images.tag(&name("app"), &one).unwrap();
    images.set_siblings(&one, &[one, other]).unwrap();
    let error = images.set_siblings(&one, &[lost]).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchImage { .. }), "{error}");
    let there = |id: &Digest| images.get(id).unwrap();
    assert_eq!(there(&other).unwrap().within, Some(one));
    assert_eq!(there(&one).unwrap().within, None, "it stays for its own name");
    let listed = images.list().unwrap();
    assert!(listed.iter().all(|image| Some(image) == there(&image.id).as_ref()));
    let fixture = fixture.reopened();
    let images = fixture.store.images();
    fixture.store.prune(&PruneOptions { all: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(images.get(&other).unwrap().unwrap().layers, [below]);
    assert!(fixture.store.layers().get(&below).unwrap().is_some());
    // By force it loses its own name, and stays.
    images.tag(&name("own"), &other).unwrap();
    let error = images.remove(&other.to_string(), false).unwrap_err();
    assert!(matches!(error, StoreError::ImageUsed { .. }), "{error}");
    assert_eq!(images.remove(&other.to_string(), true).unwrap().deleted, None);
    assert_eq!(images.remove("app", false).unwrap().deleted, Some(one));
    assert!(images.get(&other).unwrap().unwrap().is_dangling());
    fixture.store.prune(&PruneOptions::default()).unwrap();
    assert_eq!(images.get(&other).unwrap(), None);
}
