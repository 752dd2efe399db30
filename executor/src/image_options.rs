//! What an image is to be like beyond what the Dockerfile says: its compression, its media types,
//! its annotations, and changes of its config.

use gantry_image::Platform;
use gantry_image::compress::Compression;

/// How an output writes an image. The default is what the store keeps: layers uncompressed, OCI's
/// media types, no annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageOptions {
    /// How layers are compressed; `None` leaves them as they are.
    pub compression: Option<LayerCompression>,
    /// Whether layers that are there compressed in another way are compressed anew.
    pub force_compression: bool,
    /// Whether the manifest has docker's media types instead of OCI's.
    pub docker_types: bool,
    /// Whether files keep their times although `SOURCE_DATE_EPOCH` is set
    /// (`rewrite-timestamp=false`).
    pub keep_times: bool,
    /// Names and values that say something about the image.
    pub annotations: Vec<Annotation>,
    /// How what is said about the image is attached to it.
    pub attestations: AttestationOptions,
}

/// How attestations are attached to an image, if there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttestationOptions {
    /// None are.
    pub none: bool,
    /// As OCI artifacts, which name the image as their subject (`oci-artifact`).
    pub artifact: bool,
    /// Whether also those for images in a store or a registry only; absent: if it is one
    /// (`attestation-inline`).
    pub inline: Option<bool>,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerCompression {
    /// [`Compression::None`], gzip or zstd.
    pub kind: Compression,
    /// 1 to 12 for gzip, 1 to 22 for zstd; the default if absent.
    pub level: Option<i32>,
}

/// An annotation and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// The document that has it.
    pub place: AnnotationPlace,
    /// Only for this platform's image; for all of them if absent.
    pub platform: Option<Platform>,
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// The document that has an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationPlace {
    /// The image's manifest.
    Manifest,
    /// The entry of the image in the index.
    ManifestDescriptor,
    /// The index.
    Index,
    /// The entry of the index in an OCI layout.
    IndexDescriptor,
}

impl AnnotationPlace {
    /// Says whether there has to be an index for it.
    pub fn is_of_index(self) -> bool {
        matches!(self, Self::Index | Self::IndexDescriptor)
    }
}

impl ImageOptions {
    /// The annotations of one place, for one platform where the place has one.
    pub(crate) fn annotations_of<'a>(
        &'a self,
        place: AnnotationPlace,
        platform: Option<&'a Platform>,
    ) -> impl Iterator<Item = (String, String)> + 'a {
        let wanted = move |annotation: &&Annotation| {
            annotation.place == place
                && annotation.platform.as_ref().is_none_or(|only| Some(only) == platform)
        };
        let pair = |annotation: &Annotation| (annotation.key.clone(), annotation.value.clone());
        self.annotations.iter().filter(wanted).map(pair)
    }
}

/// Changes of the image's config that no instruction of the Dockerfile asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// Variables that are set in the image, and not for the steps.
    pub env: Vec<(String, String)>,
    /// Variables that the image does not have, whoever set them.
    pub unset_env: Vec<String>,
    /// Labels that the image does not have, whoever set them.
    pub unset_labels: Vec<String>,
}

impl ConfigChanges {
    /// Makes the changes.
    pub(crate) fn apply(&self, config: &mut gantry_image::ImageConfig) {
        let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
        let config = &mut config.config;
        let gone = |variable: &String| self.unset_env.contains(&name(variable));
        config.env.retain(|variable| !gone(variable));
        for (key, value) in &self.env {
            let text = format!("{key}={value}");
            match config.env.iter_mut().find(|variable| name(variable) == *key) {
                Some(known) => *known = text,
                None => config.env.push(text),
            }
        }
        config.labels.retain(|label, _| !self.unset_labels.contains(label));
    }
}
