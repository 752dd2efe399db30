//! The reasons why a step runs, in full: for people a line each, for programs an object each.

use gantry_solver::Why;
use gantry_solver::key::{Change, Difference};
use gantry_solver::why::Subject;
use serde_json::{Map, Value, json};

use crate::progress::harmless;

/// How many differences are listed for people.
const SHOWN: usize = 20;

/// A line for each reason.
pub(crate) fn lines(why: &Why) -> Vec<String> {
    let lines = match why {
        Why::New => vec!["It never ran before".to_owned()],
        Why::NoCache => vec!["The cache was not to be used (--no-cache)".to_owned()],
        Why::Gone { pruned: Some(reason) } => {
            vec![format!("Nothing differs, but its earlier result was pruned: {reason}")]
        }
        Why::Gone { pruned: None } => {
            vec!["Nothing differs, but its earlier result is gone".to_owned()]
        }
        Why::Rebased { step } => vec![match step {
            Some(step) => {
                format!("Nothing differs, but a step before it ran again: {}", first_line(step))
            }
            None => "Nothing differs, but what it builds upon came out otherwise".to_owned(),
        }],
        Why::Changed { .. } if why.parent().is_some() => {
            let parent = why.parent().map(first_line).unwrap_or_default();
            vec![format!("Only because a step before it ran: {parent}")]
        }
        Why::Changed { differences, more } => {
            let mut lines: Vec<String> = differences.iter().take(SHOWN).map(line).collect();
            let left = differences.len().saturating_sub(SHOWN) + more;
            if left > 0 {
                lines.push(format!("and {left} more"));
            }
            lines
        }
    };
    lines.iter().map(|line| harmless(line.as_bytes())).collect()
}

fn first_line(title: &str) -> &str {
    title.lines().next().unwrap_or_default()
}

fn line(difference: &Difference) -> String {
    let from = match &difference.step {
        Some(step) if step.starts_with('[') => format!(" of {}", first_line(step)),
        _ => String::new(),
    };
    let values = match &difference.change {
        Change::Added(new) | Change::Removed(new) if new.is_empty() => String::new(),
        Change::Changed { old, new } if old.is_empty() && new.is_empty() => String::new(),
        Change::Added(new) => format!(": {new:?}"),
        Change::Removed(old) => format!(", was {old:?}"),
        Change::Changed { old, new } => format!(": {old:?} is now {new:?}"),
    };
    let verb = match &difference.change {
        Change::Added(_) => "added",
        Change::Removed(_) => "removed",
        Change::Changed { .. } => "changed",
    };
    match difference.subject() {
        Subject::File { path, part: None } => format!("File {path}{from}: {verb}"),
        Subject::File { path, part: Some("content") } => {
            format!("File {path}{from}: content {verb}")
        }
        Subject::File { path, part: Some(part) } => {
            let part = if matches!(part, "uid" | "gid") {
                format!("owner ({part})")
            } else {
                part.to_owned()
            };
            format!("File {path}{from}: {part} {verb}{values}")
        }
        Subject::Env(name) => format!("ENV {name}: {verb}{values}"),
        Subject::Arg(name) => format!("ARG {name}: {verb}{values}"),
        Subject::BaseImage => {
            let title = difference.step.as_deref().map(first_line).unwrap_or_default();
            let name = title.rsplit_once("FROM ").map(|(_, name)| format!(" {name}"));
            let name = name.unwrap_or_default();
            match difference.path.last().map(String::as_str) {
                // What is known of its layers is the config, which lists them.
                None | Some("config") => format!("Base image{name}: {verb}{values}"),
                Some(part) => format!("Base image{name}: {part} {verb}{values}"),
            }
        }
        Subject::Base => format!(
            "A step before it: {}",
            difference.step.as_deref().map_or("changed", first_line)
        ),
        Subject::Input(role) => match &difference.step {
            Some(step) => format!("What it takes from {}: {verb}", first_line(step)),
            None => format!("{role}: {verb}"),
        },
        Subject::Command => format!("Command{values}"),
        Subject::Sources { part: Some("content") } => format!("Heredoc{values}"),
        Subject::Sources { part: Some(part) } => format!("What it copies: {part} {verb}{values}"),
        Subject::Sources { part: None } => format!("What it copies: {verb}"),
        Subject::Mount(target) => {
            let part = difference.path.get(2).map(|part| format!(" {part}")).unwrap_or_default();
            format!("Mount {target}:{part} {verb}{values}")
        }
        Subject::Option(name) => format!("Option {name}: {verb}{values}"),
    }
}

/// The reason as members of an object.
pub(crate) fn document(why: &Why) -> Map<String, Value> {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
    put("summary", why.to_string().into());
    let reason = match why {
        Why::New => "new",
        Why::NoCache => "no-cache",
        Why::Gone { .. } => "gone",
        Why::Rebased { .. } => "parent",
        Why::Changed { .. } if why.parent().is_some() => "parent",
        Why::Changed { .. } => "changed",
    };
    put("reason", reason.into());
    if let Some(parent) = why.parent() {
        put("parent", parent.into());
    }
    match why {
        Why::Gone { pruned: Some(pruned) } => put("pruned", pruned.as_str().into()),
        Why::Changed { differences, more } => {
            put("differences", differences.iter().map(difference).collect());
            if *more > 0 {
                put("more", (*more).into());
            }
        }
        _ => {}
    }
    document
}

fn difference(difference: &Difference) -> Value {
    let subject = difference.subject();
    let (name, part) = match subject {
        Subject::File { path, part } => (path, part),
        Subject::Env(name) | Subject::Arg(name) | Subject::Input(name) | Subject::Option(name) => {
            (name, None)
        }
        Subject::Mount(target) => (target, difference.path.get(2).map(String::as_str)),
        Subject::BaseImage => ("base", difference.path.last().map(String::as_str)),
        Subject::Base => ("base", None),
        Subject::Command => ("command", None),
        Subject::Sources { part } => ("sources", part),
    };
    let mut document = json!({ "kind": subject.kind(), "name": name });
    let mut put = |name: &str, value: &str| document[name] = value.into();
    if let Some(part) = part {
        put("part", part);
    }
    match &difference.change {
        Change::Added(new) => {
            put("change", "added");
            put("new", new);
        }
        Change::Removed(old) => {
            put("change", "removed");
            put("old", old);
        }
        Change::Changed { old, new } => {
            put("change", "changed");
            put("old", old);
            put("new", new);
        }
    }
    if let Some(step) = &difference.step {
        put("step", step);
    }
    document
}
