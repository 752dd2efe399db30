//! From a [`Spec`] to a running [`Child`].

use crate::{Child, SpawnError, Spec};

/// Starts a process as PID 1 of new namespaces and returns once its program runs.
///
/// Blocks for about 3 ms; call it off the async threads. A failure leaves nothing behind.
///
/// # Errors
/// [`SpawnError`] says what of the spec or of the host stood in the way.
pub fn spawn(spec: Spec) -> Result<Child, SpawnError> {
    let _ = spec;
    todo!()
}
