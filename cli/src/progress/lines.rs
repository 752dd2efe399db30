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
    /// Takes bytes, and gives each line that they complete.
    pub(super) fn push(&mut self, data: &[u8], mut line: impl FnMut(String)) {
        for chunk in data.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(chunk);
            if chunk.ends_with(b"\n") {
                self.partial.pop();
                line(harmless(&std::mem::take(&mut self.partial)));
            } else if self.partial.len() > MAX_LINE {
                line(harmless(&std::mem::take(&mut self.partial)));
            }
        }
    }

    /// Forgets the begin of a line whose end hasn't come.
    pub(super) fn forget(&mut self) {
        self.partial.clear();
    }

    /// Gives what is left when no more will come.
    pub(super) fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.partial);
        (!rest.is_empty()).then(|| harmless(&rest))
    }
}

/// Makes a line fit for a terminal.
pub(crate) fn harmless(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let visible = text.trim_end_matches('\r');
    let visible = visible.rsplit('\r').find(|part| !part.is_empty()).unwrap_or("");
    let mut out = String::with_capacity(visible.len());
    let mut chars = visible.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => out.push(c),
            '\x1b' => skip_sequence(&mut chars),
            // The same sequences, each begun by one character of the C1 set.
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            '\u{80}'..='\u{9f}' => out.push(char::REPLACEMENT_CHARACTER),
            '\0'..='\x1f' => out.extend(['^', char::from(c as u8 + b'@')]),
            '\x7f' => out.push_str("^?"),
            c => out.push(c),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows an escape character, as ECMA-48 delimits it.
fn skip_sequence(chars: &mut Chars<'_>) {
    match chars.next_if(|c| matches!(c, '\x20'..='\x7e')) {
        Some('[') => skip_control_sequence(chars),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(chars),
        Some('\x20'..='\x2f') => {
            while chars.next_if(|c| matches!(c, '\x20'..='\x2f')).is_some() {}
            chars.next_if(|c| matches!(c, '\x30'..='\x7e'));
        }
        _ => {}
    }
}

fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, '\x20'..='\x3f')).is_some() {}
    chars.next_if(|c| matches!(c, '\x40'..='\x7e'));
}

/// Skips a string up to BEL, ST or the end of the line.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next() {
        match c {
            '\x07' | '\u{9c}' => return,
            '\x1b' => {
                chars.next_if_eq(&'\\');
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
        let mut got = Vec::new();
        for piece in [&b"on"[..], b"e\ntwo\n\xc3", b"\xa4", b"\nrest"] {
            lines.push(piece, |line| got.push(line));
        }
        assert_eq!(got, ["one", "two", "ä"]);
        assert_eq!(lines.finish(), Some("rest".to_owned()));
        assert_eq!(lines.finish(), None);
    }

    proptest! {
        #[test]
        fn nothing_reaches_the_terminal_as_a_control(bytes in proptest::collection::vec(
            prop_oneof![Just(0x1b), Just(b'['), Just(b']'), Just(0xc2), Just(0x9b), any::<u8>()], 0..64))
        {
            let out = harmless(&bytes);
            prop_assert!(out.chars().all(|c| c == '\t' || !c.is_control()), "{out:?}");
        }
    }
}
