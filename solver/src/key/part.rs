//! [`Part`]: a value as it stands in an encoding, read where it lies.
//!
//! A step may take a hundred thousand files, and its preimage lists them all. To see that one of
//! them differs, neither list has to be taken apart: what is alike is alike byte by byte.

use super::encode::{DecodeError, body, check};

/// One value of an encoding that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a>(&'a [u8]);

/// What a part is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    Absent,
    Flag(bool),
    Number(i64),
    Text(&'a str),
    List(List<'a>),
    Tree(Tree<'a>),
    Digest(&'a [u8; 32], Option<Part<'a>>),
}

/// The values of a list, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a>(&'a [u8]);

/// The parts of a tree, sorted by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree<'a>(&'a [u8]);

/// The first part of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) part: Part<'a>,
    /// Name and part as they are encoded.
    bytes: &'a [u8],
    /// What follows it.
    pub(super) rest: Tree<'a>,
}

impl<'a> Part<'a> {
    /// What is not there.
    pub(super) const ABSENT: Part<'static> = Part(&[0]);

    /// Reads an encoded preimage.
    pub(super) fn of(preimage: &'a [u8]) -> Result<Self, DecodeError> {
        check(preimage)?;
        Ok(Self(body(preimage)))
    }

    pub(super) fn kind(self) -> Kind<'a> {
        // It was checked, so that nothing falls short; if it did, there would be nothing there.
        self.read().unwrap_or(Kind::Absent)
    }

    fn read(self) -> Option<Kind<'a>> {
        let (tag, rest) = self.0.split_first()?;
        Some(match tag {
            1 => Kind::Flag(*rest.first()? == 1),
            2 => Kind::Number(i64::from_le_bytes(*rest.first_chunk()?)),
            3 => Kind::Text(text(rest)?.0),
            4 => Kind::List(List(rest.get(4..)?)),
            5 => Kind::Tree(Tree(rest.get(4..)?)),
            6 => Kind::Digest(rest.first_chunk()?, None),
            7 => Kind::Digest(rest.first_chunk()?, Some(Part(rest.get(32..)?))),
            _ => Kind::Absent,
        })
    }

    /// Cuts the first value off.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (part, rest) = bytes.split_at_checked(extent(bytes)?)?;
        Some((Self(part), rest))
    }

    /// Whether it is a tree of nothing.
    pub(super) fn is_empty_tree(self) -> bool {
        matches!(self.kind(), Kind::Tree(Tree(b"")))
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let (first, rest) = Part::first(self.0)?;
        self.0 = rest;
        Some(first)
    }
}

impl<'a> Tree<'a> {
    /// Returns the first part, if there is one.
    pub(super) fn first(self) -> Option<Named<'a>> {
        let (name, after) = text(self.0)?;
        let (part, rest) = Part::first(after)?;
        let bytes = self.0.get(..self.0.len() - rest.len())?;
        Some(Named { name, part, bytes, rest: Tree(rest) })
    }

    /// Returns what follows `first`, if this begins with the very same part: no encoding is the
    /// beginning of another one.
    pub(super) fn after(self, first: &Named<'_>) -> Option<Self> {
        self.0.strip_prefix(first.bytes).map(Self)
    }

    /// Returns the part of this name.
    pub(super) fn get(mut self, name: &str) -> Option<Part<'a>> {
        self.find(|named| named.name == name).map(|named| named.part)
    }
}

impl<'a> Iterator for Tree<'a> {
    type Item = Named<'a>;

    fn next(&mut self) -> Option<Named<'a>> {
        let first = self.first()?;
        *self = first.rest;
        Some(first)
    }
}

/// Reads a text with its length in front.
fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// Returns how many bytes the first value takes.
fn extent(bytes: &[u8]) -> Option<usize> {
    let length = |at: usize| -> Option<usize> {
        Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
    };
    Some(match bytes.first()? {
        0 => 1,
        1 => 2,
        2 => 9,
        3 => 5 + length(1)?,
        tag @ (4 | 5) => {
            let mut at = 5;
            for _ in 0..length(1)? {
                if *tag == 5 {
                    at += 4 + length(at)?;
                }
                at += extent(bytes.get(at..)?)?;
            }
            at
        }
        6 => 33,
        7 => 33 + extent(bytes.get(33..)?)?,
        _ => return None,
    })
}
