//! Keys of AWS as its tools find them: in the environment, then in the files of `~/.aws`.
//!
//! Only keys that are written down somewhere. Roles, SSO, web identity, `credential_process` and the
//! metadata of instances are no part of it, which the error says.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use gantry_executor::S3Keys;
use gantry_image::registry::credentials::Secret;

use super::Variables;

type Section = BTreeMap<String, String>;

/// Ways to a key that a profile may ask for, and that are not gone here.
const OTHER_WAYS: [&str; 5] =
    ["role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file"];

/// Finds the key.
///
/// # Errors
/// There is none, or one that would have to be asked for; in words, with no secret.
pub(super) fn keys(
    variables: Variables<'_>,
    read: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<S3Keys, String> {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| variables(name).filter(|value| !value.is_empty()))
    };
    let id = first(&["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"]);
    let secret = first(&["AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"]);
    if let (Some(id), Some(secret)) = (id, secret) {
        let session = first(&["AWS_SESSION_TOKEN"]).map(Secret::new);
        return Ok(S3Keys { id, secret: Secret::new(secret), session });
    }
    let asked = first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
    let name = asked.clone().unwrap_or_else(|| "default".to_owned());
    let home = first(&["HOME"]).map(PathBuf::from);
    let file = |variable: &str, usual: &str| -> Option<PathBuf> {
        first(&[variable]).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(usual)))
    };
    let sections = |path: Option<PathBuf>| match path.map(|path| read(&path)) {
        Some(Ok(text)) => parse(&text),
        _ => BTreeMap::new(),
    };
    let config = sections(file("AWS_CONFIG_FILE", ".aws/config"));
    let credentials = sections(file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"));
    let of_config = config.get(&format!("profile {name}"));
    let of_config = of_config.or_else(|| config.get(&name).filter(|_| name == "default"));
    let of_credentials = credentials.get(&name);
    let mut profile: Section = of_config.cloned().unwrap_or_default();
    profile.extend(of_credentials.cloned().unwrap_or_default());
    if let Some(way) = OTHER_WAYS.iter().find(|way| profile.contains_key(**way)) {
        return Err(format!(
            "the AWS profile `{name}` asks for `{way}`, which is not supported: give an access key"
        ));
    }
    let mut value = |name: &str| profile.remove(name).filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (value("aws_access_key_id"), value("aws_secret_access_key")) {
        let session = value("aws_session_token").map(Secret::new);
        return Ok(S3Keys { id, secret: Secret::new(secret), session });
    }
    let missing = match (asked, of_config.is_some() || of_credentials.is_some()) {
        (Some(name), false) => format!(" (there is no profile `{name}`)"),
        _ => String::new(),
    };
    Err(format!(
        "there are no AWS credentials{missing}: neither access_key_id and secret_access_key, nor \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, nor a profile with a key; roles, SSO, web \
         identity and instance metadata are not supported"
    ))
}

/// Reads the sections of a file. What can't be understood is passed over, as the tools do.
fn parse(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        let nested = line.starts_with([' ', '\t']);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            name = Some(header.split_whitespace().collect::<Vec<_>>().join(" "));
        } else if let (Some(name), Some((key, value)), false) =
            (&name, line.split_once('='), nested)
        {
            // A comment begins with a mark after a space.
            let value = [" #", " ;"].iter().fold(value, |value, mark| {
                value.split_once(mark).map_or(value, |(value, _)| value)
            });
            let section = sections.entry(name.clone()).or_default();
            section.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = A\n\
        aws_secret_access_key=SECRET ; the key\n\n[ci]\naws_access_key_id=B\n\
        aws_secret_access_key=s+/=\naws_session_token = t\n";
    const CONFIG: &str = "[default]\nregion = r\n[profile role]\nrole_arn = arn:aws:iam::1:role/x\n\
        source_profile = default\n[profile here]\naws_access_key_id=C\naws_secret_access_key=c\n\
        s3 =\n  max_concurrent_requests = 20\n[here]\naws_access_key_id=wrong\n";

    fn find(variables: &[(&str, &str)]) -> Result<(String, String, Option<String>), String> {
        let variable = |name: &str| match variables.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Some((*value).to_owned()),
            None => (name == "HOME").then(|| "/h".to_owned()),
        };
        let read = |path: &Path| match path.to_str().unwrap() {
            "/h/.aws/credentials" => Ok(CREDENTIALS.to_owned()),
            "/h/.aws/config" | "/elsewhere" => Ok(CONFIG.to_owned()),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        let keys = keys(&variable, &read)?;
        let session = keys.session.map(|token| token.reveal().to_owned());
        Ok((keys.id, keys.secret.reveal().to_owned(), session))
    }

    #[test]
    fn keys_come_from_the_environment_then_from_files() {
        let key = |id: &str, secret: &str, session: Option<&str>| {
            Ok((id.to_owned(), secret.to_owned(), session.map(str::to_owned)))
        };
        let both = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e")];
        assert_eq!(find(&both), key("E", "e", None));
        assert_eq!(find(&[both[0], both[1], ("AWS_SESSION_TOKEN", "t")]), key("E", "e", Some("t")));
        // Half of one is none.
        assert_eq!(find(&both[..1]), key("A", "SECRET", None));
        assert_eq!(find(&[("AWS_PROFILE", "ci")]), key("B", "s+/=", Some("t")));
        assert_eq!(find(&[("AWS_PROFILE", "here")]), key("C", "c", None));
        let elsewhere = ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
        assert_eq!(find(&[("AWS_PROFILE", "here"), elsewhere]), key("C", "c", None));
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let error = find(&[("AWS_PROFILE", "role")]).unwrap_err();
        assert!(error.contains("profile `role` asks for `role_arn`, which is not supported"));
        let error = find(&[("AWS_PROFILE", "gone")]).unwrap_err();
        assert!(error.contains("(there is no profile `gone`)"), "{error}");
        let error = find(&[("HOME", "/other")]).unwrap_err();
        assert!(error.contains("web identity and instance metadata are not supported"), "{error}");
    }
}
