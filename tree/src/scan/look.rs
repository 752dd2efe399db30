//! What a tree looks like from outside, as bytes: they are digested, and may be kept.
//!
//! One encoding for [`glance`](super::glance()) and [`scan`](super::scan()), so that both give the
//! same digest of the same tree.
//!
//! ```text
//! directory = usual own           nothing for the root, of which only the times count
//! stretch   = sight*              so many names of a directory, in order
//! sight     = 0 name              a directory that is only there as the way to something
//!           | 1 name              a directory
//!           | 2 name usual own    whatever else a manifest can hold
//!           | 3 name own          the same, as usual as the one before
//!           | 4 name              a socket
//! name      = length(u16) bytes
//! usual     = kind(u8) 8 x u32    what most files of a directory have in common
//! own       = 2 x u32, 4 x u64    times, size, inode
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
/// Takes about 50 bytes a file.
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
    /// The last file of the part that was not as usual as the one before.
    usual: Option<Stat>,
}

type Usual = [u8; 1 + 8 * 4];
type Own = [u8; 2 * 4 + 4 * 8];

const LONG_AGO: Time = Time { secs: i64::MIN, nanos: 0 };

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
        let (parts, buffer) = (Vec::new(), Vec::new());
        Self { room, parts, newest, newest_whole, buffer, names: 0, usual: None }
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
        self.name(4, name);
    }

    /// Sees whatever is neither.
    pub(super) fn file(&mut self, name: &[u8], stat: &Stat) {
        self.date(stat);
        if self.usual.as_ref().is_some_and(|before| is_as_usual(before, stat)) {
            self.name(3, name);
        } else {
            self.name(2, name);
            self.buffer.extend_from_slice(&usual(stat));
            self.usual = Some(*stat);
        }
        self.buffer.extend_from_slice(&own(stat));
    }

    /// Ends the stretch of `dir` that began at its name number `first`.
    pub(super) fn end(&mut self, dir: &TreePath, first: usize) {
        let digest = *blake3::hash(&self.buffer).as_bytes();
        let kept = self.room.take(std::mem::take(&mut self.names) + 1);
        let bytes = kept.then(|| self.buffer.as_slice().into());
        self.parts.push(Part { path: dir.clone(), first, digest, bytes });
        self.buffer.clear();
        self.usual = None;
    }

    fn name(&mut self, tag: u8, name: &[u8]) {
        self.names += 1;
        // The kernel has no name longer than 255 bytes.
        let [low, high] = (name.len() as u16).to_le_bytes();
        self.buffer.extend_from_slice(&[tag, low, high]);
        self.buffer.extend_from_slice(name);
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
        let mut usual: Usual = [0; _];
        std::iter::from_fn(move || {
            let ([tag, low, high], after) = rest.split_first_chunk()?;
            let length = u16::from_le_bytes([*low, *high]);
            let (name, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some(match tag {
                0 | 1 => Sight::Dir { name, kept: *tag == 1 },
                4 => Sight::Socket { name },
                _ => {
                    if *tag == 2 {
                        (usual, rest) = rest.split_first_chunk().map(|(a, b)| (*a, b))?;
                    }
                    let (own, after) = rest.split_first_chunk()?;
                    rest = after;
                    Sight::File { name, stat: stat(&usual, own) }
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
    buffer.extend_from_slice(&usual(stat));
    buffer.extend_from_slice(&own(stat));
}

/// Says whether [`usual`] is the same of both; asked for every file, so nothing is written for it.
fn is_as_usual(a: &Stat, b: &Stat) -> bool {
    let ids = |stat: &Stat| (stat.mode, stat.uid, stat.gid, stat.nlink);
    a.kind == b.kind && ids(a) == ids(b) && a.dev == b.dev && a.rdev == b.rdev
}

fn usual(stat: &Stat) -> Usual {
    let Stat { mode, uid, gid, nlink, dev, rdev, .. } = *stat;
    let numbers = [mode, uid, gid, nlink, dev.0, dev.1, rdev.0, rdev.1];
    let mut bytes: Usual = [0; _];
    bytes[0] = stat.kind as u8;
    put_all(&mut bytes[1..], numbers.map(u32::to_le_bytes));
    bytes
}

fn own(stat: &Stat) -> Own {
    let Stat { mtime, ctime, size, ino, .. } = *stat;
    let numbers = [size, ino, mtime.secs.cast_unsigned(), ctime.secs.cast_unsigned()];
    let mut bytes: Own = [0; _];
    put_all(&mut bytes[..8], [mtime.nanos, ctime.nanos].map(u32::to_le_bytes));
    put_all(&mut bytes[8..], numbers.map(u64::to_le_bytes));
    bytes
}

fn put_all<const N: usize, const M: usize>(to: &mut [u8], numbers: [[u8; M]; N]) {
    to.copy_from_slice(numbers.as_flattened());
}

/// Puts together again what [`usual`] and [`own`] took apart.
fn stat(usual: &Usual, own: &Own) -> Stat {
    use FileKind::{BlockDevice, CharDevice, Dir, Fifo, File, Socket, Symlink};
    let short =
        |bytes: &[u8], at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| own[at + n]));
    let common = |number: usize| short(usual, 1 + 4 * number);
    let kinds = [Dir, File, Symlink, CharDevice, BlockDevice, Fifo, Socket];
    Stat {
        kind: kinds.into_iter().find(|kind| *kind as u8 == usual[0]).unwrap_or(File),
        mode: common(0),
        uid: common(1),
        gid: common(2),
        nlink: common(3),
        dev: (common(4), common(5)),
        rdev: (common(6), common(7)),
        mtime: Time { secs: long(24).cast_signed(), nanos: short(own, 0) },
        ctime: Time { secs: long(32).cast_signed(), nanos: short(own, 4) },
        size: long(8),
        ino: long(16),
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
