//! A set of small numbers that lies on the stack for all ignore files of a sensible length.

/// Numbers below 64 times this need no allocation.
const INLINE: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    inline: [u64; INLINE],
    /// Used instead if there are more; an empty `Vec` allocates nothing.
    heap: Vec<u64>,
}

impl Bits {
    /// The empty set of numbers below `len`.
    pub(super) fn new(len: usize) -> Self {
        let words = len.div_ceil(64);
        Self { inline: [0; INLINE], heap: if words > INLINE { vec![0; words] } else { Vec::new() } }
    }

    pub(super) fn get(&self, index: usize) -> bool {
        let words = if self.heap.is_empty() { &self.inline[..] } else { &self.heap };
        words[index / 64] & 1 << (index % 64) != 0
    }

    pub(super) fn set(&mut self, index: usize) {
        let words = if self.heap.is_empty() { &mut self.inline[..] } else { &mut self.heap };
        words[index / 64] |= 1 << (index % 64);
    }

    /// The numbers from 64 times `word` on, as the bits of a word.
    pub(super) fn word(&self, word: usize) -> u64 {
        if self.heap.is_empty() { self.inline[word] } else { self.heap[word] }
    }

    /// Takes every number out.
    pub(super) fn clear(&mut self) {
        self.inline = [0; INLINE];
        self.heap.fill(0);
    }

    /// The numbers in it, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = if self.heap.is_empty() { &self.inline[..] } else { &self.heap };
        words.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let index = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    word * 64 + index
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_sets() {
        for len in [10, 256, 257, 1000] {
            let mut bits = Bits::new(len);
            bits.set(0);
            bits.set(len - 1);
            assert!(bits.get(0) && bits.get(len - 1) && !bits.get(1));
            assert_eq!(bits.iter().collect::<Vec<_>>(), [0, len - 1]);
            bits.clear();
            assert_eq!(bits, Bits::new(len));
        }
    }
}
