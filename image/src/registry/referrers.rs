//! What refers to a manifest: signatures, attestations, SBOMs. The registry's own list, or the
//! tag `sha256-<hex>` where it keeps none.

use reqwest::{Method, StatusCode};

use super::auth::Scopes;
use super::client::{Repository, reading};
use super::error::RegistryError;
use super::list::Pages;
use super::manifest::Target;
use super::retry::Tries;
use super::send::Call;
use crate::digest::Digest;
use crate::index::ImageIndex;
use crate::json::Raw;
use crate::manifest::Descriptor;
use crate::media_type::MediaType;

/// Was something deleted?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Yes.
    Done,
    /// The registry offers no deleting.
    NotOffered,
}

/// The part of a manifest or index that says what it refers to.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "crate::json::null_is_default")]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Repository {
    /// Lists what refers to a manifest, of one type or of all.
    ///
    /// # Errors
    /// [`RegistryError`], if it can't be said. That nothing refers to it is an empty list.
    pub async fn referrers(
        &self,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let endpoint = self.itself()?;
        let mut url = self.inner().url(&endpoint, &format!("referrers/{subject}")).await?;
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", artifact_type);
        }
        let list = Pages {
            endpoint: &endpoint,
            scopes: reading(&endpoint),
            action: "list the referrers of",
        };
        let mut found = Vec::new();
        let listed = list.read(self.inner(), url, |page: ImageIndex| {
            found.extend(page.manifests);
            found.len()
        });
        match listed.await {
            Ok(()) => {}
            // Registries that don't know the question answer it in several ways.
            Err(failure) if offers_no_list(&failure) => {
                found = self
                    .fallback(subject)
                    .await?
                    .map(|index| index.manifests.clone())
                    .unwrap_or_default();
            }
            Err(failure) => return Err(failure),
        }
        if let Some(wanted) = artifact_type {
            found.retain(|it| it.artifact_type.as_deref() == Some(wanted));
        }
        Ok(found)
    }

    /// Reads the index under the tag that stands in for the list.
    async fn fallback(&self, subject: Digest) -> Result<Option<Raw<ImageIndex>>, RegistryError> {
        let tag = fallback_tag(subject);
        let manifest = match self.manifest(&Target::Tag(tag.clone())).await {
            Ok(manifest) => manifest,
            Err(failure) if failure.is_not_found() => return Ok(None),
            Err(failure) => return Err(failure),
        };
        let what = format!("{}:{tag}", self.name());
        manifest.index().map(Some).map_err(|source| RegistryError::Document { what, source })
    }

    /// Enters a pushed manifest that has a subject into the list of its referrers by hand.
    ///
    /// Two that do this at once may lose one entry: the specification has no way to prevent it.
    pub(super) async fn enter_referrer(
        &self,
        media_type: &MediaType,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<(), RegistryError> {
        let Ok(Referrer { subject: Some(subject), artifact_type, config, annotations }) =
            serde_json::from_slice(bytes)
        else {
            return Ok(());
        };
        let index = self.fallback(subject.digest).await?;
        let mut index =
            index.map_or_else(|| ImageIndex::new(Vec::new(), false), |it| it.value().clone());
        if index.manifests.iter().any(|it| it.digest == digest) {
            return Ok(());
        }
        let mut entry = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
        let config = config.map(|config| config.media_type.as_str().to_owned());
        entry.artifact_type = artifact_type.filter(|it| !it.is_empty()).or(config);
        entry.annotations = annotations;
        index.manifests.push(entry);
        let raw = Raw::write(index);
        let endpoint = self.itself()?;
        let target = Target::Tag(fallback_tag(subject.digest));
        let body = bytes::Bytes::copy_from_slice(raw.bytes());
        self.put(&endpoint, &target, &[], &MediaType::OciIndex, &body).await?;
        Ok(())
    }

    /// Deletes a tag, or a manifest with all its tags.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if it isn't there.
    pub async fn delete_manifest(&self, target: &Target) -> Result<Deleted, RegistryError> {
        self.delete(&format!("manifests/{target}")).await
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] if it isn't there.
    pub async fn delete_blob(&self, digest: Digest) -> Result<Deleted, RegistryError> {
        self.delete(&format!("blobs/{digest}")).await
    }

    async fn delete(&self, rest: &str) -> Result<Deleted, RegistryError> {
        let endpoint = self.itself()?;
        let url = self.inner().url(&endpoint, rest).await?;
        let call = Call::new(Method::DELETE, url).scoped(Scopes::delete(&endpoint.repository));
        let mut tries = Tries::new(&self.inner().settings.retry);
        let answer = self.inner().call(&endpoint, &call, &mut tries).await?;
        match answer.status() {
            status if status.is_success() => Ok(Deleted::Done),
            StatusCode::METHOD_NOT_ALLOWED => Ok(Deleted::NotOffered),
            _ => Err(answer.refuse(&format!("{}/{rest}", endpoint.name()), "delete", false).await),
        }
    }
}

fn offers_no_list(failure: &RegistryError) -> bool {
    match failure {
        RegistryError::NotFound { .. } | RegistryError::Refused { .. } => true,
        RegistryError::Status { status, .. } => matches!(status, 400 | 405 | 406 | 501),
        _ => false,
    }
}

/// The tag that stands in for the list of referrers.
fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}
