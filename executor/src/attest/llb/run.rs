//! A RUN step as LLB's `ExecOp`.

use gantry_solver::Role;
use gantry_solver::op::{Mount, Network, RunOp, Security, Sharing, Ulimit};
use serde_json::{Value, json};

use super::{Inputs, platform};

pub(super) fn run(op: &RunOp, inputs: &Inputs) -> Value {
    let env: Vec<String> = op.env.iter().map(|var| format!("{}={}", var.name, var.value)).collect();
    let mut meta = json!({ "args": op.argv, "cwd": op.cwd, "removeMountStubsRecursive": true });
    if !env.is_empty() {
        meta["env"] = json!(env);
    }
    if let Some(user) = &op.user {
        meta["user"] = json!(user);
    }
    if !op.extra_hosts.is_empty() {
        let host = |(name, address): &(String, String)| json!({ "Host": name, "IP": address });
        meta["extraHosts"] = op.extra_hosts.iter().map(host).collect();
    }
    if let Some(hostname) = &op.hostname {
        meta["hostname"] = json!(hostname);
    }
    if !op.ulimits.is_empty() {
        let limit =
            |limit: &Ulimit| json!({ "Name": limit.name, "Soft": limit.soft, "Hard": limit.hard });
        meta["ulimit"] = op.ulimits.iter().map(limit).collect();
    }
    let mut root = json!({ "dest": "/" });
    add_input(&mut root, inputs.place(Role::Base));
    let mut mounts = vec![root];
    let mut variables = Vec::new();
    for asked in ordered(&op.mounts) {
        mount(asked, inputs, &mut mounts, &mut variables);
    }
    let mut exec = json!({ "meta": meta, "mounts": mounts });
    match op.network {
        Network::Default => {}
        Network::Host => exec["network"] = json!(1),
        Network::None => exec["network"] = json!(2),
    }
    if op.security == Security::Insecure {
        exec["security"] = json!(1);
    }
    if !variables.is_empty() {
        exec["secretenv"] = json!(variables);
    }
    json!({ "Op": { "exec": exec }, "platform": platform(&op.platform), "constraints": {} })
}

/// Go leaves out zeros.
fn add_input(mount: &mut Value, place: i64) {
    if place != 0 {
        mount["input"] = json!(place);
    }
}

fn mount(asked: &Mount, inputs: &Inputs, mounts: &mut Vec<Value>, variables: &mut Vec<Value>) {
    match asked {
        Mount::Bind { target, input, source, read_only } => {
            let mut value = json!({ "dest": target, "output": -1 });
            add_input(&mut value, inputs.place(Role::Mount(*input)));
            if !source.is_empty() {
                value["selector"] = json!(format!("/{source}"));
            }
            if *read_only {
                value["readonly"] = json!(true);
            }
            mounts.push(value);
        }
        Mount::Cache { target, id, sharing, read_only, seed, .. } => {
            let place = role(asked).map_or(-1, |role| inputs.place(role));
            let mut cache = json!({ "ID": id });
            match sharing {
                Sharing::Shared => {}
                Sharing::Private => cache["sharing"] = json!(1),
                Sharing::Locked => cache["sharing"] = json!(2),
            }
            let mut value =
                json!({ "dest": target, "output": -1, "mountType": 3, "cacheOpt": cache });
            add_input(&mut value, place);
            if let Some((_, source)) = seed.as_ref().filter(|(_, source)| !source.is_empty()) {
                value["selector"] = json!(format!("/{source}"));
            }
            if *read_only {
                value["readonly"] = json!(true);
            }
            mounts.push(value);
        }
        Mount::Tmpfs { target, size } => {
            let size = size.map_or_else(|| json!({}), |size| json!({ "size": size }));
            mounts.push(json!({
                "input": -1, "dest": target, "output": -1, "mountType": 4, "TmpfsOpt": size,
            }));
        }
        Mount::Secret { id, target, env, required, mode, uid, gid } => {
            if let Some(target) = target {
                let mut secret = json!({ "ID": id, "mode": mode });
                add_owner(&mut secret, *uid, *gid, *required);
                mounts.push(json!({
                    "input": -1, "dest": target, "mountType": 1, "secretOpt": secret,
                }));
            }
            if let Some(env) = env {
                let mut variable = json!({ "ID": id, "name": env });
                add_owner(&mut variable, 0, 0, *required);
                variables.push(variable);
            }
        }
        Mount::Ssh { id, target, required, mode, uid, gid } => {
            let mut agent = json!({ "ID": id, "mode": mode });
            add_owner(&mut agent, *uid, *gid, *required);
            mounts.push(json!({
                "input": -1, "dest": target, "mountType": 2, "SSHOpt": agent,
            }));
        }
    }
}

fn add_owner(value: &mut Value, uid: u32, gid: u32, required: bool) {
    for (name, id) in [("uid", uid), ("gid", gid)] {
        if id != 0 {
            value[name] = json!(id);
        }
    }
    if !required {
        value["optional"] = json!(true);
    }
}

/// Mounts in LLB's order: what has files of its own by where it is seen, then secrets, then agents.
pub(super) fn ordered(mounts: &[Mount]) -> Vec<&Mount> {
    let mut ordered: Vec<&Mount> = mounts.iter().collect();
    ordered.sort_by_key(|mount| match mount {
        Mount::Bind { target, .. } | Mount::Cache { target, .. } | Mount::Tmpfs { target, .. } => {
            (0, target.as_str())
        }
        Mount::Secret { .. } => (1, ""),
        Mount::Ssh { .. } => (2, ""),
    });
    ordered
}

/// What a mount's files are to the step.
pub(super) fn role(mount: &Mount) -> Option<Role> {
    match mount {
        Mount::Bind { input, .. } | Mount::Cache { seed: Some((input, _)), .. } => {
            Some(Role::Mount(*input))
        }
        Mount::Cache { seed: None, .. }
        | Mount::Tmpfs { .. }
        | Mount::Secret { .. }
        | Mount::Ssh { .. } => None,
    }
}
