//! Unpacking a layer's tar, and reading its manifest alone; the tar isn't trusted.

use std::io::Read;

use gantry_tree::{ContentId, Node, Root, TreePath};

use super::LayerError;
use super::collect::{Collector, Meta};
use super::data::Chunk;
use super::member::{Member, MemberKind};
use super::members::{Limits, Members};
use super::name::{Meaning, link_target, meaning};
use super::options::{Note, Notes, UnpackOptions, Unpacked};
use super::place::Placer;
use crate::digest::{DiffId, HashBeside};

const BUFFER: usize = 256 << 10;

/// Unpacks a (decompressed) layer tar below `dest`, an empty directory, in overlay form: whiteouts
/// as character devices 0/0, opaque directories by the dialect's attribute. In a plain tree both are
/// left out.
///
/// Reads `tar` to its end. On an error what was unpacked so far stays there, to be removed.
///
/// # Errors
/// [`LayerError`]; [`is_invalid`](LayerError::is_invalid) tells a hostile layer from a full disk.
pub fn unpack(
    tar: &mut dyn Read,
    dest: &Root,
    options: &UnpackOptions,
) -> Result<Unpacked, LayerError> {
    read(tar, &options.limits, Some(Placer::new(dest, options)))
}

/// Reads a layer tar's manifest with the same checks, and writes nothing.
///
/// # Errors
/// As [`unpack`], but for [`LayerError::Place`].
pub fn index(tar: &mut dyn Read, limits: &Limits) -> Result<Unpacked, LayerError> {
    read(tar, limits, None)
}

fn read(
    tar: &mut dyn Read,
    limits: &Limits,
    placer: Option<Placer<'_>>,
) -> Result<Unpacked, LayerError> {
    // Headers are read block by block; a file or pipe shouldn't be.
    let mut tar = HashBeside::new(tar);
    let mut unpacking = Unpacking {
        members: Members::new(&mut tar, *limits),
        collector: Collector::default(),
        placer,
        notes: Notes::default(),
        buffer: vec![0; BUFFER],
    };
    while let Some(member) = unpacking.members.next()? {
        unpacking.member(member)?;
    }
    unpacking.members.drain()?;
    let Unpacking { collector, placer, mut notes, .. } = unpacking;
    let (manifest, implied, mut offsets) = collector.finish()?;
    implied.into_iter().for_each(|path| notes.add(Note::Implied(path)));
    if let Some(placer) = placer {
        placer.finish(&manifest, &mut notes)?;
    }
    let (digest, size) = tar.finish().map_err(LayerError::Read)?;
    offsets.end(size);
    Ok(Unpacked { manifest, diff_id: DiffId(digest), size, offsets, notes: notes.0 })
}

/// One pass over a tar.
struct Unpacking<'a, R> {
    members: Members<R>,
    collector: Collector,
    placer: Option<Placer<'a>>,
    notes: Notes,
    buffer: Vec<u8>,
}

impl<R: Read> Unpacking<'_, R> {
    fn member(&mut self, member: Member) -> Result<(), LayerError> {
        match meaning(&member.name)? {
            Meaning::Ignored => Ok(()),
            Meaning::Whiteout(path) => self.whiteout(&path),
            Meaning::Opaque(path) => {
                let preparation = self.collector.opaque(&path)?;
                self.placer.as_mut().map_or(Ok(()), |placer| placer.prepare(&path, &preparation))
            }
            Meaning::Entry(path) => self.entry(path, member),
        }
    }

    fn whiteout(&mut self, path: &TreePath) -> Result<(), LayerError> {
        let preparation = self.collector.whiteout(path)?;
        let Some(placer) = &mut self.placer else { return Ok(()) };
        placer.prepare(path, &preparation)?;
        placer.whiteout(path)
    }

    fn entry(&mut self, path: TreePath, member: Member) -> Result<(), LayerError> {
        let offset = member.contiguous.then_some(member.data_offset);
        let Member { name, kind, mode, uid, gid, mtime, xattrs, .. } = member;
        let mut meta = Meta { mode, uid, gid, mtime, xattrs };
        let notes = &mut self.notes;
        meta.xattrs.retain(|(name, _)| {
            // Overlayfs would obey them: redirects lead to any place of the lower layers.
            let ours =
                !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.");
            if !ours {
                notes.add(Note::Xattr { path: path.clone(), name: name.clone() });
            }
            ours
        });
        let node = match kind {
            MemberKind::Dir => return self.dir(&path, meta),
            MemberKind::HardLink(target) => {
                return self.hard_link(&path, &link_target(&name, &target)?);
            }
            MemberKind::File => return self.file(&path, meta, offset),
            // To overlayfs, and so to docker, such a device is a whiteout.
            MemberKind::CharDevice(0, 0) => return self.whiteout(&path),
            MemberKind::Symlink(target) if target.is_empty() || target.contains(&0) => {
                return Err(LayerError::refused(&name, "it is a symbolic link to nothing"));
            }
            MemberKind::Symlink(target) => {
                meta.mode = 0o777;
                Node::Symlink { target }
            }
            MemberKind::CharDevice(major, minor) => Node::CharDevice { major, minor },
            MemberKind::BlockDevice(major, minor) => Node::BlockDevice { major, minor },
            MemberKind::Fifo => Node::Fifo,
        };
        let preparation = self.collector.replace(&path)?;
        if let Some(placer) = &mut self.placer {
            placer.prepare(&path, &preparation)?;
            placer.special(&path, &node, &meta, &mut self.notes)?;
        }
        self.collector.inode(&path, node, meta, None);
        Ok(())
    }

    fn dir(&mut self, path: &TreePath, meta: Meta) -> Result<(), LayerError> {
        let preparation = self.collector.dir(path, meta)?;
        let Some(placer) = &mut self.placer else { return Ok(()) };
        placer.prepare(path, &preparation)?;
        placer.dir(path)
    }

    fn hard_link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), LayerError> {
        let (inode, node) = self.collector.linked(path, target)?;
        let skipped = self.placer.as_ref().is_some_and(|placer| placer.skips(node));
        let preparation = self.collector.replace(path)?;
        self.collector.link(path, inode);
        let Some(placer) = &mut self.placer else { return Ok(()) };
        placer.prepare(path, &preparation)?;
        if skipped {
            self.notes.add(Note::Device(path.clone()));
            return Ok(());
        }
        placer.hard_link(target, path)
    }

    fn file(&mut self, path: &TreePath, meta: Meta, offset: Option<u64>) -> Result<(), LayerError> {
        let preparation = self.collector.replace(path)?;
        let mut placed = None;
        if let Some(placer) = &mut self.placer {
            placer.prepare(path, &preparation)?;
            placed = Some(placer.file(path)?);
        }
        let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
        loop {
            match self.members.chunk(&mut self.buffer)? {
                Chunk::End => break,
                Chunk::Data(n) => {
                    let data = &self.buffer[..n];
                    hasher.update(data);
                    placed.as_mut().map_or(Ok(()), |placed| placed.write(data))?;
                    size += n as u64;
                }
                Chunk::Hole(n) => {
                    hash_zeros(&mut hasher, n);
                    placed.as_mut().map_or(Ok(()), |placed| placed.hole(n))?;
                    size += n;
                }
            }
        }
        if let (Some(placer), Some(placed)) = (&mut self.placer, placed) {
            placer.finish_file(placed, size, &meta, &mut self.notes)?;
        }
        let content = ContentId(*hasher.finalize().as_bytes());
        self.collector.inode(path, Node::File { size, content }, meta, offset);
        Ok(())
    }
}

fn hash_zeros(hasher: &mut blake3::Hasher, mut count: u64) {
    const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
    while count > 0 {
        let now = count.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..now as usize]);
        count -= now;
    }
}
