//! Root filesystems that are being unmounted, their sandboxes having ended.
//!
//! Unmounting takes as long as mounting did, and whoever waits for a sandbox has better things to
//! do meanwhile. But what a sandbox wrote is the uppermost layer of the next one: who mounts that
//! waits here, as overlay warns of a directory that two mounts use.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One that is on its way out; gone when dropped.
#[derive(Debug)]
pub(crate) struct Leaving(u64);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    there: BTreeSet<u64>,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { next: 0, there: BTreeSet::new() });
static LEFT: Condvar = Condvar::new();

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Leaving {
    /// Says that one begins to leave.
    pub(crate) fn begin() -> Self {
        let mut queue = queue();
        let number = queue.next;
        queue.next += 1;
        queue.there.insert(number);
        Self(number)
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        queue().there.remove(&self.0);
        LEFT.notify_all();
    }
}

/// Waits until all have left that are leaving now.
pub(crate) fn wait() {
    let queue = queue();
    let newcomer = queue.next;
    let others = |queue: &mut Queue| queue.there.first().is_some_and(|first| *first < newcomer);
    drop(LEFT.wait_while(queue, others).unwrap_or_else(PoisonError::into_inner));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_comes_later_waits_for_those_before_and_for_nobody_else() {
        let (first, left) = (Leaving::begin(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                left.store(true, Ordering::SeqCst);
                drop(first);
            });
            wait();
            assert!(left.load(Ordering::SeqCst), "nobody was waited for");
        });
    }
}
