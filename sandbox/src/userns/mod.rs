//! Becoming root of a user namespace by running this program again in one.

use std::process::ExitStatus;

use crate::SandboxError;

/// Set in the environment of a re-executed program.
pub const USERNS_MARKER: &str = "GANTRY_USERNS";

/// Runs this program again (same arguments and environment, and [`USERNS_MARKER`]) as root of a
/// new user and mount namespace, and returns how it ended.
///
/// IDs are mapped by `newuidmap` and `newgidmap` where the user has subordinate IDs, else only
/// the caller's own. Signals are forwarded; it stays in this process group and terminal, and
/// ends if this process is killed. Call it early and do nothing else: it takes over the handlers
/// of the signals that it forwards.
///
/// # Errors
/// [`SandboxError`]; the program has not run then.
pub fn reexec_in_user_namespace() -> Result<ExitStatus, SandboxError> {
    todo!()
}
