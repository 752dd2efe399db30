//! Registries behind TLS that want to know who one is.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use gantry_image::registry::credentials::{Credential, Fixed, Secret};
use gantry_image::registry::{Client, HostSettings, RegistryError, Settings, Target};

use super::server::{HTPASSWD, Registry};
use super::{noise, pull_image, push_image, quick, repository, runtime};

/// Makes an authority, and a certificate of its for 127.0.0.1, with what OpenSSL has for that.
const CERTIFICATES: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=registry
printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n' > extensions
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
  -extfile extensions -out cert.pem
"#;

fn make_certificates(dir: &Path) {
    let made = Command::new("sh")
        .args(["-ec", CERTIFICATES])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "openssl made no certificates");
}

/// A registry with TLS and a login.
fn guarded() -> Option<Registry> {
    Registry::start(|dir| {
        make_certificates(dir);
        fs_err::write(dir.join("htpasswd"), HTPASSWD).unwrap();
        let dir = dir.display();
        format!(
            "  tls:\n    certificate: {dir}/cert.pem\n    key: {dir}/key.pem\n\
             auth:\n  htpasswd:\n    realm: here\n    path: {dir}/htpasswd\n"
        )
    })
}

/// Settings that trust its authority.
fn trusting(registry: &Registry) -> Settings {
    let authority = fs_err::read(registry.dir.path().join("ca.pem")).unwrap();
    let host = HostSettings { authorities: vec![authority], ..HostSettings::default() };
    let mut settings = quick();
    settings.hosts.set.insert(registry.host(), host);
    settings
}

fn known(registry: &Registry, password: &str) -> Settings {
    let credential =
        Credential::Password { username: "me".into(), password: Secret::new(password) };
    let fixed = Fixed { registry: registry.host(), credential };
    Settings { credentials: Arc::new(fixed), ..trusting(registry) }
}

#[test]
fn who_is_known_pushes_and_pulls_through_tls() {
    let Some(registry) = guarded() else { return };
    runtime().block_on(async {
        let client = Client::new(known(&registry, "p:w\"d"));
        client.ping(&registry.host()).await.unwrap();
        let repo = repository(&client, &registry.host(), "a");
        let layer = noise(1 << 20, 7);
        push_image(&repo, &layer, &["1"]).await;
        assert_eq!(pull_image(&repo, "1").await.1, layer);
    });
}

#[test]
fn a_wrong_password_is_named_by_its_owner_and_never_shown() {
    let Some(registry) = guarded() else { return };
    runtime().block_on(async {
        let client = Client::new(known(&registry, "hunter2"));
        let repo = repository(&client, &registry.host(), "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
        let text = format!("{error} {error:?} {:?}", client);
        assert!(error.to_string().contains("`me`"), "{error}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("aHVudGVyMg"), "{text}");
    });
}

#[test]
fn nobody_gets_in_without_a_name() {
    let Some(registry) = guarded() else { return };
    runtime().block_on(async {
        let client = Client::new(trusting(&registry));
        let repo = repository(&client, &registry.host(), "a");
        let error = repo.manifest(&Target::Tag("1".into())).await.unwrap_err();
        assert!(matches!(error, RegistryError::Denied { .. }), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("login")), "{:?}", error.hint());
    });
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused() {
    let Some(registry) = guarded() else { return };
    runtime().block_on(async {
        let client = Client::new(quick());
        let error = client.ping(&registry.host()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Connect { .. }), "{error:?}");
    });
}
