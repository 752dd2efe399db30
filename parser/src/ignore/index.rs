//! Which patterns can match at all: nearly no pattern does, and a few words of bits tell which.
//!
//! A walk carries for each directory how far every pattern has come with the components of its
//! path. So a file is compared with the last component of those patterns only that have come that
//! far, and of these only with those that begin and end in the same byte as its name.

use super::Pattern;
use super::bits::Bits;
use super::pattern::Edge;

/// What is known of all patterns before any path is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// For each byte, the patterns whose last component may begin with it: `words` a byte.
    first: Vec<u64>,
    /// The same for the byte that ends it.
    last: Vec<u64>,
    words: usize,
    /// Those that compare the last component in every directory, such as `**/x`.
    everywhere: Bits,
    /// Those whose components are followed, with where they begin.
    followed: Vec<(u32, u64)>,
    /// Those that are compared with whole paths.
    whole: Vec<u32>,
}

/// How far the patterns have come in a directory.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Numbers of patterns, each with the positions where it may go on; those that can match
    /// nothing below are not there.
    at: Vec<(u32, u64)>,
    /// The patterns that may match what lies in the directory.
    live: Bits,
}

impl Index {
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let words = patterns.len().div_ceil(64);
        let mut index = Self {
            first: vec![0; 256 * words],
            last: vec![0; 256 * words],
            words,
            everywhere: Bits::new(patterns.len()),
            ..Self::default()
        };
        for (number, id) in (0..patterns.len()).zip(0..) {
            let matcher = &patterns[number].matcher;
            let (first, last) = matcher.edges();
            index.note(number, first, true);
            index.note(number, last, false);
            match matcher.start() {
                _ if matcher.is_everywhere() => index.everywhere.set(number),
                Some(start) => index.followed.push((id, start)),
                None => index.whole.push(id),
            }
        }
        index
    }

    fn note(&mut self, number: usize, edge: Edge, first: bool) {
        let (word, bit) = (number / 64, 1 << (number % 64));
        let (words, table) = (self.words, if first { &mut self.first } else { &mut self.last });
        match edge {
            Edge::Byte(byte) => table[usize::from(byte) * words + word] |= bit,
            Edge::Any => (0..256).for_each(|byte| table[byte * words + word] |= bit),
        }
    }

    /// How far the patterns are in the root directory.
    pub(super) fn root(&self, patterns: &[Pattern]) -> Progress {
        let mut live = self.everywhere.clone();
        self.whole.iter().for_each(|id| live.set(*id as usize));
        Progress::new(self.followed.clone(), live, patterns)
    }

    /// How far they are in the directory `path`, which is called `name` in its parent.
    pub(super) fn enter(
        &self,
        parent: &Progress,
        patterns: &[Pattern],
        path: &[u8],
        name: &[u8],
    ) -> Progress {
        let mut live = self.everywhere.clone();
        for id in &self.whole {
            if patterns[*id as usize].matcher.may_begin_with(path) {
                live.set(*id as usize);
            }
        }
        let step = |(id, at): &(u32, u64)| {
            let next = patterns[*id as usize].matcher.step(*at, name);
            (next != 0).then_some((*id, next))
        };
        Progress::new(parent.at.iter().filter_map(step).collect(), live, patterns)
    }

    /// The `word`th 64 patterns that may match `name` in a directory.
    pub(super) fn candidates(&self, dir: &Progress, name: &[u8], word: usize) -> u64 {
        let live = dir.live.word(word);
        let (Some(first), Some(last)) = (name.first(), name.last()) else { return live };
        let table = |table: &[u64], byte: u8| table[usize::from(byte) * self.words + word];
        live & table(&self.first, *first) & table(&self.last, *last)
    }
}

impl Progress {
    fn new(at: Vec<(u32, u64)>, mut live: Bits, patterns: &[Pattern]) -> Self {
        for (id, positions) in &at {
            if patterns[*id as usize].matcher.is_at_end(*positions) {
                live.set(*id as usize);
            }
        }
        Self { at, live }
    }
}
