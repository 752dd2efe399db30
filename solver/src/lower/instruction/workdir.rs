//! `WORKDIR path`: makes the directory, and later steps start in it.

use gantry_parser::{Diagnostic, ast::Workdir};

use crate::{
    lower::{
        Lowering, paths,
        stage::{State, Step},
    },
    op::{MakeDirOp, Op},
};

/// A relative path goes on from the last one. The directory belongs to the current USER; `/` is
/// always there and makes no layer.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    workdir: &Workdir,
) -> Result<(), Diagnostic> {
    let path = state.expand(lowering, &workdir.path)?;
    let path = paths::join(&state.cwd, &path);
    state.config.config.working_dir.clone_from(&path);
    state.cwd = path.as_str().into();
    let created_by = ["WORKDIR ", &path].concat();
    if path == "/" {
        state.note(created_by);
        return Ok(());
    }
    let title = state.title(lowering, step);
    let op = Op::MakeDir(MakeDirOp { path, mode: 0o755, user: state.user() });
    state.push(lowering, step, op, title, Vec::new(), created_by);
    Ok(())
}
