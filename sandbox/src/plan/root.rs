//! Mounting a root filesystem detached: no path leads to it, and it goes with its descriptor.
//!
//! The new mount API takes layers one by one (`lowerdir+`, Linux 6.8), so their number is bounded
//! by the kernel's 500 only. Older kernels get one classic `mount` in a namespace of its own, of
//! which a detached copy is taken; there all layers must fit into one page of options.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount, mount_change,
    open_tree,
};

use super::index;
use crate::sys::raw::{self, MountAttributes};
use crate::{Lower, RootfsSpec, Security, SpawnError, leaving};

/// What the kernel takes (`OVL_MAX_STACK`).
pub(crate) const MOST_LAYERS: usize = 500;

/// Said explicitly, so that an upper directory *is* the layer: whiteouts and opaque marks only.
/// (`redirect_dir=off` makes no redirects but follows those there are, which also conflicts with
/// `userxattr`; a layer that holds one did not get it from us.)
const OPTIONS: [(&str, &str); 3] =
    [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off")];

/// Mounts what `spec` describes, detached and writable as far as its upper directory allows.
pub(crate) fn mount_root(spec: &RootfsSpec, security: Security) -> Result<OwnedFd, SpawnError> {
    let attributes = match security {
        // Whoever may `mknod` must not be able to open what comes of it.
        Security::Sandbox => MountAttrFlags::MOUNT_ATTR_NODEV,
        Security::Insecure => MountAttrFlags::empty(),
    };
    if let Some(plain) = &spec.plain {
        return directory(plain, attributes);
    }
    if spec.lowers.len() > MOST_LAYERS {
        return Err(SpawnError::TooDeep { layers: spec.lowers.len(), limit: MOST_LAYERS });
    }
    match (spec.lowers.as_slice(), &spec.upper) {
        // Overlay wants something below (scratch has nothing), or two of them without an upper.
        ([], Some(upper)) => directory(upper, attributes),
        ([Lower::Tree(only)], None) => {
            directory(only, attributes | MountAttrFlags::MOUNT_ATTR_RDONLY)
        }
        ([Lower::Index { tar, index }], None) => Ok(index::mount(tar, index, attributes)?),
        ([Lower::Mounted(shared)], None) => {
            Ok(index::mount(&shared.tar, &shared.index, attributes)?)
        }
        ([], None) => Err(SpawnError::Rootfs {
            what: "it has neither layers nor a directory".to_owned(),
            cause: Errno::INVAL.into(),
        }),
        _ => {
            leaving::wait();
            let indexes = mount_indexes(spec, true)?;
            if spec.attached && !indexes.is_empty() {
                return over_attached(spec, indexes, attributes);
            }
            match overlay(spec, &indexes, attributes) {
                Err(Failed { cause, .. }) if is_unknown_option(&cause) => classic(spec, attributes),
                Err(Failed { cause, .. })
                    if !indexes.is_empty() && cause.raw_os_error() == Some(libc::EINVAL) =>
                {
                    over_attached(spec, indexes, attributes)
                }
                other => other.map_err(SpawnError::from),
            }
        }
    }
}

/// Lays overlay over indexes that are attached first, where only this thread sees them.
fn over_attached<'a>(
    spec: &'a RootfsSpec,
    mut indexes: Vec<Mounted<'a>>,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, SpawnError> {
    // Attached, a mount serves this thread only.
    if spec.lowers.iter().any(|lower| matches!(lower, Lower::Mounted(_))) {
        indexes = mount_indexes(spec, false)?;
    }
    let own = spec.lowers.iter().find_map(|lower| match lower {
        Lower::Index { index, .. } => index.parent(),
        Lower::Mounted(shared) => shared.index.parent(),
        Lower::Tree(_) => None,
    });
    // Hides nothing but files that are open already, and from nobody else.
    index::attach(&indexes, own.unwrap_or(Path::new("/")))?;
    Ok(overlay(spec, &indexes, attributes)?)
}

/// A mounted layer: for this root filesystem, or for others too.
enum Mounted<'a> {
    Own(OwnedFd),
    Shared(BorrowedFd<'a>),
}

impl AsFd for Mounted<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(mount) => mount.as_fd(),
            Self::Shared(mount) => *mount,
        }
    }
}

/// Mounts those layers that are indexes, in the order in which they come; what is mounted already
/// is taken as it is if they are to be `shared`.
fn mount_indexes(spec: &RootfsSpec, shared: bool) -> Result<Vec<Mounted<'_>>, Failed> {
    let own = |tar, index| index::mount(tar, index, MountAttrFlags::empty()).map(Mounted::Own);
    let indexes = spec.lowers.iter().filter_map(|lower| match lower {
        Lower::Tree(_) => None,
        Lower::Index { tar, index } => Some(own(tar, index)),
        Lower::Mounted(mounted) if shared => Some(Ok(Mounted::Shared(mounted.as_fd()))),
        Lower::Mounted(mounted) => Some(own(&mounted.tar, &mounted.index)),
    });
    indexes.collect()
}

/// A call that failed, and on what.
pub(crate) struct Failed {
    pub(super) what: String,
    pub(super) cause: io::Error,
}

impl From<Failed> for SpawnError {
    fn from(Failed { what, cause }: Failed) -> Self {
        Self::Rootfs { what, cause }
    }
}

pub(super) fn failed(what: impl Into<String>) -> impl FnOnce(Errno) -> Failed {
    |errno| Failed { what: what.into(), cause: errno.into() }
}

/// Kernels before 6.8 say so of `lowerdir+`.
fn is_unknown_option(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<UnknownOption>())
}

#[derive(Debug, thiserror::Error)]
#[error("this kernel does not know `lowerdir+`")]
struct UnknownOption;

/// The new mount API. `indexes` are the mounts of those layers that are some.
fn overlay(
    spec: &RootfsSpec,
    indexes: &[Mounted<'_>],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Failed> {
    let context =
        fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("fsopen overlay"))?;
    let set = |key: &str, value: &[u8]| {
        fsconfig_set_string(&context, key, value).map_err(|errno| Failed {
            what: format!("overlay {key}={}", String::from_utf8_lossy(value)),
            cause: errno.into(),
        })
    };
    // Held open until the mount is made: long paths are passed by descriptor.
    let mut held = Vec::new();
    set("source", b"overlay")?;
    let mut indexes = indexes.iter().rev();
    for (count, lower) in spec.lowers.iter().rev().enumerate() {
        let path = match lower {
            Lower::Tree(tree) => short(tree, &mut held)?,
            // By its descriptor: no path leads to it.
            Lower::Index { .. } | Lower::Mounted(_) => match indexes.next() {
                Some(mount) => {
                    format!("/proc/thread-self/fd/{}", mount.as_fd().as_raw_fd()).into_bytes()
                }
                None => return Err(failed("find an index")(Errno::BADF)),
            },
        };
        let is_dir = matches!(lower, Lower::Tree(tree) if tree.is_dir());
        match set("lowerdir+", &path) {
            Err(Failed { cause, what })
                if count == 0 && cause.raw_os_error() == Some(libc::EINVAL) && is_dir =>
            {
                return Err(Failed { what, cause: io::Error::other(UnknownOption) });
            }
            other => other?,
        }
    }
    if let (Some(upper), Some(work)) = (&spec.upper, &spec.work) {
        set("upperdir", &short(upper, &mut held)?)?;
        set("workdir", &short(work, &mut held)?)?;
    }
    for (key, value) in OPTIONS {
        set(key, value.as_bytes())?;
    }
    if !spec.lowers.iter().all(|lower| matches!(lower, Lower::Tree(_))) {
        // Several filesystems, but one device number and stable inode numbers for whoever looks.
        set("xino", b"on")?;
    }
    if spec.userxattr {
        fsconfig_set_flag(&context, "userxattr").map_err(failed("overlay userxattr"))?;
    }
    if spec.volatile && spec.upper.is_some() {
        fsconfig_set_flag(&context, "volatile").map_err(failed("overlay volatile"))?;
    }
    fsconfig_create(&context).map_err(|errno| Failed {
        what: format!("overlay of {} layers{}", spec.lowers.len(), log(&context)),
        cause: errno.into(),
    })?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed("fsmount overlay"))
}

/// The kernel takes 255 bytes of a string; `/proc/self/fd/N` says the same in less.
fn short(path: &Path, held: &mut Vec<OwnedFd>) -> Result<Vec<u8>, Failed> {
    let bytes = path.as_os_str().as_bytes();
    if path.is_absolute() && bytes.len() < 255 {
        return Ok(bytes.to_vec());
    }
    by_descriptor(path, held)
}

fn by_descriptor(path: &Path, held: &mut Vec<OwnedFd>) -> Result<Vec<u8>, Failed> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())
        .map_err(failed(format!("open {}", path.display())))?;
    let name = format!("/proc/thread-self/fd/{}", fd.as_raw_fd()).into_bytes();
    held.push(fd);
    Ok(name)
}

/// What the kernel has to say about a failed mount, as `: text`.
pub(super) fn log(context: &OwnedFd) -> String {
    let mut text = String::new();
    let mut line = [0_u8; 1024];
    while let Ok(length @ 1..) = rustix::io::read(context, &mut line) {
        let said = String::from_utf8_lossy(&line[..length]);
        let said = said.trim().trim_start_matches(['e', 'w', 'i']).trim();
        text.push_str(": ");
        text.push_str(said);
    }
    text
}

/// A plain directory as a mount of its own.
fn directory(path: &Path, attributes: MountAttrFlags) -> Result<OwnedFd, SpawnError> {
    let what = |call: &str| format!("{call} {}", path.display());
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags).map_err(failed(what("open_tree")))?;
    raw::mount_setattr(tree.as_fd(), false, MountAttributes::private(attributes.bits().into()))
        .map_err(|cause| Failed { what: what("mount_setattr"), cause })?;
    Ok(tree)
}

/// One `mount` call in a thread with a mount namespace of its own, which ends with the thread.
pub(crate) fn classic(
    spec: &RootfsSpec,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, SpawnError> {
    std::thread::scope(|scope| {
        scope.spawn(|| classic_here(spec, attributes)).join().unwrap_or_else(|_| {
            Err(Failed { what: "mount overlay".to_owned(), cause: Errno::IO.into() })
        })
    })
    .map_err(SpawnError::from)
}

fn classic_here(spec: &RootfsSpec, attributes: MountAttrFlags) -> Result<OwnedFd, Failed> {
    raw::unshare(libc::CLONE_NEWNS | libc::CLONE_FS)
        .map_err(|cause| Failed { what: "unshare mounts".to_owned(), cause })?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(failed("make mounts private"))?;
    let mut held = Vec::new();
    // By descriptor, since `:` separates layers and `,` options.
    let mut options = b"lowerdir=".to_vec();
    for lower in spec.lowers.iter().rev() {
        let Lower::Tree(tree) = lower else {
            // A kernel that needs this way knows nothing of indexes in files.
            return Err(failed("lay an index into a classic mount")(Errno::NOTSUP));
        };
        options.extend(by_descriptor(tree, &mut held)?);
        options.push(b':');
    }
    options.pop();
    if let (Some(upper), Some(work)) = (&spec.upper, &spec.work) {
        for (key, path) in [("upperdir", upper), ("workdir", work)] {
            options.extend(format!(",{key}=").into_bytes());
            options.extend(by_descriptor(path, &mut held)?);
        }
    }
    for (key, value) in OPTIONS {
        options.extend(format!(",{key}={value}").into_bytes());
    }
    if spec.userxattr {
        options.extend(b",userxattr");
    }
    if spec.volatile && spec.upper.is_some() {
        options.extend(b",volatile");
    }
    if options.len() >= 4096 {
        let what = format!("the options of {} layers do not fit into a page", spec.lowers.len());
        return Err(Failed { what, cause: Errno::NAMETOOLONG.into() });
    }
    let options = std::ffi::CString::new(options).map_err(|_| Failed {
        what: "a path holds a NUL".to_owned(),
        cause: Errno::INVAL.into(),
    })?;
    // Any directory will do to mount on: nobody else sees it.
    let place = match spec.lowers.first() {
        Some(Lower::Tree(tree)) => tree.as_path(),
        _ => Path::new("/"),
    };
    let flags = if attributes.contains(MountAttrFlags::MOUNT_ATTR_NODEV) {
        MountFlags::NODEV
    } else {
        MountFlags::empty()
    };
    mount("overlay", place, "overlay", flags, options.as_c_str())
        .map_err(failed("mount overlay"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, place, flags).map_err(failed("open_tree"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gantry_tree::{Root, TreePath};

    /// Both ways must give the same filesystem; where neither can be had, the suite says so.
    #[test]
    fn the_classic_way_mounts_the_same() {
        let host = crate::probe();
        if host.needs_user_namespace() || host.in_user_namespace() {
            return;
        }
        let scratch = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = scratch.path().join(name);
            fs_err::create_dir(&path).unwrap();
            path
        };
        let (low, high) = (make("low:,"), make("high"));
        fs_err::write(low.join("file"), "low").unwrap();
        fs_err::write(low.join("only"), "low").unwrap();
        fs_err::write(high.join("file"), "high").unwrap();
        let spec = RootfsSpec::overlay(vec![low, high], make("upper"), make("work"), false);
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
        let nodev = MountAttrFlags::MOUNT_ATTR_NODEV;
        let Ok(mount) = classic(&spec, nodev) else { return };
        let root = Root::from_fd(mount);
        let read = |name: &str| root.read(&TreePath::new(name).unwrap(), 100).unwrap().unwrap();
        assert_eq!((read("file"), read("only")), (b"high".to_vec(), b"low".to_vec()));
        root.create_file(&TreePath::new("new").unwrap(), 0o644).unwrap();
        assert!(scratch.path().join("upper/new").exists());
        // Nothing of it is to be seen in this process's own namespace.
        assert_eq!(mounts, fs_err::read_to_string("/proc/self/mountinfo").unwrap());
    }
}
