//! ADD of an address: fetched once, asked for anew, checked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use gantry_executor::Secret;

use crate::common::{Sandbox, explain};

/// A server of one file that remembers what it was asked.
pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
    body: Arc<Mutex<String>>,
}

impl Server {
    pub fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let body = Arc::new(Mutex::new(body.to_owned()));
        let (asks, text) = (Arc::clone(&asked), Arc::clone(&body));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &asks, &text.lock().unwrap());
            }
        });
        Self { address, asked, body }
    }

    /// How each request was answered since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>, body: &str) {
    let mut lines = Vec::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else { return };
    let etag = format!("\"{}\"", body.len());
    let fresh = lines.iter().any(|line| *line == format!("if-none-match: {etag}"));
    let (status, content) = match (path, fresh) {
        ("/missing", _) => ("404 Not Found", ""),
        ("/private", _) if !lines.iter().any(|line| line == "authorization: bearer s3cret") => {
            ("401 Unauthorized", "")
        }
        (_, true) => ("304 Not Modified", ""),
        _ => ("200 OK", body),
    };
    asked.lock().unwrap().push(status[..3].to_owned());
    let modified = match path {
        "/undated" => "",
        _ => "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nETag: {etag}\r\n{modified}\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(content.as_bytes()).unwrap();
}

#[test]
fn a_download_is_a_file_of_roots_and_asked_for_anew() {
    needs_root!();
    let server = Server::start("hello");
    let sandbox = Sandbox::new();
    let text = format!(
        "FROM busybox\nADD {}/dir/name.txt /d/\nADD {0}/dir/name.txt /other\n",
        server.address
    );
    let built = sandbox.build(&text);
    let entry = built.file("d/name.txt");
    assert_eq!((entry.mode, entry.uid, entry.mtime.secs), (0o600, 0, 1_700_000_000));
    assert_eq!(built.text("other"), "hello");
    assert!(server.asked().iter().any(|status| status == "200"));
    let again = sandbox.build(&text);
    assert_eq!(again.ran(), Vec::<String>::new());
    assert!(server.asked().iter().all(|status| status == "304"));
    *server.body.lock().unwrap() = "changed".to_owned();
    assert_eq!(sandbox.build(&text).text("d/name.txt"), "changed");
}

#[test]
fn checksums_and_failures_are_told() {
    needs_root!();
    let server = Server::start("hello");
    let sandbox = Sandbox::new();
    let add = |flags: &str, path: &str| {
        format!("FROM busybox\nADD {flags} {}{path} /f\n", server.address)
    };
    let good = "--checksum=sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(sandbox.build(&add(good, "/a")).text("f"), "hello");
    server.asked();
    // What is known to be right need not be asked for.
    sandbox.build(&add(good, "/a"));
    assert_eq!(server.asked(), Vec::<String>::new());
    let bad = format!("--checksum=sha256:{}", "0".repeat(64));
    let text = explain(&sandbox.fail(&add(&bad, "/b")));
    assert!(text.contains("digest mismatch sha256:2cf24"), "{text}");
    let text = explain(&sandbox.fail(&add("", "/missing")));
    assert!(text.contains("404"), "{text}");
    let text = explain(&sandbox.fail("FROM busybox\nADD http://169.254.169.254/latest /f\n"));
    assert!(text.contains("link-local"), "{text}");
    let text = explain(&sandbox.fail("FROM busybox\nADD http://user:pass@127.0.0.1:1/x /f\n"));
    assert!(!text.contains("pass"), "{text}");
    sandbox.assert_clean();
}

#[test]
fn credentials_are_secrets_of_their_host() {
    needs_root!();
    let server = Server::start("hello");
    let sandbox = Sandbox::new();
    let text = format!("FROM busybox\nADD {}/private /f\n", server.address);
    let request = |secrets: &[(&str, &str)]| {
        let mut request = sandbox.request(&text);
        for (id, value) in secrets {
            request.secrets.insert((*id).to_owned(), Secret::from_bytes(*value));
        }
        request
    };
    let refused = explain(&sandbox.fail_request(request(&[])));
    assert!(refused.contains("401") && refused.contains("HTTP_AUTH_TOKEN_"), "{refused}");
    let other =
        explain(&sandbox.fail_request(request(&[("HTTP_AUTH_TOKEN_example.com", "s3cret")])));
    assert!(other.contains("401"), "{other}");
    let wrong = request(&[("HTTP_AUTH_TOKEN_127.0.0.1", "s3cret\nx: y")]);
    let wrong = explain(&sandbox.fail_request(wrong));
    assert!(wrong.contains("no header value") && !wrong.contains("s3cret"), "{wrong}");
    let header = request(&[("HTTP_AUTH_HEADER_127.0.0.1", "Bearer s3cret\n")]);
    assert_eq!(sandbox.run(header).text("f"), "hello");
    let built = sandbox.run(request(&[("HTTP_AUTH_TOKEN_127.0.0.1", "s3cret\n")]));
    assert_eq!(built.text("f"), "hello");
    assert!(!format!("{:?}", built.events).contains("s3cret"));
    sandbox.assert_clean();
}
