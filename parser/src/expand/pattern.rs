//! The globs of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?`, escapes `\*` `\?` `\\` only.
//!
//! Brackets are literal (B3-08). Like the regular expressions that BuildKit makes of them, `*`
//! and `?` do not match a line end. One table of match ends answers all three operations in time
//! proportional to pattern times value.

/// A compiled pattern.
pub(super) struct Pattern(Vec<Token>);

#[derive(Clone, Copy)]
enum Token {
    Char(char),
    Any,
    Star,
}

impl Pattern {
    /// Compiles; an error is the reason alone, such as `invalid escape '\x'`.
    ///
    /// A backslash before `}` or `/` is dropped: it only kept `${}` from ending there.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' if matches!(chars.peek(), Some('}' | '/')) => continue,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\')) => Token::Char(c),
                    other => {
                        let c = other.unwrap_or(char::REPLACEMENT_CHARACTER);
                        return Err(format!("invalid escape '\\{c}'"));
                    }
                },
                c => Token::Char(c),
            });
        }
        Ok(Self(tokens))
    }

    /// `value` without its shortest (or longest, if `greedy`) prefix that matches.
    pub(super) fn trim_prefix(&self, value: &str, greedy: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let end = self.ends(&chars, greedy)[0].unwrap_or(0);
        chars[end..].iter().collect()
    }

    /// `value` without its shortest (or longest, if `greedy`) suffix that matches.
    pub(super) fn trim_suffix(&self, value: &str, greedy: bool) -> String {
        let reversed = Self(self.0.iter().rev().copied().collect());
        let chars: Vec<char> = value.chars().rev().collect();
        let end = reversed.ends(&chars, greedy)[0].unwrap_or(0);
        chars[end..].iter().rev().collect()
    }

    /// `value` with the first match, or all matches, replaced; `*` takes as much as it can.
    pub(super) fn replace(&self, value: &str, with: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let ends = self.ends(&chars, true);
        let (mut out, mut copied, mut at) = (String::new(), 0, 0);
        let mut last_end = None;
        while at <= chars.len() {
            let Some(end) = ends[at] else {
                at += 1;
                continue;
            };
            out.extend(&chars[copied..at]);
            copied = end;
            // As Go: no empty match right behind another match.
            if last_end.is_none_or(|last| end > last) {
                out.push_str(with);
            }
            last_end = Some(end);
            if !all {
                break;
            }
            at = if end > at { end } else { at + 1 };
        }
        out.extend(&chars[copied..]);
        out
    }

    /// For every position of `value`, where the preferred match that starts there ends.
    fn ends(&self, value: &[char], greedy: bool) -> Vec<Option<usize>> {
        let mut ends: Vec<Option<usize>> = (0..=value.len()).map(Some).collect();
        for token in self.0.iter().rev() {
            let rest = ends;
            let mut row = vec![None; value.len() + 1];
            for i in (0..=value.len()).rev() {
                let c = value.get(i).copied();
                row[i] = match token {
                    Token::Char(wanted) if c == Some(*wanted) => rest[i + 1],
                    Token::Any if c.is_some_and(|c| c != '\n') => rest[i + 1],
                    Token::Char(_) | Token::Any => None,
                    Token::Star => {
                        let more = if c.is_some_and(|c| c != '\n') { row[i + 1] } else { None };
                        if greedy { more.or(rest[i]) } else { rest[i].or(more) }
                    }
                };
            }
            ends = row;
        }
        ends
    }
}
