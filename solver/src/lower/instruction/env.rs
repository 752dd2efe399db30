//! `ENV k=v …`: for all later steps and for containers of the image.

use gantry_parser::{Diagnostic, ast::Env};

use crate::lower::{Lowering, stage::State};

/// All words see the values from before the instruction (B3-14).
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    env: &Env,
) -> Result<(), Diagnostic> {
    let mut pairs = Vec::with_capacity(env.pairs.len());
    for pair in &env.pairs {
        let name = state.expand(lowering, &pair.key)?;
        pairs.push((name, state.expand(lowering, &pair.value)?));
    }
    let length: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut created_by = String::with_capacity(length + 3);
    created_by.push_str("ENV");
    for (name, value) in pairs {
        let var = [&*name, "=", &*value].concat();
        created_by.push(' ');
        created_by.push_str(&var);
        let vars = &mut state.config.config.env;
        let same = |old: &&mut String| is_of(old, &name);
        match vars.iter_mut().find(same) {
            Some(old) => *old = var,
            None => vars.push(var),
        }
        state.variables.set_env(&name, &value);
    }
    state.note(created_by);
    Ok(())
}

/// Returns whether `var` is `name=…`.
fn is_of(var: &str, name: &str) -> bool {
    var.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        && !name.contains('=')
}
