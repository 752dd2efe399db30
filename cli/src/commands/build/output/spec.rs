//! An output as typed: `type=local,dest=path`, `-`, or a directory.

use std::str::FromStr;

use gantry_executor::Annotation;

use super::super::values::{csv, parse_bool};
use super::annotation;
use super::image::ImageKeys;

/// An output as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputSpec {
    pub(super) kind: Kind,
    pub(super) dest: Option<String>,
    pub(super) names: Vec<String>,
    pub(super) tar: bool,
    pub(super) push: bool,
    /// Without a tag.
    pub(super) push_by_digest: bool,
    /// The registry may have any certificate, or no TLS.
    pub(super) insecure: bool,
    /// Whether an image comes into the store.
    pub(super) store: bool,
    pub(super) split: Option<bool>,
    pub(super) delete: bool,
    /// What files of attestations are called.
    pub(super) prefix: String,
    pub(super) image: ImageKeys,
}

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Docker,
    Oci,
    Image,
    Local,
    Tar,
    CacheOnly,
}

impl OutputSpec {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            dest: None,
            names: Vec::new(),
            tar: true,
            push: false,
            push_by_digest: false,
            insecure: false,
            store: true,
            split: None,
            delete: false,
            prefix: String::new(),
            image: ImageKeys::default(),
        }
    }
}

impl FromStr for OutputSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields = csv(text)?;
        // `-o -` and `-o dir`: all that is neither a list nor begins with a type.
        if let [alone] = fields.as_slice()
            && alone == text
            && !alone.starts_with("type=")
            && (!alone.contains('=') || alone == "-")
        {
            let kind = if alone == "-" { Kind::Tar } else { Kind::Local };
            return Ok(Self { dest: Some(alone.clone()), ..Self::new(kind) });
        }
        let mut pairs = Vec::new();
        for field in &fields {
            let (key, value) =
                field.split_once('=').ok_or_else(|| format!("invalid value {field}"))?;
            pairs.push((key.trim().to_lowercase(), value.to_owned()));
        }
        let kind = pairs.iter().rev().find(|(key, _)| key == "type").map(|(_, value)| value);
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or("type is required for output")?;
        let mut spec = Self::new(parse_kind(kind)?);
        spec.push = kind == "registry";
        for (key, value) in &pairs {
            spec.set(key, value)?;
        }
        spec.image.finish(spec.kind == Kind::Oci)?;
        Ok(spec)
    }
}

impl OutputSpec {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let is_image = matches!(self.kind, Kind::Docker | Kind::Oci | Kind::Image);
        let bool = || bool_of(key, value);
        match (key, self.kind) {
            ("type", _) => {}
            ("dest", Kind::Docker | Kind::Oci | Kind::Local | Kind::Tar) => {
                self.dest = Some(value.to_owned());
            }
            ("name", _) if is_image => {
                self.names = value.split(',').map(str::to_owned).collect();
            }
            ("tar", Kind::Oci | Kind::Docker) => self.tar = bool()?,
            // Which engine the image is loaded into.
            ("context", Kind::Docker) if matches!(value, "" | "default") => {}
            ("push", Kind::Image) => self.push = bool()?,
            ("push-by-digest", Kind::Image) => self.push_by_digest = bool()?,
            ("registry.insecure", Kind::Image) => self.insecure = bool()?,
            // What a container needs of an image's layers is made when it needs it.
            ("unpack", Kind::Image) => {
                bool()?;
            }
            ("name-canonical", Kind::Image) => self.image.canonical = bool()?,
            ("store", Kind::Image) => self.store = bool()?,
            ("dangling-name-prefix", Kind::Image) => {
                self.image.dangling_prefix = Some(value.to_owned());
            }
            ("platform-split", Kind::Local | Kind::Tar) => self.split = Some(bool()?),
            ("attestation-prefix", Kind::Local | Kind::Tar) => value.clone_into(&mut self.prefix),
            ("mode", Kind::Local) => {
                self.delete = match value {
                    "copy" => false,
                    "delete" => true,
                    other => return Err(format!("invalid local exporter mode {other:?}")),
                };
            }
            _ if is_image && self.image.set(key, value)? => {}
            _ if is_image && key.starts_with("annotation") => {
                let annotation = annotation::of_key(key, value)?;
                self.image.options.annotations.push(annotation);
            }
            _ => return Err(format!("unsupported option `{key}={value}`")),
        }
        Ok(())
    }

    /// Adds what `--annotation` says to an image.
    pub(super) fn annotate(&mut self, annotations: &[Annotation]) {
        if matches!(self.kind, Kind::Docker | Kind::Oci | Kind::Image) {
            self.image.options.annotations.extend_from_slice(annotations);
        }
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    Ok(match text {
        "docker" => Kind::Docker,
        "oci" => Kind::Oci,
        "image" | "registry" => Kind::Image,
        "local" => Kind::Local,
        "tar" => Kind::Tar,
        "cacheonly" | "none" => Kind::CacheOnly,
        other => return Err(format!("exporter \"{other}\" could not be found")),
    })
}

/// Reads the bool of a key; without a value, it is true.
pub(super) fn bool_of(key: &str, value: &str) -> Result<bool, String> {
    if value.is_empty() {
        return Ok(true);
    }
    parse_bool(value).map_err(|err| format!("non-bool value specified for {key}: {err}"))
}

#[cfg(test)]
mod tests {
    use super::super::image::NO_ESTARGZ;
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
        check("type=local,dest=out,mode=delete,platform-split=false", Kind::Local, Some("out"));
        check("type=docker", Kind::Docker, None);
        check("type=oci,dest=a.tar,\"name=a,b:1\"", Kind::Oci, Some("a.tar"));
        check("type=image,push=false,name=x,unpack=true,oci-mediatypes=true", Kind::Image, None);
        check("type=registry,name=x", Kind::Image, None);
        check("type=cacheonly", Kind::CacheOnly, None);
    }

    #[test]
    fn mistakes_are_worded_as_buildx_words_them() {
        let error = |text: &str| text.parse::<OutputSpec>().unwrap_err();
        assert_eq!(error("dest=x"), "type is required for output");
        assert_eq!(error("type=tar,nonsense"), "invalid value nonsense");
        assert_eq!(error("type=zip"), "exporter \"zip\" could not be found");
        assert_eq!(error("type=tar,x=y"), "unsupported option `x=y`");
        assert_eq!(error("type=tar,compression=gzip"), "unsupported option `compression=gzip`");
        assert_eq!(error("type=local,mode=x"), "invalid local exporter mode \"x\"");
        assert_eq!(
            error("type=image,push=x"),
            "non-bool value specified for push: strconv.ParseBool: parsing \"x\": invalid syntax"
        );
        assert_eq!(error("type=oci,compression=lzma"), "unsupported compression type lzma");
        assert_eq!(error("type=oci,compression=estargz"), NO_ESTARGZ);
        assert_eq!(
            error("type=oci,compression=gzip,compression-level=x"),
            "non-integer value x specified for compression-level"
        );
    }
}
