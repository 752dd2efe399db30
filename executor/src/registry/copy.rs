//! Images from one repository to another, whole.

use std::io;
use std::path::Path;

use gantry_image::{Descriptor, ImageIndex, ImageManifest, Raw, Reference};
use gantry_solver::CancelToken;

use super::TransferError;
use super::remote::Registry;

impl Registry {
    /// Copies an image from one repository to another, whole: what its index or manifest names comes
    /// first, then that itself, by its digest. Blobs pass through files below `scratch`.
    ///
    /// # Errors
    /// [`TransferError`]; what was copied by then stays, without a manifest.
    pub fn copy(
        &self,
        from: &Reference,
        to: &Reference,
        scratch: &Path,
        cancel: &CancelToken,
    ) -> Result<(), TransferError> {
        let document = self.document(from, cancel)?;
        if document.media_type.is_index() {
            let index = Raw::<ImageIndex>::parse(document.bytes.clone())?;
            for entry in &index.manifests {
                self.copy(&from.with_digest(entry.digest), to, scratch, cancel)?;
            }
        } else {
            let manifest = Raw::<ImageManifest>::parse(document.bytes.clone())?;
            for blob in manifest.layers.iter().chain([&manifest.config]) {
                if !blob.media_type.is_foreign() {
                    self.copy_blob(blob, from, to, scratch, cancel)?;
                }
            }
        }
        self.put(&to.with_digest(document.digest), &document.media_type, &document.bytes, cancel)
    }

    fn copy_blob(
        &self,
        blob: &Descriptor,
        from: &Reference,
        to: &Reference,
        scratch: &Path,
        cancel: &CancelToken,
    ) -> Result<(), TransferError> {
        if self.has_blob(to, blob, cancel)? {
            return Ok(());
        }
        let path = scratch.join(blob.digest.hex());
        let what = || format!("copy the blob `{}`", blob.digest);
        let fetch = || -> Result<(), TransferError> {
            let mut stream = self.blob(from, blob, cancel)?;
            let failures = stream.failures();
            let mut file = fs_err::File::create(&path).map_err(TransferError::io(what()))?;
            let copied = io::copy(&mut stream, &mut file).map_err(TransferError::io(what()));
            copied.map(drop).map_err(|error| failures.take().unwrap_or(error))
        };
        let near = (from.domain() == to.domain()).then_some(from);
        if near.is_none() || !self.mount(to, blob, from, cancel)? {
            fetch()?;
            self.push_file(to, blob, &path, None, &|_| {}, cancel)?;
            let _ = fs_err::remove_file(&path);
        }
        Ok(())
    }
}
