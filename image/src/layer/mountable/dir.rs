//! A directory's contents: blocks of 512 bytes, each with its records first and then their names.
//!
//! The kernel searches blocks by their first name and then inside one, so names are sorted
//! throughout, and `.` and `..` have no place of their own.

use super::BLOCK;

const RECORD: usize = 12;

/// One name.
pub(super) struct Name<'a> {
    pub(super) name: &'a [u8],
    pub(super) number: u64,
    pub(super) kind: u8,
}

/// Returns how many bytes [`encode`] writes.
pub(super) fn size(names: &[Name<'_>]) -> u64 {
    let mut blocks = Blocks(names).peekable();
    let mut size = 0;
    while let Some(block) = blocks.next() {
        size += if blocks.peek().is_some() { BLOCK } else { length(block) as u64 };
    }
    size
}

/// Appends the directory. All of its blocks but the last are full.
pub(super) fn encode(names: &[Name<'_>], out: &mut Vec<u8>) {
    let mut blocks = Blocks(names).peekable();
    while let Some(block) = blocks.next() {
        let start = out.len();
        let mut at = block.len() * RECORD;
        for name in block {
            out.extend(name.number.to_le_bytes());
            // Below 512.
            out.extend((at as u16).to_le_bytes());
            out.extend([name.kind, 0]);
            at += name.name.len();
        }
        block.iter().for_each(|name| out.extend(name.name));
        if blocks.peek().is_some() {
            out.resize(start + BLOCK as usize, 0);
        }
    }
}

fn length(block: &[Name<'_>]) -> usize {
    block.iter().map(|name| RECORD + name.name.len()).sum()
}

/// Cuts names into what fits into a block each.
struct Blocks<'n, 'a>(&'n [Name<'a>]);

impl<'n, 'a> Iterator for Blocks<'n, 'a> {
    type Item = &'n [Name<'a>];

    fn next(&mut self) -> Option<Self::Item> {
        let mut room = BLOCK as usize;
        let fitting = self.0.iter().take_while(|name| {
            let left = room.checked_sub(RECORD + name.name.len());
            room = left.unwrap_or(0);
            left.is_some()
        });
        let count = fitting.count();
        let (block, rest) = self.0.split_at(count);
        self.0 = rest;
        (!block.is_empty()).then_some(block)
    }
}
