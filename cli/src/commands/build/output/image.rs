//! The keys of outputs that are images: compression, media types, times.

use gantry_executor::{ImageOptions, LayerCompression};
use gantry_image::compress::Compression;

use super::spec::bool_of;

pub(super) const NO_ESTARGZ: &str = "compression=estargz is not supported; there are gzip, zstd \
                                     and uncompressed";

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ImageKeys {
    pub(super) options: ImageOptions,
    kind: Option<Compression>,
    level: Option<i32>,
    /// `source-date-epoch`, as typed.
    pub(super) epoch: Option<String>,
    /// What an image without a name is called, together with its digest.
    pub(super) dangling_prefix: Option<String>,
    /// Whether the image is also called by its digest.
    pub(super) canonical: bool,
    /// Whether the media types are OCI's, if that was said.
    oci_types: Option<bool>,
    /// BuildKit's behaviour of then that is wanted.
    compatibility: Option<u32>,
}

/// The first of BuildKit's versions of behaviour in which images have OCI's media types unless
/// something else is said.
const OCI_BY_DEFAULT: u32 = 30;

impl ImageKeys {
    /// Takes a key; returns whether it is one of these.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let bool = || bool_of(key, value);
        match key {
            "compression" => {
                self.kind = Some(match value {
                    "uncompressed" => Compression::None,
                    "gzip" => Compression::Gzip,
                    "zstd" => Compression::Zstd,
                    "estargz" => return Err(NO_ESTARGZ.to_owned()),
                    other => return Err(format!("unsupported compression type {other}")),
                });
            }
            "compression-level" => {
                let level = value.parse().map_err(|_| {
                    format!("non-integer value {value} specified for compression-level")
                })?;
                self.level = Some(level);
            }
            "force-compression" => self.options.force_compression = bool()?,
            "oci-mediatypes" => self.oci_types = Some(bool()?),
            "rewrite-timestamp" => self.options.keep_times = !bool()?,
            "source-date-epoch" => self.epoch = Some(value.to_owned()),
            "oci-artifact" => self.options.attestations.artifact = bool()?,
            "attestation-inline" => self.options.attestations.inline = Some(bool()?),
            // There are no foreign layers of our own making.
            "prefer-nondist-layers" => {
                bool()?;
            }
            "compatibility-version" => {
                let version = value.parse().ok().filter(|version| *version <= OCI_BY_DEFAULT);
                self.compatibility = Some(version.ok_or_else(|| format!("invalid {key}={value}"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts together what depends on several keys; `is_oci`: it is an output that was always OCI's.
    pub(super) fn finish(&mut self, is_oci: bool) -> Result<(), String> {
        let old = self.compatibility.is_some_and(|version| version < OCI_BY_DEFAULT);
        self.options.docker_types = !self.oci_types.unwrap_or(is_oci || !old);
        let kind = match (self.kind, self.level) {
            (None, None) => return Ok(()),
            // BuildKit's default, of which the level then is.
            (None, Some(_)) => Compression::Gzip,
            (Some(kind), _) => kind,
        };
        self.options.compression = Some(LayerCompression { kind, level: self.level });
        if kind == Compression::Zstd {
            // Docker's media types have none for it.
            self.options.docker_types = false;
        }
        Ok(())
    }
}
