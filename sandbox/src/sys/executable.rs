//! A look at what is to be executed, before it is: it must lie inside the root.
//!
//! Until it has executed something, a child's `/proc/self/exe` is gantry's own file on the host. A
//! program, or an interpreter in a `#!` line, that is such a magic link would run gantry inside,
//! and let what it loads there write to gantry's file afterwards (CVE-2019-5736). So links of that
//! kind are refused. What remains is somebody who swaps the file between this look and the
//! execution, through a directory shared with another sandbox: then gantry's file cannot be
//! written to as long as it is being executed (`ETXTBSY`), and no process of a sandbox outlives
//! the gantry that made it.
//!
//! The rules of [`program`](super::program) hold here: no allocation, no lock.

use std::ffi::CStr;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::mounting::forget;

/// Opens a program without magic links, and so the interpreters that `#!` lines name.
pub(super) fn follow_interpreters(path: &CStr) -> Result<(), rustix::io::Errno> {
    /// As deep as the kernel follows, and one more.
    const DEPTH: usize = 6;
    let mut line = [0_u8; 258];
    let mut name_at = None;
    for _ in 0..DEPTH {
        let path = match name_at {
            None => path,
            Some(start) => {
                CStr::from_bytes_until_nul(&line[start..]).map_err(|_| rustix::io::Errno::NOEXEC)?
            }
        };
        let resolve = ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = match openat2(CWD, path, flags, Mode::empty(), resolve) {
            Ok(file) => file,
            // The program is there; that its interpreter is not is for `execve` to say.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) if name_at.is_some() => {
                return Ok(());
            }
            Err(errno) => return Err(errno),
        };
        let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        forget(file);
        if !kind.is_file() {
            return Ok(()); // `execve` says what is wrong with it.
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = openat2(CWD, path, flags, Mode::empty(), resolve) else {
            return Ok(()); // Not readable even for root of this namespace.
        };
        line = [0; 258];
        let length = rustix::io::read(&file, &mut line[..257]).unwrap_or(0);
        forget(file);
        match interpreter(&mut line, length) {
            Some(start) => name_at = Some(start),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Finds the interpreter in a first line, ends it with a NUL, and returns where it begins.
fn interpreter(line: &mut [u8], length: usize) -> Option<usize> {
    if !line.starts_with(b"#!") {
        return None;
    }
    let blank = |byte: u8| byte == b' ' || byte == b'\t';
    let start = (2..length).find(|&at| !blank(line[at]))?;
    let end = (start..length)
        .find(|&at| blank(line[at]) || line[at] == b'\n' || line[at] == 0)
        .unwrap_or(length);
    line[end] = 0;
    (end > start).then_some(start)
}
