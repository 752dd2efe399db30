//! How registries are to be talked to, in podman's words: `--creds`, `--authfile`, `--cert-dir`,
//! `--tls-verify`, `--retry` (C1-32).

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantry_image::registry::credentials::{
    AuthFiles, Credential, Credentials, CredentialsError, Found, Secret,
};
use gantry_image::registry::{HostSettings, Security, Settings};

use crate::commands::build::values::parse_bool;
use crate::settings;
use crate::ui::{Failure, human, prompt};

/// See the module.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Connection {
    /// Path of the authentication file, in place of all others
    #[arg(long, value_name = "path")]
    pub(crate) authfile: Option<PathBuf>,
    /// Directory with the certificates (*.crt, *.cert, *.key) for the registry
    #[arg(long, value_name = "path")]
    pub(crate) cert_dir: Option<PathBuf>,
    /// Require HTTPS and verify certificates when contacting registries
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = parse_bool, value_name = "bool")]
    pub(crate) tls_verify: Option<bool>,
}

/// What those who send and fetch take besides.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Transfer {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Credentials for the registry
    #[arg(long, value_name = "[username[:password]]")]
    pub(crate) creds: Option<Creds>,
    /// How often to try again what failed (default 4)
    #[arg(long, value_name = "number")]
    pub(crate) retry: Option<u32>,
    /// How long to wait before the first of these tries; doubles from try to try
    #[arg(long, value_name = "duration", value_parser = human::parse_duration)]
    pub(crate) retry_delay: Option<Duration>,
}

/// `user:password`, which is shown nowhere.
#[derive(Clone)]
pub(crate) struct Creds {
    username: String,
    password: Option<Secret>,
}

impl std::str::FromStr for Creds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (username, password) = match text.split_once(':') {
            Some((username, password)) => (username, Some(Secret::new(password))),
            None => (text, None),
        };
        if username.is_empty() {
            return Err("credentials can't be empty".to_owned());
        }
        Ok(Self { username: username.to_owned(), password })
    }
}

impl std::fmt::Debug for Creds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Connection {
    /// Makes settings of it. `registry` is the one that is meant, or none where all are.
    ///
    /// # Errors
    /// A file or directory that is named isn't there.
    pub(crate) fn over(
        &self,
        mut settings: Settings,
        registry: Option<&str>,
    ) -> Result<Settings, Failure> {
        if let Some(path) = &self.authfile {
            settings.credentials =
                Arc::new(AuthFiles::new(vec![path.clone()], settings::credential_helpers()));
        }
        let host = match &self.cert_dir {
            Some(path) => HostSettings::from_directory(path).map_err(Failure::new)?,
            None => HostSettings::default(),
        };
        let security = match self.tls_verify {
            Some(true) => Some(Security::Verified),
            Some(false) => Some(Security::Any),
            None => None,
        };
        match registry {
            Some(registry) => {
                settings.hosts.set.insert(registry.to_owned(), host);
                settings.hosts.asked.insert(registry.to_owned(), security);
            }
            None => {
                settings.hosts.every = host;
                settings.hosts.asked_of_every = security;
            }
        }
        Ok(settings)
    }

    /// Says if the file that is named is not there, where it must be.
    ///
    /// # Errors
    /// It isn't.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let Some(path) = &self.authfile {
            fs_err::metadata(path)?;
        }
        Ok(())
    }
}

impl Transfer {
    /// Asks for the password, if there is a user without one.
    ///
    /// # Errors
    /// There is nobody to ask, or a file that was named isn't there.
    pub(crate) fn completed(&self) -> Result<Self, Failure> {
        self.connection.check()?;
        let mut complete = self.clone();
        if let Some(creds) = &mut complete.creds
            && creds.password.is_none()
        {
            if !io::stdin().is_terminal() {
                return Err(Failure::text(
                    "--creds has no password, and there is no terminal to ask",
                )
                .with_hint("Give `--creds user:password`, or log in with `gantry login`"));
            }
            creds.password = Some(Secret::new(prompt::ask("Password: ", false)?));
        }
        Ok(complete)
    }

    /// Makes settings of it. `registry` is the one that is meant, or none where all are: then each
    /// that asks for credentials gets these.
    ///
    /// # Errors
    /// As [`Connection::over`].
    pub(crate) fn over(
        &self,
        settings: Settings,
        registry: Option<&str>,
    ) -> Result<Settings, Failure> {
        let mut settings = self.connection.over(settings, registry)?;
        if let Some(Creds { username, password: Some(password) }) = &self.creds {
            settings.credentials = Arc::new(Given {
                registry: registry.map(str::to_owned),
                credential: Credential::Password {
                    username: username.clone(),
                    password: password.clone(),
                },
                others: settings.credentials,
            });
        }
        if let Some(retry) = self.retry {
            settings.retry.tries = retry.saturating_add(1);
        }
        if let Some(delay) = self.retry_delay {
            settings.retry.first = delay;
            settings.retry.longest = settings.retry.longest.max(delay);
        }
        Ok(settings)
    }
}

/// The credential of `--creds`, and what files say of other registries.
struct Given {
    registry: Option<String>,
    credential: Credential,
    others: Arc<dyn Credentials>,
}

impl Credentials for Given {
    fn find(&self, registry: &str, repository: &str) -> Result<Option<Found>, CredentialsError> {
        match self.registry.as_deref() {
            Some(meant) if meant != registry => self.others.find(registry, repository),
            _ => Ok(Some(Found {
                credential: self.credential.clone(),
                origin: "`--creds`".to_owned(),
            })),
        }
    }

    fn headers(&self) -> Result<Vec<(String, Secret)>, CredentialsError> {
        self.others.headers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creds(text: &str) -> Result<(String, Option<String>), String> {
        let creds: Creds = text.parse()?;
        Ok((creds.username, creds.password.map(|secret| secret.reveal().to_owned())))
    }

    #[test]
    fn a_password_may_hold_colons_and_is_not_shown() {
        assert_eq!(creds("me:a:b"), Ok(("me".to_owned(), Some("a:b".to_owned()))));
        assert_eq!(creds("me"), Ok(("me".to_owned(), None)));
        assert!(creds(":x").is_err() && creds("").is_err());
        assert_eq!(format!("{:?}", "me:secret".parse::<Creds>()), "Ok(***)");
    }

    #[test]
    fn credentials_are_for_the_registry_that_is_meant() {
        let transfer = Transfer { creds: "me:x".parse().ok(), ..Transfer::default() };
        let of = |meant: Option<&str>, asked: &str| {
            let settings = transfer.over(Settings::default(), meant).unwrap();
            settings.credentials.find(asked, "r").unwrap().is_some()
        };
        assert!(of(Some("a:1"), "a:1") && !of(Some("a:1"), "b:1"));
        assert!(of(None, "a:1") && of(None, "b:1"));
    }
}
