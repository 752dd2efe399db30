//! `$v` and `${v…}`: names, modifiers, and what they do (B3-01..11).

use super::Reason;
use super::lexer::State;
use super::pattern::Pattern;

/// `${a:-${b:-…}}` deeper than this is refused, so that a hostile file cannot end the stack.
const MAX_DEPTH: usize = 100;

impl<'a> State<'a> {
    /// Reads a substitution from its `$` on.
    pub(super) fn dollar(&mut self) -> Result<String, Reason> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.lookup(name) {
                None if self.lexer.keep_unset => format!("${name}"),
                value => value.unwrap_or("").to_owned(),
            });
        }
        self.next();
        match self.peek() {
            None => return Err(missing_brace()),
            Some('{' | '}' | ':') => {
                let hint = format!("Write `${{NAME}}`, or `{}$` for a dollar", self.lexer.escape);
                return Err(Reason::new("syntax error: bad substitution", hint));
            }
            Some(_) => {}
        }
        if self.depth == MAX_DEPTH {
            let message = format!("substitutions are nested deeper than {MAX_DEPTH}");
            return Err(Reason::new(message, "Give the inner ones names with ARG or ENV"));
        }
        self.depth += 1;
        let result = self.braced();
        self.depth -= 1;
        result
    }

    /// Reads behind `${`.
    fn braced(&mut self) -> Result<String, Reason> {
        let name = self.name();
        let start = self.rest;
        let Some(mut modifier) = self.next() else { return Err(missing_brace()) };
        match modifier {
            '}' => {
                return Ok(match self.lookup(name) {
                    None if self.lexer.keep_unset => format!("${{{name}}}"),
                    value => value.unwrap_or("").to_owned(),
                });
            }
            '/' => return self.replacement(name),
            _ => {}
        }
        let null_is_unset = modifier == ':';
        if null_is_unset {
            modifier = self.next().ok_or_else(missing_brace)?;
        }
        let written = &start[..start.len() - self.rest.len()];
        let unsupported = || {
            let message = format!("unsupported modifier ({written}) in substitution");
            Err(Reason::new(message, "Modifiers are :- - :+ + :? ? # ## % %% / and //"))
        };
        if !null_is_unset && !matches!(modifier, '+' | '-' | '?' | '#' | '%') {
            return unsupported();
        }
        let word = self.operand('}', matches!(modifier, '#' | '%'), missing_brace)?;
        let found = self.lookup(name);
        if found.is_none() && self.lexer.keep_unset {
            return Ok(format!("${{{name}{written}{word}}}"));
        }
        let usable = found.filter(|value| !(null_is_unset && value.is_empty()));
        match modifier {
            '-' => Ok(usable.map_or(word, str::to_owned)),
            '+' => Ok(if usable.is_some() { word } else { String::new() }),
            '?' => match (usable, found) {
                (Some(value), _) => Ok(value.to_owned()),
                _ if !word.is_empty() => Err(demanded(name, &word)),
                (None, None) => Err(demanded(name, "is not allowed to be unset")),
                (None, Some(_)) => Err(demanded(name, "is not allowed to be empty")),
            },
            '#' | '%' if !null_is_unset => {
                let greedy = word.starts_with(modifier);
                let pattern = if greedy { &word[1..] } else { &word };
                let glob = compile(pattern)?;
                let value = found.unwrap_or("");
                Ok(if modifier == '#' {
                    glob.trim_prefix(value, greedy)
                } else {
                    glob.trim_suffix(value, greedy)
                })
            }
            _ => unsupported(),
        }
    }

    /// Reads behind `${name/`.
    fn replacement(&mut self, name: &'a str) -> Result<String, Reason> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.operand('/', true, || {
            let hint = format!("Write `${{{name}/pattern/replacement}}`");
            Reason::new("syntax error: missing '/' in ${}", hint)
        })?;
        let with = self.operand('}', true, missing_brace)?;
        let found = self.lookup(name);
        if found.is_none() && self.lexer.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{with}}}"));
        }
        Ok(compile(&pattern)?.replace(found.unwrap_or(""), &with, all))
    }

    /// Reads a nested word up to `stop`; at the end of everything the error is `at_end`.
    fn operand(
        &mut self,
        stop: char,
        raw_escapes: bool,
        at_end: impl Fn() -> Reason,
    ) -> Result<String, Reason> {
        match self.until(Some(stop), raw_escapes) {
            Ok(word) => Ok(word),
            Err(_) if self.rest.is_empty() => Err(at_end()),
            Err(error) => Err(error),
        }
    }

    /// A name, digits, or one special character such as `@`; may be empty.
    fn name(&mut self) -> &'a str {
        let text = self.rest;
        let end_of = |wanted: fn(char) -> bool| text.find(|c| !wanted(c)).unwrap_or(text.len());
        let end = match self.peek() {
            Some(c) if c.is_numeric() => end_of(char::is_numeric),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => end_of(|c| c.is_alphabetic() || c.is_numeric() || c == '_'),
        };
        self.rest = &text[end..];
        &text[..end]
    }

    fn lookup(&mut self, name: &str) -> Option<&'a str> {
        let value = self.env.get(name);
        let seen = if value.is_some() { &mut self.used } else { &mut self.unset };
        if !seen.contains(name) {
            seen.insert(name.to_owned());
        }
        value
    }
}

fn compile(pattern: &str) -> Result<Pattern, Reason> {
    Pattern::new(pattern).map_err(|reason| {
        let message = format!("invalid pattern ({pattern}) in substitution: {reason}");
        Reason::new(message, "Escapes of patterns are `\\*`, `\\?` and `\\\\`")
    })
}

/// `${v?m}` of a variable that is not there.
fn demanded(name: &str, message: &str) -> Reason {
    let hint =
        format!("Give `{name}` a value: by ARG or ENV above, or with `--build-arg {name}=…`");
    Reason::new(format!("{name}: {message}"), hint)
}

fn missing_brace() -> Reason {
    Reason::new("syntax error: missing '}'", "Close the substitution with `}`")
}
