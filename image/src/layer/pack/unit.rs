//! The tar of a layer, cut into units of work.

use gantry_tree::{Entry, Manifest};

use super::Earlier;
use crate::layer::BLOCK;
use crate::layer::write::{Member, in_order, numbered};

/// A file of this size or more is a unit of its own.
const LARGE: u64 = 1 << 20;

/// Small members are put together until they have this many bytes, or are this many.
const BATCH: u64 = 512 << 10;
const MEMBERS: usize = 512;

/// Where a member lies, from its headers to the end of its content's padding.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// Members of these numbers (of all members, in the order of the tar), read and put together.
    Members(std::ops::Range<usize>),
    /// Bytes of the earlier tar.
    Earlier(std::ops::Range<u64>),
}

/// All units in order.
pub(super) struct Units {
    /// With where in the tar they begin.
    units: Vec<(u64, Unit)>,
    /// Of each member the number of its entry, `None` for the marks that only a tar has.
    entries: Vec<Option<usize>>,
    /// Where the tar's end mark begins.
    end: u64,
    taken: u64,
}

impl Units {
    pub(super) fn new(manifest: &Manifest, earlier: Option<Earlier<'_>>) -> Self {
        let (entries, spans, end) = layout(manifest);
        let known = earlier.map(|earlier| known(manifest, &entries, earlier));
        let mut units: Vec<(u64, Unit)> = Vec::new();
        let (mut taken, mut bytes) = (0, 0);
        for (at, span) in spans.iter().enumerate() {
            let length = span.end - span.start;
            if let Some(there) = known.as_ref().and_then(|known| known[at]) {
                taken += length;
                let range = there..there + length;
                match units.last_mut() {
                    Some((_, Unit::Earlier(last))) if last.end == there => last.end = range.end,
                    _ => units.push((span.start, Unit::Earlier(range))),
                }
                continue;
            }
            bytes += length;
            match units.last_mut() {
                Some((_, Unit::Members(last)))
                    if bytes <= BATCH && last.len() < MEMBERS && length < LARGE =>
                {
                    last.end = at + 1;
                }
                _ => {
                    units.push((span.start, Unit::Members(at..at + 1)));
                    bytes = length;
                }
            }
        }
        Self { units, entries, end, taken }
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    pub(super) fn get(&self, unit: usize) -> &Unit {
        &self.units[unit].1
    }

    /// Where in the tar a unit begins.
    pub(super) fn start(&self, unit: usize) -> u64 {
        self.units[unit].0
    }

    /// Where the tar's end mark begins.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The number of a member's entry.
    pub(super) fn entry(&self, member: usize) -> Option<usize> {
        self.entries[member]
    }

    /// How many bytes the earlier tar has.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }
}

fn layout(manifest: &Manifest) -> (Vec<Option<usize>>, Vec<Span>, u64) {
    let (mut entries, mut spans, mut at) = (Vec::new(), Vec::new(), 0);
    numbered(manifest, |member, entry| {
        let content = member.entry().map_or(0, Entry::size);
        let end = at + member.length(manifest, None) + content.next_multiple_of(BLOCK as u64);
        spans.push(Span { start: at, end });
        entries.push(entry);
        at = end;
    });
    (entries, spans, at)
}

/// For each member, where the earlier tar has just the same bytes.
fn known(manifest: &Manifest, entries: &[Option<usize>], earlier: Earlier<'_>) -> Vec<Option<u64>> {
    let (old_entries, old_spans, _) = layout(earlier.manifest);
    let mut starts = vec![None; earlier.manifest.entries().len()];
    for (entry, span) in old_entries.into_iter().zip(old_spans) {
        if let Some(entry) = entry {
            starts[entry] = Some(span.start);
        }
    }
    let old = earlier.manifest.entries();
    entries
        .iter()
        .map(|entry| {
            let entry = &manifest.entries()[(*entry)?];
            let there = old.binary_search_by(|other| other.path.cmp(&entry.path)).ok()?;
            // A link's member has the metadata of what it names.
            let same =
                old[there] == *entry && earlier.manifest.real(&old[there]) == manifest.real(entry);
            same.then_some(starts[there]).flatten()
        })
        .collect()
}

/// All members of a tar, in order.
pub(super) fn members(manifest: &Manifest) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    let listed = in_order(manifest, |member| {
        members.push(member);
        Ok(())
    });
    debug_assert!(listed.is_ok(), "listing cannot fail");
    members
}
