//! How a child ended before its program: written by it into the parent's memory.

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::error::Step;

/// How the child ended, written by it into the parent's memory.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    step: AtomicU32,
    item: AtomicU32,
    errno: AtomicI32,
}

impl Outcome {
    /// Called by the child, last of all.
    pub(super) fn report(&self, failure: &Failure) {
        self.item.store(failure.item as u32, Ordering::Release);
        self.errno.store(failure.errno, Ordering::Release);
        self.step.store(failure.step as u32, Ordering::Release);
    }

    /// What went wrong, if the child reported something.
    pub(crate) fn failure(&self) -> Option<(Step, usize, io::Error)> {
        let step = Step::from_number(self.step.load(Ordering::Acquire))?;
        let item = self.item.load(Ordering::Acquire) as usize;
        Some((step, item, io::Error::from_raw_os_error(self.errno.load(Ordering::Acquire))))
    }
}

/// What went wrong, without anything on the heap.
pub(super) struct Failure {
    step: Step,
    item: usize,
    errno: i32,
}

/// Names the step that a call belongs to.
pub(super) trait At<T> {
    fn at(self, step: Step) -> Result<T, Failure>;
    fn at_item(self, step: Step, item: usize) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.at_item(step, 0)
    }

    fn at_item(self, step: Step, item: usize) -> Result<T, Failure> {
        // An `io::Error` of a raw number holds no heap memory.
        self.map_err(|error| Failure {
            step,
            item,
            errno: error.into().raw_os_error().unwrap_or(0),
        })
    }
}
