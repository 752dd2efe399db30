//! The threads that compress blocks: whoever is free takes the next one.

use std::io;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::block::{Block, Codec};

struct Job {
    block: Block,
    answer: SyncSender<io::Result<Block>>,
}

/// Threads with one queue. How long it gets is up to whoever fills it.
pub(super) struct Workers {
    jobs: Sender<Job>,
    queue: Arc<Mutex<Receiver<Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts with no thread.
    pub(super) fn none() -> Self {
        let (jobs, queue) = channel();
        Self { jobs, queue: Arc::new(Mutex::new(queue)), threads: Vec::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Starts one more.
    pub(super) fn add(&mut self, mut codec: Box<dyn Codec>) -> io::Result<()> {
        let queue = Arc::clone(&self.queue);
        let next = move || queue.lock().ok()?.recv().ok();
        let work = move || {
            while let Some(Job { mut block, answer }) = next() {
                let done = block.compress(&mut *codec).map(|()| block);
                // Nobody listens any more when the writer was dropped; then there is nothing to do.
                let _ = answer.send(done);
            }
        };
        self.threads.push(Builder::new().name("compress".to_owned()).spawn(work)?);
        Ok(())
    }

    /// Hands a block over; it comes back, compressed, from what is returned.
    pub(super) fn compress(&self, block: Block) -> io::Result<Receiver<io::Result<Block>>> {
        let (answer, receiver) = sync_channel(1);
        self.jobs.send(Job { block, answer }).map_err(|_| lost())?;
        Ok(receiver)
    }

    /// Waits until all have ended.
    pub(super) fn end(self) -> io::Result<()> {
        drop(self.jobs);
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| lost()))
    }
}

pub(super) fn lost() -> io::Error {
    io::Error::other("A compressing thread has gone")
}
