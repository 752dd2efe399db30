//! What is told while images travel.

use gantry_image::Digest;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Moment {
    /// It is known which layers there are, lowest first: by their digests in a pull, by their
    /// diff IDs in a push.
    Layers(Vec<Digest>),
    /// Bytes of a layer have come or gone.
    Progress {
        /// Which layer.
        layer: Digest,
        /// How many so far.
        current: u64,
        /// Of how many.
        total: u64,
    },
    /// A layer is there already, and nothing travels.
    Exists(Digest),
    /// A pulled layer is in the store.
    Pulled(Digest),
    /// A pushed layer is in the registry.
    Pushed(Digest),
    /// The registry had a layer in another repository.
    Mounted {
        /// Which layer.
        layer: Digest,
        /// Which repository.
        from: String,
    },
    /// A layer is not pushed: its manifest says where it can be fetched.
    Foreign(Digest),
}

/// Is told of every [`Moment`], on whatever thread it happens; must return soon.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn moment(&self, moment: Moment);
}

/// Nobody looks.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn moment(&self, _: Moment) {}
}
