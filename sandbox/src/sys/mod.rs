//! Every unsafe line of the workspace: thin wrappers around system calls.
