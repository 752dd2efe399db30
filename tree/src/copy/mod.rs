//! [`copy`]: a plan becomes a fresh directory and its manifest.
//!
//! The plan says what shall be there to the last bit, so planning ([`CopyPlan::add`] and friends)
//! is a matter of entries and touches no file; copying then asks the source for bytes only. Files
//! are hashed as they pass through.
//!
//! ```text
//! items ─► layout ─► make: directories and files, in parallel ─► links ─► directories' own metadata
//!            └─► donor: which files need no copy at all
//! ```

mod bytes;
mod chmod;
mod donor;
mod file;
mod finish;
mod layout;
mod make;
mod plan;

use std::os::fd::AsFd;

use crate::scan::Dialect;
use crate::{Entry, Manifest, Root, Time, TreeError, TreePath, error};

pub use chmod::Chmod;

/// One thing to make: `entry` says exactly what shall be there (path, owner, mode, time,
/// attributes), the source only gives a regular file's bytes.
#[derive(Debug, Clone)]
pub struct CopyItem {
    /// Which of the sources, by index.
    pub tree: usize,
    /// The path there: of the file itself, never of a hard link to it. Only looked at where the
    /// entry has bytes, or is `linked`.
    pub source: TreePath,
    /// In the source this was one of several names. All items of the same source are then made one
    /// inode, as long as their owner, mode, time and attributes agree.
    pub linked: bool,
    /// What shall be made. Its node is never a [`crate::Node::HardLink`]: `linked` says that.
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
    /// Times lose what comes on top of whole seconds.
    pub whole_seconds: bool,
}

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
    /// The sources are immutable and their contents known: files need not be hashed again, so
    /// large ones may be cloned or copied inside the kernel without being read.
    pub trust_contents: bool,
    /// No owner is set, as in a user namespace of a single ID. The manifest has those planned.
    pub keep_owner: bool,
    /// How many threads at most; 0 means 4.
    pub workers: usize,
}

/// What a plan comes to, see [`CopyPlan::resolved`].
#[derive(Debug, Clone)]
pub struct Resolution {
    /// What the copy will have.
    pub manifest: Manifest,
    /// For each of its entries, which of the sources has its bytes, and at which path there.
    pub sources: Vec<(usize, TreePath)>,
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
    /// How many extended attributes the destination would not take. The manifest has them anyway.
    pub attributes_lost: u64,
}

/// Makes what `plan` says below `dest`, taking bytes from `sources`, in one pass that hashes too.
///
/// `dest` should be private to the caller while this runs, though no symbolic link put there
/// leads anything astray. What was written before an error stays.
///
/// # Errors
/// [`TreeError::Changed`] if a file's bytes aren't those that its entry names (unless that is
/// [`crate::ContentId::UNREAD`]), [`TreeError::Malformed`] if the items are no tree, before
/// anything is written; [`TreeError::Io`] naming the file otherwise.
pub fn copy(sources: &[&Root], dest: &Root, plan: &CopyPlan<'_>) -> Result<Copied, TreeError> {
    let layout = layout::Layout::new(&plan.items)
        .and_then(|layout| Ok((layout.manifest()?, layout)))
        .map_err(|source| TreeError::Malformed { path: error::display(b""), source });
    let (manifest, layout) = layout?;
    let donors = plan.donor.map(|donor| donor::choose(&manifest, donor.manifest));
    let made = make::make(sources, dest, plan, &layout, donors.as_deref())?;
    finish::link(dest, plan, &layout)?;
    let lost = finish::directories(dest, plan, &layout)?;
    Ok(Copied {
        manifest: made.fill_in(manifest),
        linked: made.linked,
        bytes: made.bytes,
        attributes_lost: made.attributes_lost + lost,
    })
}

/// Whether setting an attribute failed in a way that a copy lives with: the file system has none of
/// the kind, or the kind is for the privileged.
fn is_tolerable(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(error, Errno::NOTSUP | Errno::PERM | Errno::ACCESS | Errno::INVAL)
}

/// Sets what attributes can be set, and counts the others.
fn set_xattrs(on: crate::xattr::On<'_>, entry: &Entry) -> rustix::io::Result<u64> {
    let mut lost = 0;
    for (name, value) in &entry.xattrs {
        match crate::xattr::set(on, name, value) {
            Ok(()) => {}
            Err(error) if is_tolerable(error) => lost += 1,
            Err(error) => return Err(error),
        }
    }
    Ok(lost)
}

/// What new files get from the process and the directory that they are made in, without asking.
#[derive(Debug, Clone, Copy)]
struct Defaults {
    uid: u32,
    gid: u32,
    umask: u32,
}

impl Defaults {
    /// Finds out, or returns `None` if a new file's owner and mode can't be foretold: the directory
    /// hands down its group or an access list.
    fn below(dest: &Root) -> Option<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let stat = crate::root::stat_fd(dest).ok()?;
        if stat.mode & 0o2000 != 0 || stat.gid != gid || crate::xattr::has_default_acl(dest.as_fd())
        {
            return None;
        }
        // Asking by umask(2) would change it for a moment, for all threads.
        let status = fs_err::read_to_string("/proc/self/status").ok()?;
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
        let umask = u32::from_str_radix(umask.trim(), 8).ok()?;
        Some(Self { uid, gid, umask })
    }

    fn owner_is(&self, entry: &Entry) -> bool {
        (self.uid, self.gid) == (entry.uid, entry.gid)
    }

    /// Says whether a file created with this mode has it then.
    fn mode_is(&self, mode: u32) -> bool {
        mode & (self.umask | 0o7000) == 0
    }
}
