//! The members of a tar by name, and a tar that is read in place.
//!
//! Names are normalised, and links inside the archive (`docker save` made them for equal layers) are
//! followed within it, a few times at most.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use gantry_tree::TreePath;

use super::ArchiveError;
use super::source::{Opened, Source};
use super::stretch::Stretch;
use crate::layer::{BLOCK, Limits, MemberKind, Members, link_target, plain};

/// Docker's own chains of links have one link; more than this go round in circles.
const LINKS: usize = 8;
/// Members of an archive: blobs, a few documents, three for each layer of an old docker archive.
pub(super) const MEMBERS: u64 = 1 << 20;

/// Where a member's bytes are.
pub(super) enum Place {
    /// Stored in one piece at this offset.
    Range {
        offset: u64,
        size: u64,
    },
    Spooled {
        number: u64,
        size: u64,
    },
    Link(TreePath),
}

/// The members of a tar; of equal names the last counts, as in unpacking it.
pub(super) struct Index(HashMap<TreePath, Place>);

impl Index {
    pub(super) fn find(&self, name: &str) -> Result<&Place, ArchiveError> {
        let mut path =
            TreePath::new(name).map_err(|err| ArchiveError::refused(name, err.to_string()))?;
        for _ in 0..=LINKS {
            match self.0.get(&path) {
                None => return Err(ArchiveError::Missing(name.to_owned())),
                Some(Place::Link(target)) => path = target.clone(),
                Some(place) => return Ok(place),
            }
        }
        Err(ArchiveError::refused(name, "its links go round in circles"))
    }

    /// Reads all headers; `keep` decides what becomes of a file.
    pub(super) fn read<R: Read>(
        members: &mut Members<R>,
        mut keep: impl FnMut(&mut Members<R>, Stored) -> Result<Place, ArchiveError>,
    ) -> Result<Self, ArchiveError> {
        let mut index = HashMap::new();
        while let Some(member) = members.next().map_err(ArchiveError::Tar)? {
            let path = plain(&member.name).map_err(ArchiveError::Tar)?;
            let place = match member.kind {
                MemberKind::File => {
                    let stored = Stored {
                        offset: member.data_offset,
                        size: member.size,
                        contiguous: member.contiguous,
                    };
                    keep(members, stored)?
                }
                MemberKind::HardLink(target) => {
                    Place::Link(link_target(&member.name, &target).map_err(ArchiveError::Tar)?)
                }
                MemberKind::Symlink(target) => {
                    let parent = path.parent().unwrap_or_default();
                    let whole = [parent.as_bytes(), b"/", &target].concat();
                    let inside = !target.starts_with(b"/") && stays_inside(&whole);
                    match TreePath::clamp(&whole) {
                        Ok(target) if inside => Place::Link(target),
                        _ => {
                            return Err(ArchiveError::refused(
                                &path.to_string(),
                                "it is a link that leads out",
                            ));
                        }
                    }
                }
                MemberKind::Dir => continue,
                _ => {
                    return Err(ArchiveError::refused(&path.to_string(), "it is a device or fifo"));
                }
            };
            index.insert(path, place);
        }
        Ok(Self(index))
    }
}

/// How a file is stored in the tar.
pub(super) struct Stored {
    offset: u64,
    pub(super) size: u64,
    contiguous: bool,
}

/// Does no `..` go above the start?
fn stays_inside(path: &[u8]) -> bool {
    let mut depth = 0_usize;
    path.split(|&byte| byte == b'/').all(|component| {
        depth = match component {
            b"" | b"." => depth,
            b".." => match depth.checked_sub(1) {
                Some(depth) => depth,
                None => return false,
            },
            _ => depth + 1,
        };
        true
    })
}

/// An uncompressed tar, read in place.
pub(super) struct SeekableTar {
    file: Arc<File>,
    index: Index,
}

impl SeekableTar {
    pub(super) fn open(mut file: File) -> Result<Self, ArchiveError> {
        file.rewind().map_err(ArchiveError::Read)?;
        let file = Arc::new(file);
        let length = file.metadata().map_err(ArchiveError::Read)?.len();
        let reader = BufReader::with_capacity(BLOCK, &*file);
        let mut members =
            Members::seekable(reader, Limits { entries: MEMBERS, ..Limits::default() });
        let index = Index::read(&mut members, |_, Stored { offset, size, contiguous }| {
            let ends = offset.checked_add(size).is_some_and(|end| end <= length);
            match contiguous && ends {
                true => Ok(Place::Range { offset, size }),
                false => Err(ArchiveError::refused(
                    "a member",
                    "it has holes, or ends behind the archive's end",
                )),
            }
        })?;
        Ok(Self { file, index })
    }
}

impl Source for SeekableTar {
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError> {
        match self.index.find(name)? {
            Place::Range { offset, size } => {
                let range = Range { file: Arc::clone(&self.file), offset: *offset, left: *size };
                Ok((*size, Box::new(range)))
            }
            _ => Err(ArchiveError::Missing(name.to_owned())),
        }
    }

    fn stretch(&self, name: &str) -> Result<Option<Stretch>, ArchiveError> {
        let Place::Range { offset, size } = *self.index.find(name)? else { return Ok(None) };
        Ok(Some(Stretch { file: Arc::clone(&self.file), offset, size, spooled: None }))
    }

    fn has(&self, name: &str) -> bool {
        self.index.find(name).is_ok()
    }
}

/// A stretch of a file, read without moving the file's own position.
struct Range {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let n = self.file.read_at(&mut buffer[..most], self.offset)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (self.offset, self.left) = (self.offset + n as u64, self.left - n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_may_go_up_but_not_out() {
        for inside in ["a/../b", "a/b/../../c", "./a"] {
            assert!(stays_inside(inside.as_bytes()), "{inside}");
        }
        for outside in ["..", "a/../../b", "a/b/../../../a/b"] {
            assert!(!stays_inside(outside.as_bytes()), "{outside}");
        }
    }
}
