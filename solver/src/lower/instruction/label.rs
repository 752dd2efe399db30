//! `LABEL k=v …`.

use gantry_parser::{Diagnostic, ast::Label};

use crate::lower::{Lowering, stage::State};

/// Keys and values are expanded; later ones win.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    label: &Label,
) -> Result<(), Diagnostic> {
    let mut pairs = Vec::with_capacity(label.pairs.len());
    for pair in &label.pairs {
        let key = state.expand(lowering, &pair.key)?;
        pairs.push((key, state.expand(lowering, &pair.value)?));
    }
    let length: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let mut created_by = String::with_capacity(length + 5);
    created_by.push_str("LABEL");
    for (key, value) in pairs {
        for part in [" ", &*key, "=", &*value] {
            created_by.push_str(part);
        }
        state.config.config.labels.insert(key.into_owned(), value.into_owned());
    }
    state.note(created_by);
    Ok(())
}
