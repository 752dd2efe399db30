//! `CMD`: what a container runs unless it is told otherwise. The last one wins.

use gantry_parser::{Diagnostic, ast::Cmd};

use crate::lower::{go, stage::State};

/// Nothing is expanded: the shell form is the shell's business, when the container runs.
pub(super) fn lower(state: &mut State, cmd: &Cmd) -> Result<(), Diagnostic> {
    let argv = cmd.command.argv(&state.shell);
    state.note(format!("CMD {}", go::quoted(&argv)));
    state.config.config.cmd = argv;
    state.config.config.args_escaped = true;
    state.has_cmd = true;
    Ok(())
}
