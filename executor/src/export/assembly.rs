//! What an output writes: one image, or an index over one for each platform.

use gantry_cache::Store;
use gantry_image::{Descriptor, Digest, ImageIndex, MediaType, Platform, Raw};

use super::{Assembled, ExportError, Recipe, find_or_make};
use crate::image_options::{AnnotationPlace, ImageOptions};

/// The images of a build in one way of writing them, and the index over them.
#[derive(Debug)]
pub(crate) struct Assembly {
    /// One for each platform, in the order in which they were asked for; at least one.
    pub(crate) images: Vec<Assembled>,
    /// There if several platforms were asked for.
    pub(crate) index: Option<Raw<ImageIndex>>,
    /// Annotations of the index's entry in an OCI layout.
    pub(crate) annotations: Vec<(String, String)>,
}

impl Assembly {
    /// Finds or makes the images, one a recipe; an index over them if `indexed`.
    pub(crate) fn make(
        store: &Store,
        recipes: &[Recipe<'_>],
        indexed: bool,
        options: &ImageOptions,
    ) -> Result<Self, ExportError> {
        let images = recipes
            .iter()
            .map(|recipe| find_or_make(store, recipe))
            .collect::<Result<Vec<_>, _>>()?;
        let mut annotations = Vec::new();
        let index = match indexed {
            true => Some(index(&images, recipes, options)),
            false => None,
        };
        if let Some(index) = &index {
            store.blobs().put(index.bytes())?;
            annotations.extend(options.annotations_of(AnnotationPlace::IndexDescriptor, None));
        }
        Ok(Self { images, index, annotations })
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
            Some(index) => index.digest(),
            None => self.first()?.id(),
        })
    }
}

fn described(image: &Assembled) -> Descriptor {
    let manifest = &image.manifest;
    Descriptor::new(manifest.media_type(), manifest.digest(), manifest.size())
}

fn index(images: &[Assembled], recipes: &[Recipe<'_>], options: &ImageOptions) -> Raw<ImageIndex> {
    let entry = |(image, recipe): (&Assembled, &Recipe<'_>)| {
        let mut entry = described(image);
        entry.annotations.extend(image.annotations.iter().cloned());
        entry.platform = Some(recipe.platform.clone());
        entry
    };
    let entries = images.iter().zip(recipes).map(entry).collect();
    let mut index = ImageIndex::new(entries, options.docker_types);
    index.annotations.extend(options.annotations_of(AnnotationPlace::Index, None));
    Raw::write(index)
}
