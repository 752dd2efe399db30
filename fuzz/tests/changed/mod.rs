//! Examples, and how a string of bytes that means nothing changes them.

use std::path::{Path, PathBuf};

/// Inputs that a target understands.
pub(crate) struct Examples {
    all: Vec<Vec<u8>>,
    checksums: bool,
}

fn below(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The content of every file of a directory, in order of the names.
fn files(dir: &Path, name: Option<&str>) -> Vec<Vec<u8>> {
    let entries = fs_err::read_dir(dir).expect("the corpus is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let paths = paths.into_iter().map(|path| name.map_or(path.clone(), |name| path.join(name)));
    paths.map(|path| fs_err::read(path).expect("an example")).collect()
}

impl Examples {
    pub(crate) fn new(all: Vec<Vec<u8>>) -> Self {
        assert!(!all.is_empty(), "there are no examples");
        Self { all, checksums: false }
    }

    /// Those of `corpus/<target>/`.
    pub(crate) fn of(target: &str) -> Self {
        Self::new(files(&below("corpus").join(target), None))
    }

    /// Those of the parser's own cases.
    pub(crate) fn dockerfiles() -> Self {
        Self::new(files(&below("../testdata/parser"), Some("Dockerfile")))
    }

    /// Puts the checksums of tar headers right after a change; nearly all changes would be
    /// refused for them alone.
    pub(crate) fn with_checksums(self) -> Self {
        Self { checksums: true, ..self }
    }

    /// As they are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(Vec::as_slice)
    }

    /// `noise` itself in one case of eight, else an example with a few places changed as it says.
    pub(crate) fn changed(&self, noise: &[u8]) -> Vec<u8> {
        let [kind, low, high, edits @ ..] = noise else { return noise.to_vec() };
        if kind % 8 == 0 {
            return edits.to_vec();
        }
        let mut bytes = self.pick(*low, *high).to_vec();
        for edit in edits.chunks_exact(4) {
            let [kind, low, high, byte] = [edit[0], edit[1], edit[2], edit[3]];
            let number = usize::from(u16::from_le_bytes([low, high]));
            let at = number % (bytes.len() + 1);
            let length = usize::from(byte);
            match kind % 6 {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                2 if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                3 => drop(bytes.drain(at..(at + length).min(bytes.len()))),
                4 => {
                    let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                    let to = (number / 7) % (bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let other = self.pick(byte, kind);
                    let from = number % (other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        if self.checksums {
            put_checksums(&mut bytes);
        }
        bytes
    }

    fn pick(&self, low: u8, high: u8) -> &[u8] {
        &self.all[usize::from(u16::from_le_bytes([low, high])) % self.all.len()]
    }
}

fn put_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
