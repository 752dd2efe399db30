//! `commit`: an image and a container's layer upon it made into another image.

use gantry_cache::{LayerId, NewImage, Store, StoreError};
use gantry_image::{
    Config, DateTime, DiffId, Digest, History, ImageConfig, ParseJsonError, Raw, Reference,
};
use gantry_runtime::Record;

use super::TransferError;
use super::change::changes_upon;
use super::load::system_time;

/// What to make an image of.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    /// The container.
    pub(crate) record: &'a Record,
    /// The layer that it wrote and the sum of its files' sizes; `None` if it wrote nothing.
    pub(crate) layer: Option<(LayerId, DiffId, u64)>,
    /// Instructions for the config.
    pub(crate) changes: &'a [String],
    /// Who made it.
    pub(crate) author: &'a str,
    /// What the history says.
    pub(crate) message: &'a str,
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
    /// What it is called.
    pub(crate) name: Option<&'a Reference>,
}

/// Makes the image: the container's image, a layer more, and the config that the container has.
///
/// # Errors
/// [`TransferError`]; there is no image then.
pub(crate) fn commit(what: &Commit<'_>, store: &Store) -> Result<Digest, TransferError> {
    /// No config comes near this.
    const LIMIT: u64 = 8 << 20;
    let parent = store.images().resolve(&what.record.image_id)?;
    let bytes = store.blobs().read(&parent.id, LIMIT)?;
    let bytes = bytes.ok_or(StoreError::BlobGone { digest: parent.id })?;
    let of_parent = |source: ParseJsonError| TransferError::Document {
        name: format!("config of the image `{}`", what.record.image),
        source,
    };
    let parent_config = Raw::<ImageConfig>::parse(bytes).map_err(of_parent)?;
    let parent_config = parent_config.value();
    let container: Config =
        what.record.config.clone().unwrap_or_else(|| parent_config.config.clone());
    let created = DateTime::from_unix(what.created, 0);
    let created_by = container.cmd.join(" ");
    let mut config = parent_config.clone();
    // They speak of the parent, and of how it was built.
    config.extra.clear();
    config.config = changes_upon(container, what.changes, &parent.platform)?;
    what.author.clone_into(&mut config.author);
    config.created = Some(created.clone());
    config.history.push(History {
        created: Some(created.clone()),
        created_by,
        author: what.author.to_owned(),
        comment: what.message.to_owned(),
        empty_layer: what.layer.is_none(),
    });
    let (mut layers, mut size) = (parent.layers.clone(), parent.size);
    if let Some((id, diff_id, bytes)) = what.layer {
        layers.push(id);
        config.rootfs.diff_ids.push(diff_id);
        size = size.saturating_add(bytes);
    }
    let config = Raw::write(config);
    let id = store.blobs().put(config.bytes())?;
    store.images().put(&NewImage {
        id,
        manifest: None,
        platform: &parent.platform,
        layers: &layers,
        size,
        created: system_time(&created),
    })?;
    if let Some(name) = what.name {
        store.images().tag(name, &id)?;
    }
    Ok(id)
}
