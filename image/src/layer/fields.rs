//! The fields of a tar's header, read: numbers, names, which dialect it is in, its checksum.

use tar::Header as Block;

use super::header::BLOCK;

/// Is the checksum right? Some old tars summed signed characters; Go takes both.
pub(super) fn checksum_fits(block: &[u8; BLOCK]) -> bool {
    let counted = |of: fn(u8) -> i64| -> i64 {
        let spaces = 8 * i64::from(b' ');
        block[..148].iter().chain(&block[156..]).map(|&byte| of(byte)).sum::<i64>() + spaces
    };
    let sums = [counted(i64::from), counted(|byte| i64::from(byte.cast_signed()))];
    signed_number(&block[148..156]).is_some_and(|said| sums.contains(&said))
}

pub(super) fn is_ustar(block: &[u8; BLOCK]) -> bool {
    &block[257..263] == b"ustar\0"
}

pub(super) fn is_gnu(block: &[u8; BLOCK]) -> bool {
    &block[257..265] == b"ustar  \0"
}

/// The header's name, with ustar's (or star's shorter) prefix before it.
pub(super) fn own_name(header: &Block) -> Vec<u8> {
    let block = header.as_bytes();
    let name = until_nul(&block[..100]);
    if !is_ustar(block) {
        return name.to_vec();
    }
    let is_star = &block[508..] == b"tar\0";
    let prefix = until_nul(&block[345..if is_star { 476 } else { 500 }]);
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Reads a number that isn't negative: octal between spaces and NULs, or GNU's base-256.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    signed_number(field).and_then(|number| u64::try_from(number).ok())
}

pub(super) fn signed_number(field: &[u8]) -> Option<i64> {
    match field.first()? {
        first if first & 0x80 != 0 => {
            // Two's complement over the whole field, less the mark.
            let negative = first & 0x40 != 0;
            let start = if negative { -1_i128 } else { 0 };
            let mut value = (start << 6) | i128::from(first & 0x3f);
            for &byte in &field[1..] {
                value = value.checked_mul(256)? | i128::from(byte);
            }
            i64::try_from(value).ok()
        }
        _ => {
            let text = until_nul(field).trim_ascii();
            let text = if text.is_empty() { b"0" } else { text };
            let mut value = 0_i64;
            for byte in text {
                let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
                value = value.checked_mul(8)?.checked_add(digit.into())?;
            }
            Some(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(2 << 32));
        assert_eq!(signed_number(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Some(-1));
        for bad in [
            &b"0000648\0"[..],
            b"-000644\0",
            b"0x12    ",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x90\0\0\0\0\0\0\0\0\0\0\0",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        ] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }
}
