//! Docker's `config.json` and podman's `auth.json`: finding the entry for a registry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::helper::Helpers;
use super::{Credential, Credentials, CredentialsError, Found, HUB_KEY, Secret};

/// A file of credentials, as docker's and podman's programs write it. Unknown fields are ignored.
#[derive(Debug, Default, Deserialize)]
pub struct ConfigFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credsStore")]
    creds_store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "HttpHeaders")]
    http_headers: Option<BTreeMap<String, Hidden>>,
    #[serde(default)]
    proxies: Option<BTreeMap<String, ConfigProxy>>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<Hidden>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Hidden>,
    #[serde(default)]
    identitytoken: Option<Hidden>,
    #[serde(default)]
    registrytoken: Option<Hidden>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(from = "String")]
struct Hidden(Secret);

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

/// What `proxies` of `config.json` says: the proxies of build steps and containers, not gantry's own.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(missing_docs, reason = "named as in the file")]
pub struct ConfigProxy {
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    pub no_proxy: Option<String>,
    pub ftp_proxy: Option<String>,
    pub all_proxy: Option<String>,
}

impl std::fmt::Debug for ConfigProxy {
    /// Shows no address: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigProxy").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

impl ConfigFile {
    /// Reads a file; an absent or empty one says nothing.
    ///
    /// # Errors
    /// [`CredentialsError`] if it is there and can't be read or understood.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let bytes = match fs_err::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(CredentialsError::File(error)),
        };
        Self::parse(&bytes, path)
    }

    /// Understands the bytes of a file; `path` is for errors.
    ///
    /// # Errors
    /// [`CredentialsError::Json`], which holds nothing of what the file says.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, CredentialsError> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|error| CredentialsError::Json {
            path: path.to_owned(),
            line: error.line(),
            column: error.column(),
        })
    }

    /// Returns the proxies for a docker daemon's address, or those for all (`default`).
    #[must_use]
    pub fn proxies(&self, daemon: &str) -> Option<&ConfigProxy> {
        let proxies = self.proxies.as_ref()?;
        proxies.get(daemon).or_else(|| proxies.get("default"))
    }

    /// Returns the credential helper for a registry, if the file names one.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let helpers = self.cred_helpers.as_ref();
        let own = names(registry).iter().find_map(|name| helpers?.get(*name));
        own.or(self.creds_store.as_ref()).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Finds the entry that suits best: the one for the longest part of the repository's name, as
    /// podman keeps them, then the one for the registry.
    fn entry(&self, registry: &str, repository: &str) -> Option<(&str, &Entry)> {
        let auths = self.auths.as_ref()?;
        let mut part = repository;
        while !part.is_empty() {
            for name in names(registry) {
                if let Some((key, entry)) = auths.get_key_value(&format!("{name}/{part}")) {
                    return Some((key, entry));
                }
            }
            part = part.rsplit_once('/').map_or("", |(above, _)| above);
        }
        names(registry)
            .iter()
            .find_map(|name| {
                let exact = auths.get_key_value(*name);
                exact.or_else(|| auths.iter().find(|(key, _)| host_of(key) == Some(name)))
            })
            .map(|(key, entry)| (key.as_str(), entry))
    }
}

/// The names under which a registry may be kept; the first one is the one to write.
pub(super) fn names(registry: &str) -> Vec<&str> {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => {
            vec![HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"]
        }
        _ => vec![registry],
    }
}

/// Returns the host of a key such as `https://host/v1/`, `host` or `host/v2/`; `None` for a key of
/// podman's that names a repository.
pub(super) fn host_of(key: &str) -> Option<&str> {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let version = matches!(path.trim_end_matches('/'), "" | "v1" | "v2" | "v0");
    (bare.is_some() || version).then_some(host)
}

impl Entry {
    fn credential(&self) -> Result<Option<Credential>, ()> {
        let full = |hidden: &Option<Hidden>| {
            hidden.as_ref().map(|hidden| hidden.0.clone()).filter(|it| !it.reveal().is_empty())
        };
        if let Some(token) = full(&self.registrytoken) {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let Some(token) = full(&self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let Some(auth) = full(&self.auth) {
            return decode(auth.reveal()).map(Some).ok_or(());
        }
        let named = self.username.as_deref().filter(|name| !name.is_empty());
        Ok(named.zip(full(&self.password)).map(|(name, password)| password_of(name, password)))
    }
}

/// A user called `<token>` stands for an identity token.
pub(super) fn password_of(username: &str, password: Secret) -> Credential {
    if username == "<token>" {
        return Credential::Identity(password);
    }
    Credential::Password { username: username.to_owned(), password }
}

fn decode(auth: &str) -> Option<Credential> {
    let auth = auth.trim();
    let bytes = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker's own reader cuts zeros too.
    let password = password.trim_matches('\0');
    (!username.is_empty()).then(|| password_of(username, Secret::new(password)))
}

/// The files as they were when they were read.
type Read = Arc<[(PathBuf, ConfigFile)]>;

/// The credentials of some files, and of the helpers that they name; what comes first counts.
///
/// Files are read when the first registry asks, once.
#[derive(Debug, Default)]
pub struct AuthFiles {
    files: Vec<PathBuf>,
    helpers: Helpers,
    read: Mutex<Option<Read>>,
}

impl AuthFiles {
    /// Takes the files in the order in which they count: podman's `auth.json` before docker's
    /// `config.json`, as podman does. Nothing is read yet, and none needs to be there.
    #[must_use]
    pub fn new(files: Vec<PathBuf>, helpers: Helpers) -> Self {
        Self { files, helpers, read: Mutex::default() }
    }

    fn files(&self) -> Result<Read, CredentialsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(files) = &*read {
            return Ok(files.clone());
        }
        let files = self.files.iter().map(|path| Ok((path.clone(), ConfigFile::read(path)?)));
        let files: Arc<[_]> = files.collect::<Result<Vec<_>, CredentialsError>>()?.into();
        Ok(read.insert(files).clone())
    }
}

impl Credentials for AuthFiles {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, CredentialsError> {
        for (path, file) in self.files()?.iter() {
            if let Some(name) = file.helper(registry) {
                let key = names(registry).first().copied().unwrap_or(registry);
                if let Some(credential) = self.helpers.get(name, key)? {
                    let origin = format!("`docker-credential-{name}`");
                    return Ok(Some(Found { credential, origin }));
                }
            }
            let Some((key, entry)) = file.entry(registry, repository) else { continue };
            let credential = entry.credential().map_err(|()| CredentialsError::Auth {
                path: path.clone(),
                registry: key.to_owned(),
            })?;
            if let Some(credential) = credential {
                return Ok(Some(Found { credential, origin: format!("`{}`", path.display()) }));
            }
        }
        Ok(None)
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>, CredentialsError> {
        let files = self.files()?;
        let headers = files.iter().filter_map(|(_, file)| file.http_headers.as_ref());
        Ok(headers.flatten().map(|(name, value)| (name.clone(), value.0.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(json: &str, registry: &str, repository: &str) -> Option<Credential> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs_err::write(&path, json).unwrap();
        let files = AuthFiles::new(vec![dir.path().join("absent"), path], Helpers::default());
        files.find(registry, repository).unwrap().map(|found| found.credential)
    }

    fn user(name: &str) -> Option<Credential> {
        Some(Credential::Password { username: name.into(), password: Secret::new("p:w") })
    }

    fn auth(name: &str) -> String {
        format!(r#"{{"auth": "{}"}}"#, STANDARD.encode(format!("{name}:p:w")))
    }

    #[test]
    fn every_spelling_of_a_registry_is_found() {
        for (key, registry) in [
            (HUB_KEY, "docker.io"),
            ("docker.io", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("https://registry-1.docker.io/v2/", "docker.io"),
            ("https://a.example:5000", "a.example:5000"),
            ("http://a.example/v2/", "a.example"),
            ("a.example/v1/", "a.example"),
        ] {
            let json = format!(r#"{{"auths": {{"{key}": {}}}}}"#, auth("me"));
            assert_eq!(find(&json, registry, "a/b"), user("me"), "{key}");
            assert_eq!(find(&json, "b.example", "a/b"), None, "{key}");
        }
    }

    #[test]
    fn the_longest_part_of_the_name_wins() {
        let json = format!(
            r#"{{"auths": {{"q.io": {}, "q.io/a": {}, "q.io/a/b": {}}}}}"#,
            auth("all"),
            auth("a"),
            auth("ab")
        );
        for (repository, who) in
            [("a/b", "ab"), ("a/b/c", "ab"), ("a/bc", "a"), ("x", "all"), ("", "all")]
        {
            assert_eq!(find(&json, "q.io", repository), user(who), "{repository}");
        }
    }

    #[test]
    fn tokens_come_before_passwords_and_empty_entries_say_nothing() {
        let token = r#"{"auths": {"a.b": {"auth": "bWU6cHc=", "identitytoken": "t"}}}"#;
        assert_eq!(find(token, "a.b", ""), Some(Credential::Identity(Secret::new("t"))));
        let token = r#"{"auths": {"a.b": {"registrytoken": "t"}}}"#;
        assert_eq!(find(token, "a.b", ""), Some(Credential::Bearer(Secret::new("t"))));
        let plain = r#"{"auths": {"a.b": {"username": "me", "password": "p:w"}}}"#;
        assert_eq!(find(plain, "a.b", ""), user("me"));
        for nothing in [r#"{"auths": {"a.b": {}}}"#, r#"{"auths": null}"#, "{}", " "] {
            assert_eq!(find(nothing, "a.b", ""), None);
        }
    }

    #[test]
    fn nothing_of_a_broken_file_is_shown() {
        let path = Path::new("/c.json");
        let error = ConfigFile::parse(br#"{"auths": {"a": {"auth": 12345}}}"#, path).unwrap_err();
        assert_eq!(error.to_string(), "`/c.json` is not valid: line 1, column 30");
        let file = ConfigFile::parse(br#"{"auths": {"a": {"auth": "c2VjcmV0"}}}"#, path).unwrap();
        assert!(!format!("{file:?}").contains("c2Vj"), "{file:?}");
        assert!(file.entry("a", "").unwrap().1.credential().is_err());
    }

    #[test]
    fn headers_and_proxies_are_read() {
        let json = br#"{"HttpHeaders": {"X-Meta-A": "1"}, "proxies": {"default": {"httpProxy": "http://p"}, "tcp://d": {"noProxy": "x"}}}"#;
        let file = ConfigFile::parse(json, Path::new("")).unwrap();
        assert_eq!(file.proxies("unix://").unwrap().http_proxy.as_deref(), Some("http://p"));
        assert_eq!(file.proxies("tcp://d").unwrap().no_proxy.as_deref(), Some("x"));
        assert_eq!(file.http_headers.unwrap()["X-Meta-A"].0.reveal(), "1");
    }

    proptest! {
        #[test]
        fn any_user_and_password_come_back(name in "[^:\0]{1,20}", password in "[^\0]{0,20}") {
            prop_assume!(name != "<token>");
            let found = decode(&STANDARD.encode(format!("{name}:{password}")));
            let password = Secret::new(password);
            prop_assert_eq!(found, Some(Credential::Password { username: name, password }));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", key in "\\PC{0,30}") {
            let _ = decode(&text);
            let _ = host_of(&key);
            let _ = ConfigFile::parse(text.as_bytes(), Path::new(""));
        }
    }
}
