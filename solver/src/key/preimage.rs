//! What counts: the one place that says which parts of an operation are part of its key.
//!
//! Every operation is taken apart field by field, so that a new field stops compiling here until
//! somebody has decided about it.

use crate::{
    graph::Role,
    key::{Key, Preimage, Value},
    op::{
        ContextOp, CopyItem, CopyOp, EnvVar, GitOp, HttpOp, ImageOp, InlineFile, MakeDirOp, Mount,
        Network, Op, RunOp, Security, Selection, SourcePath,
    },
};

/// How an input is identified in the key of what uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputId {
    /// By its own key. The detail explains it and is not part of the key.
    Key(Key, Option<Value>),
    /// By a digest of just the files that are taken from it.
    Content([u8; 32]),
}

/// Returns what counts for the key of a source, `content` being what
/// [`Work::source`](crate::Work::source) said, with its detail if there is one.
///
/// Returns `None` for an operation that is no source.
#[must_use]
pub fn of_source(op: &Op, content: Option<([u8; 32], Option<Value>)>) -> Option<Preimage> {
    let content = content
        .map_or(Value::Absent, |(digest, detail)| Value::Digest(digest, detail.map(Box::new)));
    let parts = match op {
        Op::Scratch => vec![],
        // The config covers the layers' diff IDs; the reference may be any tag.
        Op::Image(ImageOp { reference: _, config, platform, layers: _ }) => {
            vec![("config", config.as_str().into()), ("platform", platform.as_str().into())]
        }
        // Which context it was, and by which patterns files were selected, is the reader's matter.
        Op::Context(ContextOp { name: _, selection: _ }) => vec![("content", content)],
        // Where bytes come from does not count, only what they are.
        Op::Http(HttpOp { url: _, name: _, checksum: _ }) => vec![("content", content)],
        Op::Git(GitOp {
            remote: _,
            reference: _,
            subdir,
            keep_git_dir,
            checksum: _,
            submodules,
            commit_time,
            fetch_by_commit: _,
        }) => vec![
            ("content", content),
            ("subdir", Value::optional(subdir.as_deref())),
            ("keep git dir", (*keep_git_dir).into()),
            ("submodules", (*submodules).into()),
            ("commit time", (*commit_time == Some(true)).into()),
        ],
        Op::Run(_) | Op::Copy(_) | Op::MakeDir(_) => return None,
    };
    Some(whole(op, parts))
}

/// Returns what counts for the key of an operation with inputs, each identified by its
/// [`InputId`]. A base must not be given where [`depends_on_base`] says no.
#[must_use]
pub fn of_step(op: &Op, inputs: impl IntoIterator<Item = (Role, InputId)>) -> Preimage {
    let mut parts = match op {
        Op::Scratch | Op::Image(_) | Op::Context(_) | Op::Http(_) | Op::Git(_) => vec![],
        Op::Run(run) => of_run(run),
        Op::Copy(copy) => of_copy(copy),
        Op::MakeDir(MakeDirOp { path, mode, user }) => vec![
            ("path", path.as_str().into()),
            ("mode", (*mode).into()),
            ("user", Value::optional(user.as_deref())),
        ],
    };
    let inputs = inputs.into_iter().map(|(role, id)| (role.to_string(), of_input(id)));
    parts.push(("input", Value::tree(inputs)));
    whole(op, parts)
}

/// Returns whether the key of `op` has its base in it. `COPY --link` must not look at its base.
#[must_use]
pub fn depends_on_base(op: &Op) -> bool {
    !matches!(op, Op::Copy(copy) if copy.link)
}

/// Returns what `op` takes from the input with this role, if it takes files and not the whole.
#[must_use]
pub fn selection(op: &Op, role: Role) -> Option<Selection> {
    match (op, role) {
        (Op::Copy(copy), Role::Source(number)) => {
            let paths = copy.items.iter().filter_map(|item| match item {
                CopyItem::Tree { input, path, unpack: _ } if *input == number => Some(path.clone()),
                _ => None,
            });
            let (exclude, any_mode) = (copy.exclude.clone(), copy.sets_all_modes());
            Some(Selection { paths: paths.collect(), exclude, any_mode })
        }
        (Op::Run(run), Role::Mount(number)) => {
            let path = run.mounts.iter().find_map(|mount| match mount {
                Mount::Bind { input, source, .. } if *input == number => Some(source),
                Mount::Cache { seed: Some((input, source)), .. } if *input == number => {
                    Some(source)
                }
                _ => None,
            });
            path.map(Selection::of)
        }
        _ => None,
    }
}

fn whole(op: &Op, mut parts: Vec<(&'static str, Value)>) -> Preimage {
    parts.push(("op", op.kind().into()));
    Preimage(Value::tree(parts))
}

fn of_input(id: InputId) -> Value {
    match id {
        InputId::Key(key, detail) => Value::Digest(key.0, detail.map(Box::new)),
        InputId::Content(digest) => Value::tree([("content", Value::Digest(digest, None))]),
    }
}

fn of_run(run: &RunOp) -> Vec<(&'static str, Value)> {
    let RunOp {
        argv,
        env,
        proxy: _,
        cwd,
        user,
        mounts,
        network,
        security,
        script,
        extra_hosts,
        ulimits,
        shm_size,
        hostname,
        limits: _,
        platform,
    } = run;
    let network = match network {
        Network::Default => "default",
        Network::None => "none",
        Network::Host => "host",
    };
    let security = match security {
        Security::Sandbox => "sandbox",
        Security::Insecure => "insecure",
    };
    let ulimits = ulimits.iter().map(|limit| {
        let value = format!("{}:{}", limit.soft, limit.hard);
        (limit.name.as_str(), Value::from(value.as_str()))
    });
    let shm_size = shm_size.map_or(Value::Absent, number);
    vec![
        ("args", Value::texts(argv)),
        ("env", of_env(env)),
        ("cwd", (&**cwd).into()),
        ("user", Value::optional(user.as_deref())),
        ("mounts", Value::List(mounts.iter().map(of_mount).collect())),
        ("network", network.into()),
        ("security", security.into()),
        ("script", script.as_ref().map_or(Value::Absent, of_inline)),
        // The addresses are the host's matter.
        ("extra hosts", Value::texts(extra_hosts.iter().map(|(host, _)| host))),
        ("ulimits", Value::tree(ulimits)),
        ("shm size", shm_size),
        ("hostname", Value::optional(hostname.as_deref())),
        ("platform", (&**platform).into()),
    ]
}

fn of_env(env: &[EnvVar]) -> Value {
    Value::Tree(env.iter().map(|var| (var.name.clone(), (&var.value).into())).collect())
}

fn of_inline(file: &InlineFile) -> Value {
    Value::tree([("name", file.name.as_str().into()), ("content", (&file.content).into())])
}

/// Numbers above `i64::MAX` don't occur: sizes are far smaller.
fn number(n: u64) -> Value {
    Value::Number(i64::try_from(n).unwrap_or(i64::MAX))
}

fn of_mount(mount: &Mount) -> Value {
    let of_target = |target: &str| ("target", Value::from(target));
    match mount {
        Mount::Bind { target, input, source, read_only } => Value::tree([
            ("type", "bind".into()),
            of_target(target),
            ("input", (*input).into()),
            ("source", source.as_str().into()),
            ("read only", (*read_only).into()),
        ]),
        // What is in the directory, who shares it and how, is no input of the step.
        Mount::Cache { target, id: _, sharing: _, read_only, mode, uid, gid, seed } => {
            Value::tree([
                ("type", "cache".into()),
                of_target(target),
                ("read only", (*read_only).into()),
                ("mode", (*mode).into()),
                ("uid", uid.map_or(Value::Absent, Into::into)),
                ("gid", gid.map_or(Value::Absent, Into::into)),
                (
                    "seed",
                    seed.as_ref().map_or(Value::Absent, |(input, source)| {
                        Value::List(vec![(*input).into(), source.as_str().into()])
                    }),
                ),
            ])
        }
        Mount::Tmpfs { target, size } => Value::tree([
            ("type", "tmpfs".into()),
            of_target(target),
            ("size", size.map_or(Value::Absent, number)),
        ]),
        // The value of a secret never counts.
        Mount::Secret { id, target, env, required, mode, uid, gid } => Value::tree([
            ("type", "secret".into()),
            ("target", Value::optional(target.as_deref())),
            ("id", id.as_str().into()),
            ("env", Value::optional(env.as_deref())),
            ("required", (*required).into()),
            ("mode", (*mode).into()),
            ("uid", (*uid).into()),
            ("gid", (*gid).into()),
        ]),
        Mount::Ssh { id, target, required, mode, uid, gid } => Value::tree([
            ("type", "ssh".into()),
            of_target(target),
            ("id", id.as_str().into()),
            ("required", (*required).into()),
            ("mode", (*mode).into()),
            ("uid", (*uid).into()),
            ("gid", (*gid).into()),
        ]),
    }
}

/// Goes up when the same copy makes other bytes. 2: times in whole seconds.
const COPIED: u32 = 2;

fn of_copy(copy: &CopyOp) -> Vec<(&'static str, Value)> {
    let CopyOp { items, dest, chown, chmod, exclude, link } = copy;
    vec![
        ("format", COPIED.into()),
        ("items", Value::List(items.iter().map(of_item).collect())),
        ("dest", dest.as_str().into()),
        ("chown", Value::optional(chown.as_deref())),
        ("chmod", Value::optional(chmod.as_deref())),
        ("exclude", Value::texts(exclude)),
        ("link", (*link).into()),
    ]
}

fn of_item(item: &CopyItem) -> Value {
    match item {
        CopyItem::Tree { input, path: SourcePath { base, pattern, literal: _ }, unpack } => {
            Value::tree([
                ("input", (*input).into()),
                ("base", Value::optional(base.as_deref())),
                ("path", pattern.as_str().into()),
                ("unpack", (*unpack).into()),
            ])
        }
        CopyItem::Download { input, name, unpack } => Value::tree([
            ("input", (*input).into()),
            ("name", name.as_str().into()),
            ("unpack", (*unpack).into()),
        ]),
        CopyItem::Git { input } => Value::tree([("input", (*input).into())]),
        CopyItem::Inline(file) => of_inline(file),
    }
}
