//! Pieces of a template made into a tree of nodes.

use super::TemplateError;
use super::functions::Function;
use super::lex::{Piece, Token, syntax};

/// A part of a template, in the order in which it prints.
#[derive(Debug)]
pub(super) enum Node {
    /// Literal text.
    Text(String),
    /// `{{pipeline}}`
    Print(Pipeline),
    /// `{{$name := pipeline}}`, or `=`.
    Set { name: String, pipeline: Pipeline },
    /// `{{if}} … {{else}} … {{end}}`
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    /// `{{with}} … {{else}} … {{end}}`
    With { pipeline: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    /// `{{range $key, $value := pipeline}} … {{else}} … {{end}}`
    Range {
        key: Option<String>,
        value: Option<String>,
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
}

/// Calls joined by `|`: each gets the one before as its last argument.
pub(super) type Pipeline = Vec<Call>;

/// One part of a pipeline.
#[derive(Debug)]
pub(super) enum Call {
    /// A value as it is.
    Value(Operand),
    /// A function with its arguments.
    Function(Function, Vec<Operand>),
}

/// Something with a value, and the fields that are taken of it.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

/// Where an operand's value comes from.
#[derive(Debug)]
pub(super) enum Base {
    /// `.`
    Dot,
    /// `$` (empty) or `$name`
    Variable(String),
    /// A text, a number, a boolean or nil.
    Literal(serde_json::Value),
    /// `( pipeline )`
    Group(Pipeline),
}

/// How deeply blocks and parentheses may nest: more than anybody writes, less than the stack holds.
const MAX_DEPTH: usize = 100;

/// Makes the tree.
pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, TemplateError> {
    let mut pieces = pieces.into_iter();
    let (nodes, end) = block(&mut pieces, 0)?;
    match end {
        Stop::Text => Ok(nodes),
        Stop::End => Err(syntax("unexpected {{end}}")),
        Stop::Else(_) => Err(syntax("unexpected {{else}}")),
    }
}

/// What a block ended with.
enum Stop {
    Text,
    End,
    Else(Vec<Token>),
}

fn block(
    pieces: &mut impl Iterator<Item = Piece>,
    depth: usize,
) -> Result<(Vec<Node>, Stop), TemplateError> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let keyword = match tokens.first() {
            Some(Token::Word(word)) => word.as_str(),
            _ => "",
        };
        match keyword {
            "end" if tokens.len() == 1 => return Ok((nodes, Stop::End)),
            "else" => return Ok((nodes, Stop::Else(tokens[1..].to_vec()))),
            "if" | "with" | "range" => {
                let keyword = keyword.to_owned();
                nodes.push(branch(&keyword, &tokens[1..], pieces, depth + 1)?);
            }
            "define" | "template" | "block" | "break" | "continue" => {
                return Err(syntax(format_args!("`{keyword}` is not supported")));
            }
            _ => nodes.push(statement(&tokens)?),
        }
    }
    Ok((nodes, Stop::Text))
}

/// Parses what follows `if`, `with` or `range`, up to its `end`.
fn branch(
    keyword: &str,
    head: &[Token],
    pieces: &mut impl Iterator<Item = Piece>,
    depth: usize,
) -> Result<Node, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(syntax("blocks are nested too deeply"));
    }
    // Through `dyn`, so that the types of nested blocks don't nest as well.
    let mut pieces: &mut dyn Iterator<Item = Piece> = pieces;
    let (then, end) = block(&mut pieces, depth)?;
    let otherwise = match end {
        Stop::End => Vec::new(),
        Stop::Text => return Err(syntax(format_args!("`{keyword}` has no `end`"))),
        Stop::Else(tail) => match tail.split_first() {
            None => match block(&mut pieces, depth)? {
                (nodes, Stop::End) => nodes,
                _ => return Err(syntax(format_args!("`{keyword}` has no `end`"))),
            },
            Some((Token::Word(word), head)) if word == "if" || word == "with" => {
                vec![branch(word, head, &mut pieces, depth + 1)?]
            }
            Some(_) => return Err(syntax("unexpected words after `else`")),
        },
    };
    match keyword {
        "if" => Ok(Node::If { condition: pipeline(head, 0)?, then, otherwise }),
        "with" => Ok(Node::With { pipeline: pipeline(head, 0)?, then, otherwise }),
        _ => {
            let (key, value, head) = match head {
                [
                    Token::Variable(key),
                    Token::Comma,
                    Token::Variable(value),
                    Token::Declare,
                    head @ ..,
                ] => (Some(key.clone()), Some(value.clone()), head),
                [Token::Variable(value), Token::Declare, head @ ..] => {
                    (None, Some(value.clone()), head)
                }
                head => (None, None, head),
            };
            Ok(Node::Range { key, value, pipeline: pipeline(head, 0)?, body: then, otherwise })
        }
    }
}

fn statement(tokens: &[Token]) -> Result<Node, TemplateError> {
    match tokens {
        [Token::Variable(name), Token::Declare | Token::Assign, rest @ ..] => {
            Ok(Node::Set { name: name.clone(), pipeline: pipeline(rest, 0)? })
        }
        tokens => Ok(Node::Print(pipeline(tokens, 0)?)),
    }
}

fn pipeline(tokens: &[Token], depth: usize) -> Result<Pipeline, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(syntax("parentheses are nested too deeply"));
    }
    let mut level = 0usize;
    let mut calls = Vec::new();
    for part in tokens.split(|token| {
        match token {
            Token::Open => level += 1,
            Token::Close => level = level.saturating_sub(1),
            _ => {}
        }
        level == 0 && *token == Token::Pipe
    }) {
        calls.push(call(part, depth)?);
    }
    Ok(calls)
}

fn call(tokens: &[Token], depth: usize) -> Result<Call, TemplateError> {
    match tokens {
        [] => Err(syntax("a pipeline has an empty part")),
        [Token::Word(word), rest @ ..] if !matches!(word.as_str(), "true" | "false" | "nil") => {
            let function = Function::named(word)
                .ok_or_else(|| syntax(format_args!("function {word:?} not defined")))?;
            Ok(Call::Function(function, operands(rest, depth)?))
        }
        tokens => {
            let mut operands = operands(tokens, depth)?;
            match operands.pop() {
                Some(operand) if operands.is_empty() => Ok(Call::Value(operand)),
                _ => Err(syntax("a value can't be called with arguments")),
            }
        }
    }
}

fn operands(mut tokens: &[Token], depth: usize) -> Result<Vec<Operand>, TemplateError> {
    let mut operands: Vec<Operand> = Vec::new();
    while let Some((token, mut rest)) = tokens.split_first() {
        let literal =
            |value: serde_json::Value| Operand { base: Base::Literal(value), fields: vec![] };
        let operand = match token {
            Token::Dot => Operand { base: Base::Dot, fields: vec![] },
            Token::Field { name, glued } => match operands.last_mut() {
                Some(last) if *glued => {
                    last.fields.push(name.clone());
                    tokens = rest;
                    continue;
                }
                _ => Operand { base: Base::Dot, fields: vec![name.clone()] },
            },
            Token::Variable(name) => Operand { base: Base::Variable(name.clone()), fields: vec![] },
            Token::Text(text) => literal(text.as_str().into()),
            Token::Number(number) => literal((*number).into()),
            Token::Word(word) => match word.as_str() {
                "true" | "false" => literal((word == "true").into()),
                "nil" => literal(serde_json::Value::Null),
                // A function without arguments may stand where a value does.
                word => Operand {
                    base: Base::Group(vec![call(&[Token::Word(word.to_owned())], depth)?]),
                    fields: vec![],
                },
            },
            Token::Open => {
                let end = closing(rest)?;
                let group = pipeline(&rest[..end], depth + 1)?;
                rest = &rest[end + 1..];
                Operand { base: Base::Group(group), fields: vec![] }
            }
            Token::Close => return Err(syntax("unexpected \")\"")),
            Token::Pipe | Token::Comma | Token::Declare | Token::Assign => {
                return Err(syntax("unexpected punctuation in an action"));
            }
        };
        operands.push(operand);
        tokens = rest;
    }
    Ok(operands)
}

/// Finds the `)` that closes the group that `tokens` begin in.
fn closing(tokens: &[Token]) -> Result<usize, TemplateError> {
    let mut level = 1usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Open => level += 1,
            Token::Close if level == 1 => return Ok(at),
            Token::Close => level -= 1,
            _ => {}
        }
    }
    Err(syntax("unclosed left paren"))
}
