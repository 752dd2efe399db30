//! Media types: the one table of what a blob is.
//!
//! An own enum and not oci-spec's: that one knows neither docker's types nor which docker type
//! means the same as which OCI type, so each user of it would compare strings. Unknown types are
//! kept as text and written back as they were.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::compress::Compression;

/// What a descriptor's `mediaType` says; features E-01 to E-04 and E-10.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table below says what each is")]
pub enum MediaType {
    OciManifest,
    OciIndex,
    OciConfig,
    OciLayer,
    OciLayerGzip,
    OciLayerZstd,
    OciForeignLayer,
    OciForeignLayerGzip,
    OciForeignLayerZstd,
    OciEmpty,
    DockerManifest,
    DockerList,
    DockerConfig,
    DockerLayer,
    DockerLayerGzip,
    DockerLayerZstd,
    DockerForeignLayer,
    DockerForeignLayerGzip,
    /// The schema 1 manifests, which are refused (E-03).
    DockerSchema1,
    DockerSchema1Signed,
    InToto,
    /// Anything else, as written.
    Other(String),
}

use MediaType as M;

const TABLE: &[(MediaType, &str)] = &[
    (M::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
    (M::OciIndex, "application/vnd.oci.image.index.v1+json"),
    (M::OciConfig, "application/vnd.oci.image.config.v1+json"),
    (M::OciLayer, "application/vnd.oci.image.layer.v1.tar"),
    (M::OciLayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (M::OciLayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (M::OciForeignLayer, "application/vnd.oci.image.layer.nondistributable.v1.tar"),
    (M::OciForeignLayerGzip, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    (M::OciForeignLayerZstd, "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
    (M::OciEmpty, "application/vnd.oci.empty.v1+json"),
    (M::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (M::DockerList, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (M::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (M::DockerLayer, "application/vnd.docker.image.rootfs.diff.tar"),
    (M::DockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (M::DockerLayerZstd, "application/vnd.docker.image.rootfs.diff.tar.zstd"),
    (M::DockerForeignLayer, "application/vnd.docker.image.rootfs.foreign.diff.tar"),
    (M::DockerForeignLayerGzip, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    (M::DockerSchema1, "application/vnd.docker.distribution.manifest.v1+json"),
    (M::DockerSchema1Signed, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
    (M::InToto, "application/vnd.in-toto+json"),
];

impl MediaType {
    /// Reads a media type; parameters (`; charset=utf-8`) are no part of it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default().trim();
        let known = TABLE.iter().find(|(_, name)| *name == essence);
        known.map_or_else(|| Self::Other(essence.to_owned()), |(known, _)| known.clone())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::Other(text) = self {
            return text;
        }
        TABLE.iter().find(|(known, _)| known == self).map_or("", |(_, name)| name)
    }

    /// Is it an image manifest that can be read?
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// Is it an index, or docker's manifest list?
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerList)
    }

    /// Is it a schema 1 manifest?
    #[must_use]
    pub fn is_schema1(&self) -> bool {
        matches!(self, Self::DockerSchema1 | Self::DockerSchema1Signed)
    }

    /// Is it an image config?
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self, Self::OciConfig | Self::DockerConfig)
    }

    /// Is it a layer that is fetched by its `urls` and not pushed?
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::OciForeignLayer
                | Self::OciForeignLayerGzip
                | Self::OciForeignLayerZstd
                | Self::DockerForeignLayer
                | Self::DockerForeignLayerGzip
        )
    }

    /// Is it a layer in one of the forms of the table?
    #[must_use]
    pub fn is_layer(&self) -> bool {
        self.layer_compression().is_some()
    }

    /// Returns how a layer of this type is compressed, or `None` if it is no layer.
    ///
    /// Only a promise: docker has written gzip under the uncompressed type, so readers sniff.
    #[must_use]
    pub fn layer_compression(&self) -> Option<Compression> {
        Some(match self {
            Self::OciLayer
            | Self::OciForeignLayer
            | Self::DockerLayer
            | Self::DockerForeignLayer => Compression::None,
            Self::OciLayerGzip
            | Self::OciForeignLayerGzip
            | Self::DockerLayerGzip
            | Self::DockerForeignLayerGzip => Compression::Gzip,
            Self::OciLayerZstd | Self::OciForeignLayerZstd | Self::DockerLayerZstd => {
                Compression::Zstd
            }
            _ => return None,
        })
    }

    /// Returns the layer type for a compression, or `None` where no type is registered for it.
    #[must_use]
    pub fn layer(compression: Compression, docker: bool) -> Option<Self> {
        Some(match (compression, docker) {
            (Compression::None, false) => Self::OciLayer,
            (Compression::Gzip, false) => Self::OciLayerGzip,
            (Compression::Zstd, false) => Self::OciLayerZstd,
            (Compression::None, true) => Self::DockerLayer,
            (Compression::Gzip, true) => Self::DockerLayerGzip,
            (Compression::Zstd, true) => Self::DockerLayerZstd,
            (Compression::Bzip2 | Compression::Xz, _) => return None,
        })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(&std::borrow::Cow::<'de, str>::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_goes_both_ways() {
        for (known, name) in TABLE {
            assert_eq!(&MediaType::new(name), known);
            assert_eq!(known.as_str(), *name);
        }
        assert_eq!(MediaType::new("x/y; q=1"), MediaType::Other("x/y".into()));
    }
}
