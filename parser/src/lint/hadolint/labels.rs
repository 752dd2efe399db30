//! Labels and the schema that `.hadolint.yaml` has for them (DL3049 to DL3058).

use std::borrow::Cow;

use super::{File, Findings};
use crate::ast::{Instruction, Label, Statement};
use crate::expand::Lexer;

/// What the value of a label must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// An address with a scheme.
    Url,
    /// A semantic version.
    Semver,
    /// A commit of git.
    Hash,
    /// A time as RFC 3339 writes it.
    Rfc3339,
    /// A licence by its SPDX name, or an expression of such.
    Spdx,
    /// An address for mail.
    Email,
}

impl Kind {
    /// All kinds, by the names that a schema has for them.
    pub const ALL: [(&'static str, Self); 7] = [
        ("text", Self::Text),
        ("url", Self::Url),
        ("semver", Self::Semver),
        ("hash", Self::Hash),
        ("rfc3339", Self::Rfc3339),
        ("spdx", Self::Spdx),
        ("email", Self::Email),
    ];

    /// The kind of this name; no name is any text.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = if name.is_empty() { "text" } else { name };
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

/// All LABEL instructions.
pub(super) fn all<'a>(
    file: &File<'a>,
) -> impl Iterator<Item = (&'a Statement, &'a Label)> + use<'a> {
    file.dockerfile.statements.iter().filter_map(|statement| match &statement.instruction {
        Instruction::Label(label) => Some((statement, label)),
        _ => None,
    })
}

/// A word without quotes and escapes; variables stay.
pub(super) fn bare(word: &str) -> Cow<'_, str> {
    let lexer = Lexer { keep_unset: true, ..Lexer::new('\\') };
    match word.contains(['"', '\'', '\\']) {
        true => Cow::Owned(lexer.value(word, &()).map_or_else(|_| word.to_owned(), |v| v.text)),
        false => Cow::Borrowed(word),
    }
}

/// Finds labels of a kind whose value is not as it must be. What variables hold nobody knows.
pub(super) fn not_of_kind(
    file: &File<'_>,
    findings: &mut Findings<'_>,
    kind: Kind,
    is: fn(&str) -> bool,
) {
    for (statement, label) in all(file) {
        for pair in &label.pairs {
            let key = bare(&pair.key.text);
            if file.settings.label_schema.get(&*key) != Some(&kind) || pair.value.text.contains('$')
            {
                continue;
            }
            if !is(&bare(&pair.value.text)) {
                let message = findings.rule.message.replace("<key>", &key);
                findings.say(message, pair.value.span, statement);
            }
        }
    }
}

/// RFC 3986: a scheme, and none but the characters that may stand unescaped.
pub(super) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let mut parts = rest.split('%');
    let plain = |part: &str| {
        part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&b))
    };
    let escaped = |part: &str| {
        part.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())) && plain(part)
    };
    scheme_fits
        && rest.matches('#').count() <= 1
        && parts.next().is_some_and(plain)
        && parts.all(escaped)
}

pub(super) fn is_semver(text: &str) -> bool {
    semver::Version::parse(text).is_ok()
}

pub(super) fn is_hash(text: &str) -> bool {
    matches!(text.len(), 7 | 40) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn is_spdx(text: &str) -> bool {
    spdx::Expression::parse(text).is_ok()
}

/// `2026-03-10T11:25:00.5Z`, with an offset such as `+01:00` in place of the `Z`.
pub(super) fn is_rfc3339(text: &str) -> bool {
    let (Some(date), Some(rest)) = (text.get(..10), text.get(10..)) else { return false };
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else { return false };
    let (Some(time), Some(rest)) = (rest.get(..8), rest.get(8..)) else { return false };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if digits.len() == fraction.len() {
                return false;
            }
            digits
        }
        None => rest,
    };
    let offset = match rest.strip_prefix(['+', '-']) {
        Some(offset) => numbers(offset, ':').is_some_and(|[h, m]| h <= 23 && m <= 59),
        None => matches!(rest, "Z" | "z"),
    };
    let date = numbers(date, '-').is_some_and(|[year, month, day]| {
        (1..=12).contains(&month) && (1..=days(year, month)).contains(&day)
    });
    // A leap second is one of 60.
    let time = numbers(time, ':').is_some_and(|[h, m, s]| h <= 23 && m <= 59 && s <= 60);
    offset && date && time
}

/// Numbers of two digits (a first one of three numbers behind `-` has four), one char between.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[u32; N]> {
    let mut all = [0; N];
    let mut parts = text.split(between);
    for (at, number) in all.iter_mut().enumerate() {
        let part = parts.next()?;
        let length = if between == '-' && at == 0 { 4 } else { 2 };
        if part.len() != length || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(all)
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// RFC 5322: words with dots between them or a quoted text, `@`, and a domain or an address in
/// brackets.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atoms = |text: &str| {
        text.split('.').all(|atom| {
            let fits = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
            !atom.is_empty() && atom.chars().all(fits)
        })
    };
    let quoted = local.len() >= 2
        && local.strip_prefix('"').and_then(|local| local.strip_suffix('"')).is_some_and(|inner| {
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                match c {
                    '"' => return false,
                    '\\' if chars.next().is_none() => return false,
                    _ => {}
                }
            }
            true
        });
    let literal = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']'));
    let domain_fits = match literal {
        Some(inner) => !inner.contains(['[', ']', '\\']) && inner.is_ascii(),
        None => atoms(domain),
    };
    (atoms(local) || quoted) && domain_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(is(text), "{text}");
        }
        for text in bad {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn values_are_what_they_are_said_to_be() {
        check(
            is_url,
            &["https://example.com", "http://h:80/a%20b?c=d#e", "mailto:a@b", "x-y.z:"],
            &["example.com", "http://a b", "1a:b", "http://a%2", "http://a%zz", "a:#b#c", ""],
        );
        check(
            is_semver,
            &["1.2.3", "1.2.3-rc.1+b", "0.0.0"],
            &["1", "v1.2.3", "1.2", "01.2.3", ""],
        );
        let hash = "0123456789abcdef0123456789abcdef01234567";
        check(is_hash, &["43c572f", hash], &["43c572", "43C572F", "main", &hash[1..], ""]);
        check(
            is_spdx,
            &[
                "MIT",
                "Apache-2.0",
                "MIT OR Apache-2.0",
                "GPL-2.0-only WITH Classpath-exception-2.0",
            ],
            &["the usual one", "Apache", ""],
        );
        check(
            is_rfc3339,
            &["2026-03-10T11:25:00Z", "2024-02-29t23:59:60.25+01:00", "2000-02-29T00:00:00-00:30"],
            &[
                "2026-03-10",
                "2026-02-29T00:00:00Z",
                "2026-13-01T00:00:00Z",
                "2026-03-10T11:25:00",
                "2026-03-10T24:00:00Z",
                "2026-03-10T11:25:00.Z",
                "26-03-10T11:25:00Z",
                "2026-03-10T11:25:00+1:00",
                "yesterday",
                "",
            ],
        );
        check(
            is_email,
            &["a@b", "jane.doe+x@example.com", "\"a b\"@c.d", "a@[127.0.0.1]"],
            &["Jane Doe", "a@", "@b", "a..b@c", "a@b..c", "\"a\"b\"@c", "a b@c", ""],
        );
    }
}
