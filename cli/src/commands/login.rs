//! `gantry login` and `gantry logout`: credentials for registries.

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use gantry_image::registry::credentials::{Credential, HUB_KEY, Kept, Secret, forget, keep};
use gantry_solver::CancelToken;

use super::Context;
use crate::args::Connection;
use crate::settings;
use crate::ui::{Failure, prompt};

/// How it is used where nobody types (E-23).
const IN_CI: &str = "\
In CI:
  GitHub:  echo \"$GITHUB_TOKEN\" | gantry login -u \"$GITHUB_ACTOR\" --password-stdin ghcr.io
  GitLab:  echo \"$CI_REGISTRY_PASSWORD\" | gantry login -u \"$CI_REGISTRY_USER\" --password-stdin \"$CI_REGISTRY\"
  Clouds:  name the helper (ecr-login, gcr, acr-env) in docker's config.json, under credHelpers; no login is needed";

/// Authenticate to a registry
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry login [OPTIONS] [SERVER]", after_help = IN_CI)]
pub(crate) struct LoginArgs {
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// Password or Personal Access Token (PAT)
    #[arg(short, long, value_name = "string")]
    password: Option<String>,
    /// Take the Password or Personal Access Token (PAT) from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Username
    #[arg(short, long, value_name = "string")]
    username: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Log out from a registry
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry logout [SERVER]")]
pub(crate) struct LogoutArgs {
    #[arg(value_name = "SERVER")]
    server: Option<String>,
    /// Path of the authentication file, in place of all others
    #[arg(long, value_name = "path")]
    authfile: Option<PathBuf>,
}

pub(crate) fn run(args: &LoginArgs, context: &Context) -> Result<ExitCode, Failure> {
    if args.password.is_some() && args.password_stdin {
        return Err(Failure::text(
            "conflicting options: cannot specify both --password and --password-stdin",
        ));
    }
    if args.password_stdin && args.username.is_none() {
        return Err(Failure::text("the --password-stdin option requires --username to be set"));
    }
    let registry = registry_of(args.server.as_deref());
    let credential = credential(args, &registry, context)?;
    let credential = context
        .registry_by(args.connection.over(settings::registry(), Some(&registry))?)
        .login(&registry, credential, &CancelToken::new())?;
    let path = login_file(args.connection.authfile.as_deref())?;
    let kept = keep(&path, &settings::credential_helpers(), &registry, &credential)?;
    if let Kept::File(path) = kept {
        context.ui.note(format_args!(
            "\nWARNING! Your credentials are stored unencrypted in '{}'.\n\
             Configure a credential helper to remove this warning. See\n\
             https://docs.docker.com/go/credential-store/\n",
            path.display()
        ));
    }
    context.ui.line("Login Succeeded")?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn logout(args: &LogoutArgs, context: &Context) -> Result<ExitCode, Failure> {
    let registry = registry_of(args.server.as_deref());
    let shown = if registry == "docker.io" { HUB_KEY } else { &registry };
    let known =
        forget(&login_file(args.authfile.as_deref())?, &settings::credential_helpers(), &registry)?;
    context.ui.line(match known {
        true => format!("Removing login credentials for {shown}"),
        false => format!("Not logged in to {shown}"),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn login_file(given: Option<&Path>) -> Result<PathBuf, Failure> {
    given.map_or_else(settings::login_file, |path| Ok(path.to_owned()))
}

/// Host and port of what the user calls a registry; Docker Hub where nothing is said.
fn registry_of(server: Option<&str>) -> String {
    let Some(server) = server.filter(|server| !server.is_empty()) else {
        return "docker.io".to_owned();
    };
    let bare = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://"));
    let host = bare.unwrap_or(server).split('/').next().unwrap_or_default();
    match host {
        "index.docker.io" | "registry-1.docker.io" | "docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

fn credential(args: &LoginArgs, registry: &str, context: &Context) -> Result<Credential, Failure> {
    let made = |username: String, password: &str| Credential::Password {
        username,
        password: Secret::new(password),
    };
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        context.ui.note("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        return Ok(made(username.clone(), password));
    }
    if let (Some(username), true) = (&args.username, args.password_stdin) {
        let mut password = String::new();
        io::stdin().lock().read_to_string(&mut password)?;
        let password = password.trim_end_matches(['\n', '\r']);
        if password.is_empty() {
            return Err(Failure::text("password is empty"));
        }
        return Ok(made(username.clone(), password));
    }
    if args.username.is_none()
        && args.password.is_none()
        && let Some(found) =
            args.connection.over(settings::registry(), None)?.credentials.find(registry, "")?
    {
        context.ui.line("Authenticating with existing credentials...")?;
        return Ok(found.credential);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::text("Cannot perform an interactive login from a non TTY device")
            .with_hint("Give `--username` and `--password-stdin`"));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None => prompt::ask("Username: ", true)?,
    };
    let password = match &args.password {
        Some(password) => password.clone(),
        None => prompt::ask("Password: ", false)?,
    };
    if username.is_empty() || password.is_empty() {
        return Err(Failure::text("username and password are required"));
    }
    Ok(made(username, &password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_registry() {
        for (server, registry) in [
            (None, "docker.io"),
            (Some(""), "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("http://localhost:5000/"), "localhost:5000"),
            (Some("ghcr.io"), "ghcr.io"),
            (Some("quay.io/team"), "quay.io"),
        ] {
            assert_eq!(registry_of(server), registry);
        }
    }
}
