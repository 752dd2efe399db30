//! [`Output`]: what an archive is written to, and how files get into it.

use std::fs::File;
use std::io::{self, Read, Write};

const BUFFER: usize = 256 << 10;

/// Where an archive goes: a writer that may have a shorter way for what lies in a file.
pub trait Output: Write {
    /// Writes the next `count` bytes of a file, or those that are left; returns how many.
    ///
    /// # Errors
    /// What reading or writing fails with.
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        pump(&mut file.take(count), self)
    }
}

impl Output for Vec<u8> {}

/// Any other writer, which gets what files hold by reading them.
#[derive(Debug)]
pub struct Streamed<W>(pub W);

impl<W: Write> Write for Streamed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Output for Streamed<W> {}

/// Copies inside of the kernel where that is possible: from file to file, into a pipe or a socket.
impl Output for File {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        // That function knows of all ways, and falls back to reading and writing.
        io::copy(&mut file.take(count), self)
    }
}

impl Output for fs_err::File {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        io::copy(&mut file.take(count), &mut self.file())
    }
}

impl<O: Output + ?Sized> Output for &mut O {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        (**self).write_from(file, count)
    }
}

impl<O: Output> Output for io::BufWriter<O> {
    fn write_from(&mut self, file: &File, count: u64) -> io::Result<u64> {
        self.flush()?;
        self.get_mut().write_from(file, count)
    }
}

/// Copies all that comes, in large pieces.
pub(super) fn pump(data: &mut dyn Read, out: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    pump_telling(data, out, &mut |_| ())
}

/// The same; `told` hears how many bytes have gone.
pub(super) fn pump_telling(
    data: &mut dyn Read,
    out: &mut (impl Write + ?Sized),
    told: &mut dyn FnMut(u64),
) -> io::Result<u64> {
    let (mut buffer, mut copied) = (vec![0; BUFFER], 0);
    loop {
        match data.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(n) => {
                out.write_all(&buffer[..n])?;
                copied += n as u64;
                told(copied);
            }
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
}
