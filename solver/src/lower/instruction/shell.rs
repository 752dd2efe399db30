//! `SHELL ["…"]`: for later shell forms.

use gantry_parser::{Diagnostic, ast::Shell};

use crate::lower::{go, stage::State};

/// Stored in the config too, so that stages and images built upon this one go on with it.
pub(super) fn lower(state: &mut State, shell: &Shell) -> Result<(), Diagnostic> {
    let argv: Vec<String> = shell.argv.iter().map(|word| word.text.clone()).collect();
    state.note(format!("SHELL {}", go::plain(&argv)));
    state.config.config.shell = argv;
    state.follow_config();
    Ok(())
}
