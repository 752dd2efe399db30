//! `ENTRYPOINT`.

use gantry_parser::{Diagnostic, ast::Entrypoint};

use crate::lower::{go, stage::State};

/// An inherited CMD was meant for the inherited ENTRYPOINT, so it goes; one of this stage stays,
/// wherever it stands (A6-10). An empty ENTRYPOINT clears.
pub(super) fn lower(state: &mut State, entrypoint: &Entrypoint) -> Result<(), Diagnostic> {
    let argv = match entrypoint.command.is_empty() {
        true => Vec::new(),
        false => entrypoint.command.argv(&state.shell()),
    };
    state.note(format!("ENTRYPOINT {}", go::quoted(&argv)));
    state.config.config.entrypoint = argv;
    if !state.has_cmd {
        state.config.config.cmd.clear();
    }
    Ok(())
}
