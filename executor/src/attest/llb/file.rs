//! COPY, ADD and WORKDIR as LLB's `FileOp`.

use gantry_solver::Role;
use gantry_solver::op::{CopyItem, CopyOp, MakeDirOp};
use serde_json::{Value, json};

use super::Inputs;
use crate::attest::base64;

/// Actions of one operation build upon each other: the first has the base as its input, and the
/// next one what the one before it made, which is numbered after the inputs.
fn file(actions: Vec<(i64, Value)>, inputs: &Inputs) -> Value {
    let last = actions.len().saturating_sub(1);
    let made = i64::try_from(inputs.steps.len()).unwrap_or(i64::MAX);
    let action = |(number, (secondary, action)): (usize, (i64, Value))| {
        let before = i64::try_from(number).unwrap_or(i64::MAX) - 1;
        json!({
            "input": if number == 0 { inputs.place(Role::Base) } else { made + before },
            "secondaryInput": secondary,
            "output": if number == last { 0 } else { -1 },
            "Action": action,
        })
    };
    let actions: Vec<Value> = actions.into_iter().enumerate().map(action).collect();
    json!({ "Op": { "file": { "actions": actions } }, "constraints": {} })
}

pub(super) fn copy(op: &CopyOp, inputs: &Inputs) -> Value {
    let mut actions = Vec::new();
    for item in &op.items {
        let secondary = item.input().map_or(-1, |input| inputs.place(Role::Source(input)));
        if let CopyItem::Inline(inline) = item {
            let mode = op.chmod.as_deref().and_then(octal).unwrap_or(0o644);
            let made = json!({
                "path": format!("{}{}", op.dest, if op.dest.ends_with('/') { &inline.name } else { "" }),
                "mode": mode,
                "data": base64(inline.content.as_bytes()),
                "timestamp": -1,
            });
            actions.push((secondary, json!({ "mkfile": made })));
            continue;
        }
        let (src, unpack, wildcard) = match item {
            CopyItem::Tree { path, unpack, .. } => (format!("/{}", path.pattern), *unpack, true),
            CopyItem::Download { name, unpack, .. } => (format!("/{name}"), *unpack, false),
            CopyItem::Git { .. } | CopyItem::Inline(_) => ("/".to_owned(), false, false),
        };
        let mut copy = json!({
            "src": src,
            "dest": op.dest,
            "mode": op.chmod.as_deref().and_then(octal).map_or(-1, i64::from),
            "followSymlink": true,
            "dirCopyContents": true,
            "createDestPath": true,
            "timestamp": -1,
        });
        for (name, is) in [
            ("attemptUnpackDockerCompatibility", unpack),
            ("allowWildcard", wildcard),
            ("allowEmptyWildcard", wildcard),
        ] {
            if is {
                copy[name] = json!(true);
            }
        }
        if let Some(owner) = &op.chown {
            copy["owner"] = owner_of(owner);
        }
        if let Some(mode) = op.chmod.as_ref().filter(|mode| octal(mode).is_none()) {
            copy["modeStr"] = json!(mode);
        }
        if !op.exclude.is_empty() {
            copy["exclude_patterns"] = json!(op.exclude);
        }
        actions.push((secondary, json!({ "copy": copy })));
    }
    file(actions, inputs)
}

fn octal(mode: &str) -> Option<u32> {
    u32::from_str_radix(mode, 8).ok()
}

fn owner_of(text: &str) -> Value {
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let one = |name: &str| match name.parse::<u32>() {
        Ok(id) => json!({ "User": { "byID": id } }),
        Err(_) => json!({ "User": { "byName": { "name": name } } }),
    };
    let mut owner = json!({ "user": one(user) });
    if let Some(group) = group {
        owner["group"] = one(group);
    }
    owner
}

pub(super) fn make_dir(op: &MakeDirOp, inputs: &Inputs) -> Value {
    let mut dir = json!({ "path": op.path, "mode": op.mode, "makeParents": true, "timestamp": -1 });
    if let Some(user) = &op.user {
        dir["owner"] = owner_of(user);
    }
    file(vec![(-1, json!({ "mkdir": dir }))], inputs)
}
