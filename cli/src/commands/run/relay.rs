//! The bytes and signals between this process and the container's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::thread::{self, JoinHandle};

use gantry_cache::Store;
use gantry_runtime::{Running, Streams};
use gantry_sandbox::{ExitStatus, Signal};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::signal::unix::SignalKind;

use super::terminal;
use crate::signals;
use crate::ui::Failure;

/// Connects a container to this process's streams, waits for its end, and tells how it ended.
///
/// All that it wrote has been passed on by then. Signals to this process are passed on to it.
///
/// # Errors
/// When it can't be connected (it is killed then), or its end can't be noted.
pub(super) fn until_the_end(
    mut running: Running,
    streams: Streams,
    store: &Store,
) -> Result<ExitStatus, Failure> {
    let raw = match streams {
        Streams::Terminal { stdin: true, .. } => terminal::Raw::enter()?,
        _ => None,
    };
    let child = running.child();
    let killer = child.killer()?;
    let master = child.take_terminal();
    let resized = master.as_ref().map(File::try_clone).transpose()?;
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::window_change(),
    ];
    signals::watch(&kinds, move |number| {
        if number == SignalKind::window_change().as_raw_value() {
            if let (Some(terminal), Some(size)) = (&resized, terminal::size()) {
                let size =
                    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
                // It may be gone by now, and then it has no size.
                let _ = tcsetwinsize(terminal, size);
            }
        } else {
            // One that has ended needs no signal any more.
            let _ = killer.kill(Signal(number));
        }
    })?;
    let mut copies: Vec<JoinHandle<()>> = Vec::new();
    match (master, streams) {
        (Some(master), Streams::Terminal { stdin, .. }) => {
            if stdin {
                feed(master.try_clone()?)?;
            }
            copies.push(copy("stdout", master, io::stdout())?);
        }
        _ => {
            if let Some(stdin) = child.take_stdin() {
                feed(stdin)?;
            }
            if let Some(stdout) = child.take_stdout() {
                copies.push(copy("stdout", stdout, io::stdout())?);
            }
            if let Some(stderr) = child.take_stderr() {
                copies.push(copy("stderr", stderr, io::stderr())?);
            }
        }
    }
    child.wait();
    for copy in copies {
        // It never panics, and if it did, the container's end would be no less true.
        let _ = copy.join();
    }
    drop(raw);
    Ok(running.finish(store)?)
}

/// Passes stdin on, on a thread that ends with this process: a read can't be called off.
fn feed(mut to: File) -> io::Result<()> {
    let feed = move || {
        let _ = pass(&mut io::stdin(), &mut to);
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(feed)?;
    Ok(())
}

/// Passes what the container writes on. When nobody reads here any more, the container is told by
/// the end of its pipe, as it would be without us.
fn copy(
    name: &str,
    mut from: File,
    mut to: impl Write + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let copy = move || {
        // A terminal that its last process has left reads as EIO.
        let _ = pass(&mut from, &mut to);
    };
    thread::Builder::new().name(name.to_owned()).spawn(copy)
}

/// Copies until the end, and lets nothing lie around.
fn pass(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        to.write_all(&buffer[..count])?;
        to.flush()?;
    }
}
