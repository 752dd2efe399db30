//! `--cache-from` and `--cache-to`, in buildx's words.
//!
//! ```text
//! gha    type=gha: GitHub Actions
//! s3     type=s3: a bucket
//! aws    the keys for one
//! ```

mod aws;
mod gha;
mod s3;

use std::str::FromStr;

use gantry_executor::{
    CacheForm, CacheMode, CachePlace, CacheTarget, ImageOptions, LayerCompression,
};
use gantry_image::compress::Compression;
use gantry_image::{Digest, Reference};

use super::values::{csv, fields, parse_bool};
use crate::ui::Failure;

/// A cache as asked for: its type, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheSpec {
    kind: String,
    fields: Vec<(String, String)>,
}

impl FromStr for CacheSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A reference alone, or several of them.
        let all = csv(text)?;
        if let [reference] = all.as_slice()
            && !reference.contains('=')
        {
            let fields = vec![("ref".to_owned(), reference.clone())];
            return Ok(Self { kind: "registry".to_owned(), fields });
        }
        let mut kind = None;
        let mut rest = Vec::new();
        for (key, value) in fields(text)? {
            match key.as_str() {
                "type" => kind = Some(value),
                _ => rest.push((key, value)),
            }
        }
        let kind = kind.ok_or_else(|| format!("type required form> {text:?}"))?;
        Ok(Self { kind, fields: rest })
    }
}

/// Looks up a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is said of every cache that is written, and that BuildKit passes over in one that is read.
const EXPORTED: [&str; 7] = [
    "mode",
    "image-manifest",
    "oci-mediatypes",
    "compression",
    "compression-level",
    "force-compression",
    "ignore-error",
];

/// The caches that a build writes.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) targets: Vec<CacheTarget>,
    /// One of them is inside of the image.
    pub(crate) inline: bool,
}

/// Reads `--cache-from`.
///
/// # Errors
/// In BuildKit's words.
pub(crate) fn sources(specs: &[CacheSpec]) -> Result<Vec<CachePlace>, Failure> {
    let all = specs.iter().map(|spec| spec.source(&variable).map_err(Failure::text));
    all.filter_map(Result::transpose).collect()
}

/// Reads `--cache-to`; `inline` says that the build arguments ask for that.
///
/// # Errors
/// In BuildKit's words.
pub(crate) fn targets(specs: &[CacheSpec], inline: bool) -> Result<Targets, Failure> {
    let mut all = Targets { targets: Vec::new(), inline };
    for spec in specs {
        match spec.target(&variable).map_err(Failure::text)? {
            Target::Elsewhere(target) => all.targets.push(*target),
            Target::Inline => all.inline = true,
            Target::Nowhere => {}
        }
    }
    Ok(all)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a cache is written.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Elsewhere(Box<CacheTarget>),
    /// Inside of the image.
    Inline,
    /// It is for GitHub Actions, and this is another place.
    Nowhere,
}

impl CacheSpec {
    fn get(&self, name: &str) -> Option<&str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// The same, also where it is empty.
    fn given(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        let parse = |text| parse_bool(text).map_err(|_| format!("failed to parse {name}: {text}"));
        self.get(name).map(parse).transpose()
    }

    fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.fields.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(format!("unsupported option `{key}` of a {} cache", self.kind)),
            None => Ok(()),
        }
    }

    fn reference(&self, what: &str) -> Result<Reference, String> {
        let text = self.get("ref").ok_or_else(|| format!("registry cache {what} requires ref"))?;
        text.parse().map_err(|error| format!("invalid cache reference {text:?}: {error}"))
    }

    /// `None` is one for GitHub Actions, elsewhere.
    fn source(&self, variables: Variables<'_>) -> Result<Option<CachePlace>, String> {
        let place = match self.kind.as_str() {
            "local" => {
                self.only(&["src", "tag", "digest"])?;
                let directory = self.get("src").ok_or("local cache importer requires src")?;
                let digest: Option<Digest> = match self.get("digest") {
                    Some(text) => Some(text.parse().map_err(|error| format!("{error}"))?),
                    None => None,
                };
                let tag = self.get("tag").unwrap_or("latest").to_owned();
                CachePlace::Local { directory: directory.into(), tag, digest }
            }
            "registry" => {
                self.only(&["ref"])?;
                CachePlace::Registry(self.reference("importer")?)
            }
            "s3" => s3::place(self, variables)?,
            "gha" => return gha::place(self, variables),
            other => return Err(unknown("importer", other)),
        };
        Ok(Some(place))
    }

    fn target(&self, variables: Variables<'_>) -> Result<Target, String> {
        let place = match self.kind.as_str() {
            "inline" => {
                self.only(&["mode"])?;
                return match self.get("mode") {
                    None | Some("min") => Ok(Target::Inline),
                    Some(mode) => Err(format!("inline cache does not support mode={mode}")),
                };
            }
            "local" => {
                self.only(&[&EXPORTED[..], &["dest", "tag", "reset"]].concat())?;
                let directory = self.get("dest").ok_or("local cache exporter requires dest")?;
                let tag = self.get("tag").unwrap_or("latest").to_owned();
                CachePlace::Local { directory: directory.into(), tag, digest: None }
            }
            "registry" => {
                self.only(&[&EXPORTED[..], &["ref"]].concat())?;
                CachePlace::Registry(self.reference("exporter")?)
            }
            "s3" => s3::place(self, variables)?,
            "gha" => match gha::place(self, variables)? {
                Some(place) => place,
                None => return Ok(Target::Nowhere),
            },
            other => return Err(unknown("exporter", other)),
        };
        let mode = match self.get("mode") {
            None | Some("min") => CacheMode::Min,
            Some("max") => CacheMode::Max,
            Some(other) => return Err(format!("invalid cache mode {other:?}: min or max")),
        };
        let oci = self.flag("oci-mediatypes")?.unwrap_or(true);
        let image_manifest = self.flag("image-manifest")?.unwrap_or(oci);
        let alone = matches!(place, CachePlace::S3(_) | CachePlace::Gha(_));
        let form = match (image_manifest, oci) {
            (_, oci) if alone => CacheForm::Document { docker: !oci },
            (true, true) => CacheForm::ImageManifest,
            (true, false) => {
                return Err("image-manifest=true needs oci-mediatypes=true".to_owned());
            }
            (false, oci) => CacheForm::Index { docker: !oci },
        };
        Ok(Target::Elsewhere(Box::new(CacheTarget {
            place,
            mode,
            form,
            options: ImageOptions {
                compression: Some(self.compression()?),
                force_compression: self.flag("force-compression")?.unwrap_or(false),
                docker_types: !oci,
                ..ImageOptions::default()
            },
            ignore_error: self.flag("ignore-error")?.unwrap_or(true),
            reset: self.flag("reset")?.unwrap_or(false),
        })))
    }

    fn compression(&self) -> Result<LayerCompression, String> {
        let kind = match self.get("compression") {
            None | Some("gzip") => Compression::Gzip,
            Some("zstd") => Compression::Zstd,
            Some("uncompressed") => Compression::None,
            Some(other) => return Err(format!("unsupported compression type {other}")),
        };
        let level = self.get("compression-level").map(|text| {
            let wrong = |_| format!("non-integer value {text} specified for compression-level");
            text.parse::<i32>().map_err(wrong)
        });
        Ok(LayerCompression { kind, level: level.transpose()? })
    }
}

fn unknown(what: &str, kind: &str) -> String {
    match kind {
        "azblob" => format!(
            "cache {what} {kind:?} is not supported; there are registry, local, inline, gha and s3"
        ),
        kind => format!("unknown cache {what}: {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Option<CacheTarget>, String> {
        match text.parse::<CacheSpec>()?.target(&|_| None)? {
            Target::Elsewhere(target) => Ok(Some(*target)),
            Target::Inline | Target::Nowhere => Ok(None),
        }
    }

    #[test]
    fn a_reference_alone_is_a_registry() {
        let spec: CacheSpec = "example.com/a/b:cache".parse().unwrap();
        let reference = "example.com/a/b:cache".parse().unwrap();
        assert_eq!(spec.source(&|_| None), Ok(Some(CachePlace::Registry(reference))));
    }

    #[test]
    fn attributes_have_buildkits_defaults() {
        let made = target("type=local,dest=c,mode=max").unwrap().unwrap();
        assert_eq!((made.mode, made.form), (CacheMode::Max, CacheForm::ImageManifest));
        assert!(made.ignore_error);
        let made = target("type=registry,ref=a/b,oci-mediatypes=false,compression=zstd").unwrap();
        let made = made.unwrap();
        assert_eq!((made.mode, made.form), (CacheMode::Min, CacheForm::Index { docker: true }));
        assert_eq!(target("type=inline"), Ok(None));
    }

    #[test]
    fn documents_of_object_stores_are_alone() {
        for (text, docker) in
            [("", false), (",image-manifest=true", false), (",oci-mediatypes=0", true)]
        {
            let made = target(&format!("type=s3,bucket=b,region=r{text}")).unwrap().unwrap();
            assert_eq!(made.form, CacheForm::Document { docker });
        }
        assert_eq!(target("type=gha,mode=max"), Ok(None));
    }

    #[test]
    fn mistakes_are_worded_as_buildkit_words_them() {
        for (text, error) in [
            ("dest=x", "type required form> \"dest=x\""),
            ("type=local", "local cache exporter requires dest"),
            ("type=registry", "registry cache exporter requires ref"),
            ("type=zip", "unknown cache exporter: \"zip\""),
            ("type=local,dest=x,mode=some", "invalid cache mode \"some\": min or max"),
            ("type=local,dest=x,y=z", "unsupported option `y` of a local cache"),
            ("type=inline,mode=max", "inline cache does not support mode=max"),
        ] {
            assert_eq!(target(text), Err(error.to_owned()), "{text}");
        }
        let from = |text: &str| text.parse::<CacheSpec>().unwrap().source(&|_| None).unwrap_err();
        assert_eq!(from("type=local"), "local cache importer requires src");
        assert!(from("type=azblob").contains("is not supported"));
    }
}
