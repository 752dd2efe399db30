//! JSON: parsed beside its exact bytes, and written as Go writes it.
//!
//! [`Raw`] is why nothing that was pulled is ever serialised again. [`to_go_vec`] escapes `<`, `>`,
//! `&`, U+2028 and U+2029 as Go's `encoding/json` does, so that a config made here has the bytes
//! that BuildKit would have given it.

use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::digest::Digest;

/// A document of OCI: what it says, and the very bytes that said it.
///
/// `digest` is the digest of `bytes`, and `value` what they parse to; that holds for every `Raw`
/// since there are only two ways to make one.
#[derive(Clone, Debug)]
pub struct Raw<T> {
    bytes: Arc<[u8]>,
    digest: Digest,
    value: Arc<T>,
}

/// Bytes that are not the JSON document they should be.
#[derive(Debug, thiserror::Error)]
pub enum ParseJsonError {
    /// No JSON, or JSON of another shape.
    #[error("Failed to read {what}")]
    Json {
        /// What it should have been, as "the image config".
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A document that two readers could take for two things (CVE-2021-41190), or of a type that is
    /// not read.
    #[error("Refused {what}: {reason}")]
    Refused {
        /// What it should have been.
        what: &'static str,
        /// What it is instead.
        reason: String,
    },
    /// More bytes than such a document may have.
    #[error("Refused {what}: it has {size} bytes, more than {limit}")]
    TooLarge {
        /// What it should have been.
        what: &'static str,
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
}

/// A kind of document: how it is called in errors, how large it may be, what else must hold.
pub trait Document: Serialize + DeserializeOwned {
    /// "the image config", "the manifest", …
    const WHAT: &'static str;
    /// More bytes are refused before they are parsed.
    const LIMIT: u64 = 8 << 20;
    /// Is it written indented by two spaces, as BuildKit writes manifests and indexes?
    const PRETTY: bool = false;

    /// Checks what the types can't say.
    ///
    /// # Errors
    /// Why such a document is refused.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<T: Document> Raw<T> {
    /// Parses bytes that came from elsewhere.
    ///
    /// # Errors
    /// [`ParseJsonError`], if they are too large, no such document, or an ambiguous one.
    pub fn parse(bytes: impl Into<Arc<[u8]>>) -> Result<Self, ParseJsonError> {
        let (bytes, what) = (bytes.into(), T::WHAT);
        let size = bytes.len() as u64;
        if size > T::LIMIT {
            return Err(ParseJsonError::TooLarge { what, size, limit: T::LIMIT });
        }
        let value: T = serde_json::from_slice(&bytes)
            .map_err(|source| ParseJsonError::Json { what, source })?;
        value.check().map_err(|reason| ParseJsonError::Refused { what, reason })?;
        Ok(Self { digest: Digest::of(&bytes), bytes, value: Arc::new(value) })
    }

    /// Writes a document that was made here.
    #[must_use]
    pub fn write(value: T) -> Self {
        let bytes: Arc<[u8]> = to_go_vec(&value, T::PRETTY).into();
        Self { digest: Digest::of(&bytes), bytes, value: Arc::new(value) }
    }
}

impl<T> Raw<T> {
    /// Returns the exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns how many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Returns what the bytes say.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }
}

impl<T> std::ops::Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Serialises as Go's `json.Marshal`, or `json.MarshalIndent(v, "", "  ")` if `pretty`.
///
/// The documents of this room have string keys and no failing parts, so this cannot fail for them;
/// for anything else that cannot be JSON, the result is empty.
pub fn to_go_vec<T: Serialize>(value: &T, pretty: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let written = if pretty {
        let formatter = GoEscapes(PrettyFormatter::with_indent(b"  "));
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter))
    } else {
        value.serialize(&mut serde_json::Serializer::with_formatter(
            &mut out,
            GoEscapes(CompactFormatter),
        ))
    };
    debug_assert!(written.is_ok(), "a document of this room can be written");
    out
}

/// Escapes within strings like Go; everything else is up to the formatter inside.
struct GoEscapes<F>(F);

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, writer: &mut W $(, $arg: $type)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl<F: Formatter> Formatter for GoEscapes<F> {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut start = 0;
        for (at, found) in text.match_indices(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            writer.write_all(&text.as_bytes()[start..at])?;
            write!(writer, "\\u{:04x}", found.chars().next().map_or(0, u32::from))?;
            start = at + found.len();
        }
        writer.write_all(&text.as_bytes()[start..])
    }
}

/// For `#[serde(default, deserialize_with = "null_is_default")]`: Go writes nil slices as `null`.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let text = "a && b <c>\u{2028}\u{1}\n\"\\ é";
        let json = String::from_utf8(to_go_vec(&text, false)).unwrap();
        assert_eq!(json, r#""a \u0026\u0026 b \u003cc\u003e\u2028\u0001\n\"\\ é""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn indented_json_is_gos() {
        let value = std::collections::BTreeMap::from([("a", vec![1, 2]), ("b", vec![])]);
        let json = String::from_utf8(to_go_vec(&value, true)).unwrap();
        assert_eq!(json, "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": []\n}");
    }
}
