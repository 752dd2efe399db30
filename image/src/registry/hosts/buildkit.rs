//! `buildkitd.toml`: its tables `[registry."x"]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ClientCertificate, HostSettings, Secret, Security, broken, first_of};
use crate::registry::error::RegistryError;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    registry: BTreeMap<String, Registry>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Registry {
    mirrors: Vec<String>,
    http: Option<bool>,
    insecure: Option<bool>,
    ca: Vec<PathBuf>,
    tlsconfigdir: Vec<PathBuf>,
    keypair: Vec<KeyPair>,
}

#[derive(Deserialize)]
struct KeyPair {
    key: PathBuf,
    cert: PathBuf,
}

/// Reads the first of the files that is there.
pub(super) fn read(paths: &[PathBuf]) -> Result<BTreeMap<String, HostSettings>, RegistryError> {
    let Some((path, text)) = first_of(paths)? else { return Ok(BTreeMap::new()) };
    parse(&text, &path)
}

fn parse(text: &str, path: &Path) -> Result<BTreeMap<String, HostSettings>, RegistryError> {
    let file: File = toml::from_str(text).map_err(|error| broken(path.to_owned(), error))?;
    let mut hosts = BTreeMap::new();
    for (name, registry) in file.registry {
        let security = match (registry.http == Some(true), registry.insecure == Some(true)) {
            (true, _) => Security::Plain,
            (false, true) => Security::Unverified,
            (false, false) => Security::Verified,
        };
        let read = |path: &PathBuf| fs_err::read(path).map_err(|error| broken(path.clone(), error));
        let mut settings = super::certs::read(&registry.tlsconfigdir, &[&name])?;
        settings.mirrors = registry.mirrors;
        settings.security = security;
        for path in &registry.ca {
            settings.authorities.push(read(path)?);
        }
        if let Some(pair) = registry.keypair.first() {
            let key = fs_err::read_to_string(&pair.key);
            let key = key.map_err(|error| broken(pair.key.clone(), error))?;
            settings.client =
                Some(ClientCertificate { certificate: read(&pair.cert)?, key: Secret::new(key) });
        }
        hosts.insert(name, settings);
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_and_insecure_registries_are_read() {
        let text = r#"
            debug = true
            [worker.oci]
              enabled = true
            [registry."docker.io"]
              mirrors = ["m.local:5000", "harbor.local/proxy.docker.io"]
            [registry."m.local:5000"]
              http = true
            [registry."harbor.local"]
              insecure = true
        "#;
        let hosts = parse(text, Path::new("b.toml")).unwrap();
        assert_eq!(hosts["docker.io"].mirrors, ["m.local:5000", "harbor.local/proxy.docker.io"]);
        assert_eq!(hosts["m.local:5000"].security, Security::Plain);
        assert_eq!(hosts["harbor.local"].security, Security::Unverified);
        assert!(parse("registry = 1", Path::new("b.toml")).is_err());
    }
}
