//! `MAINTAINER name`.

use gantry_parser::{Diagnostic, ast::Maintainer};

use crate::lower::stage::State;

/// Never expanded.
pub(super) fn lower(state: &mut State, maintainer: &Maintainer) -> Result<(), Diagnostic> {
    let name = &maintainer.name.text;
    state.note(format!("MAINTAINER {name}"));
    state.config.author.clone_from(name);
    Ok(())
}
