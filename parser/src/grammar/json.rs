//! The JSON form of arguments, told from text that only looks like it (B1-12).

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, one_of};
use nom::combinator::{all_consuming, consumed, opt, value};
use nom::multi::{many0, separated_list0};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use super::logical::Logical;
use crate::Word;

/// What a text is, seen as JSON.
pub(super) enum Json {
    /// An array of strings, decoded.
    Strings(Vec<Word>),
    /// An array with something else in it.
    Mixed,
    /// Something else, so not in JSON form.
    No,
}

/// Reads `text`, a slice of the line.
pub(super) fn read(line: &Logical, text: &str) -> Json {
    if !text.starts_with('[') {
        return Json::No;
    }
    if let Ok((_, strings)) = all_consuming(terminated(array, space)).parse(text) {
        let words = strings.into_iter().map(|(raw, text)| Word::new(text, line.span(raw)));
        return Json::Strings(words.collect());
    }
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(_) => Json::Mixed,
        Err(_) => Json::No,
    }
}

/// Whether `text` is a JSON array.
pub(super) fn is_json(text: &str) -> bool {
    text.starts_with('[') && serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok()
}

/// Strings with their raw text, quotes included.
fn array(input: &str) -> IResult<&str, Vec<(&str, String)>> {
    delimited(
        (char('['), space),
        separated_list0((space, char(','), space), consumed(string)),
        (space, char(']')),
    )
    .parse(input)
}

fn space(input: &str) -> IResult<&str, &str> {
    take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n')).parse(input)
}

fn string(input: &str) -> IResult<&str, String> {
    let plain = take_while1(|c| c != '"' && c != '\\' && c >= ' ').map(str::to_owned);
    let part = alt((plain, preceded(char('\\'), escape)));
    delimited(char('"'), many0(part).map(|parts| parts.concat()), char('"')).parse(input)
}

/// What may follow a backslash.
fn escape(input: &str) -> IResult<&str, String> {
    let simple = alt((
        one_of("\"\\/"),
        value('\n', char('n')),
        value('\t', char('t')),
        value('\r', char('r')),
        value('\x08', char('b')),
        value('\x0c', char('f')),
    ));
    alt((simple.map(String::from), unicode)).parse(input)
}

/// `u` and four hex digits, or a pair of surrogates; half a pair becomes U+FFFD, as in Go.
fn unicode(input: &str) -> IResult<&str, String> {
    let (rest, high) = preceded(char('u'), unit).parse(input)?;
    let (after, low) = opt(preceded(tag("\\u"), unit)).parse(rest)?;
    if let Some(low) = low
        && let Some(Ok(c)) = char::decode_utf16([high, low]).next()
        && c as u32 > 0xffff
    {
        return Ok((after, c.to_string()));
    }
    Ok((rest, String::from_utf16_lossy(&[high])))
}

fn unit(input: &str) -> IResult<&str, u16> {
    take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit())
        .map_res(|digits| u16::from_str_radix(digits, 16))
        .parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(text: &str) -> Option<Vec<String>> {
        match read(&Logical::default(), text) {
            Json::Strings(words) => Some(words.into_iter().map(|w| w.text).collect()),
            Json::Mixed | Json::No => None,
        }
    }

    #[test]
    fn decodes_what_serde_decodes() {
        for text in
            [r#"["a","b c"]"#, r#"[ ]"#, r#"["\"\\\/\n\t\u00e9\ud83d\ude00", "" ] "#, r#"["é"]"#]
        {
            assert_eq!(strings(text), Some(serde_json::from_str(text).unwrap()), "{text}");
        }
        assert_eq!(strings(r#"["\ud83d", "\ud83dx"]"#).unwrap(), ["\u{fffd}", "\u{fffd}x"]);
    }

    #[test]
    fn tells_mixed_from_text() {
        let mixed = |text: &str| matches!(read(&Logical::default(), text), Json::Mixed);
        assert!(mixed("[1]") && mixed("[\"a\", null]") && mixed("[[\"a\"]]"));
        assert!(!mixed("[ -f x ]") && !mixed("['a']") && !mixed("[\"a\",]"));
    }
}
