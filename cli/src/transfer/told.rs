//! How far a layer has come, told as it is read or written.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use gantry_image::Digest;

/// Is told of a layer how many bytes have come, of how many.
pub(crate) type Tell<'a> = &'a (dyn Fn(&Digest, u64, u64) + Sync);

/// How often it is told.
const EVERY: Duration = Duration::from_millis(100);

/// Tells of a layer, of whose bytes it hears how many have gone.
pub(super) fn telling<'a>(
    tell: Tell<'a>,
    layer: Digest,
    total: u64,
) -> Box<dyn FnMut(u64) + Send + 'a> {
    let mut last: Option<Instant> = None;
    Box::new(move |current| {
        if last.is_none_or(|last| last.elapsed() >= EVERY) || current == total {
            last = Some(Instant::now());
            tell(&layer, current, total);
        }
    })
}

/// A reader that tells how much came through it.
pub(super) struct Told<'a, R> {
    from: R,
    current: u64,
    told: Box<dyn FnMut(u64) + Send + 'a>,
}

impl<'a, R> Told<'a, R> {
    pub(super) fn new(from: R, layer: Digest, total: u64, tell: Tell<'a>) -> Self {
        Self { from, current: 0, told: telling(tell, layer, total) }
    }
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.current += count as u64;
        if count > 0 {
            (self.told)(self.current);
        }
        Ok(count)
    }
}
