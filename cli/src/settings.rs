//! What the command line, the environment and the user say together: where the store lies, what
//! time it is, how registries are to be talked to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gantry_image::registry::credentials::{AuthFiles, Helpers};
use gantry_image::registry::{Hosts, Proxies, Settings};

use crate::ui::Failure;

/// Finds the store's root.
///
/// `--root` and `GANTRY_ROOT` come as `given`. Else it is `/var/lib/gantry` for the real root, and
/// `$XDG_DATA_HOME/gantry` or `~/.local/share/gantry` for everybody else, which includes the root
/// of a user namespace: gantry itself re-executes into one, and must find the same store there.
///
/// # Errors
/// Neither `XDG_DATA_HOME` nor `HOME` says where the user's data are.
pub(crate) fn store_root(given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(root) = given {
        return Ok(root.to_owned());
    }
    if rustix::process::geteuid().is_root() && is_initial_user_namespace() {
        return Ok(PathBuf::from("/var/lib/gantry"));
    }
    user_data(std::env::var_os("XDG_DATA_HOME"), std::env::var_os("HOME")).ok_or_else(|| {
        Failure::text("Neither `XDG_DATA_HOME` nor `HOME` is set, so there is no place for a store")
            .with_hint("Name one with `--root` or `GANTRY_ROOT`")
    })
}

/// Reads `SOURCE_DATE_EPOCH`: the time that stands for now, in seconds since 1970.
///
/// # Errors
/// It is set and is no number.
pub(crate) fn source_date_epoch() -> Result<Option<i64>, Failure> {
    let Some(text) = source_date_epoch_text() else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Failure::text(format_args!(
            "`SOURCE_DATE_EPOCH` is `{text}`, which is no number of seconds"
        ))
    })
}

/// The variable that says which time stands for now.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Reads `SOURCE_DATE_EPOCH` as it is: for a build it may also name what has a time.
pub(crate) fn source_date_epoch_text() -> Option<String> {
    let text = std::env::var_os(SOURCE_DATE_EPOCH).filter(|text| !text.is_empty())?;
    Some(text.to_string_lossy().into_owned())
}

fn user_data(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    // A relative XDG directory is to be ignored, says the XDG base directory specification.
    let xdg = xdg.map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || home.map(PathBuf::from).filter(|path| path.is_absolute());
    xdg.or_else(|| Some(home()?.join(".local/share"))).map(|data| data.join("gantry"))
}

/// How to talk to registries: where credentials, certificates and mirrors are said, and which
/// proxies there are. Reads the environment and no file.
pub(crate) fn registry() -> Settings {
    let user = user_config();
    let below = |path: &str| user.as_ref().map(|config| config.join(path));
    let etc = |path: &str| Some(PathBuf::from("/etc").join(path));
    let list = |paths: [Option<PathBuf>; 4]| paths.into_iter().flatten().collect();
    let mut hosts = Hosts::default();
    hosts.certs_d = list([
        below("containers/certs.d"),
        below("docker/certs.d"),
        etc("containers/certs.d"),
        etc("docker/certs.d"),
    ]);
    hosts.registries_conf = list([
        std::env::var_os("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from),
        below("containers/registries.conf"),
        etc("containers/registries.conf"),
        None,
    ]);
    let buildkitd = "buildkit/buildkitd.toml";
    hosts.buildkitd = list([below(buildkitd), etc(buildkitd), None, None]);
    Settings {
        credentials: Arc::new(AuthFiles::new(auth_files(), credential_helpers())),
        proxies: Proxies {
            http: variable(["http_proxy", "HTTP_PROXY"]),
            https: variable(["https_proxy", "HTTPS_PROXY"]),
            none: variable(["no_proxy", "NO_PROXY"]),
        },
        hosts,
        ..Settings::default()
    }
}

/// Files that hold credentials, in the order in which they count (E-21).
pub(crate) fn auth_files() -> Vec<PathBuf> {
    let podman = match std::env::var_os("REGISTRY_AUTH_FILE").filter(|path| !path.is_empty()) {
        Some(path) => vec![PathBuf::from(path)],
        None => {
            let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            let dirs = runtime.into_iter().chain(user_config());
            dirs.map(|dir| dir.join("containers/auth.json")).collect()
        }
    };
    podman.into_iter().chain(docker_config().map(|dir| dir.join("config.json"))).collect()
}

/// The file that `login` writes to: podman's if it is named, else docker's.
///
/// # Errors
/// Neither `DOCKER_CONFIG` nor `HOME` says where that is.
pub(crate) fn login_file() -> Result<PathBuf, Failure> {
    if let Some(path) = std::env::var_os("REGISTRY_AUTH_FILE").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    docker_config().map(|dir| dir.join("config.json")).ok_or_else(|| {
        Failure::text("Neither `DOCKER_CONFIG` nor `HOME` is set, so there is no place for a login")
    })
}

/// Where programs called `docker-credential-…` are looked for.
pub(crate) fn credential_helpers() -> Helpers {
    let path = std::env::var_os("PATH").unwrap_or_default();
    Helpers { directories: std::env::split_paths(&path).collect(), ..Helpers::default() }
}

/// `$DOCKER_CONFIG`, or `~/.docker`.
fn docker_config() -> Option<PathBuf> {
    let given = std::env::var_os("DOCKER_CONFIG").filter(|path| !path.is_empty());
    given
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))
}

/// `$XDG_CONFIG_HOME`, or `~/.config`.
fn user_config() -> Option<PathBuf> {
    let xdg = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    xdg.filter(|path| path.is_absolute()).or_else(home)
}

/// The first of these variables that says something.
fn variable<const N: usize>(names: [&str; N]) -> Option<String> {
    names.into_iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

/// Whether user ids mean here what they mean to the kernel: one line that maps all of them.
fn is_initial_user_namespace() -> bool {
    fs_err::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_data_follow_xdg_and_fall_back_to_home() {
        let at = |xdg: Option<&str>, home: Option<&str>| {
            user_data(xdg.map(Into::into), home.map(Into::into))
        };
        assert_eq!(at(Some("/x"), Some("/h")), Some("/x/gantry".into()));
        assert_eq!(at(Some("relative"), Some("/h")), Some("/h/.local/share/gantry".into()));
        assert_eq!(at(None, Some("/h")), Some("/h/.local/share/gantry".into()));
        assert_eq!(at(None, None), None);
    }
}
