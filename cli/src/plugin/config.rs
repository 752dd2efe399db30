//! Docker's configuration directory, and of `config.json` what says which plugin builds.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::ui::Failure;

/// The alias by which clients before version 23 find their builder, and newer ones too.
const ALIAS: (&str, &str) = ("builder", "buildx");

/// Finds the directory: what `--config` said, `DOCKER_CONFIG`, or `~/.docker`.
///
/// # Errors
/// Nothing says where it is.
pub(crate) fn directory(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(directory) = given {
        return Ok(directory.to_owned());
    }
    if let Some(directory) = std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()) {
        return Ok(directory.into());
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).ok_or_else(|| {
        Failure::text("Neither `DOCKER_CONFIG` nor `HOME` says where docker's configuration is")
    })?;
    Ok(Path::new(&home).join(".docker"))
}

/// Reads `config.json`; none is an empty one.
pub(super) fn read(directory: &Path) -> Result<Map<String, Value>, Failure> {
    let path = directory.join("config.json");
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(error) => return Err(error.into()),
    };
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(error).context(format!("`{}` is no JSON object", path.display()))
    })
}

/// Makes the plugin the client's builder; returns whether it wasn't yet.
///
/// # Errors
/// The file can't be read or written; another builder is chosen there already.
pub(super) fn set_alias(directory: &Path) -> Result<bool, Failure> {
    let mut config = read(directory)?;
    let aliases = config.entry("aliases").or_insert_with(|| Value::Object(Map::new()));
    let Some(aliases) = aliases.as_object_mut() else {
        return Err(Failure::text("`aliases` in docker's config.json is no JSON object"));
    };
    match aliases.get(ALIAS.0).and_then(Value::as_str) {
        Some(builder) if builder == ALIAS.1 => return Ok(false),
        Some(other) => {
            return Err(Failure::text(format_args!("docker's builder is `{other}` already"))
                .with_hint("Remove it from `aliases` in docker's config.json"));
        }
        None => aliases.insert(ALIAS.0.to_owned(), ALIAS.1.into()),
    };
    write(directory, config)?;
    Ok(true)
}

/// Takes the alias back.
///
/// # Errors
/// The file can't be read or written.
pub(super) fn unset_alias(directory: &Path) -> Result<(), Failure> {
    let mut config = read(directory)?;
    let Some(aliases) = config.get_mut("aliases").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    if aliases.get(ALIAS.0).and_then(Value::as_str) != Some(ALIAS.1) {
        return Ok(());
    }
    aliases.remove(ALIAS.0);
    if aliases.is_empty() {
        config.remove("aliases");
    }
    write(directory, config)
}

/// Writes the file in docker's layout, under its own name only when it is whole. It may hold
/// passwords, so nobody else may read it.
fn write(directory: &Path, config: Map<String, Value>) -> Result<(), Failure> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    let path = directory.join("config.json");
    // Dotfiles are often links into a repository: what they point at is what changes.
    let path = fs_err::canonicalize(&path).unwrap_or(path);
    let mode = fs_err::metadata(&path).map_or(0o600, |data| data.permissions().mode() & 0o7777);
    let mut bytes = Vec::new();
    let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, tabs);
    serde::Serialize::serialize(&config, &mut writer)?;
    bytes.push(b'\n');
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    let written = || -> std::io::Result<()> {
        let mut options = fs_err::OpenOptions::new();
        options.options_mut().mode(mode);
        let mut file = options.write(true).create_new(true).open(&unfinished)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs_err::rename(&unfinished, &path)
    };
    written().inspect_err(|_| {
        // It may never have come to be.
        let _ = fs_err::remove_file(&unfinished);
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alias_comes_and_goes_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs_err::write(&path, r#"{"auths":{"r":{"auth":"x"}},"z":1}"#).unwrap();
        assert!(set_alias(dir.path()).unwrap());
        assert!(!set_alias(dir.path()).unwrap());
        let config = read(dir.path()).unwrap();
        assert_eq!(config["aliases"]["builder"], "buildx");
        assert_eq!(config["auths"]["r"]["auth"], "x");
        unset_alias(dir.path()).unwrap();
        let config = read(dir.path()).unwrap();
        assert_eq!(Value::Object(config), serde_json::json!({"auths":{"r":{"auth":"x"}},"z":1}));
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["[1]", "{\"aliases\": 3}", "{\"aliases\":{\"builder\":\"other\"}}", "{"] {
            fs_err::write(dir.path().join("config.json"), text).unwrap();
            assert!(set_alias(dir.path()).is_err(), "{text}");
            assert_eq!(fs_err::read_to_string(dir.path().join("config.json")).unwrap(), text);
        }
    }
}
