//! What a tree looks like from outside, as bytes: they are digested, and may be kept.
//!
//! One encoding for [`glance`](super::glance()) and [`scan`](super::scan()), so that both give the
//! same digest of the same tree.
//!
//! ```text
//! directory = name(empty) stat    nothing for the root, of which only the times count
//! stretch   = sight*              so many names of a directory, in order
//! sight     = 0 name              a directory that is only there as the way to something
//!           | 1 name              a directory
//!           | 2 name stat         whatever else a manifest can hold
//!           | 3 name              a socket
//! name      = length(u32) bytes
//! stat      = kind(u8) 10 x u32, 4 x u64
//! ```
//!
//! All numbers are little-endian. The stat of a directory is part of its own line and not of the
//! one in its parent, because it is opened for it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{FileKind, Stat, Time, TreePath};

/// What a tree looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Of all names that the filter lets in, with their types, modes, sizes, times, inodes.
    pub digest: [u8; 32],
    /// The latest time of all files and directories, but for those of whole seconds.
    pub newest: Time,
    /// The latest of those times that are whole seconds, as file systems without fractions have.
    pub newest_whole: Time,
}

/// All that a glance saw, so that a [`scan`](super::scan()) need not look again.
///
/// Takes about 90 bytes a file.
#[derive(Debug)]
pub struct Seen {
    glance: Glance,
    /// Sorted by path and number.
    parts: Vec<Part>,
}

/// One line of a look: a stretch of a directory, or a directory itself.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: TreePath,
    /// Where in the directory the stretch begins; [`ITSELF`] for the directory itself.
    pub(super) first: usize,
    digest: [u8; 32],
    /// What was digested, if it was kept.
    bytes: Option<Box<[u8]>>,
}

/// Stands behind all stretches of a directory.
pub(super) const ITSELF: usize = usize::MAX;

/// One name in a stretch.
pub(super) enum Sight<'a> {
    Dir { name: &'a [u8], kept: bool },
    File { name: &'a [u8], stat: Stat },
    Socket { name: &'a [u8] },
}

/// How many more names and directories may be kept, by all workers together.
pub(super) struct Room(AtomicUsize);

/// What one worker sees.
pub(super) struct Look<'r> {
    room: &'r Room,
    parts: Vec<Part>,
    newest: Time,
    newest_whole: Time,
    /// Of the part that is being looked at.
    buffer: Vec<u8>,
    names: usize,
}

const LONG_AGO: Time = Time { secs: i64::MIN, nanos: 0 };

const STAT: usize = 1 + 10 * 4 + 4 * 8;

impl Room {
    pub(super) fn new(names: usize) -> Self {
        Self(AtomicUsize::new(names))
    }

    fn take(&self, names: usize) -> bool {
        let less = |left: usize| left.checked_sub(names);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

impl<'r> Look<'r> {
    pub(super) fn new(room: &'r Room) -> Self {
        let (newest, newest_whole) = (LONG_AGO, LONG_AGO);
        Self { room, parts: Vec::new(), newest, newest_whole, buffer: Vec::new(), names: 0 }
    }

    /// Sees a directory itself, once it is open.
    pub(super) fn opened(&mut self, path: &TreePath, stat: &Stat) {
        self.date(stat);
        // The root is in no manifest, but its times say whether a name in it has gone.
        if !path.is_root() {
            put_dir(&mut self.buffer, stat);
        }
        self.end(path, ITSELF);
    }

    /// Sees a directory in its parent.
    pub(super) fn dir(&mut self, name: &[u8], kept: bool) {
        self.name(u8::from(kept), name);
    }

    pub(super) fn socket(&mut self, name: &[u8]) {
        self.name(3, name);
    }

    /// Sees whatever is neither.
    pub(super) fn file(&mut self, name: &[u8], stat: &Stat) {
        self.date(stat);
        self.name(2, name);
        self.buffer.extend(encode(stat));
    }

    /// Ends the stretch of `dir` that began at its name number `first`.
    pub(super) fn end(&mut self, dir: &TreePath, first: usize) {
        let digest = *blake3::hash(&self.buffer).as_bytes();
        let kept = self.room.take(std::mem::take(&mut self.names) + 1);
        let bytes = kept.then(|| self.buffer.as_slice().into());
        self.parts.push(Part { path: dir.clone(), first, digest, bytes });
        self.buffer.clear();
    }

    fn name(&mut self, tag: u8, name: &[u8]) {
        self.names += 1;
        self.buffer.push(tag);
        put_name(&mut self.buffer, name);
    }

    fn date(&mut self, stat: &Stat) {
        for time in [stat.mtime, stat.ctime] {
            let newest = if time.nanos == 0 { &mut self.newest_whole } else { &mut self.newest };
            *newest = time.max(*newest);
        }
    }
}

/// Puts together what the workers saw.
pub(super) fn join<'r>(workers: impl IntoIterator<Item = Look<'r>>) -> Seen {
    let (mut newest, mut newest_whole) = (LONG_AGO, LONG_AGO);
    let mut parts = Vec::new();
    for look in workers {
        newest = newest.max(look.newest);
        newest_whole = newest_whole.max(look.newest_whole);
        parts.extend(look.parts);
    }
    parts.sort_unstable_by(|a, b| (&a.path, a.first).cmp(&(&b.path, b.first)));
    let mut hasher = blake3::Hasher::new();
    for Part { path, first, digest, .. } in &parts {
        hasher.update(&(path.as_bytes().len() as u64).to_le_bytes());
        hasher.update(path.as_bytes());
        hasher.update(&(*first as u64).to_le_bytes());
        hasher.update(digest);
    }
    let digest = *hasher.finalize().as_bytes();
    Seen { glance: Glance { digest, newest, newest_whole }, parts }
}

impl Seen {
    /// Returns what a glance tells of the tree.
    pub fn glance(&self) -> Glance {
        self.glance
    }

    /// Forgets all but the glance if not every part was kept.
    pub(super) fn if_whole(self) -> (Glance, Option<Self>) {
        let whole = self.parts.iter().all(|part| part.bytes.is_some());
        (self.glance, whole.then_some(self))
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns by which number a directory goes: where its first stretch stands, 0 for the root.
    pub(super) fn number(&self, dir: &TreePath) -> Option<usize> {
        self.parts.binary_search_by(|part| (&part.path, part.first).cmp(&(dir, 0))).ok()
    }
}

impl Part {
    /// Says whether the directory that this is looks like that still.
    pub(super) fn is_like(&self, stat: &Stat) -> bool {
        let mut now = Vec::new();
        put_dir(&mut now, stat);
        self.path.is_root() || self.bytes.as_deref() == Some(&now)
    }

    /// Lists what was seen in a stretch.
    pub(super) fn sights(&self) -> impl Iterator<Item = Sight<'_>> {
        let mut rest = self.bytes.as_deref().unwrap_or_default();
        std::iter::from_fn(move || {
            let (tag, after) = rest.split_first()?;
            let (length, after) = after.split_first_chunk()?;
            let (name, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(match tag {
                0 | 1 => Sight::Dir { name, kept: *tag == 1 },
                3 => Sight::Socket { name },
                _ => {
                    let (stat, after) = rest.split_first_chunk()?;
                    rest = after;
                    Sight::File { name, stat: decode(stat) }
                }
            })
        })
    }
}

/// Says whether a file looks like that still.
pub(super) fn is_same(seen: &Stat, now: &Stat) -> bool {
    // A file is given blocks when it is written back, long after its last change.
    Stat { blocks: seen.blocks, ..*now } == *seen
}

fn put_dir(buffer: &mut Vec<u8>, stat: &Stat) {
    put_name(buffer, b"");
    buffer.extend(encode(stat));
}

fn put_name(buffer: &mut Vec<u8>, name: &[u8]) {
    buffer.extend((name.len() as u32).to_le_bytes());
    buffer.extend(name);
}

fn encode(stat: &Stat) -> [u8; STAT] {
    let short = [
        stat.mode,
        stat.uid,
        stat.gid,
        stat.nlink,
        stat.dev.0,
        stat.dev.1,
        stat.rdev.0,
        stat.rdev.1,
        stat.mtime.nanos,
        stat.ctime.nanos,
    ];
    let secs = [stat.mtime.secs, stat.ctime.secs].map(i64::cast_unsigned);
    let long = [stat.size, stat.ino, secs[0], secs[1]];
    let mut bytes = [stat.kind as u8; STAT];
    let (shorts, longs) = bytes[1..].split_at_mut(10 * 4);
    shorts.as_chunks_mut().0.iter_mut().zip(short).for_each(|(to, n)| *to = n.to_le_bytes());
    longs.as_chunks_mut().0.iter_mut().zip(long).for_each(|(to, n)| *to = n.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; STAT]) -> Stat {
    use FileKind::{BlockDevice, CharDevice, Dir, Fifo, File, Socket, Symlink};
    let short = |n: usize| u32::from_le_bytes(std::array::from_fn(|at| bytes[1 + 4 * n + at]));
    let long = |n: usize| u64::from_le_bytes(std::array::from_fn(|at| bytes[41 + 8 * n + at]));
    let kinds = [Dir, File, Symlink, CharDevice, BlockDevice, Fifo, Socket];
    Stat {
        kind: kinds.into_iter().find(|kind| *kind as u8 == bytes[0]).unwrap_or(File),
        mode: short(0),
        uid: short(1),
        gid: short(2),
        nlink: short(3),
        dev: (short(4), short(5)),
        rdev: (short(6), short(7)),
        mtime: Time { secs: long(2).cast_signed(), nanos: short(8) },
        ctime: Time { secs: long(3).cast_signed(), nanos: short(9) },
        size: long(0),
        ino: long(1),
        blocks: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::UNKNOWN;
    use super::{Look, Room, join};
    use crate::TreePath;

    #[test]
    fn beyond_its_room_a_glance_keeps_nothing_but_the_digest() {
        let look = |room: usize| {
            let room = Room::new(room);
            let mut look = Look::new(&room);
            look.opened(&TreePath::root(), &UNKNOWN);
            look.file(b"a", &UNKNOWN);
            look.socket(b"b");
            look.end(&TreePath::root(), 0);
            let (glance, seen) = join([look]).if_whole();
            (glance, seen.is_some())
        };
        let (small, large) = (look(3), look(4));
        assert_eq!((small.1, large.1), (false, true));
        assert_eq!(small.0, large.0);
    }
}
