//! Values of `run`'s flags that have parts.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use gantry_runtime::BindMount;
use gantry_sandbox::{ExtraHost, Resource, Rlimit};

use crate::commands::build::values as build;
use crate::ui::Failure;

/// Reads `-v source:target[:options]`.
///
/// # Errors
/// In docker's words, and for volumes with a name or without a source, which are not there yet.
pub(super) fn volume(text: &str) -> Result<BindMount, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [_] => {
            return Err(Failure::text(format_args!(
                "anonymous volumes such as `{text}` are not supported yet"
            ))
            .with_hint("Name a directory of the host: `-v /path/on/host:/path/inside`"));
        }
        [source, target] => (*source, *target, ""),
        [source, target, options] => (*source, *target, *options),
        _ => return Err(invalid(text, "too many colons")),
    };
    if source.is_empty() || target.is_empty() {
        return Err(invalid(text, "empty section between colons"));
    }
    if !source.starts_with('/') && !source.starts_with('.') {
        return Err(Failure::text(format_args!(
            "volumes with a name such as `{source}` are not supported yet"
        ))
        .with_hint(format!("For a directory here, write `-v ./{source}:{target}`")));
    }
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            // Labels of SELinux and hints for desktop machines; there is nothing to do for them.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            other => return Err(invalid(text, &format!("unknown option `{other}`"))),
        }
    }
    let source = absolute(Path::new(source))?;
    Ok(BindMount { source, target: inside(target)?, read_only, create: true })
}

/// What `--mount` asks for.
pub(super) enum Mount {
    Bind(BindMount),
    Tmpfs(String),
}

/// Reads `--mount type=bind,source=…,target=…[,readonly]`.
///
/// # Errors
/// Something is missing, unknown or not there yet.
pub(super) fn mount(text: &str) -> Result<Mount, Failure> {
    let (mut kind, mut source, mut target, mut read_only) = (None, None, None, false);
    for field in build::csv(text).map_err(Failure::usage)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
            None => (field, None),
        };
        match (key.as_str(), value) {
            ("type", value) => kind = value,
            ("source" | "src", value) => source = value,
            ("target" | "dst" | "destination", value) => target = value,
            ("readonly" | "ro", None) => read_only = true,
            ("readonly" | "ro", Some(value)) => read_only = matches!(value.as_str(), "1" | "true"),
            (key, _) => return Err(invalid_mount(text, &format!("unexpected key '{key}'"))),
        }
    }
    let target = target.ok_or_else(|| invalid_mount(text, "target is required"))?;
    match kind.as_deref() {
        Some("bind") => {
            let source = source.ok_or_else(|| invalid_mount(text, "source is required"))?;
            let source = absolute(Path::new(&source))?;
            Ok(Mount::Bind(BindMount {
                source,
                target: inside(&target)?,
                read_only,
                create: false,
            }))
        }
        Some("tmpfs") => Ok(Mount::Tmpfs(target)),
        Some("volume") | None => Err(invalid_mount(
            text,
            "volumes are not supported yet; say `type=bind` or `type=tmpfs`",
        )),
        Some(other) => Err(invalid_mount(text, &format!("unknown type `{other}`"))),
    }
}

/// Reads one `-e`: `K=V`, or `K` with the value that it has here; `None` if it has none.
pub(super) fn variable(text: &str) -> Option<String> {
    match text.split_once('=') {
        Some(_) => Some(text.to_owned()),
        None => Some(format!("{text}={}", std::env::var(text).ok()?)),
    }
}

/// Reads an `--env-file`: a variable a line, `#` begins a comment line.
///
/// # Errors
/// The file can't be read, or a name holds a space.
pub(super) fn env_file(path: &Path) -> Result<Vec<String>, Failure> {
    let text = fs_err::read_to_string(path)?;
    let mut variables = Vec::new();
    for line in text.lines().map(str::trim_start) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Failure::text(format_args!(
                "invalid environment variable `{line}` in `{}`",
                path.display()
            )));
        }
        variables.extend(variable(line));
    }
    Ok(variables)
}

/// Reads `--add-host`.
///
/// # Errors
/// `invalid host …`
pub(super) fn extra_hosts(text: &str) -> Result<Vec<ExtraHost>, Failure> {
    let host: build::ExtraHost = text.parse().map_err(Failure::usage)?;
    let read = |(name, address): (String, String)| {
        let address = match address.as_str() {
            "host-gateway" => None,
            address => Some(address.parse::<IpAddr>()?),
        };
        Ok(ExtraHost { name, address })
    };
    host.pairs().map(read).collect()
}

/// Reads `--ulimit`.
///
/// # Errors
/// In docker's words.
pub(super) fn rlimit(text: &str) -> Result<Rlimit, Failure> {
    let limit = build::parse_ulimit(text).map_err(Failure::usage)?;
    let resource = Resource::from_name(&limit.name)
        .ok_or_else(|| Failure::usage(format_args!("invalid ulimit type: {}", limit.name)))?;
    Ok(Rlimit { resource, soft: limit.soft, hard: limit.hard })
}

fn invalid(text: &str, why: &str) -> Failure {
    Failure::text(format_args!("invalid spec: {text}: {why}"))
}

fn invalid_mount(text: &str, why: &str) -> Failure {
    Failure::usage(format_args!("invalid argument \"{text}\" for \"--mount\" flag: {why}"))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    Ok(std::path::absolute(path)?)
}

fn inside(path: &str) -> Result<PathBuf, Failure> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    Err(Failure::text(format_args!("invalid mount path: '{path}' mount path must be absolute")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_directories_of_the_host() {
        let bind = volume("/a:/b:ro,z").unwrap();
        assert_eq!((bind.source, bind.target, bind.read_only), ("/a".into(), "/b".into(), true));
        assert!(volume("./a:/b").unwrap().source.is_absolute());
        for (bad, why) in [
            ("name:/b", "volumes with a name such as `name` are not supported yet"),
            ("/b", "anonymous volumes such as `/b` are not supported yet"),
            ("/a:b", "invalid mount path: 'b' mount path must be absolute"),
            (":/b", "invalid spec: :/b: empty section between colons"),
            ("/a:/b:rx", "invalid spec: /a:/b:rx: unknown option `rx`"),
        ] {
            assert_eq!(volume(bad).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn mounts_have_a_type() {
        assert!(matches!(mount("type=tmpfs,dst=/t"), Ok(Mount::Tmpfs(t)) if t == "/t"));
        assert!(
            matches!(mount("type=bind,src=/a,dst=/b,readonly"), Ok(Mount::Bind(b)) if b.read_only)
        );
        for bad in ["src=/a,dst=/b", "type=bind,dst=/b", "type=bind,src=/a", "type=x,dst=/b", "a=b"]
        {
            assert!(mount(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_variable_without_value_is_taken_from_here_or_left_out() {
        assert_eq!(variable("A=b=c"), Some("A=b=c".to_owned()));
        assert_eq!(variable("A="), Some("A=".to_owned()));
        assert_eq!(variable("SURELY_NOT_SET_HERE"), None);
    }
}
