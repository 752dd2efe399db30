//! The image that a target is built upon.

use gantry_image::{Digest, Reference};
use gantry_solver::op::ImageOp;
use gantry_solver::{Op, VertexId};

use super::Ready;
use crate::attest::image_digest;
use crate::work::Executor;

/// The names of the annotations, from the OCI image specification's pre-defined keys.
const NAME: &str = "org.opencontainers.image.base.name";
const DIGEST: &str = "org.opencontainers.image.base.digest";

impl Ready {
    /// The ID of the image that a target is built upon, if it is one.
    pub(super) fn base_image(&self, target: VertexId) -> Option<Digest> {
        self.base_op(target)?.config.parse().ok()
    }

    /// That image as annotations tell it: its full name, if it has one, and the digest by which it
    /// is known where it came from.
    pub(super) fn base_annotations(
        &self,
        executor: &Executor,
        target: VertexId,
    ) -> Vec<(String, String)> {
        let Some(op) = self.base_op(target) else { return Vec::new() };
        let name = op.reference.parse::<Reference>().ok().map(|reference| {
            let tagged = reference.with_default_tag();
            match tagged.tag() {
                Some(tag) => format!("{}:{tag}", tagged.name()),
                None => tagged.name(),
            }
        });
        let digest = image_digest(executor, op).map(|digest| digest.to_string());
        let pairs = [(NAME, name), (DIGEST, digest)];
        pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    fn base_op(&self, target: VertexId) -> Option<&ImageOp> {
        let mut vertex = Some(target);
        while let Some(at) = vertex {
            if let Op::Image(op) = &self.graph.vertex(at).op {
                return Some(op);
            }
            vertex = self.graph.base(at);
        }
        None
    }
}
