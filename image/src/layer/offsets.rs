//! [`Offsets`]: where a layer's tar has the bytes of each file.

use gantry_tree::Manifest;

/// Where a tar has the files of a manifest, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// For each entry of the manifest; [`NOWHERE`] for what is no file, or not in one piece.
    of: Vec<u64>,
    tar: u64,
}

/// No file ends behind this.
const NOWHERE: u64 = u64::MAX;

impl Offsets {
    /// Works out the offsets in the tar that [`write_tar`](super::write_tar) writes of a manifest,
    /// with times as they are.
    #[must_use]
    pub fn of_written(manifest: &Manifest) -> Self {
        super::write::offsets(manifest)
    }

    pub(super) fn new(entries: usize) -> Self {
        Self { of: vec![NOWHERE; entries], tar: 0 }
    }

    pub(super) fn set(&mut self, entry: usize, offset: u64) {
        self.of[entry] = offset;
    }

    pub(super) fn end(&mut self, size: u64) {
        self.tar = size;
    }

    /// Returns where the file that is the manifest's entry of this number begins; `None` if it is
    /// no file, or not there in one piece.
    #[must_use]
    pub fn get(&self, entry: usize) -> Option<u64> {
        self.of.get(entry).copied().filter(|offset| *offset != NOWHERE)
    }

    /// Returns how many bytes the tar has.
    #[must_use]
    pub fn tar_size(&self) -> u64 {
        self.tar
    }
}
