//! `USER user[:group]`: for later steps and for containers.

use gantry_parser::{Diagnostic, ast::User};

use crate::lower::{Lowering, stage::State};

/// Whether there is such a user is found out by the first step that needs it.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    user: &User,
) -> Result<(), Diagnostic> {
    let user = state.expand(lowering, &user.user)?;
    state.note(format!("USER {user}"));
    state.config.config.user = user.into_owned();
    Ok(())
}
