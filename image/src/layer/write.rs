//! Writing a layer's tar from a manifest: the same bytes for the same manifest, always.
//!
//! Order: as the manifest's, but a directory's opaque mark and whiteouts come right behind it and
//! before its other entries (OCI image-spec, layer.md: whiteouts before siblings). Formats: ustar,
//! and a PAX header where ustar can't say it (see [`header`](super::header)). User and group names
//! are left empty: the ids count, and names would depend on the host.
//!
//! The root directory has a member, `./`, only if the manifest lists it. A scan of a layer doesn't
//! list it unless told to, so the layers that gantry makes have none, like those of containerd's and
//! BuildKit's differs (both skip `/`); and what came in from a tar that had one loses nothing.
//!
//! Whiteouts have mode, ids and time 0; containerd writes the current time there, which would make
//! another layer of the same files every second.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Write};

use gantry_tree::{Entry, Manifest, Node, Time, TreePath};

use super::LayerError;
use super::header::{BLOCK, END, Header, Kind};
use super::name::{OPAQUE, WHITEOUT};
use super::offsets::Offsets;
use crate::digest::{DiffId, HashWriter};

const BUFFER: usize = 256 << 10;

/// Opens the bytes of a file entry, from a tree, a tar or a cache.
pub type Opener<'a> = dyn FnMut(&Entry) -> std::io::Result<Box<dyn Read>> + 'a;

/// Writes the layer's tar to `out`, streaming; memory doesn't depend on sizes.
///
/// `clamp` is `SOURCE_DATE_EPOCH`: times later than it become it, and all times whole seconds.
///
/// # Errors
/// [`LayerError::Content`] if a file can't be read, [`LayerError::Changed`] if its length isn't the
/// manifest's, [`LayerError::Write`] from `out`.
pub fn write_tar(
    manifest: &Manifest,
    open: &mut Opener<'_>,
    clamp: Option<i64>,
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let (mut headers, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    in_order(manifest, |member| {
        headers.clear();
        member.encode(manifest, clamp, &mut headers);
        out.write_all(&headers).map_err(LayerError::Write)?;
        match member {
            Member::Entry(entry @ Entry { node: Node::File { size, .. }, .. }) => {
                write_content(entry, *size, open, &mut buffer, &mut out)
            }
            _ => Ok(()),
        }
    })?;
    out.write_all(&END).and_then(|()| out.flush()).map_err(LayerError::Write)
}

/// Returns the diff ID of the tar that [`write_tar`] would write, and its size.
///
/// # Errors
/// As [`write_tar`].
pub fn diff_id(
    manifest: &Manifest,
    open: &mut Opener<'_>,
    clamp: Option<i64>,
) -> Result<(DiffId, u64), LayerError> {
    let mut out = HashWriter::new(std::io::sink());
    write_tar(manifest, open, clamp, &mut out)?;
    let (_, digest, size) = out.finish();
    Ok((DiffId(digest), size))
}

/// Returns the size of the tar that [`write_tar`] would write, without opening any file.
#[must_use]
pub fn tar_size(manifest: &Manifest, clamp: Option<i64>) -> u64 {
    let mut total = END.len() as u64;
    let counted = in_order(manifest, |member| {
        let content = member.entry().map_or(0, Entry::size);
        total += member.length(manifest, clamp) + content.next_multiple_of(BLOCK as u64);
        Ok(())
    });
    debug_assert!(counted.is_ok(), "counting cannot fail");
    total
}

/// Works out where [`write_tar`] puts the files, with times as they are.
pub(super) fn offsets(manifest: &Manifest) -> Offsets {
    let mut offsets = Offsets::new(manifest.entries().len());
    let mut total = 0;
    numbered(manifest, |member, number| {
        total += member.length(manifest, None);
        if let (Some(entry @ Entry { node: Node::File { .. }, .. }), Some(number)) =
            (member.entry(), number)
        {
            offsets.set(number, total);
            total += entry.size().next_multiple_of(BLOCK as u64);
        }
    });
    offsets.end(total + END.len() as u64);
    offsets
}

/// As [`in_order`], with the number of the entry that a member is.
pub(super) fn numbered<'a>(
    manifest: &'a Manifest,
    mut each: impl FnMut(Member<'a>, Option<usize>),
) {
    let mut next = 0;
    let listed = in_order(manifest, |member| {
        let number = member.entry().map(|entry| {
            while !std::ptr::eq(&manifest.entries()[next], entry) {
                next += 1;
            }
            next
        });
        each(member, number);
        Ok(())
    });
    debug_assert!(listed.is_ok(), "listing cannot fail");
}

/// What becomes a member of the tar.
#[derive(Clone, Copy, Debug)]
pub(super) enum Member<'a> {
    Entry(&'a Entry),
    Whiteout(&'a TreePath),
    /// The mark of an opaque directory.
    Opaque(&'a Entry),
}

/// Calls `each` for every member in the order of the tar.
pub(super) fn in_order<'a>(
    manifest: &'a Manifest,
    mut each: impl FnMut(Member<'a>) -> Result<(), LayerError>,
) -> Result<(), LayerError> {
    // Whiteouts by their directory, until they are written.
    let mut pending: BTreeMap<TreePath, Vec<&'a TreePath>> = BTreeMap::new();
    for entry in manifest.entries().iter().filter(|entry| entry.node == Node::Whiteout) {
        pending.entry(entry.path.parent().unwrap_or_default()).or_default().push(&entry.path);
    }
    for path in pending.remove(&TreePath::root()).unwrap_or_default() {
        each(Member::Whiteout(path))?;
    }
    for entry in manifest.entries() {
        match &entry.node {
            // Written with its directory, which a manifest lists before it.
            Node::Whiteout => {}
            Node::Dir { opaque } => {
                each(Member::Entry(entry))?;
                if *opaque {
                    each(Member::Opaque(entry))?;
                }
                for path in pending.remove(&entry.path).unwrap_or_default() {
                    each(Member::Whiteout(path))?;
                }
            }
            _ => each(Member::Entry(entry))?,
        }
    }
    Ok(())
}

impl<'a> Member<'a> {
    pub(super) fn entry(self) -> Option<&'a Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            _ => None,
        }
    }

    /// Appends its header to `out`.
    pub(super) fn encode(self, manifest: &Manifest, clamp: Option<i64>, out: &mut Vec<u8>) {
        self.with_header(manifest, clamp, |header| header.encode(out));
    }

    /// Returns how long its header is.
    pub(super) fn length(self, manifest: &Manifest, clamp: Option<i64>) -> u64 {
        self.with_header(manifest, clamp, |header| header.length())
    }

    fn with_header<R>(
        self,
        manifest: &Manifest,
        clamp: Option<i64>,
        then: impl FnOnce(Header<'_>) -> R,
    ) -> R {
        let mark = |dir: &TreePath, name: &[u8]| {
            let mut path = dir.as_bytes().to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            path
        };
        let mark = match self {
            Self::Entry(entry) => return with_header_of(manifest, entry, clamp, then),
            Self::Opaque(dir) => mark(&dir.path, OPAQUE),
            Self::Whiteout(path) => {
                let name = [WHITEOUT, path.file_name().unwrap_or_default()].concat();
                mark(&path.parent().unwrap_or_default(), &name)
            }
        };
        then(Header { mode: 0, ..Header::file(&mark, 0) })
    }
}

fn with_header_of<R>(
    manifest: &Manifest,
    entry: &Entry,
    clamp: Option<i64>,
    then: impl FnOnce(Header<'_>) -> R,
) -> R {
    let real = manifest.real(entry);
    let directory;
    let mut name = entry.path.as_bytes();
    if entry.is_dir() {
        directory = [name, if name.is_empty() { b"./" } else { b"/" }].concat();
        name = &directory;
    }
    let mtime = match clamp {
        Some(epoch) => Time { secs: real.mtime.secs.min(epoch), nanos: 0 },
        None => real.mtime,
    };
    let (kind, link, device): (_, &[u8], _) = match &entry.node {
        Node::Dir { .. } => (Kind::Dir, b"", (0, 0)),
        Node::File { .. } | Node::Whiteout => (Kind::File, b"", (0, 0)),
        Node::HardLink { target } => (Kind::HardLink, target.as_bytes(), (0, 0)),
        Node::Symlink { target } => (Kind::Symlink, target, (0, 0)),
        Node::CharDevice { major, minor } => (Kind::CharDevice, b"", (*major, *minor)),
        Node::BlockDevice { major, minor } => (Kind::BlockDevice, b"", (*major, *minor)),
        Node::Fifo => (Kind::Fifo, b"", (0, 0)),
    };
    then(Header {
        name,
        kind,
        mode: real.mode,
        uid: real.uid,
        gid: real.gid,
        size: entry.size(),
        mtime,
        link,
        device,
        xattrs: &real.xattrs,
    })
}

fn write_content(
    entry: &Entry,
    size: u64,
    open: &mut Opener<'_>,
    buffer: &mut [u8],
    out: &mut dyn Write,
) -> Result<(), LayerError> {
    let failed = |source| LayerError::Content { path: entry.path.clone(), source };
    let mut content = open(entry).map_err(failed)?;
    let mut found = 0;
    loop {
        let n = match content.read(buffer) {
            Ok(n) => n,
            Err(err) if err.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(failed(err)),
        };
        found += n as u64;
        if found > size || (n == 0 && found < size) {
            let found = found.min(size + 1);
            return Err(LayerError::Changed { path: entry.path.clone(), expected: size, found });
        }
        if n == 0 {
            break;
        }
        out.write_all(&buffer[..n]).map_err(LayerError::Write)?;
    }
    let padding = found.next_multiple_of(BLOCK as u64) - found;
    out.write_all(&END[..padding as usize]).map_err(LayerError::Write)
}
