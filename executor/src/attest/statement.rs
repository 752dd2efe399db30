//! In-toto statements: who is spoken of, and what is said.

use std::collections::BTreeMap;

use gantry_image::json::to_go_vec;
use gantry_image::{Digest, Platform, Reference};
use serde::Serialize;
use serde_json::Value;

use super::purl;
use super::slsa::{Slsa1, Slsa02};

/// Something that is to be said.
#[derive(Debug, Clone)]
pub(crate) struct Predicate {
    /// The file that it becomes where files are written, such as `provenance.json`.
    pub(crate) path: String,
    pub(crate) kind: String,
    /// Whom it speaks of; the result of the build if nobody.
    pub(crate) subjects: Vec<Subject>,
    pub(crate) body: Body,
    /// Only images in a store or a registry get it.
    pub(crate) inline_only: bool,
}

/// What is said. Keys stand in the order of Go's structs, which is why it is no plain JSON value.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Body {
    V1(Box<Slsa1>),
    V02(Box<Slsa02>),
    Json(Value),
}

/// Whom a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    pub(crate) name: String,
    /// By algorithm.
    pub(crate) digest: BTreeMap<String, String>,
}

impl Subject {
    pub(crate) fn new(name: impl Into<String>, digest: &Digest) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), digest.hex())]);
        Self { name: name.into(), digest }
    }

    /// An image under each of its names; one without a name is called `_`.
    pub(crate) fn of_image(
        names: &[Reference],
        platform: &Platform,
        manifest: &Digest,
    ) -> Vec<Self> {
        if names.is_empty() {
            return vec![Self::new("_", manifest)];
        }
        let url = |name: &Reference| purl::of_image("docker", name, Some(platform));
        names.iter().map(|name| Self::new(url(name), manifest)).collect()
    }
}

#[derive(Serialize)]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    #[serde(rename = "predicateType")]
    predicate_type: &'a str,
    subject: &'a [Subject],
    predicate: &'a Body,
}

impl Predicate {
    /// Writes the statement that says it of `subjects`, unless it names its own.
    pub(crate) fn statement(&self, subjects: &[Subject], pretty: bool) -> Vec<u8> {
        let subject = if self.subjects.is_empty() { subjects } else { &self.subjects };
        let statement = Statement {
            kind: "https://in-toto.io/Statement/v0.1",
            predicate_type: &self.kind,
            subject,
            predicate: &self.body,
        };
        to_go_vec(&statement, pretty)
    }
}
