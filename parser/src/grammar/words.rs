//! The three ways in which arguments are split (B1-13, B1-14): keyword and rest, at blanks, and
//! like a shell with quotes and escapes kept.

use std::borrow::Cow;

use nom::branch::alt;
use nom::bytes::complete::{take_till, take_while, take_while1};
use nom::character::complete::{anychar, char, none_of, satisfy};
use nom::combinator::{opt, recognize};
use nom::multi::{many0_count, many1_count};
use nom::{IResult, Parser};

/// `[\t\v\f\r ]`.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ')
}

/// Splits at the first blanks: the keyword, and what follows them.
pub(super) fn keyword(text: &str) -> (&str, &str) {
    let text = text.trim();
    let blank = text.bytes().position(|byte| is_blank(byte.into()));
    let (name, rest) = text.split_at(blank.unwrap_or(text.len()));
    (name, rest.trim_start_matches(is_blank))
}

/// A keyword in upper case; most are written so.
pub(super) fn upper(name: &str) -> Cow<'_, str> {
    match name.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.to_uppercase()),
    }
}

/// Splits at blanks; quotes mean nothing.
pub(super) fn at_blanks(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_blank).filter(|word| !word.is_empty())
}

/// Splits at the first blanks, as for `ENV key rest of line`.
pub(super) fn first_and_rest(text: &str) -> Option<(&str, &str)> {
    let at = text.find(is_blank)?;
    Some((&text[..at], text[at..].trim_start_matches(is_blank)))
}

/// Splits like a shell: spaces in quotes and behind the escape character do not count. Quotes
/// and escapes stay in the words, except for an escape character that ends the text.
pub(super) fn shell(text: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Ok((after, word)) = shell_word(rest, escape) {
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn shell_word(input: &str, escape: char) -> IResult<&str, &str> {
    let escaped = || recognize((char(escape), anychar));
    let single = recognize((char('\''), take_till(|c| c == '\''), opt(char('\''))));
    let double = recognize((
        char('"'),
        many0_count(alt((escaped(), take_while1(move |c| c != '"' && c != escape)))),
        opt(char('"')),
    ));
    let plain =
        take_while1(move |c: char| !c.is_whitespace() && c != '\'' && c != '"' && c != escape);
    recognize(many1_count(alt((escaped(), single, double, plain)))).parse(input)
}

/// Reads the name of a build stage: `^[a-z][a-z0-9-_.]*$`, after lower-casing.
pub(super) fn is_stage_name(text: &str) -> bool {
    let name = text.to_lowercase();
    let mut parser = (
        satisfy(|c| c.is_ascii_lowercase()),
        take_while(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c)),
    );
    let result: IResult<&str, (char, &str)> = parser.parse(name.as_str());
    matches!(result, Ok(("", _)))
}

/// Whether a variable begins in the text: a `$` with something behind it.
pub(super) fn holds_variable(text: &str) -> bool {
    let mut parser = (take_till(|c| c == '$'), char('$'), none_of("\n"));
    let result: IResult<&str, (&str, char, char)> = parser.parse(text);
    result.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[&str]) {
        assert_eq!(shell(text, '\\'), expect, "{text}");
    }

    #[test]
    fn shell_words_keep_quotes() {
        check("a=b  c='d e' f=\"g \\\" h\"i", &["a=b", "c='d e'", "f=\"g \\\" h\"i"]);
        check("a\\ b c", &["a\\ b", "c"]);
        check("it\\'s 'open end", &["it\\'s", "'open end"]);
        check("a=b\\", &["a=b"]);
        check("'\\' x", &["'\\'", "x"]);
        check("\"a\\", &["\"a"]);
        check("", &[]);
        assert_eq!(shell("a` b c\\", '`'), ["a` b", "c\\"]);
    }

    #[test]
    fn stage_names() {
        for good in ["a", "Build-1_x.y"] {
            assert!(is_stage_name(good));
        }
        for bad in ["1", "", "my/x", "a b", "-a", "ä"] {
            assert!(!is_stage_name(bad), "{bad}");
        }
    }
}
