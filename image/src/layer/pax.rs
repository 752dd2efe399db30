//! PAX records of a member that isn't trusted.
//!
//! What docker's reader (Go's `archive/tar`) makes of them holds. Where two readers could disagree
//! the tar is refused: a key twice with different values, names with NUL, a size that contradicts
//! the header's (CVE-2025-62518).

use gantry_tree::{Time, Xattrs};

/// Go's limit for PAX records and GNU's long names.
pub(super) const SPECIAL_LIMIT: u64 = 1 << 20;

/// What the records of one PAX header say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: SparseRecords,
}

/// `GNU.sparse.*`, of the formats 0.0, 0.1 and 1.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    /// `GNU.sparse.size` or `GNU.sparse.realsize`.
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn: the map of 0.1, or the repeated records of 0.0.
    pub(super) map: Option<Vec<u64>>,
}

impl Records {
    /// Understands the body of a PAX header.
    pub(super) fn parse(mut data: &[u8]) -> Result<Self, String> {
        let mut records = Self::default();
        let mut seen: Vec<(&[u8], &[u8])> = Vec::new();
        while !data.is_empty() {
            let (key, value, rest) = split_record(data)?;
            data = rest;
            // Format 0.0 repeats these two on purpose.
            if !matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes") {
                seen.push((key, value));
            }
            records.take(key, value)?;
        }
        seen.sort_unstable();
        if let Some(pair) =
            seen.windows(2).find(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1)
        {
            return Err(format!("PAX record `{}` is there twice and differs", lossy(pair[0].0)));
        }
        records.xattrs.sort();
        records.xattrs.dedup_by(|a, b| a.0 == b.0);
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let number =
            || decimal(value).ok_or_else(|| format!("PAX record `{}` is no number", lossy(key)));
        let name = || {
            if value.contains(&0) {
                return Err(format!("PAX record `{}` holds a NUL byte", lossy(key)));
            }
            Ok(Some(value.to_vec()))
        };
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            let name = decode_xattr_name(name);
            if name.is_empty() || name.contains(&0) {
                return Err("an extended attribute has no name".to_owned());
            }
            self.xattrs.push((name, value.to_vec()));
            return Ok(());
        }
        // Go: an empty value means "as the header says".
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = name()?,
            b"linkpath" => self.link = name()?,
            b"size" => self.size = Some(number()?),
            b"uid" => self.uid = Some(number()?),
            b"gid" => self.gid = Some(number()?),
            b"mtime" => {
                self.mtime = Some(time(value).ok_or("PAX record `mtime` is no time")?);
            }
            b"GNU.sparse.major" => self.sparse.major = Some(number()?),
            b"GNU.sparse.minor" => self.sparse.minor = Some(number()?),
            b"GNU.sparse.name" => self.sparse.name = name()?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(number()?),
            b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => {
                let map = self.sparse.map.get_or_insert_default();
                let expects_offset = map.len().is_multiple_of(2);
                if expects_offset != (key == b"GNU.sparse.offset") {
                    return Err(
                        "GNU.sparse.offset and GNU.sparse.numbytes don't alternate".to_owned()
                    );
                }
                map.push(number()?);
            }
            b"GNU.sparse.map" => {
                let numbers = value.split(|&byte| byte == b',').map(decimal);
                let map =
                    numbers.collect::<Option<_>>().ok_or("GNU.sparse.map is no list of numbers")?;
                self.sparse.map = Some(map);
            }
            _ => {}
        }
        Ok(())
    }

    /// Does a global header hold what would change where members begin or what they are called?
    ///
    /// Docker ignores global headers altogether, others apply them; only what both read alike is
    /// taken.
    pub(super) fn is_harmless_global(&self) -> bool {
        let Self { path, link, size, sparse, xattrs, .. } = self;
        path.is_none()
            && link.is_none()
            && size.is_none()
            && xattrs.is_empty()
            && *sparse == SparseRecords::default()
    }
}

/// Key, value, and what follows.
type Split<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Splits `length key=value\n` off.
fn split_record(data: &[u8]) -> Result<Split<'_>, String> {
    let bad = || "a PAX record is malformed".to_owned();
    let space = data.iter().take(20).position(|&byte| byte == b' ').ok_or_else(bad)?;
    let length =
        decimal(&data[..space]).and_then(|length| usize::try_from(length).ok()).ok_or_else(bad)?;
    if length > data.len() || length < space + 3 {
        return Err(bad());
    }
    let (record, rest) = data.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(bad)?;
    let equals =
        record.iter().position(|&byte| byte == b'=').filter(|&at| at > 0).ok_or_else(bad)?;
    Ok((&record[..equals], &record[equals + 1..], rest))
}

/// Digits only; no sign, no space, nothing beyond 63 bits.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut number = 0_u64;
    for byte in text {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    i64::try_from(number).ok().map(|_| number)
}

/// `-1.5`: the fraction counts in the direction of the sign. Digits below a nanosecond are cut.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let secs = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    let mut nanos = 0;
    for at in 0..9 {
        let digit = fraction.get(at).copied().unwrap_or(b'0');
        nanos = nanos * 10 + u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(match (negative, nanos) {
        (false, nanos) => Time { secs, nanos },
        (true, 0) => Time { secs: -secs, nanos: 0 },
        (true, nanos) => Time { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// Undoes GNU tar's `%3D` and `%25`.
fn decode_xattr_name(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        (rest, _) = match rest {
            [b'%', b'3', b'D', tail @ ..] => (tail, out.push(b'=')),
            [b'%', b'2', b'5', tail @ ..] => (tail, out.push(b'%')),
            _ => (tail, out.push(*first)),
        };
    }
    out
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read() {
        let records =
            Records::parse(b"12 path=a/b\n20 mtime=-1.5000000\n25 SCHILY.xattr.a%3D=\x00=\n\n")
                .unwrap();
        assert_eq!(records.path.as_deref(), Some(b"a/b".as_slice()));
        assert_eq!(records.mtime, Some(Time { secs: -2, nanos: 500_000_000 }));
        assert_eq!(records.xattrs, [(b"a=".to_vec(), b"\0=\n".to_vec())]);
    }

    #[test]
    fn ambiguous_and_broken_records_are_refused() {
        for bad in [
            &b"9 size=1\n9 size=2\n"[..],
            b"9 size=-\n",
            b"9 size=1",
            b"8 size=1\n",
            b"99 size=1\n",
            b"3 =\n",
            b"11 path=a\0b\n",
            b"x path=a\n",
            b"10 mtime=x\n",
            b"10 size=+1\n",
            b"26 GNU.sparse.numbytes=10\n",
        ] {
            assert!(Records::parse(bad).is_err(), "{}", lossy(bad));
        }
        assert!(Records::parse(b"9 size=1\n9 size=1\n").is_ok());
    }
}
