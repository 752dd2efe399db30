//! `ONBUILD instruction`: stored for whoever builds upon this stage.

use gantry_parser::{Diagnostic, ast::Onbuild};

use crate::lower::stage::State;

/// No effect now, and no history (B8-11).
pub(super) fn lower(state: &mut State, onbuild: &Onbuild) -> Result<(), Diagnostic> {
    state.config.config.on_build.push(onbuild.expression.clone());
    Ok(())
}
