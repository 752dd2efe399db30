//! `EXPOSE port …`: metadata only.

use gantry_parser::{Diagnostic, ast::Expose, port};

use crate::lower::{Lowering, go, stage::State};

/// Words are split again after expansion, so that `$PORTS` may hold several (B3-17).
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    expose: &Expose,
) -> Result<(), Diagnostic> {
    let mut ports = Vec::new();
    for word in &expose.ports {
        let words = match word.may_expand() {
            true => state.expand_words(lowering, word)?,
            false => vec![word.text.clone()],
        };
        let parsed = port::parse_all(&words);
        ports.extend(parsed.map_err(|error| {
            let told = Diagnostic::error(error.to_string(), word.span).with_hint(error.hint());
            match error.reason() {
                Some(reason) => told.with_note(reason),
                None => told,
            }
        })?);
    }
    ports.sort_unstable();
    ports.dedup();
    state.note(format!("EXPOSE {}", go::plain(&ports)));
    state.config.config.exposed_ports.extend(ports);
    Ok(())
}
