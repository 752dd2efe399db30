//! Files with holes in a tar: which stretches of a file are stored, the rest being zeros.

use super::LayerError;
use super::pax::decimal;

/// As many stretches as a map may have; each is two numbers.
const MAP_LIMIT: usize = 1 << 20;

/// Where stored data lie in the file, in order, not overlapping, all within `size`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SparseMap {
    /// The length of the file.
    pub(super) size: u64,
    /// Offset and length of each stored stretch; none is empty.
    pub(super) stretches: Vec<(u64, u64)>,
}

impl SparseMap {
    /// Checks a map: `numbers` are offsets and lengths in turn, `stored` the bytes in the tar.
    pub(super) fn new(size: u64, numbers: &[u64], stored: u64) -> Result<Self, String> {
        if !numbers.len().is_multiple_of(2) {
            return Err("its sparse map ends in the middle".to_owned());
        }
        let (mut end, mut sum) = (0, 0_u64);
        let mut stretches = Vec::new();
        for pair in numbers.chunks_exact(2) {
            let (offset, length) = (pair[0], pair[1]);
            let stop = offset.checked_add(length).filter(|&stop| offset >= end && stop <= size);
            end = stop.ok_or("its sparse map is out of order, or leaves the file")?;
            // Cannot overflow: the stretches don't overlap and lie within `size`.
            sum += length;
            if length > 0 {
                stretches.push((offset, length));
            }
        }
        if sum != stored {
            return Err(format!("its sparse map covers {sum} bytes, but {stored} are stored"));
        }
        Ok(Self { size, stretches })
    }
}

/// Reads old GNU's 24-byte pairs until an empty one; true if it wants more blocks after `last`.
pub(super) fn old_gnu_pairs(pairs: &[u8], numbers: &mut Vec<u64>) -> Result<(), String> {
    for pair in pairs.chunks_exact(24) {
        if pair[0] == 0 || pair[12] == 0 {
            break;
        }
        if numbers.len() >= 2 * MAP_LIMIT {
            return Err(format!("its sparse map has more than {MAP_LIMIT} stretches"));
        }
        for field in [&pair[..12], &pair[12..]] {
            numbers.push(super::fields::number(field).ok_or("its sparse map is malformed")?);
        }
    }
    Ok(())
}

/// Reads the map of format 1.0 off the front of a file's data: lines of decimal numbers, the first
/// says how many pairs follow, padded to whole blocks. `next` gives the next block.
pub(super) fn map_1_0(
    mut next: impl FnMut() -> Result<[u8; 512], LayerError>,
    malformed: impl Fn(&str) -> LayerError,
) -> Result<Vec<u64>, LayerError> {
    let mut numbers = Vec::new();
    let mut wanted: Option<usize> = None;
    let mut digits: Vec<u8> = Vec::new();
    while wanted.is_none_or(|wanted| numbers.len() < wanted) {
        for byte in next()? {
            if wanted.is_some_and(|wanted| numbers.len() == wanted) {
                break;
            }
            if byte != b'\n' {
                digits.push(byte);
                if digits.len() > 20 {
                    return Err(malformed("its sparse map is malformed"));
                }
                continue;
            }
            let number =
                decimal(&digits).ok_or_else(|| malformed("its sparse map is malformed"))?;
            digits.clear();
            match wanted {
                Some(_) => numbers.push(number),
                None => {
                    let pairs = usize::try_from(number).ok().filter(|pairs| *pairs <= MAP_LIMIT);
                    let pairs = pairs.ok_or_else(|| malformed("its sparse map is too long"))?;
                    wanted = Some(2 * pairs);
                }
            }
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_overlap_leave_the_file_or_lie_about_its_data_are_refused() {
        assert_eq!(
            SparseMap::new(10, &[0, 2, 5, 3, 10, 0], 5).unwrap().stretches,
            [(0, 2), (5, 3)]
        );
        for (size, numbers, stored) in [
            (10, &[0, 2, 1, 1][..], 3),
            (10, &[5, 1, 0, 1], 2),
            (10, &[8, 3], 3),
            (10, &[0, 2], 3),
            (10, &[0], 0),
            (u64::MAX, &[u64::MAX, 2], 2),
        ] {
            assert!(SparseMap::new(size, numbers, stored).is_err(), "{numbers:?}");
        }
    }
}
