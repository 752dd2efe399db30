//! One question to an engine over HTTP/1.1: the engine's interface is served on a unix socket, and
//! all that is asked is whether it has an image, and to take one.
//!
//! A connection is for one question: the answer ends where the connection ends.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gantry_solver::CancelToken;
use serde_json::Value;

use super::Address;

/// No answer about an image comes near this.
const LIMIT: u64 = 4 << 20;

/// How long to wait for an engine on the network to be there at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a wait looks whether it was canceled.
const GLANCE: Duration = Duration::from_millis(100);

/// Somebody who listens.
pub(super) enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// What goes along with a question.
pub(super) enum Body<'a> {
    None,
    /// Whatever is written, of this media type.
    Stream(&'static str, &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>),
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Connection {
    pub(super) fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Address::Tcp(place) => {
                let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in place.to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, PATIENCE) {
                        Ok(stream) => return Ok(Self::Tcp(stream)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
            Address::Elsewhere(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// The connection breaks, or what comes is no HTTP; writing the body fails; it was canceled.
    pub(super) fn ask(
        mut self,
        method: &str,
        path: &str,
        body: Body<'_>,
        cancel: &CancelToken,
    ) -> io::Result<Answer> {
        self.set_timeout(GLANCE)?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nUser-Agent: gantry/{}\r\n\
             Connection: close\r\n",
            env!("CARGO_PKG_VERSION")
        );
        let mut wire = Wire { connection: &mut self, cancel };
        let sent = match body {
            Body::None => {
                head.push_str("Content-Length: 0\r\n\r\n");
                wire.write_all(head.as_bytes())
            }
            Body::Stream(kind, write) => {
                head.push_str(&format!(
                    "Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
                ));
                wire.write_all(head.as_bytes())?;
                let mut chunks = io::BufWriter::with_capacity(256 << 10, Chunks(&mut wire));
                let written = write(&mut chunks).and_then(|()| chunks.flush());
                // What is left after an error must not follow it.
                drop(chunks.into_parts());
                written.and_then(|()| wire.write_all(b"0\r\n\r\n"))
            }
        };
        match (sent, Answer::read(BufReader::new(wire.take(LIMIT)))) {
            (_, Ok(answer)) => Ok(answer),
            // An engine that has had enough answers, and closes the connection before the end; of
            // one that only closes it, the first error says more.
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
        }
    }

    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }
}

/// The connection, as far as it isn't canceled. An engine may take its time.
struct Wire<'a> {
    connection: &'a mut Connection,
    cancel: &'a CancelToken,
}

impl Wire<'_> {
    fn until_done(
        &mut self,
        mut attempt: impl FnMut(&mut Connection) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if self.cancel.is_canceled() {
                return Err(io::Error::other("Canceled"));
            }
            match attempt(self.connection) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) => {}
                other => return other,
            }
        }
    }
}

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until_done(|connection| match connection {
            Connection::Unix(stream) => stream.read(buffer),
            Connection::Tcp(stream) => stream.read(buffer),
        })
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_done(|connection| match connection {
            Connection::Unix(stream) => stream.write(bytes),
            Connection::Tcp(stream) => stream.write(bytes),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Each write a chunk of its own.
struct Chunks<'a, 'w>(&'a mut Wire<'w>);

impl Write for Chunks<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Answer {
    fn read(mut from: BufReader<impl Read>) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut line = String::new();
        from.read_line(&mut line)?;
        let status = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = status.and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| bad("The engine's answer is no HTTP"))?;
        let mut chunked = false;
        loop {
            line.clear();
            if from.read_line(&mut line)? == 0 {
                return Err(bad("The engine's answer ends too early"));
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            chunked |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
        }
        let mut body = Vec::new();
        if !chunked {
            from.read_to_end(&mut body)?;
            return Ok(Self { status, body });
        }
        loop {
            line.clear();
            from.read_line(&mut line)?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16)
                .map_err(|_| bad("The engine's answer ends too early"))?;
            if size == 0 {
                return Ok(Self { status, body });
            }
            let before = body.len() as u64;
            from.by_ref().take(size).read_to_end(&mut body)?;
            if body.len() as u64 - before != size {
                return Err(bad("The engine's answer ends too early"));
            }
            line.clear();
            from.read_line(&mut line)?;
        }
    }

    /// What went wrong: by the status, or by one of the messages that come while it works.
    pub(super) fn error(&self) -> Option<String> {
        let messages = serde_json::Deserializer::from_slice(&self.body).into_iter::<Value>();
        let said = messages.flatten().find_map(|message| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            text(&message["errorDetail"]["message"])
                .or_else(|| text(&message["error"]))
                .or_else(|| text(&message["message"]))
        });
        match (self.status, said) {
            (200..300, said) => said,
            (_, Some(said)) => Some(said),
            (status, None) => Some(format!("the engine answers with status {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<Answer> {
        Answer::read(BufReader::new(text.as_bytes()))
    }

    #[test]
    fn answers_come_whole_or_in_chunks() {
        let answer = read("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody").unwrap();
        assert_eq!((answer.status, &*answer.body), (200, &b"body"[..]));
        let answer = read(
            "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        );
        let answer = answer.unwrap();
        assert_eq!((answer.status, &*answer.body), (201, &b"abcde"[..]));
        for bad in [
            "",
            "SSH-2.0-x\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn errors_come_by_status_or_in_between() {
        let error = |text: &str| read(text).unwrap().error();
        assert_eq!(error("HTTP/1.1 200 OK\r\n\r\n{\"stream\":\"Loaded\"}\n"), None);
        assert_eq!(
            error(
                "HTTP/1.1 200 OK\r\n\r\n{\"stream\":\"x\"}\n{\"errorDetail\":{\"message\":\"no space\"},\"error\":\"e\"}"
            ),
            Some("no space".to_owned())
        );
        assert_eq!(
            error("HTTP/1.1 500 E\r\n\r\n{\"message\":\"broken\"}"),
            Some("broken".to_owned())
        );
        assert_eq!(
            error("HTTP/1.1 404 E\r\n\r\nnope"),
            Some("the engine answers with status 404".to_owned())
        );
    }
}
