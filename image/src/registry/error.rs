//! What goes wrong with registries, said so that the reader knows what to do next.
//!
//! No variant holds a credential, and none an address with its query: those of blob stores are
//! signed. What a registry says about itself is cleaned of control characters and cut.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::Digest;
use crate::json::ParseJsonError;

type Cause = Box<dyn Error + Send + Sync>;

/// A request to a registry, or what came of it, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No connection: no such host, nobody listens, a certificate that isn't trusted.
    #[error("Failed to connect to the registry `{host}`")]
    Connect {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A connection that was there broke.
    #[error("The connection to the registry `{host}` broke")]
    Broken {
        /// Host and port.
        host: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Nothing was sent or received for too long.
    #[error("The registry `{host}` said nothing for {} seconds", .silence.as_secs())]
    Silent {
        /// Host and port.
        host: String,
        /// For how long.
        silence: Duration,
    },
    /// What was asked for isn't there.
    #[error("`{what}` is not in the registry{said}")]
    NotFound {
        /// The reference, blob or repository.
        what: String,
        /// What the registry says.
        said: Said,
    },
    /// 401 or 403: the credential isn't good enough, or there is none.
    #[error("The registry denies access to `{repository}` {credential}{said}")]
    Denied {
        /// The repository, or the registry where no repository was asked for.
        repository: String,
        /// The registry to log in to.
        registry: String,
        /// With which credential it was tried; never the credential itself.
        credential: Used,
        /// What the registry says.
        said: Said,
    },
    /// The registry asks to come back later, and its time or ours is up.
    #[error("The registry `{host}` is busy ({status}){}{said}", wait(.retry_after))]
    Busy {
        /// Host and port.
        host: String,
        /// 429 or 503.
        status: u16,
        /// What `Retry-After` said.
        retry_after: Option<Duration>,
        /// What the registry says.
        said: Said,
    },
    /// Any other answer that is no success.
    #[error("The registry `{host}` refused to {action} with status {status}{said}")]
    Status {
        /// Host and port.
        host: String,
        /// What was asked, as "read the manifest of `a`".
        action: String,
        /// The HTTP status.
        status: u16,
        /// What the registry says.
        said: Said,
    },
    /// An answer that breaks the protocol, or that nobody honest gives.
    #[error("Refused what the registry `{host}` answered: {reason}")]
    Refused {
        /// Host and port.
        host: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes that are not those that were promised. Asking again asks another mirror, if there is one.
    #[error("`{what}` from the registry `{host}` is corrupt: {reason}")]
    Corrupt {
        /// The manifest or blob.
        what: String,
        /// Who sent it.
        host: String,
        /// How they differ.
        reason: String,
    },
    /// A document that can't be used.
    #[error("`{what}` from the registry can't be used")]
    Document {
        /// The reference.
        what: String,
        /// Why.
        #[source]
        source: ParseJsonError,
    },
    /// The credential for a registry could not be had.
    #[error("Failed to get the credential for `{registry}`")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why.
        #[source]
        source: CredentialsError,
    },
    /// A file that says how to talk to registries is broken.
    #[error("Failed to read `{}`", .path.display())]
    Configuration {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The client can't be made as the settings say.
    #[error("The settings for the registry `{host}` can't be used: {reason}")]
    Settings {
        /// Host and port.
        host: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A registry that may not be used, says `registries.conf`.
    #[error("`registries.conf` blocks `{0}`")]
    Blocked(String),
    /// The runtime ended while this went on.
    #[error("The request was given up: the program is ending")]
    Interrupted,
    /// The blob to be pushed could not be read.
    #[error("Failed to read the blob `{digest}` to be pushed")]
    Source {
        /// Which blob.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A credential could not be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// The file can't be read or written.
    #[error("Failed to open the credentials file")]
    File(#[source] io::Error),
    /// The file is no JSON of the right shape. What it says is not shown.
    #[error("`{}` is not valid: line {line}, column {column}", .path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// An `auth` that is no base64 of `user:password`.
    #[error("`{}` has an invalid `auth` for `{registry}`", .path.display())]
    Auth {
        /// Which file.
        path: PathBuf,
        /// For which registry.
        registry: String,
    },
    /// The credential helper can't be started, or failed.
    #[error("`{program}` failed: {reason}")]
    Helper {
        /// The program.
        program: String,
        /// What it said, or what is wrong.
        reason: String,
    },
}

impl RegistryError {
    /// May the same request succeed later or elsewhere? True for broken connections and busy
    /// servers, false for what asking again doesn't change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Silent { .. }
            | Self::Busy { .. }
            | Self::Corrupt { .. } => true,
            Self::Status { status, .. } => retryable(*status),
            _ => false,
        }
    }

    /// Is it that the thing isn't there?
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Says what the user may do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Denied { registry, credential: Used::Nothing, .. } => Some(format!(
                "The repository may not exist, or ask for a login: `gantry login {registry}`"
            )),
            Self::Denied { registry, .. } => {
                Some(format!("To log in as somebody else, `gantry login {registry}`"))
            }
            _ => None,
        }
    }
}

/// Is it a status after which asking again makes sense?
pub(super) fn retryable(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn wait(after: &Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!(" and asks to come back in {} seconds", after.as_secs())
    })
}

/// With which credential a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Used {
    /// With none.
    Nothing,
    /// With the one described: whose it is and where it comes from.
    Credential(String),
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("without a login"),
            Self::Credential(description) => write!(f, "to {description}"),
        }
    }
}

/// The `errors` of an answer's body: codes of the specification, and messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(pub(super) Vec<(String, String)>);

impl Said {
    const LIMIT: usize = 400;

    /// Returns the codes, as `MANIFEST_UNKNOWN`.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(code, _)| code.as_str())
    }

    /// Reads the body of an answer; `secrets` are blotted out of it.
    pub(super) fn parse(body: &[u8], secrets: &[&str]) -> Self {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            errors: Option<Vec<One>>,
            // Token servers and Hub's search say it in other ways.
            #[serde(default, alias = "message", alias = "detail", alias = "error_description")]
            details: Option<serde_json::Value>,
        }
        #[derive(serde::Deserialize)]
        struct One {
            #[serde(default)]
            code: Option<String>,
            #[serde(default)]
            message: Option<String>,
        }
        let clean = |text: &str| {
            let mut text = text.to_owned();
            for secret in secrets.iter().filter(|secret| secret.len() > 3) {
                text = text.replace(secret, "***");
            }
            let text = text.split(|c: char| c.is_control() || c.is_whitespace());
            let text = text.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            text.chars().take(Self::LIMIT).collect::<String>()
        };
        let Ok(body) = serde_json::from_slice::<Body>(body) else { return Self::default() };
        let mut said: Vec<_> = body
            .errors
            .unwrap_or_default()
            .into_iter()
            .take(5)
            .map(|one| {
                (clean(&one.code.unwrap_or_default()), clean(&one.message.unwrap_or_default()))
            })
            .collect();
        if let (true, Some(serde_json::Value::String(details))) = (said.is_empty(), body.details) {
            said.push((String::new(), clean(&details)));
        }
        Self(said)
    }
}

impl fmt::Display for Said {
    /// Writes `: CODE: message, CODE: message`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (code, message)) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { ": " } else { ", " })?;
            match (code.is_empty(), message.is_empty()) {
                (false, false) => write!(f, "{code}: {message}")?,
                _ => write!(f, "{code}{message}")?,
            }
        }
        Ok(())
    }
}
