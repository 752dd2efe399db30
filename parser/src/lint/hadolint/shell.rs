//! RUN split into commands and words: enough to see which programs are called with which words.
//!
//! This is no shell: substitutions are words, and keywords are passed over.

use crate::ast::{CommandLine, Run, Script};

/// A program that is called, and its arguments without quotes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Command {
    pub(super) words: Vec<String>,
    /// Its output goes to the next one.
    pub(super) piped: bool,
}

impl Command {
    /// The program, without its directory.
    pub(super) fn name(&self) -> &str {
        let first = self.words.first().map_or("", String::as_str);
        first.rsplit('/').next().unwrap_or(first)
    }

    pub(super) fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    /// Whether it is `name` with the subcommand `verb`, which is its first plain argument.
    pub(super) fn does(&self, name: &str, verb: &str) -> bool {
        self.is(name) && self.plain(&[]).next() == Some(verb)
    }

    /// Arguments, flags included.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(String::as_str)
    }

    /// Arguments that are no flags, nor values of `valued` flags or redirections.
    pub(super) fn plain<'a>(&'a self, valued: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let mut skip = false;
        self.arguments().filter(move |word| {
            let is_value = std::mem::replace(&mut skip, valued.contains(word));
            !is_value && !word.starts_with(['-', '<', '>']) && !word.starts_with("2>")
        })
    }

    /// Plain arguments after the first, which is the subcommand.
    pub(super) fn packages<'a>(&'a self, valued: &'a [&str]) -> impl Iterator<Item = &'a str> {
        // What a variable holds is not known.
        self.plain(valued).skip(1).filter(|word| !word.starts_with('$'))
    }

    /// Whether it has one of these flags; `-y` is also found in `-qqy`, `--yes` in `--yes=true`.
    pub(super) fn has(&self, flags: &[&str]) -> bool {
        self.arguments().any(|word| {
            flags.iter().any(|flag| match flag.strip_prefix("--") {
                Some(_) => {
                    word == *flag || word.strip_prefix(flag).is_some_and(|r| r.starts_with('='))
                }
                None => {
                    let letter = flag.trim_start_matches('-');
                    word == *flag
                        || letter.len() == 1
                            && word.starts_with('-')
                            && !word.starts_with("--")
                            && word.contains(letter)
                }
            })
        })
    }
}

/// The commands of a RUN, in order.
pub(super) fn commands(run: &Run) -> Vec<Command> {
    match (run.script(), &run.command) {
        (Script::Exec(words), _) => vec![Command { words, piped: false }],
        (Script::Shell(text), _) | (Script::File { content: text, .. }, CommandLine::Shell(_)) => {
            split(&text)
        }
        (Script::File { .. }, CommandLine::Exec(_)) => Vec::new(),
    }
}

/// Words of the shell's grammar that a command may follow.
const KEYWORDS: [&str; 13] =
    ["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "time"];

/// Splits text at operators and unquoted blanks.
fn split(text: &str) -> Vec<Command> {
    let mut splitter = Splitter::default();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (splitter.quote, c) {
            (Some(quote), c) if c == quote => splitter.quote = None,
            (Some('"') | None, '\\') => match chars.next() {
                Some('\n') | None => {}
                Some(next) => splitter.push(next),
            },
            (Some(_), c) => splitter.push(c),
            (None, '\'' | '"') => {
                splitter.quote = Some(c);
                splitter.word.get_or_insert_default();
            }
            (None, '#') if splitter.word.is_none() => {
                while chars.peek().is_some_and(|next| *next != '\n') {
                    chars.next();
                }
            }
            // `2>&1` and `&>file` are no ends of commands.
            (None, '&') if splitter.redirects() || chars.peek() == Some(&'>') => splitter.push(c),
            (None, '|') => {
                let is_or = chars.next_if_eq(&'|').is_some();
                chars.next_if_eq(&'&');
                splitter.end_command(!is_or);
            }
            (None, '\n' | ';' | '&' | '(' | ')' | '`') => splitter.end_command(false),
            (None, c) if c.is_whitespace() => splitter.end_word(),
            (None, c) => splitter.push(c),
        }
    }
    splitter.end_command(false);
    splitter.commands
}

#[derive(Default)]
struct Splitter {
    commands: Vec<Command>,
    command: Command,
    word: Option<String>,
    quote: Option<char>,
}

impl Splitter {
    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn redirects(&self) -> bool {
        self.word.as_deref().is_some_and(|word| word.ends_with('>'))
    }

    fn end_word(&mut self) {
        let Some(word) = self.word.take() else { return };
        let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        });
        if self.command.words.is_empty() && (is_assignment || KEYWORDS.contains(&word.as_str())) {
            return;
        }
        self.command.words.push(word);
    }

    fn end_command(&mut self, piped: bool) {
        self.end_word();
        let command = std::mem::take(&mut self.command);
        if !command.words.is_empty() {
            self.commands.push(Command { piped, ..command });
        } else if piped && let Some(last) = self.commands.last_mut() {
            // `$(a) | b`
            last.piped = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_at_operators() {
        let text = "A=1 apt-get -qqy install \"a b\" 2>&1 && if cd /x; then wget 'u;v' | tar x; fi # y\n(ls)";
        let names: Vec<String> =
            split(text).iter().map(|command| command.name().to_owned()).collect();
        assert_eq!(names, ["apt-get", "cd", "wget", "tar", "ls"]);
        let commands = split(text);
        assert_eq!(commands[0].packages(&[]).collect::<Vec<_>>(), ["a b"]);
        assert!(commands[0].has(&["-y"]) && !commands[0].has(&["-x"]));
        assert!(commands[2].piped && !commands[3].piped);
        assert!(split("\\").is_empty() && split("'").iter().all(|c| c.words.len() == 1));
    }
}
