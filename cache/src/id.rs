//! The names that the store gives: of layers, of build records, of logs.

use std::fmt;
use std::str::FromStr;

use gantry_image::DiffId;
use gantry_tree::Manifest;

/// Makes a newtype over 32 bytes that is written as 64 lower-case hex digits.
macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<$name, BadId> {
                unhex(text).map($name).ok_or_else(|| BadId { text: text.to_owned() })
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::from(&self.0[..]))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<$name> {
                <[u8; 32]>::column_result(value).map($name)
            }
        }
    };
}

id32! {
    /// The store's name for a layer: the same layer made twice has the same one.
    LayerId
}

id32! {
    /// The key of a build record: blake3 of a canonical preimage.
    Key
}

id32! {
    /// The name of a stored step log.
    LogId
}

impl LayerId {
    /// Names a layer that was made here, after what is in it (times included).
    pub fn from_manifest(manifest: &Manifest) -> LayerId {
        LayerId(manifest.id())
    }

    /// The same of a manifest's encoding.
    pub(crate) fn from_encoded(manifest: &[u8]) -> LayerId {
        LayerId(*blake3::hash(manifest).as_bytes())
    }

    /// Names a layer of an image that was brought in. Another domain than
    /// [`from_manifest`](Self::from_manifest): its tar is fixed, it is never written anew.
    pub fn from_diff_id(diff_id: &DiffId) -> LayerId {
        let mut hasher = blake3::Hasher::new_derive_key("gantry 2026 layer by diff ID");
        hasher.update(diff_id.0.to_string().as_bytes());
        LayerId(*hasher.finalize().as_bytes())
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

/// A text that was to be 64 lower-case hex digits, and is not.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an id of 64 hex digits")]
pub struct BadId {
    text: String,
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_from_what_they_print() {
        let id = LayerId(std::array::from_fn(|n| (n * 7) as u8));
        assert_eq!(id.to_string().parse::<LayerId>().unwrap(), id);
        assert!("abc".parse::<LayerId>().is_err());
        assert!("G".repeat(64).parse::<LayerId>().is_err());
        assert!("A".repeat(64).parse::<LayerId>().is_err());
    }
}
