//! The client of registries: OCI's distribution API, and what docker's adds to it.
//!
//! ```text
//! client        Client, Repository: where everything begins
//! settings      what a client is made of; nothing of it is looked up here
//! hosts/        mirrors, certificates, plain http, and the files that tell of them
//! credentials/  config.json, auth.json, helpers; login and logout
//! auth/         challenges, scopes, token servers
//! send, retry   one request: proof, redirects, tries
//! direct        which hosts are reached without a proxy
//! transport     connections: TLS, proxies, silence
//! guard         addresses that are never connected to
//! manifest      manifests by tag or digest, both ways
//! blob, reader  blobs down: streamed, resumed, verified
//! incoming      counted bytes that go on where an answer broke off, for blob and web
//! upload, body  blobs up: asked for, mounted, sent, resumed
//! list          tags, repositories, searching
//! referrers     what refers to a manifest; deleting
//! web           requests to other servers, such as object stores
//! error         what goes wrong
//! ```
//!
//! A registry is hostile here: what it sends is bounded before it is kept and verified before it
//! counts, and what is secret goes to the host that it belongs to and to no other.
//!
//! ```no_run
//! # async fn example() -> Result<(), gantry_image::registry::RegistryError> {
//! use gantry_image::registry::{Client, Settings};
//!
//! let client = Client::new(Settings::default());
//! let reference = "localhost:5000/app:1".parse().unwrap();
//! let manifest = client.manifest(&reference).await?;
//! let repository = client.repository(&reference);
//! for layer in &manifest.image().unwrap().layers {
//!     let mut blob = repository.blob(layer).await?;
//!     while let Some(_bytes) = blob.chunk().await? {}
//! }
//! # Ok(())
//! # }
//! ```

pub mod credentials;

mod auth;
mod blob;
mod body;
mod client;
mod direct;
mod error;
mod guard;
mod hosts;
mod incoming;
mod link;
mod list;
mod manifest;
mod range;
mod reader;
mod referrers;
mod retry;
mod send;
mod settings;
mod transport;
mod upload;
mod web;

pub use self::blob::Blob;
pub use self::body::BlobSource;
pub use self::client::{Client, Repository};
pub use self::error::{CredentialsError, RegistryError, Said, Used};
pub use self::guard::{Guarded, link_local};
pub use self::hosts::{ClientCertificate, HostSettings, Hosts, Security};
pub use self::list::Hit;
pub use self::manifest::{MANIFEST_LIMIT, MANIFEST_TYPES, Manifest, Target};
pub use self::reader::BlobReader;
pub use self::referrers::Deleted;
pub use self::settings::{Event, Observer, Proxies, Retry, Settings};
pub use self::upload::Pushed;
pub use self::web::{Patience, WebAnswer, WebDownload, WebError, WebRequest, lead};
