//! Comparing preimages part by part, for people.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::part::{Kind, List, Part, Tree};

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
pub(super) fn diff(old: Part<'_>, new: Part<'_>) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), old, new, &mut found);
    found.sort_by_key(|difference| weight(&difference.path));
    found
}

fn walk(path: &mut Vec<String>, old: Part<'_>, new: Part<'_>, found: &mut Vec<Difference>) {
    if old == new {
        return;
    }
    match (old.kind(), new.kind()) {
        (Kind::Tree(a), Kind::Tree(b)) => walk_trees(path, a, b, found),
        (Kind::Digest(a, Some(old)), Kind::Digest(b, Some(new))) if a != b => {
            let before = found.len();
            walk(path, old, new, found);
            // What a step hands on may be what it was, however it came about.
            let same = is_input(path) && old == new && !old.is_empty_tree();
            if found.len() == before && !same {
                found.push(difference(path, Some(digest(a)), Some(digest(b))));
            }
        }
        (Kind::Digest(a, _), Kind::Digest(b, _)) if a == b => {}
        (Kind::List(a), Kind::List(b)) if *path == ["mounts"] && nested(a) | nested(b) => {
            let (a, b) = (by_target(a), by_target(b));
            let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                let part = |of: &BTreeMap<String, _>| of.get(name).copied().unwrap_or(Part::ABSENT);
                walk_named(path, name, part(&a), part(&b), found);
            }
        }
        (Kind::List(a), Kind::List(b)) if a.count() == b.count() && nested(a) && nested(b) => {
            for (n, (old, new)) in a.zip(b).enumerate() {
                walk_named(path, &n.to_string(), old, new, found);
            }
        }
        _ => found.push(changed(path, old, new)),
    }
}

/// Goes through two trees at once, as both are sorted.
fn walk_trees<'a>(
    path: &mut Vec<String>,
    mut old: Tree<'a>,
    mut new: Tree<'a>,
    found: &mut Vec<Difference>,
) {
    let absent = Part::ABSENT;
    loop {
        match (old.first(), new) {
            (None, rest) => {
                rest.for_each(|b| walk_named(path, b.name, absent, b.part, found));
                return;
            }
            (Some(a), rest) if let Some(after) = rest.after(&a) => (old, new) = (a.rest, after),
            (Some(a), rest) => match rest.first() {
                Some(b) if b.name < a.name => {
                    walk_named(path, b.name, absent, b.part, found);
                    new = b.rest;
                }
                Some(b) if b.name == a.name => {
                    walk_named(path, a.name, a.part, b.part, found);
                    (old, new) = (a.rest, b.rest);
                }
                _ => {
                    walk_named(path, a.name, a.part, absent, found);
                    old = a.rest;
                }
            },
        }
    }
}

fn walk_named(
    path: &mut Vec<String>,
    name: &str,
    old: Part<'_>,
    new: Part<'_>,
    found: &mut Vec<Difference>,
) {
    path.push(name.to_owned());
    walk(path, old, new, found);
    path.pop();
}

fn is_input(path: &[String]) -> bool {
    matches!(path, [input, _] if input == "input")
}

/// Mounts are known by where they are.
fn by_target(mounts: List<'_>) -> BTreeMap<String, Part<'_>> {
    let name = |number: usize, mount: Part<'_>| {
        let Kind::Tree(parts) = mount.kind() else { return number.to_string() };
        let target = ["target", "id"].into_iter().find_map(|name| match parts.get(name)?.kind() {
            Kind::Text(text) => Some(text.to_owned()),
            _ => None,
        });
        target.unwrap_or_else(|| number.to_string())
    };
    mounts.enumerate().map(|(n, mount)| (name(n, mount), mount)).collect()
}

/// Lists of plain texts (an argv) read better as a whole.
fn nested(mut values: List<'_>) -> bool {
    values.any(|value| matches!(value.kind(), Kind::Tree(_) | Kind::List(_) | Kind::Digest(..)))
}

fn changed(path: &[String], old: Part<'_>, new: Part<'_>) -> Difference {
    let text = |part: Part<'_>| match part.kind() {
        Kind::Absent => None,
        _ => Some(show(part)),
    };
    // An owner that isn't noted is root.
    let is_owner = matches!(path, [.., content, _, part]
        if content == "content" && matches!(part.as_str(), "uid" | "gid"));
    let root = || is_owner.then(|| "0".to_owned());
    difference(path, text(old).or_else(root), text(new).or_else(root))
}

fn difference(path: &[String], old: Option<String>, new: Option<String>) -> Difference {
    let change = match (old, new) {
        (Some(old), Some(new)) => Change::Changed { old, new },
        (Some(old), None) => Change::Removed(old),
        (None, new) => Change::Added(new.unwrap_or_default()),
    };
    Difference { path: path.to_vec(), change, step: None }
}

fn digest(digest: &[u8; 32]) -> String {
    super::hex(&digest[..6])
}

/// Short text for people: long ones are cut.
fn show(part: Part<'_>) -> String {
    const LONGEST: usize = 200;
    let text = match part.kind() {
        Kind::Absent => String::new(),
        Kind::Flag(flag) => if flag { "yes" } else { "no" }.to_owned(),
        Kind::Number(number) => number.to_string(),
        Kind::Text(text) => text.to_owned(),
        Kind::List(values) => values.map(show).collect::<Vec<_>>().join(" "),
        Kind::Tree(parts) => {
            let parts: Vec<_> =
                parts.map(|named| format!("{}={}", named.name, show(named.part))).collect();
            parts.join(" ")
        }
        Kind::Digest(bytes, _) => digest(bytes),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
