//! One file an instruction: how it moves the state of its stage.

mod add;
mod arg;
mod cmd;
mod copy;
mod entrypoint;
mod env;
mod expose;
mod healthcheck;
mod label;
mod maintainer;
mod mount;
mod onbuild;
mod run;
mod shell;
mod stopsignal;
mod transfer;
mod user;
mod volume;
mod workdir;

pub(super) use self::add::remote as remote_source;

use gantry_parser::{Diagnostic, Instruction};

use crate::lower::{
    Lowering,
    stage::{State, Step},
};

/// Lowers one instruction.
///
/// # Errors
/// What is wrong with it; the state is as before then.
pub(super) fn lower(
    lowering: &mut Lowering<'_>,
    state: &mut State,
    step: &Step<'_, '_>,
) -> Result<(), Diagnostic> {
    match &step.command.statement.instruction {
        // A stage begins with its FROM, and triggers hold none.
        Instruction::From(_) => Ok(()),
        Instruction::Arg(arg) => arg::lower(lowering, state, step, arg),
        Instruction::Run(run) => run::lower(lowering, state, step, run),
        Instruction::Copy(copy) => copy::lower(lowering, state, step, copy),
        Instruction::Add(add) => add::lower(lowering, state, step, add),
        Instruction::Env(env) => env::lower(lowering, state, env),
        Instruction::Workdir(workdir) => workdir::lower(lowering, state, step, workdir),
        Instruction::User(user) => user::lower(lowering, state, user),
        Instruction::Cmd(cmd) => cmd::lower(state, cmd),
        Instruction::Entrypoint(entrypoint) => entrypoint::lower(state, entrypoint),
        Instruction::Shell(shell) => shell::lower(state, shell),
        Instruction::Label(label) => label::lower(lowering, state, label),
        Instruction::Expose(expose) => expose::lower(lowering, state, expose),
        Instruction::Volume(volume) => volume::lower(lowering, state, volume),
        Instruction::Stopsignal(signal) => stopsignal::lower(lowering, state, signal),
        Instruction::Healthcheck(check) => healthcheck::lower(state, check),
        Instruction::Onbuild(onbuild) => onbuild::lower(state, onbuild),
        Instruction::Maintainer(maintainer) => maintainer::lower(state, maintainer),
    }
}
