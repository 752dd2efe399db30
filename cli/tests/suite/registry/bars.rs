//! Bars: what a terminal shows of pulls, pushes, archives and builds while they go on (C6, A1-03, A5-22).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::{Server, lines};
use crate::sandbox::Sandbox;
use crate::terminal::in_terminal;

/// A way to a server on which bytes come slowly, in both directions.
struct SlowWay {
    host: String,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowWay {
    fn to(host: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // What the system holds back for a slow reader is sent as far as the sender knows.
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 32 << 10).unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let (stop, target) = (Arc::new(AtomicBool::new(false)), host.to_owned());
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let (Ok(near), Ok(far)) = (stream, TcpStream::connect(&target)) else { return };
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        scope.spawn(move || trickle(from, to));
                    }
                }
            });
        });
        Self { host: own, stop, thread: Some(thread) }
    }
}

/// About 8 MB a second.
fn trickle(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 100_000];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            break;
        }
        if count > 10_000 {
            std::thread::sleep(Duration::from_micros(count as u64 / 8));
        }
    }
    drop((from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both)));
}

impl Drop for SlowWay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// An image with a layer of 12 MB that no compression makes smaller.
fn large() -> Sandbox {
    let text = "FROM busybox\nRUN head -c 12000000 /dev/urandom > /large\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "-q", "-t", "large", "."]).success();
    sandbox
}

/// What a terminal of 120 columns shows in the course of a command, one picture of a line a line.
fn shown(sandbox: &Sandbox, line: &str) -> Option<String> {
    let output = in_terminal(sandbox, line, "")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    Some(text.replace("\x1b[", "\n\x1b[").replace('\r', "\n"))
}

/// Asserts that a picture of a line matches: `#` stands for a number with its unit.
fn assert_line(shown: &str, wanted: &str) {
    let numbers = |text: &str| {
        let mut out = String::new();
        for letter in text.chars() {
            match letter {
                '0'..='9' | '.' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                letter => out.push(letter),
            }
        }
        out.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let bars = |text: &str| {
        // However long the bar is.
        let text = numbers(text);
        match (text.find("[="), text.find("] ")) {
            (Some(from), Some(to)) if from < to => format!("{}[>{}", &text[..from], &text[to..]),
            _ => text,
        }
    };
    let found = shown.lines().any(|line| bars(line).contains(wanted));
    assert!(found, "{wanted}: {shown}");
}

#[test]
fn c6_bars_of_pulls_and_pushes() {
    let Some(server) = Server::start() else { return };
    let slow = SlowWay::to(&server.host);
    let (here, name) = (large(), format!("{}/large:1", slow.host));
    here.gantry(["tag", "large", &name]).success();
    let Some(text) = shown(&here, &format!("push {name}")) else { return };
    assert_line(&text, ": Pushing [>] #MB/#MB #MB/s #s");
    assert_eq!(text.matches(": Preparing").count().min(2), 2, "{text}");
    assert_line(&text, ": Pushed");
    assert_line(&text, "#: digest: sha#:");
    // What is there already moves nothing.
    let text = shown(&here, &format!("push {name}")).unwrap();
    assert!(text.contains(": Layer already exists") && !text.contains("Pushing"), "{text}");

    let there = Sandbox::new();
    let text = shown(&there, &format!("pull {name}")).unwrap();
    assert!(text.contains("1: Pulling from large\n"), "{text}");
    assert!(text.matches(": Pulling fs layer").count() >= 2, "{text}");
    assert_line(&text, ": Downloading [>] #MB/#MB #MB/s #s");
    assert_line(&text, ": Pull complete");
    assert_line(&text, "Status: Downloaded newer image for");
    assert!(text.trim_end().ends_with(&name), "{text}");
    // Into a pipe go the last words alone, and with -q the name.
    let there = Sandbox::new();
    let said = lines(&there, &["pull", &name]);
    assert_eq!(said.len(), 6, "{said:?}");
    assert_eq!(said.iter().filter(|line| line.ends_with(": Pull complete")).count(), 2);
    let text = shown(&Sandbox::new(), &format!("pull -q {name}")).unwrap();
    assert_eq!(text.trim_end(), name);
}

#[test]
fn c6_builds_tell_how_far_layers_have_come() {
    let Some(server) = Server::start() else { return };
    let slow = SlowWay::to(&server.host);
    let (here, name) = (large(), format!("{}/large:1", slow.host));
    here.gantry(["tag", "large", &name]).success();
    here.gantry(["push", "-q", &name]).success();
    // A step wants the layers; without one they would not be fetched.
    let text = format!("FROM {name}\nRUN --network=none true\n");
    let project = || Sandbox::with([("Dockerfile", &*text)]);
    // On a terminal a line below the step.
    if let Some(text) = shown(&project(), "build .") {
        assert_line(&text, "=> => sha#:");
        assert_line(&text, "MB / #MB #MB/s #s");
    }
    // In plain form a line now and then, and one at the end.
    let plain = project().gantry(["build", "--progress=plain", "."]).success().stderr;
    let of_large = |line: &&str| line.contains(" sha256:") && line.contains(" / 12.0");
    let told: Vec<_> = plain.lines().filter(of_large).collect();
    assert!(told.len() > 3 && told.len() <= 21, "{plain}");
    assert!(told.last().unwrap().ends_with("s done"), "{plain}");
    // And for programs with all there is to know.
    let json = project().gantry(["build", "--progress=rawjson", "."]).success().stderr;
    let all = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let statuses: Vec<Value> =
        all.flat_map(|line| line["statuses"].as_array().cloned().unwrap_or_default()).collect();
    let layer: Vec<_> = statuses
        .iter()
        .filter(|status| status["total"].as_u64().is_some_and(|total| total > 11_900_000))
        .collect();
    assert!(layer.len() > 3, "{json}");
    let current = |status: &&Value| status["current"].as_u64().unwrap();
    assert!(layer.iter().map(current).is_sorted(), "{json}");
    let (first, last) = (layer[0], layer[layer.len() - 1]);
    assert!(first["started"].is_string() && first.get("completed").is_none(), "{first}");
    assert!(last["completed"].is_string() && last["current"] == last["total"], "{last}");
    assert!(last["id"].as_str().unwrap().starts_with("sha256:"), "{last}");
    assert!(last["vertex"].as_str().unwrap().starts_with("sha256:"), "{last}");
    // What is pushed by a build is told of likewise.
    let target = format!("{}/pushed:1", slow.host);
    let pushed = large().gantry(["build", "--push", "-t", &target, "."]).success().stderr;
    let is_last = |line: &str| line.contains(" pushing layer sha256:") && line.ends_with("s done");
    let mut last = pushed.lines().filter(|line| is_last(line));
    assert!(last.any(|line| line.contains(" / 12.0")), "{pushed}");
}

#[test]
fn c6_bars_of_archives() {
    let here = large();
    let Some(text) = shown(&here, "save -o large.tar large") else { return };
    assert_line(&text, ": Saving layer [>] #MB/#MB");
    let there = Sandbox::new();
    there.write("large.tar", here.read("large.tar"));
    let text = shown(&there, "load -i large.tar").unwrap();
    assert_line(&text, ": Loading layer [>] #MB/#MB");
    assert_line(&text, "Loaded image: large:latest");
    // What is there is not read again, and in a pipe there is the result alone.
    let text = shown(&there, "load -i large.tar").unwrap();
    assert!(!text.contains("Loading"), "{text}");
    assert_eq!(lines(&there, &["load", "-i", "large.tar"]), ["Loaded image: large:latest"]);
}
