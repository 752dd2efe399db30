//! `argv` and `envp` in the form that the kernel takes.

use std::ffi::{CStr, CString, c_char};
use std::io;

use super::raw;

/// `argv` and `envp` as `execve` wants them, with the strings they point to.
pub(crate) struct Strings {
    _owned: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

// SAFETY: the pointers lead into `_owned`, which is never changed after construction, so sharing
// or moving them to another thread is as fine as sharing or moving the strings.
unsafe impl Sync for Strings {}
// SAFETY: as above; the heap memory of a `CString` does not move with it.
unsafe impl Send for Strings {}

impl Strings {
    /// Lays both out.
    pub(crate) fn new(argv: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |strings: &[CString]| {
            strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let (argv_pointers, envp) = (pointers(&argv), pointers(&env));
        Self { _owned: argv.into_iter().chain(env).collect(), argv: argv_pointers, envp }
    }

    /// Executes `path`; returns only to fail.
    pub(crate) fn execute(&self, path: &CStr) -> io::Error {
        // SAFETY: both arrays end with a null pointer and point to strings owned by `self`.
        unsafe { raw::execve(path, self.argv.as_ptr(), self.envp.as_ptr()) }
    }
}
