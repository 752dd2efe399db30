//! Manifests and indexes: by tag or digest, down and up.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};

use super::auth::Scopes;
use super::client::{Client, Repository, reading};
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::retry::Tries;
use super::send::Call;
use crate::digest::Digest;
use crate::index::ImageIndex;
use crate::json::Raw;
use crate::manifest::{Descriptor, ImageManifest};
use crate::media_type::MediaType;
use crate::reference::Reference;

/// A larger manifest is not read.
pub const MANIFEST_LIMIT: u64 = 4 << 20;

/// The types of manifest that are asked for, so that a registry converts nothing.
pub const MANIFEST_TYPES: &[MediaType] = &[
    MediaType::OciIndex,
    MediaType::OciManifest,
    MediaType::DockerList,
    MediaType::DockerManifest,
];

/// What names a manifest within a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A tag, which may point elsewhere tomorrow.
    Tag(String),
    /// A digest.
    Digest(Digest),
}

impl Target {
    /// Returns what a reference names: its digest, else its tag, else `latest`.
    #[must_use]
    pub fn of(reference: &Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self::Digest(digest),
            None => Self::Tag(reference.tag().unwrap_or("latest").to_owned()),
        }
    }

    fn separator(&self) -> char {
        if matches!(self, Self::Tag(_)) { ':' } else { '@' }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A manifest or index, as the registry sent it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Type, digest and size; the digest is that of `bytes`.
    pub descriptor: Descriptor,
    /// The exact bytes.
    pub bytes: Arc<[u8]>,
}

impl Manifest {
    /// Reads it as the manifest of one image.
    ///
    /// # Errors
    /// [`ParseJsonError`](crate::ParseJsonError) if it is something else.
    pub fn image(&self) -> Result<Raw<ImageManifest>, crate::ParseJsonError> {
        Raw::parse(self.bytes.clone())
    }

    /// Reads it as an index.
    ///
    /// # Errors
    /// [`ParseJsonError`](crate::ParseJsonError) if it is something else.
    pub fn index(&self) -> Result<Raw<ImageIndex>, crate::ParseJsonError> {
        Raw::parse(self.bytes.clone())
    }
}

impl Client {
    /// Fetches the manifest or index that a reference names: by digest, else by tag, else `latest`.
    ///
    /// # Errors
    /// As [`Repository::manifest`].
    pub async fn manifest(&self, reference: &Reference) -> Result<Manifest, RegistryError> {
        self.repository(reference).manifest(&Target::of(reference)).await
    }

    /// Says what a reference names without fetching it.
    ///
    /// # Errors
    /// As [`Repository::resolve`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Descriptor, RegistryError> {
        self.repository(reference).resolve(&Target::of(reference)).await
    }
}

impl Repository {
    /// Fetches a manifest or index.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], [`RegistryError::Denied`]; [`RegistryError::Corrupt`] if the
    /// bytes have another digest; [`RegistryError::Refused`] if they are too many, or could be taken
    /// for two things (CVE-2021-41190).
    pub async fn manifest(&self, target: &Target) -> Result<Manifest, RegistryError> {
        let mut readers = self.readers(matches!(target, Target::Digest(_)))?.into_iter().peekable();
        while let Some((endpoint, mut tries)) = readers.next() {
            match self.manifest_at(&endpoint, target, &mut tries).await {
                Err(failure) if readers.peek().is_some() => {
                    self.inner().mirror_failed(&endpoint, &failure);
                }
                other => return other,
            }
        }
        Err(RegistryError::Interrupted)
    }

    /// Fetches the manifest that an index, or another manifest, describes.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest), and [`RegistryError::Corrupt`] if size or type differ.
    pub async fn described(&self, descriptor: &Descriptor) -> Result<Manifest, RegistryError> {
        let manifest = self.manifest(&Target::Digest(descriptor.digest)).await?;
        let corrupt = |reason: String| RegistryError::Corrupt {
            what: format!("{}@{}", self.name(), descriptor.digest),
            host: self.registry.clone(),
            reason,
        };
        let (size, promised) = (manifest.descriptor.size, descriptor.size);
        if size != promised {
            return Err(corrupt(format!("it has {size} bytes where {promised} were promised")));
        }
        let (found, promised) = (&manifest.descriptor.media_type, &descriptor.media_type);
        if found != promised {
            return Err(corrupt(format!("its type is `{found}` where `{promised}` was promised")));
        }
        Ok(manifest)
    }

    /// Says what a tag or digest names, without fetching it where the registry can say (`HEAD`).
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub async fn resolve(&self, target: &Target) -> Result<Descriptor, RegistryError> {
        let mut readers = self.readers(matches!(target, Target::Digest(_)))?.into_iter().peekable();
        while let Some((endpoint, mut tries)) = readers.next() {
            match self.resolve_at(&endpoint, target, &mut tries).await {
                Err(failure) if readers.peek().is_some() => {
                    self.inner().mirror_failed(&endpoint, &failure);
                }
                other => return other,
            }
        }
        Err(RegistryError::Interrupted)
    }

    async fn manifest_at(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        tries: &mut Tries,
    ) -> Result<Manifest, RegistryError> {
        loop {
            match self.manifest_once(endpoint, target, tries).await {
                // The body broke off, or was mangled on the way.
                Err(failure) if failure.is_transient() => {
                    self.inner().pause(tries, failure).await?
                }
                other => return other,
            }
        }
    }

    async fn manifest_once(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        tries: &mut Tries,
    ) -> Result<Manifest, RegistryError> {
        let call = self.manifest_call(endpoint, Method::GET, target).await?;
        let answer = self.inner().call(endpoint, &call, tries).await?;
        let what = named(endpoint, target);
        if !answer.status().is_success() {
            return Err(answer.refuse(&what, "show the manifest of", false).await);
        }
        let host = answer.host.clone();
        let announced = answer.header(DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        let content_type = answer.header(CONTENT_TYPE.as_str()).map(MediaType::new);
        let bytes: Arc<[u8]> = answer.bytes(MANIFEST_LIMIT, "the manifest").await?.into();
        let digest = Digest::of(&bytes);
        let wanted = match target {
            Target::Digest(digest) => Some(*digest),
            Target::Tag(_) => announced,
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            let reason = format!("its digest is `{digest}` and not `{wanted}`");
            return Err(RegistryError::Corrupt { what, host, reason });
        }
        let media_type = kind(content_type, &bytes).map_err(|reason| RegistryError::Refused {
            host,
            reason: format!("`{what}` {reason}"),
        })?;
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Ok(Manifest { descriptor, bytes })
    }

    async fn resolve_at(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        tries: &mut Tries,
    ) -> Result<Descriptor, RegistryError> {
        let call = self.manifest_call(endpoint, Method::HEAD, target).await?;
        let answer = self.inner().call(endpoint, &call, tries).await?;
        let what = named(endpoint, target);
        // Some registries know no HEAD.
        let no_head = matches!(answer.status().as_u16(), 405 | 501);
        if !answer.status().is_success() && !no_head {
            return Err(answer.refuse(&what, "show the manifest of", false).await);
        }
        let digest = answer.header(DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        let size = answer.header("content-length").and_then(|text| text.parse::<u64>().ok());
        let media_type = answer.header(CONTENT_TYPE.as_str()).map(MediaType::new);
        let known = media_type.filter(|it| it.is_manifest() || it.is_index());
        let (Some(digest), Some(size), Some(media_type), false) = (digest, size, known, no_head)
        else {
            return Ok(self.manifest_at(endpoint, target, tries).await?.descriptor);
        };
        if let Target::Digest(wanted) = target
            && *wanted != digest
        {
            let reason = format!("the registry says that its digest is `{digest}`");
            return Err(RegistryError::Corrupt { what, host: answer.host, reason });
        }
        Ok(Descriptor::new(media_type, digest, size))
    }

    async fn manifest_call(
        &self,
        endpoint: &Endpoint,
        method: Method,
        target: &Target,
    ) -> Result<Call, RegistryError> {
        let url = self.inner().url(endpoint, &format!("manifests/{target}")).await?;
        let mut call = Call::new(method, url).scoped(reading(endpoint));
        for media_type in MANIFEST_TYPES {
            if let Ok(value) = HeaderValue::from_str(media_type.as_str()) {
                call.headers.append(ACCEPT, value);
            }
        }
        Ok(call)
    }

    /// Puts a manifest or index under its digest, and under each of the tags. What it names must be
    /// in the repository already.
    ///
    /// A subject is entered into the registry's list of referrers, by hand where the registry
    /// doesn't keep one.
    ///
    /// # Errors
    /// [`RegistryError::Denied`], [`RegistryError::Status`] with the registry's reason.
    pub async fn push_manifest(
        &self,
        media_type: &MediaType,
        bytes: &[u8],
        tags: &[&str],
    ) -> Result<Digest, RegistryError> {
        let endpoint = self.itself()?;
        let digest = Digest::of(bytes);
        let body = Bytes::copy_from_slice(bytes);
        let mut subject_known = false;
        let mut unset = tags.to_vec();
        if tags.len() != 1 {
            // One request for all, where that is understood: `OCI-Tag` names the tags that were set.
            let target = Target::Digest(digest);
            let put = self.put(&endpoint, &target, tags, media_type, &body).await?;
            subject_known |= put.subject;
            unset.retain(|tag| !put.tags.iter().any(|set| set == tag));
        }
        for tag in unset {
            let target = Target::Tag(tag.to_owned());
            subject_known |= self.put(&endpoint, &target, &[], media_type, &body).await?.subject;
        }
        if !subject_known {
            self.enter_referrer(media_type, bytes, digest).await?;
        }
        Ok(digest)
    }

    pub(super) async fn put(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        tags: &[&str],
        media_type: &MediaType,
        body: &Bytes,
    ) -> Result<Put, RegistryError> {
        let mut url = self.inner().url(endpoint, &format!("manifests/{target}")).await?;
        if !tags.is_empty() {
            url.query_pairs_mut().extend_pairs(tags.iter().map(|tag| ("tag", tag)));
        }
        let mut call = Call::new(Method::PUT, url).scoped(Scopes::push(&endpoint.repository));
        if let Ok(value) = HeaderValue::from_str(media_type.as_str()) {
            call.headers.insert(CONTENT_TYPE, value);
        }
        call.body = Some(body.clone());
        let mut tries = Tries::new(&self.inner().settings.retry);
        let answer = self.inner().call(endpoint, &call, &mut tries).await?;
        let what = named(endpoint, target);
        if !answer.status().is_success() {
            return Err(answer.refuse(&what, "take the manifest of", false).await);
        }
        let stored = answer.header(DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
        let digest = Digest::of(body);
        if let Some(stored) = stored.filter(|stored| *stored != digest) {
            let reason = format!("the registry stored it as `{stored}` and not `{digest}`");
            return Err(RegistryError::Corrupt { what, host: answer.host, reason });
        }
        let tags = answer.response.headers().get_all("oci-tag").iter();
        let tags = tags.filter_map(|value| value.to_str().ok());
        let tags = tags.flat_map(|text| text.split(',').map(|tag| tag.trim().to_owned())).collect();
        Ok(Put { subject: answer.header("oci-subject").is_some(), tags })
    }
}

/// What a registry says about a manifest that it took.
pub(super) struct Put {
    /// It keeps the list of referrers.
    subject: bool,
    /// Which tags it set.
    tags: Vec<String>,
}

pub(super) const DIGEST_HEADER: &str = "docker-content-digest";

/// How a manifest is called in messages.
pub(super) fn named(endpoint: &Endpoint, target: &Target) -> String {
    format!("{}{}{target}", endpoint.name(), target.separator())
}

/// Finds out what a document is, out of what the server and the document itself say. Refuses what
/// two readers could take for two things.
fn kind(said: Option<MediaType>, bytes: &[u8]) -> Result<MediaType, String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        #[serde(default)]
        schema_version: Option<u32>,
        #[serde(default)]
        media_type: Option<MediaType>,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        layers: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        config: Option<serde::de::IgnoredAny>,
    }
    let said = said.filter(|it| it.is_manifest() || it.is_index() || it.is_schema1());
    let found: Kind =
        serde_json::from_slice(bytes).map_err(|_| "is no JSON, so no manifest".to_owned())?;
    let schema1 = |it: &Option<MediaType>| it.as_ref().is_some_and(MediaType::is_schema1);
    if found.schema_version == Some(1) || schema1(&said) || schema1(&found.media_type) {
        return Err(
            "is a schema 1 manifest, which is no longer read; push it again with a current tool"
                .to_owned(),
        );
    }
    let (index, image) =
        (found.manifests.is_some(), found.layers.is_some() || found.config.is_some());
    let by_fields = match (index, image) {
        (true, true) => return Err("could be read as an index and as a manifest".to_owned()),
        (true, false) => Some(MediaType::OciIndex),
        (false, true) => Some(MediaType::OciManifest),
        (false, false) => None,
    };
    if let (Some(said), Some(own)) = (&said, &found.media_type)
        && said != own
    {
        return Err(format!("is sent as `{said}` but calls itself `{own}`"));
    }
    let kind = said.or(found.media_type).or(by_fields.clone());
    let kind = kind.ok_or_else(|| "is neither a manifest nor an index".to_owned())?;
    if let Some(by_fields) = by_fields
        && by_fields.is_index() != kind.is_index()
    {
        return Err(format!("is called `{kind}` but looks like `{by_fields}`"));
    }
    Ok(kind)
}
