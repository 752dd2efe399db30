//! Global ARGs: platform arguments, `--build-arg`, and ARG before the first FROM (B7-01, B7-11).

use gantry_parser::{
    Diagnostic, Instruction, Statement, did_you_mean, expand::Lexer, suggest::with_suggestion,
};

use crate::lower::{
    LowerOptions,
    variables::{Globals, PREDEFINED, expand},
};

/// Returns the variables that FROM lines see.
///
/// # Errors
/// A default that can't be expanded.
pub(super) fn globals(
    options: &LowerOptions,
    target_name: Option<&str>,
    lexer: &Lexer,
    statements: &[&Statement],
) -> Result<Globals, Vec<Diagnostic>> {
    let mut globals = Globals::default();
    for (prefix, platform) in [("BUILD", &options.host), ("TARGET", options.target_platform())] {
        let parts = [
            ("PLATFORM", platform.to_string()),
            ("OS", platform.os.clone()),
            ("OSVERSION", platform.os_version.clone().unwrap_or_default()),
            ("ARCH", platform.architecture.clone()),
            ("VARIANT", platform.variant.clone().unwrap_or_default()),
        ];
        for (name, value) in parts {
            globals.values.insert(format!("{prefix}{name}"), value);
        }
    }
    let target_name = target_name.unwrap_or("default").to_owned();
    globals.values.insert("TARGETSTAGE".to_owned(), target_name);
    for (name, value) in &mut globals.values {
        if let Some(given) = options.build_args.get(name) {
            value.clone_from(given);
        }
    }

    let mut errors = Vec::new();
    for statement in statements {
        let Instruction::Arg(arg) = &statement.instruction else { continue };
        for definition in &arg.definitions {
            let name = &definition.name.text;
            globals.declared.insert(name.clone());
            let given = options.build_args.get(name).cloned();
            let value = match (given, &definition.default) {
                (Some(given), _) => given,
                (None, Some(default)) => match expand(lexer, default, &globals) {
                    Ok(expanded) => expanded.text,
                    Err(error) => {
                        errors.push(error.within(statement.span));
                        continue;
                    }
                },
                (None, None) => continue,
            };
            globals.values.insert(name.clone(), value);
        }
    }
    if errors.is_empty() { Ok(globals) } else { Err(errors) }
}

/// Returns a warning for each build arg that no ARG of the file declares (B7-07).
pub(super) fn undeclared(
    options: &LowerOptions,
    statements: &[Statement],
    also: &[String],
) -> Vec<Diagnostic> {
    let declared: Vec<&str> = statements
        .iter()
        .filter_map(|statement| match &statement.instruction {
            Instruction::Arg(arg) => Some(arg),
            Instruction::Onbuild(onbuild) => match &onbuild.trigger.instruction {
                Instruction::Arg(arg) => Some(arg),
                _ => None,
            },
            _ => None,
        })
        .flat_map(|arg| arg.definitions.iter().map(|definition| definition.name.text.as_str()))
        .chain(also.iter().map(String::as_str))
        .collect();
    let known =
        |name: &str| declared.contains(&name) || PREDEFINED.contains(&name.to_uppercase().as_str());
    let unknown = options.build_args.keys().filter(|name| !known(name));
    unknown
        .map(|name| {
            let message = format!("The build argument `{name}` is not declared by any ARG");
            let message = with_suggestion(message, name, &declared, true);
            let mut warning = Diagnostic::error_in_file(message);
            warning.severity = gantry_parser::Severity::Warning;
            warning.code = Some("UndeclaredBuildArg");
            let meant = did_you_mean(name, &declared, true);
            warning.with_hint(match meant {
                Some(meant) => format!("Use `--build-arg {meant}=…`, or add `ARG {name}`"),
                None => format!("Add `ARG {name}` to the stage that uses it"),
            })
        })
        .collect()
}
