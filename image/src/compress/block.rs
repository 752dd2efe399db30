//! The parallel engine: cuts a stream into blocks and compresses each by itself.
//!
//! Every block becomes a whole member or frame, so the bytes cannot depend on who compressed which
//! block when. Blocks go out in order. Memory: at most two blocks a thread in and out of the
//! workers. With one thread, or until the first block is full, no thread is started at all.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;

/// Compresses one block into a whole member or frame. One lives in each worker.
pub(super) trait Codec: Send + 'static {
    /// Appends the compressed block to `out`.
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()>;
}

type Done = io::Result<Vec<u8>>;

struct Job {
    block: Vec<u8>,
    answer: mpsc::SyncSender<Done>,
}

/// Writes blocks to `out`, compressed on `threads` workers.
pub(super) struct BlockWriter<W> {
    out: W,
    block_size: usize,
    block: Vec<u8>,
    make: Box<dyn FnMut() -> io::Result<Box<dyn Codec>> + Send>,
    threads: usize,
    own: Option<Box<dyn Codec>>,
    workers: Vec<Worker>,
    next: usize,
    waiting: VecDeque<mpsc::Receiver<Done>>,
    written_any: bool,
}

struct Worker {
    jobs: mpsc::SyncSender<Job>,
    thread: thread::JoinHandle<()>,
}

impl Codec for Box<dyn Codec> {
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        (**self).compress(block, out)
    }
}

impl<W: Write> BlockWriter<W> {
    pub(super) fn new(
        out: W,
        block_size: usize,
        threads: usize,
        make: impl FnMut() -> io::Result<Box<dyn Codec>> + Send + 'static,
    ) -> Self {
        Self {
            out,
            block_size,
            block: Vec::new(),
            make: Box::new(make),
            threads: threads.max(1),
            own: None,
            workers: Vec::new(),
            next: 0,
            waiting: VecDeque::new(),
            written_any: false,
        }
    }

    /// Compresses what is left and returns the inner writer. An empty stream is one empty block.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || !self.written_any {
            self.submit()?;
        }
        while !self.waiting.is_empty() {
            self.collect()?;
        }
        for Worker { jobs, thread } in self.workers.drain(..) {
            drop(jobs);
            thread.join().map_err(|_| lost())?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn submit(&mut self) -> io::Result<()> {
        self.written_any = true;
        let block = std::mem::take(&mut self.block);
        // A single small block isn't worth a thread, and with one thread there is nothing to share.
        if self.threads == 1 || (block.len() < self.block_size && self.workers.is_empty()) {
            let mut compressed = Vec::new();
            let codec = match &mut self.own {
                Some(codec) => codec,
                none => none.insert((self.make)()?),
            };
            codec.compress(&block, &mut compressed)?;
            self.block = block;
            self.block.clear();
            return self.out.write_all(&compressed);
        }
        if self.workers.len() < self.threads {
            let worker = spawn((self.make)()?)?;
            self.workers.push(worker);
        }
        while self.waiting.len() >= 2 * self.threads {
            self.collect()?;
        }
        let (answer, receiver) = mpsc::sync_channel(1);
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].jobs.send(Job { block, answer }).map_err(|_| lost())?;
        self.waiting.push_back(receiver);
        Ok(())
    }

    fn collect(&mut self) -> io::Result<()> {
        match self.waiting.pop_front() {
            Some(receiver) => self.out.write_all(&receiver.recv().map_err(|_| lost())??),
            None => Ok(()),
        }
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.block.capacity() == 0 {
            self.block.reserve_exact(self.block_size.min(data.len().max(64 << 10)));
        }
        let room = self.block_size - self.block.len();
        let taken = data.len().min(room);
        self.block.extend_from_slice(&data[..taken]);
        if self.block.len() == self.block_size {
            self.submit()?;
        }
        Ok(taken)
    }

    /// Passes on what is compressed already; a started block stays, since cutting it here would
    /// make the bytes depend on who flushes when.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn spawn(mut codec: Box<dyn Codec>) -> io::Result<Worker> {
    let (jobs, receiver) = mpsc::sync_channel::<Job>(2);
    let thread = thread::Builder::new().name("compress".to_owned()).spawn(move || {
        for Job { block, answer } in receiver {
            let mut compressed = Vec::new();
            let done = codec.compress(&block, &mut compressed).map(|()| compressed);
            // Nobody listens any more when the writer was dropped; then there is nothing to do.
            let _ = answer.send(done);
        }
    })?;
    Ok(Worker { jobs, thread })
}

fn lost() -> io::Error {
    io::Error::other("A compressing thread has gone")
}
