//! A running engine, which is handed the image that was built.
//!
//! Where the docker client finds its engine, this finds it: `--host`, `DOCKER_HOST`, `--context`,
//! `DOCKER_CONTEXT`, the current context, and last the usual socket. With no engine running, the
//! image is in gantry's store, and that is all.

mod http;

use std::io;
use std::path::PathBuf;

use gantry_cache::{Image, Store};
use gantry_image::archive::Streamed;
use gantry_image::{Digest, Reference};
use gantry_solver::CancelToken;
use serde_json::Value;

use super::{ClientOptions, config};
use crate::transfer::{self, Form, Saved, TransferError};
use crate::ui::Failure;
use http::{Body, Connection};

/// Where an engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
    /// A kind that gantry has no way to.
    Elsewhere(String),
}

/// An engine that may or may not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    address: Address,
    /// Whether somebody named it, so that it is worth a word when it doesn't answer.
    named: bool,
}

impl Engine {
    /// Finds out where the client's engine would be.
    ///
    /// # Errors
    /// The context can't be read, or isn't there.
    pub(crate) fn find(client: &ClientOptions) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(host) = client.host.clone().or_else(|| {
            // A context that was asked for wins over the environment.
            client.context.is_none().then(|| variable("DOCKER_HOST")).flatten()
        }) {
            let tls = client.tls || variable("DOCKER_TLS_VERIFY").is_some();
            return Ok(Self { address: address(&host, tls), named: true });
        }
        let directory = config::directory(client.config.as_deref())?;
        let current = || {
            let config = config::read(&directory).ok()?;
            config.get("currentContext")?.as_str().map(str::to_owned)
        };
        let asked = client.context.clone().or_else(|| variable("DOCKER_CONTEXT")).or_else(current);
        let Some(name) = asked.filter(|name| !name.is_empty() && name != "default") else {
            let address = Address::Unix("/var/run/docker.sock".into());
            return Ok(Self { address, named: false });
        };
        let hex = Digest::of(name.as_bytes()).hex();
        let path = directory.join("contexts/meta").join(hex).join("meta.json");
        let text = fs_err::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Failure::text(format_args!("context \"{name}\" not found")),
            _ => error.into(),
        })?;
        let meta: Value = serde_json::from_str(&text)?;
        let endpoint = &meta["Endpoints"]["docker"];
        let host = endpoint["Host"].as_str().unwrap_or("unix:///var/run/docker.sock");
        let tls = path.with_file_name("").to_string_lossy().replacen("/meta/", "/tls/", 1);
        Ok(Self { address: address(host, PathBuf::from(tls).is_dir()), named: true })
    }

    /// Whether an engine runs there.
    pub(crate) fn answers(&self) -> bool {
        Connection::open(&self.address).is_ok()
    }

    /// What to say where none answers: nothing if nobody spoke of one.
    pub(crate) fn silence(&self) -> Option<String> {
        let place = match &self.address {
            _ if !self.named => return None,
            Address::Unix(path) => format!("unix://{}", path.display()),
            Address::Tcp(place) => format!("tcp://{place}"),
            Address::Elsewhere(host) => {
                return Some(format!(
                    "gantry has no way to {host}: the image is in gantry's own store only"
                ));
            }
        };
        Some(format!("no engine answers at {place}: the image is in gantry's own store only"))
    }

    /// Hands the image over under these names.
    ///
    /// # Errors
    /// The engine refuses it; the store can't be read; it was canceled.
    pub(crate) fn hand_over(
        &self,
        image: &Image,
        names: Vec<Reference>,
        store: &Store,
        cancel: &CancelToken,
    ) -> Result<(), Failure> {
        let failed = |error: io::Error| match cancel.is_canceled() {
            true => Failure::text("failed to solve: Canceled: context canceled").with_code(130),
            false => Failure::new(error).context("failed to load the image into the engine"),
        };
        if self.has(image, &names, cancel).map_err(failed)? {
            return Ok(());
        }
        let mut archive = |out: &mut dyn io::Write| {
            let saved = vec![Saved { image: image.clone(), names: names.clone() }];
            let mut out = Streamed(out);
            transfer::save(saved, Form::Docker, store, &mut out, &|_, _, _| ()).map_err(|error| {
                match error {
                    TransferError::Io { source, .. } => source,
                    error => io::Error::other(error),
                }
            })
        };
        let body = Body::Stream("application/x-tar", &mut archive);
        let answer = Connection::open(&self.address)
            .and_then(|connection| connection.ask("POST", "/images/load?quiet=1", body, cancel))
            .map_err(failed)?;
        match answer.error() {
            Some(message) => {
                Err(Failure::text(message).context("failed to load the image into the engine"))
            }
            None => Ok(()),
        }
    }

    /// Whether the engine has the image already, and has given it the names.
    fn has(&self, image: &Image, names: &[Reference], cancel: &CancelToken) -> io::Result<bool> {
        let ask = |method: &str, path: &str| {
            Connection::open(&self.address)?.ask(method, path, Body::None, cancel)
        };
        let id = image.id.to_string();
        if ask("GET", &format!("/images/{id}/json"))?.status != 200 {
            return Ok(false);
        }
        for name in names {
            let (repo, tag) = (name.name(), name.tag().unwrap_or("latest"));
            let path = format!("/images/{id}/tag?repo={repo}&tag={tag}");
            if ask("POST", &path)?.status != 201 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn address(host: &str, tls: bool) -> Address {
    match host.split_once("://") {
        Some(("unix", path)) => Address::Unix(path.into()),
        Some(("tcp" | "http", place)) if !tls => {
            let place = place.split('/').next().unwrap_or_default();
            let port = place.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
            Address::Tcp(if port { place.to_owned() } else { format!("{place}:2375") })
        }
        _ => Address::Elsewhere(host.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_the_client_reads_them() {
        assert_eq!(address("unix:///run/x.sock", false), Address::Unix("/run/x.sock".into()));
        assert_eq!(address("tcp://h:1", false), Address::Tcp("h:1".into()));
        assert_eq!(address("tcp://h", false), Address::Tcp("h:2375".into()));
        assert_eq!(address("tcp://[::1]", false), Address::Tcp("[::1]:2375".into()));
        for (host, tls) in [("tcp://h:2376", true), ("ssh://u@h", false), ("npipe:////x", false)] {
            assert_eq!(address(host, tls), Address::Elsewhere(host.to_owned()));
        }
    }

    #[test]
    fn a_context_leads_to_its_engine() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta").join(Digest::of(b"there").hex());
        fs_err::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"there","Endpoints":{"docker":{"Host":"unix:///there.sock"}}}"#;
        fs_err::write(meta.join("meta.json"), text).unwrap();
        let client = |context: &str| ClientOptions {
            config: Some(dir.path().to_owned()),
            context: Some(context.to_owned()),
            ..ClientOptions::default()
        };
        let found = Engine::find(&client("there")).unwrap();
        assert_eq!(found, Engine { address: Address::Unix("/there.sock".into()), named: true });
        let missing = Engine::find(&client("nowhere")).unwrap_err();
        assert_eq!(missing.to_string(), "context \"nowhere\" not found");
        let usual = Engine::find(&client("default")).unwrap();
        assert!(!usual.named);
    }
}
