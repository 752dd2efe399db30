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
pub(crate) use resolve::{Outputs, Wanted, resolve};
pub(crate) use spec::OutputSpec;

use gantry_image::Reference;

/// The registries that outputs with `registry.insecure=true` are pushed to, each by host and port.
pub(crate) fn insecure_registries(specs: &[OutputSpec], tags: &[String]) -> Vec<String> {
    let insecure = specs.iter().filter(|spec| spec.insecure && spec.push);
    let names = insecure.flat_map(|spec| match spec.names.is_empty() || !tags.is_empty() {
        true => tags,
        false => &spec.names[..],
    });
    let domain = |name: &String| Some(name.parse::<Reference>().ok()?.domain().to_owned());
    names.filter_map(domain).collect()
}
