//! The bytes of a build record's file: which logs it names, and the record.

use std::collections::HashSet;

use fs_err as fs;

use crate::LogId;
use crate::layout::Layout;

const MAGIC: &[u8; 5] = b"gbld\x01";

pub(super) fn encode(logs: &[LogId], record: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + 32 * logs.len() + record.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&u32::try_from(logs.len()).unwrap_or(u32::MAX).to_le_bytes());
    logs.iter().for_each(|log| bytes.extend_from_slice(&log.0));
    bytes.extend_from_slice(record);
    bytes
}

/// Returns the logs and the record, or nothing for bytes that are no build record.
pub(super) fn decode(bytes: &[u8]) -> Option<(Vec<LogId>, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*count)).ok()?.checked_mul(32)?;
    let (logs, record) = rest.split_at_checked(size)?;
    let (logs, _) = logs.as_chunks::<32>();
    Some((logs.iter().map(|log| LogId(*log)).collect(), record))
}

/// The logs that builds name. A file that can't be read names none.
pub(crate) fn logs_named(layout: &Layout) -> HashSet<LogId> {
    let entries = fs::read_dir(layout.builds()).into_iter().flatten().flatten();
    let logs = entries.filter_map(|entry| {
        let bytes = fs::read(entry.path()).ok()?;
        Some(decode(&bytes)?.0)
    });
    logs.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let logs = [LogId([1; 32]), LogId([2; 32])];
        let bytes = encode(&logs, b"{}");
        assert_eq!(decode(&bytes), Some((logs.to_vec(), &b"{}"[..])));
        for end in 0..bytes.len() - 2 {
            assert_eq!(decode(&bytes[..end]), None, "{end}");
        }
        assert_eq!(decode(b"gbld\x02\0\0\0\0"), None);
        assert_eq!(decode(b"gbld\x01\xff\xff\xff\xff"), None);
    }
}
