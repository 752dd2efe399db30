//! Comparing preimages part by part, for people.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::key::Value;

/// One part that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Names from the root to the part, such as `["env", "VERSION"]` or
    /// `["input", "source 0", "content", "src/main.rs"]`.
    pub path: Vec<String>,
    /// What happened to it.
    pub change: Change,
}

/// What happened to a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added(String),
    /// It is no more.
    Removed(String),
    /// It is different.
    Changed {
        /// As it was.
        old: String,
        /// As it is.
        new: String,
    },
}

/// Parts that explain little by themselves come last: an input differs because something before
/// it did.
fn weight(path: &[String]) -> u8 {
    match path.first().map(String::as_str) {
        Some("input") if path.len() > 2 => 0,
        Some("input") => 2,
        _ => 1,
    }
}

/// Lists the differences of two values, the most telling first.
pub(super) fn diff(old: &Value, new: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), old, new, &mut found);
    found.sort_by_key(|difference| weight(&difference.path));
    found
}

fn walk(path: &mut Vec<String>, old: &Value, new: &Value, found: &mut Vec<Difference>) {
    match (old, new) {
        (Value::Tree(a), Value::Tree(b)) => {
            let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                path.push(name.to_string());
                let absent = &Value::Absent;
                walk(path, a.get(name).unwrap_or(absent), b.get(name).unwrap_or(absent), found);
                path.pop();
            }
        }
        (Value::Digest(a, Some(old)), Value::Digest(b, Some(new))) if a != b => {
            let before = found.len();
            walk(path, old, new, found);
            if found.len() == before {
                found.push(changed(path, &Value::Digest(*a, None), &Value::Digest(*b, None)));
            }
        }
        (Value::Digest(a, _), Value::Digest(b, _)) if a == b => {}
        (Value::List(a), Value::List(b)) if a.len() == b.len() && nested(a) && nested(b) => {
            for (n, (old, new)) in a.iter().zip(b).enumerate() {
                path.push(n.to_string());
                walk(path, old, new, found);
                path.pop();
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(changed(path, old, new)),
    }
}

/// Lists of plain texts (an argv) read better as a whole.
fn nested(values: &[Value]) -> bool {
    values.iter().any(|value| matches!(value, Value::Tree(_) | Value::List(_) | Value::Digest(..)))
}

fn changed(path: &[String], old: &Value, new: &Value) -> Difference {
    let change = match (old, new) {
        (Value::Absent, new) => Change::Added(show(new)),
        (old, Value::Absent) => Change::Removed(show(old)),
        (old, new) => Change::Changed { old: show(old), new: show(new) },
    };
    Difference { path: path.to_vec(), change }
}

/// Short text for people: long ones are cut.
fn show(value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = match value {
        Value::Absent => String::new(),
        Value::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(values) => values.iter().map(show).collect::<Vec<_>>().join(" "),
        Value::Tree(parts) => {
            let parts: Vec<_> = parts.iter().map(|(k, v)| format!("{k}={}", show(v))).collect();
            parts.join(" ")
        }
        Value::Digest(digest, _) => super::hex(&digest[..6]),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let name = match path.as_slice() {
            ["env", name] => format!("variable `{name}`"),
            ["input", role, "content", file @ ..] if !file.is_empty() => {
                let _ = role;
                format!("`{}`", file.join("/"))
            }
            ["input", "base", ..] => "the step before".to_owned(),
            ["input", role, ..] => (*role).to_owned(),
            rest => format!("`{}`", rest.join(" ")),
        };
        match &self.change {
            Change::Added(_) => write!(f, "{name} was added"),
            Change::Removed(_) => write!(f, "{name} was removed"),
            Change::Changed { .. } => write!(f, "{name} changed"),
        }
    }
}
