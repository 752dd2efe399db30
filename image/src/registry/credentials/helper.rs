//! The protocol of `docker-credential-X`: a word as argument, text in, JSON out.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::files::password_of;
use super::{Credential, CredentialsError, Secret};

/// No answer is larger.
const LIMIT: u64 = 1 << 20;

/// Runs credential helpers: `docker-credential-<name>` out of some directories.
///
/// They inherit the environment, since they look for keyrings and configuration themselves.
#[derive(Clone, Debug)]
pub struct Helpers {
    /// Where helpers are looked for: the directories of `PATH`.
    pub directories: Vec<PathBuf>,
    /// A helper that takes longer is ended.
    pub patience: Duration,
}

impl Default for Helpers {
    fn default() -> Self {
        Self { directories: Vec::new(), patience: Duration::from_secs(60) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'a> {
    #[serde(default, rename = "ServerURL")]
    server: std::borrow::Cow<'a, str>,
    username: std::borrow::Cow<'a, str>,
    secret: std::borrow::Cow<'a, str>,
}

impl Helpers {
    /// Asks a helper for the credential that it keeps under `key`.
    ///
    /// # Errors
    /// [`CredentialsError::Helper`], unless what it says is that it has none.
    pub fn get(&self, name: &str, key: &str) -> Result<Option<Credential>, CredentialsError> {
        let (success, output) = self.run(name, "get", key.as_bytes())?;
        if !success {
            let said = said(&output);
            // The wording of docker's helpers; those written elsewhere copy it.
            if said.contains("credentials not found") || said.contains("no credentials server") {
                return Ok(None);
            }
            return Err(failed(
                name,
                if said.is_empty() { "it said nothing".into() } else { said },
            ));
        }
        let message: Message<'_> = serde_json::from_slice(&output).map_err(|_| {
            failed(name, "it answered with something else than a credential".into())
        })?;
        if message.secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(password_of(&message.username, Secret::new(message.secret))))
    }

    /// Gives a helper a credential to keep.
    ///
    /// # Errors
    /// [`CredentialsError::Helper`].
    pub fn store(
        &self,
        name: &str,
        key: &str,
        credential: &Credential,
    ) -> Result<(), CredentialsError> {
        let (username, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::Identity(token) => ("<token>", token),
            Credential::Bearer(_) => {
                return Err(failed(name, "it can't keep a bearer token".into()));
            }
        };
        let message = Message {
            server: key.into(),
            username: username.into(),
            secret: secret.reveal().into(),
        };
        let input = serde_json::to_vec(&message)
            .map_err(|_| failed(name, "the credential is no text".into()))?;
        let (success, output) = self.run(name, "store", &input)?;
        let said = said(&output).replace(secret.reveal(), "***");
        if success { Ok(()) } else { Err(failed(name, said)) }
    }

    /// Makes a helper forget a credential; that it never had one is no error.
    ///
    /// # Errors
    /// [`CredentialsError::Helper`].
    pub fn erase(&self, name: &str, key: &str) -> Result<(), CredentialsError> {
        let (success, output) = self.run(name, "erase", key.as_bytes())?;
        let said = said(&output);
        if success || said.contains("not found") { Ok(()) } else { Err(failed(name, said)) }
    }

    fn run(
        &self,
        name: &str,
        verb: &str,
        input: &[u8],
    ) -> Result<(bool, Vec<u8>), CredentialsError> {
        let program = format!("docker-credential-{name}");
        if name.contains('/') {
            return Err(failed(name, "that is no name of a helper".into()));
        }
        let path =
            self.directories.iter().map(|dir| dir.join(&program)).find(|path| path.is_file());
        let path = path.ok_or_else(|| failed(name, "it is not installed in `PATH`".into()))?;
        let mut child = Command::new(path)
            .arg(verb)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed(name, error.to_string()))?;
        let output = self.talk(&mut child, input);
        // Whatever happened, it doesn't outlive this.
        let _ = child.kill();
        let status = child.wait().map_err(|error| failed(name, error.to_string()))?;
        let output = output.map_err(|reason| failed(name, reason))?;
        Ok((status.success(), output))
    }

    /// Returns all of its output once it has ended.
    fn talk(&self, child: &mut Child, input: &[u8]) -> Result<Vec<u8>, String> {
        let end = Instant::now() + self.patience;
        let (mut stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let input = input.to_vec();
        let (sender, receiver) = mpsc::sync_channel(1);
        // A thread of its own: a helper that neither reads nor writes holds up only that.
        thread::Builder::new()
            .name("credential helper".into())
            .spawn(move || {
                // It may end without reading, as one that fails early does.
                let _ = stdin.as_mut().map(|stdin| stdin.write_all(&input));
                drop(stdin);
                let mut output = Vec::new();
                let read = stdout.map(|out| out.take(LIMIT).read_to_end(&mut output));
                let _ = sender.send(read.transpose().map(|_| output));
            })
            .map_err(|error| error.to_string())?;
        let silent = || format!("no answer within {} seconds", self.patience.as_secs());
        let output = receiver.recv_timeout(self.patience).map_err(|_| silent())?;
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if Instant::now() > end {
                return Err(silent());
            }
            thread::sleep(Duration::from_millis(1));
        }
        output.map_err(|error| error.to_string())
    }
}

fn said(output: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(output).chars().take(400).collect();
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn failed(name: &str, reason: String) -> CredentialsError {
    CredentialsError::Helper { program: format!("docker-credential-{name}"), reason }
}
