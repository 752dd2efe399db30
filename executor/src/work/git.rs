//! Git sources: not there yet, and said so.

use super::fault::Fault;

/// The answer to every git source.
pub(super) fn unsupported() -> Fault {
    Fault::refused_with(
        "Git repositories are not supported as sources yet",
        "Clone the repository, and name its directory with `--build-context NAME=DIR`",
    )
}
