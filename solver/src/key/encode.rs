//! The canonical encoding of preimages, version 1.
//!
//! ```text
//! "gkey" version:u8 value
//! value  = 0                                absent
//!        | 1 u8                             flag, 0 or 1
//!        | 2 i64                            number
//!        | 3 len:u32 bytes                  text, UTF-8
//!        | 4 count:u32 value*               list
//!        | 5 count:u32 (len:u32 name value)*  tree: names strictly ascending, nothing absent
//!        | 6 [u8; 32]                       digest
//!        | 7 [u8; 32] value                 digest with detail; never hashed
//! ```
//! Numbers are little-endian. One value has exactly one encoding, and [`check`] refuses any other.

use crate::key::Value;

pub(super) const TEXT: u8 = 3;
pub(super) const TREE: u8 = 5;

const MAGIC: &[u8; 4] = b"gkey";
const VERSION: u8 = 1;
/// How deep values may be nested when read back.
const DEPTH: u32 = 64;

/// Whether the details of digests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Details {
    Left,
    Kept,
}

/// Bytes are no preimage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A newer gantry wrote them.
    #[error("The preimage has format {0}, this gantry knows {VERSION}")]
    Version(u8),
    /// They are cut off, or never were one.
    #[error("The preimage is damaged at byte {0}")]
    Damaged(usize),
}

/// Appends the encoding of `value`.
pub(super) fn encode(value: &Value, details: Details, out: &mut Vec<u8>) {
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    put(value, details, out);
}

fn put(value: &Value, details: Details, out: &mut Vec<u8>) {
    match value {
        Value::Absent => out.push(0),
        Value::Flag(flag) => out.extend_from_slice(&[1, u8::from(*flag)]),
        Value::Number(number) => put_number(*number, out),
        Value::Text(text) => {
            out.push(TEXT);
            put_text(text, out);
        }
        Value::Listing(listing) => out.extend_from_slice(listing.as_bytes()),
        Value::List(values) => {
            out.push(4);
            put_length(values.len(), out);
            values.iter().for_each(|value| put(value, details, out));
        }
        Value::Tree(parts) => {
            // A part that is absent is as one that nobody has heard of: a new optional field of an
            // operation changes no key that does without it.
            let there = || parts.iter().filter(|(_, value)| **value != Value::Absent);
            out.push(TREE);
            put_length(there().count(), out);
            for (name, value) in there() {
                put_text(name, out);
                put(value, details, out);
            }
        }
        Value::Digest(digest, detail) => match (detail, details) {
            (Some(detail), Details::Kept) => {
                out.push(7);
                out.extend_from_slice(digest);
                put(detail, details, out);
            }
            _ => {
                out.push(6);
                out.extend_from_slice(digest);
            }
        },
    }
}

pub(super) fn put_number(number: i64, out: &mut Vec<u8>) {
    out.push(2);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes the head of a tree of so many parts over the first bytes.
pub(super) fn put_head(parts: usize, out: &mut [u8]) {
    out[0] = TREE;
    out[1..5].copy_from_slice(&u32::try_from(parts).unwrap_or(u32::MAX).to_le_bytes());
}

pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    put_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// A Dockerfile holds no text of 4 GiB, nor as many parts; were it so, the length saturates and
/// the key is still the hash of all bytes.
fn put_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Makes sure that bytes are a preimage in its one encoding, without taking it apart.
pub(super) fn check(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.take(4)? != MAGIC {
        return Err(DecodeError::Damaged(0));
    }
    match reader.byte()? {
        VERSION => {}
        other => return Err(DecodeError::Version(other)),
    }
    reader.value(DEPTH)?;
    if reader.at == bytes.len() { Ok(()) } else { Err(reader.damaged()) }
}

/// Returns the value of an encoding, which comes behind its head.
pub(super) fn body(bytes: &[u8]) -> &[u8] {
    bytes.get(MAGIC.len() + 1..).unwrap_or_default()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn damaged(&self) -> DecodeError {
        DecodeError::Damaged(self.at)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let damaged = self.damaged();
        self.take(N)?.try_into().map_err(|_| damaged)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.length()?;
        let damaged = self.damaged();
        std::str::from_utf8(self.take(length)?).map_err(|_| damaged)
    }

    /// Goes over a value, and says whether there is one.
    fn value(&mut self, depth: u32) -> Result<bool, DecodeError> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.damaged())?;
        match self.byte()? {
            0 => return Ok(false),
            1 => match self.byte()? {
                0 | 1 => {}
                _ => return Err(self.damaged()),
            },
            2 => drop(self.array::<8>()?),
            TEXT => drop(self.text()?),
            4 => {
                for _ in 0..self.length()? {
                    self.value(depth)?;
                }
            }
            TREE => {
                let mut last: Option<&str> = None;
                for _ in 0..self.length()? {
                    let name = self.text()?;
                    if last.is_some_and(|last| last >= name) || !self.value(depth)? {
                        return Err(self.damaged());
                    }
                    last = Some(name);
                }
            }
            6 => drop(self.take(32)?),
            7 => {
                self.take(32)?;
                self.value(depth)?;
            }
            _ => return Err(self.damaged()),
        }
        Ok(true)
    }
}
