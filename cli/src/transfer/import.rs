//! `import`: a tar of a root filesystem made into an image of one layer.

use std::io::Read;
use std::time::SystemTime;

use gantry_cache::{NewImage, Store};
use gantry_image::{
    Config, DateTime, Digest, History, ImageConfig, Platform, Raw, Reference, RootFs, compress,
};

use super::TransferError;
use super::layer::keep_tar;
use super::load::system_time;

/// What to make of a tar.
#[derive(Debug)]
pub(crate) struct Import<'a> {
    /// What the image gets besides its layer.
    pub(crate) config: Config,
    /// What its history says.
    pub(crate) message: &'a str,
    /// What it runs on.
    pub(crate) platform: Platform,
    /// What it is called.
    pub(crate) name: Option<&'a Reference>,
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
}

/// Imports a tar, compressed or not.
///
/// # Errors
/// [`TransferError`]; nothing is in the store then.
pub(crate) fn import(
    tar: impl Read + Send,
    what: &Import<'_>,
    store: &Store,
) -> Result<Digest, TransferError> {
    let work = store.work_dir()?;
    let (_, tar) = compress::reader(tar).map_err(TransferError::io("read the tar"))?;
    let layer = keep_tar(tar, "import", store, &work)?;
    let (diff_id, _) = store.layers().ensure_diff_id(&layer.id, None)?;
    let created = DateTime::from_unix(what.created, 0);
    let mut config = ImageConfig {
        created: Some(created.clone()),
        config: what.config.clone(),
        rootfs: RootFs { diff_ids: vec![diff_id], ..RootFs::default() },
        history: vec![History {
            created: Some(created.clone()),
            comment: what.message.to_owned(),
            ..History::default()
        }],
        ..ImageConfig::default()
    };
    config.set_platform(&what.platform);
    let config = Raw::write(config);
    let id = store.blobs().put(config.bytes())?;
    store.images().put(&NewImage {
        id,
        manifest: None,
        platform: &what.platform,
        layers: &[layer.id],
        size: layer.size,
        created: system_time(&created).or(Some(SystemTime::UNIX_EPOCH)),
    })?;
    if let Some(name) = what.name {
        store.images().tag(name, &id)?;
    }
    Ok(id)
}
