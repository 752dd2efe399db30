//! `--output`: what to make of a build's result, in buildx's words (C4).
//!
//! | file | owns |
//! |---|---|
//! | `spec` | an output as typed: its type and its keys |
//! | `image` | the keys of images: compression, media types, annotations |
//! | `annotation` | `--annotation` |
//! | `resolve` | outputs as typed → outputs as meant, `--load` and `--push` included |

mod annotation;
mod image;
mod resolve;
mod spec;

pub(crate) use annotation::parse as parse_annotation;
pub(crate) use resolve::{Wanted, resolve};
pub(crate) use spec::OutputSpec;
