//! How a layer is unpacked, and what comes of it.

use gantry_tree::{Dialect, Manifest, TreePath};

use super::{Limits, Offsets};
use crate::digest::DiffId;

const NOTES: usize = 1000;

/// How a layer is unpacked.
#[derive(Clone, Debug)]
pub struct UnpackOptions {
    /// Which overlay attributes mark opaque directories.
    pub dialect: Dialect,
    /// Which owners this process may set.
    pub ids: Ids,
    /// What becomes of device nodes.
    pub devices: Devices,
    /// When to give up.
    pub limits: Limits,
}

/// Which owners can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ids {
    /// Any; failing to set one is an error.
    #[default]
    Full,
    /// Only one's own: files keep the owner they get, and attributes that need privileges are
    /// skipped. The manifest says what the layer says all the same.
    Single,
}

/// What becomes of character and block devices (whiteouts are no devices here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Devices {
    /// They are made.
    #[default]
    Create,
    /// They are skipped with a [`Note`], as in a user namespace. The manifest lists them.
    Skip,
}

impl UnpackOptions {
    /// As real root: everything can be made.
    #[must_use]
    pub fn root() -> Self {
        Self {
            dialect: Dialect::OverlayTrusted,
            ids: Ids::Full,
            devices: Devices::Create,
            limits: Limits::default(),
        }
    }

    /// In a user namespace, with many ids or a single one.
    #[must_use]
    pub fn rootless(ids: Ids) -> Self {
        Self {
            dialect: Dialect::OverlayUser,
            ids,
            devices: Devices::Skip,
            limits: Limits::default(),
        }
    }
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// What the layer holds.
    pub manifest: Manifest,
    /// The digest of the tar, all of it, also what follows its end mark.
    pub diff_id: DiffId,
    /// How many bytes the tar has.
    pub size: u64,
    /// Where the tar has the files.
    pub offsets: Offsets,
    /// What was done differently from what the tar says.
    pub notes: Vec<Note>,
}

/// Something that isn't in the tree as the tar has it. Not more than 1,000 are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A device node was skipped.
    Device(TreePath),
    /// An extended attribute could not be set here, or is overlayfs's own and was dropped.
    Xattr {
        /// Of which entry.
        path: TreePath,
        /// Its name.
        name: Vec<u8>,
    },
    /// A directory that the tar leaves out was added: root's, mode 0755, time 0.
    Implied(TreePath),
}

/// The notes so far.
#[derive(Default)]
pub(super) struct Notes(pub(super) Vec<Note>);

impl Notes {
    pub(super) fn add(&mut self, note: Note) {
        if self.0.len() < NOTES {
            self.0.push(note);
        }
    }
}
