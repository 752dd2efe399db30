//! What a step prints: told as it comes, and stored whole, compressed, with times.
//!
//! ```text
//! step ── pipe ──► Source: reads ── Piece ──► Keeper: stores, then tells
//! ```
//! What prints little is read and kept by one thread: starting another takes as long as many a
//! step. Past [`LITTLE`], the keeper gets a thread of its own, so that the step waits for neither
//! compression nor a slow terminal. The step is held up where they can't follow, and nothing is
//! lost.

use std::fs::File;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use gantry_cache::{LogId, LogWriter};
use gantry_solver::{Events, Stream, Task};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::fcntl_setpipe_size;

use super::super::Executor;
use super::super::fault::Fault;
use crate::history::{stamp, write_frame};

/// Times nearer to each other than this are one.
const GRAIN: Duration = Duration::from_millis(1);

/// What a pipe holds. A read may take all of it, so that what was printed to one stream before
/// something went to the other is also read before it.
const PIPE: usize = 64 << 10;

/// The most that a user without privileges may enlarge a pipe to (`fs.pipe-max-size`).
const LARGE_PIPE: usize = 1 << 20;

/// A step that prints more bytes than this is chatty.
const LITTLE: usize = 128 << 10;

/// How many pieces wait for the keeper at most, each as long as a large pipe.
const QUEUED: usize = 4;

/// Reads both streams to their ends. Returns the stored log, if anything was printed.
pub(super) fn pump(
    executor: &Executor,
    task: &Task,
    stdout: Option<File>,
    stderr: Option<File>,
) -> Result<Option<LogId>, Fault> {
    let mut streams: Vec<(Stream, File)> = Vec::with_capacity(2);
    streams.extend(stdout.map(|file| (Stream::Stdout, file)));
    streams.extend(stderr.map(|file| (Stream::Stderr, file)));
    let mut source = Source { streams, size: PIPE, stamped: None };
    let mut keeper = Keeper { executor, events: &task.events, log: None, failed: None };
    let mut printed = 0;
    while printed < LITTLE && source.is_open() {
        printed += source.read(|piece| keeper.take(piece));
    }
    if source.is_open() {
        source.enlarge();
        keep_elsewhere(&mut source, &mut keeper);
    }
    keeper.finish()
}

/// Reads on while another thread keeps what was read; returns when all of it is kept.
fn keep_elsewhere(source: &mut Source, keeper: &mut Keeper<'_>) {
    thread::scope(|scope| {
        let (hand_over, pieces) = mpsc::sync_channel(QUEUED);
        let keep = || pieces.into_iter().for_each(|piece| keeper.take(piece));
        if thread::Builder::new().name("log".to_owned()).spawn_scoped(scope, keep).is_err() {
            return;
        }
        while source.is_open() {
            let count = source.read(|piece| {
                // Nobody takes it only if the keeper panicked, and then so does the scope.
                let _ = hand_over.send(piece);
            });
            source.rest(count);
        }
    });
    // Where no thread could be had.
    while source.is_open() {
        source.read(|piece| keeper.take(piece));
    }
}

/// Bytes that were read at once.
struct Piece {
    stream: Stream,
    /// When, unless that is when the piece before was.
    time: Option<SystemTime>,
    data: Vec<u8>,
}

/// What the step prints to, as far as it is open.
struct Source {
    streams: Vec<(Stream, File)>,
    /// What each of the pipes holds.
    size: usize,
    /// When a piece last got a time.
    stamped: Option<Instant>,
}

impl Source {
    fn is_open(&self) -> bool {
        !self.streams.is_empty()
    }

    /// Lets the step run further ahead.
    fn enlarge(&mut self) {
        let enlarge = |(_, file): &(Stream, File)| fcntl_setpipe_size(file, LARGE_PIPE).is_ok();
        // Refused where pipes take much memory already, or may only be smaller.
        if self.streams.iter().all(enlarge) {
            self.size = LARGE_PIPE;
        }
    }

    /// Waits until something is printed, and reads it once from each stream that has something.
    /// Returns how many bytes that was.
    fn read(&mut self, mut each: impl FnMut(Piece)) -> usize {
        let mut ready = [true; 2];
        if self.streams.len() > 1 {
            let mut fds: Vec<PollFd<'_>> =
                self.streams.iter().map(|(_, file)| PollFd::new(file, PollFlags::IN)).collect();
            // Interrupted, or refused for want of memory. A read instead might wait for the one
            // stream while the step waits for the other to be emptied.
            if poll(&mut fds, None).is_err() {
                return 0;
            }
            for (ready, fd) in ready.iter_mut().zip(&fds) {
                *ready = !fd.revents().is_empty();
            }
        }
        let mut ready = ready.into_iter();
        let mut count = 0;
        let (size, stamped) = (self.size, &mut self.stamped);
        self.streams.retain_mut(|(stream, file)| {
            if !ready.next().unwrap_or(true) {
                return true;
            }
            let Some(data) = read(file, size) else { return false };
            count += data.len();
            let new = stamped.is_none_or(|at| at.elapsed() >= GRAIN);
            let time = new.then(|| {
                *stamped = Some(Instant::now());
                SystemTime::now()
            });
            each(Piece { stream: *stream, time, data });
            true
        });
        count
    }

    /// Lets more of it come if there was room for much more than the `count` bytes just read: a
    /// step that needn't wake a reader for every line is done sooner.
    fn rest(&self, count: usize) {
        if self.size == LARGE_PIPE && count < LARGE_PIPE / 4 {
            thread::sleep(GRAIN);
        }
    }
}

/// Reads once; `None` is the end. An error is one too: how the step ended is what its exit code
/// says.
fn read(file: &File, size: usize) -> Option<Vec<u8>> {
    let mut data = Vec::with_capacity(size);
    loop {
        match rustix::io::read(file, spare_capacity(&mut data)) {
            Err(Errno::INTR) => {}
            Ok(1..) => break,
            _ => return None,
        }
    }
    if data.len() < size / 2 {
        data.shrink_to_fit();
    }
    Some(data)
}

/// Stores what was printed, and tells of it.
struct Keeper<'a> {
    executor: &'a Executor,
    events: &'a Events,
    log: Option<LogWriter<'a>>,
    /// Why nothing is stored any more.
    failed: Option<Fault>,
}

impl Keeper<'_> {
    fn take(&mut self, piece: Piece) {
        if self.failed.is_none() {
            self.failed = self.store(&piece).err();
        }
        self.events.log(piece.stream, piece.data);
    }

    fn store(&mut self, piece: &Piece) -> Result<(), Fault> {
        let log = match &mut self.log {
            Some(log) => log,
            // Most steps print nothing, and so have no log.
            none => none.insert(self.executor.store.logs().writer()?),
        };
        let failed = |error| Fault::io("store the step's output")(error);
        if let Some(time) = piece.time {
            stamp(log, time).map_err(failed)?;
        }
        write_frame(log, piece.stream, &piece.data).map_err(failed)
    }

    fn finish(self) -> Result<Option<LogId>, Fault> {
        match self.failed {
            Some(failed) => Err(failed),
            None => Ok(self.log.map(LogWriter::finish).transpose()?),
        }
    }
}
