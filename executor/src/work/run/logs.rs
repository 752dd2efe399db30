//! What a step prints: told as it comes, and stored whole, compressed, in frames.
//!
//! A frame is one byte for the stream (1 output, 2 error output), four bytes for the length
//! (little-endian), and the bytes.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Mutex, PoisonError};

use gantry_cache::{LogId, LogWriter};
use gantry_solver::{Stream, Task};

use super::super::Executor;
use super::super::fault::Fault;

/// What is stored of one step at most; the rest is told, and not kept.
const LIMIT: u64 = 64 << 20;

/// Reads both streams to their ends. Returns the stored log, if anything was printed.
pub(super) fn pump(
    executor: &Executor,
    task: &Task,
    stdout: Option<File>,
    stderr: Option<File>,
) -> Result<Option<LogId>, Fault> {
    let sink = Sink { executor, writer: Mutex::new(Writer { log: None, kept: 0, failed: None }) };
    std::thread::scope(|scope| {
        let (sink, events) = (&sink, &task.events);
        if let Some(stderr) = stderr {
            scope.spawn(move || {
                drain(stderr, |bytes| {
                    events.log(Stream::Stderr, bytes);
                    sink.keep(2, bytes);
                });
            });
        }
        if let Some(stdout) = stdout {
            drain(stdout, |bytes| {
                events.log(Stream::Stdout, bytes);
                sink.keep(1, bytes);
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

struct Writer<'a> {
    log: Option<LogWriter<'a>>,
    kept: u64,
    failed: Option<Fault>,
}

impl<'a> Sink<'a> {
    fn keep(&self, stream: u8, bytes: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.failed.is_some() || writer.kept >= LIMIT {
            return;
        }
        writer.kept += bytes.len() as u64;
        if let Err(fault) = write(self.executor, &mut writer, stream, bytes) {
            writer.failed = Some(fault);
        }
    }
}

fn write<'a>(
    executor: &'a Executor,
    writer: &mut Writer<'a>,
    stream: u8,
    bytes: &[u8],
) -> Result<(), Fault> {
    let log = match &mut writer.log {
        Some(log) => log,
        // Most steps print nothing, and so have no log.
        none => none.insert(executor.store.logs().writer()?),
    };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    log.write_all(&[stream])
        .and_then(|()| log.write_all(&length))
        .and_then(|()| log.write_all(bytes))
        .map_err(Fault::io("store the step's output"))
}
