//! Values of `build`'s flags that are more than a word: `K=V`, hosts, limits, secrets.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use gantry_executor::{OnFail, Secret};
use gantry_parser::go;
use gantry_solver::op::Ulimit;

/// `K=V`, or `K` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text, None),
        };
        if key.is_empty() {
            return Err(format!("invalid key-value pair: {text:?}"));
        }
        Ok(Self { key: key.to_owned(), value })
    }
}

/// `host:ip` or `host=ip`, or several addresses with commas between; each may stand in brackets, or
/// all be `host-gateway`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraHost {
    pub(crate) name: String,
    pub(crate) addresses: Vec<String>,
}

impl ExtraHost {
    /// A name and an address for each line of `/etc/hosts`.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.addresses.iter().map(|address| (self.name.clone(), address.clone()))
    }
}

impl FromStr for ExtraHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid host {text}");
        // `=` comes first, since an IPv6 address holds colons and a name holds neither.
        let pair = text.split_once('=').or_else(|| text.split_once(':'));
        let (name, address) = pair.ok_or_else(invalid)?;
        let bare = |text: &str| -> Result<String, String> {
            let inner = text.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(text);
            inner.parse::<IpAddr>().map(|_| inner.to_owned()).map_err(|_| invalid())
        };
        let addresses = match address {
            "host-gateway" => vec![address.to_owned()],
            addresses => addresses.split(',').map(bare).collect::<Result<_, _>>()?,
        };
        if name.is_empty() {
            return Err(invalid());
        }
        Ok(Self { name: name.to_owned(), addresses })
    }
}

/// Reads `--ulimit name=soft[:hard]`.
///
/// # Errors
/// In docker's words.
pub(crate) fn parse_ulimit(text: &str) -> Result<Ulimit, String> {
    let invalid = || format!("invalid ulimit argument: {text}");
    let (name, limits) = text.split_once('=').ok_or_else(invalid)?;
    let limit = |text: &str| match text {
        "-1" | "unlimited" => Ok(u64::MAX),
        number => number.parse().map_err(|_| invalid()),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (limit(soft)?, limit(hard)?),
        None => (limit(limits)?, limit(limits)?),
    };
    if name.is_empty() {
        return Err(invalid());
    }
    if soft > hard {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(Ulimit { name: name.to_lowercase(), soft, hard })
}

/// Reads a bool as Go's flags do.
///
/// # Errors
/// In Go's words.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    go::parse_bool(text)
        .ok_or_else(|| format!("strconv.ParseBool: parsing {}: invalid syntax", go::quote(text)))
}

/// Takes any path, an empty one too.
pub(crate) fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(|text| -> PathBuf { text.into() })
}

/// Reads `--pull`: docker's bool, or podman's policy.
///
/// # Errors
/// It is neither.
pub(crate) fn parse_pull(text: &str) -> Result<bool, String> {
    match text {
        "always" | "newer" => Ok(true),
        "missing" | "never" => Ok(false),
        other => parse_bool(other),
    }
}

/// `--on-fail-output type=local,src=/reports,dest=path` (F8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnFailSpec(pub(crate) OnFail);

impl FromStr for OnFailSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut tar, mut src, mut dest) = (None, None, None);
        for (key, value) in fields(text)? {
            match key.as_str() {
                "type" => {
                    tar = Some(match value.as_str() {
                        "local" => false,
                        "tar" => true,
                        other => return Err(format!("there are `local` and `tar`, not {other:?}")),
                    });
                }
                "src" | "source" => src = Some(value),
                "dest" => dest = Some(value),
                key => return Err(format!("unexpected key '{key}' in '{key}={value}'")),
            }
        }
        let tar = tar.ok_or("type is required for output")?;
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let src = given(src).ok_or("`src` says which files of the failed step are wanted")?;
        let dest = given(dest).ok_or("`dest` says where they go")?;
        Ok(Self(OnFail { src, dest: dest.into(), tar }))
    }
}

/// `--secret id=…[,src=…|,env=…]`: where a secret comes from. Read when a step wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretSource {
    pub(crate) id: String,
    from: From,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    File(PathBuf),
    Variable(String),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for (key, value) in fields(text)? {
            match key.as_str() {
                "id" => id = Some(value),
                "src" | "source" => file = Some(value),
                "env" => variable = Some(value),
                "type" if matches!(value.as_str(), "file" | "env") => kind = Some(value),
                "type" => return Err(format!("unsupported secret type {value:?}")),
                key => return Err(format!("unexpected key '{key}' in '{key}={value}'")),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or("secret missing ID")?;
        let from = match (kind.as_deref(), file, variable) {
            // With `type=env`, `src` is the variable.
            (Some("env"), Some(name), None) | (_, None, Some(name)) => From::Variable(name),
            (_, Some(path), _) => From::File(path.into()),
            (Some("env"), None, None) => From::Variable(id.clone()),
            (Some(_), None, None) => From::File(id.clone().into()),
            (None, None, None) if std::env::var_os(&id).is_some() => From::Variable(id.clone()),
            (None, None, None) => From::File(id.clone().into()),
        };
        Ok(Self { id, from })
    }
}

impl SecretSource {
    /// Looks whether the file is there; that one is empty or too large is told where it is used.
    ///
    /// # Errors
    /// In BuildKit's words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let From::File(path) = &self.from else { return Ok(()) };
        path.metadata().map(drop).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                _ => error.to_string(),
            };
            let path = path.display();
            format!("failed to stat {path}: stat {path}: {why}")
        })
    }

    /// The secret, to be fetched later.
    pub(crate) fn secret(&self) -> Secret {
        let from = self.from.clone();
        Secret::new(move || match &from {
            From::File(path) => fs_err::read(path),
            From::Variable(name) => {
                use std::os::unix::ffi::OsStringExt as _;
                let value = std::env::var_os(name).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::NotFound, format!("`{name}` is not set"))
                })?;
                Ok(value.into_vec())
            }
        })
    }
}

/// Reads `key=value,key=value`, where a field may stand in double quotes as CSV has it.
///
/// # Errors
/// A field without `=`, or a quote that isn't closed.
pub(crate) fn fields(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut fields = Vec::new();
    for field in csv(text)? {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
        fields.push((key.trim().to_lowercase(), value.to_owned()));
    }
    Ok(fields)
}

/// Splits a line of CSV.
pub(crate) fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    if quoted {
        return Err(format!("a quote isn't closed in `{text}`"));
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_in_both_forms() {
        let read = |text: &str| {
            text.parse::<ExtraHost>().map(|host| (host.name, host.addresses.join(" ")))
        };
        let host = |name: &str, address: &str| Ok((name.to_owned(), address.to_owned()));
        assert_eq!(read("a=1.2.3.4,[::1]"), host("a", "1.2.3.4 ::1"));
        assert_eq!(read("a:10.0.0.1"), host("a", "10.0.0.1"));
        assert_eq!(read("a=10.0.0.1"), host("a", "10.0.0.1"));
        assert_eq!(read("a:::1"), host("a", "::1"));
        assert_eq!(read("a=[::1]"), host("a", "::1"));
        assert_eq!(read("a:host-gateway"), host("a", "host-gateway"));
        assert_eq!(read("nonsense"), Err("invalid host nonsense".to_owned()));
        assert!(read("a:b").is_err() && read(":1.2.3.4").is_err());
    }

    #[test]
    fn ulimits_have_a_soft_and_a_hard_side() {
        let limit = |name: &str, soft, hard| Ok(Ulimit { name: name.to_owned(), soft, hard });
        assert_eq!(parse_ulimit("nofile=1024:2048"), limit("nofile", 1024, 2048));
        assert_eq!(parse_ulimit("core=-1"), limit("core", u64::MAX, u64::MAX));
        for bad in ["nofile", "nofile=x", "nofile=2:1", "=1"] {
            assert!(parse_ulimit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_variables() {
        let read = |text: &str| text.parse::<SecretSource>().map(|secret| secret.from);
        assert_eq!(read("id=a,src=/f"), Ok(From::File("/f".into())));
        assert_eq!(read("id=a,env=V"), Ok(From::Variable("V".into())));
        assert_eq!(read("type=env,id=a,src=V"), Ok(From::Variable("V".into())));
        assert_eq!(
            read("id=surely_not_a_variable"),
            Ok(From::File("surely_not_a_variable".into()))
        );
        assert_eq!(read("id=a,\"src=/with,comma\""), Ok(From::File("/with,comma".into())));
        assert_eq!(read("id=a,type=x"), Err("unsupported secret type \"x\"".to_owned()));
        assert!(read("src=/f").is_err() && read("id").is_err() && read("id=a,x=y").is_err());
    }
}
