//! The serial end of a copy: what has to wait until everything lies in its place.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Gid, Mode, Uid, fchmod, fchown, futimens, linkat, unlinkat};
use rustix::io::Errno;

use super::layout::Layout;
use super::{CopyPlan, Existing, set_xattrs};
use crate::root::{DIR, Opener, below, times};
use crate::xattr::{self, On};
use crate::{Node, Root, TreeError};

/// Makes the further names of files that have several.
pub(super) fn link(dest: &Root, plan: &CopyPlan<'_>, layout: &Layout<'_>) -> Result<(), TreeError> {
    let (mut old, mut new) = (Opener::new(dest), Opener::new(dest));
    for (index, job) in layout.jobs.iter().enumerate() {
        let Some(first) = job.link_to else { continue };
        let (first, path) = (layout.path(first), layout.path(index));
        let from = old.dir(first.parent_bytes().unwrap_or_default())?;
        let to = new.dir(path.parent_bytes().unwrap_or_default())?;
        let first_name = first.file_name().unwrap_or(b".");
        let name = path.file_name().unwrap_or(b".");
        let link = || linkat(from, first_name, to, name, AtFlags::empty());
        let linked = match link() {
            Err(Errno::EXIST) if plan.existing == Existing::Replace => {
                unlinkat(to, name, AtFlags::empty()).and_then(|()| link())
            }
            answer => answer,
        };
        linked.map_err(|error| TreeError::io("make the link", path.as_bytes(), error))?;
    }
    Ok(())
}

/// Gives all directories their owner, mode, attributes and time, the deepest first: until here
/// they were ours and open, and each file made in one has moved its time. Returns how many
/// attributes were lost.
pub(super) fn directories(
    dest: &Root,
    plan: &CopyPlan<'_>,
    layout: &Layout<'_>,
) -> Result<u64, TreeError> {
    let mut lost = 0;
    for job in layout.jobs.iter().rev() {
        let entry = &job.item.entry;
        let Node::Dir { opaque } = entry.node else { continue };
        let path = entry.path.as_bytes();
        let failed = |action| move |error| TreeError::io(action, path, error);
        let fd = below(dest.as_fd(), path, DIR).map_err(failed("open"))?;
        if !plan.keep_owner {
            fchown(&fd, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))
                .map_err(failed("change the owner of"))?;
        }
        if let (true, Some(prefix)) = (opaque, plan.dialect.prefix()) {
            // Without the mark the layer would show what it hides, so this one may not be lost.
            xattr::set(On::Fd(fd.as_fd()), &[prefix, b"opaque"].concat(), b"y")
                .map_err(failed("mark as opaque"))?;
        }
        lost += set_xattrs(On::Fd(fd.as_fd()), entry).map_err(failed("set an attribute of"))?;
        fchmod(&fd, Mode::from_raw_mode(entry.mode)).map_err(failed("change the mode of"))?;
        futimens(&fd, &times(entry.mtime)).map_err(failed("change the time of"))?;
    }
    Ok(lost)
}
