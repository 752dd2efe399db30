//! Extended attributes: which ones belong to a tree, and reading and setting them.
//!
//! Linux has no `listxattrat` that `rustix` offers, so where no file is open the path
//! `/proc/self/fd/<directory>/<name>` is used: our own `/proc`, our own descriptor, and a last
//! component that the `l…xattr` calls do not follow.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr, lgetxattr, llistxattr};
use rustix::fs::{lgetxattr_query, lremovexattr, lsetxattr};
use rustix::io::{Errno, Result};

use crate::Xattrs;

/// `XATTR_LIST_MAX` and `XATTR_SIZE_MAX` of linux/limits.h: nothing can be larger.
const LARGEST: usize = 65536;

/// Most files have none or one, whose names fit in here.
const USUAL: usize = 1024;

/// What is read from, or written to.
#[derive(Clone, Copy)]
pub(crate) enum On<'a> {
    /// An open file or directory, not an `O_PATH` one.
    Fd(BorrowedFd<'a>),
    /// A name in a directory, which may be an `O_PATH` one. `.` is the directory itself.
    Name(BorrowedFd<'a>, &'a [u8]),
}

/// Reads all attributes that belong to a tree. A file system without any has none.
pub(crate) fn read(on: On<'_>) -> Result<Xattrs> {
    let mut small = [0_u8; USUAL];
    let mut large = Vec::new();
    let names = match list(on, &mut small) {
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large.resize(LARGEST, 0);
            let length = list(on, &mut large)?;
            &large[..length]
        }
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut xattrs = Xattrs::new();
    for name in names.split(|&b| b == 0).filter(|name| belongs(name)) {
        match get(on, name) {
            Ok(value) => xattrs.push((name.to_vec(), value)),
            // Gone meanwhile, or a kind that is listed to everybody and read by few.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::NOTSUP) => {}
            Err(error) => return Err(error),
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

/// Sets one attribute.
pub(crate) fn set(on: On<'_>, name: &[u8], value: &[u8]) -> Result<()> {
    let flags = XattrFlags::empty();
    match on {
        On::Fd(fd) => fsetxattr(fd, name, value, flags),
        On::Name(dir, file) => lsetxattr(&by_name(dir, file)[..], name, value, flags),
    }
}

/// Removes one attribute; one that isn't there is no error.
pub(crate) fn remove(dir: BorrowedFd<'_>, file: &[u8], name: &[u8]) -> Result<()> {
    match lremovexattr(&by_name(dir, file)[..], name) {
        Err(Errno::NODATA) => Ok(()),
        answer => answer,
    }
}

/// Says whether a directory hands an access list down to what is made in it.
pub(crate) fn has_default_acl(dir: BorrowedFd<'_>) -> bool {
    lgetxattr_query(&by_name(dir, b".")[..], c"system.posix_acl_default").is_ok()
}

/// Returns the path by which a name in an open directory can be given to calls that take no
/// directory. Its last component is `file`.
pub(crate) fn by_name(dir: BorrowedFd<'_>, file: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(file);
    path
}

/// Leaves out what says something about this host (labels, measurements) and not about the tree.
/// Overlayfs's own attributes are read too: the scan needs them, and takes them out.
fn belongs(name: &[u8]) -> bool {
    match name {
        b"" => false,
        b"security.capability" => true,
        _ => !name.starts_with(b"security."),
    }
}

fn list(on: On<'_>, buffer: &mut [u8]) -> Result<usize> {
    match on {
        On::Fd(fd) => flistxattr(fd, buffer),
        On::Name(dir, file) => llistxattr(&by_name(dir, file)[..], buffer),
    }
}

fn get(on: On<'_>, name: &[u8]) -> Result<Vec<u8>> {
    let get = |buffer: &mut [u8]| match on {
        On::Fd(fd) => fgetxattr(fd, name, buffer),
        On::Name(dir, file) => lgetxattr(&by_name(dir, file)[..], name, buffer),
    };
    let mut small = [0_u8; USUAL];
    match get(&mut small) {
        Ok(length) => Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; LARGEST];
            let length = get(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(error) => Err(error),
    }
}
