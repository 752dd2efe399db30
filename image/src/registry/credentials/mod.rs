//! Who one is to a registry: where credentials are kept, and how they are asked for.
//!
//! ```text
//! files    docker's config.json, podman's auth.json: reading
//! store    the same: login and logout write there
//! helper   docker-credential-X get|store|erase
//! ```

mod files;
mod helper;
mod store;

use std::fmt;

pub use self::files::{AuthFiles, ConfigFile, ConfigProxy};
pub use self::helper::Helpers;
pub use self::store::{Kept, forget, keep};
pub use super::error::CredentialsError;

/// The key under which docker keeps the credential of Docker Hub.
pub const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Text that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes in a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be sent to whom it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What proves to a registry who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// User and password, or user and access token.
    Password {
        /// Who.
        username: String,
        /// The proof.
        password: Secret,
    },
    /// A refresh token, for which token servers give access tokens.
    Identity(Secret),
    /// A bearer token that is sent to the registry as it is.
    Bearer(Secret),
}

/// A credential, and where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it comes from, as "`/root/.docker/config.json`" or "`docker-credential-pass`".
    pub origin: String,
}

impl Found {
    /// Says whose credential it is and where it comes from.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.credential {
            Credential::Password { username, .. } => format!("`{username}` from {}", self.origin),
            Credential::Identity(_) => format!("the identity token from {}", self.origin),
            Credential::Bearer(_) => format!("the registry token from {}", self.origin),
        }
    }
}

/// Knows credentials. May block, so it is asked on a thread for that.
pub trait Credentials: Send + Sync {
    /// Finds the credential for a repository of a registry, or for the registry if `repository` is
    /// empty. `registry` is host and port; Docker Hub is `docker.io`.
    ///
    /// # Errors
    /// [`CredentialsError`] if it can't be said; `None` means that there is none.
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, CredentialsError>;

    /// Returns headers that every registry gets (`HttpHeaders` of `config.json`).
    ///
    /// # Errors
    /// [`CredentialsError`] if it can't be said.
    fn headers(&self) -> Result<Vec<(String, Secret)>, CredentialsError> {
        Ok(Vec::new())
    }
}

/// Knows no credential.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn find(&self, _: &str, _: &str) -> Result<Option<Found>, CredentialsError> {
        Ok(None)
    }
}

/// One credential for one registry; what `login` tries before it is kept.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// Host and port; Docker Hub is `docker.io`.
    pub registry: String,
    /// The credential.
    pub credential: Credential,
}

impl Credentials for Fixed {
    fn find(&self, registry: &str, _: &str) -> Result<Option<Found>, CredentialsError> {
        let found = || Found { credential: self.credential.clone(), origin: "this login".into() };
        Ok((registry == self.registry).then(found))
    }
}
