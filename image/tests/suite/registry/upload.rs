//! Blobs on their way up: in pieces, over a wire that breaks, to registries with limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_image::registry::{Client, Pushed, RegistryError, Retry, Settings};

use super::cutter::Cutter;
use super::fake::{Answer, Fake};
use super::server::Registry;
use super::{described, noise, pull_image, push_image, quick, repository, runtime};

#[test]
fn a_blob_goes_up_and_down_over_a_wire_that_breaks() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    for (chunk, seed) in [(None, 1), (Some(300 << 10), 2), (Some(2 << 20), 3)] {
        // Debian's registry forgets an upload that was cut within a piece, so it begins anew: a wire
        // that never holds for long enough would never do.
        let wire = Cutter::start(registry.host(), 700 << 10, 3);
        let layer = noise(3 << 20, seed);
        let settings = Settings { chunk, ..quick() };
        runtime().block_on(async {
            let repo = repository(&Client::new(settings), &wire.host(), "a");
            let digest = push_image(&repo, &layer, &["1"]).await;
            assert_eq!(wire.cuts(), 3, "{chunk:?}");
            let wire = Cutter::start(registry.host(), 700 << 10, usize::MAX);
            let repo = repository(&Client::new(quick()), &wire.host(), "a");
            let (manifest, pulled) = pull_image(&repo, "1").await;
            assert_eq!(manifest.descriptor.digest, digest);
            assert!(pulled == layer, "{chunk:?}");
            assert!(wire.cuts() > 3, "it broke {} times", wire.cuts());
        });
    }
}

#[test]
fn a_broken_upload_goes_on_where_the_registry_says_that_it_is() {
    let fake = Fake::start(|asked| match (&*asked.method, asked.header("content-length")) {
        ("HEAD", _) => Answer::new(404),
        ("POST", _) => Answer::new(202).header("location", "/up"),
        ("PUT", Some("100000")) => Answer::new(502),
        ("GET", _) => Answer::new(204).header("range", "0-49999").header("location", "/up?2"),
        ("PATCH", Some("50000")) => Answer::new(202).header("range", "0-99999"),
        ("PUT", Some("0")) => Answer::new(201),
        _ => Answer::new(400),
    });
    let layer = noise(100_000, 9);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await.unwrap();
    });
    let asked = fake.asked();
    let patch = asked.iter().find(|asked| asked.method == "PATCH").unwrap();
    let range = patch.header("content-range");
    assert_eq!((&*patch.path, range), ("/up?2", Some("50000-99999")));
}

#[test]
fn pieces_are_as_large_as_the_registry_wants_them() {
    let fake = Fake::start(|asked| match &*asked.method {
        "HEAD" => Answer::new(404),
        "POST" => {
            Answer::new(202).header("location", "/up?1").header("oci-chunk-min-length", "40000")
        }
        "PATCH" => {
            let range = asked.header("content-range").unwrap_or_default();
            let end = range.split('-').nth(1).unwrap_or_default();
            Answer::new(202).header("location", "/up?2").header("range", format!("0-{end}"))
        }
        _ => Answer::new(201),
    });
    let layer = noise(100_000, 4);
    runtime().block_on(async {
        let settings = Settings { chunk: Some(1000), ..quick() };
        let repo = repository(&Client::new(settings), &fake.host(), "a");
        let pushed = repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await;
        assert_eq!(pushed.unwrap(), Pushed::Uploaded);
    });
    let asked = fake.asked();
    let ranges: Vec<_> = asked.iter().filter_map(|asked| asked.header("content-range")).collect();
    assert_eq!(ranges, ["0-39999", "40000-79999", "80000-99999"]);
    let last = asked.last().unwrap();
    assert_eq!((&*last.method, last.header("content-length")), ("PUT", Some("0")));
    assert!(last.path.starts_with("/up?2&digest=sha256"), "{}", last.path);
}

#[test]
fn a_blob_too_large_for_one_request_goes_in_pieces() {
    let fake = Fake::start(|asked| {
        let length = asked.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        match &*asked.method {
            "HEAD" => Answer::new(404),
            "POST" => Answer::new(202).header("location", "/up"),
            "PUT" if length > 0 => Answer::new(413),
            "PATCH" => Answer::new(202),
            _ => Answer::new(201),
        }
    });
    let layer = noise(33 << 20, 5);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await.unwrap();
    });
    let methods: Vec<_> = fake.asked().into_iter().map(|asked| asked.method).collect();
    // The first HEAD asks whether there is TLS, or is the one for the blob.
    let tail = &methods[methods.len() - 6..];
    assert_eq!(tail, ["POST", "PUT", "POST", "PATCH", "PATCH", "PUT"], "{methods:?}");
}

#[test]
fn a_registry_that_moves_the_end_is_asked_where_it_is() {
    let asked_where = Arc::new(AtomicUsize::new(0));
    let count = asked_where.clone();
    let fake = Fake::start(move |asked| match &*asked.method {
        "HEAD" => Answer::new(404),
        "POST" => Answer::new(202).header("location", "/up"),
        // Of the first piece it lost a half.
        "PATCH" => match asked.header("content-range").unwrap_or_default() {
            "0-59999" => Answer::new(416),
            "30000-89999" => Answer::new(202).header("range", "0-89999"),
            "90000-99999" => Answer::new(202).header("range", "0-99999"),
            _ => Answer::new(400),
        },
        "GET" => {
            count.fetch_add(1, Ordering::SeqCst);
            Answer::new(204).header("range", "0-29999").header("location", "/up")
        }
        _ => Answer::new(201),
    });
    let layer = noise(100_000, 6);
    runtime().block_on(async {
        let settings = Settings { chunk: Some(60_000), ..quick() };
        let repo = repository(&Client::new(settings), &fake.host(), "a");
        repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await.unwrap();
    });
    assert_eq!(asked_where.load(Ordering::SeqCst), 1);
}

#[test]
fn an_upload_that_never_ends_well_ends() {
    let fake = Fake::start(|asked| match &*asked.method {
        "HEAD" => Answer::new(404),
        "POST" => Answer::new(202).header("location", "/up"),
        // Takes everything and claims to have nothing, again and again.
        "PATCH" => Answer::new(202).header("range", "0-0"),
        "GET" => Answer::new(204).header("range", "0-0"),
        _ => Answer::new(500),
    });
    let layer = noise(100_000, 7);
    let retry = Retry { tries: 3, ..quick().retry };
    runtime().block_on(async {
        for chunk in [None, Some(10_000)] {
            let settings = Settings { chunk, retry: retry.clone(), ..quick() };
            let repo = repository(&Client::new(settings), &fake.host(), "a");
            repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await.unwrap_err();
        }
    });
    assert!(fake.asked().len() < 60, "{} requests", fake.asked().len());
}

#[test]
fn a_source_that_cannot_be_read_is_named() {
    let fake = Fake::start(|asked| match &*asked.method {
        "HEAD" => Answer::new(404),
        "POST" => Answer::new(202).header("location", "/up"),
        _ => Answer::new(201),
    });
    let layer = noise(1000, 8);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let absent = std::path::PathBuf::from("/nowhere/blob");
        let error = repo.push_blob(&described(&layer), Arc::new(absent), None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Source { .. }), "{error:?}");
        // One that ends early isn't sent as if it were whole.
        let short = Arc::new(layer[..10].to_vec());
        let error = repo.push_blob(&described(&layer), short, None).await.unwrap_err();
        assert!(matches!(error, RegistryError::Source { .. }), "{error:?}");
    });
}
