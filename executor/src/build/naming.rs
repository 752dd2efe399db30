//! Names in the store for the image of a build.

use std::collections::BTreeSet;

use gantry_cache::Image;
use gantry_image::{Digest, Reference};

use super::Build;
use super::events::Progress;
use crate::error::BuildError;
use crate::export::{Assembled, Assembly};

impl Build<'_> {
    /// Gives the image that the store has the names that were asked for. Returns those that its
    /// users know it by: names with a digest come besides.
    pub(super) fn name(
        &self,
        stored: &Assembly,
        progress: &Progress<'_>,
    ) -> Result<Vec<Reference>, BuildError> {
        let image = stored.named()?;
        progress.end_part(&format!("writing image {}", image.id()));
        let digest = stored.descriptor()?.digest;
        let mut tags = self.request.tags.clone();
        if let Some(prefix) = self.request.dangling_prefix.as_ref().filter(|_| tags.is_empty()) {
            tags.push(prefix.with_digest(digest));
        }
        let mut all = tags.clone();
        if self.request.canonical_names {
            let canonical: BTreeSet<_> = tags.iter().map(|tag| tag.with_digest(digest)).collect();
            all.extend(canonical.into_iter().filter(|name| !tags.contains(name)));
        }
        let known = self.store.images().get(&image.id())?;
        let list = self.keep_list(stored, known.as_ref())?;
        self.tag(image, known.as_ref(), &all, list.as_ref())?;
        for tag in &all {
            progress.end_part(&format!("naming to {}", tag.clone().with_default_tag()));
        }
        Ok(tags)
    }

    /// Points names at the image, or at the index that is kept with it; a rebuild, which finds all
    /// of that as it is, writes nothing.
    fn tag(
        &self,
        image: &Assembled,
        known: Option<&Image>,
        names: &[Reference],
        list: Option<&Digest>,
    ) -> Result<(), BuildError> {
        for name in names {
            let full = name.clone().with_default_tag();
            let same = |known: &Image| {
                known.names.contains(&full) && known.list_of(&full).as_ref() == list
            };
            if !known.is_some_and(same) {
                self.store.images().tag_list(name, &image.id(), list)?;
            }
        }
        Ok(())
    }
}
