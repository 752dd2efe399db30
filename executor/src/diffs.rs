//! Diff IDs in the background: a layer's tar is hashed while later steps run.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gantry_cache::{LayerId, Store};

/// Computes diff IDs on a thread of its own, which starts with the first layer.
///
/// What it computes is remembered by the store; whoever needs a diff ID asks there. Dropping it
/// ends the work on the current layer at once.
pub(crate) struct Diffs {
    store: Store,
    clamp: Option<i64>,
    stop: Arc<AtomicBool>,
    worker: Mutex<Option<(Sender<LayerId>, JoinHandle<()>)>>,
}

impl std::fmt::Debug for Diffs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Diffs").field("clamp", &self.clamp).finish_non_exhaustive()
    }
}

impl Diffs {
    /// Will compute diff IDs with times clamped as `clamp` says. Starts nothing yet.
    pub(crate) fn new(store: Store, clamp: Option<i64>) -> Self {
        Self { store, clamp, stop: Arc::default(), worker: Mutex::default() }
    }

    /// Has the diff IDs of some layers computed.
    pub(crate) fn start(&self, layers: impl Iterator<Item = LayerId>) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            let (sender, receiver) = channel();
            let (store, clamp, stop) = (self.store.clone(), self.clamp, Arc::clone(&self.stop));
            let work = move || work(&store, clamp, &stop, &receiver);
            // Without a thread, whoever needs a diff ID computes it.
            let Ok(thread) = std::thread::Builder::new().name("gantry-diff".into()).spawn(work)
            else {
                return;
            };
            *worker = Some((sender, thread));
        }
        if let Some((sender, _)) = &*worker {
            layers.for_each(|layer| {
                // Only a worker that panicked hears nothing.
                let _ = sender.send(layer);
            });
        }
    }

    /// Waits until all that was started is done.
    pub(crate) fn wait(&self) {
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((sender, thread)) = worker {
            drop(sender);
            // One that panicked computed nothing; it is computed again by whoever needs it.
            let _ = thread.join();
        }
    }
}

impl Drop for Diffs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wait();
    }
}

fn work(store: &Store, clamp: Option<i64>, stop: &AtomicBool, layers: &Receiver<LayerId>) {
    while let Ok(layer) = layers.recv() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let known = store.layers().get(&layer).ok().flatten();
        if known.is_some_and(|layer| layer.diff_id(clamp).is_none()) {
            // A failure comes again, and is told, where the diff ID is needed.
            let _ = store.layers().tar_stream(&layer, clamp, &mut Until(stop));
        }
    }
}

/// Swallows bytes until told to stop.
struct Until<'a>(&'a AtomicBool);

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("the build ended"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
