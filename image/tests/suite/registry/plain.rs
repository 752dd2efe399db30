//! What a registry is for: there and back, without TLS and without a login.

use std::sync::Arc;

use gantry_image::registry::{Client, Deleted, Pushed, RegistryError, Target};
use gantry_image::{Digest, MediaType};

use super::server::Registry;
use super::{described, noise, pull_image, push_image, quick, repository, runtime};

#[test]
fn an_image_comes_back_as_it_was_pushed() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    runtime().block_on(async {
        let client = Client::new(quick());
        client.ping(&registry.host()).await.unwrap();
        let repo = repository(&client, &registry.host(), "a/b");
        let layer = noise(3 << 20, 1);
        let digest = push_image(&repo, &layer, &["1", "2"]).await;
        let (manifest, pulled) = pull_image(&repo, "2").await;
        assert_eq!((manifest.descriptor.digest, pulled), (digest, layer.clone()));
        let resolved = repo.resolve(&Target::Tag("1".into())).await.unwrap();
        assert_eq!(resolved, manifest.descriptor);
        assert_eq!(repo.described(&resolved).await.unwrap().bytes, manifest.bytes);
        let mut tags = repo.tags().await.unwrap();
        tags.sort();
        assert_eq!(tags, ["1", "2"]);
        assert_eq!(client.catalog(&registry.host()).await.unwrap(), ["a/b"]);
        // The second push sends nothing; another repository gets the blob without sending.
        let source = || Arc::new(layer.clone());
        let again = repo.push_blob(&described(&layer), source(), None).await.unwrap();
        assert_eq!(again, Pushed::Existed);
        let other = repository(&client, &registry.host(), "c");
        let mounted = other.push_blob(&described(&layer), source(), Some("a/b")).await.unwrap();
        assert_eq!(mounted, Pushed::Mounted);
        assert!(other.has_blob(Digest::of(&layer)).await.unwrap());
        assert!(!other.has_blob(Digest::of(b"x")).await.unwrap());
        assert_eq!(repo.delete_manifest(&Target::Digest(digest)).await.unwrap(), Deleted::Done);
        let gone = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(gone.is_not_found(), "{gone}");
        assert_eq!(
            gone.to_string(),
            format!(
                "`{}/a/b:1` is not in the registry: MANIFEST_UNKNOWN: manifest unknown",
                registry.host()
            )
        );
    });
}

#[test]
fn a_registry_says_why_it_refuses() {
    let Some(registry) = Registry::start(|_| String::new()) else { return };
    runtime().block_on(async {
        let repo = repository(&Client::new(quick()), &registry.host(), "a");
        let manifest = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
        let error = repo.push_manifest(&MediaType::OciManifest, manifest, &["1"]).await.unwrap_err();
        let RegistryError::Status { status: 400, said, .. } = &error else { panic!("{error:?}") };
        assert_eq!(said.codes().collect::<Vec<_>>(), ["MANIFEST_BLOB_UNKNOWN"]);
        assert!(error.to_string().contains("blob unknown to registry"), "{error}");
    });
}
