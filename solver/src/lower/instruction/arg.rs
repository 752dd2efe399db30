//! `ARG name[=default] …`: from here to the end of the stage, and in stages built upon it.

use std::borrow::Cow;

use gantry_parser::{Diagnostic, ast::Arg, expand::Lookup};

use crate::lower::{
    Lowering,
    stage::{State, Step},
    stages::Origin,
    variables::{Scan, Variables, as_it_is, expand},
};

/// `--build-arg` beats the default of the stage, and that beats the global value (B7-03). Without
/// any of these the name is declared, and not set.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    arg: &Arg,
) -> Result<(), Diagnostic> {
    // Names see what was there before the line; defaults see the definitions before them.
    let names = arg.definitions.iter().map(|definition| state.expand(lowering, &definition.name));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let before = (names.len() > 1).then(|| state.variables.clone());
    let mut variables = std::mem::take(&mut state.variables);
    let mut scan = state.scan;
    let stage = step.stages.list[state.index].name.as_deref();
    let result = declare(lowering, &mut variables, (&mut scan, stage), names, step, arg);
    state.scan = scan;
    state.variables = match (&result, before) {
        (Err(_), Some(before)) => before,
        _ => variables,
    };
    state.note(result?);
    Ok(())
}

/// Declares all of them, and returns what the history shows.
fn declare(
    lowering: &mut Lowering<'_>,
    variables: &mut Variables,
    (scan, stage): (&mut Scan, Option<&str>),
    names: Vec<Cow<'_, str>>,
    step: &Step<'_, '_>,
    arg: &Arg,
) -> Result<String, Diagnostic> {
    let mut created_by = String::with_capacity(step.command.statement.text.len());
    created_by.push_str("ARG");
    for (name, definition) in names.into_iter().zip(&arg.definitions) {
        let value = match (lowering.options.build_args.get(&*name), &definition.default) {
            (Some(given), _) => Some(Cow::Borrowed(given.as_str())),
            (None, Some(default)) => Some(match as_it_is(default) {
                Some(text) => Cow::Borrowed(text),
                None => {
                    let expanded = expand(&lowering.lexer, default, variables)?;
                    lowering.warnings.extend(variables.undefined(&expanded.unset, default));
                    Cow::Owned(expanded.text)
                }
            }),
            (None, None) => lowering.globals.get(&name).map(Cow::Borrowed),
        };
        variables.declare(&name, value.as_deref());
        scan.note(&name, value.as_deref(), stage);
        created_by.push(' ');
        created_by.push_str(&name);
        if let Some(value) = value {
            created_by.push('=');
            created_by.push_str(&value);
        }
        if step.command.origin == Origin::ImageTrigger {
            lowering.trigger_args.push(name.into_owned());
        }
    }
    Ok(created_by)
}
