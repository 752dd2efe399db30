//! The distribution specification, question by question: what is asked for, with which headers, and
//! what is made of each answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantry_image::registry::{Client, Pushed, RegistryError, Retry, Settings, Target};
use gantry_image::{Descriptor, Digest, ImageManifest, MediaType, Raw};

use super::fake::{Answer, Asked, Fake};
use super::{described, noise, quick, repository, runtime};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Settings under which nothing is asked twice.
fn once() -> Settings {
    Settings { retry: Retry { tries: 1, ..quick().retry }, ..quick() }
}

/// Without what only finds out whether there is TLS.
fn asked(fake: &Fake) -> Vec<Asked> {
    let mut all = fake.asked();
    all.retain(|asked| asked.path != "/v2/" && asked.path != "/");
    all
}

#[test]
fn e_12_the_first_question() {
    let open = Fake::start(|_| Answer::new(200).body("{}"));
    let guarded = Fake::start(|_| {
        Answer::new(401).header("www-authenticate", "Basic realm=\"here\"").body("{}")
    });
    runtime().block_on(async {
        Client::new(once()).ping(&open.host()).await.unwrap();
        let error = Client::new(once()).ping(&guarded.host()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
    });
    assert!(open.asked().iter().any(|asked| asked.method == "GET" && asked.path == "/v2/"));
}

#[test]
fn e_13_every_type_of_manifest_is_accepted() {
    let fake = Fake::start(|_| {
        let digest = Digest::of(b"{}").to_string();
        let answer = Answer::new(200).header("content-type", MANIFEST);
        answer.header("docker-content-digest", digest).body("{}")
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a/b");
        for target in [Target::Tag("1".into()), Target::Digest(Digest::of(b"{}"))] {
            repo.manifest(&target).await.unwrap();
            repo.resolve(&target).await.unwrap();
        }
    });
    let asked = asked(&fake);
    let by_digest = format!("/v2/a/b/manifests/{}", Digest::of(b"{}"));
    let questions: Vec<_> = asked.iter().map(|it| (&*it.method, &*it.path)).collect();
    let by_tag = "/v2/a/b/manifests/1";
    let all = [("GET", by_tag), ("HEAD", by_tag), ("GET", &*by_digest), ("HEAD", &*by_digest)];
    assert_eq!(questions, all);
    for one in &asked {
        let accepted: Vec<_> =
            one.headers.iter().filter(|(name, _)| name == "accept").map(|(_, it)| &**it).collect();
        let accepted = accepted.join(", ");
        for kind in [
            "application/vnd.oci.image.index.v1+json",
            MANIFEST,
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.distribution.manifest.v2+json",
        ] {
            assert!(accepted.split(", ").any(|it| it == kind), "{kind} is not in {accepted}");
        }
    }
}

/// A registry that will not lend the blob has begun an upload instead, and that one is used.
#[test]
fn e_14_a_mount_that_is_refused_is_an_upload() {
    let fake = Fake::start(|asked| match &*asked.method {
        "HEAD" => Answer::new(404),
        "POST" => Answer::new(202).header("location", "/up?begun=1"),
        _ => Answer::new(201),
    });
    let layer = noise(1000, 1);
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "to");
        let source = Arc::new(layer.clone());
        let pushed = repo.push_blob(&described(&layer), source, Some("from")).await.unwrap();
        assert_eq!(pushed, Pushed::Uploaded);
    });
    let asked = asked(&fake);
    let digest = Digest::of(&layer).to_string().replace(':', "%3A");
    let questions: Vec<_> = asked.iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    let wanted = [
        format!("HEAD /v2/to/blobs/{}", Digest::of(&layer)),
        format!("POST /v2/to/blobs/uploads/?mount={digest}&from=from"),
        format!("PUT /up?begun=1&digest={digest}"),
    ];
    assert_eq!(questions, wanted);
    assert_eq!(asked[2].header("content-type"), Some("application/octet-stream"));
}

/// All tags in one request; one by one where the registry does not say that it set them.
#[test]
fn e_14_several_tags_go_in_one_request() {
    for (set, more) in [(Some("1, 2"), &[][..]), (Some("1"), &["2"]), (None, &["1", "2"])] {
        let fake = Fake::start(move |asked| match set {
            Some(set) if asked.path.contains("tag=") => Answer::new(201).header("oci-tag", set),
            _ => Answer::new(201),
        });
        runtime().block_on(async {
            let repo = repository(&Client::new(quick()), &fake.host(), "a");
            repo.push_manifest(&MediaType::OciManifest, b"{}", &["1", "2"]).await.unwrap();
        });
        let asked = asked(&fake);
        let first = format!("/v2/a/manifests/{}?tag=1&tag=2", Digest::of(b"{}"));
        let mut wanted = vec![first];
        wanted.extend(more.iter().map(|tag| format!("/v2/a/manifests/{tag}")));
        assert_eq!(asked.iter().map(|it| it.path.clone()).collect::<Vec<_>>(), wanted);
        assert!(asked.iter().all(|it| it.method == "PUT"));
        assert!(asked.iter().all(|it| it.header("content-type") == Some(MANIFEST)));
    }
}

#[test]
fn e_15_tags_come_page_by_page() {
    let fake = Fake::start(|asked| {
        let (last, tags) = match asked.path.split("last=").nth(1) {
            None => (Some("b"), r#"{"name":"a","tags":["a","b"]}"#),
            Some("b") => (Some("d"), r#"{"name":"a","tags":["c","d"]}"#),
            Some(_) => (None, r#"{"name":"a","tags":null}"#),
        };
        let answer = Answer::new(200).body(tags);
        match last {
            Some(last) => {
                answer.header("link", format!("</v2/a/tags/list?n=2&last={last}>; rel=\"next\""))
            }
            None => answer,
        }
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        assert_eq!(repo.tags().await.unwrap(), ["a", "b", "c", "d"]);
    });
    let asked = asked(&fake);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[0].path.starts_with("/v2/a/tags/list?n="), "{asked:?}");
}

/// A registry that keeps the list of referrers is asked for it, and none is kept beside it.
#[test]
fn e_16_the_registrys_own_list_of_referrers() {
    let entry = |kind: &str, digit: &str| {
        format!(
            r#"{{"mediaType":"{MANIFEST}","digest":"sha256:{}","size":2,"artifactType":"{kind}"}}"#,
            digit.repeat(64)
        )
    };
    // It is free to leave the filter to whoever asks.
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{}]}}"#,
        entry("application/x-a", "a"),
        entry("application/x-b", "b")
    );
    let fake = Fake::start(move |asked| match &*asked.method {
        "PUT" => Answer::new(201).header("oci-subject", Digest::of(b"{}").to_string()),
        _ => Answer::new(200).body(&*list),
    });
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &fake.host(), "a");
        let found = repo.referrers(Digest::of(b"{}"), Some("application/x-b")).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].artifact_type.as_deref(), Some("application/x-b"));
        let config = Descriptor::new(MediaType::OciConfig, Digest::of(b"{}"), 2);
        let mut manifest = ImageManifest::new(config, Vec::new(), false);
        manifest.subject = Some(Descriptor::new(MediaType::OciManifest, Digest::of(b"{}"), 2));
        let raw = Raw::write(manifest);
        repo.push_manifest(&MediaType::OciManifest, raw.bytes(), &["1"]).await.unwrap();
    });
    let paths: Vec<_> = asked(&fake).into_iter().map(|asked| asked.path).collect();
    let list = format!("/v2/a/referrers/{}?artifactType=application%2Fx-b", Digest::of(b"{}"));
    assert_eq!(paths, [list.as_str(), "/v2/a/manifests/1"]);
}

/// The fourteen codes of the specification, each with its message.
#[test]
fn e_18_every_code_is_shown_with_its_message() {
    let codes = [
        (404, "BLOB_UNKNOWN"),
        (400, "BLOB_UPLOAD_INVALID"),
        (404, "BLOB_UPLOAD_UNKNOWN"),
        (400, "DIGEST_INVALID"),
        (404, "MANIFEST_BLOB_UNKNOWN"),
        (400, "MANIFEST_INVALID"),
        (404, "MANIFEST_UNKNOWN"),
        (400, "NAME_INVALID"),
        (404, "NAME_UNKNOWN"),
        (400, "SIZE_INVALID"),
        (401, "UNAUTHORIZED"),
        (403, "DENIED"),
        (405, "UNSUPPORTED"),
        (429, "TOOMANYREQUESTS"),
    ];
    for (status, code) in codes {
        let body = format!(
            r#"{{"errors":[{{"code":"{code}","message":"of {code}","detail":{{"a":1}}}},{{"code":"OTHER"}}]}}"#
        );
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let fake = Fake::start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Answer::new(status).body(&*body)
        });
        runtime().block_on(async {
            let repo = repository(&Client::new(once()), &fake.host(), "team/a");
            let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err().to_string();
            assert!(error.ends_with(&format!(": {code}: of {code}, OTHER")), "{error}");
            let named = if status == 429 { fake.host() } else { "team/a".to_owned() };
            assert!(error.contains(&named), "{error}");
            if matches!(status, 401 | 403) {
                let wanted = format!("denies access to `{}/team/a:1` without a login", fake.host());
                assert!(error.contains(&wanted), "{error}");
            }
        });
        assert!(count.load(Ordering::SeqCst) <= 2, "{code}");
    }
}
