//! The mounts that were asked for, and those over `/etc/hosts` and its kind.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use gantry_tree::{Root, TreePath};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::MountAttrFlags;

use super::files::{Content, Files};
use super::hosts::{NetworkFiles, network_files};
use super::place::{Kind, Places};
use super::{Prepared, detached};
use crate::sys::mounting::MountOp;
use crate::{Bind, BindSource, FileMount, Mount, Security, SpawnError, Spec, Tmpfs};

/// A path that this program wrote itself.
pub(super) fn fixed(path: &str) -> TreePath {
    TreePath::clamp(path).unwrap_or_default()
}

pub(super) fn failed(target: &str, what: &str, cause: io::Error) -> SpawnError {
    SpawnError::Mount { target: target.to_owned(), what: what.to_owned(), cause }
}

/// Opens a trusted path of the host only to speak of it.
pub(super) fn open_path(path: &Path) -> Result<OwnedFd, SpawnError> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(&path.to_string_lossy(), "open it on the host", errno.into()))
}

/// Makes the tmpfs for generated files, as large as this spec needs it.
pub(super) fn files(spec: &Spec) -> Result<Files, SpawnError> {
    let sizes = spec.mounts.iter().filter_map(|mount| match mount {
        Mount::File(file) => Some(file.content.len() as u64),
        _ => None,
    });
    let (bytes, count) = sizes.fold((0, 3), |(bytes, count), size| (bytes + size, count + 1));
    Files::new(bytes, count)
        .map_err(|cause| SpawnError::Setup { what: "make a tmpfs for generated files", cause })
}

/// Mounts `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.
pub(super) fn network(
    spec: &Spec,
    files: &mut Files,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let NetworkFiles { hosts, hostname, resolv_conf } = network_files(spec);
    for (target, text) in
        [("/etc/hosts", hosts), ("/etc/hostname", hostname), ("/etc/resolv.conf", resolv_conf)]
    {
        let file = Content { bytes: text.as_bytes(), mode: 0o644, uid: 0, gid: 0 };
        generated(Path::new(target), &file, 0, files, places, prepared)?;
    }
    Ok(())
}

/// Mounts what the spec asks for, from the outermost target to the innermost.
pub(super) fn requested(
    spec: &Spec,
    files: &mut Files,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let mut mounts: Vec<&Mount> = spec.mounts.iter().collect();
    mounts.sort_by_key(|mount| mount.target().components().count());
    for mount in mounts {
        match mount {
            Mount::Bind(it) => bind(it, spec.security, places, prepared)?,
            Mount::Tmpfs(it) => tmpfs(it, places, prepared)?,
            Mount::File(it) => file(it, files, places, prepared)?,
        }
    }
    Ok(())
}

fn bind(
    bind: &Bind,
    security: Security,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let name = bind.target.to_string_lossy();
    let opened;
    let source = match &bind.source {
        BindSource::Path(path) => {
            opened = open_path(path)?;
            opened.as_fd()
        }
        BindSource::Fd(fd) => fd.as_fd(),
    };
    let mode = rustix::fs::fstat(source)
        .map_err(|errno| failed(&name, "look at its source", errno.into()))?
        .st_mode;
    let is_directory = FileType::from_raw_mode(mode).is_dir();
    let kind = if is_directory { Kind::Directory } else { Kind::File };
    let mut attributes = MountAttrFlags::empty();
    if bind.read_only {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    if security == Security::Sandbox {
        attributes |= MountAttrFlags::MOUNT_ATTR_NODEV;
    }
    let mount = detached::copy(source, bind.recursive, attributes)
        .or_else(|error| copy_here(source, bind.recursive, attributes).map_err(|_| error))
        .map_err(|cause| failed(&name, "copy its source's mount", cause))?;
    let (at, path) = places.target(&bind.target, kind)?;
    let inside = is_directory
        .then(|| mount.try_clone().map(Root::from_fd))
        .transpose()
        .map_err(|cause| failed(&name, "keep it open", cause))?;
    prepared.attach(name, mount, at);
    places.mounted(path, inside);
    Ok(())
}

/// Where this thread has a mount namespace of its own, descriptors of before lead to another: the
/// same file is looked up by its path here, and must be the same.
fn copy_here(
    source: std::os::fd::BorrowedFd<'_>,
    recursive: bool,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let path = fs_err::read_link(format!("/proc/thread-self/fd/{}", source.as_raw_fd()))?;
    let here = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let (there, found) = (rustix::fs::fstat(source)?, rustix::fs::fstat(&here)?);
    if (there.st_dev, there.st_ino) != (found.st_dev, found.st_ino) {
        return Err(io::Error::other("its path leads elsewhere by now"));
    }
    detached::copy(here.as_fd(), recursive, attributes)
}

fn tmpfs(tmpfs: &Tmpfs, places: &mut Places, prepared: &mut Prepared) -> Result<(), SpawnError> {
    let name = tmpfs.target.to_string_lossy();
    let mode = format!("{:o}", tmpfs.mode & 0o7777);
    let size = tmpfs.size.map(|size| size.to_string());
    let mut options = vec![("mode", mode.as_str())];
    options.extend(size.as_deref().map(|size| ("size", size)));
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    if !tmpfs.exec {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
    }
    if tmpfs.read_only {
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    let mount = detached::filesystem("tmpfs", &options, attributes)
        .map_err(|cause| failed(&name, "make a tmpfs", cause))?;
    let (at, path) = places.target(&tmpfs.target, Kind::Directory)?;
    let root = mount.try_clone().map_err(|cause| failed(&name, "keep it open", cause))?;
    prepared.attach(name, mount, at);
    places.mounted(path, Some(Root::from_fd(root)));
    Ok(())
}

fn file(
    file: &FileMount,
    files: &mut Files,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let &FileMount { ref target, ref content, mode, uid, gid, read_only } = file;
    let attributes = if read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let content = Content { bytes: content, mode, uid, gid };
    generated(target, &content, attributes, files, places, prepared)
}

fn generated(
    target: &Path,
    content: &Content<'_>,
    attributes: u64,
    files: &mut Files,
    places: &mut Places,
    prepared: &mut Prepared,
) -> Result<(), SpawnError> {
    let shown = target.to_string_lossy();
    let name = files.add(content).map_err(|cause| match cause.raw_os_error() {
        Some(libc::EINVAL) => SpawnError::NotMapped { id: content.uid.max(content.gid) },
        _ => failed(&shown, "write its content", cause),
    })?;
    let (at, path) = places.target(target, Kind::File)?;
    let op = MountOp::Copy {
        base: files.as_fd().as_raw_fd(),
        name,
        target: prepared.hold(at),
        attributes,
    };
    prepared.push(shown, op);
    places.mounted(path, None);
    Ok(())
}
