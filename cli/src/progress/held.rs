//! What a step printed before its turn: the last of it in memory, all before that in a file to
//! which no name leads.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

/// How many bytes of a step are in memory at most, besides those that came last, as long as files
/// can be written.
const IN_MEMORY: usize = 256 << 10;

/// Text that is kept in the order in which it comes.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What comes first, and how many bytes that is.
    file: Option<(File, u64)>,
    rest: String,
    /// No file can be made or written: the rest stays in memory.
    refused: bool,
}

impl Held {
    /// Adds to it.
    pub(super) fn push(&mut self, text: &str) {
        // What is shown at once, because nothing is held before it, never gets to the disk.
        let much = !self.rest.is_empty() && self.rest.len() + text.len() > IN_MEMORY;
        if much && !self.refused {
            self.refused = self.spill().is_err();
        }
        self.rest.push_str(text);
    }

    /// Takes what is in memory to the file. What doesn't get there whole stays.
    fn spill(&mut self) -> io::Result<()> {
        let (file, length) = match &mut self.file {
            Some(file) => file,
            none => none.insert((tempfile::tempfile()?, 0)),
        };
        file.write_all_at(self.rest.as_bytes(), *length)?;
        *length += self.rest.len() as u64;
        self.rest.clear();
        Ok(())
    }

    /// Writes all of it.
    pub(super) fn write_to(self, out: &mut dyn Write) -> io::Result<()> {
        if let Some((mut file, length)) = self.file {
            file.seek(SeekFrom::Start(0))?;
            io::copy(&mut file.take(length), out)?;
        }
        out.write_all(self.rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(held: Held) -> String {
        let mut out = Vec::new();
        held.write_to(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn however_much_comes_little_of_it_is_in_memory() {
        let (mut held, mut expect) = (Held::default(), String::new());
        for number in 0..200_000 {
            let line = format!("line {number}\n");
            held.push(&line);
            expect.push_str(&line);
            assert!(held.rest.len() <= IN_MEMORY);
        }
        assert!(held.file.is_some());
        assert!(written(held) == expect, "it is what came, in its order");
    }

    #[test]
    fn a_file_that_is_full_costs_memory_and_no_text() {
        let mut held = Held::default();
        held.push(&"a".repeat(IN_MEMORY));
        held.push("a");
        // As on a full disk: what was written is there, and nothing can be added.
        let (full, length) = held.file.take().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&full));
        held.file = Some((fs_err::File::open(path).unwrap().into_parts().0, length));
        for _ in 0..3 {
            held.push(&"b".repeat(IN_MEMORY));
        }
        assert!(held.refused);
        let expect = "a".repeat(IN_MEMORY + 1) + &"b".repeat(3 * IN_MEMORY);
        assert!(written(held) == expect, "nothing is lost");
    }
}
