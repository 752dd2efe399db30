//! Resolving: from the name of an image to its config and its layers in the store.
//!
//! An image of the store comes first, as with docker; `--pull`, and what isn't there, asks the
//! registry, and what comes from there is an image of the store from then on.

mod remote;
mod time;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_cache::{Image, Store, StoreError};
use gantry_image::archive::{Archive, ArchivedImage, DirectorySpool};
use gantry_image::compress::{self, Compression};
use gantry_image::{Digest, ImageConfig, MediaType, Platform, Raw, Reference};
use gantry_solver::{
    BoxFuture, Dated, ImageName, ImageRequest, Resolve, ResolveError, ResolvedImage,
};

use crate::store::StepStore;
use crate::work::layer_ref;

/// Image configs larger than this are refused.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Fewer digits of an image ID could be a name.
const SHORTEST_ID: usize = 12;

pub(crate) use self::remote::Remote;
pub(crate) use self::time::Times;

/// What follows `oci-layout://`.
const LAYOUT: &str = "Name the directory that holds `index.json`, maybe with `:tag` or `@digest`";

/// Resolves names for one build.
pub(crate) struct Resolver {
    pub(crate) store: Store,
    pub(crate) steps: Arc<StepStore>,
    /// `None`: there is nothing but this machine.
    pub(crate) remote: Option<Arc<Remote>>,
    /// Ask the registry although the store has it (`--pull`).
    pub(crate) pull: bool,
    /// Finds out the times of sources.
    pub(crate) times: Times,
}

impl Resolve for Resolver {
    fn image<'a>(
        &'a self,
        request: &'a ImageRequest,
    ) -> BoxFuture<'a, Result<ResolvedImage, ResolveError>> {
        Box::pin(async move {
            match &request.name {
                ImageName::Reference(text) => self.reference(text, &request.platform).await,
                // It is on this machine, so there is nothing to await.
                ImageName::OciLayout(text) => self.layout(text, &request.platform),
            }
        })
    }

    fn time<'a>(&'a self, source: &'a Dated) -> BoxFuture<'a, Result<Option<i64>, ResolveError>> {
        Box::pin(self.times.of(source))
    }
}

impl Resolver {
    /// Says whether an image was not fetched because this process can't unpack one.
    pub(crate) fn needs_user_namespace(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.needs_user_namespace())
    }

    async fn reference(
        &self,
        text: &str,
        platform: &Platform,
    ) -> Result<ResolvedImage, ResolveError> {
        let remote = self.remote.as_ref().zip(text.parse::<Reference>().ok());
        let mut image = match &remote {
            // An image that is known by its ID alone is in no registry.
            Some(_) if self.pull && !self.is_id(text) => None,
            _ => self.local(text)?,
        };
        let mut other = image.take_if(|image| !platform.matches(&image.platform));
        if other.as_ref().is_some_and(|other| other.list.is_some()) {
            // The name stands for several, and one of them may be the right one.
            image = self.store.images().resolve_for(text, Some(platform)).ok();
        }
        if image.is_none()
            && let Some((remote, name)) = remote
        {
            let name = name.with_default_tag();
            image = match self.pull {
                true => None,
                false => remote::known(&self.store, &name, platform)
                    .map_err(failed("could not be looked up in the store"))?,
            };
            if image.is_none() {
                image = match remote.pull(name, platform.clone()).await {
                    Ok(pulled) => Some(pulled),
                    Err(_)
                        if !self.needs_user_namespace() && other.as_ref().is_some_and(is_own) =>
                    {
                        None
                    }
                    Err(error) => {
                        let hint = match &other {
                            Some(other) => {
                                error.hint.or_else(|| Some(self.there_for(text, other, platform)))
                            }
                            None => self.meant(text).or(error.hint),
                        };
                        return Err(ResolveError { hint, ..error });
                    }
                };
            }
        }
        // The only image of this name may be for another platform; a check warns of that.
        let image = image.or_else(|| other.take_if(|image| is_own(image)));
        let Some(image) = image else {
            return Err(match other {
                Some(other) => ResolveError {
                    message: "no match for platform in manifest".to_owned(),
                    source: None,
                    hint: Some(self.there_for(text, &other, platform)),
                },
                None => self.unknown(text),
            });
        };
        let kept = self.steps.keep(&image.layers).map_err(failed("could not be kept"))?;
        if !kept {
            return Err(self.unknown(text));
        }
        let config = read_config(&self.store, &image.id).map_err(|error| ResolveError {
            message: "its config could not be read".to_owned(),
            source: Some(Arc::from(error)),
            hint: None,
        })?;
        Ok(ResolvedImage {
            reference: canonical(text),
            config_digest: image.id.to_string(),
            config: Arc::new(config.value().clone()),
            layers: image.layers.iter().map(layer_ref).collect(),
        })
    }

    /// Looks a name up in the store.
    fn local(&self, text: &str) -> Result<Option<Image>, ResolveError> {
        match self.store.images().resolve(text) {
            Ok(image) if is_named(&image, text) => Ok(Some(image)),
            Ok(_) | Err(StoreError::NoSuchImage { .. } | StoreError::AmbiguousImage { .. }) => {
                Ok(None)
            }
            Err(error) => Err(failed("could not be looked up in the store")(error)),
        }
    }

    /// Says whether a text is (the beginning of) an ID of an image of the store, and no name.
    fn is_id(&self, text: &str) -> bool {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        hex.len() >= SHORTEST_ID
            && self.store.images().resolve(text).is_ok_and(|image| image.id.hex().starts_with(hex))
    }

    fn unknown(&self, text: &str) -> ResolveError {
        let hint = "Put it there with `gantry pull`, `gantry load` or `gantry import`";
        ResolveError {
            message: "there is no such image in the store".to_owned(),
            source: None,
            hint: Some(self.meant(text).unwrap_or_else(|| hint.to_owned())),
        }
    }

    /// Says for which platforms the store has an image, and how one gets it for `wanted`.
    fn there_for(&self, text: &str, image: &Image, wanted: &Platform) -> String {
        let list = image.list.and_then(|list| self.store.images().members(&list).ok());
        let there = match &list {
            Some(list) => list.images().map(|(image, _)| &image.platform).collect(),
            None => vec![&image.platform],
        };
        let named: Vec<String> = there.iter().map(|platform| format!("`{platform}`")).collect();
        format!(
            "The store has it for {} only: build with `--platform {}`, or bring it in for the other \
             platform with `gantry pull --platform {wanted} {text}` or `gantry load`",
            named.join(", "),
            there.first().copied().unwrap_or(&image.platform),
        )
    }

    /// Asks whether another image of the store was meant.
    fn meant(&self, text: &str) -> Option<String> {
        let names: Vec<String> = self
            .store
            .images()
            .list()
            .unwrap_or_default()
            .iter()
            .flat_map(|image| image.names.iter().map(Reference::familiar))
            .collect();
        let wanted = text
            .parse::<Reference>()
            .map_or_else(|_| text.to_owned(), |name| name.with_default_tag().familiar());
        let near = gantry_parser::did_you_mean(&wanted, &names, true)?;
        Some(format!("Did you mean `{near}`?"))
    }

    fn layout(&self, text: &str, platform: &Platform) -> Result<ResolvedImage, ResolveError> {
        let place = LayoutPlace::parse(text);
        let unreadable = "could not be read as an OCI layout";
        let work = self.store.work_dir().map_err(failed(unreadable))?;
        let mut spool = DirectorySpool::new(work.scratch());
        let hinted = |error: ResolveError| ResolveError { hint: Some(LAYOUT.to_owned()), ..error };
        let archive = Archive::open(&place.path, &mut spool);
        let archive = archive.map_err(|error| hinted(failed(unreadable)(error)))?;
        let named: Vec<&ArchivedImage> =
            archive.images().iter().filter(|image| place.names(image)).collect();
        let best = named
            .iter()
            .filter_map(|image| Some((platform.rank(&image.platform)?, *image)))
            .min_by_key(|(rank, _)| *rank);
        // The only one is built upon, whatever it runs on, as with registries.
        let best = match named.as_slice() {
            [only] => Some(*only),
            _ => best.map(|(_, image)| image),
        };
        let Some(image) = best else {
            let message = match named.is_empty() {
                true => "there is no such image in the OCI layout".to_owned(),
                false => format!("the OCI layout does not have it for {platform}"),
            };
            return Err(hinted(ResolveError { message, source: None, hint: None }));
        };
        let layers = bring_in(&self.store, &archive, image).map_err(|source| ResolveError {
            message: unreadable.to_owned(),
            source: Some(source),
            hint: None,
        })?;
        self.steps.keep(&layers).map_err(failed("could not be kept"))?;
        Ok(ResolvedImage {
            reference: format!("oci-layout://{text}"),
            config_digest: image.config.digest().to_string(),
            config: Arc::new(image.config.value().clone()),
            layers: layers.iter().map(layer_ref).collect(),
        })
    }
}

/// Says whether an image was loaded or built here. One of a registry may be but one of several
/// that its name stands for.
fn is_own(image: &Image) -> bool {
    image.names.iter().all(|name| name.digest().is_none())
}

/// Says whether `text` is a name of the image, or enough of its ID.
///
/// A build must not depend on which IDs begin with `ada`: a short text is a name.
fn is_named(image: &Image, text: &str) -> bool {
    let id = text.strip_prefix("sha256:").unwrap_or(text);
    let by_id = id.len() >= SHORTEST_ID && image.id.hex().starts_with(id);
    by_id
        || text.parse::<Reference>().is_ok_and(|wanted| {
            let wanted = wanted.with_default_tag();
            wanted.digest().is_some()
                || image
                    .names
                    .iter()
                    .any(|name| name.name() == wanted.name() && name.tag() == wanted.tag())
        })
}

fn canonical(text: &str) -> String {
    let name = text.parse::<Reference>().map(|name| name.with_default_tag().to_string());
    name.unwrap_or_else(|_| text.to_owned())
}

/// Reads an image's config, checked against its ID.
pub(crate) fn read_config(
    store: &Store,
    id: &Digest,
) -> Result<Raw<ImageConfig>, Box<dyn Error + Send + Sync>> {
    let bytes = store.blobs().read(id, CONFIG_LIMIT)?;
    let bytes = bytes.ok_or(StoreError::BlobGone { digest: *id })?;
    Ok(Raw::parse(bytes)?)
}

/// Puts the layers and the config of an archive's image into the store.
fn bring_in(
    store: &Store,
    archive: &Archive<'_>,
    image: &ArchivedImage,
) -> Result<Vec<gantry_cache::LayerId>, Arc<dyn Error + Send + Sync>> {
    let bring = || -> Result<Vec<gantry_cache::LayerId>, Box<dyn Error + Send + Sync>> {
        let mut layers = Vec::new();
        for layer in &image.layers {
            if let Some(known) = store.layers().by_diff_id(&layer.diff_id)? {
                layers.push(known.id);
                continue;
            }
            // Digested on its way into the store, so not while it is read.
            let mut reader = std::io::BufReader::new(archive.open_unverified(layer)?);
            let first = std::io::BufRead::fill_buf(&mut reader)?;
            let compression = compress::sniff(&first[..first.len().min(compress::SNIFF_LEN)]);
            let mut blob = store.blobs().writer()?;
            std::io::copy(&mut reader, &mut blob)?;
            let (digest, size) = blob.finish(layer.digest)?;
            layer.verify(digest, size)?;
            let kind = media_type(compression);
            layers.push(store.layers().add_blob(&layer.diff_id, &digest, kind.as_str())?);
        }
        store.blobs().put(image.config.bytes())?;
        Ok(layers)
    };
    bring().map_err(Arc::from)
}

fn media_type(compression: Compression) -> MediaType {
    MediaType::layer(compression, false).unwrap_or(MediaType::OciLayer)
}

/// What follows `oci-layout://`: a directory, and maybe a tag and a digest.
struct LayoutPlace {
    path: PathBuf,
    tag: Option<String>,
    digest: Option<String>,
}

impl LayoutPlace {
    fn parse(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon in the last component begins the tag; others are part of the path.
        let name = rest.rfind('/').map_or(0, |at| at + 1);
        match rest[name..].rfind(':') {
            Some(at) => Self {
                path: rest[..name + at].into(),
                tag: Some(rest[name + at + 1..].to_owned()),
                digest,
            },
            None => Self { path: rest.into(), tag: None, digest },
        }
    }

    /// Says whether this is the image that is meant. Without tag and digest, every one is.
    fn names(&self, image: &ArchivedImage) -> bool {
        let digest = self.digest.as_ref().is_none_or(|wanted| {
            let manifest = image.manifest.as_ref().map(|manifest| manifest.digest().to_string());
            manifest.as_ref() == Some(wanted)
        });
        let tag = self.tag.as_ref().is_none_or(|wanted| {
            image
                .names
                .iter()
                .any(|name| name.tag() == Some(wanted) || name.familiar_name() == *wanted)
        });
        digest && tag
    }
}

fn failed<E: Error + Send + Sync + 'static>(message: &'static str) -> impl Fn(E) -> ResolveError {
    move |error| ResolveError {
        message: message.to_owned(),
        source: Some(Arc::new(error)),
        hint: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_layout_is_path_tag_digest() {
        let check = |text: &str, path: &str, tag: Option<&str>, digest: Option<&str>| {
            let place = LayoutPlace::parse(text);
            assert_eq!(place.path, PathBuf::from(path), "{text}");
            assert_eq!((place.tag.as_deref(), place.digest.as_deref()), (tag, digest), "{text}");
        };
        check("/a/b", "/a/b", None, None);
        check("/a/b:1.0", "/a/b", Some("1.0"), None);
        check("/a:x/b", "/a:x/b", None, None);
        check("./b:1@sha256:00", "./b", Some("1"), Some("sha256:00"));
        check("b@sha256:00", "b", None, Some("sha256:00"));
    }
}
