//! `--cache-from` and `--cache-to`, in buildx's words.

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
    specs.iter().map(|spec| spec.source().map_err(Failure::text)).collect()
}

/// Reads `--cache-to`; `inline` says that the build arguments ask for that.
///
/// # Errors
/// In BuildKit's words.
pub(crate) fn targets(specs: &[CacheSpec], inline: bool) -> Result<Targets, Failure> {
    let mut all = Targets { targets: Vec::new(), inline };
    for spec in specs {
        match spec.target().map_err(Failure::text)? {
            Some(target) => all.targets.push(target),
            None => all.inline = true,
        }
    }
    Ok(all)
}

impl CacheSpec {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
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

    fn source(&self) -> Result<CachePlace, String> {
        match self.kind.as_str() {
            "local" => {
                self.only(&["src", "tag", "digest"])?;
                let directory = self.get("src").ok_or("local cache importer requires src")?;
                let digest: Option<Digest> = match self.get("digest") {
                    Some(text) => Some(text.parse().map_err(|error| format!("{error}"))?),
                    None => None,
                };
                let tag = self.get("tag").unwrap_or("latest").to_owned();
                Ok(CachePlace::Local { directory: directory.into(), tag, digest })
            }
            "registry" => {
                self.only(&["ref"])?;
                Ok(CachePlace::Registry(self.reference("importer")?))
            }
            other => Err(unknown("importer", other)),
        }
    }

    /// `None` is the one inside of the image.
    fn target(&self) -> Result<Option<CacheTarget>, String> {
        const COMMON: [&str; 8] = [
            "mode",
            "image-manifest",
            "oci-mediatypes",
            "compression",
            "compression-level",
            "force-compression",
            "ignore-error",
            "ref",
        ];
        let place = match self.kind.as_str() {
            "inline" => {
                self.only(&["mode"])?;
                return match self.get("mode") {
                    None | Some("min") => Ok(None),
                    Some(mode) => Err(format!("inline cache does not support mode={mode}")),
                };
            }
            "local" => {
                self.only(&[&COMMON[..7], &["dest", "tag", "reset"]].concat())?;
                let directory = self.get("dest").ok_or("local cache exporter requires dest")?;
                let tag = self.get("tag").unwrap_or("latest").to_owned();
                CachePlace::Local { directory: directory.into(), tag, digest: None }
            }
            "registry" => {
                self.only(&COMMON)?;
                CachePlace::Registry(self.reference("exporter")?)
            }
            other => return Err(unknown("exporter", other)),
        };
        let mode = match self.get("mode") {
            None | Some("min") => CacheMode::Min,
            Some("max") => CacheMode::Max,
            Some(other) => return Err(format!("invalid cache mode {other:?}: min or max")),
        };
        let oci = self.flag("oci-mediatypes")?.unwrap_or(true);
        let image_manifest = self.flag("image-manifest")?.unwrap_or(oci);
        let form = match (image_manifest, oci) {
            (true, true) => CacheForm::ImageManifest,
            (true, false) => {
                return Err("image-manifest=true needs oci-mediatypes=true".to_owned());
            }
            (false, oci) => CacheForm::Index { docker: !oci },
        };
        Ok(Some(CacheTarget {
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
        }))
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
        "gha" | "s3" | "azblob" => {
            format!("cache {what} {kind:?} is not supported; there are registry, local and inline")
        }
        kind => format!("unknown cache {what}: {kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Option<CacheTarget>, String> {
        text.parse::<CacheSpec>()?.target()
    }

    #[test]
    fn a_reference_alone_is_a_registry() {
        let spec: CacheSpec = "example.com/a/b:cache".parse().unwrap();
        let reference = "example.com/a/b:cache".parse().unwrap();
        assert_eq!(spec.source(), Ok(CachePlace::Registry(reference)));
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
        let from = |text: &str| text.parse::<CacheSpec>().unwrap().source().unwrap_err();
        assert_eq!(from("type=local"), "local cache importer requires src");
        assert!(from("type=gha").contains("is not supported"));
    }
}
