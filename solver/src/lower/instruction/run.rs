//! `RUN`: a process in a container on top of the stage.

use gantry_parser::{
    Diagnostic,
    ast::{Network as WrittenNetwork, Run, Script, Security as WrittenSecurity},
    expand::Lexer,
    heredoc,
};

use crate::{
    lower::{
        Lowering,
        instruction::mount,
        stage::{State, Step},
        title,
    },
    op::{InlineFile, Mount, Network, Op, Security},
};

/// The body is never expanded: variables are in the environment of the process.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    run: &Run,
) -> Result<(), Diagnostic> {
    if let Some(device) = run.devices.first() {
        let message = "`RUN --device` is not supported";
        return Err(Diagnostic::error(message, device.name.span)
            .with_hint("Remove the flag; gantry gives no devices to build steps yet"));
    }
    if run.command.is_empty() && run.heredocs.is_empty() {
        let span = step.command.statement.keyword.span;
        return Err(Diagnostic::error("RUN requires at least one argument", span)
            .with_hint("Write it like `RUN make`"));
    }
    let (mounts, inputs) = mount::lower(lowering, state, step, run)?;
    let mut op = state.run_op(lowering);
    (op.argv, op.script) = match run.script() {
        Script::Exec(argv) => (argv.into_iter().map(Into::into).collect(), None),
        Script::Shell(text) => (state.in_shell(&text), None),
        Script::File { name, content } => {
            // By the shell, as BuildKit does, and its history says.
            let argv = state.in_shell(&format!("/dev/pipes/{name}"));
            (argv, Some(InlineFile { name, content: content.into() }))
        }
    };
    match run.network.map(|network| network.value) {
        None | Some(WrittenNetwork::Default) => {}
        Some(WrittenNetwork::None) => op.network = Network::None,
        Some(WrittenNetwork::Host) => op.network = Network::Host,
    }
    match run.security.map(|security| security.value) {
        None | Some(WrittenSecurity::Sandbox) => {}
        Some(WrittenSecurity::Insecure) => op.security = Security::Insecure,
    }
    op.mounts = mounts;
    let title = title_of(lowering, state, step, run, &op.mounts);
    let prefix = state.variables.history_prefix();
    let length: usize = op.argv.iter().map(|word| word.len() + 1).sum();
    let mut created_by = String::with_capacity(prefix.len() + length + 16);
    for part in ["RUN ", &*prefix] {
        created_by.push_str(part);
    }
    for (number, word) in op.argv.iter().enumerate() {
        created_by.push_str(if number == 0 { "" } else { " " });
        created_by.push_str(word);
    }
    created_by.push_str(" # buildkit");
    state.push(lowering, step, Op::Run(Box::new(op)), title, inputs, created_by);
    Ok(())
}

/// Variables are shown expanded where they are set, quotes stay; a secret shows as stars (B5-13).
fn title_of(
    lowering: &Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
    run: &Run,
    mounts: &[Mount],
) -> String {
    let secrets: Vec<String> = mounts
        .iter()
        .filter_map(|mount| match mount {
            Mount::Secret { env, .. } => env.clone(),
            _ => None,
        })
        .collect();
    let lexer = Lexer { raw_quotes: true, keep_unset: true, ..lowering.lexer };
    let written = &step.command.statement.text;
    let mut text = title::text(lexer, state, "RUN", written, &secrets);
    if let Some(first) = run.heredocs.first() {
        let line = match &run.command {
            gantry_parser::ast::CommandLine::Shell(line) => line.text.as_str(),
            gantry_parser::ast::CommandLine::Exec(_) => "",
        };
        if heredoc::parse_word(line).is_some() {
            text.to_mut().push_str(&format!(" ({})", summary(&first.raw)));
        }
    }
    let title = state.counter.title(&text, step.command.origin, &state.variables);
    state.counter.count();
    title
}

/// Returns the first line of a here-document, with dots if there are more.
fn summary(body: &str) -> String {
    let mut lines = body.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first}...") } else { first.to_owned() }
}
