//! The layers of a root filesystem.

use std::{hash::Hash, sync::Arc};

use super::LayerRef;

/// The layers of a root filesystem, lowest first, those of all parents included.
///
/// What steps put on top of each other shares what lies below, so a chain of steps takes as much
/// memory as it has layers.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    top: Option<Arc<Part>>,
    id: [u8; 32],
}

/// What one step put on top.
#[derive(Debug)]
struct Part {
    below: Option<Arc<Part>>,
    own: Box<[LayerRef]>,
    /// How many layers there are up to here.
    count: usize,
}

impl Snapshot {
    /// Returns the layers, lowest first: put together by each call.
    #[must_use]
    pub fn layers(&self) -> Vec<LayerRef> {
        let mut layers = Vec::with_capacity(self.top.as_ref().map_or(0, |part| part.count));
        let mut next = self.top.as_ref();
        while let Some(part) = next {
            layers.extend(part.own.iter().rev());
            next = part.below.as_ref();
        }
        layers.reverse();
        layers
    }

    /// Returns this snapshot with `own` on top.
    #[must_use]
    pub fn with(&self, own: &[LayerRef]) -> Snapshot {
        if own.is_empty() {
            return self.clone();
        }
        let below = self.top.clone();
        let count = below.as_ref().map_or(0, |part| part.count) + own.len();
        let top = Some(Arc::new(Part { below, own: own.into(), count }));
        Snapshot { top, id: own.iter().fold(self.id, step) }
    }

    /// Returns a digest of the names of all layers: what a record says it was made on top of.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.id
    }
}

/// A chain, so that a layer on top costs one hash of 64 bytes however many lie below.
fn step(id: [u8; 32], layer: &LayerRef) -> [u8; 32] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&id);
    bytes[32..].copy_from_slice(&layer.0);
    *blake3::hash(&bytes).as_bytes()
}

/// Snapshots are equal if their layers are, however they were put together.
impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Snapshot {}

impl Hash for Snapshot {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl FromIterator<LayerRef> for Snapshot {
    fn from_iter<I: IntoIterator<Item = LayerRef>>(layers: I) -> Self {
        Snapshot::default().with(&layers.into_iter().collect::<Vec<_>>())
    }
}

/// One after the other: the parts of a long chain, each ending the one below, would need a long
/// stack.
impl Drop for Part {
    fn drop(&mut self) {
        let mut next = self.below.take();
        while let Some(mut part) = next.and_then(Arc::into_inner) {
            next = part.below.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(from: u32, to: u32) -> Vec<LayerRef> {
        (from..to)
            .map(|number| {
                let mut name = [0; 32];
                name[..4].copy_from_slice(&number.to_be_bytes());
                LayerRef(name)
            })
            .collect()
    }

    #[test]
    fn a_snapshot_is_its_layers_however_it_grew() {
        let (all, low) = (layers(0, 7), layers(0, 3));
        let at_once: Snapshot = all.iter().copied().collect();
        let base: Snapshot = low.iter().copied().collect();
        let grown = base.with(&[]).with(&all[3..4]).with(&all[4..]);
        assert_eq!((grown.layers(), base.layers()), (all, low));
        assert_eq!(grown, at_once);
        assert_eq!(grown.id(), at_once.id());
        assert_ne!(grown, base);
        assert_eq!(Snapshot::default().layers(), []);
    }

    #[test]
    fn a_very_long_chain_ends_on_a_small_stack() {
        let chain = || {
            let mut snapshot = Snapshot::default();
            let mut middle = Snapshot::default();
            for layer in layers(0, 200_000) {
                snapshot = snapshot.with(&[layer]);
                if layer.0[1..3] == [1, 0] {
                    middle = snapshot.clone();
                }
            }
            assert_eq!(snapshot.layers().len(), 200_000);
            drop(snapshot);
            assert!(middle.layers().len() > 60_000);
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(chain).unwrap();
        thread.join().unwrap();
    }
}
