//! `ENTRYPOINT`.

use gantry_parser::{Diagnostic, ast::Entrypoint};

use crate::lower::{go, stage::State};

/// An inherited CMD was meant for the inherited ENTRYPOINT, so it goes; one of this stage stays,
/// wherever it stands (A6-10). `[]` clears; without a word it is the shell with nothing to do, as
/// BuildKit has it.
pub(super) fn lower(state: &mut State, entrypoint: &Entrypoint) -> Result<(), Diagnostic> {
    let argv = entrypoint.command.argv(&state.shell);
    state.note(format!("ENTRYPOINT {}", go::quoted(&argv)));
    state.config.config.entrypoint = argv;
    if !state.has_cmd {
        state.config.config.cmd.clear();
    }
    Ok(())
}
