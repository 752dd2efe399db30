//! `ARG name[=default] …`: from here to the end of the stage, and in stages built upon it.

use gantry_parser::{Diagnostic, ast::Arg, expand::Lookup};

use crate::lower::{
    Lowering,
    stage::{State, Step},
    stages::Origin,
    variables::expand,
};

/// `--build-arg` beats the default of the stage, and that beats the global value (B7-03). Without
/// any of these the name is declared, and not set.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    arg: &Arg,
) -> Result<(), Diagnostic> {
    // Definitions of one line see each other, so they are worked on a copy until all is well.
    let mut variables = state.variables.clone();
    let mut created_by = String::from("ARG");
    for definition in &arg.definitions {
        let name = state.expand(lowering, &definition.name)?;
        let value = match (lowering.options.build_args.get(&name), &definition.default) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(default)) => {
                let expanded = expand(&lowering.lexer, default, &variables)?;
                lowering.warnings.extend(variables.undefined(&expanded.unset, default));
                Some(expanded.text)
            }
            (None, None) => lowering.globals.get(&name).map(str::to_owned),
        };
        variables.declare(&name, value.as_deref());
        created_by.push(' ');
        created_by.push_str(&name);
        if let Some(value) = value {
            created_by.push('=');
            created_by.push_str(&value);
        }
        if step.command.origin == Origin::ImageTrigger {
            lowering.trigger_args.push(name);
        }
    }
    state.variables = variables;
    state.note(created_by);
    Ok(())
}
