//! Where a repository is to be found: the registry itself, and mirrors before it.
//!
//! ```text
//! certs            certs.d/<host>/{*.crt, *.cert, *.key}
//! registries_conf  containers' registries.conf
//! buildkit         buildkitd.toml, the tables [registry."x"]
//! endpoint         what a name comes to: addresses to ask, in order
//! ```
//!
//! Files are read when a registry is first asked, never before.

mod buildkit;
mod certs;
mod endpoint;
mod registries_conf;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

pub(super) use self::endpoint::{Endpoint, Scheme};
use super::credentials::Secret;
use super::error::RegistryError;

/// What is known of hosts: what is set here, and the files that say more. What is set here wins.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// By host and port, `docker.io` for Docker Hub.
    pub set: BTreeMap<String, HostSettings>,
    /// Directories like `/etc/docker/certs.d`; all that has a directory for a host adds to it.
    pub certs_d: Vec<PathBuf>,
    /// What every registry and mirror gets besides. Hosts that those lead to don't.
    pub every: HostSettings,
    /// What connections to a host must be like, whatever else is said of it.
    pub asked: BTreeMap<String, Option<Security>>,
    /// The same for every registry and mirror.
    pub asked_of_every: Option<Security>,
    /// Files like `/etc/containers/registries.conf`; of several, the first that is there.
    pub registries_conf: Vec<PathBuf>,
    /// Files like `/etc/buildkit/buildkitd.toml`; of several, the first that is there.
    pub buildkitd: Vec<PathBuf>,
    read: Arc<OnceLock<Files>>,
}

#[derive(Debug, Default)]
struct Files {
    registries: registries_conf::Registries,
    buildkit: BTreeMap<String, HostSettings>,
}

/// How to talk to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// Asked before the registry, in order: `host[:port][/prefix]`, or with `http://` in front.
    pub mirrors: Vec<String>,
    /// What the connection must be like.
    pub security: Security,
    /// Certificates of authorities in PEM, trusted besides the system's.
    pub authorities: Vec<Vec<u8>>,
    /// What the client shows if the registry asks.
    pub client: Option<ClientCertificate>,
}

/// What a connection must be like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// TLS with a certificate that is trusted. Loopback addresses may also do without TLS.
    #[default]
    Verified,
    /// TLS, with any certificate.
    Unverified,
    /// TLS with any certificate; plain http where there is no TLS.
    Any,
    /// Plain http.
    Plain,
}

/// A certificate and its key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those of authorities between.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Secret,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

impl HostSettings {
    /// Reads a directory as it is in `certs.d` for a host: `*.crt` for authorities, `x.cert` and
    /// `x.key` for the client.
    ///
    /// # Errors
    /// [`RegistryError::Configuration`] if it isn't there or can't be read.
    pub fn from_directory(path: &Path) -> Result<Self, RegistryError> {
        let read = || {
            fs_err::read_dir(path)?;
            let mut settings = Self::default();
            certs::read_one(path, &mut settings)?;
            Ok::<_, std::io::Error>(settings)
        };
        read().map_err(|error| broken(path.to_owned(), error))
    }
}

impl Hosts {
    /// Lists whom to ask for a repository, in order; the registry itself comes last.
    ///
    /// # Errors
    /// [`RegistryError::Configuration`] for a broken file, [`RegistryError::Blocked`].
    pub(super) fn endpoints(
        &self,
        registry: &str,
        repository: &str,
    ) -> Result<Vec<Endpoint>, RegistryError> {
        let files = self.files()?;
        let mut endpoints = Vec::new();
        let own = self.set.get(registry).map(|host| &host.mirrors).filter(|it| !it.is_empty());
        let buildkit = files.buildkit.get(registry).map(|host| &host.mirrors);
        let rule = files.registries.find(registry, repository);
        if rule.is_some_and(|rule| rule.blocked) {
            return Err(RegistryError::Blocked(format!("{registry}/{repository}")));
        }
        if let Some(mirrors) = own {
            endpoints.extend(mirrors.iter().map(|it| Endpoint::mirror(it, registry, repository)));
        } else {
            if let Some(rule) = rule {
                endpoints.extend(rule.mirrors(registry, repository));
            }
            let mirrors = buildkit.into_iter().flatten();
            endpoints.extend(mirrors.map(|it| Endpoint::mirror(it, registry, repository)));
        }
        endpoints.push(match rule {
            Some(rule) => rule.itself(registry, repository),
            None => Endpoint::new(registry, repository),
        });
        for endpoint in &mut endpoints {
            self.secure(endpoint, files, &self.every)?;
            let asked = self.asked.get(&endpoint.registry).copied().flatten();
            if let Some(security) = asked.or(self.asked_of_every) {
                endpoint.insist(security);
            }
        }
        Ok(endpoints)
    }

    /// Fills in how to talk to the endpoint's host.
    fn secure(
        &self,
        endpoint: &mut Endpoint,
        files: &Files,
        every: &HostSettings,
    ) -> Result<(), RegistryError> {
        let names = [endpoint.registry.as_str(), endpoint.authority.as_str()];
        let certs = certs::read(&self.certs_d, &names)?;
        let mut settings = HostSettings::default();
        let of = |map: &BTreeMap<String, HostSettings>| {
            names.iter().find_map(|name| map.get(*name)).cloned()
        };
        let all = [of(&self.set), Some(every.clone()), of(&files.buildkit), Some(certs)];
        for found in all.into_iter().flatten() {
            settings.authorities.extend(found.authorities);
            settings.client = settings.client.or(found.client);
            if settings.security == Security::Verified {
                settings.security = found.security;
            }
        }
        endpoint.apply(settings);
        Ok(())
    }

    /// Says how to talk to a host that another one leads to: as is known of that host, else with the
    /// same authorities. The client's certificate is for the host that it was given for.
    pub(super) fn elsewhere(
        &self,
        host: &str,
        from: &HostSettings,
    ) -> Result<HostSettings, RegistryError> {
        let mut endpoint = Endpoint::new(host, "");
        self.secure(&mut endpoint, self.files()?, &HostSettings::default())?;
        if endpoint.settings == HostSettings::default() {
            endpoint.settings = HostSettings { client: None, mirrors: Vec::new(), ..from.clone() };
        }
        Ok(endpoint.settings)
    }

    fn files(&self) -> Result<&Files, RegistryError> {
        if let Some(files) = self.read.get() {
            return Ok(files);
        }
        let files = Files {
            registries: registries_conf::read(&self.registries_conf)?,
            buildkit: buildkit::read(&self.buildkitd)?,
        };
        Ok(self.read.get_or_init(|| files))
    }
}

/// Reads the first of some files that is there.
fn first_of(paths: &[PathBuf]) -> Result<Option<(PathBuf, String)>, RegistryError> {
    for path in paths {
        match fs_err::read_to_string(path) {
            Ok(text) => return Ok(Some((path.clone(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(broken(path.clone(), error)),
        }
    }
    Ok(None)
}

fn broken(
    path: PathBuf,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RegistryError {
    RegistryError::Configuration { path, source: source.into() }
}
