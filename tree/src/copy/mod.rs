//! [`copy`]: a plan becomes a fresh directory and its manifest.

use crate::scan::Dialect;
use crate::{Entry, Manifest, ManifestError, Root, Time, TreeError, TreePath};

/// One thing to make: `entry` says exactly what shall be there (path, owner, mode, time,
/// attributes), the source only gives a regular file's bytes.
#[derive(Debug, Clone)]
pub struct CopyItem {
    /// Which of the sources, by index.
    pub tree: usize,
    /// The path there: of the file itself, never of a hard link to it. Two items of one source
    /// are one inode, and so become hard links of each other. Ignored where the entry has no bytes.
    pub source: TreePath,
    /// What shall be made. Its node is never a [`crate::Node::HardLink`]: `source` says that.
    pub entry: Entry,
}

/// Changes that COPY's flags make to what is copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// `--chown`, or the 0:0 of everything from a context.
    pub owner: Option<(u32, u32)>,
    /// `--chmod`; symbolic links have no mode.
    pub mode: Option<Chmod>,
    /// A fixed modification time.
    pub mtime: Option<Time>,
}

/// A parsed `--chmod`: octal, or symbolic as `u=rwX,go=rX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chmod(Vec<()>);

/// An earlier layer whose files may be linked instead of copied.
///
/// It must not be of the chain that the copy becomes part of: no two paths of one root file system
/// may share an inode that were not linked in the source.
#[derive(Debug, Clone, Copy)]
pub struct Donor<'a> {
    /// The layer's tree.
    pub root: &'a Root,
    /// What is in it.
    pub manifest: &'a Manifest,
}

/// What to do with a file that lies at the destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Fail.
    #[default]
    Refuse,
    /// Remove it, unless it is a directory. Directories are always taken over.
    Replace,
}

/// What [`copy`] shall make.
#[derive(Debug, Clone, Default)]
pub struct CopyPlan<'a> {
    /// In any order. Of two for one path the later wins, but a directory and something else are
    /// an error. Every parent must be among them, but for the root.
    pub items: Vec<CopyItem>,
    /// Where equal files may be linked from.
    pub donor: Option<Donor<'a>>,
    /// How whiteouts and opaque marks are written.
    pub dialect: Dialect,
    /// What to do with files at the destination.
    pub existing: Existing,
    /// The sources are immutable and their contents known: large files need not be read to be
    /// hashed again, so they may be cloned or copied inside the kernel.
    pub trust_contents: bool,
    /// No owner is set, as in a user namespace of a single ID.
    pub keep_owner: bool,
    /// How many threads; 0 means 4.
    pub workers: usize,
}

/// What [`copy`] made.
#[derive(Debug, Clone)]
pub struct Copied {
    /// All of it, with contents as they were read.
    pub manifest: Manifest,
    /// How many files were linked from the donor.
    pub linked: u64,
    /// How many bytes were copied.
    pub bytes: u64,
}

impl CopyPlan<'_> {
    /// Plans the copy of `entries` (a subtree of one manifest, or of a view's layer) so that
    /// `from` comes to lie at `to`, changed as `overrides` say. Hard links among them are kept.
    pub fn add_subtree(
        &mut self,
        tree: usize,
        manifest: &Manifest,
        from: &TreePath,
        to: &TreePath,
        overrides: &Overrides,
    ) {
        let _ = (tree, manifest, from, to, overrides);
        todo!()
    }

    /// Plans the copy of one entry of `manifest` to `to`.
    pub fn add(
        &mut self,
        tree: usize,
        manifest: &Manifest,
        entry: &Entry,
        to: TreePath,
        overrides: &Overrides,
    ) {
        let _ = (tree, manifest, entry, to, overrides);
        todo!()
    }

    /// Adds the parent directories that no item makes, each as `make` says.
    pub fn add_parents(&mut self, make: impl FnMut(TreePath) -> Entry) {
        let _ = make;
        todo!()
    }

    /// Returns the manifest that the copy will have, without copying.
    ///
    /// # Errors
    /// [`ManifestError`] if the items make up no tree.
    pub fn manifest(&self) -> Result<Manifest, ManifestError> {
        todo!()
    }
}

impl Chmod {
    /// Reads `0755`, `644`, `u=rwX,go=rX`, `+x`.
    pub fn parse(text: &str) -> Option<Self> {
        let _ = text;
        todo!()
    }

    /// Returns the mode that a file of mode `mode` gets.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let _ = (mode, is_dir, &self.0);
        todo!()
    }
}

/// Makes what `plan` says below `dest`, taking bytes from `sources`, in one pass that hashes too.
///
/// # Errors
/// [`TreeError::Changed`] if a file's bytes aren't those that its entry names (unless that is
/// [`crate::ContentId::UNREAD`]), [`TreeError::Io`] naming the file otherwise.
/// What was written by then stays.
pub fn copy(sources: &[&Root], dest: &Root, plan: &CopyPlan<'_>) -> Result<Copied, TreeError> {
    let _ = (sources, dest, plan);
    todo!()
}
