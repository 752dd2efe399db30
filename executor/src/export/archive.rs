//! Archives: one tar that is docker's and OCI's at once, or an OCI layout.

use std::path::Path;

use gantry_cache::Store;
use gantry_image::Reference;
use gantry_image::archive::{
    Output, SaveImage, SaveIndex, SaveLayer, write_docker, write_oci_directory, write_oci_tar,
};

use super::{Assembled, Assembly, ExportError, compress};

/// Writes a docker archive that is an OCI layout too (A3-12).
pub(super) fn docker(
    store: &Store,
    image: &Assembled,
    names: Vec<Reference>,
    out: &mut dyn Output,
) -> Result<(), ExportError> {
    Ok(write_docker(&[], &mut [save(store, image, names)], out)?)
}

/// Writes an OCI layout as a tar.
pub(super) fn oci(
    store: &Store,
    made: &Assembly,
    names: Vec<Reference>,
    out: &mut dyn Output,
) -> Result<(), ExportError> {
    let (indexes, mut images) = all(store, made, names)?;
    Ok(write_oci_tar(&indexes, &mut images, out)?)
}

/// Writes an OCI layout into a directory, or adds to the one that is there.
pub(super) fn oci_directory(
    store: &Store,
    made: &Assembly,
    names: Vec<Reference>,
    path: &Path,
) -> Result<(), ExportError> {
    super::dest::check_directory(path)?;
    let (indexes, mut images) = all(store, made, names)?;
    Ok(write_oci_directory(&indexes, &mut images, path)?)
}

/// What the names stand for: an index, with images that it lists, or the only image.
fn all<'a>(
    store: &'a Store,
    made: &'a Assembly,
    names: Vec<Reference>,
) -> Result<(Vec<SaveIndex>, Vec<SaveImage<'a>>), ExportError> {
    let Some(index) = made.index.clone() else {
        return Ok((Vec::new(), vec![save(store, made.first()?, names)]));
    };
    let (annotations, blobs) = (made.annotations.clone(), made.extra_bytes());
    let over = SaveIndex { names, index, shown: None, annotations, blobs };
    let images = made.images.iter().map(|image| save(store, image, Vec::new()));
    Ok((vec![over], images.collect()))
}

fn save<'a>(store: &'a Store, image: &'a Assembled, names: Vec<Reference>) -> SaveImage<'a> {
    let described = image.layers.iter().zip(&image.manifest.layers);
    let layers = described.map(|(layer, descriptor)| SaveLayer {
        descriptor: descriptor.clone(),
        open: Box::new(move || compress::bytes(store, layer, descriptor)),
        told: Box::new(|_| ()),
    });
    SaveImage {
        names,
        config: image.config.clone(),
        manifest: Some(image.manifest.clone()),
        layers: layers.collect(),
        annotations: image.annotations.clone(),
        platform: Some(image.config.platform()),
    }
}
