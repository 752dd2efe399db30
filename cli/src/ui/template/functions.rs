//! The functions a template may call: docker's, and those of Go's `text/template` that fit data.

use std::cmp::Ordering;

use serde_json::Value;

use super::TemplateError;
use super::value::{display, is_true, kind};

/// A function, known by name when the template is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Json,
    Join,
    Split,
    Lower,
    Upper,
    Title,
    Pad,
    Truncate,
    Len,
    Index,
    Print,
    Println,
    Printf,
    And,
    Or,
    Not,
    Compare(Comparison),
}

/// What a comparison asks of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Function {
    /// Finds a function.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "json" => Self::Json,
            "join" => Self::Join,
            "split" => Self::Split,
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "title" => Self::Title,
            "pad" => Self::Pad,
            "truncate" => Self::Truncate,
            "len" => Self::Len,
            "index" => Self::Index,
            "print" => Self::Print,
            "println" => Self::Println,
            "printf" => Self::Printf,
            "and" => Self::And,
            "or" => Self::Or,
            "not" => Self::Not,
            "eq" => Self::Compare(Comparison::Equal),
            "ne" => Self::Compare(Comparison::Unequal),
            "lt" => Self::Compare(Comparison::Less),
            "le" => Self::Compare(Comparison::LessOrEqual),
            "gt" => Self::Compare(Comparison::Greater),
            "ge" => Self::Compare(Comparison::GreaterOrEqual),
            _ => return None,
        })
    }

    /// Calls it. What was piped into it comes last.
    pub(super) fn call(self, arguments: Vec<Value>) -> Result<Value, TemplateError> {
        match (self, arguments.as_slice()) {
            (Self::Json, [value]) => Ok(value.to_string().into()),
            (Self::Json, _) => Err(takes("json", "one value")),
            (Self::Join, [Value::Array(items), Value::String(separator)]) => {
                Ok(items.iter().map(display).collect::<Vec<_>>().join(separator).into())
            }
            (Self::Join, [Value::Null, Value::String(_)]) => Ok("".into()),
            (Self::Join, _) => Err(takes("join", "a list and a separator, in this order")),
            (Self::Split, [Value::String(text), Value::String(by)]) => {
                Ok(text.split(by.as_str()).map(Value::from).collect())
            }
            (Self::Split, _) => Err(takes("split", "a text and a separator, in this order")),
            (Self::Lower, [Value::String(text)]) => Ok(text.to_lowercase().into()),
            (Self::Lower, _) => Err(takes("lower", "a text")),
            (Self::Upper, [Value::String(text)]) => Ok(text.to_uppercase().into()),
            (Self::Upper, _) => Err(takes("upper", "a text")),
            (Self::Title, [Value::String(text)]) => Ok(title(text).into()),
            (Self::Title, _) => Err(takes("title", "a text")),
            (Self::Pad, [Value::String(text), Value::Number(left), Value::Number(right)]) => {
                let spaces = |number: &serde_json::Number| width(number.as_u64());
                Ok(format!("{}{text}{}", spaces(left), spaces(right)).into())
            }
            (Self::Pad, _) => Err(takes("pad", "a text and two numbers")),
            (Self::Truncate, [Value::String(text), Value::Number(length)]) => {
                let length = length.as_u64().and_then(|n| usize::try_from(n).ok());
                Ok(text.chars().take(length.unwrap_or(0)).collect::<String>().into())
            }
            (Self::Truncate, _) => Err(takes("truncate", "a text and a length")),
            (Self::Len, [Value::String(text)]) => Ok(text.len().into()),
            (Self::Len, [Value::Array(items)]) => Ok(items.len().into()),
            (Self::Len, [Value::Object(map)]) => Ok(map.len().into()),
            (Self::Len, [Value::Null]) => Ok(0.into()),
            (Self::Len, _) => Err(takes("len", "a text, a list or a map")),
            (Self::Index, [value, keys @ ..]) => index(value, keys),
            (Self::Index, []) => Err(takes("index", "a list or map, and keys")),
            (Self::Print, values) => Ok(print(values).into()),
            (Self::Println, values) => {
                let words: Vec<_> = values.iter().map(display).collect();
                Ok(format!("{}\n", words.join(" ")).into())
            }
            (Self::Printf, [Value::String(format), values @ ..]) => {
                Ok(printf(format, values)?.into())
            }
            (Self::Printf, _) => Err(takes("printf", "a format and its values")),
            (Self::And, [.., last]) => {
                Ok(arguments.iter().find(|value| !is_true(value)).unwrap_or(last).clone())
            }
            (Self::And, []) => Err(takes("and", "at least one value")),
            (Self::Or, [.., last]) => {
                Ok(arguments.iter().find(|value| is_true(value)).unwrap_or(last).clone())
            }
            (Self::Or, []) => Err(takes("or", "at least one value")),
            (Self::Not, [value]) => Ok((!is_true(value)).into()),
            (Self::Not, _) => Err(takes("not", "one value")),
            // With more than two, `eq` asks whether the first equals any other.
            (Self::Compare(Comparison::Equal), [first, others @ ..]) if !others.is_empty() => {
                Ok(others.iter().any(|other| other == first).into())
            }
            (Self::Compare(comparison), [left, right]) => compare(comparison, left, right),
            (Self::Compare(_), _) => {
                Err(TemplateError::Call("a comparison takes two values".to_owned()))
            }
        }
    }
}

fn takes(name: &str, what: &str) -> TemplateError {
    TemplateError::Call(format!("`{name}` takes {what}"))
}

/// Upper case for the first letter of each word.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric();
    }
    out
}

/// So many spaces, within reason.
fn width(count: Option<u64>) -> String {
    " ".repeat(usize::try_from(count.unwrap_or(0).min(1000)).unwrap_or(0))
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, TemplateError> {
    let Some((key, rest)) = keys.split_first() else { return Ok(value.clone()) };
    let found = match (value, key) {
        (Value::Array(items), Value::Number(at)) => {
            let found = at.as_u64().and_then(|at| items.get(usize::try_from(at).ok()?));
            found.ok_or_else(|| TemplateError::Call(format!("index out of range: {at}")))?.clone()
        }
        // Go gives the zero value of the map's type; nearly all maps here hold texts.
        (Value::Object(map), Value::String(key)) => {
            map.get(key).cloned().unwrap_or_else(|| "".into())
        }
        (Value::Null, _) => Value::Null,
        (value, key) => {
            return Err(TemplateError::Call(format!(
                "can't index {} with {}",
                kind(value),
                kind(key)
            )));
        }
    };
    index(&found, rest)
}

/// Go's `Sprint`: spaces between operands of which neither is a text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 && !value.is_string() && !values[at - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&display(value));
    }
    out
}

fn printf(format: &str, values: &[Value]) -> Result<String, TemplateError> {
    let mut values = values.iter();
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let left = chars.next_if_eq(&'-').is_some();
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        let verb = chars.next().ok_or_else(|| takes("printf", "a verb after each `%`"))?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| takes("printf", "a value for each verb"))?;
        let text = match verb {
            's' | 'v' | 'd' | 't' => display(value),
            'q' => Value::String(display(value)).to_string(),
            verb => return Err(TemplateError::Call(format!("printf has no verb `%{verb}`"))),
        };
        let wanted: u64 = digits.parse().unwrap_or(0);
        let padding = width(Some(wanted.saturating_sub(text.chars().count() as u64)));
        out.push_str(&if left { text + &padding } else { padding + &text });
    }
    Ok(out)
}

fn compare(comparison: Comparison, left: &Value, right: &Value) -> Result<Value, TemplateError> {
    if comparison == Comparison::Unequal {
        return Ok((left != right).into());
    }
    let ordering = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    };
    let ordering = ordering.ok_or_else(|| {
        TemplateError::Call(format!("can't compare {} with {}", kind(left), kind(right)))
    })?;
    Ok(match comparison {
        Comparison::Equal | Comparison::Unequal => ordering == Ordering::Equal,
        Comparison::Less => ordering == Ordering::Less,
        Comparison::LessOrEqual => ordering != Ordering::Greater,
        Comparison::Greater => ordering == Ordering::Greater,
        Comparison::GreaterOrEqual => ordering != Ordering::Less,
    }
    .into())
}
