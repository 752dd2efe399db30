//! What a step prints: told as it comes, and stored whole, compressed, with times.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use gantry_cache::{LogId, LogWriter};
use gantry_solver::{Stream, Task};

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
    std::thread::scope(|scope| {
        let (sink, events) = (&sink, &task.events);
        if let Some(stderr) = stderr {
            scope.spawn(move || {
                drain(stderr, |bytes| {
                    events.log(Stream::Stderr, bytes);
                    sink.keep(Stream::Stderr, bytes);
                });
            });
        }
        if let Some(stdout) = stdout {
            drain(stdout, |bytes| {
                events.log(Stream::Stdout, bytes);
                sink.keep(Stream::Stdout, bytes);
            });
        }
    });
    let writer = sink.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = writer.failed {
        return Err(failed);
    }
    Ok(writer.log.map(LogWriter::finish).transpose()?)
}

fn drain(mut stream: File, mut each: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 32 << 10];
    // An error here is the end of the stream; how the step ended is what its exit code says.
    while let Ok(count @ 1..) = read(&mut stream, &mut buffer) {
        each(&buffer[..count]);
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
