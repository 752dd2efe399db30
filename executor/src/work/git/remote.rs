//! Addresses of repositories: which may be connected to, and with which credentials (B6-24).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

use super::super::Executor;
use super::super::fault::Fault;
use super::super::http::refuse_literal;

/// A repository that may be connected to.
pub(super) struct Remote {
    /// Its address, without a password: goes into arguments, messages and a kept `.git`.
    pub(super) address: String,
    /// The value of the header `Authorization`, and the part of the address that it is for.
    pub(super) authorization: Option<(String, String)>,
    /// What no message may hold.
    pub(super) secrets: Vec<String>,
}

impl Remote {
    /// Reads an address, and fetches the secret that belongs to its host.
    pub(super) fn new(executor: &Executor, text: &str) -> Result<Self, Fault> {
        if text.starts_with('-') || text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(Fault::refused_with(
                format!("invalid git repository {text:?}"),
                "Write it like `https://host/path.git` or `git@host:path.git`",
            ));
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => Self::over_http(executor, text),
            Some("ssh" | "git") => {
                let mut url = parse(text)?;
                let secrets = url.password().map(decoded).into_iter().collect();
                let _ = url.set_password(None);
                Ok(Self { address: url.into(), authorization: None, secrets })
            }
            None if is_scp(text) => {
                Ok(Self { address: text.to_owned(), authorization: None, secrets: Vec::new() })
            }
            _ => Err(Fault::refused_with(
                format!("`{text}` can't be a git repository"),
                "Repositories are fetched over https, http, ssh and git",
            )),
        }
    }

    fn over_http(executor: &Executor, text: &str) -> Result<Self, Fault> {
        let mut url = parse(text)?;
        let password = url.password().map(decoded);
        let user = decoded(url.username());
        let (_, _) = (url.set_password(None), url.set_username(""));
        let mut secrets: Vec<String> = password.iter().cloned().collect();
        let value = match password {
            Some(password) => {
                Some(format!("basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            None if !user.is_empty() => {
                // A user alone is how tokens are often written.
                secrets.push(user.clone());
                Some(format!("basic {}", STANDARD.encode(format!("{user}:"))))
            }
            None => secret(executor, &url, &mut secrets)?,
        };
        let authorization = value.map(|value| {
            secrets.extend(value.rsplit(' ').next().map(str::to_owned));
            let mut origin = url.clone();
            origin.set_path("/");
            origin.set_query(None);
            origin.set_fragment(None);
            (value, origin.to_string())
        });
        Ok(Self { address: url.into(), authorization, secrets })
    }
}

/// `GIT_AUTH_HEADER[.host]` is the header's value, `GIT_AUTH_TOKEN[.host]` a token in it.
fn secret(
    executor: &Executor,
    url: &Url,
    secrets: &mut Vec<String>,
) -> Result<Option<String>, Fault> {
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    for suffix in [format!(".{authority}"), format!(".{host}"), String::new()] {
        for (kind, is_token) in [("GIT_AUTH_HEADER", false), ("GIT_AUTH_TOKEN", true)] {
            let id = format!("{kind}{suffix}");
            let Some(secret) = executor.secrets.get(&id) else { continue };
            let value = secret.fetch().map_err(Fault::io(format!("read the secret `{id}`")))?;
            let value = std::str::from_utf8(value.trim_ascii())
                .ok()
                .filter(|value| !value.is_empty() && !value.contains(char::is_control))
                .ok_or_else(|| {
                    Fault::refused_with(
                        format!("The secret `{id}` is no header value"),
                        "Give it without line ends, as it stands behind `Authorization:`",
                    )
                })?;
            secrets.push(value.to_owned());
            return Ok(Some(match is_token {
                true => format!("basic {}", STANDARD.encode(format!("x-access-token:{value}"))),
                false => value.to_owned(),
            }));
        }
    }
    Ok(None)
}

fn parse(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).ok().filter(|url| {
        url.host_str().is_some_and(|host| !host.is_empty() && !host.starts_with('-'))
            && !url.username().starts_with('-')
    });
    // Not quoted: it may hold a password.
    let url = url.ok_or_else(|| {
        Fault::refused_with(
            "The address of a git repository is no URL",
            "Write it like `https://host/path.git`",
        )
    })?;
    refuse_literal(&url)?;
    Ok(url)
}

/// `user@host:path`.
fn is_scp(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, path)| {
        host.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.starts_with('-') && !host.contains('/')
        }) && !path.is_empty()
    })
}

fn decoded(text: &str) -> String {
    let mut url = String::from("x://h/?x=");
    // A `+` is itself in this part of an address, unlike in a query.
    url.push_str(&text.replace('+', "%2B").replace('&', "%26"));
    let parsed = Url::parse(&url).ok();
    let value =
        parsed.and_then(|url| url.query_pairs().next().map(|(_, value)| value.into_owned()));
    value.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_options_are_none() {
        for bad in ["git@-oProxyCommand=x:y", "a/b:c", "@h:p", "u@:p", "u@h:", "u@h/x:p"] {
            assert!(!is_scp(bad), "{bad}");
        }
        assert!(is_scp("git@example.com:a/b.git"));
        assert!(parse("ssh://-oProxyCommand=x/y").is_err());
        assert!(parse("ssh://-o@host/y").is_err());
        assert!(parse("http://169.254.169.254/x.git").is_err());
    }

    #[test]
    fn passwords_are_decoded() {
        assert_eq!(decoded("a%40b+c"), "a@b+c");
    }
}
