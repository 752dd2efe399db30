//! Servers that are slow, busy, broken or hostile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_image::Digest;
use gantry_image::registry::credentials::{Credential, Fixed, Secret};
use gantry_image::registry::{Client, Proxies, RegistryError, Settings, Target};

use super::fake::{Answer, Asked, Fake};
use super::{described, noise, quick, repository, runtime};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn login(host: &str) -> Settings {
    let credential =
        Credential::Password { username: "me".into(), password: Secret::new("hunter2") };
    let fixed = Fixed { registry: host.to_owned(), credential };
    Settings { credentials: Arc::new(fixed), ..quick() }
}

/// A part of `all`, as `Range` asks for it.
fn ranged(asked: &Asked, all: &[u8]) -> Answer {
    let from = asked
        .header("range")
        .and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse::<usize>().ok());
    match from {
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", all.len() - 1, all.len());
            Answer::new(206).header("content-range", range).body(&all[from..])
        }
        None => Answer::new(200).body(all),
    }
}

#[test]
fn a_blob_that_is_cut_goes_on_where_it_was_cut() {
    let layer = noise(1 << 20, 3);
    let all = layer.clone();
    let cuts = AtomicUsize::new(0);
    let fake = Fake::start(move |asked| {
        let mut answer = ranged(asked, &all);
        if cuts.fetch_add(1, Ordering::SeqCst) < 3 {
            answer.cut = Some(200_000);
        }
        answer
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        assert_eq!(repo.blob_bytes(&described(&layer), 1 << 30).await.unwrap(), layer);
    });
    let ranges: Vec<Option<String>> =
        fake.asked().iter().map(|asked| asked.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges.len(), 4, "{ranges:?}");
    assert_eq!(ranges[0], None);
    assert!(ranges[1..].iter().all(Option::is_some), "{ranges:?}");
}

#[test]
fn corrupt_and_short_blobs_are_refused() {
    let layer = noise(100_000, 4);
    let mut corrupt = layer.clone();
    corrupt[50_000] ^= 1;
    let short = layer[..50_000].to_vec();
    let long = [&layer[..], b"more"].concat();
    for bytes in [corrupt, short, long] {
        let fake = Fake::start(move |asked| ranged(asked, &bytes));
        runtime().block_on(async {
            let repo = repository(&Client::new(quick()), &fake.host(), "a");
            let error = repo.blob_bytes(&described(&layer), 1 << 30).await.unwrap_err();
            let told = matches!(
                error,
                RegistryError::Corrupt { .. }
                    | RegistryError::Refused { .. }
                    | RegistryError::Broken { .. }
            );
            assert!(told, "{error:?}");
        });
    }
}

#[test]
fn a_busy_registry_is_asked_again_as_it_says() {
    for status in [429, 503] {
        let count = AtomicUsize::new(0);
        let fake = Fake::start(move |_| match count.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Answer::new(status).header("retry-after", "0"),
            _ => Answer::new(200).header("content-type", MANIFEST).body("{}"),
        });
        runtime().block_on(async {
            let repo = repository(&Client::new(quick()), &fake.host(), "a");
            let manifest = repo.manifest(&Target::Tag("1".into())).await.unwrap();
            assert_eq!(*manifest.bytes, *b"{}");
        });
        assert_eq!(fake.asked().len(), 3);
    }
}

#[test]
fn a_registry_that_stays_busy_is_given_up() {
    let fake = Fake::start(|_| Answer::new(429).header("retry-after", "86400"));
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Busy { status: 429, .. }), "{error:?}");
    });
    assert_eq!(fake.asked().len(), 1, "it asked for a day");
}

#[test]
fn credentials_stay_with_their_host_where_a_blob_is_elsewhere() {
    let layer = noise(1000, 5);
    let bytes = layer.clone();
    let elsewhere = Fake::start(move |_| Answer::new(200).body(&*bytes));
    let to = format!("http://{}/blob?signature=s3cret", elsewhere.host());
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        None => Answer::new(401).header("www-authenticate", "Basic realm=\"here\""),
        Some(_) => Answer::new(307).header("location", to.clone()),
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(login(&fake.host())), &fake.host(), "a");
        assert_eq!(repo.blob_bytes(&described(&layer), 1 << 20).await.unwrap(), layer);
    });
    assert!(fake.asked().iter().any(|asked| asked.header("authorization").is_some()));
    let there = elsewhere.asked();
    assert!(!there.is_empty());
    assert!(there.iter().all(|asked| asked.header("authorization").is_none()), "{there:?}");
}

#[test]
fn credentials_stay_with_their_host_where_an_upload_goes_elsewhere() {
    let elsewhere = Fake::start(|_| Answer::new(201));
    let to = format!("http://{}/upload", elsewhere.host());
    let fake = Fake::start(move |asked| match (asked.header("authorization"), &*asked.method) {
        (None, _) => Answer::new(401).header("www-authenticate", "Basic realm=\"here\""),
        (_, "POST") => Answer::new(202).header("location", to.clone()),
        _ => Answer::new(404),
    });
    let layer = noise(1000, 6);
    runtime().block_on(async {
        let repo = repository(&Client::new(login(&fake.host())), &fake.host(), "a");
        // Whether it goes there or is refused: the password stays here.
        drop(repo.push_blob(&described(&layer), Arc::new(layer.clone()), None).await);
    });
    let there = elsewhere.asked();
    assert!(there.iter().all(|asked| asked.header("authorization").is_none()), "{there:?}");
}

#[test]
fn tokens_are_fetched_once_for_a_scope_and_sent() {
    let tokens = Fake::start(|_| Answer::new(200).body(r#"{"token":"t0ken","expires_in":300}"#));
    let realm = format!("http://{}/token", tokens.host());
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        Some("Bearer t0ken") => Answer::new(200).header("content-type", MANIFEST).body("{}"),
        _ => Answer::new(401).header(
            "www-authenticate",
            format!("Bearer realm=\"{realm}\",service=\"s\",scope=\"repository:a/b:pull\""),
        ),
    });
    runtime().block_on(async {
        let client = Client::new(login(&fake.host()));
        let repo = repository(&client, &fake.host(), "a/b");
        for tag in ["1", "2", "3"] {
            repo.manifest(&Target::Tag(tag.into())).await.unwrap();
        }
    });
    let asked = tokens.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].path.contains("service=s"), "{asked:?}");
    assert!(asked[0].path.contains("scope=repository%3Aa%2Fb%3Apull"), "{asked:?}");
    assert!(asked[0].header("authorization").is_some_and(|it| it.starts_with("Basic ")));
}

#[test]
fn a_manifest_that_is_not_what_was_asked_for_is_refused() {
    let fake = Fake::start(|_| Answer::new(200).header("content-type", MANIFEST).body("{ }"));
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let error = repo.manifest(&Target::Digest(Digest::of(b"{}"))).await.unwrap_err();
        assert!(matches!(error, RegistryError::Corrupt { .. }), "{error:?}");
    });
}

#[test]
fn a_manifest_without_end_is_refused() {
    let fake = Fake::start(|_| {
        Answer::new(200).header("content-type", MANIFEST).body(vec![b' '; 64 << 20])
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Refused { .. }), "{error:?}");
    });
}

#[test]
fn links_and_redirects_that_lead_nowhere_end() {
    let fake = Fake::start(|asked| {
        let again = format!("<{}>; rel=\"next\"", asked.path);
        match asked.path.contains("tags") {
            true => Answer::new(200).header("link", again).body(r#"{"name":"a","tags":["1"]}"#),
            false => Answer::new(307).header("location", asked.path.clone()),
        }
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        repo.tags().await.unwrap_err();
        repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
    });
}

#[test]
fn a_proxy_is_asked_for_what_is_not_excepted() {
    let proxy = Fake::start(|_| Answer::new(200).header("content-type", MANIFEST).body("{}"));
    let fetch = |host: &str, none: &str| {
        let http = Some(format!("http://me:secret@{}", proxy.host()));
        let proxies = Proxies { http, none: Some(none.to_owned()), ..Proxies::default() };
        let mut settings = Settings { proxies, ..quick() };
        let plain = gantry_image::registry::HostSettings {
            security: gantry_image::registry::Security::Plain,
            ..Default::default()
        };
        settings.hosts.set.insert(host.to_owned(), plain);
        let fetched = runtime().block_on(async {
            let repo = repository(&Client::new(settings), host, "a");
            repo.manifest(&Target::Tag("1".into())).await
        });
        (fetched.is_ok(), proxy.asked())
    };
    for none in ["", "other.invalid,registry.invalid:5001", ".registry.invalid", "10.0.0.0/8"] {
        let (fetched, asked) = fetch("registry.invalid:5000", none);
        assert!(fetched, "{none}");
        let asked = asked.last().unwrap();
        assert_eq!(asked.path, "http://registry.invalid:5000/v2/a/manifests/1", "{none}");
        assert_eq!(asked.header("proxy-authorization"), Some("Basic bWU6c2VjcmV0"), "{none}");
    }
    let before = proxy.asked().len();
    // There is nobody of that name, so nobody is reached.
    for none in ["registry.invalid:5000", "x, .invalid", "*.invalid", "*"] {
        let (fetched, asked) = fetch("registry.invalid:5000", none);
        assert_eq!((fetched, asked.len()), (false, before), "{none}");
    }
}
