//! Dockerfile text to instructions with spans: the grammar, and everything that is pure text.
//!
//! [`parse`] never stops at the first error: it yields the instructions that are well formed and
//! a [`Diagnostic`] for everything else, each with the bytes it is about. Words that may hold
//! variables stay as written; [`expand`] turns them into values later, when the environment is
//! known. Nothing in this crate opens a file, and nothing in it knows another room.

#![forbid(unsafe_code)]

pub mod ast;
mod diagnostic;
mod source;
mod span;

mod grammar;

pub mod chmod;
pub mod duration;
pub mod expand;
pub mod glob;
pub mod go;
pub mod heredoc;
pub mod ignore;
pub mod lint;
pub mod mount;
pub mod port;
pub mod remote;
pub mod signal;
pub mod suggest;

pub use ast::{Dockerfile, Instruction, Statement};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use grammar::format;
pub use grammar::{Parsed, detect_syntax, parse, parse_change, parse_check, parse_trigger};
pub use source::{Position, SourceFile};
pub use span::{Span, Spanned, Word};
pub use suggest::did_you_mean;
