//! Comparing preimages part by part, for people.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

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
    /// The title of the step behind it, where it belongs to an input that another step makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
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
            // What a step hands on may be what it was, however it came about.
            let same = is_input(path) && old == new && **old != Value::Tree(BTreeMap::new());
            if found.len() == before && !same {
                found.push(changed(path, &Value::Digest(*a, None), &Value::Digest(*b, None)));
            }
        }
        (Value::Digest(a, _), Value::Digest(b, _)) if a == b => {}
        (Value::List(a), Value::List(b)) if *path == ["mounts"] && nested(a) | nested(b) => {
            walk(path, &by_target(a), &by_target(b), found);
        }
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

fn is_input(path: &[String]) -> bool {
    matches!(path, [input, _] if input == "input")
}

/// Mounts are known by where they are.
fn by_target(mounts: &[Value]) -> Value {
    let name = |number: usize, mount: &Value| -> Arc<str> {
        let Value::Tree(parts) = mount else { return number.to_string().into() };
        let target = ["target", "id"].into_iter().find_map(|part| match parts.get(part) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        });
        target.unwrap_or_else(|| number.to_string().into())
    };
    Value::Tree(
        mounts.iter().enumerate().map(|(n, mount)| (name(n, mount), mount.clone())).collect(),
    )
}

/// Lists of plain texts (an argv) read better as a whole.
fn nested(values: &[Value]) -> bool {
    values.iter().any(|value| matches!(value, Value::Tree(_) | Value::List(_) | Value::Digest(..)))
}

fn changed(path: &[String], old: &Value, new: &Value) -> Difference {
    // An owner that isn't noted is root.
    let is_owner = matches!(path, [.., content, _, part]
        if content == "content" && matches!(part.as_str(), "uid" | "gid"));
    let root = Value::Number(0);
    let (old, new) = match (old, new) {
        (Value::Absent, new) if is_owner => (&root, new),
        (old, Value::Absent) if is_owner => (old, &root),
        both => both,
    };
    let change = match (old, new) {
        (Value::Absent, new) => Change::Added(show(new)),
        (old, Value::Absent) => Change::Removed(show(old)),
        (old, new) => Change::Changed { old: show(old), new: show(new) },
    };
    Difference { path: path.to_vec(), change, step: None }
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
