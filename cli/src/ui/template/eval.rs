//! A template's nodes filled from data.

use serde_json::Value;

use super::TemplateError;
use super::parse::{Base, Call, Node, Operand, Pipeline};
use super::value::{display, is_true, kind};

/// What `.`, `$` and the variables stand for at one place.
struct Scope<'a> {
    root: &'a Value,
    dot: Value,
    variables: Vec<(String, Value)>,
}

/// Prints `nodes` from `data`.
pub(super) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let mut scope = Scope { root: data, dot: data.clone(), variables: Vec::new() };
    let mut out = String::new();
    block(nodes, &mut scope, &mut out)?;
    Ok(out)
}

/// Prints a block; what it declares is forgotten at its end.
fn block(nodes: &[Node], scope: &mut Scope<'_>, out: &mut String) -> Result<(), TemplateError> {
    let known = scope.variables.len();
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(pipeline) => out.push_str(&display(&evaluate(pipeline, scope)?)),
            Node::Set { name, pipeline } => {
                let value = evaluate(pipeline, scope)?;
                scope.variables.push((name.clone(), value));
            }
            Node::If { condition, then, otherwise } => {
                let holds = is_true(&evaluate(condition, scope)?);
                block(if holds { then } else { otherwise }, scope, out)?;
            }
            Node::With { pipeline, then, otherwise } => {
                let value = evaluate(pipeline, scope)?;
                if is_true(&value) {
                    with_dot(value, then, scope, out)?;
                } else {
                    block(otherwise, scope, out)?;
                }
            }
            Node::Range { key, value, pipeline, body, otherwise } => {
                let items = items(evaluate(pipeline, scope)?)?;
                if items.is_empty() {
                    block(otherwise, scope, out)?;
                }
                for (item_key, item) in items {
                    let known = scope.variables.len();
                    if let Some(name) = key {
                        scope.variables.push((name.clone(), item_key));
                    }
                    if let Some(name) = value {
                        scope.variables.push((name.clone(), item.clone()));
                    }
                    with_dot(item, body, scope, out)?;
                    scope.variables.truncate(known);
                }
            }
        }
    }
    scope.variables.truncate(known);
    Ok(())
}

fn with_dot(
    dot: Value,
    nodes: &[Node],
    scope: &mut Scope<'_>,
    out: &mut String,
) -> Result<(), TemplateError> {
    let outer = std::mem::replace(&mut scope.dot, dot);
    let outcome = block(nodes, scope, out);
    scope.dot = outer;
    outcome
}

/// What `range` goes over, with the keys or positions.
fn items(value: Value) -> Result<Vec<(Value, Value)>, TemplateError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => {
            Ok(items.into_iter().enumerate().map(|(at, item)| (at.into(), item)).collect())
        }
        Value::Object(map) => Ok(map.into_iter().map(|(key, item)| (key.into(), item)).collect()),
        other => Err(TemplateError::Call(format!("range can't iterate over {}", kind(&other)))),
    }
}

fn evaluate(pipeline: &Pipeline, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    let mut carried: Option<Value> = None;
    for call in pipeline {
        carried = Some(match call {
            Call::Value(_) if carried.is_some() => {
                return Err(TemplateError::Call("can't pipe into a value".to_owned()));
            }
            Call::Value(operand) => resolve(operand, scope)?,
            Call::Function(function, arguments) => {
                let mut values = Vec::with_capacity(arguments.len() + 1);
                for argument in arguments {
                    values.push(resolve(argument, scope)?);
                }
                values.extend(carried.take());
                function.call(values)?
            }
        });
    }
    Ok(carried.unwrap_or(Value::Null))
}

fn resolve(operand: &Operand, scope: &Scope<'_>) -> Result<Value, TemplateError> {
    let base = match &operand.base {
        Base::Dot => &scope.dot,
        Base::Variable(name) if name.is_empty() => scope.root,
        Base::Variable(name) => {
            let found = scope.variables.iter().rev().find(|(known, _)| known == name);
            &found.ok_or_else(|| TemplateError::Call(format!("undefined variable ${name}")))?.1
        }
        Base::Literal(value) => value,
        Base::Group(pipeline) => return fields(&evaluate(pipeline, scope)?, &operand.fields),
    };
    fields(base, &operand.fields)
}

fn fields(value: &Value, names: &[String]) -> Result<Value, TemplateError> {
    let mut value = value;
    for name in names {
        value = match value {
            Value::Object(map) => map.get(name).ok_or_else(|| TemplateError::NoField {
                field: name.clone(),
                within: map.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            })?,
            other => {
                let within = kind(other).to_owned();
                return Err(TemplateError::NoField { field: name.clone(), within });
            }
        };
    }
    Ok(value.clone())
}
