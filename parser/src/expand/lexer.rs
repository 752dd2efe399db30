//! The state machine behind [`Lexer::expand`](super::Lexer::expand).

use std::collections::BTreeSet;

use super::words::Words;
use super::{Expanded, Lexer, Lookup, Reason};

/// Expands all of `word`.
pub(super) fn run(
    lexer: Lexer,
    word: &str,
    env: &dyn Lookup,
    words: bool,
) -> Result<Expanded, Reason> {
    let mut state =
        State { lexer, rest: word, env, used: BTreeSet::new(), unset: BTreeSet::new(), depth: 0 };
    let (text, words) = state.until_words(words)?;
    Ok(Expanded { text, words, used: state.used, unset: state.unset })
}

/// A word that is being expanded.
pub(super) struct State<'a> {
    pub(super) lexer: Lexer,
    pub(super) rest: &'a str,
    pub(super) env: &'a dyn Lookup,
    pub(super) used: BTreeSet<String>,
    pub(super) unset: BTreeSet<String>,
    /// How many `${` are open.
    pub(super) depth: usize,
}

impl<'a> State<'a> {
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    /// Reads up to `stop` (which is taken, too) or the end of the word.
    pub(super) fn until(
        &mut self,
        stop: Option<char>,
        raw_escapes: bool,
    ) -> Result<String, Reason> {
        let outer = std::mem::replace(&mut self.lexer.raw_escapes, raw_escapes);
        let result = self.until_inner(stop, Words::new(false));
        self.lexer.raw_escapes = outer;
        result.map(|(text, _)| text)
    }

    /// Reads to the end; also splits the value into words if they are wanted.
    fn until_words(&mut self, wanted: bool) -> Result<(String, Vec<String>), Reason> {
        self.until_inner(None, Words::new(wanted))
    }

    fn until_inner(
        &mut self,
        stop: Option<char>,
        mut words: Words,
    ) -> Result<(String, Vec<String>), Reason> {
        let mut text = String::with_capacity(self.rest.len().min(256));
        while let Some(c) = self.peek() {
            if stop == Some(c) {
                self.next();
                return Ok((text, words.finish()));
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    text.push_str(&value);
                    words.split(&value);
                }
                '\'' | '"' if !self.lexer.skip_quotes => {
                    let value =
                        if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    text.push_str(&value);
                    words.raw(&value);
                }
                '<' => {
                    let value = self.angle();
                    text.push_str(value);
                    words.raw(value);
                }
                c if c == self.lexer.escape => {
                    self.next();
                    if self.lexer.raw_escapes {
                        text.push(c);
                        words.raw_char(c);
                    }
                    // An escape character at the very end is dropped.
                    let Some(escaped) = self.next() else { break };
                    text.push(escaped);
                    words.raw_char(escaped);
                }
                c => {
                    let plain = self.plain(c, stop);
                    text.push_str(plain);
                    words.split(plain);
                }
            }
        }
        match stop {
            None => Ok((text, words.finish())),
            Some(stop) => Err(unclosed(&stop.to_string())),
        }
    }

    /// Takes the character `first` and all behind it that stand for themselves.
    fn plain(&mut self, first: char, stop: Option<char>) -> &'a str {
        let (escape, text) = (self.lexer.escape, self.rest);
        let special = |byte: u8| {
            matches!(byte, b'$' | b'\'' | b'"' | b'<')
                || char::from(byte) == escape
                || stop == Some(char::from(byte))
        };
        // All special characters are ASCII, so that no other one holds such a byte.
        let behind = first.len_utf8();
        let more = text.bytes().skip(behind).take_while(|byte| !special(*byte)).count();
        let (plain, rest) = text.split_at(behind + more);
        self.rest = rest;
        plain
    }

    /// `<`, or `<<` with the spaces behind it: they belong to a here-document's opening.
    fn angle(&mut self) -> &'a str {
        let start = self.rest;
        self.next();
        if self.peek() == Some('<') {
            self.next();
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        }
        &start[..start.len() - self.rest.len()]
    }

    fn single_quoted(&mut self) -> Result<String, Reason> {
        let inner = &self.rest[1..];
        let Some(end) = inner.find('\'') else {
            self.rest = "";
            return Err(unclosed("single-quote"));
        };
        let quoted = if self.lexer.raw_quotes { &self.rest[..end + 2] } else { &inner[..end] };
        self.rest = &inner[end + 1..];
        Ok(quoted.to_owned())
    }

    fn double_quoted(&mut self) -> Result<String, Reason> {
        let mut text = String::new();
        self.next();
        if self.lexer.raw_quotes {
            text.push('"');
        }
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.next();
                    if self.lexer.raw_quotes {
                        text.push('"');
                    }
                    return Ok(text);
                }
                '$' => text.push_str(&self.dollar()?),
                c if c == self.lexer.escape => {
                    self.next();
                    if self.lexer.raw_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(next) if next == '"' || next == '$' || next == self.lexer.escape => {
                            self.next();
                            text.push(next);
                        }
                        Some(_) => text.push(c),
                    }
                }
                c => {
                    self.next();
                    text.push(c);
                }
            }
        }
        Err(unclosed("double-quote"))
    }
}

fn unclosed(end: &str) -> Reason {
    let message = format!("unexpected end of statement while looking for matching {end}");
    Reason::new(message, "Close it, or put the escape character before it")
}
