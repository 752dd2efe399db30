//! How far the writing of a tar has come, told as it goes on.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use gantry_image::archive::Output;

/// Is told how far something has come: its name, how many bytes, of how many.
pub(crate) type Tell<'a> = &'a (dyn Fn(&str, u64, Option<u64>) + Sync);

/// What BuildKit calls the writing of a tar.
const NAME: &str = "sending tarball";

/// How often it is told.
const EVERY: Duration = Duration::from_millis(100);

/// A writer that tells how much went through it.
pub(super) struct Told<'a, W> {
    out: &'a mut W,
    tell: Tell<'a>,
    written: u64,
    /// How many bytes there will be, about.
    total: Option<u64>,
    last: Instant,
}

impl<'a, W: Write> Told<'a, W> {
    pub(super) fn new(out: &'a mut W, tell: Tell<'a>, total: Option<u64>) -> Self {
        tell(NAME, 0, None);
        Self { out, tell, written: 0, total, last: Instant::now() }
    }

    fn advance(&mut self, count: u64) {
        self.written += count;
        if self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            // Headers come on top of the layers: it is not done before it is done.
            let total = self.total.filter(|total| self.written < *total);
            (self.tell)(NAME, self.written, total);
        }
    }

    /// Tells that nothing more will come.
    pub(super) fn finish(self) {
        (self.tell)(NAME, self.written, Some(self.written));
    }
}

impl<W: Write> Write for Told<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Output> Output for Told<'_, W> {
    fn write_from(&mut self, file: &std::fs::File, count: u64) -> io::Result<u64> {
        let count = self.out.write_from(file, count)?;
        self.advance(count);
        Ok(count)
    }
}
