//! Where an instruction may be spaced at will: the gaps at which the grammar splits it.

use crate::grammar::words::{at_blanks, keyword, shell};
use crate::grammar::{flags, json};

/// A piece of an instruction's text; all pieces together are the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Blanks (or nothing) whose number doesn't matter.
    pub(super) gap: bool,
    /// A gap that is best left out altogether.
    pub(super) tight: bool,
    /// A keyword.
    pub(super) upper: bool,
}

/// Splits `text`, which has no outer space, as the grammar does.
pub(super) fn parts(text: &str, escape: char, heredocs: bool) -> Vec<Part> {
    let mut found = Parts { text, at: 0, parts: Vec::new() };
    let (name, rest) = keyword(text);
    found.word(name, true);
    let name = name.to_uppercase();
    if name == "ONBUILD" {
        // Stored in the image as it is, so it begins at once and stays.
        found.rest(rest);
        return found.parts;
    }
    let (flags, rest) = flags::raw(rest);
    found.words(flags);
    let args = rest.trim();
    match name.as_str() {
        "RUN" | "CMD" | "ENTRYPOINT" | "SHELL" | "COPY" | "ADD" | "VOLUME"
            if json::is_json(args) =>
        {
            found.json(args);
        }
        "FROM" => found.from(args),
        "EXPOSE" | "VOLUME" => found.words(at_blanks(args)),
        "COPY" | "ADD" if !heredocs => found.words(at_blanks(args)),
        "ARG" => found.shell_words(shell(args, escape)),
        "ENV" | "LABEL" => found.pairs(args, escape),
        "HEALTHCHECK" => {
            let (kind, command) = keyword(args);
            found.word(kind, true);
            if json::is_json(command) { found.json(command) } else { found.rest(command) }
        }
        _ => found.rest(args),
    }
    found.parts
}

struct Parts<'a> {
    text: &'a str,
    at: usize,
    parts: Vec<Part>,
}

impl<'a> Parts<'a> {
    /// Adds the gap before `word`, a slice of the text, and the word.
    fn word(&mut self, word: &'a str, upper: bool) {
        self.spaced(word, upper, false);
    }

    fn spaced(&mut self, word: &'a str, upper: bool, tight: bool) {
        if word.is_empty() {
            return;
        }
        let start = word.as_ptr() as usize - self.text.as_ptr() as usize;
        if self.at > 0 && (start > self.at || !tight) {
            // Blanks of odd kinds stay: spaces in their place could make JSON or a here-document of
            // what is none, as those know fewer kinds.
            let gap = self.text[self.at..start].chars().all(|c| matches!(c, ' ' | '\t'));
            self.parts.push(Part { start: self.at, end: start, gap, tight, upper: false });
        }
        self.at = start + word.len();
        self.parts.push(Part { start, end: self.at, gap: false, tight: false, upper });
    }

    fn words(&mut self, words: impl IntoIterator<Item = &'a str>) {
        words.into_iter().for_each(|word| self.word(word, false));
    }

    /// Words up to the end of the text. An escape character that ends it is in no word, and stays.
    fn shell_words(&mut self, words: Vec<&'a str>) {
        self.words(words);
        if let Some(last) = self.parts.last_mut() {
            last.end = self.text.len();
        }
    }

    /// All that is left is one piece, whatever is in it.
    fn rest(&mut self, rest: &'a str) {
        self.word(rest, false);
    }

    fn from(&mut self, args: &'a str) {
        for (index, word) in at_blanks(args).enumerate() {
            self.word(word, index == 1 && word.eq_ignore_ascii_case("as"));
        }
    }

    fn pairs(&mut self, args: &'a str, escape: char) {
        let words = shell(args, escape);
        if words.first().is_some_and(|word| word.contains('=')) {
            self.shell_words(words);
        } else {
            self.rest(args);
        }
    }

    /// `["a", "b"]`, strings as they are.
    fn json(&mut self, args: &'a str) {
        let mut at = 0;
        let mut tight = false;
        while let Some(c) = args[at..].chars().next() {
            let length = match c {
                '"' => string_length(&args[at..]),
                c => c.len_utf8(),
            };
            if !c.is_whitespace() {
                let token = &args[at..at + length];
                self.spaced(token, false, tight || matches!(c, ',' | ']'));
                tight = c == '[';
            }
            at += length;
        }
    }
}

/// Bytes of the JSON string that `text` begins with.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let mut got = String::new();
        for part in parts(text, '\\', text.contains("<<")) {
            let piece = &text[part.start..part.end];
            match (part.gap, part.tight, part.upper) {
                (true, true, _) => {}
                (true, false, _) => got.push('_'),
                (_, _, true) => got.push_str(&piece.to_uppercase()),
                _ => got.push_str(piece),
            }
        }
        assert_eq!(got, expect);
    }

    #[test]
    fn blanks_of_odd_kinds_stay() {
        for text in ["COPY [\"a\",\u{b}\"b\"]", "VOLUME [\"a\u{b}b\"]", "ADD [\"a\", \"b\"\u{c}]"] {
            check(text, &text.replace(' ', "_"));
        }
        check("COPY <\u{b}<x y", "COPY_<\u{b}<x_y");
        check("COPY [a \t b]", "COPY_[a_b]");
    }

    #[test]
    fn gaps_are_where_the_grammar_splits() {
        check("from  a  as\tb", "FROM_a_AS_b");
        check("run   a   b", "RUN_a   b");
        check("run --x=a\\ b   --y  a  b", "RUN_--x=a\\ b_--y_a  b");
        check("copy -- a  b", "COPY_--_a_b");
        check("run  --a  --  --x  y", "RUN_--a_--_--x  y");
        check("copy  <<A  <<B  /x", "COPY_<<A  <<B  /x");
        check("cmd [ \"a  b\" ,\"\\\" ,\" ]", "CMD_[\"a  b\",_\"\\\" ,\"]");
        check("cmd [a,  b]", "CMD_[a,  b]");
        check("cmd []", "CMD_[]");
        check("env a=b  c='d  e'", "ENV_a=b_c='d  e'");
        check("env a  b=c  d", "ENV_a  b=c  d");
        check("onbuild  copy  a b", "ONBUILD_copy  a b");
        check("healthcheck  --retries=1  cmd  a  b", "HEALTHCHECK_--retries=1_CMD_a  b");
        check("healthcheck none", "HEALTHCHECK_NONE");
    }
}
