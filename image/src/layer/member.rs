//! A tar's member: its header's fields with all extensions applied.

use std::io::Read;

use gantry_tree::{Time, Xattrs};
use tar::Header as Block;

use super::LayerError;
use super::fields::{is_gnu, is_ustar, number, own_name, signed_number, until_nul};
use super::members::Members;
use super::pax::Records;

/// One member, with all extensions applied.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// As written; whoever uses it must understand it first.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: MemberKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    /// Sorted by name.
    pub(crate) xattrs: Xattrs,
    /// The length of a file, holes included; 0 for all else.
    pub(crate) size: u64,
    /// Where a file's stored data start in the tar.
    pub(crate) data_offset: u64,
    /// Are the data stored as they are, without holes left out?
    pub(crate) contiguous: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberKind {
    File,
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Dir,
    Fifo,
}

/// What was said about the next member.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) pax: Option<Records>,
}

impl Extensions {
    /// Was anything said?
    pub(super) fn any(&self) -> bool {
        self.name.is_some() || self.link.is_some() || self.pax.is_some()
    }
}

impl<R: Read> Members<R> {
    /// Understands a header, and goes to its data.
    pub(super) fn member(
        &mut self,
        header: &Block,
        kind: u8,
        extensions: Extensions,
    ) -> Result<Member, LayerError> {
        let old = header.as_old();
        let Extensions { name: long_name, link: long_link, pax } = extensions;
        let mut pax = pax.unwrap_or_default();
        let field = |field: &[u8], what: &str| {
            number(field).ok_or_else(|| self.malformed(&format!("its {what} is no number")))
        };
        let (own_size, mode) = (field(&old.size, "size")?, field(&old.mode, "mode")?);
        let id = |pax: Option<u64>, own: &[u8], what: &str| {
            let id = pax.map_or_else(|| field(own, what), Ok)?;
            // The highest means "leave it as it is" to chown.
            u32::try_from(id)
                .ok()
                .filter(|&id| id != u32::MAX)
                .ok_or_else(|| self.malformed(&format!("its {what} is too large")))
        };
        let (uid, gid) = (id(pax.uid, &old.uid, "owner")?, id(pax.gid, &old.gid, "group")?);
        let mtime = match pax.mtime {
            Some(mtime) => mtime,
            None => {
                let secs = signed_number(&old.mtime)
                    .ok_or_else(|| self.malformed("its time is no number"))?;
                Time { secs, nanos: 0 }
            }
        };
        let mut name = pax.path.take().or(long_name).unwrap_or_else(|| own_name(header));
        if let Some(sparse) = pax.sparse.name.take() {
            name = sparse;
        }
        let link =
            pax.link.take().or(long_link).unwrap_or_else(|| until_nul(&old.linkname).to_vec());
        let device = || -> Result<(u32, u32), LayerError> {
            let bytes = header.as_bytes();
            let part = |range: std::ops::Range<usize>| {
                let number =
                    if is_ustar(bytes) || is_gnu(bytes) { number(&bytes[range]) } else { Some(0) };
                let number = number.and_then(|number| u32::try_from(number).ok());
                number.ok_or_else(|| self.malformed("its device number is none"))
            };
            Ok((part(329..337)?, part(337..345)?))
        };
        let kind = match kind {
            0 if name.ends_with(b"/") => MemberKind::Dir,
            0 | b'0' | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink(link),
            b'2' => MemberKind::Symlink(link),
            b'3' => device().map(|(major, minor)| MemberKind::CharDevice(major, minor))?,
            b'4' => device().map(|(major, minor)| MemberKind::BlockDevice(major, minor))?,
            b'5' => MemberKind::Dir,
            b'6' => MemberKind::Fifo,
            other => {
                let reason = format!("it is of the unknown type `{}`", other.escape_ascii());
                return Err(LayerError::refused(&name, reason));
            }
        };
        if kind == MemberKind::File {
            self.enter_file(header, own_size, &pax)?;
        }
        Ok(Member {
            name,
            kind,
            mode: (mode & 0o7777) as u32,
            uid,
            gid,
            mtime,
            xattrs: std::mem::take(&mut pax.xattrs),
            size: self.size,
            data_offset: self.offset,
            contiguous: self.map.is_none(),
        })
    }
}
