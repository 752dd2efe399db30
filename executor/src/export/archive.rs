//! Archives: one tar that is docker's and OCI's at once, or an OCI layout.

use std::io::{Read, Write};
use std::path::Path;

use gantry_cache::Store;
use gantry_image::archive::{
    SaveImage, SaveLayer, write_docker, write_oci_directory, write_oci_tar,
};
use gantry_image::{Descriptor, MediaType, Reference};

use super::{Assembled, ExportError};

/// Writes a docker archive that is an OCI layout too (A3-12).
pub(super) fn docker(
    store: &Store,
    image: &Assembled,
    names: Vec<Reference>,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    Ok(write_docker(&mut [save(store, image, names)], out)?)
}

/// Writes an OCI layout as a tar.
pub(super) fn oci(
    store: &Store,
    image: &Assembled,
    names: Vec<Reference>,
    out: &mut dyn Write,
) -> Result<(), ExportError> {
    Ok(write_oci_tar(&mut [save(store, image, names)], out)?)
}

/// Writes an OCI layout into a directory, or adds to the one that is there.
pub(super) fn oci_directory(
    store: &Store,
    image: &Assembled,
    names: Vec<Reference>,
    path: &Path,
) -> Result<(), ExportError> {
    super::dest::check_directory(path)?;
    Ok(write_oci_directory(&mut [save(store, image, names)], path)?)
}

fn save<'a>(store: &'a Store, image: &'a Assembled, names: Vec<Reference>) -> SaveImage<'a> {
    let layers = image.layers.iter().map(|layer| SaveLayer {
        descriptor: Descriptor::new(MediaType::OciLayer, layer.diff_id.0, layer.size),
        open: Box::new(move || {
            let reader: Box<dyn Read + 'a> = Box::new(layer.open(store)?);
            Ok(reader)
        }),
    });
    SaveImage {
        names,
        config: image.config.clone(),
        manifest: Some(image.manifest.clone()),
        layers: layers.collect(),
        annotations: Vec::new(),
        platform: Some(image.config.platform()),
    }
}
