//! Executor: a build, from a request to an image, an archive or a directory.
//!
//! Where parser, solver, store and sandbox meet. [`build`] is the one door: it needs no terminal,
//! prints nothing, reads no environment (but for what it hands on to `git`, `ssh-agent` and
//! proxies), and tells what happens as the solver's [`Event`](gantry_solver::Event)s. What runs is
//! the solver's decision; here is how.
//!
//! ```text
//! request, image_options, outcome, error
//!            what is asked for, what comes out, why nothing does
//! attest     what is said about a result: provenance, bills of materials
//! build      the way: contexts → Dockerfile → graph → solved → outputs
//! inputs     the contexts, the Dockerfile in them, their ignore files
//! resolve    solver::Resolve: names of images
//! store      solver::Store: records, leases, locks
//! work/      solver::Work: one file an operation
//! registry/  images from registries and to them
//! diffs      diff IDs in the background
//! export/    the outputs
//! explore    what a context holds, and who uses it
//! remote/    caches elsewhere
//! objects/   those in buckets and in GitHub Actions
//! history/   what happened in builds, for later
//! several    the same with each of several things, a few at once
//! ```
//!
//! Deliberately absent: anything that a build without misses doesn't need. It mounts nothing,
//! opens no connection, unpacks nothing and enters no user namespace.
#![forbid(unsafe_code)]

mod attest;
mod build;
mod diffs;
mod error;
mod explore;
mod export;
mod history;
mod image_options;
mod inputs;
mod objects;
mod outcome;
pub mod registry;
mod remote;
mod request;
mod resolve;
mod several;
mod store;
mod work;

pub use attest::{Attestations, Provenance, ProvenanceMode, Sbom, SlsaVersion};
pub use build::{PlannedStep, build, plan};
pub use error::{BuildError, Class, ContextError, DockerfileError, StepFailure, StepFailures};
pub use explore::{ContextFile, Explored, explore};
pub use export::{ExportError, TarReader, Target};
pub use gantry_cache::remote::Form as CacheForm;
pub use history::{
    BuildRecord, Chunk, HistoryError, Outcome, PastBuild, StepLog, StepRecord, StepStatus,
    StepTime, Timing,
};
pub use image_options::{
    Annotation, AnnotationPlace, AttestationOptions, ConfigChanges, ImageOptions, LayerCompression,
};
pub use objects::{GhaPlace, GhaVersion, S3Keys, S3Place};
pub use outcome::{BuildOutcome, BuiltImage, Stats};
pub use remote::{CacheMode, CachePlace, CacheTarget};
pub use request::{
    BuildRequest, ContextSource, DefaultNetwork, Dest, DockerfileSource, Entitlements,
    NamedContext, OnFail, Output, Secret, Snapshotter, SshAgent,
};
pub use several::each;
pub use work::indexes;
