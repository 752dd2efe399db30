//! What is remembered of an address: enough to ask a server whether it is still good.

use gantry_cache::{Key, LayerId, NewRecord};
use gantry_image::Digest;
use gantry_solver::SourceAnswer;
use gantry_solver::op::HttpOp;
use gantry_tree::ContentId;
use reqwest::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};

use super::super::Executor;
use super::super::fault::Fault;
use super::super::stack::layer_ref;

/// What is known of an address from an earlier build.
#[derive(Debug, Clone)]
pub(in crate::work) struct Known {
    pub(super) etag: String,
    pub(super) modified: String,
    /// The sha256 of the bytes.
    pub(super) digest: String,
    pub(super) content: ContentId,
    pub(super) layer: LayerId,
}

impl Known {
    fn key(op: &HttpOp) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key("gantry http 1");
        for part in [&op.url, &op.name] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Key(*hasher.finalize().as_bytes())
    }

    pub(super) fn load(executor: &Executor, op: &HttpOp) -> Result<Option<Self>, Fault> {
        let Some(record) = executor.store.records().get(&Self::key(op))? else { return Ok(None) };
        let Ok(text) = String::from_utf8(record.extra) else { return Ok(None) };
        let lines: Vec<&str> = text.split('\n').collect();
        let (&[etag, modified, digest, content], &[layer]) =
            (lines.as_slice(), record.layers.as_slice())
        else {
            return Ok(None);
        };
        let Ok(content) = content.parse() else { return Ok(None) };
        if digest.parse::<Digest>().is_err() || !executor.keep(&layer)? {
            return Ok(None);
        }
        let [etag, modified, digest] = [etag, modified, digest].map(str::to_owned);
        Ok(Some(Self { etag, modified, digest, content, layer }))
    }

    pub(super) fn save(&self, executor: &Executor, op: &HttpOp) -> Result<(), Fault> {
        let extra = format!("{}\n{}\n{}\n{}", self.etag, self.modified, self.digest, self.content);
        Ok(executor.store.records().put(&NewRecord::of_no_step(
            Self::key(op),
            &[self.layer],
            extra.as_bytes(),
        ))?)
    }

    pub(super) fn conditions(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(IF_NONE_MATCH, &self.etag), (IF_MODIFIED_SINCE, &self.modified)] {
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        headers
    }

    pub(in crate::work) fn answer(&self) -> SourceAnswer {
        SourceAnswer { digest: self.content.0, own: vec![layer_ref(&self.layer)] }
    }
}
