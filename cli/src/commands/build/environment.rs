//! What the environment adds to a build: labels of the git repository (`BUILDX_GIT_LABELS`), and
//! the proxies of docker's configuration (C8-14, B7-16).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::values::parse_bool;
use crate::ui::Failure;

/// Whether a variable says yes, in one of the forms that Go reads.
pub(super) fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| parse_bool(&value) == Ok(true))
}

/// The labels that `BUILDX_GIT_LABELS` asks for. A context that is in no repository has none.
pub(super) fn git_labels(context: &str, dockerfile: Option<&str>) -> Vec<(String, String)> {
    let asked = std::env::var("BUILDX_GIT_LABELS").unwrap_or_default();
    if asked != "full" && parse_bool(&asked) != Ok(true) {
        return Vec::new();
    }
    of_git(context, dockerfile)
}

/// What a provenance says of the repository that a context is in, unless `BUILDX_GIT_INFO` says no.
pub(super) fn git_info(context: &str, dockerfile: Option<&str>) -> BTreeMap<String, String> {
    let asked = std::env::var("BUILDX_GIT_INFO").unwrap_or_default();
    if parse_bool(&asked) == Ok(false) {
        return BTreeMap::new();
    }
    let known = of_git(context, dockerfile).into_iter();
    let hint = |(label, value): (String, String)| match label.rsplit_once('.') {
        Some((_, name @ ("revision" | "source"))) => Some((name.to_owned(), value)),
        _ => None,
    };
    known.filter_map(hint).collect()
}

fn of_git(context: &str, dockerfile: Option<&str>) -> Vec<(String, String)> {
    let Ok(context) = fs_err::canonicalize(context) else { return Vec::new() };
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&context).args(args).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        Some(text)
    };
    let told = |args: &[&str]| git(args).filter(|text| !text.is_empty());
    let mut labels = Vec::new();
    let mut add = |name: &str, value: String| labels.push((name.to_owned(), value));
    if let Some(mut revision) = told(&["rev-parse", "HEAD"]) {
        let look = is_set("BUILDX_GIT_CHECK_DIRTY");
        if look && told(&["status", "--porcelain", "--ignored=no"]).is_some() {
            revision.push_str("-dirty");
        }
        add("org.opencontainers.image.revision", revision);
    }
    let remote = || told(&["remote", "get-url", "upstream"]);
    if let Some(source) = told(&["remote", "get-url", "origin"]).or_else(remote) {
        add("org.opencontainers.image.source", without_password(&source));
    }
    if let Some(root) = told(&["rev-parse", "--show-toplevel"]) {
        let path = dockerfile.map_or_else(|| context.join("Dockerfile"), PathBuf::from);
        let path = fs_err::canonicalize(path).ok();
        let below = path.as_deref().and_then(|path| path.strip_prefix(&root).ok());
        if let Some(path) = below.and_then(Path::to_str) {
            add("com.docker.image.source.entrypoint", path.to_owned());
        }
    }
    labels
}

/// Refuses to build without the source policy that `EXPERIMENTAL_BUILDKIT_SOURCE_POLICY` names: it
/// would forbid what is used then.
pub(super) fn refuse_policy() -> Result<(), Failure> {
    const NAME: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";
    match std::env::var_os(NAME).filter(|path| !path.is_empty()) {
        Some(_) => {
            Err(Failure::text(format_args!("{NAME} is set, and there are no source policies"))
                .with_hint("Unset it to build without one"))
        }
        None => Ok(()),
    }
}

/// The address without what stands before its host.
fn without_password(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.find('/').unwrap_or(rest.len());
            let begin = rest[..host].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[begin..])
        }
        None => address.to_owned(),
    }
}

/// The part of docker's `config.json` that is about proxies.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    proxies: BTreeMap<String, Proxies>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Proxies {
    http_proxy: Option<String>,
    https_proxy: Option<String>,
    ftp_proxy: Option<String>,
    no_proxy: Option<String>,
    all_proxy: Option<String>,
}

/// The build arguments that docker's configuration asks for, in both spellings. A configuration
/// that can't be read has none: it is docker's, and not this build's, to complain of.
pub(super) fn proxies() -> Vec<(String, String)> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
        Some(PathBuf::from(home).join(".docker"))
    });
    let Some(directory) = directory else { return Vec::new() };
    let text = fs_err::read(directory.join("config.json")).unwrap_or_default();
    of_config(&text)
}

fn of_config(text: &[u8]) -> Vec<(String, String)> {
    let config: Config = serde_json::from_slice(text).unwrap_or_default();
    let Some(proxies) = config.proxies.get("default") else { return Vec::new() };
    let all = [
        ("HTTP_PROXY", &proxies.http_proxy),
        ("HTTPS_PROXY", &proxies.https_proxy),
        ("FTP_PROXY", &proxies.ftp_proxy),
        ("NO_PROXY", &proxies.no_proxy),
        ("ALL_PROXY", &proxies.all_proxy),
    ];
    let mut args = Vec::new();
    for (name, value) in all {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            args.push((name.to_owned(), value.clone()));
            args.push((name.to_lowercase(), value.clone()));
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_of_the_configuration_are_arguments_in_both_spellings() {
        let text = br#"{"auths": {}, "proxies": {"default": {"httpProxy": "http://p:1",
            "noProxy": "a,b", "httpsProxy": ""}, "tcp://x": {"ftpProxy": "y"}}}"#;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of_config(text),
            [
                pair("HTTP_PROXY", "http://p:1"),
                pair("http_proxy", "http://p:1"),
                pair("NO_PROXY", "a,b"),
                pair("no_proxy", "a,b"),
            ]
        );
        for nothing in [&b""[..], b"{}", b"nonsense", br#"{"proxies": 1}"#] {
            assert_eq!(of_config(nothing), []);
        }
    }

    #[test]
    fn addresses_lose_their_passwords() {
        assert_eq!(without_password("https://u:p@h/r.git"), "https://h/r.git");
        assert_eq!(without_password("https://h/a@b"), "https://h/a@b");
        assert_eq!(without_password("git@h:r.git"), "git@h:r.git");
    }
}
