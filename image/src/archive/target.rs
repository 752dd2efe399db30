//! Where the members of an archive are written: into a tar, or into a directory.

use std::io::{self, Read, Write};
use std::path::Path;

use super::ArchiveError;
use crate::layer::{BLOCK, END, Header, Kind};

const BUFFER: usize = 256 << 10;

/// Where members go.
pub(super) trait Target {
    fn member(&mut self, name: &str, size: u64, data: &mut dyn Read) -> Result<(), ArchiveError>;

    /// Is a blob there already?
    fn has(&self, _name: &str) -> bool {
        false
    }
}

/// Into a tar.
pub(super) struct TarTarget<W: Write> {
    out: io::BufWriter<W>,
}

impl<W: Write> TarTarget<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out: io::BufWriter::with_capacity(BUFFER, out) }
    }

    /// Ends the tar.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        let ended = self.out.write_all(&END).and_then(|()| self.out.flush());
        ended.map_err(|source| write_error("the end", source))
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<(), ArchiveError> {
        let mut header = Vec::with_capacity(BLOCK);
        Header { kind: Kind::Dir, mode: 0o755, ..Header::file(name.as_bytes(), 0) }
            .encode(&mut header);
        self.out.write_all(&header).map_err(|source| write_error(name, source))
    }
}

impl<W: Write> Target for TarTarget<W> {
    fn member(&mut self, name: &str, size: u64, data: &mut dyn Read) -> Result<(), ArchiveError> {
        let mut header = Vec::with_capacity(BLOCK);
        Header::file(name.as_bytes(), size).encode(&mut header);
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let written =
            self.out.write_all(&header).and_then(|()| copy(data, &mut self.out)).and_then(
                |copied| match copied == size {
                    true => self.out.write_all(&END[..padding as usize]),
                    false => Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("It has {copied} bytes instead of {size}"),
                    )),
                },
            );
        written.map_err(|source| write_error(name, source))
    }
}

/// Into a directory, each by a rename.
pub(super) struct DirectoryTarget<'a> {
    pub(super) directory: &'a Path,
}

impl Target for DirectoryTarget<'_> {
    fn member(&mut self, name: &str, _size: u64, data: &mut dyn Read) -> Result<(), ArchiveError> {
        let path = self.directory.join(name);
        let partial = self.directory.join(format!("{name}.partial-{}", std::process::id()));
        let written = path.parent().map_or(Ok(()), fs_err::create_dir_all).and_then(|()| {
            let mut file = fs_err::File::create(&partial)?;
            copy(data, &mut file)?;
            fs_err::rename(&partial, &path)
        });
        written.map_err(|source| {
            let _ = fs_err::remove_file(&partial);
            write_error(name, source)
        })
    }

    fn has(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }
}

fn copy(data: &mut dyn Read, out: &mut dyn Write) -> io::Result<u64> {
    let (mut buffer, mut copied) = (vec![0; BUFFER], 0);
    loop {
        match data.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                out.write_all(&buffer[..n])?;
                copied += n as u64;
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
}

pub(super) fn write_error(name: &str, source: io::Error) -> ArchiveError {
    ArchiveError::Write { name: name.to_owned(), source }
}
