//! Where the members of an archive are read from: a directory, a tar in place, or a spool.
//!
//! Names are normalised, and links inside the archive (`docker save` made them for equal layers) are
//! followed within it, a few times at most.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_tree::{Follow, Root, TreePath};

use super::ArchiveError;
use crate::layer::{BLOCK, Chunk, Limits, MemberKind, Members, link_target, plain};

/// Docker's own chains of links have one link; more than this go round in circles.
const LINKS: usize = 8;
/// Members of an archive: blobs, a few documents, three for each layer of an old docker archive.
const MEMBERS: u64 = 1 << 20;
const BUFFER: usize = 256 << 10;

/// Keeps the members of a stream that can't be read twice. The caller says where.
pub trait Spool: Send + Sync {
    /// Stores what `data` yields, and returns a number to open it by.
    ///
    /// # Errors
    /// What reading or writing fails with.
    fn store(&mut self, data: &mut dyn Read) -> io::Result<u64>;

    /// Opens what was stored.
    ///
    /// # Errors
    /// What opening fails with.
    fn open(&self, number: u64) -> io::Result<Box<dyn Read + Send>>;
}

/// A [`Spool`] of numbered files in a directory, which the caller removes.
#[derive(Debug)]
pub struct DirectorySpool {
    directory: PathBuf,
    next: u64,
}

impl DirectorySpool {
    /// Uses a directory that exists and that nobody else writes into.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), next: 0 }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }
}

impl Spool for DirectorySpool {
    fn store(&mut self, data: &mut dyn Read) -> io::Result<u64> {
        let number = self.next;
        self.next += 1;
        let mut file =
            fs_err::OpenOptions::new().write(true).create_new(true).open(self.path(number))?;
        io::copy(data, &mut file)?;
        Ok(number)
    }

    fn open(&self, number: u64) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(fs_err::File::open(self.path(number))?))
    }
}

/// A member that was opened: its size and its bytes.
pub(super) type Opened<'a> = (u64, Box<dyn Read + Send + 'a>);

/// The members of an archive by name.
pub(super) trait Source: Send + Sync {
    /// Opens a member; links inside the archive are followed within it.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`] if it isn't there or is no file.
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError>;

    /// Is there such a file?
    fn has(&self, name: &str) -> bool;

    /// Reads a small member whole.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let (size, data) = self.open(name)?;
        let mut bytes = Vec::new();
        if size <= limit {
            data.take(limit + 1).read_to_end(&mut bytes).map_err(ArchiveError::Read)?;
        }
        if size > limit || bytes.len() as u64 > limit {
            return Err(ArchiveError::refused(name, format!("it is larger than {limit} bytes")));
        }
        Ok(bytes)
    }
}

/// An OCI layout in a directory.
pub(super) struct Directory(pub(super) Root);

impl Source for Directory {
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError> {
        let path =
            TreePath::new(name).map_err(|err| ArchiveError::refused(name, err.to_string()))?;
        let file = match self.0.open_file(&path, Follow::Last) {
            Err(err) if err.is_not_found() => return Err(ArchiveError::Missing(name.to_owned())),
            file => file.map_err(ArchiveError::Directory)?,
        };
        let size = file.metadata().map_err(ArchiveError::Read)?.len();
        Ok((size, Box::new(BufReader::with_capacity(BUFFER, file))))
    }

    fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }
}

enum Place {
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
struct Index(HashMap<TreePath, Place>);

impl Index {
    fn find(&self, name: &str) -> Result<&Place, ArchiveError> {
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
    fn read<R: Read>(
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

struct Stored {
    offset: u64,
    size: u64,
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

/// A stream whose files went into a spool.
pub(super) struct SpooledTar<'a> {
    spool: &'a mut dyn Spool,
    index: Index,
}

impl<'a> SpooledTar<'a> {
    pub(super) fn read(stream: impl Read, spool: &'a mut dyn Spool) -> Result<Self, ArchiveError> {
        let mut members = Members::new(stream, Limits { entries: MEMBERS, ..Limits::default() });
        // The tar is read to its end, so that whoever writes to us doesn't get a broken pipe.
        let index = Index::read(&mut members, |members, stored| {
            let mut data = MemberReader { members, hole: 0 };
            let number = spool.store(&mut data).map_err(ArchiveError::Read)?;
            Ok(Place::Spooled { number, size: stored.size })
        })?;
        members.drain().map_err(ArchiveError::Tar)?;
        Ok(Self { spool, index })
    }
}

impl Source for SpooledTar<'_> {
    fn open(&self, name: &str) -> Result<Opened<'_>, ArchiveError> {
        match self.index.find(name)? {
            Place::Spooled { number, size } => {
                Ok((*size, self.spool.open(*number).map_err(ArchiveError::Read)?))
            }
            _ => Err(ArchiveError::Missing(name.to_owned())),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.index.find(name).is_ok()
    }
}

/// The current member's bytes, with zeros where it has holes.
struct MemberReader<'a, R> {
    members: &'a mut Members<R>,
    hole: u64,
}

impl<R: Read> Read for MemberReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.hole == 0 {
            match self.members.chunk(buffer).map_err(io::Error::other)? {
                Chunk::End => return Ok(0),
                Chunk::Data(n) => return Ok(n),
                Chunk::Hole(n) => self.hole = n,
            }
        }
        let n = usize::try_from(self.hole).unwrap_or(usize::MAX).min(buffer.len());
        buffer[..n].fill(0);
        self.hole -= n as u64;
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
