//! What a step prints: told as it comes, and stored whole, compressed, with times.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gantry_cache::{LogId, LogWriter};
use gantry_solver::{Stream, Task};
use rustix::event::{PollFd, PollFlags, poll};

use super::super::Executor;
use super::super::fault::Fault;
use crate::history::{stamp, write_frame};

/// Times nearer to each other than this are one.
const GRAIN: Duration = Duration::from_millis(1);

/// Reads both streams to their ends. Returns the stored log, if anything was printed.
pub(super) fn pump(
    executor: &Executor,
    task: &Task,
    stdout: Option<File>,
    stderr: Option<File>,
) -> Result<Option<LogId>, Fault> {
    let sink = Sink { executor, writer: Mutex::new(Writer::default()) };
    let mut streams: Vec<(Stream, File)> = Vec::with_capacity(2);
    streams.extend(stdout.map(|file| (Stream::Stdout, file)));
    streams.extend(stderr.map(|file| (Stream::Stderr, file)));
    drain(streams, |stream, bytes| {
        task.events.log(stream, bytes);
        sink.keep(stream, bytes);
    });
    let writer = sink.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = writer.failed {
        return Err(failed);
    }
    Ok(writer.log.map(LogWriter::finish).transpose()?)
}

/// Reads all streams to their ends, whichever has something. One thread does for both: starting
/// another takes as long as many a step.
fn drain(mut streams: Vec<(Stream, File)>, mut each: impl FnMut(Stream, &[u8])) {
    let mut buffer = vec![0; 32 << 10];
    while !streams.is_empty() {
        let mut ready = vec![true; streams.len()];
        if streams.len() > 1 {
            let mut fds: Vec<PollFd<'_>> =
                streams.iter().map(|(_, file)| PollFd::new(file, PollFlags::IN)).collect();
            // Interrupted, or refused for want of memory. A read instead might wait for the one
            // stream while the step waits for the other to be emptied.
            if poll(&mut fds, None).is_err() {
                continue;
            }
            ready = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        }
        let mut ready = ready.into_iter();
        streams.retain_mut(|(stream, file)| {
            if !ready.next().unwrap_or(true) {
                return true;
            }
            // An error is the end of a stream; how the step ended is what its exit code says.
            match read(file, &mut buffer) {
                Ok(count @ 1..) => {
                    each(*stream, &buffer[..count]);
                    true
                }
                _ => false,
            }
        });
    }
}

fn read(stream: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

struct Sink<'a> {
    executor: &'a Executor,
    writer: Mutex<Writer<'a>>,
}

#[derive(Default)]
struct Writer<'a> {
    log: Option<LogWriter<'a>>,
    /// When the last time was written.
    stamped: Option<Instant>,
    failed: Option<Fault>,
}

impl<'a> Sink<'a> {
    fn keep(&self, stream: Stream, bytes: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.failed.is_some() {
            return;
        }
        if let Err(fault) = write(self.executor, &mut writer, stream, bytes) {
            writer.failed = Some(fault);
        }
    }
}

fn write<'a>(
    executor: &'a Executor,
    writer: &mut Writer<'a>,
    stream: Stream,
    bytes: &[u8],
) -> Result<(), Fault> {
    let log = match &mut writer.log {
        Some(log) => log,
        // Most steps print nothing, and so have no log.
        none => none.insert(executor.store.logs().writer()?),
    };
    let failed = |error| Fault::io("store the step's output")(error);
    if writer.stamped.is_none_or(|at| at.elapsed() >= GRAIN) {
        writer.stamped = Some(Instant::now());
        stamp(log, SystemTime::now()).map_err(failed)?;
    }
    write_frame(log, stream, bytes).map_err(failed)
}
