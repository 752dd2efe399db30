//! A layer's bytes on their way into an archive, held against their digest.
//!
//! What lies in a file is not read for the archive: the kernel copies it, and meanwhile a thread
//! reads it to digest it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

use super::output::{Output, pump_telling};
use super::write::SaveLayer;
use crate::digest::VerifyReader;
use crate::manifest::Descriptor;

/// From this many bytes on a thread is worth its start.
const LARGE: u64 = 1 << 20;
/// How much is copied between two looks at whether all is well.
const STEP: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

/// A layer's bytes. Whatever they come from, an archive with other bytes than the layer's
/// descriptor says does not become whole.
pub enum LayerBytes<'a> {
    /// A file that has them from its current position on, and nobody writes to.
    File(File),
    /// A stream, which is digested while it is written.
    Stream(Box<dyn Read + 'a>),
    /// A stream that fails at its end, unless its bytes are the right ones.
    Checked(Box<dyn Read + 'a>),
}

/// Writes a layer's bytes. The digest of what lies in a large file may still be under way then.
pub(super) fn write(layer: &mut SaveLayer<'_>, out: &mut dyn Output) -> io::Result<Option<Check>> {
    let SaveLayer { descriptor, open, told } = layer;
    let bytes = open()?;
    let (digest, size) = (descriptor.digest, descriptor.size);
    let check = match &bytes {
        LayerBytes::File(file) if size >= LARGE => Check::start(file, descriptor).ok(),
        _ => None,
    };
    let copied = match bytes {
        LayerBytes::File(file) if check.is_some() => copy(&file, size, out, told)?,
        LayerBytes::File(file) => {
            pump_telling(&mut VerifyReader::new(file, digest, Some(size)), out, told)?
        }
        LayerBytes::Stream(data) => {
            pump_telling(&mut VerifyReader::new(data, digest, Some(size)), out, told)?
        }
        // One byte more than there should be shows that it is too long.
        LayerBytes::Checked(data) => {
            pump_telling(&mut data.take(size.saturating_add(1)), out, told)?
        }
    };
    if copied == size { Ok(check) } else { Err(wrong_size(copied, size)) }
}

pub(super) fn wrong_size(copied: u64, size: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("It has {copied} bytes instead of {size}"))
}

fn copy(
    file: &File,
    size: u64,
    out: &mut dyn Output,
    told: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    let mut copied = 0;
    while copied < size {
        match out.write_from(file, (size - copied).min(STEP))? {
            0 => break,
            count => copied += count,
        }
        told(copied);
    }
    Ok(copied)
}

/// A thread that holds a file against a descriptor. Dropping it calls that off.
pub(super) struct Check {
    thread: Option<JoinHandle<io::Result<()>>>,
    called_off: Arc<AtomicBool>,
}

impl Check {
    fn start(file: &File, descriptor: &Descriptor) -> io::Result<Self> {
        use std::io::Seek;
        let (digest, size) = (descriptor.digest, descriptor.size);
        let at = (&mut &*file).stream_position()?;
        let file = file.try_clone()?;
        let called_off = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&called_off);
        let work = move || {
            let mut data = VerifyReader::new(Stretch { file, at }, digest, Some(size));
            let mut buffer = vec![0; BUFFER];
            while !stop.load(Ordering::Relaxed) && data.read(&mut buffer)? > 0 {}
            Ok(())
        };
        let thread = Builder::new().name("sha256".to_owned()).spawn(work)?;
        Ok(Self { thread: Some(thread), called_off })
    }

    /// Waits for what comes of it.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let ended = self.thread.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(io::Error::other("Digesting panicked")))
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.called_off.store(true, Ordering::Relaxed);
    }
}

/// The rest of a file, read without moving its position: another thread copies from there.
struct Stretch {
    file: File,
    at: u64,
}

impl Read for Stretch {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
