//! A wire to a server that breaks: a connection carries so many bytes either way, and no more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// The wire; ended when dropped.
pub(crate) struct Cutter {
    port: u16,
    cuts: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Cutter {
    /// Puts a wire before `to` that breaks after `limit` bytes of one direction, so many `times`.
    pub(crate) fn start(to: String, limit: usize, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (cuts, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (cuts.clone(), ended.clone());
        let listens = std::thread::spawn(move || {
            for near in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(near), Ok(far)) = (near, TcpStream::connect(&to)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let count = count.clone();
                    // Ends when either side hangs up.
                    std::thread::spawn(move || carry(from, to, (limit, times), &count));
                }
            }
        });
        Self { port, cuts, ended, listens: Some(listens) }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How often it broke.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn carry(
    mut from: TcpStream,
    mut to: TcpStream,
    (limit, times): (usize, usize),
    cuts: &AtomicUsize,
) {
    let (mut carried, mut block) = (0, vec![0; 16 << 10]);
    let once_more = |count| (count < times).then_some(count + 1);
    loop {
        match from.read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(length)
                if carried + length > limit
                    && cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, once_more).is_ok() =>
            {
                let _ = to.write_all(&block[..limit.saturating_sub(carried)]);
                break;
            }
            Ok(length) => {
                carried += length;
                if to.write_all(&block[..length]).is_err() {
                    break;
                }
            }
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listens) = self.listens.take() {
            drop(listens.join());
        }
    }
}
