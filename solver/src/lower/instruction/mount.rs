//! `RUN --mount=…`: what is mounted, and from where.

use std::borrow::Cow;

use gantry_parser::{
    Diagnostic, Span,
    ast::Run,
    mount::{MountError, MountKind, MountSpec, Sharing as WrittenSharing},
};

use crate::{
    graph::{Role, VertexId},
    lower::{
        Lowering, paths,
        stage::{State, Step},
        stages::Base,
    },
    op::{ContextOp, Mount, Sharing},
};

type Lowered = (Vec<Mount>, Vec<(Role, VertexId)>);

/// Returns the mounts of a RUN and the inputs that they take files from.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &State,
    step: &Step<'_, '_>,
    run: &Run,
) -> Result<Lowered, Diagnostic> {
    let mut mounts = Vec::with_capacity(run.mounts.len());
    let mut inputs = Vec::new();
    for (n, written) in run.mounts.iter().enumerate() {
        let spec = written
            .evaluate(|word| state.expand(lowering, word).map(Cow::into_owned))
            .map_err(|error| match error {
                MountError::Expand(error) => error,
                MountError::Invalid(invalid) => {
                    Diagnostic::error(invalid.message, invalid.span).with_hint(invalid.hint)
                }
            })?;
        let mut one = One { lowering, state, step, spec, span: written.text.span };
        let source = step.command.sources.get(n).copied().flatten();
        let (mount, input) =
            one.lower(n, source, u32::try_from(inputs.len()).unwrap_or(u32::MAX))?;
        mounts.push(mount);
        inputs.extend(input);
    }
    Ok((mounts, inputs))
}

/// One mount, evaluated.
struct One<'m, 'a, 's> {
    lowering: &'m mut Lowering<'a>,
    state: &'m State,
    step: &'m Step<'s, 's>,
    spec: MountSpec,
    span: Span,
}

impl One<'_, '_, '_> {
    fn lower(
        &mut self,
        n: usize,
        source: Option<usize>,
        number: u32,
    ) -> Result<(Mount, Option<(Role, VertexId)>), Diagnostic> {
        let spec = self.spec.clone();
        match spec.kind {
            MountKind::Bind => {
                let target = self.target()?;
                let path = paths::source(spec.source.as_deref().unwrap_or_default());
                let vertex = match source {
                    Some(stage) => self.stage(stage, &path, &target)?,
                    None => self.lowering.context_tree(ContextOp::MAIN, &path),
                };
                let read_only = spec.read_only;
                let mount = Mount::Bind { target, input: number, source: path, read_only };
                Ok((mount, Some((Role::Mount(number), vertex))))
            }
            MountKind::Cache => {
                let target = self.target()?;
                let path = paths::source(spec.source.as_deref().unwrap_or_default());
                let seed = match source {
                    Some(stage) => Some(self.stage(stage, &path, &target)?),
                    None => None,
                };
                let namespace = self.lowering.options.build_args.get("BUILDKIT_CACHE_MOUNT_NS");
                // As it is written: relative targets share one cache, whatever WORKDIR is.
                let written = spec.target.as_deref().unwrap_or_default();
                let id = spec.id.unwrap_or_else(|| paths::clean(written));
                let mount = Mount::Cache {
                    target,
                    id: format!("{}/{id}", namespace.map_or("", String::as_str)),
                    sharing: match spec.sharing {
                        None | Some(WrittenSharing::Shared) => Sharing::Shared,
                        Some(WrittenSharing::Private) => Sharing::Private,
                        Some(WrittenSharing::Locked) => Sharing::Locked,
                    },
                    read_only: spec.read_only,
                    mode: spec.mode.unwrap_or(0o755),
                    uid: spec.uid,
                    gid: spec.gid,
                    seed: seed.map(|_| (number, path)),
                };
                Ok((mount, seed.map(|vertex| (Role::Mount(number), vertex))))
            }
            MountKind::Tmpfs => {
                Ok((Mount::Tmpfs { target: self.target()?, size: spec.size }, None))
            }
            MountKind::Secret => Ok((secret(spec, &self.state.cwd), None)),
            MountKind::Ssh => {
                let default = format!("/run/buildkit/ssh_agent.{n}");
                let target = spec.target.map_or(default, |t| paths::join(&self.state.cwd, &t));
                let mount = Mount::Ssh {
                    id: spec.id.unwrap_or_else(|| "default".to_owned()),
                    target,
                    required: spec.required,
                    mode: spec.mode.unwrap_or(0o600),
                    uid: spec.uid.unwrap_or(0),
                    gid: spec.gid.unwrap_or(0),
                };
                Ok((mount, None))
            }
        }
    }

    /// A relative target goes on from WORKDIR; the root can't be mounted over.
    fn target(&self) -> Result<String, Diagnostic> {
        let written = self.spec.target.as_deref().unwrap_or_default();
        let target = paths::join(&self.state.cwd, written);
        if target == "/" {
            let message = format!("invalid mount target {target:?}");
            let hint = match written.is_empty() {
                true => "Say where to mount it: `target=/path`",
                false => "Mount it below the root, such as at `target=/mnt`",
            };
            return Err(Diagnostic::error(message, self.span).with_hint(hint));
        }
        Ok(target)
    }

    fn stage(&mut self, stage: usize, path: &str, target: &str) -> Result<VertexId, Diagnostic> {
        let shown = &self.step.stages.list[stage];
        if let Base::Context(name) = &shown.base
            && shown.implicit
            && !self.step.images.contains_key(&stage)
        {
            return Ok(self.lowering.context_tree(name, path));
        }
        self.step.states[stage].as_ref().map(|state| state.vertex).ok_or_else(|| {
            let message = format!(
                "cannot mount from stage {:?} to {target:?}, stage needs to be defined before current command",
                shown.shown
            );
            Diagnostic::error(message, self.span)
                .and_label(shown.span, "the stage is defined here")
                .with_hint("Move that stage above this one")
        })
    }
}

/// A secret is known by its id, else by its source, else by the name of its file.
fn secret(spec: MountSpec, cwd: &str) -> Mount {
    let id = spec.id.or(spec.source);
    let id = id.unwrap_or_else(|| paths::base(spec.target.as_deref().unwrap_or_default()));
    let target = match (spec.target, &spec.env) {
        (Some(target), _) => Some(paths::join(cwd, &target)),
        (None, Some(_)) => None,
        (None, None) => Some(format!("/run/secrets/{}", paths::base(&id))),
    };
    Mount::Secret {
        id,
        target,
        env: spec.env,
        required: spec.required,
        mode: spec.mode.unwrap_or(0o400),
        uid: spec.uid.unwrap_or(0),
        gid: spec.gid.unwrap_or(0),
    }
}
