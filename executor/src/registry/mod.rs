//! Images from registries and to them: between the client of the `image` room and the store.
//!
//! ```text
//! remote    the client as this room uses it: blocking, made when somebody first asks
//! watch     what is told while images travel
//! pull      a reference → manifest → config and layers → an image of the store
//! found     what a reference came to, made an image of the store
//! fetch     layers, several at once
//! lazy      layers that come when something needs them
//! layer     one layer: network → blob and tree in one pass
//! push      an image of the store → blobs → manifest
//! bill      the manifest of an image, and that its blobs can be had
//! listing   an index of the store as it is pushed
//! upload    layers on their way out, several at once
//! sending   the bytes of blobs on their way out
//! cache     a build cache in a repository
//! copy      from one repository to another
//! error     what goes wrong, in docker's words where people know them
//! ```
//!
//! Nothing of a layer has a name before its digests are known to be right: a pull that fails leaves
//! whole layers, and no image. Memory does not grow with the size of blobs.

mod bill;
mod cache;
mod copy;
mod error;
mod fetch;
mod found;
mod layer;
mod lazy;
mod listing;
mod pull;
mod push;
mod remote;
mod sending;
mod upload;
mod watch;

pub(crate) use self::bill::Bill;
pub use self::bill::restore_layer;
pub(crate) use self::cache::RegistryCache;
pub use self::error::TransferError;
pub use self::lazy::Fetcher;
pub(crate) use self::lazy::Lazy;
pub use self::pull::{PullRequest, Pulled};
pub use self::push::{PushRequest, Pushed};
pub use self::remote::{Document, Registry};
pub use self::watch::{Moment, Unwatched, Watch};
