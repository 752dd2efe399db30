//! The tree of named parts that a key is the hash of.

use std::{collections::BTreeMap, sync::Arc};

use crate::key::{
    Key, Listing, encode,
    part::{Kind, Part},
};

/// A part of a preimage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// There is nothing, which differs from an empty text.
    Absent,
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A text.
    Text(Arc<str>),
    /// Several parts whose order counts.
    List(Vec<Value>),
    /// Named parts. One that is [absent](Value::Absent) is as good as not named.
    Tree(BTreeMap<Arc<str>, Value>),
    /// A tree of very many parts, to explain a digest; never taken apart.
    Listing(Listing),
    /// A digest that stands for something large. What it was made of may be kept beside it, to
    /// explain it: the detail is stored, but not part of the key.
    Digest([u8; 32], Option<Box<Value>>),
}

impl Value {
    /// Makes a text, or nothing.
    pub fn optional(text: Option<&str>) -> Value {
        text.map_or(Value::Absent, Value::from)
    }

    /// Makes a list of texts.
    pub fn texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Value {
        Value::List(texts.into_iter().map(|text| Value::from(text.as_ref())).collect())
    }

    /// Makes a tree of the parts that are not absent.
    pub fn tree<K: Into<Arc<str>>>(parts: impl IntoIterator<Item = (K, Value)>) -> Value {
        let there = parts.into_iter().filter(|(_, value)| *value != Value::Absent);
        Value::Tree(there.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Value {
    /// Takes a part of an encoding apart.
    fn of(part: Part<'_>) -> Self {
        match part.kind() {
            Kind::Absent => Value::Absent,
            Kind::Flag(flag) => Value::Flag(flag),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => text.into(),
            Kind::List(values) => Value::List(values.map(Value::of).collect()),
            Kind::Tree(parts) => {
                Value::tree(parts.map(|named| (named.name, Value::of(named.part))))
            }
            Kind::Digest(digest, detail) => {
                Value::Digest(*digest, detail.map(|detail| Box::new(Value::of(detail))))
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Value::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Flag(flag)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Value::Number(i64::from(number))
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        Value::Digest(key.0, None)
    }
}

/// Everything that counts for a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preimage(pub Value);

impl Preimage {
    /// Returns the key: the hash of the canonical encoding, without details.
    #[must_use]
    pub fn key(&self) -> Key {
        let mut bytes = Vec::with_capacity(512);
        encode::encode(&self.0, encode::Details::Left, &mut bytes);
        Key(*blake3::hash(&bytes).as_bytes())
    }

    /// Returns the encoding with all details, for the store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        encode::encode(&self.0, encode::Details::Kept, &mut bytes);
        bytes
    }

    /// Reads an encoding back.
    ///
    /// # Errors
    /// [`DecodeError`](encode::DecodeError) if the bytes are of a newer version, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Preimage, encode::DecodeError> {
        Ok(Preimage(Value::of(Part::of(bytes)?)))
    }

    /// Compares two preimages part by part; the most telling differences come first.
    #[must_use]
    pub fn diff(old: &Preimage, new: &Preimage) -> Vec<super::Difference> {
        // What was just encoded can be read.
        Self::diff_encoded(&old.encode(), &new.encode()).unwrap_or_default()
    }

    /// Compares two encodings as [`diff`](Self::diff) does, without decoding them.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), for either.
    pub fn diff_encoded(
        old: &[u8],
        new: &[u8],
    ) -> Result<Vec<super::Difference>, encode::DecodeError> {
        Ok(super::diff::diff(Part::of(old)?, Part::of(new)?))
    }
}
