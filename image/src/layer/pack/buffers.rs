//! Buffers that go round: from who reads to who digests, and back.

use std::sync::{Mutex, PoisonError};

/// Those that nobody uses right now. Fresh memory for each piece would have to be mapped and zeroed
/// by the kernel, which takes longer than filling it.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Returns a buffer with nothing in it.
    pub(super) fn empty(&self) -> Vec<u8> {
        let mut buffer = self.any();
        buffer.clear();
        buffer
    }

    /// Returns a buffer of this length. What is in it is left over from something.
    pub(super) fn of(&self, length: usize) -> Vec<u8> {
        let mut buffer = self.any();
        buffer.resize(length, 0);
        buffer
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            self.lock().push(buffer);
        }
    }

    fn any(&self) -> Vec<u8> {
        self.lock().pop().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
