//! `--output`: what to make of a build's result, in buildx's words.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use gantry_executor::{Dest, Output};
use gantry_image::Reference;

use super::values::{csv, fields};
use crate::ui::Failure;

/// An output as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputSpec {
    kind: Kind,
    dest: Option<String>,
    names: Vec<String>,
    tar: bool,
}

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Docker,
    Oci,
    Image,
    Local,
    Tar,
    CacheOnly,
}

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `-o -` and `-o dir`, which a single field without `=` is.
        if let [alone] = csv(text)?.as_slice()
            && !alone.contains('=')
        {
            let kind = if alone == "-" { Kind::Tar } else { Kind::Local };
            return Ok(Self { kind, dest: Some(alone.clone()), names: vec![], tar: true });
        }
        let mut kind = None;
        let mut spec = Self { kind: Kind::CacheOnly, dest: None, names: vec![], tar: true };
        for (key, value) in fields(text)? {
            match key.as_str() {
                "type" => kind = Some(parse_kind(&value)?),
                "dest" => spec.dest = Some(value),
                "name" => spec.names = value.split(',').map(str::to_owned).collect(),
                "tar" => {
                    spec.tar = parse_bool(&value).ok_or_else(|| format!("invalid tar={value}"))?;
                }
                "push" if parse_bool(&value) == Some(false) => {}
                "push" => return Err("pushing to a registry is not supported yet".to_owned()),
                "compression" if value == "uncompressed" => {}
                key => return Err(format!("unsupported option `{key}={value}`")),
            }
        }
        spec.kind = kind.ok_or("type is required for output")?;
        Ok(spec)
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    Ok(match text {
        "docker" => Kind::Docker,
        "oci" => Kind::Oci,
        "image" => Kind::Image,
        "local" => Kind::Local,
        "tar" => Kind::Tar,
        "cacheonly" | "none" => Kind::CacheOnly,
        "registry" => return Err("pushing to a registry is not supported yet".to_owned()),
        other => return Err(format!("exporter \"{other}\" could not be found")),
    })
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// The outputs of a build, and what they mean for other flags.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) outputs: Vec<Output>,
    /// Names for the image in the store, besides `--tag`.
    pub(crate) names: Vec<Reference>,
    /// Whether one of them is nothing but files, which have no image ID.
    pub(crate) has_files: bool,
}

/// Makes outputs of what was asked for; of nothing, an image in the store.
///
/// # Errors
/// In buildx's words.
pub(crate) fn resolve(specs: &[OutputSpec]) -> Result<Outputs, Failure> {
    let mut resolved = Outputs { outputs: Vec::new(), names: Vec::new(), has_files: false };
    let mut to_stdout = 0;
    for spec in specs {
        let names = spec.names.iter().map(|name| super::parse_tag(name));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let mut stream = |what: &str| {
            let dest = stream(spec.dest.as_deref(), what)?;
            to_stdout += usize::from(matches!(dest, Dest::Writer(_)));
            Ok::<_, Failure>(dest)
        };
        match spec.kind {
            Kind::CacheOnly => {}
            Kind::Docker if spec.dest.is_some() => {
                let dest = stream("docker")?;
                resolved.outputs.push(Output::Docker { dest, names });
            }
            Kind::Docker | Kind::Image => {
                resolved.names.extend(names);
                resolved.outputs.push(Output::Store);
            }
            Kind::Oci if spec.tar => {
                let dest = stream("oci")?;
                resolved.outputs.push(Output::Oci { dest, tar: true, names });
            }
            Kind::Oci => {
                let dest = Dest::Directory(directory(spec.dest.as_deref(), "oci")?);
                resolved.outputs.push(Output::Oci { dest, tar: false, names });
            }
            Kind::Local => {
                resolved.has_files = true;
                let dest = directory(spec.dest.as_deref(), "local")?;
                resolved.outputs.push(Output::Local { dest });
            }
            Kind::Tar => {
                resolved.has_files = true;
                let dest = stream("tar")?;
                resolved.outputs.push(Output::Tar { dest });
            }
        }
    }
    if specs.is_empty() {
        resolved.outputs.push(Output::Store);
    }
    if to_stdout > 1 {
        return Err(Failure::text("multiple outputs configured to write to stdout"));
    }
    Ok(resolved)
}

/// A file, or stdout if that is no terminal.
fn stream(dest: Option<&str>, what: &str) -> Result<Dest, Failure> {
    match dest {
        None | Some("" | "-") if io::stdout().is_terminal() => Err(Failure::text(format_args!(
            "dest file is required for {what} exporter. refusing to write to console"
        ))),
        None | Some("" | "-") => Ok(Dest::Writer(Box::new(io::stdout()))),
        Some(path) if Path::new(path).is_dir() => {
            Err(Failure::text(format_args!("destination file {path} is a directory")))
        }
        Some(path) => Ok(Dest::File(path.into())),
    }
}

fn directory(dest: Option<&str>, what: &str) -> Result<PathBuf, Failure> {
    match dest {
        None | Some("") => Err(Failure::text(format_args!("dest is required for {what} exporter"))),
        Some(path) if Path::new(path).is_file() => {
            Err(Failure::text(format_args!("destination directory {path} is a file")))
        }
        Some(path) => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, kind: Kind, dest: Option<&str>) {
        let spec: OutputSpec = text.parse().unwrap();
        assert_eq!((spec.kind, spec.dest.as_deref()), (kind, dest), "{text}");
    }

    #[test]
    fn outputs_have_a_short_and_a_long_form() {
        check("-", Kind::Tar, Some("-"));
        check("out", Kind::Local, Some("out"));
        check("type=local,dest=out", Kind::Local, Some("out"));
        check("type=docker", Kind::Docker, None);
        check("type=oci,dest=a.tar,\"name=a,b:1\"", Kind::Oci, Some("a.tar"));
        check("type=image,push=false,name=x", Kind::Image, None);
        check("type=cacheonly", Kind::CacheOnly, None);
    }

    #[test]
    fn mistakes_are_worded_as_buildx_words_them() {
        let error = |text: &str| text.parse::<OutputSpec>().unwrap_err();
        assert_eq!(error("dest=x"), "type is required for output");
        assert_eq!(error("type=zip"), "exporter \"zip\" could not be found");
        assert_eq!(error("type=tar,x=y"), "unsupported option `x=y`");
        let resolved = |texts: &[&str]| {
            let specs: Vec<OutputSpec> = texts.iter().map(|text| text.parse().unwrap()).collect();
            resolve(&specs).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(resolved(&["type=local"]), "dest is required for local exporter");
        assert_eq!(
            resolved(&["type=local,dest=/bin/sh"]),
            "destination directory /bin/sh is a file"
        );
        assert_eq!(resolved(&["type=docker,dest=/tmp"]), "destination file /tmp is a directory");
    }
}
