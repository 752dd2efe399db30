//! Bytes of a log made into lines that can't harm a terminal.
//!
//! A step may write anything. Escape sequences could move the cursor, recolour or retitle the
//! terminal, or hide what a command printed; so they are dropped, and every other control
//! character is shown in caret notation. What a carriage return overwrites on a terminal is left
//! out, so that a progress bar is one line.

/// Longest line that is held back while its end hasn't come.
const MAX_LINE: usize = 64 * 1024;

/// Gathers bytes into lines; one for each stream of a step.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and adds each line that they complete to `out`, with a newline behind it.
    pub(super) fn push(&mut self, data: &[u8], out: &mut String) {
        let mut data = data;
        if !self.partial.is_empty() {
            let end = memchr::memchr(b'\n', data).map_or(data.len(), |at| at + 1);
            self.hold(&data[..end], out);
            data = &data[end..];
        }
        let end = memchr::memrchr(b'\n', data).map_or(0, |at| at + 1);
        let (complete, rest) = data.split_at(end);
        // Where all of it is harmless, it isn't looked at line by line.
        match as_it_is(complete) {
            Some(text) => out.push_str(text),
            None => complete.split_inclusive(|byte| *byte == b'\n').for_each(|line| {
                add_harmless(&line[..line.len() - 1], out);
                out.push('\n');
            }),
        }
        self.hold(rest, out);
    }

    /// Adds to the line that has begun, and gives it if it has ended, or is too long.
    fn hold(&mut self, piece: &[u8], out: &mut String) {
        self.partial.extend_from_slice(piece);
        let ended = self.partial.last() == Some(&b'\n');
        if ended {
            self.partial.pop();
        }
        if ended || self.partial.len() > MAX_LINE {
            add_harmless(&self.partial, out);
            out.push('\n');
            self.partial.clear();
        }
    }

    /// Forgets the begin of a line whose end hasn't come.
    pub(super) fn forget(&mut self) {
        self.partial.clear();
    }

    /// Adds what is left when no more will come.
    pub(super) fn finish(&mut self, out: &mut String) {
        let rest = std::mem::take(&mut self.partial);
        if !rest.is_empty() {
            add_harmless(&rest, out);
            out.push('\n');
        }
    }
}

/// Makes a line fit for a terminal.
pub(crate) fn harmless(line: &[u8]) -> String {
    let mut out = String::with_capacity(line.len());
    add_harmless(line, &mut out);
    out
}

/// Returns lines as the text that they are, if nothing in them needs a second look.
fn as_it_is(lines: &[u8]) -> Option<&str> {
    // Without a way out of the loop, the compiler looks at many bytes at once. C2 begins the
    // characters of the C1 set, and some others.
    let odd = |byte: u8| {
        (byte < b' ' && byte != b'\n' && byte != b'\t') | (byte == 0x7f) | (byte == 0xc2)
    };
    let any = lines.chunks(256).any(|part| part.iter().fold(false, |any, byte| any | odd(*byte)));
    if any { None } else { std::str::from_utf8(lines).ok() }
}

/// Adds a line to `out`, made fit for a terminal.
fn add_harmless(line: &[u8], out: &mut String) {
    if !line.contains(&b'\n')
        && let Some(text) = as_it_is(line)
    {
        return out.push_str(text);
    }
    let text = String::from_utf8_lossy(line);
    let visible = text.trim_end_matches('\r');
    let mut rest = Rest(visible.rsplit('\r').find(|part| !part.is_empty()).unwrap_or(""));
    loop {
        let plain = rest.0.bytes().take_while(|byte| matches!(byte, b' '..=b'~' | b'\t')).count();
        let (before, after) = rest.0.split_at(plain);
        out.push_str(before);
        rest = Rest(after);
        match rest.next_if(|_| true) {
            None => return,
            Some('\x1b') => skip_sequence(&mut rest),
            // The same sequences, each begun by one character of the C1 set.
            Some('\u{9b}') => skip_control_sequence(&mut rest),
            Some('\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => skip_string(&mut rest),
            Some('\u{80}'..='\u{9f}') => out.push(char::REPLACEMENT_CHARACTER),
            Some(c @ '\0'..='\x1f') => {
                out.push('^');
                out.push(char::from(c as u8 + b'@'));
            }
            Some('\x7f') => out.push_str("^?"),
            Some(c) => out.push(c),
        }
    }
}

/// What is still to be looked at of a line.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    /// Takes the next character, if there is one, and it is such a one.
    fn next_if(&mut self, such: impl FnOnce(char) -> bool) -> Option<char> {
        let mut chars = self.0.chars();
        let next = chars.next().filter(|next| such(*next))?;
        self.0 = chars.as_str();
        Some(next)
    }

    /// Takes characters as long as they are such ones.
    fn skip_while(&mut self, such: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(such);
    }
}

/// Skips what follows an escape character, as ECMA-48 delimits it.
fn skip_sequence(rest: &mut Rest<'_>) {
    match rest.next_if(|c| matches!(c, '\x20'..='\x7e')) {
        Some('[') => skip_control_sequence(rest),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(rest),
        Some('\x20'..='\x2f') => {
            rest.skip_while(|c| matches!(c, '\x20'..='\x2f'));
            rest.next_if(|c| matches!(c, '\x30'..='\x7e'));
        }
        _ => {}
    }
}

fn skip_control_sequence(rest: &mut Rest<'_>) {
    rest.skip_while(|c| matches!(c, '\x20'..='\x3f'));
    rest.next_if(|c| matches!(c, '\x40'..='\x7e'));
}

/// Skips a string up to BEL, ST or the end of the line.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|_| true) {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                rest.next_if(|c| c == '\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_are_dropped_and_controls_are_shown() {
        for (line, expect) in [
            (&b"plain\ttext"[..], "plain\ttext"),
            (b"\x1b[1;31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link", "link"),
            (b"\x1b[2J\x1b[Hx", "x"),
            (b"\x1b(Bx\x1bcy", "xy"),
            (b"bell\x07 back\x08", "bell^G back^H"),
            (b"\xc2\x9b31mx", "x"),
            (b"10%\r50%\r100%\r", "100%"),
            (b"crlf\r", "crlf"),
            (b"\xff", "\u{fffd}"),
            (b"\x1b[", ""),
            (b"\x1b", ""),
        ] {
            assert_eq!(harmless(line), expect, "{line:?}");
        }
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::default();
        let mut got = String::new();
        for piece in [&b"on"[..], b"e\ntwo\n\xc3", b"\xa4", b"\nrest"] {
            lines.push(piece, &mut got);
        }
        assert_eq!(got, "one\ntwo\n\u{e4}\n");
        lines.finish(&mut got);
        lines.finish(&mut got);
        assert_eq!(got, "one\ntwo\n\u{e4}\nrest\n");
    }

    #[test]
    fn a_line_without_end_is_not_held_for_ever() {
        let mut lines = Lines::default();
        let mut got = String::new();
        for _ in 0..3 {
            lines.push(&[b'x'; MAX_LINE / 2 + 1], &mut got);
        }
        assert_eq!(got, format!("{}\n", "x".repeat(MAX_LINE + 2)));
    }

    proptest! {
        #[test]
        fn nothing_reaches_the_terminal_as_a_control(bytes in proptest::collection::vec(
            prop_oneof![Just(0x1b), Just(b'['), Just(b']'), Just(0xc2), Just(0x9b), any::<u8>()], 0..64))
        {
            let out = harmless(&bytes);
            prop_assert!(out.chars().all(|c| c == '\t' || !c.is_control()), "{out:?}");
        }

        #[test]
        fn lines_are_the_same_wherever_reads_cut_them(bytes in proptest::collection::vec(
            prop_oneof![Just(0x1b), Just(b'\n'), Just(b'\r'), Just(b'x'), Just(0xc3), any::<u8>()], 0..64),
            size in 1usize..64)
        {
            let mut expect = String::new();
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                expect += &harmless(line.strip_suffix(b"\n").unwrap_or(line));
                expect.push('\n');
            }
            let (mut lines, mut got) = (Lines::default(), String::new());
            bytes.chunks(size).for_each(|piece| lines.push(piece, &mut got));
            lines.finish(&mut got);
            prop_assert_eq!(got, expect);
        }
    }
}
