//! One member's header, written: a ustar block, and a PAX header before it where ustar can't say it.
//!
//! PAX is used for names that don't fit (100 bytes, or 155 + 100 at a slash), sizes from 8 GiB, ids
//! from 2,097,152, times with a fraction, negative or beyond 11 octal digits, and for extended
//! attributes (`SCHILY.xattr.`, as docker, GNU tar and bsdtar have them). Nothing else varies: names
//! of users and groups are empty, records are sorted, the PAX member's own fields are zero.

use gantry_tree::Time;

/// The unit of a tar.
pub(crate) const BLOCK: usize = 512;
/// The end of a tar: two zero blocks, and no more, as Go writes it.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const OCTAL_7: u64 = 0o7_777_777;
const OCTAL_11: u64 = 0o77_777_777_777;
const NAME: usize = 100;
const PREFIX: usize = 155;

/// What a member is; the type flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File = b'0' as isize,
    HardLink = b'1' as isize,
    Symlink = b'2' as isize,
    CharDevice = b'3' as isize,
    BlockDevice = b'4' as isize,
    Dir = b'5' as isize,
    Fifo = b'6' as isize,
    Pax = b'x' as isize,
}

/// All that a member's header says.
#[derive(Clone, Debug)]
pub(crate) struct Header<'a> {
    /// With a slash at the end for a directory.
    pub(crate) name: &'a [u8],
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    pub(crate) mtime: Time,
    pub(crate) link: &'a [u8],
    pub(crate) device: (u32, u32),
    /// Sorted by name.
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl<'a> Header<'a> {
    /// A file of root's with mode 0644 and time 0, as archives hold them.
    pub(crate) fn file(name: &'a [u8], size: u64) -> Self {
        Self {
            name,
            kind: Kind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size,
            mtime: Time::default(),
            link: b"",
            device: (0, 0),
            xattrs: &[],
        }
    }

    /// Returns how many bytes [`encode`](Self::encode) appends, without making most of them.
    pub(crate) fn length(&self) -> u64 {
        let ids = u64::from(self.uid.max(self.gid)) <= OCTAL_7;
        let link = self.link.len() <= NAME;
        let fits = ids && link && self.size <= OCTAL_11 && self.xattrs.is_empty();
        let long_name = split_name(self.name).is_none();
        let records = if fits && !long_name {
            // One record of a time fits into a block.
            if self.is_plain_time() { 0 } else { BLOCK }
        } else {
            self.records(long_name).len().next_multiple_of(BLOCK)
        };
        (if records == 0 { BLOCK } else { 2 * BLOCK + records }) as u64
    }

    /// Appends the header's blocks to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let before = out.len() as u64;
        let split = split_name(self.name);
        let records = self.records(split.is_none());
        if !records.is_empty() {
            let name = pax_name(self.name);
            let pax =
                Header { kind: Kind::Pax, mode: 0, ..Header::file(&name, records.len() as u64) };
            pax.block((b"", &name), out);
            out.extend_from_slice(&records);
            out.resize(out.len().next_multiple_of(BLOCK), 0);
        }
        self.block(split.unwrap_or((b"", &self.name[..self.name.len().min(NAME)])), out);
        debug_assert_eq!(out.len() as u64 - before, self.length(), "it is as long as it says");
    }

    fn is_plain_time(&self) -> bool {
        self.mtime.nanos == 0 && (0..=OCTAL_11 as i64).contains(&self.mtime.secs)
    }

    /// The PAX records that are needed, sorted.
    fn records(&self, long_name: bool) -> Vec<u8> {
        let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |key: &str, value: Vec<u8>| records.push((key.as_bytes().to_vec(), value));
        let decimal = |number: u64| number.to_string().into_bytes();
        if long_name {
            add("path", self.name.to_vec());
        }
        if self.link.len() > NAME {
            add("linkpath", self.link.to_vec());
        }
        if self.size > OCTAL_11 {
            add("size", decimal(self.size));
        }
        for (key, id) in [("uid", self.uid), ("gid", self.gid)] {
            if u64::from(id) > OCTAL_7 {
                add(key, decimal(id.into()));
            }
        }
        if !self.is_plain_time() {
            add("mtime", pax_time(self.mtime));
        }
        for (name, value) in self.xattrs {
            let mut key = b"SCHILY.xattr.".to_vec();
            encode_xattr_name(name, &mut key);
            records.push((key, value.clone()));
        }
        records.sort();
        let mut out = Vec::new();
        for (key, value) in &records {
            push_record(key, value, &mut out);
        }
        out
    }

    fn block(&self, (prefix, name): (&[u8], &[u8]), out: &mut Vec<u8>) {
        let mut block = [0; BLOCK];
        let fits = |number: u64, limit: u64| if number > limit { 0 } else { number };
        block[..name.len()].copy_from_slice(name);
        octal(&mut block[100..108], u64::from(self.mode));
        octal(&mut block[108..116], fits(self.uid.into(), OCTAL_7));
        octal(&mut block[116..124], fits(self.gid.into(), OCTAL_7));
        octal(&mut block[124..136], fits(self.size, OCTAL_11));
        octal(&mut block[136..148], fits(u64::try_from(self.mtime.secs).unwrap_or(0), OCTAL_11));
        block[156] = self.kind as u8;
        let link = &self.link[..self.link.len().min(NAME)];
        block[157..157 + link.len()].copy_from_slice(link);
        block[257..265].copy_from_slice(b"ustar\x0000");
        device(&mut block[329..337], self.device.0);
        device(&mut block[337..345], self.device.1);
        block[345..345 + prefix.len()].copy_from_slice(prefix);
        block[148..156].fill(b' ');
        let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
        octal(&mut block[148..155], sum);
        out.extend_from_slice(&block);
    }
}

/// Writes an octal number with leading zeros, and a NUL behind it.
fn octal(field: &mut [u8], mut number: u64) {
    let digits = field.len() - 1;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (number & 7) as u8;
        number >>= 3;
    }
    field[digits] = 0;
}

/// Device numbers have no PAX record that anybody reads; beyond octal, GNU's base-256 is read by all.
fn device(field: &mut [u8], number: u32) {
    if u64::from(number) <= OCTAL_7 {
        return octal(field, number.into());
    }
    field[0] = 0x80;
    field[4..].copy_from_slice(&number.to_be_bytes());
}

/// Splits a name into ustar's prefix and name, if it fits at all.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME {
        return Some((b"", name));
    }
    // The slash at a directory's end is no place to split.
    let limit = name.len().saturating_sub(1).min(PREFIX + 1);
    let slash = name[..limit].iter().rposition(|&byte| byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (slash > 0 && rest.len() <= NAME).then_some((prefix, rest))
}

/// The name of the PAX member itself, which nobody needs: `dir/PaxHeaders.0/name`, cut to fit.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let trimmed = name.strip_suffix(b"/").unwrap_or(name);
    let slash = trimmed.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let mut result = trimmed[..slash].to_vec();
    result.extend_from_slice(b"PaxHeaders.0/");
    result.extend_from_slice(&trimmed[slash..]);
    result.truncate(NAME);
    result
}

/// `length key=value\n`, where the length counts itself.
fn push_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() != rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Decimal seconds; `-1.5` is one and a half seconds before 1970, kept as -2 s + 0.5 s.
fn pax_time(time: Time) -> Vec<u8> {
    let total = i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos);
    let (sign, total) =
        if total < 0 { ("-", total.unsigned_abs()) } else { ("", total.unsigned_abs()) };
    let (secs, nanos) = (total / 1_000_000_000, total % 1_000_000_000);
    let text = format!("{sign}{secs}.{nanos:09}");
    text.trim_end_matches('0').trim_end_matches('.').as_bytes().to_vec()
}

/// GNU tar's way to keep `=` out of a keyword.
fn encode_xattr_name(name: &[u8], out: &mut Vec<u8>) {
    for &byte in name {
        match byte {
            b'=' => out.extend_from_slice(b"%3D"),
            b'%' => out.extend_from_slice(b"%25"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        for size in [1, 5, 6, 7, 90, 91, 92, 93, 94, 95, 96, 985, 986, 987, 988, 989, 990, 991] {
            let mut record = Vec::new();
            push_record(b"k", &vec![b'v'; size], &mut record);
            let said = String::from_utf8_lossy(&record).split(' ').next().unwrap().parse::<usize>();
            assert_eq!(said.unwrap(), record.len());
        }
    }

    #[test]
    fn times_are_written_around_1970() {
        let text = |secs, nanos| String::from_utf8(pax_time(Time { secs, nanos })).unwrap();
        assert_eq!(text(1, 500_000_000), "1.5");
        assert_eq!(text(-2, 500_000_000), "-1.5");
        assert_eq!(text(-1, 0), "-1");
        assert_eq!(text(0, 1), "0.000000001");
        assert_eq!(text(100, 0), "100");
    }

    #[test]
    fn names_are_split_at_a_slash_or_not_at_all() {
        let name = [vec![b'a'; 155], b"/".to_vec(), vec![b'b'; 100]].concat();
        assert_eq!(split_name(&name).unwrap().0.len(), 155);
        assert!(split_name(&name[1..]).is_some());
        assert!(split_name(&[b"a".as_slice(), &name].concat()).is_none());
        assert!(split_name(&[b'x'; 101]).is_none());
        assert!(split_name(&[vec![b'x'; 100], b"/".to_vec()].concat()).is_none());
    }
}
