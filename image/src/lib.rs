//! The image room: the words of OCI and docker, and the bytes they stand for.
//!
//! Knows [`gantry_tree`] and nothing else. Builds nothing, mounts nothing, and does not know where
//! the store keeps things: it reads from readers, writes to writers, and unpacks below a
//! [`gantry_tree::Root`] that it is given.
//!
//! ```text
//! digest       Digest, DiffId; readers and writers that hash what passes through
//! reference    names of images: docker's normalisation, its error texts, the familiar form
//! platform     os/arch/variant: containerd's normalisation and order of preference
//! media_type   what a blob is; the one table of media types
//! json         JSON as Go writes it, and `Raw<T>`: parsed value beside the exact bytes
//! config       the image config (what an image ID is the digest of)
//! manifest     image manifests and descriptors
//! index        image indexes, choosing a platform out of one
//! datetime     RFC 3339 times as configs hold them
//! units        sizes as docker prints them
//! compress/    sniffing, decompressing, deterministic parallel compressing
//! layer/       tree manifest -> tar, tar -> tree (hostile input)
//! archive/     docker archives and OCI layouts, both ways (hostile input)
//! registry/    the client of registries (hostile answers)
//! ```
//!
//! Nothing that was read is ever serialised again before it is digested: [`Raw`] keeps the bytes.
#![forbid(unsafe_code)]

pub mod archive;
pub mod compress;
pub mod config;
pub mod datetime;
pub mod digest;
pub mod index;
pub mod json;
pub mod layer;
pub mod manifest;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod registry;
pub mod units;

pub use config::{Config, Healthcheck, History, ImageConfig, RootFs};
pub use datetime::DateTime;
pub use digest::{DiffId, Digest, Hasher};
pub use index::ImageIndex;
pub use json::{ParseJsonError, Raw};
pub use manifest::{Descriptor, ImageManifest};
pub use media_type::MediaType;
pub use platform::Platform;
pub use reference::Reference;
