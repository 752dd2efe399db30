//! Becoming root of a user namespace, for commands that make trees, mounts or containers.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use gantry_sandbox::{Host, USERNS_MARKER, reexec_in_user_namespace};

use crate::ui::Failure;

/// Runs the whole program again in a user namespace if this process can't do without one.
///
/// Returns how that ended, or `None` if this process can go on itself.
///
/// # Errors
/// The namespace can't be made.
pub(crate) fn escalate(host: &Host) -> Result<Option<ExitCode>, Failure> {
    if !host.needs_user_namespace() {
        return Ok(None);
    }
    Ok(Some(again()?))
}

/// Whether this process is the one that was run again, so that all it has to say before it starts
/// was said by the first.
pub(crate) fn is_second_run() -> bool {
    std::env::var_os(USERNS_MARKER).is_some()
}

/// Runs the whole program again in a user namespace.
///
/// # Errors
/// The namespace can't be made.
pub(crate) fn again() -> Result<ExitCode, Failure> {
    let status = reexec_in_user_namespace().map_err(|err| {
        Failure::new(err).with_hint("`gantry info` says what this host lacks for ordinary users")
    })?;
    Ok(exit_code(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))))
}

/// An exit code as a shell counts them.
pub(crate) fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
