//! Extended attributes, which lie right behind their inode.

use gantry_tree::{Entry, Node};

use super::IndexError;
use super::plan::unfit;

/// What comes before the first attribute.
const HEADER: u64 = 12;

/// The mark of a directory that hides what lower layers have in it.
const OPAQUE: (&[u8], &[u8]) = (b"trusted.overlay.opaque", b"y");

/// Kinds by the number that stands for them.
const PREFIXES: [(&[u8], u8); 5] = [
    (b"user.", 1),
    (b"system.posix_acl_access", 2),
    (b"system.posix_acl_default", 3),
    (b"trusted.", 4),
    (b"security.", 6),
];

fn all(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let opaque = matches!(entry.node, Node::Dir { opaque: true }).then_some(OPAQUE);
    let own = entry.xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    own.chain(opaque)
}

fn split(name: &[u8]) -> Option<(u8, &[u8])> {
    PREFIXES.iter().find_map(|(prefix, number)| {
        let rest = name.strip_prefix(*prefix)?;
        // An access list's name is all prefix.
        (prefix.ends_with(b".") || rest.is_empty()).then_some((*number, rest))
    })
}

/// Returns how many bytes [`encode`] writes.
pub(super) fn size(entry: &Entry) -> Result<u64, IndexError> {
    let mut size = 0;
    for (name, value) in all(entry) {
        let rest = split(name).map(|(_, rest)| rest).filter(|rest| rest.len() <= 255);
        let Some(rest) = rest.filter(|_| u16::try_from(value.len()).is_ok()) else {
            let name = String::from_utf8_lossy(name);
            return unfit(format!("it has no room for the attribute `{name}` of `{}`", entry.path));
        };
        size += (4 + rest.len() as u64 + value.len() as u64).next_multiple_of(4);
    }
    if size / 4 + 1 > u64::from(u16::MAX) {
        return unfit(format!("`{}` has too many attributes", entry.path));
    }
    Ok(if size > 0 { HEADER + size } else { 0 })
}

/// The size as an inode says it: 0 for none, else 1 and the number of 4-byte words.
pub(super) fn words(entry: &Entry) -> u16 {
    let size: usize = all(entry)
        .filter_map(|(name, value)| Some((split(name)?.1.len() + value.len() + 4).div_ceil(4)))
        .sum();
    // Checked when the inode got its place.
    if size > 0 { u16::try_from(size + 1).unwrap_or_default() } else { 0 }
}

/// Appends the attributes.
pub(super) fn encode(entry: &Entry, out: &mut Vec<u8>) {
    if all(entry).next().is_none() {
        return;
    }
    // No filter of names, none shared.
    out.extend([0; HEADER as usize]);
    for (name, value) in all(entry) {
        let Some((kind, rest)) = split(name) else { continue };
        out.extend([rest.len() as u8, kind]);
        out.extend((value.len() as u16).to_le_bytes());
        out.extend(rest);
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
    }
}
