//! What can be mounted here: tried once, and remembered by the store for the processes to come.

use gantry_cache::Store;
use gantry_sandbox::{Host, Overlay};

/// The store's hint of that.
const HINT: &str = "mounting";

/// Whether overlay can be mounted in the store.
pub(super) fn overlay(store: &Store, host: &Host) -> Overlay {
    remembering(store, host, |host| host.overlay(store.root()))
}

/// Whether layers of the store can be used without being unpacked, as far as the host is concerned.
pub fn indexes(store: &Store, host: &Host) -> bool {
    remembering(store, host, |host| host.index(store.root()).is_ok())
}

/// Has the next process try anew: something could not be mounted after all.
pub(super) fn forget(store: &Store) {
    store.set_hint(HINT, None);
}

fn remembering<T>(store: &Store, host: &Host, ask: impl FnOnce(&Host) -> T) -> T {
    let hint = store.hint(HINT);
    if let Some(text) = &hint {
        host.recall(store.root(), text);
    }
    let answer = ask(host);
    let memory = host.memory(store.root());
    if memory.is_some() && memory != hint {
        store.set_hint(HINT, memory.as_deref());
    }
    answer
}
