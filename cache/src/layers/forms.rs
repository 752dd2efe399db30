//! The forms that a layer can be there in (design: "Layers and their forms").

use gantry_image::{DiffId, Digest};

use super::RemoteForm;

/// Which forms a layer has. All of them have the same content.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forms {
    /// `tree/`: can be an overlay lower, files can be opened.
    pub tree: bool,
    /// `tar`: the uncompressed layer.
    pub tar: bool,
    /// `index`: mountable without unpacking, together with the tar.
    pub index: bool,
    /// Where it can be fetched from, the place to ask first at the front.
    pub remote: Vec<RemoteForm>,
    /// Compressed, as pulled or pushed.
    pub blobs: Vec<BlobForm>,
}

impl Forms {
    /// Says whether the layer's bytes are here in any form.
    pub fn any_local(&self) -> bool {
        self.tree || self.tar || !self.blobs.is_empty()
    }
}

/// A layer as a blob: compressed, or a plain tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobForm {
    /// The blob.
    pub digest: Digest,
    /// The tar in it. Differs from the layer's own where times were clamped.
    pub diff_id: DiffId,
    /// What a manifest says of it, such as `application/vnd.oci.image.layer.v1.tar+gzip`.
    pub media_type: String,
    /// How it was compressed: the compressor, its level and block size; empty for one that was
    /// brought in.
    pub how: String,
}
