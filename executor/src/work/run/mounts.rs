//! `--mount` of a step: from what the Dockerfile asks to what the sandbox mounts.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gantry_cache::{CacheMount, StoreError, WorkDir};
use gantry_sandbox::{Bind, BindSource, FileMount, Mount, Tmpfs};
use gantry_solver::op::{self, RunOp, Selection};
use gantry_solver::{Op, Role, Snapshot, Task, TaskInput};
use gantry_tree::{Follow, Root, TreePath};

use super::super::fault::Fault;
use super::super::stack::Stack;
use super::super::{Executor, make_dir, merge, select};
use super::rootfs::RootFs;
use crate::request::Secret;

/// What a step mounts, and what has to be kept until it has ended.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<Mount>,
    /// Secrets that are variables.
    pub(super) env: Vec<OsString>,
    pub(super) held: Held,
    /// Targets of cache mounts, which stay in the layer as empty directories (B5-09).
    cache_targets: Vec<String>,
}

/// Locks of cache mounts.
#[derive(Debug, Default)]
pub(super) struct Held {
    _caches: Vec<CacheMount>,
}

impl Mounts {
    /// Prepares all mounts of a step; what has to be copied for them goes into `work`.
    pub(super) fn prepare(
        executor: &Executor,
        task: &Task,
        op: &RunOp,
        work: &WorkDir,
    ) -> Result<Self, Fault> {
        let mut all = Mounts::default();
        let binds = work.path().join("binds");
        fs_err::create_dir(&binds).map_err(Fault::io("make a directory for mounts"))?;
        for (number, mount) in op.mounts.iter().enumerate() {
            let scratch = binds.join(number.to_string());
            all.add(executor, task, mount, &scratch)?;
        }
        if let Some(script) = &op.script {
            // Not a file in memory: those can't be executed.
            let path = binds.join("script");
            let what = || format!("write the here-document `{}`", script.name);
            fs_err::write(&path, script.content.as_bytes()).map_err(Fault::io(what()))?;
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(&path, mode).map_err(Fault::io(what()))?;
            all.bind(path, &format!("/dev/pipes/{}", script.name), false);
        }
        Ok(all)
    }

    fn add(
        &mut self,
        executor: &Executor,
        task: &Task,
        mount: &op::Mount,
        scratch: &Path,
    ) -> Result<(), Fault> {
        match mount {
            op::Mount::Bind { target, input, source, read_only } => {
                let path = bind(executor, input_of(task, *input)?, source, *read_only, scratch)?;
                self.bind(path, target, *read_only);
            }
            op::Mount::Cache { target, sharing, read_only, .. } => {
                let sharing = match sharing {
                    op::Sharing::Shared => gantry_cache::Sharing::Shared,
                    op::Sharing::Private => gantry_cache::Sharing::Private,
                    op::Sharing::Locked => gantry_cache::Sharing::Locked,
                };
                let held = cache(executor, task, mount, sharing)?;
                self.bind(held.path().to_path_buf(), target, *read_only);
                self.held._caches.push(held);
                self.cache_targets.push(target.clone());
            }
            op::Mount::Tmpfs { target, size } => {
                self.mounts.push(Mount::Tmpfs(Tmpfs::new(target, *size)));
            }
            op::Mount::Secret { id, target, env, required, mode, uid, gid } => {
                let Some(value) = secret(executor, id, *required)? else { return Ok(()) };
                if let Some(name) = env {
                    self.env.push(variable(name, &value));
                }
                if let Some(target) = target {
                    self.mounts.push(Mount::File(FileMount {
                        target: target.into(),
                        content: value,
                        mode: *mode,
                        uid: *uid,
                        gid: *gid,
                        read_only: true,
                    }));
                }
            }
            op::Mount::Ssh { id, required, .. } => {
                if *required {
                    return Err(Fault::refused_with(
                        format!("unset ssh forward key {id}"),
                        "Forwarding an SSH agent is not supported yet",
                    ));
                }
            }
        }
        Ok(())
    }

    fn bind(&mut self, source: PathBuf, target: &str, read_only: bool) {
        self.mounts.push(Mount::Bind(Bind {
            source: BindSource::Path(source),
            target: target.into(),
            read_only,
            recursive: false,
        }));
    }

    /// Makes the targets of cache mounts in the step's layer, where they are missing.
    pub(super) fn make_cache_targets(
        &self,
        executor: &Executor,
        base: &Snapshot,
        root: &RootFs,
    ) -> Result<(), Fault> {
        if self.cache_targets.is_empty() {
            return Ok(());
        }
        let stack = Stack::open(&executor.store, base)?;
        let dest = Root::open(root.writable())?;
        for target in &self.cache_targets {
            let path = stack.view().resolve(&select::clamp(target)?, Follow::Last)?;
            if path.found.is_none() && !path.path.is_root() {
                make_dir::make(executor, &stack, &dest, &path.path)?;
            }
        }
        Ok(())
    }
}

fn input_of(task: &Task, number: u32) -> Result<&TaskInput, Fault> {
    let missing = || Fault::refused(format!("The step has no mount number {number}"));
    task.input(Role::Mount(number)).ok_or_else(missing)
}

/// Finds or makes a path of the host that shows what a bind mount is to show.
///
/// A file or directory that lies whole in one layer is shown from there; all else is copied
/// together first. What may be written to is always a copy, so that writes are lost (B5-03).
fn bind(
    executor: &Executor,
    input: &TaskInput,
    source: &str,
    read_only: bool,
    scratch: &Path,
) -> Result<PathBuf, Fault> {
    let not_found = || Fault::refused(format!("\"/{source}\": not found"));
    if let Op::Context(op) = &input.op {
        let context = executor.context(&op.name)?;
        let selected = context.select(&op.selection)?;
        let from = own_path(&selected.chosen, &op.selection, source).ok_or_else(not_found)?;
        make(scratch)?;
        let root = context.root();
        merge::merge_context(executor, root, &selected.manifest, &from, scratch)?;
        let is_dir = from.is_root() || selected.manifest.get(&from).is_some_and(|e| e.is_dir());
        return Ok(shown(scratch, &from, is_dir));
    }
    let stack = Stack::open(&executor.store, &input.snapshot)?;
    let from = merge::locate(&stack, source)?.ok_or_else(not_found)?;
    if read_only && let Some(layer) = whole(&stack, &from) {
        let root = super::super::stack::tree(&executor.store, stack.id(layer), &executor.unpack)?;
        return Ok(root.join(from.as_path()));
    }
    make(scratch)?;
    merge::merge(executor, &stack, &from, scratch)?;
    let is_dir = from.is_root()
        || stack.view().lookup(&from, Follow::Parents).is_some_and(|(_, e)| e.is_dir());
    Ok(shown(scratch, &from, is_dir))
}

fn shown(scratch: &Path, from: &TreePath, is_dir: bool) -> PathBuf {
    match from.file_name() {
        Some(name) if !is_dir => {
            use std::os::unix::ffi::OsStrExt;
            scratch.join(std::ffi::OsStr::from_bytes(name))
        }
        _ => scratch.to_path_buf(),
    }
}

fn own_path(chosen: &[select::Chosen], selection: &Selection, source: &str) -> Option<TreePath> {
    let number = selection.paths.iter().position(|path| path.pattern == source)?;
    chosen.iter().find(|one| one.source == number).map(|one| one.path.clone())
}

/// The one layer that holds all there is at and below `path`, and nothing besides.
fn whole(stack: &Stack, path: &TreePath) -> Option<usize> {
    let view = stack.view();
    let found = view.walk(path);
    let (layer, _) = *found.first()?;
    let own = stack.manifest(layer).subtree(path);
    let same = found.len() == own.len()
        && found
            .iter()
            .zip(own)
            .all(|((from, entry), own)| *from == layer && entry.path == own.path && is_plain(own));
    same.then_some(layer)
}

/// Not something that only overlay would show as what it is.
fn is_plain(entry: &gantry_tree::Entry) -> bool {
    use gantry_tree::Node;
    !matches!(entry.node, Node::Whiteout | Node::Dir { opaque: true })
}

fn make(dir: &Path) -> Result<(), Fault> {
    fs_err::create_dir(dir).map_err(Fault::io("make a directory for a mount"))
}

/// Gets a cache directory, which other steps and builds keep filling.
fn cache(
    executor: &Executor,
    task: &Task,
    mount: &op::Mount,
    sharing: gantry_cache::Sharing,
) -> Result<CacheMount, Fault> {
    let op::Mount::Cache { id, mode, uid, gid, seed, .. } = mount else {
        return Err(Fault::refused("Not a cache mount"));
    };
    let seed = match seed {
        Some((input, path)) => Some((input_of(task, *input)?, path)),
        None => None,
    };
    let from = match seed {
        None => String::new(),
        Some((input, path)) => {
            let digest = match &input.op {
                Op::Context(op) => executor.context(&op.name)?.select(&op.selection)?.digest,
                _ => executor.content_of(&input.snapshot, &Selection::of(path.as_str()))?,
            };
            gantry_cache::Key(digest).to_string()
        }
    };
    // Another owner, mode or seed is another cache (B5-08).
    let name = format!("{id}\n{mode:o} {uid}:{gid} {from}");
    let mut failed = None;
    let mut init = |dir: &Path| -> Result<(), StoreError> {
        fill(executor, seed, dir, *mode, (*uid, *gid)).map_err(|fault| {
            let what = format!("fill the cache mount `{id}`");
            let source = std::io::Error::other(fault.to_string());
            failed = Some(fault);
            StoreError::Io { what, source }
        })
    };
    let acquired = executor.store.mounts().acquire(&name, sharing, &mut init);
    match (acquired, failed) {
        (Ok(mount), _) => Ok(mount),
        (Err(_), Some(fault)) => Err(fault),
        (Err(error), None) => Err(error.into()),
    }
}

fn fill(
    executor: &Executor,
    seed: Option<(&TaskInput, &String)>,
    dir: &Path,
    mode: u32,
    owner: (u32, u32),
) -> Result<(), Fault> {
    if let Some((input, path)) = seed {
        let copied = bind(executor, input, path, false, &dir.join("seed"))?;
        // What was copied into a directory of its own comes up one step.
        for entry in fs_err::read_dir(&copied).map_err(Fault::io("fill a cache mount"))? {
            let entry = entry.map_err(Fault::io("fill a cache mount"))?;
            let to = dir.join(entry.file_name());
            fs_err::rename(entry.path(), to).map_err(Fault::io("fill a cache mount"))?;
        }
        let _ = fs_err::remove_dir(dir.join("seed"));
    }
    let root = Root::open(dir)?;
    if !executor.single_id() {
        root.set_owner(&TreePath::root(), owner.0, owner.1)?;
    }
    Ok(root.set_mode(&TreePath::root(), mode)?)
}

/// Fetches a secret. One that nobody gave is an error only if the step requires it.
fn secret(executor: &Executor, id: &str, required: bool) -> Result<Option<Vec<u8>>, Fault> {
    let Some(secret) = executor.secrets.get(id) else {
        if required {
            return Err(Fault::refused_with(
                format!("secret {id}: not found"),
                format!("Give it with `--secret id={id},src=FILE` or `--secret id={id},env=NAME`"),
            ));
        }
        return Ok(None);
    };
    let value = secret.fetch().map_err(Fault::io(format!("read the secret `{id}`")))?;
    if value.len() > Secret::LIMIT {
        return Err(Fault::refused(format!("secret {id} too big. max size 500KB")));
    }
    Ok(Some(value))
}

fn variable(name: &str, value: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec([name.as_bytes(), b"=", value].concat())
}
