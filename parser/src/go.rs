//! Small habits of Go that messages, flags and history entries have to share with BuildKit.

/// Quotes as Go's `%q` does: double quotes, control characters and odd white space escaped.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || c == '\x7f' => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                out.push_str(&format!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `strconv.ParseBool`: `1 t T TRUE true True` and their opposites.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `strconv.ParseUint` in `base`, at most `max`: digits only, no sign.
pub(crate) fn parse_uint(text: &str, base: u32, max: u64) -> Option<u64> {
    if text.is_empty() || !text.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    u64::from_str_radix(text, base).ok().filter(|n| *n <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_like_go() {
        assert_eq!(quote("a\"b\\c\n\u{1}é"), r#""a\"b\\c\n\x01é""#);
        assert_eq!(quote("\u{85}"), r#""\u0085""#);
        assert_eq!(quote("a\u{a0}b"), r#""a\u00a0b""#);
    }

    #[test]
    fn numbers_have_no_sign() {
        assert_eq!(parse_uint("0755", 8, u64::MAX), Some(0o755));
        assert_eq!(parse_uint("+1", 10, u64::MAX), None);
        assert_eq!(parse_uint("65536", 10, 65535), None);
        assert_eq!(parse_uint("", 10, 9), None);
    }
}
