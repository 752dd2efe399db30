//! Here-documents: how a delimiter is read, and how tabs are stripped (B8-01..04).

use nom::Parser;
use nom::bytes::complete::tag;
use nom::character::complete::{char, digit0};
use nom::combinator::opt;

use crate::expand::Lexer;

/// What `[fd]<<[-]WORD` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening {
    /// WORD without quotes.
    pub name: String,
    /// The number in front, else 0.
    pub fd: u32,
    /// There is a `-`.
    pub chomp: bool,
    /// No quote in WORD.
    pub expand: bool,
}

/// Reads one word of a line as the opening of a here-document, if it is one and nothing else.
///
/// Always uses `\` as the escape character, whatever the escape directive says (B2-05).
#[must_use]
pub fn parse_word(word: &str) -> Option<Opening> {
    let mut opening = (digit0::<_, nom::error::Error<&str>>, tag("<<"), opt(char('-')));
    let (rest, (fd, _, dash)) = opening.parse(word).ok()?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if rest.chars().all(plain) {
        let fd = fd.parse().unwrap_or(0);
        return Some(Opening { name: rest.to_owned(), fd, chomp: dash.is_some(), expand: true });
    }
    let plain = Lexer { keep_unset: true, ..Lexer::new('\\') };
    let [name] = <[String; 1]>::try_from(plain.expand(rest, &()).ok()?.words).ok()?;
    let [raw] =
        <[String; 1]>::try_from(Lexer { raw_quotes: true, ..plain }.expand(rest, &()).ok()?.words)
            .ok()?;
    let quotes = |text: &str| text.matches(['\'', '"']).count();
    let expand = quotes(&name) == quotes(&raw);
    Some(Opening { name, fd: fd.parse().unwrap_or(0), chomp: dash.is_some(), expand })
}

/// The words of a line that open here-documents, in order, each with its opening.
///
/// A line that is no well-formed shell text, such as one with an open quote, has none.
#[must_use]
pub fn openings(line: &str) -> Vec<(String, Opening)> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let lexer = Lexer { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Lexer::new('\\') };
    let words = lexer.expand(line, &()).map(|expanded| expanded.words).unwrap_or_default();
    words
        .into_iter()
        .filter(|word| word.contains("<<"))
        .filter_map(|word| parse_word(&word).map(|opening| (word, opening)))
        .collect()
}

/// Drops the tabs at the start of every line.
#[must_use]
pub fn strip_tabs(text: &str) -> String {
    text.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expect: Option<(&str, u32, bool, bool)>) {
        let got = parse_word(word);
        let got = got.as_ref().map(|o| (o.name.as_str(), o.fd, o.chomp, o.expand));
        assert_eq!(got, expect, "{word}");
    }

    #[test]
    fn openings_of_all_kinds() {
        check("<<EOF", Some(("EOF", 0, false, true)));
        check("<<-EOF", Some(("EOF", 0, true, true)));
        check("3<<EOF", Some(("EOF", 3, false, true)));
        check("<<'EOF'", Some(("EOF", 0, false, false)));
        check("<<\"E O\"", Some(("E O", 0, false, false)));
        check("<<E'O'F", Some(("EOF", 0, false, false)));
        check("<<$EOF", Some(("$EOF", 0, false, true)));
        check("<<a.txt", Some(("a.txt", 0, false, true)));
        check("<< EOF", Some(("EOF", 0, false, true)));
        for no in ["<<", "<<-", "<<<EOF", "<EOF", "EOF", "a<<EOF", "<<\"EOF", "<<a<b"] {
            check(no, None);
        }
    }

    #[test]
    fn several_a_line() {
        let names: Vec<_> =
            openings("RUN cat <<A >x && cat <<-'B' 4<< C").into_iter().map(|o| o.1.name).collect();
        assert_eq!(names, ["A", "B", "C"]);
        assert!(openings("RUN echo \"<<EOF\" $((1<<2))").is_empty());
        assert!(openings("RUN echo it's <<EOF").is_empty());
    }
}
