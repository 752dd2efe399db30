//! [`Listing`]: a tree of very many parts, written down as its encoding at once.
//!
//! What a step takes may be half a million files. As a [`Value::Tree`](super::Value::Tree) each
//! would cost a dozen allocations; here it costs the bytes that the store keeps anyway.

use std::fmt::{self, Write};

use super::encode;

/// A tree of named parts, each a tree of texts and numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing(Vec<u8>);

/// Gathers the parts of a [`Listing`].
#[derive(Debug)]
pub struct ListingBuilder {
    bytes: Vec<u8>,
    /// Where each part begins. They are sorted at the end, if they have to be.
    starts: Vec<usize>,
}

/// Gathers the texts and numbers of one part; they must come sorted by name.
#[derive(Debug)]
pub struct ListedPart<'a> {
    bytes: &'a mut Vec<u8>,
    count: u32,
}

/// A tree's tag and how many parts it has.
const HEAD: usize = 5;

impl Listing {
    /// Begins a listing of nothing, with room for so many parts.
    #[must_use]
    pub fn with_capacity(parts: usize) -> ListingBuilder {
        let mut bytes = Vec::with_capacity(HEAD + parts * 96);
        bytes.resize(HEAD, 0);
        ListingBuilder { bytes, starts: Vec::with_capacity(parts) }
    }

    /// Its encoding as a value.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl ListingBuilder {
    /// Adds a part. Of several parts of one name the last one counts.
    pub fn add(&mut self, name: &str, fill: impl FnOnce(&mut ListedPart<'_>)) {
        self.starts.push(self.bytes.len());
        encode::put_text(name, &mut self.bytes);
        let head = self.bytes.len();
        self.bytes.resize(head + HEAD, encode::TREE);
        let mut part = ListedPart { bytes: &mut self.bytes, count: 0 };
        fill(&mut part);
        let count = part.count;
        self.bytes[head + 1..head + HEAD].copy_from_slice(&count.to_le_bytes());
    }

    /// Returns the listing.
    #[must_use]
    pub fn finish(mut self) -> Listing {
        if !self.starts.is_sorted_by(|a, b| self.name(*a) < self.name(*b)) {
            self.sort();
        }
        encode::put_head(self.starts.len(), &mut self.bytes);
        Listing(self.bytes)
    }

    fn name(&self, start: usize) -> &[u8] {
        let (length, rest) = self.bytes[start..].split_first_chunk().unwrap_or((&[0; 4], &[]));
        rest.get(..u32::from_le_bytes(*length) as usize).unwrap_or_default()
    }

    fn sort(&mut self) {
        let ends = self.starts.iter().skip(1).copied().chain([self.bytes.len()]);
        let mut spans: Vec<_> = self.starts.iter().copied().zip(ends).collect();
        // Stable, so that the last of one name stays behind the others.
        spans.sort_by(|a, b| self.name(a.0).cmp(self.name(b.0)));
        let mut sorted = Vec::with_capacity(self.bytes.len());
        sorted.resize(HEAD, 0);
        let mut starts = Vec::with_capacity(spans.len());
        for (at, (start, end)) in spans.iter().enumerate() {
            let next = spans.get(at + 1).map(|(next, _)| self.name(*next));
            if next != Some(self.name(*start)) {
                starts.push(sorted.len());
                sorted.extend_from_slice(&self.bytes[*start..*end]);
            }
        }
        (self.bytes, self.starts) = (sorted, starts);
    }
}

impl ListedPart<'_> {
    /// Adds a text.
    pub fn text(&mut self, name: &str, text: fmt::Arguments<'_>) {
        self.begin(name);
        let head = self.bytes.len();
        self.bytes.resize(head + HEAD, encode::TEXT);
        // Writing into memory does not fail.
        let _ = Utf8(self.bytes).write_fmt(text);
        let length = u32::try_from(self.bytes.len() - head - HEAD).unwrap_or(u32::MAX);
        self.bytes[head + 1..head + HEAD].copy_from_slice(&length.to_le_bytes());
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, number: u32) {
        self.begin(name);
        encode::put_number(number.into(), self.bytes);
    }

    fn begin(&mut self, name: &str) {
        self.count += 1;
        encode::put_text(name, self.bytes);
    }
}

/// Text behind bytes.
struct Utf8<'a>(&'a mut Vec<u8>);

impl Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
