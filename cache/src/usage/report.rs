//! What `du` says of a snapshot.

use std::time::SystemTime;

use super::snapshot::{ImageUsage, LayerUsage, Snapshot};
use super::{Kind, Usage};
use crate::StoreError;
use crate::db::from_millis;

/// What to call an image: its first name as users write it, or that of the image for another
/// platform that it stays with, or its short id.
pub(crate) fn image_title(image: &ImageUsage) -> String {
    let familiar = |name: &String| -> Option<String> {
        Some(name.parse::<gantry_image::Reference>().ok()?.familiar())
    };
    match image.names.first().or(image.within.as_ref()).and_then(familiar) {
        Some(name) => format!("image {name}"),
        None => format!("image {}", short(&image.id)),
    }
}

fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// What to call a layer.
pub(crate) fn layer_title(layer: &LayerUsage) -> String {
    let title = match &layer.text {
        Some(text) if !text.is_empty() => text,
        _ if layer.imported => "layer of an image",
        _ => "layer",
    };
    let end = if layer.elsewhere { ", not fetched" } else { "" };
    format!("{title}{end}")
}

/// The rows of `du`, the largest kinds of things first.
pub(super) fn usages(snapshot: &Snapshot) -> Result<Vec<Usage>, StoreError> {
    let time = |millis: i64| -> Option<SystemTime> { (millis != 0).then(|| from_millis(millis)) };
    let mut usages = Vec::new();
    for layer in &snapshot.layers {
        let used_by = snapshot.layer_used_by(&layer.id);
        usages.push(Usage {
            id: layer.id.to_string(),
            kind: Kind::Layer,
            description: layer_title(layer),
            size: layer.usage,
            created: time(layer.created),
            last_used: time(layer.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for blob in &snapshot.blobs {
        let used_by = snapshot.blob_used_by(blob);
        usages.push(Usage {
            id: blob.digest.clone(),
            kind: Kind::Blob,
            description: "blob".to_owned(),
            size: blob.size,
            created: time(blob.created),
            last_used: time(blob.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for image in &snapshot.images {
        let used_by = match image.names.is_empty() && image.within.is_none() {
            false => Some(image_title(image)),
            true => snapshot.pins.get(&("image".to_owned(), image.id.clone())).cloned(),
        };
        usages.push(Usage {
            id: image.id.clone(),
            kind: Kind::Image,
            description: image_title(image),
            size: 0,
            created: time(image.created),
            last_used: time(image.used),
            reclaimable: used_by.is_none(),
            used_by,
        });
    }
    for file in &snapshot.files {
        usages.push(Usage {
            id: file.name.clone(),
            kind: file.kind,
            description: file.description.clone(),
            size: file.size,
            created: time(file.created),
            last_used: time(file.used),
            reclaimable: file.used_by.is_none(),
            used_by: file.used_by.clone(),
        });
    }
    Ok(usages)
}
