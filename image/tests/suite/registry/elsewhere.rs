//! Mirrors, foreign layers, referrers, tokens: whatever needs more than one server or question.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantry_image::registry::credentials::{Credential, Fixed, Found, Secret};
use gantry_image::registry::{
    Client, Event, HostSettings, Observer, RegistryError, Settings, Target,
};
use gantry_image::{Descriptor, Digest, ImageManifest, MediaType, Raw};

use super::fake::{Answer, Fake};
use super::server::Registry;
use super::{described, noise, pull_image, push_image, quick, repository, runtime};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Default)]
struct Watch(Mutex<Vec<Event>>);

impl Observer for Watch {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

/// Settings with a mirror before a registry.
fn mirrored(registry: &str, mirror: String, watch: Arc<Watch>) -> Settings {
    let mut settings = Settings { observer: watch, ..quick() };
    let host = HostSettings { mirrors: vec![mirror], ..HostSettings::default() };
    settings.hosts.set.insert(registry.to_owned(), host);
    settings
}

#[test]
fn a_mirror_is_asked_first_and_the_registry_when_it_fails() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    let Some(mirror) = Registry::start(|_| String::new()) else { return };
    let (here, there) = (noise(50_000, 1), noise(50_000, 2));
    runtime().block_on(async {
        let plain = Client::new(quick());
        push_image(&repository(&plain, &registry.host(), "a"), &here, &["both", "one"]).await;
        push_image(&repository(&plain, &mirror.host(), "p/a"), &there, &["both"]).await;
        let watch = Arc::new(Watch::default());
        let mirror = format!("{}/p", mirror.host());
        let client = Client::new(mirrored(&registry.host(), mirror, watch.clone()));
        let repo = repository(&client, &registry.host(), "a");
        assert!(pull_image(&repo, "both").await.1 == there);
        assert!(pull_image(&repo, "one").await.1 == here);
        let failed = |event: &Event| matches!(event, Event::MirrorFailed { .. });
        assert!(watch.0.lock().unwrap().iter().any(failed));
    });
}

#[test]
fn a_mirror_that_lies_is_not_asked_again_for_the_same_blob() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    let layer = noise(50_000, 3);
    let mut wrong = layer.clone();
    wrong[7] ^= 1;
    let mirror = Fake::start(move |_| Answer::new(200).body(&*wrong));
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &registry.host(), "a");
        push_image(&repo, &layer, &["1"]).await;
        let client = Client::new(mirrored(&registry.host(), mirror.host(), Arc::default()));
        let repo = repository(&client, &registry.host(), "a");
        let error = repo.blob_bytes(&described(&layer), 1 << 20).await.unwrap_err();
        assert!(matches!(error, RegistryError::Corrupt { .. }), "{error:?}");
        assert!(repo.blob_bytes(&described(&layer), 1 << 20).await.unwrap() == layer);
    });
}

#[test]
fn a_foreign_layer_comes_from_its_address_without_credentials() {
    let layer = noise(1000, 4);
    let bytes = layer.clone();
    let elsewhere = Fake::start(move |asked| match asked.header("authorization") {
        None => Answer::new(200).body(&*bytes),
        Some(_) => Answer::new(400),
    });
    let fake = Fake::start(|_| Answer::new(404));
    let asks = Fake::start(|_| {
        Answer::new(401).header("www-authenticate", "Basic realm=\"give me yours\"")
    });
    runtime().block_on(async {
        let credential =
            Credential::Password { username: "me".into(), password: Secret::new("hunter2") };
        let fixed = Fixed { registry: fake.host(), credential };
        let client = Client::new(Settings { credentials: Arc::new(fixed), ..quick() });
        let repo = repository(&client, &fake.host(), "a");
        let mut descriptor =
            Descriptor::new(MediaType::DockerForeignLayerGzip, Digest::of(&layer), 1000);
        descriptor.urls = vec![
            "http://169.254.169.254/latest".into(),
            format!("http://{}/asks", asks.host()),
            format!("http://{}/layer", elsewhere.host()),
        ];
        assert_eq!(repo.blob_bytes(&descriptor, 1 << 20).await.unwrap(), layer);
        // An ordinary layer's addresses don't count.
        descriptor.media_type = MediaType::OciLayerGzip;
        repo.blob_bytes(&descriptor, 1 << 20).await.unwrap_err();
    });
    assert!(!asks.asked().is_empty());
    assert!(asks.asked().iter().all(|asked| asked.header("authorization").is_none()));
    assert_eq!(elsewhere.asked().len(), 1);
}

#[test]
fn what_refers_to_an_image_is_found_where_the_registry_keeps_no_list() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &registry.host(), "a");
        let image = push_image(&repo, &noise(1000, 5), &["1"]).await;
        assert_eq!(repo.referrers(image, None).await.unwrap(), []);
        let subject = repo.resolve(&Target::Digest(image)).await.unwrap();
        let mut pushed = Vec::new();
        for kind in ["application/x-a", "application/x-b"] {
            let config = Descriptor::new(MediaType::OciConfig, Digest::of(b"{}"), 2);
            let mut manifest = ImageManifest::new(config, Vec::new(), false);
            manifest.artifact_type = Some(kind.to_owned());
            manifest.subject = Some(subject.clone());
            manifest.annotations.insert("k".into(), kind.into());
            let raw = Raw::write(manifest);
            for _ in 0..2 {
                repo.push_manifest(&MediaType::OciManifest, raw.bytes(), &[]).await.unwrap();
            }
            pushed.push(raw.digest());
        }
        let found = repo.referrers(image, None).await.unwrap();
        assert_eq!(found.iter().map(|it| it.digest).collect::<Vec<_>>(), pushed);
        let found = repo.referrers(image, Some("application/x-b")).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].digest, &*found[0].annotations["k"]), (pushed[1], "application/x-b"));
    });
}

/// A registry that wants tokens, and its token server.
fn with_tokens(answer: &'static str) -> (Fake, Fake) {
    let tokens = Fake::start(move |_| Answer::new(200).body(answer));
    let realm = format!("http://{}/token", tokens.host());
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        Some("Bearer t0ken") => match &*asked.method {
            "HEAD" => Answer::new(404),
            "POST" => Answer::new(201),
            _ => Answer::new(200).header("content-type", MANIFEST).body("{}"),
        },
        _ => Answer::new(401)
            .header("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s\"")),
    });
    (fake, tokens)
}

#[test]
fn an_identity_token_is_posted_and_a_login_gets_one() {
    let (fake, tokens) = with_tokens(r#"{"access_token":"t0ken","refresh_token":"again"}"#);
    runtime().block_on(async {
        let credential =
            Credential::Password { username: "me".into(), password: Secret::new("hunter2") };
        let kept = Client::new(quick()).login(&fake.host(), credential).await.unwrap();
        assert_eq!(kept, Credential::Identity(Secret::new("again")));
        let asked = tokens.asked();
        assert!(asked[0].path.contains("offline_token=true"), "{asked:?}");
        let fixed = Fixed { registry: fake.host(), credential: kept };
        let client = Client::new(Settings { credentials: Arc::new(fixed), ..quick() });
        let repo = repository(&client, &fake.host(), "a");
        repo.manifest(&Target::Tag("1".into())).await.unwrap();
    });
    let asked = tokens.asked();
    let last = asked.last().unwrap();
    assert_eq!((&*last.method, last.header("authorization")), ("POST", None));
    assert!(!last.path.contains("again"), "a secret in an address: {}", last.path);
}

#[test]
fn a_mount_asks_for_both_repositories_in_one_token() {
    let (fake, tokens) = with_tokens(r#"{"token":"t0ken"}"#);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "to");
        assert!(repo.mount_blob(Digest::of(b"x"), "from").await.unwrap());
    });
    let path = &tokens.asked()[0].path;
    assert!(path.contains("scope=repository%3Afrom%3Apull&"), "{path}");
    assert!(path.contains("scope=repository%3Ato%3Apull%2Cpush"), "{path}");
}

#[test]
fn many_at_once_fetch_one_token() {
    let (fake, tokens) = with_tokens(r#"{"token":"t0ken","expires_in":300}"#);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let repo = repo.clone();
                tokio::spawn(async move { repo.manifest(&Target::Tag("1".into())).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
    assert_eq!(tokens.asked().len(), 1);
}

#[test]
fn what_a_registry_says_shows_no_secret() {
    let encoded = "bWU6aHVudGVyMg=="; // me:hunter2
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        None => Answer::new(401).header("www-authenticate", "Basic realm=\"x\""),
        Some(proof) => Answer::new(403).body(format!(
            r#"{{"errors":[{{"code":"DENIED","message":"no \u001b[31m{proof} of hunter2"}}]}}"#
        )),
    });
    runtime().block_on(async {
        let credential =
            Credential::Password { username: "me".into(), password: Secret::new("hunter2") };
        let found = Found { credential: credential.clone(), origin: "x".into() };
        let fixed = Fixed { registry: fake.host(), credential };
        let client = Client::new(Settings { credentials: Arc::new(fixed), ..quick() });
        let repo = repository(&client, &fake.host(), "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        let text = format!("{error} {error:?} {client:?} {found:?}");
        assert!(error.to_string().contains("DENIED: no [31mBasic *** of ***"), "{error}");
        assert!(!text.contains("hunter2") && !text.contains(encoded), "{text}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    });
}

#[test]
fn a_token_server_without_tls_gets_no_password_of_a_registry_with_it() {
    // Link-local addresses are no token servers either.
    for realm in ["http://169.254.169.254/token", "ftp://127.0.0.1/", "http://me:pw@127.0.0.1/", ""]
    {
        let fake = Fake::start(move |_| {
            Answer::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\""))
        });
        runtime().block_on(async {
            let repo = repository(&Client::new(quick()), &fake.host(), "a");
            let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
            assert!(matches!(error, RegistryError::Refused { .. }), "{realm}: {error:?}");
        });
    }
}

#[test]
fn a_registry_that_falls_silent_is_told_after_the_silence() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let mut settings = quick();
    settings.silence = Duration::from_millis(200);
    settings.retry.tries = 1;
    let security = gantry_image::registry::Security::Plain;
    settings.hosts.set.insert(host.clone(), HostSettings { security, ..HostSettings::default() });
    runtime().block_on(async {
        let begun = std::time::Instant::now();
        let repo = repository(&Client::new(settings), &host, "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Silent { .. }), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_thread_that_blocks_reads_a_blob_and_is_told_if_it_is_wrong() {
    let layer = noise(300_000, 6);
    let bytes = layer.clone();
    let fake = Fake::start(move |_| Answer::new(200).body(&*bytes));
    let runtime = runtime();
    let repo = repository(&Client::new(quick()), &fake.host(), "a");
    let open = |descriptor: Descriptor| {
        runtime.block_on(repo.blob(&descriptor)).map(|it| it.into_reader(runtime.handle().clone()))
    };
    let mut read = Vec::new();
    open(described(&layer)).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == layer);
    let other = Descriptor { digest: Digest::of(b""), ..described(&layer) };
    let error = open(other).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<RegistryError>());
    assert!(matches!(inner, Some(RegistryError::Corrupt { .. })), "{error:?}");
}

#[test]
fn two_things_at_once_are_no_manifest() {
    for (content_type, body) in [
        (MANIFEST, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#),
        (MANIFEST, r#"{"schemaVersion":2,"manifests":[]}"#),
        (MANIFEST, r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}"#),
        (MANIFEST, r#"{"schemaVersion":1}"#),
        ("application/json", "{}"),
        (MANIFEST, "<html>"),
    ] {
        let fake =
            Fake::start(move |_| Answer::new(200).header("content-type", content_type).body(body));
        runtime().block_on(async {
            let repo = repository(&Client::new(quick()), &fake.host(), "a");
            let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
            assert!(matches!(error, RegistryError::Refused { .. }), "{body}: {error:?}");
        });
    }
}
