//! `--mount` of a step: from what the Dockerfile asks to what the sandbox mounts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use gantry_cache::{CacheMount, WorkDir};
use gantry_sandbox::{Bind, BindSource, FileMount, Mount, Tmpfs};
use gantry_solver::op::{self, RunOp};
use gantry_solver::{Role, Task, TaskInput};

use super::super::Executor;
use super::super::fault::Fault;
use super::bind::bind;
use super::cache::{User, caches};
use super::ssh::{Access, Proxy};
use crate::request::Secret;

/// What a step mounts, and what has to be kept until it has ended.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) mounts: Vec<Mount>,
    /// Secrets that are variables.
    pub(super) env: Vec<OsString>,
    pub(super) held: Held,
}

/// Locks of cache mounts, and forwarded SSH agents.
#[derive(Debug, Default)]
pub(super) struct Held {
    _caches: Vec<Arc<CacheMount>>,
    agents: Vec<Proxy>,
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
        if op.script.is_some() || !op.mounts.is_empty() {
            fs_err::create_dir(&binds).map_err(Fault::io("make a directory for mounts"))?;
        }
        let mut user = User::new(executor, task, op);
        let mut caches = caches(executor, task, &op.mounts, &mut user)?;
        for (number, mount) in op.mounts.iter().enumerate() {
            let scratch = binds.join(number.to_string());
            all.add(executor, task, mount, caches.remove(&number), &scratch)?;
        }
        if let Some(script) = &op.script {
            // Not a file in memory: those can't be executed.
            let path = binds.join("script");
            let what = || format!("write the here-document `{}`", script.name);
            fs_err::write(&path, script.content.as_bytes()).map_err(Fault::io(what()))?;
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(&path, mode).map_err(Fault::io(what()))?;
            all.bind(BindSource::Path(path), &format!("/dev/pipes/{}", script.name), false);
        }
        Ok(all)
    }

    fn add(
        &mut self,
        executor: &Executor,
        task: &Task,
        mount: &op::Mount,
        cache: Option<Arc<CacheMount>>,
        scratch: &Path,
    ) -> Result<(), Fault> {
        match mount {
            op::Mount::Bind { target, input, source, read_only } => {
                let shown = bind(executor, input_of(task, *input)?, source, *read_only, scratch)?;
                self.bind(shown, target, *read_only);
            }
            op::Mount::Cache { target, read_only, .. } => {
                let held = cache.ok_or_else(|| Fault::bug("Not a cache mount"))?;
                let path = held.path().to_path_buf();
                self.bind(BindSource::Path(path), target, *read_only);
                self.held._caches.push(held);
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
            op::Mount::Ssh { id, target, required, mode, uid, gid } => {
                let Some(agent) = executor.agent(id)? else {
                    return match required {
                        true => Err(Fault::refused_with(
                            format!("unset ssh forward key {id}"),
                            format!("Give an agent with `--ssh {id}` or `--ssh {id}=SOCKET`"),
                        )),
                        false => Ok(()),
                    };
                };
                let owner = (!executor.single_id()).then_some((*uid, *gid));
                let proxy = Proxy::start(agent, scratch, &Access { mode: *mode, owner })?;
                let socket = proxy.socket().to_path_buf();
                self.bind(BindSource::Path(socket), target, false);
                if self.held.agents.is_empty() {
                    self.env.push(variable("SSH_AUTH_SOCK", target.as_bytes()));
                }
                self.held.agents.push(proxy);
            }
        }
        Ok(())
    }

    fn bind(&mut self, source: BindSource, target: &str, read_only: bool) {
        self.mounts.push(Mount::Bind(Bind {
            source,
            target: target.into(),
            read_only,
            recursive: false,
        }));
    }
}

/// The input that a mount takes files from.
pub(super) fn input_of(task: &Task, number: u32) -> Result<&TaskInput, Fault> {
    let missing = || Fault::bug(format!("The step has no mount number {number}"));
    task.input(Role::Mount(number)).ok_or_else(missing)
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
        return Err(Fault::refused_with(
            format!("secret {id} too big. max size 500KB"),
            "Bind-mount large files: `RUN --mount=type=bind,from=…`",
        ));
    }
    Ok(Some(value))
}

fn variable(name: &str, value: &[u8]) -> OsString {
    OsString::from_vec([name.as_bytes(), b"=", value].concat())
}
