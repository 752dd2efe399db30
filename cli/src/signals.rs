//! Signals: asked for once by a command that has something to end properly.
//!
//! Commands that don't ask die of them at once, which is safe: the store survives being killed.

use std::io;
use std::task::Poll;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that ask a program to end.
pub(crate) fn ending() -> [SignalKind; 4] {
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()]
}

/// Calls `hear` with the number of each of these signals that comes from now on, on a thread of
/// its own, for as long as the process lives.
///
/// # Errors
/// When the handlers or the thread can't be set up; nothing is changed about most of them then.
pub(crate) fn watch(
    kinds: &[SignalKind],
    mut hear: impl FnMut(i32) + Send + 'static,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut streams = Vec::with_capacity(kinds.len());
    {
        // Handlers are in place when this returns, not some time later.
        let _guard = runtime.enter();
        for kind in kinds {
            streams.push((kind.as_raw_value(), signal(*kind)?));
        }
    }
    let listen = move || {
        runtime.block_on(std::future::poll_fn(|context| {
            for (number, stream) in &mut streams {
                while let Poll::Ready(Some(())) = stream.poll_recv(context) {
                    hear(*number);
                }
            }
            Poll::<()>::Pending
        }));
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
    Ok(())
}
