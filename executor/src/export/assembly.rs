//! What an output writes: one image, or an index over one for each platform.

use gantry_cache::Store;
use gantry_image::{Descriptor, Digest, ImageIndex, MediaType, Platform, Raw, Reference};

use super::{Assembled, ExportError, Recipe, find_or_make};
use crate::attest::{Attached, Predicate, Subject};
use crate::image_options::{AnnotationPlace, ImageOptions};

/// The images of a build in one way of writing them, and the index over them.
#[derive(Debug)]
pub(crate) struct Assembly {
    /// One for each platform, in the order in which they were asked for; at least one.
    pub(crate) images: Vec<Assembled>,
    /// There if several platforms were asked for, or something is said about an image.
    pub(crate) index: Option<Raw<ImageIndex>>,
    /// What is said about the images, in their order.
    pub(crate) attached: Vec<Attached>,
    /// Annotations of the index's entry in an OCI layout.
    pub(crate) annotations: Vec<(String, String)>,
}

impl Assembly {
    /// Finds or makes the images, one a recipe; an index over them if `indexed`, or if `say` has
    /// something to say about them.
    pub(crate) fn make(
        store: &Store,
        recipes: &[Recipe<'_>],
        indexed: bool,
        options: &ImageOptions,
        say: &Say<'_>,
    ) -> Result<Self, ExportError> {
        let images = recipes
            .iter()
            .map(|recipe| find_or_make(store, recipe))
            .collect::<Result<Vec<_>, _>>()?;
        let mut annotations = Vec::new();
        let mut attached = Vec::new();
        for (number, image) in images.iter().enumerate() {
            let said = say.predicates(number, image);
            if !said.is_empty() {
                attached.push(say.attached(&said, image, options.attestations.artifact));
            }
        }
        let index = match indexed || !attached.is_empty() {
            true => Some(index(&images, recipes, options, &attached)),
            false => None,
        };
        for attached in &attached {
            store.blobs().put(attached.manifest.bytes())?;
            for blob in &attached.blobs {
                store.blobs().put(&blob.bytes)?;
            }
        }
        if let Some(index) = &index {
            store.blobs().put(index.bytes())?;
            annotations.extend(options.annotations_of(AnnotationPlace::IndexDescriptor, None));
        }
        Ok(Self { images, index, attached, annotations })
    }

    /// The only image, or the first of several.
    pub(crate) fn first(&self) -> Result<&Assembled, ExportError> {
        let none = || ExportError::Image { what: "there is none".to_owned(), source: None };
        self.images.first().ok_or_else(none)
    }

    /// The image that names of the store stand for: the host's, else the first.
    pub(crate) fn named(&self) -> Result<&Assembled, ExportError> {
        let host = Platform::host();
        let ranked = self.images.iter().filter_map(|image| {
            let rank = host.rank(&image.config.platform())?;
            Some((rank, image))
        });
        match ranked.min_by_key(|(rank, _)| *rank) {
            Some((_, image)) => Ok(image),
            None => self.first(),
        }
    }

    /// What a reader of a registry or a layout would ask for.
    pub(crate) fn descriptor(&self) -> Result<Descriptor, ExportError> {
        Ok(match &self.index {
            Some(index) => {
                let kind = index.media_type.clone().unwrap_or(MediaType::OciIndex);
                Descriptor::new(kind, index.digest(), index.size())
            }
            None => described(self.first()?),
        })
    }

    /// How many bytes all layers have.
    pub(crate) fn size(&self) -> u64 {
        let layers = self.images.iter().flat_map(|image| &image.manifest.layers);
        layers.map(|layer| layer.size).sum()
    }

    /// The image ID; of an index, its digest.
    pub(crate) fn id(&self) -> Result<Digest, ExportError> {
        Ok(match &self.index {
            Some(index) if self.images.len() > 1 => index.digest(),
            _ => self.first()?.id(),
        })
    }

    /// Manifests and blobs that the index needs besides the images.
    pub(crate) fn extra_bytes(&self) -> Vec<Vec<u8>> {
        let bytes = |attached: &Attached| {
            let blobs = attached.blobs.iter().map(|blob| blob.bytes.clone());
            std::iter::once(attached.manifest.bytes().to_vec()).chain(blobs).collect::<Vec<_>>()
        };
        self.attached.iter().flat_map(bytes).collect()
    }
}

/// Says all there is to be said about one of several images.
type About<'a> = &'a dyn Fn(usize, &Assembled) -> Vec<Predicate>;

/// What is to be said about images, and under which names.
pub(crate) struct Say<'a> {
    pub(crate) names: &'a [Reference],
    pub(crate) about: Option<About<'a>>,
}

impl Say<'_> {
    fn predicates(&self, number: usize, image: &Assembled) -> Vec<Predicate> {
        self.about.map(|about| about(number, image)).unwrap_or_default()
    }

    fn attached(&self, said: &[Predicate], image: &Assembled, artifact: bool) -> Attached {
        let descriptor = described(image);
        let platform = image.config.platform().normalized();
        let subjects = Subject::of_image(self.names, &platform, &descriptor.digest);
        Attached::new(said, &descriptor, &subjects, artifact)
    }
}

fn described(image: &Assembled) -> Descriptor {
    let manifest = &image.manifest;
    Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
}

fn index(
    images: &[Assembled],
    recipes: &[Recipe<'_>],
    options: &ImageOptions,
    attached: &[Attached],
) -> Raw<ImageIndex> {
    let entry = |(image, recipe): (&Assembled, &Recipe<'_>)| {
        let mut entry = described(image);
        entry.annotations.extend(image.annotations.iter().cloned());
        entry.platform = Some(recipe.platform.clone());
        entry
    };
    let mut entries: Vec<Descriptor> = images.iter().zip(recipes).map(entry).collect();
    entries.extend(attached.iter().map(|attached| attached.entry.clone()));
    let mut index = ImageIndex::new(entries, options.docker_types);
    index.annotations.extend(options.annotations_of(AnnotationPlace::Index, None));
    Raw::write(index)
}
