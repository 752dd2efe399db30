//! What every path that matches a pattern begins and ends with: nearly all paths match nearly no
//! pattern, and two comparisons tell.

use crate::glob::Token;

/// The literal ends of a pattern; empty where it begins or ends with anything else.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    head: Box<[u8]>,
    tail: Box<[u8]>,
}

impl Ends {
    /// The ends of a cleaned pattern.
    pub(super) fn of(tokens: &[Token]) -> Self {
        let head: String = tokens.iter().map_while(literal).collect();
        let mut tail: Vec<char> = tokens.iter().rev().map_while(literal).collect();
        // The slash of `**/x` belongs to the stars: it matches `x` as well.
        if tail.len() < tokens.len() && tail.last() == Some(&'/') {
            tail.pop();
        }
        let tail: String = tail.into_iter().rev().collect();
        Self { head: head.into_bytes().into(), tail: tail.into_bytes().into() }
    }

    /// Whether `path` begins and ends so.
    pub(super) fn fit(&self, path: &[u8]) -> bool {
        path.starts_with(&self.head) && path.ends_with(&self.tail)
    }

    /// Whether what lies in the directory `path` may begin so.
    pub(super) fn fit_below(&self, path: &[u8]) -> bool {
        match self.head.strip_prefix(path) {
            Some(rest) => rest.is_empty() || rest.starts_with(b"/"),
            None => path.starts_with(&self.head),
        }
    }

    /// The last byte of every path that ends so; `None` if it may be any.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.tail.last().copied()
    }

    /// Whether `path` or a directory above it may begin and end so.
    pub(super) fn fit_above(&self, path: &[u8]) -> bool {
        path.starts_with(&self.head)
    }
}

/// A character that stands for itself. U+FFFD does not: it matches bytes that are no UTF-8.
fn literal(token: &Token) -> Option<char> {
    match token {
        Token::Char(c) if *c != char::REPLACEMENT_CHARACTER => Some(*c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::tokens;

    #[test]
    fn ends_of_patterns() {
        for (pattern, head, tail) in [
            ("a/b", "a/b", "a/b"),
            ("a*/b?c", "a", "c"),
            ("**/x", "", "x"),
            ("a/**", "a/", ""),
            ("a/**/b/c", "a/", "b/c"),
            ("[ab]/c", "", "c"),
            ("a\\*b", "a*b", "a*b"),
            ("a\u{fffd}b", "a", "b"),
        ] {
            let ends = Ends::of(&tokens(pattern).unwrap());
            let got = (&*ends.head, &*ends.tail);
            assert_eq!(got, (head.as_bytes(), tail.as_bytes()), "{pattern}");
        }
    }
}
