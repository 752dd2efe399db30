//! [`ContextIndex`]: path and stat → content, for files that have not changed since.
//!
//! A file may change without its stat showing it: two writes within one tick of the clock that
//! stamps inodes leave the same times. So a file that was touched less than a tick before the scan
//! that read it is not remembered at all; the next build reads it again and remembers it then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_tree::{ContentId, Scan, Stat, Time, TreePath};

use super::format::{Fixed, HEADER, LOOKS, Look, MAGIC, RECORD, encode_looks};

/// What stamps inodes advances at 100 Hz or faster; the rest is for clocks being read apart.
const GRAIN_NANOS: i128 = 20_000_000;

/// File systems without sub-second times (or with steps of two seconds, FAT).
const COARSE_GRAIN_NANOS: i128 = 2_000_000_000;

/// An index as it was loaded. Look-ups may come from several threads.
#[derive(Debug)]
pub struct ContextIndex {
    bytes: Vec<u8>,
    count: usize,
    /// Where the last look-up hit. Scans go through directories in order, so the next one is most
    /// likely the next record.
    last: AtomicUsize,
}

impl ContextIndex {
    /// Takes the bytes of an index file, if they are one.
    pub(super) fn decode(bytes: Vec<u8>) -> Option<ContextIndex> {
        let body = bytes.get(HEADER..)?;
        let number = |at: usize| -> Option<usize> {
            let part: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_le_bytes(part)).ok()
        };
        let (count, text) = (number(16)?, number(20)?);
        let sound = bytes.starts_with(MAGIC)
            && body.len() == count.checked_mul(RECORD)?.checked_add(text)?
            && bytes[24..LOOKS] == *blake3::hash(body).as_bytes();
        sound.then(|| ContextIndex { count, bytes, last: AtomicUsize::new(usize::MAX) })
    }

    /// Returns what the file at `path` holds, if it is known and its stat is the same as then.
    pub fn known(&self, path: &TreePath, stat: &Stat) -> Option<ContentId> {
        let guess = self.last.load(Ordering::Relaxed).wrapping_add(1);
        let at = if guess < self.count && self.path(guess) == path.as_bytes() {
            guess
        } else {
            self.find(path)?
        };
        self.last.store(at, Ordering::Relaxed);
        let fixed = self.record(at);
        fixed.matches(stat).then_some(fixed.content)
    }

    /// Returns how many files it knows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Says whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn find(&self, path: &TreePath) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.path(middle).cmp(path.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn record(&self, at: usize) -> Fixed {
        let start = HEADER + at * RECORD;
        Fixed::decode(&std::array::from_fn(|n| self.bytes[start + n]))
    }

    fn path(&self, at: usize) -> &[u8] {
        let start = HEADER + at * RECORD;
        let number = |at: usize| -> usize {
            u32::from_le_bytes(std::array::from_fn(|n| self.bytes[at + n])) as usize
        };
        let (offset, length) = (number(start), number(start + 4));
        let text = &self.bytes[HEADER + self.count * RECORD..];
        // The checksum makes this true for every index that this program wrote.
        text.get(offset..offset.saturating_add(length)).unwrap_or_default()
    }
}

/// Collects what a scan found, to be remembered.
#[derive(Debug)]
pub struct ContextIndexBuilder<'s> {
    started: i128,
    files: Vec<(&'s [u8], Fixed)>,
    looks: Vec<Look>,
}

impl<'s> ContextIndexBuilder<'s> {
    /// Begins an index of a scan that started at `started`, by this machine's clock; the moment
    /// must be taken *before* the first file was looked at.
    pub fn new(started: SystemTime) -> Self {
        let started = match started.duration_since(UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            // Before 1970 nothing is old enough to be trusted.
            Err(_) => i128::MIN,
        };
        Self { started, files: Vec::new(), looks: Vec::new() }
    }

    /// Takes in all that a scan allows to be remembered.
    pub fn add_scan(&mut self, scan: &'s Scan) {
        self.files.reserve(scan.stats.len());
        for (path, stat, content) in scan.indexable() {
            self.add(path, stat, content);
        }
    }

    /// Takes in one file, with the stat from before it was read. One that was touched too short a
    /// time before the scan is left out.
    pub fn add(&mut self, path: &'s TreePath, stat: &Stat, content: ContentId) {
        if self.is_settled(stat.mtime) && self.is_settled(stat.ctime) {
            self.files.push((path.as_bytes(), Fixed::new(stat, content)));
        }
    }

    /// Says what selections looked like. Of many, the last are kept.
    pub fn set_looks(&mut self, looks: Vec<Look>) {
        self.looks = looks;
    }

    /// Says whether a file with this time was touched long enough before the scan for a later
    /// change to show in its times.
    pub fn is_settled(&self, time: Time) -> bool {
        let nanos = i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
        let grain = if time.nanos == 0 { COARSE_GRAIN_NANOS } else { GRAIN_NANOS };
        nanos.saturating_add(grain) < self.started
    }

    pub(super) fn encode(mut self) -> Vec<u8> {
        self.files.sort_unstable_by(|a, b| a.0.cmp(b.0));
        self.files.dedup_by(|a, b| a.0 == b.0);
        let text: usize = self.files.iter().map(|file| file.0.len()).sum();
        // What does not fit the numbers is not remembered: 4 GiB of path names.
        if u32::try_from(text).is_err() {
            self.files.clear();
        }
        let count = self.files.len();
        let mut bytes = vec![0; HEADER];
        bytes.reserve(count * RECORD + text);
        let mut offset = 0;
        for (path, fixed) in &self.files {
            let length = path.len() as u32;
            bytes.extend(Fixed { path: (offset, length), ..*fixed }.encode());
            offset += length;
        }
        for (path, _) in &self.files {
            bytes.extend(*path);
        }
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..20].copy_from_slice(&(count as u32).to_le_bytes());
        bytes[20..24].copy_from_slice(&offset.to_le_bytes());
        let sum = blake3::hash(&bytes[HEADER..]);
        bytes[24..LOOKS].copy_from_slice(sum.as_bytes());
        bytes[LOOKS..HEADER].copy_from_slice(&encode_looks(&self.looks));
        bytes
    }
}
