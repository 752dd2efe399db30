//! A cache inside of the image: `--cache-to type=inline`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantry_image::{Descriptor, Digest, MediaType};
use gantry_solver::{Snapshot, VertexId};

use super::CacheMode;
use super::export::Exporter;
use crate::export::ExportError;
use crate::work::layer_id;

/// The records for the config of the image that is made of `snapshot`, in base64; `None` if no
/// layer of the image was made by a step.
///
/// They depend on the steps alone, and on no time, so that the image stays the same.
///
/// # Errors
/// The store can't be read.
pub(crate) fn inline(
    exporter: &Exporter<'_>,
    target: VertexId,
    snapshot: &Snapshot,
) -> Result<Option<String>, ExportError> {
    // Records name layers by their place in the image; any name will do until then.
    let named =
        |id: &gantry_cache::LayerId| Ok(Descriptor::new(MediaType::OciLayer, Digest::of(&id.0), 0));
    let layers = snapshot.layers();
    let image = layers.iter().map(|layer| named(&layer_id(layer)));
    let image = image.collect::<Result<Vec<_>, ExportError>>()?;
    let writer = exporter.steps(CacheMode::Min, &[target], &mut |id| named(id))?;
    let records = writer.inline(&image);
    Ok((records != b"[]").then(|| STANDARD.encode(records)))
}
