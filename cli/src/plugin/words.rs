//! Taking a command line apart whose flags are known by name only.

use std::ffi::{OsStr, OsString};

/// A flag of another program.
pub(super) struct Flag<T> {
    /// With its dashes, the long form first.
    pub(super) names: &'static [&'static str],
    /// Whether a value belongs to it.
    pub(super) value: bool,
    /// What it means.
    pub(super) means: T,
}

/// A word as a flag, with its value if one belongs to it.
pub(super) struct Taken<'a, T> {
    pub(super) flag: &'a Flag<T>,
    /// What was written, without a value.
    pub(super) name: &'static str,
    pub(super) value: Option<OsString>,
}

/// Words still to be read.
pub(super) struct Words(std::iter::Peekable<std::vec::IntoIter<OsString>>);

impl Words {
    /// Takes the words after the program's name.
    pub(super) fn after_program(words: Vec<OsString>) -> Self {
        let mut words = words.into_iter();
        words.next();
        Self(words.collect::<Vec<_>>().into_iter().peekable())
    }

    /// Returns the next word as it is.
    pub(super) fn next(&mut self) -> Option<OsString> {
        self.0.next()
    }

    /// Returns what comes next without taking it.
    pub(super) fn peek(&mut self) -> Option<&OsStr> {
        self.0.peek().map(OsString::as_os_str)
    }

    /// Returns all that is left.
    pub(super) fn rest(self) -> Vec<OsString> {
        self.0.collect()
    }

    /// Takes the next word if it is one of these flags: `--name value`, `--name=value`, `-n value`,
    /// `-nvalue`. Values with bytes that are no text come as separate words only.
    pub(super) fn take<'a, T>(&mut self, flags: &'a [Flag<T>]) -> Option<Taken<'a, T>> {
        let word = self.peek()?.to_str()?.to_owned();
        for flag in flags {
            for &name in flag.names {
                let Some(rest) = word.strip_prefix(name) else { continue };
                let attached = match rest {
                    "" => None,
                    rest if rest.starts_with('=') => rest.get(1..),
                    rest if flag.value && !name.starts_with("--") => Some(rest),
                    _ => continue,
                };
                self.next();
                let value = match (attached, flag.value) {
                    (Some(value), _) => Some(value.into()),
                    (None, true) => self.next(),
                    (None, false) => None,
                };
                return Some(Taken { flag, name, value });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_with_their_values_in_every_spelling() {
        let flags = [
            Flag { names: &["--host", "-H"], value: true, means: 'h' },
            Flag { names: &["--debug", "-D"], value: false, means: 'd' },
        ];
        for line in ["--host x rest", "--host=x rest", "-H x rest", "-Hx rest", "-H=x rest"] {
            let mut words: Vec<OsString> = vec!["program".into()];
            words.extend(line.split(' ').map(OsString::from));
            let mut words = Words::after_program(words);
            let taken = words.take(&flags).unwrap();
            assert_eq!((taken.flag.means, taken.value), ('h', Some("x".into())), "{line}");
            assert!(words.take(&flags).is_none(), "{line}");
            assert_eq!(words.rest(), ["rest"], "{line}");
        }
        let mut words = Words::after_program(["p", "-D", "--hostile"].map(OsString::from).into());
        assert_eq!(words.take(&flags).map(|taken| taken.flag.means), Some('d'));
        assert!(words.take(&flags).is_none());
    }
}
