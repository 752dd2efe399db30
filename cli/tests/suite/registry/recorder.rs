//! A proxy before a registry that writes down what was asked for.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::Server;

/// The proxy and the registry behind it.
pub(super) struct Recorder {
    _server: Server,
    host: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    upstream: String,
    asked: Mutex<Vec<String>>,
    /// Blobs are gone.
    gone: AtomicBool,
    /// Blobs take their time.
    slow: AtomicBool,
    /// How many are being fetched, and how many were at most.
    serving: Mutex<(usize, usize)>,
    stop: AtomicBool,
}

impl Recorder {
    /// Starts both; `None` where there is no registry.
    pub(super) fn start() -> Option<Self> {
        let server = Server::start()?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State { upstream: server.host.clone(), ..State::default() });
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = &shared;
                    // A client that goes away is none of ours.
                    scope.spawn(move || stream.and_then(|stream| shared.serve(stream)));
                }
            });
        });
        Some(Self { _server: server, host, state, thread: Some(thread) })
    }

    /// A name in the registry, by way of the proxy.
    pub(super) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }

    /// What was asked for since this was called last: `GET /v2/...`.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }

    /// The blobs that were fetched since then, without those that are named.
    pub(super) fn fetched(&self, but: &str) -> Vec<String> {
        let mut asked = self.asked();
        asked.retain(|line| {
            line.starts_with("GET ") && line.contains("/blobs/sha256:") && !line.ends_with(but)
        });
        asked
    }

    /// From now on each blob takes its time.
    pub(super) fn slow_down(&self) {
        self.state.slow.store(true, Ordering::SeqCst);
    }

    /// How many blobs were fetched at once, at most, since blobs are slow.
    pub(super) fn at_once(&self) -> usize {
        self.state.serving.lock().unwrap().1
    }

    /// From now on no blob is there any more.
    pub(super) fn lose_blobs(&self) {
        self.state.gone.store(true, Ordering::SeqCst);
    }
}

impl State {
    /// Passes one request on, and closes the connection.
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let first = head.lines().next().unwrap_or_default();
        let asked = first.rsplit_once(' ').map_or(first, |(asked, _)| asked).to_owned();
        let gone = self.gone.load(Ordering::SeqCst) && asked.contains("/blobs/sha256:");
        let of_blob = asked.starts_with("GET ") && asked.contains("/blobs/sha256:");
        self.asked.lock().unwrap().push(asked);
        if of_blob && self.slow.load(Ordering::SeqCst) {
            {
                let mut serving = self.serving.lock().unwrap();
                serving.0 += 1;
                serving.1 = serving.1.max(serving.0);
            }
            std::thread::sleep(std::time::Duration::from_millis(150));
            self.serving.lock().unwrap().0 -= 1;
        }
        let mut to_client = client.try_clone()?;
        if gone {
            let answer = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            return to_client.write_all(answer.as_bytes());
        }
        let upstream = TcpStream::connect(&self.upstream)?;
        let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        (&upstream).write_all(head.as_bytes())?;
        std::thread::scope(|scope| {
            let mut to_server = upstream.try_clone()?;
            scope.spawn(move || io::copy(&mut reader, &mut to_server));
            let mut from_server = upstream.try_clone()?;
            let copied = io::copy(&mut (&mut from_server).take(u64::MAX), &mut to_client);
            // Ends the other direction as well.
            drop((client.shutdown(Shutdown::Both), upstream.shutdown(Shutdown::Both)));
            copied.map(drop)
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        drop(self.thread.take().map(JoinHandle::join));
    }
}
