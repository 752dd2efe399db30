//! Patterns that do not fall into components: `foo**`, `**foo`, `a**b`, `[^x]y`.
//!
//! moby makes a regular expression of them; this is the same automaton, run on all states at once,
//! so no pattern can make it slow.

use super::bits::Bits;
use crate::glob::{self, BadPattern, Class, Token, decode};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) struct General(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    /// One character as in a glob; `?` and `*` do not match `/`.
    Char(char),
    Class(Class),
    Any,
    Star,
    /// `.*`: `**` at an end.
    Everything,
    /// `(.*/)?`: `**` or `**/` with something behind it.
    Directories,
}

impl General {
    pub(super) fn new(pattern: &str) -> Result<Self, BadPattern> {
        // A pattern that is only `**` and plain text is matched as a suffix by moby.
        let suffix = pattern
            .strip_prefix("**")
            .filter(|rest| !rest.starts_with('/') && !rest.contains(['*', '?', '[', ']', '\\']));
        let mut pieces = Vec::new();
        let mut rest = pattern;
        if let Some(text) = suffix {
            pieces.push(Piece::Everything);
            rest = text;
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("**") {
                rest = after.strip_prefix('/').unwrap_or(after);
                pieces.push(if rest.is_empty() { Piece::Everything } else { Piece::Directories });
                continue;
            }
            let (plain, after) = rest.split_at(next_double_star(rest));
            rest = after;
            pieces.extend(glob::tokens(plain)?.into_iter().map(|token| match token {
                Token::Char(c) => Piece::Char(c),
                Token::Class(class) => Piece::Class(class),
                Token::Any => Piece::Any,
                Token::Star => Piece::Star,
            }));
        }
        Ok(Self(pieces))
    }

    /// Whether it matches `path`, or also a directory above it.
    pub(super) fn matches(&self, path: &[u8], or_parent: bool) -> bool {
        let pieces = &self.0;
        let mut now = Bits::new(pieces.len() + 1);
        let mut next = now.clone();
        self.enter(&mut now, 0);
        let mut at = 0;
        while let Some((c, width)) = decode(&path[at..]) {
            if or_parent && c == '/' && now.get(pieces.len()) {
                return true;
            }
            next.clear();
            for index in now.iter() {
                match pieces.get(index) {
                    Some(Piece::Char(wanted)) if *wanted == c => self.enter(&mut next, index + 1),
                    Some(Piece::Class(class)) if class.matches(c) => {
                        self.enter(&mut next, index + 1);
                    }
                    Some(Piece::Any) if c != '/' => self.enter(&mut next, index + 1),
                    Some(Piece::Star) if c != '/' => self.enter(&mut next, index),
                    Some(Piece::Everything) => self.enter(&mut next, index),
                    Some(Piece::Directories) => {
                        // Inside, it can be left only behind a `/`.
                        next.set(index);
                        if c == '/' {
                            self.enter(&mut next, index + 1);
                        }
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            at += width;
        }
        now.get(pieces.len())
    }

    /// Adds a state, and those that it reaches without a character.
    fn enter(&self, states: &mut Bits, mut index: usize) {
        loop {
            states.set(index);
            match self.0.get(index) {
                Some(Piece::Star | Piece::Everything | Piece::Directories) => index += 1,
                _ => return,
            }
        }
    }
}

/// Where the next `**` begins that is neither escaped nor in a class.
fn next_double_star(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut in_class) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class && bytes.get(at + 1) == Some(&b'*') => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
