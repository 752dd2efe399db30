//! `login` and `logout`: credentials into and out of docker's and podman's files.

use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err::os::unix::fs::OpenOptionsExt;
use serde_json::{Map, Value, json};

use super::files::{ConfigFile, host_of, names};
use super::helper::Helpers;
use super::{Credential, CredentialsError};

/// Where a credential went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Into the file, where everyone who can read the file can read it.
    File(PathBuf),
    /// To the helper of this name.
    Helper(String),
}

/// Keeps the credential of a registry: with the helper that the file names, else in the file.
///
/// The file is replaced in one step, readable by its owner only; what else it says stays.
///
/// # Errors
/// [`CredentialsError`]; nothing was changed then.
pub fn keep(
    path: &Path,
    helpers: &Helpers,
    registry: &str,
    credential: &Credential,
) -> Result<Kept, CredentialsError> {
    let (mut document, file) = read(path)?;
    let key = names(registry).first().copied().unwrap_or(registry);
    let helper = file.helper(registry).map(str::to_owned);
    let entry = match (&helper, credential) {
        (Some(name), _) => {
            helpers.store(name, key, credential)?;
            // As docker does, so that the file tells which registries there are.
            json!({})
        }
        (None, Credential::Password { username, password }) => {
            json!({"auth": STANDARD.encode(format!("{username}:{}", password.reveal()))})
        }
        (None, Credential::Identity(token)) => {
            json!({"auth": STANDARD.encode("<token>:"), "identitytoken": token.reveal()})
        }
        (None, Credential::Bearer(token)) => json!({"registrytoken": token.reveal()}),
    };
    let auths = document.entry("auths").or_insert_with(|| json!({}));
    if !auths.is_object() {
        *auths = json!({});
    }
    auths[key] = entry;
    write(path, &document)?;
    Ok(helper.map_or_else(|| Kept::File(path.to_owned()), Kept::Helper))
}

/// Forgets the credential of a registry, in every spelling. Returns whether there was one in the file.
///
/// # Errors
/// [`CredentialsError`].
pub fn forget(path: &Path, helpers: &Helpers, registry: &str) -> Result<bool, CredentialsError> {
    let (mut document, file) = read(path)?;
    if let Some(name) = file.helper(registry) {
        for key in names(registry) {
            helpers.erase(name, key)?;
        }
    }
    let Some(Value::Object(auths)) = document.get_mut("auths") else { return Ok(false) };
    let before = auths.len();
    let names = names(registry);
    auths.retain(|key, _| !names.iter().any(|name| key == name || host_of(key) == Some(*name)));
    let changed = auths.len() != before;
    if changed {
        write(path, &document)?;
    }
    Ok(changed)
}

fn read(path: &Path) -> Result<(Map<String, Value>, ConfigFile), CredentialsError> {
    let bytes = match fs_err::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(CredentialsError::File(error)),
    };
    let file = ConfigFile::parse(&bytes, path)?;
    let document = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok((document, file))
}

fn write(path: &Path, document: &Map<String, Value>) -> Result<(), CredentialsError> {
    // What a link leads to is replaced, not the link: people keep such files elsewhere.
    let path = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    if !parent.is_dir() {
        fs_err::create_dir_all(parent).map_err(CredentialsError::File)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let fresh = parent.join(name);
    let mut bytes = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, tabs);
    serde::Serialize::serialize(document, &mut serializer)
        .map_err(|error| CredentialsError::File(error.into()))?;
    let written = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs_err::rename(&fresh, &path));
    written.map_err(|error| {
        let _ = fs_err::remove_file(&fresh);
        CredentialsError::File(error)
    })
}
