//! `STOPSIGNAL`.

use gantry_parser::{Diagnostic, ast::Stopsignal, signal};

use crate::lower::{Lowering, stage::State};

/// Checked here, and stored as it was written.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    stopsignal: &Stopsignal,
) -> Result<(), Diagnostic> {
    let word = &stopsignal.signal;
    let text = state.expand(lowering, word)?;
    signal::parse(&text)
        .map_err(|error| Diagnostic::error(error.to_string(), word.span).with_hint(error.hint()))?;
    state.note(format!("STOPSIGNAL {text}"));
    state.config.config.stop_signal = text.into_owned();
    Ok(())
}
