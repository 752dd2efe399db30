//! `login` and `logout`: the files, and the helpers, that keep credentials.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gantry_image::registry::credentials::{
    AuthFiles, Credential, Credentials, Helpers, Kept, Secret, forget, keep,
};

fn me() -> Credential {
    Credential::Password { username: "me".into(), password: Secret::new("hunter2") }
}

/// A helper that keeps each credential in a file of its own.
fn install(dir: &Path) -> Helpers {
    let script = r#"#!/bin/sh
cd "$(dirname "$0")"
case $1 in
store) cat >kept;;
get) read -r key; echo "$key" >>asked; [ -e kept ] && exec cat kept; echo credentials not found in native keychain; exit 1;;
erase) rm -f kept;;
esac
"#;
    let path = dir.join("docker-credential-shelf");
    fs_err::write(&path, script).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Helpers { directories: vec![dir.to_owned()], ..Helpers::default() }
}

fn find(file: &Path, helpers: &Helpers, registry: &str) -> Option<Credential> {
    let files = AuthFiles::new(vec![file.to_owned()], helpers.clone());
    files.find(registry, "a").unwrap().map(|found| found.credential)
}

#[test]
fn a_credential_is_kept_in_the_file_until_it_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let (file, helpers) = (dir.path().join("deep/config.json"), Helpers::default());
    for registry in ["localhost:5000", "docker.io"] {
        let kept = keep(&file, &helpers, registry, &me()).unwrap();
        assert_eq!(kept, Kept::File(file.clone()));
    }
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs_err::read_to_string(&file).unwrap();
    assert!(
        text.contains("\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"bWU6aHVudGVyMg==\""),
        "{text}"
    );
    assert_eq!(find(&file, &helpers, "docker.io"), Some(me()));
    assert!(forget(&file, &helpers, "docker.io").unwrap());
    assert!(!forget(&file, &helpers, "docker.io").unwrap());
    assert_eq!(find(&file, &helpers, "docker.io"), None);
    assert_eq!(find(&file, &helpers, "localhost:5000"), Some(me()));
    assert_eq!(
        fs_err::read_dir(file.parent().unwrap()).unwrap().count(),
        1,
        "nothing is left over"
    );
}

#[test]
fn what_else_a_file_says_stays_and_a_link_stays_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("config.json"));
    fs_err::write(&real, r#"{"detachKeys": "ctrl-q", "auths": {"a.b": {"auth": "eDp5"}}}"#)
        .unwrap();
    fs_err::os::unix::fs::symlink("real", &link).unwrap();
    keep(&link, &Helpers::default(), "c.d", &Credential::Identity(Secret::new("t"))).unwrap();
    assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
    let text = fs_err::read_to_string(&real).unwrap();
    assert!(text.contains("ctrl-q") && text.contains("eDp5"), "{text}");
    let token = Credential::Identity(Secret::new("t"));
    assert_eq!(find(&link, &Helpers::default(), "c.d"), Some(token));
}

#[test]
fn a_broken_file_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    fs_err::write(&file, "{broken").unwrap();
    keep(&file, &Helpers::default(), "a.b", &me()).unwrap_err();
    forget(&file, &Helpers::default(), "a.b").unwrap_err();
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "{broken");
}

#[test]
fn a_helper_keeps_what_the_file_then_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (file, helpers) = (dir.path().join("config.json"), install(dir.path()));
    fs_err::write(&file, r#"{"credsStore": "shelf"}"#).unwrap();
    assert_eq!(find(&file, &helpers, "docker.io"), None);
    let kept = keep(&file, &helpers, "docker.io", &me()).unwrap();
    assert_eq!(kept, Kept::Helper("shelf".into()));
    assert!(!fs_err::read_to_string(&file).unwrap().contains("bWU6"));
    assert_eq!(find(&file, &helpers, "docker.io"), Some(me()));
    let asked = fs_err::read_to_string(dir.path().join("asked")).unwrap();
    assert_eq!(asked.lines().last(), Some("https://index.docker.io/v1/"));
    forget(&file, &helpers, "docker.io").unwrap();
    assert_eq!(find(&file, &helpers, "docker.io"), None);
    let token = Credential::Identity(Secret::new("t"));
    keep(&file, &helpers, "a.b", &token).unwrap();
    assert_eq!(find(&file, &helpers, "a.b"), Some(token));
}

#[test]
fn a_helper_that_is_missing_fails_or_hangs_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let mut helpers = Helpers { directories: vec![dir.path().to_owned()], ..Helpers::default() };
    helpers.patience = std::time::Duration::from_millis(300);
    fs_err::write(&file, r#"{"credHelpers": {"a.b": "x"}}"#).unwrap();
    let error = || {
        let files = AuthFiles::new(vec![file.clone()], helpers.clone());
        assert!(files.find("other.host", "a").unwrap().is_none());
        files.find("a.b", "a").unwrap_err().to_string()
    };
    assert_eq!(error(), "`docker-credential-x` failed: it is not installed in `PATH`");
    for (script, expected) in [
        ("echo out of order; exit 3", "out of order"),
        ("echo '{\"Secret\": \"hunter2'", "it answered with something else than a credential"),
        ("exec sleep 100", "no answer within 0 seconds"),
    ] {
        let path = dir.path().join("docker-credential-x");
        fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(error(), format!("`docker-credential-x` failed: {expected}"));
    }
}
