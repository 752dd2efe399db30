//! The parallel engine: cuts a stream into blocks and compresses each by itself.
//!
//! Every block becomes a whole member or frame, so the bytes cannot depend on who compressed which
//! block when. Blocks go out in order. Memory: two blocks a thread and one more, each with room for
//! what becomes of it; they are used again and again. With one thread, or until the first block is
//! full, no thread is started at all.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc;

use super::workers::Workers;

/// Compresses one block into a whole member or frame. One lives in each worker.
pub(super) trait Codec: Send + 'static {
    /// Compresses `block` to the beginning of `out`, which is made longer if need be, and returns
    /// how long the result is.
    fn compress(&mut self, block: &[u8], out: &mut Vec<u8>) -> io::Result<usize>;
}

/// Makes a codec; called once a thread.
pub(super) type Make = Box<dyn FnMut() -> io::Result<Box<dyn Codec>> + Send>;

/// A block, and room for what becomes of it.
#[derive(Default)]
pub(super) struct Block {
    pub(super) raw: Vec<u8>,
    out: Vec<u8>,
    /// How much of the room is used.
    size: usize,
}

impl Block {
    pub(super) fn compress(&mut self, codec: &mut dyn Codec) -> io::Result<()> {
        self.size = codec.compress(&self.raw, &mut self.out)?;
        Ok(())
    }

    fn compressed(&self) -> &[u8] {
        &self.out[..self.size]
    }
}

/// Writes blocks to `out`, compressed on `threads` workers.
pub(super) struct BlockWriter<W> {
    out: W,
    block_size: usize,
    /// The one that is being filled.
    block: Block,
    /// Those that have gone out.
    free: Vec<Block>,
    make: Make,
    threads: usize,
    own: Option<Box<dyn Codec>>,
    workers: Workers,
    waiting: VecDeque<mpsc::Receiver<io::Result<Block>>>,
    written_any: bool,
}

impl<W: Write> BlockWriter<W> {
    pub(super) fn new(out: W, block_size: usize, threads: usize, make: Make) -> Self {
        Self {
            out,
            block_size,
            block: Block::default(),
            free: Vec::new(),
            make,
            threads: threads.max(1),
            own: None,
            workers: Workers::none(),
            waiting: VecDeque::new(),
            written_any: false,
        }
    }

    /// Compresses what is left and returns the inner writer. An empty stream is one empty block.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.raw.is_empty() || !self.written_any {
            self.submit()?;
        }
        while !self.waiting.is_empty() {
            self.collect()?;
        }
        self.workers.end()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn submit(&mut self) -> io::Result<()> {
        self.written_any = true;
        // A single small block isn't worth a thread, and with one thread there is nothing to share.
        let small = self.block.raw.len() < self.block_size && self.workers.count() == 0;
        if self.threads == 1 || small {
            return self.compress_here();
        }
        if self.workers.count() < self.threads {
            self.workers.add((self.make)()?)?;
        }
        while self.waiting.len() >= 2 * self.threads {
            self.collect()?;
        }
        let next = self.free.pop().unwrap_or_default();
        let block = std::mem::replace(&mut self.block, next);
        self.waiting.push_back(self.workers.compress(block)?);
        Ok(())
    }

    fn compress_here(&mut self) -> io::Result<()> {
        let codec = match &mut self.own {
            Some(codec) => codec,
            none => none.insert((self.make)()?),
        };
        self.block.compress(&mut **codec)?;
        self.block.raw.clear();
        self.out.write_all(self.block.compressed())
    }

    /// Waits for the oldest block and writes it.
    fn collect(&mut self) -> io::Result<()> {
        let Some(receiver) = self.waiting.pop_front() else { return Ok(()) };
        let mut block = receiver.recv().map_err(|_| super::workers::lost())??;
        self.out.write_all(block.compressed())?;
        block.raw.clear();
        self.free.push(block);
        Ok(())
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let block = &mut self.block.raw;
        let room = self.block_size - block.len();
        let taken = data.len().min(room);
        if block.capacity() - block.len() < taken {
            // Small layers are many; whatever is larger fills its blocks.
            block.reserve_exact(if block.is_empty() { taken.max(64 << 10) } else { room });
        }
        block.extend_from_slice(&data[..taken]);
        if block.len() == self.block_size {
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
