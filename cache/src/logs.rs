//! Step logs: what a step printed, kept compressed.
//!
//! Owns `logs/`. The caller frames what it writes (which stream, when); here it is bytes. A log
//! goes with the last record that names it.

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fs_err as fs;

use crate::error::Context;
use crate::store::Inner;
use crate::{LogId, StoreError, owner};

/// Fast before small: a step that prints without end must not wait for this.
const LEVEL: i32 = 1;

/// The step logs of a store.
#[derive(Debug, Clone, Copy)]
pub struct Logs<'s> {
    pub(crate) inner: &'s Inner,
}

impl<'s> Logs<'s> {
    /// Begins a log. Dropping the writer instead of finishing it leaves nothing.
    ///
    /// # Errors
    /// When its file can't be made.
    pub fn writer(&self) -> Result<LogWriter<'s>, StoreError> {
        let path = self.inner.owner()?.fresh("log");
        let doing = || format!("create `{}`", path.display());
        let file = fs::File::create_new(&path).doing(doing)?;
        let encoder = zstd::Encoder::new(file, LEVEL).doing(doing)?;
        Ok(LogWriter { inner: self.inner, encoder: Some(encoder), path })
    }

    /// Opens a log.
    ///
    /// # Errors
    /// When the file can't be read; a log that isn't there is `None`.
    pub fn open(&self, id: &LogId) -> Result<Option<LogReader>, StoreError> {
        let path = self.inner.layout.log(id);
        match fs::File::open(&path) {
            Ok(file) => {
                let decoder = zstd::Decoder::new(file);
                Ok(Some(LogReader(decoder.doing(|| format!("read `{}`", path.display()))?)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io(format!("open `{}`", path.display()), error)),
        }
    }
}

/// A log being written. Bounding its size is the caller's.
pub struct LogWriter<'s> {
    inner: &'s Inner,
    encoder: Option<zstd::Encoder<'static, fs::File>>,
    path: PathBuf,
}

impl std::fmt::Debug for LogWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl LogWriter<'_> {
    /// Gives the log its name. Put it into a record soon: a log that none names is swept.
    ///
    /// # Errors
    /// When the rest can't be written.
    pub fn finish(mut self) -> Result<LogId, StoreError> {
        let id = LogId(owner::random());
        let doing = || format!("store the log `{id}`");
        if let Some(encoder) = self.encoder.take() {
            encoder.finish().doing(doing)?;
        }
        fs::rename(&self.path, self.inner.layout.log(&id)).doing(doing)?;
        Ok(id)
    }
}

impl Write for LogWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Always there until `finish` takes the writer itself.
        self.encoder.as_mut().map_or(Ok(bytes.len()), |encoder| encoder.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for LogWriter<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A stored log, uncompressed as it is read.
pub struct LogReader(zstd::Decoder<'static, io::BufReader<fs::File>>);

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogReader")
    }
}

impl Read for LogReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}
