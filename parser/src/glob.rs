//! Go's `filepath.Match` (B6-08): `*`, `?`, `[a-z]`, `[^x]`, `\`; a `*` or `?` never matches `/`.
//!
//! Matching is iterative, remembers only the last `*`, and allocates nothing.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    pattern: String,
    tokens: Vec<Token>,
}

/// The pattern is malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

#[derive(Clone, Debug)]
pub(crate) enum Token {
    Char(char),
    Any,
    Star,
    Class(Class),
}

/// `[a-z]` or `[^a-z]`. Unlike `*` and `?` it may match a `/`, as in Go.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    pub(crate) fn matches(&self, c: char) -> bool {
        self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != self.negated
    }
}

impl Glob {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// An unclosed `[`, an empty class or range, a backslash at the end.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        Ok(Self { pattern: pattern.to_owned(), tokens: tokens(pattern)? })
    }

    /// The pattern as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether it can match one text only: itself without the backslashes.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Char(_)))
    }

    /// The bytes with which everything that matches begins and ends; `None` where it may be any.
    pub(crate) fn edges(&self) -> (Option<u8>, Option<u8>) {
        // U+FFFD also matches bytes that are no UTF-8.
        let literal = |token: Option<&Token>| match token {
            Some(Token::Char(c)) if *c != char::REPLACEMENT_CHARACTER => Some(*c),
            _ => None,
        };
        let mut utf8 = [0; 4];
        let first = literal(self.tokens.first()).map(|c| c.encode_utf8(&mut utf8).as_bytes()[0]);
        let last = literal(self.tokens.last())
            .and_then(|c| c.encode_utf8(&mut utf8).as_bytes().last().copied());
        (first, last)
    }

    /// Whether the whole of `path` matches. Bytes that are no UTF-8 count as U+FFFD each.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let (mut at, mut token) = (0, 0);
        // Where to go on if the tokens after the last star do not fit.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            if let Some(Token::Star) = self.tokens.get(token) {
                token += 1;
                retry = Some((at, token));
                continue;
            }
            let next = decode(&path[at..]);
            let fits = match (self.tokens.get(token), next) {
                (None, None) => return true,
                (Some(Token::Char(c)), Some((found, _))) => *c == found,
                (Some(Token::Any), Some((found, _))) => found != '/',
                (Some(Token::Class(class)), Some((found, _))) => class.matches(found),
                _ => false,
            };
            if let (true, Some((_, width))) = (fits, next) {
                at += width;
                token += 1;
                continue;
            }
            match retry {
                Some((start, after)) => match decode(&path[start..]) {
                    Some((c, width)) if c != '/' => {
                        retry = Some((start + width, after));
                        (at, token) = (start + width, after);
                    }
                    _ => return false,
                },
                None => return false,
            }
        }
    }
}

/// Whether a text holds `*`, `?`, `[` or `\`: what makes COPY treat a source as a pattern.
#[must_use]
pub fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The first character and its width, as Go decodes: U+FFFD of width 1 for a bad byte.
pub(crate) fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((first as char, 1));
    }
    let width = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((char::REPLACEMENT_CHARACTER, 1)),
    };
    let c = bytes.get(..width).and_then(|b| str::from_utf8(b).ok()).and_then(|s| s.chars().next());
    Some(c.map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width)))
}

pub(crate) fn tokens(pattern: &str) -> Result<Vec<Token>, BadPattern> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next().ok_or(BadPattern)?),
            '[' => Token::Class(class(&mut chars)?),
            c => Token::Char(c),
        });
    }
    tokens.dedup_by(|a, b| matches!((a, b), (Token::Star, Token::Star)));
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Reads a class behind its `[`.
fn class(chars: &mut Chars<'_>) -> Result<Class, BadPattern> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut Chars<'_>) -> Result<char, BadPattern> {
    match chars.next() {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => chars.next().ok_or(BadPattern),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_like_go() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode("é".as_bytes()), Some(('é', 2)));
        assert_eq!(decode(b"\xff"), Some(('\u{fffd}', 1)));
        assert_eq!(decode(b"\xe2\x82"), Some(('\u{fffd}', 1)));
    }

    #[test]
    fn bad_patterns() {
        for bad in ["[", "[]", "[]a]", "[^]", "[a", "[a-", "[a-]", "[-x]", "a\\", "[\\", "[x-]"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }
}
