//! How far a layer has come, told as it is read.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use gantry_image::Digest;

/// Is told of a layer how many bytes have come, of how many.
pub(crate) type Tell<'a> = &'a (dyn Fn(&Digest, u64, u64) + Sync);

/// How often it is told.
const EVERY: Duration = Duration::from_millis(100);

/// A reader that tells how much came through it.
pub(super) struct Told<'a, R> {
    from: R,
    tell: Tell<'a>,
    layer: Digest,
    current: u64,
    total: u64,
    last: Option<Instant>,
}

impl<'a, R> Told<'a, R> {
    pub(super) fn new(from: R, layer: Digest, total: u64, tell: Tell<'a>) -> Self {
        Self { from, tell, layer, current: 0, total, last: None }
    }
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.current += count as u64;
        let due = self.last.is_none_or(|last| last.elapsed() >= EVERY);
        if count > 0 && (due || self.current == self.total) {
            self.last = Some(Instant::now());
            (self.tell)(&self.layer, self.current, self.total);
        }
        Ok(count)
    }
}
