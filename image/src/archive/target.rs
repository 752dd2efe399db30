//! Where the members of an archive are written: into a tar, or into a directory.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;

use super::ArchiveError;
use super::layer::{self, Check};
use super::output::Output;
use super::whole::WholeFile;
use super::write::SaveLayer;
use crate::layer::{BLOCK, END, Header, Kind};

const BUFFER: usize = 256 << 10;

/// Where members go.
pub(super) trait Target {
    /// Writes a document.
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError>;

    /// Writes a layer's blob.
    fn layer(&mut self, name: &str, layer: &mut SaveLayer<'_>) -> Result<(), ArchiveError>;

    /// Is a blob there already?
    fn has(&self, _name: &str) -> bool {
        false
    }
}

/// Into a tar.
pub(super) struct TarTarget<O: Output> {
    out: io::BufWriter<O>,
    /// Layers that are written, and may not be what they should.
    checks: VecDeque<(String, Check)>,
    /// How many of them there may be.
    ahead: usize,
}

impl<O: Output> TarTarget<O> {
    pub(super) fn new(out: O) -> Self {
        let ahead = std::thread::available_parallelism().map_or(1, NonZero::get);
        let out = io::BufWriter::with_capacity(BUFFER, out);
        Self { out, checks: VecDeque::new(), ahead }
    }

    /// Ends the tar.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        self.wait(0)?;
        let ended = self.out.write_all(&END).and_then(|()| self.out.flush());
        ended.map_err(|source| write_error("the end", source))
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<(), ArchiveError> {
        let mut header = Vec::with_capacity(BLOCK);
        Header { kind: Kind::Dir, mode: 0o755, ..Header::file(name.as_bytes(), 0) }
            .encode(&mut header);
        self.out.write_all(&header).map_err(|source| write_error(name, source))
    }

    /// Waits until no more than so many layers are being digested.
    fn wait(&mut self, most: usize) -> Result<(), ArchiveError> {
        while self.checks.len() > most
            && let Some((name, check)) = self.checks.pop_front()
        {
            check.finish().map_err(|source| write_error(&name, source))?;
        }
        Ok(())
    }

    /// Writes a file of that size, whose bytes `write` gives.
    fn member<T>(
        &mut self,
        name: &str,
        size: u64,
        write: impl FnOnce(&mut io::BufWriter<O>) -> io::Result<T>,
    ) -> Result<T, ArchiveError> {
        let mut header = Vec::with_capacity(BLOCK);
        Header::file(name.as_bytes(), size).encode(&mut header);
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let out = &mut self.out;
        let written = out.write_all(&header).and_then(|()| write(out)).and_then(|made| {
            out.write_all(&END[..padding as usize])?;
            Ok(made)
        });
        written.map_err(|source| write_error(name, source))
    }
}

impl<O: Output> Target for TarTarget<O> {
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.member(name, bytes.len() as u64, |out| out.write_all(bytes))
    }

    fn layer(&mut self, name: &str, layer: &mut SaveLayer<'_>) -> Result<(), ArchiveError> {
        self.wait(self.ahead.saturating_sub(1))?;
        let size = layer.descriptor.size;
        let check = self.member(name, size, |out| layer::write(layer, out))?;
        self.checks.extend(check.map(|check| (name.to_owned(), check)));
        Ok(())
    }
}

/// Into a directory, each whole or not at all.
pub(super) struct DirectoryTarget<'a> {
    pub(super) directory: &'a Path,
}

impl DirectoryTarget<'_> {
    fn member(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut WholeFile) -> io::Result<()>,
    ) -> Result<(), ArchiveError> {
        let path = self.directory.join(name);
        let written = path.parent().map_or(Ok(()), fs_err::create_dir_all).and_then(|()| {
            let mut file = WholeFile::create(path)?;
            write(&mut file)?;
            file.publish()
        });
        written.map_err(|source| write_error(name, source))
    }
}

impl Target for DirectoryTarget<'_> {
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.member(name, |file| file.write_all(bytes))
    }

    fn layer(&mut self, name: &str, layer: &mut SaveLayer<'_>) -> Result<(), ArchiveError> {
        self.member(name, |file| layer::write(layer, file)?.map_or(Ok(()), Check::finish))
    }

    fn has(&self, name: &str) -> bool {
        self.directory.join(name).exists()
    }
}

pub(super) fn write_error(name: &str, source: io::Error) -> ArchiveError {
    ArchiveError::Write { name: name.to_owned(), source }
}
