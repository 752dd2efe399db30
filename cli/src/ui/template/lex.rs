//! Template text cut into literal text and the tokens of its actions.

use super::TemplateError;

/// A piece of a template.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that is printed as it stands.
    Text(String),
    /// The tokens between `{{` and `}}`.
    Action(Vec<Token>),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A function or keyword.
    Word(String),
    /// `.` alone.
    Dot,
    /// `.name`, which directly follows what it is a field of if `glued`.
    Field { name: String, glued: bool },
    /// `$` or `$name`.
    Variable(String),
    /// A quoted text, unquoted.
    Text(String),
    /// An integer.
    Number(i64),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Cuts a template into pieces; trimming and comments have been dealt with.
pub(super) fn lex(template: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = template;
    let mut trim_next = false;
    while !rest.is_empty() {
        let (text, action) = match rest.split_once("{{") {
            Some((text, after)) => (text, Some(after)),
            None => (rest, None),
        };
        let text = if trim_next { text.trim_start() } else { text };
        let trim_this = action.is_some_and(|after| after.starts_with("- "));
        let text = if trim_this { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        let Some(after) = action else { break };
        let after = if trim_this { &after[2..] } else { after };
        let body_length = action_length(after)?;
        let (body, behind) = (&after[..body_length], &after[body_length + 2..]);
        trim_next = body.ends_with(" -");
        let body = if trim_next { &body[..body.len() - 2] } else { body };
        rest = behind;
        let body = body.trim();
        if !(body.starts_with("/*") && body.ends_with("*/")) {
            pieces.push(Piece::Action(tokens(body)?));
        }
    }
    Ok(pieces)
}

/// Finds the `}}` that ends an action: not one that stands in quotes or in a comment.
fn action_length(text: &str) -> Result<usize, TemplateError> {
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let skipped = text.len() - comment.len();
        let end = comment.find("*/").ok_or_else(|| syntax("unclosed comment"))?;
        let end = skipped + end + 2;
        let close = text[end..].find("}}").ok_or_else(|| syntax("unclosed action"))?;
        return Ok(end + close);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if text[at..].starts_with("}}") => return Ok(at),
            None => {}
        }
    }
    Err(syntax("unclosed action"))
}

fn tokens(body: &str) -> Result<Vec<Token>, TemplateError> {
    let mut tokens = Vec::new();
    let mut rest = body;
    let mut glued = false;
    while let Some(c) = rest.chars().next() {
        let word_at = |from: usize| {
            let tail = &rest[from..];
            from + tail.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tail.len())
        };
        let (token, length) = match c {
            c if c.is_whitespace() => {
                glued = false;
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '|' => (Token::Pipe, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '=' => (Token::Assign, 1),
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '.' => match word_at(1) {
                1 => (Token::Dot, 1),
                end => (Token::Field { name: rest[1..end].to_owned(), glued }, end),
            },
            '$' => {
                let end = word_at(1);
                (Token::Variable(rest[1..end].to_owned()), end)
            }
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| syntax("unterminated raw quote"))?;
                (Token::Text(rest[1..=end].to_owned()), end + 2)
            }
            '"' => quoted(rest)?,
            '-' | '0'..='9' => {
                let end = word_at(1);
                let number = rest[..end]
                    .parse()
                    .map_err(|_| syntax(format_args!("bad number syntax: {:?}", &rest[..end])))?;
                (Token::Number(number), end)
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = word_at(0);
                (Token::Word(rest[..end].to_owned()), end)
            }
            c => return Err(syntax(format_args!("unexpected {c:?} in an action"))),
        };
        tokens.push(token);
        rest = &rest[length..];
        glued = true;
    }
    Ok(tokens)
}

/// Reads a text in double quotes; returns it and how much of `rest` it took.
fn quoted(rest: &str) -> Result<(Token, usize), TemplateError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Text(text), at + 1)),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(c @ ('"' | '\\' | '\'')) => text.push(c),
                _ => return Err(syntax("unknown escape in a quoted text")),
            },
            c => text.push(c),
        }
    }
    Err(syntax("unterminated quoted string"))
}

pub(super) fn syntax(text: impl std::fmt::Display) -> TemplateError {
    TemplateError::Syntax(text.to_string())
}
