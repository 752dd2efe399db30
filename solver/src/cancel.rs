//! Cancelling: one flag that threads can poll, tasks can await, and children inherit.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

type Hook = Box<dyn FnOnce() + Send>;

/// Asks for an early end. Clones are the same token; once canceled it stays canceled.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Inner>);

#[derive(Default)]
struct Inner {
    canceled: AtomicBool,
    notify: Notify,
    hooks: Mutex<Vec<Hook>>,
}

impl CancelToken {
    /// Makes a token that nobody has canceled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a token that is canceled with this one, or alone.
    #[must_use]
    pub fn child(&self) -> CancelToken {
        let child = CancelToken::new();
        let weak = Arc::downgrade(&child.0);
        self.on_cancel(move || {
            if let Some(inner) = weak.upgrade() {
                CancelToken(inner).cancel();
            }
        });
        child
    }

    /// Cancels. The first call runs the hooks, on the calling thread.
    pub fn cancel(&self) {
        let hooks = {
            // The flag changes under the lock, so that a hook is either in the list or sees it.
            let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.canceled.store(true, Ordering::SeqCst);
            std::mem::take(&mut *hooks)
        };
        self.0.notify.notify_waiters();
        for hook in hooks {
            hook();
        }
    }

    /// Returns whether the token was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.canceled.load(Ordering::SeqCst)
    }

    /// Runs `hook` when the token is canceled; at once if it already is.
    ///
    /// This is how a thread that waits for a process gets it killed.
    pub fn on_cancel(&self, hook: impl FnOnce() + Send + 'static) {
        {
            let mut hooks = self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_canceled() {
                hooks.push(Box::new(hook));
                return;
            }
        }
        hook();
    }

    /// Waits until the token is canceled.
    pub async fn canceled(&self) {
        let notified = self.0.notify.notified();
        tokio::pin!(notified);
        // Registers before the flag is read, else a cancel between the two would be slept through.
        notified.as_mut().enable();
        if !self.is_canceled() {
            notified.await;
        }
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("canceled", &self.is_canceled()).finish()
    }
}
