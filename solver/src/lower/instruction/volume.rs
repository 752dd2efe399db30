//! `VOLUME`.

use std::borrow::Cow;

use gantry_parser::{Diagnostic, ast::Volume};

use crate::lower::{Lowering, go, stage::State};

/// Only noted: what makes volumes of it is the runtime.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    volume: &Volume,
) -> Result<(), Diagnostic> {
    let mut paths = Vec::with_capacity(volume.paths.len());
    for word in &volume.paths {
        let path = state.expand(lowering, word)?;
        if path.is_empty() {
            let message = "VOLUME specified can not be an empty string";
            return Err(Diagnostic::error(message, word.span)
                .with_hint("Give the variable a value, or remove this one"));
        }
        paths.push(path);
    }
    state.note(format!("VOLUME {}", go::plain(&paths)));
    state.config.config.volumes.extend(paths.into_iter().map(Cow::into_owned));
    Ok(())
}
