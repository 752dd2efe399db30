//! Where an engine runs, it gets the image. A server of the test's own stands in for it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::{clients, config};
use crate::sandbox::Sandbox;

/// What the stand-in answers when it is asked to load.
#[derive(Clone, Copy)]
enum Mood {
    Well,
    /// Refuses before it has read anything, and hangs up.
    Refuses,
    /// Begins well, and says in between that it failed.
    Fails,
}

/// The request lines, and the archives that came.
type Seen = Mutex<(Vec<String>, Vec<Vec<u8>>)>;

struct Engine {
    path: PathBuf,
    seen: Arc<Seen>,
}

impl Engine {
    fn start(sandbox: &Sandbox, mood: Mood) -> Self {
        let path = sandbox.project().with_file_name("engine.sock");
        // Of an engine that ran before.
        let _ = fs_err::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let seen = Arc::default();
        let engine = Self { path, seen: Arc::clone(&seen) };
        thread::spawn(move || {
            // Each connection on its own thread: the docker client keeps some open.
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&seen);
                thread::spawn(move || {
                    // Clients hang up as they like.
                    let _ = serve(stream, mood, &seen);
                });
            }
        });
        engine
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// What was asked of it, but for what the docker client asks by itself.
    fn asked(&self) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap();
        let asked = std::mem::take(&mut seen.0);
        asked.into_iter().filter(|line| line.contains("/images/")).collect()
    }

    fn loaded(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.seen.lock().unwrap().1)
    }
}

fn serve(stream: UnixStream, mood: Mood, seen: &Seen) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut from = BufReader::new(stream);
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(());
    }
    let request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    loop {
        line.clear();
        from.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
    }
    seen.lock().unwrap().0.push(request.clone());
    let known = |seen: &Seen| !seen.lock().unwrap().1.is_empty();
    let (status, body) = if request.starts_with("POST /images/load") {
        if matches!(mood, Mood::Refuses) {
            ("500 Oops", "{\"message\":\"no space left on device\"}")
        } else {
            let archive = read_chunks(&mut from)?;
            seen.lock().unwrap().1.push(archive);
            match mood {
                Mood::Fails => ("200 OK", "{\"stream\":\"x\"}\n{\"error\":\"broken tar\"}\n"),
                _ => ("200 OK", "{\"stream\":\"Loaded image: x\\n\"}\n"),
            }
        }
    } else if request.contains("/tag?") {
        ("201 Created", "")
    } else if request.ends_with("/json") && request.contains("/images/sha256:") && known(seen) {
        ("200 OK", "{}")
    } else if request.contains("_ping") {
        ("200 OK\r\nApi-Version: 1.41\r\nOSType: linux", "OK")
    } else {
        ("404 Not Found", "{\"message\":\"no such image\"}")
    };
    let length = body.len();
    write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn read_chunks(from: &mut impl std::io::BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        from.by_ref().take(size).read_to_end(&mut body)?;
        from.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// A project whose client has gantry for a plugin.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "hello")]);
    let config = config(&sandbox);
    let sandbox = sandbox.env("DOCKER_CONFIG", config.to_str().unwrap());
    sandbox.gantry(["plugin", "install"]).success();
    sandbox
}

#[test]
fn a_running_engine_gets_the_image() {
    for client in clients() {
        let sandbox = sandbox();
        let engine = Engine::start(&sandbox, Mood::Well);
        let build = |words: &[&str]| {
            let mut command = sandbox.other(client, words);
            sandbox.run(command.env("DOCKER_HOST", engine.address())).success()
        };
        let id = build(&["build", "-q", "-t", "app:1", "-t", "app:2", "."]).stdout;
        let id = id.trim_end();
        assert_eq!(
            engine.asked(),
            [format!("GET /images/{id}/json"), "POST /images/load?quiet=1".to_owned()]
        );
        let archive = engine.loaded().remove(0);
        let mut members = BTreeMap::new();
        for entry in tar::Archive::new(&*archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut data = Vec::new();
            entry.read_to_end(&mut data).unwrap();
            members.insert(entry.path().unwrap().display().to_string(), data);
        }
        let manifest: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["app:1", "app:2"]));
        let config = manifest[0]["Config"].as_str().unwrap();
        assert!(config.contains(&id["sha256:".len()..]), "{config}");
        // gantry's store has it, too.
        assert!(sandbox.gantry(["images"]).success().stdout.contains("app"));
        // Files are nobody's business but the caller's, nor is what is meant for no store.
        build(&["buildx", "build", "-o", "out", "."]);
        build(&["buildx", "build", "-o", "type=cacheonly", "."]);
        assert_eq!(engine.asked(), [""; 0]);
    }
}

#[test]
fn what_the_engine_has_is_only_named() {
    for client in clients() {
        let sandbox = sandbox();
        let engine = Engine::start(&sandbox, Mood::Well);
        let build = |words: &[&str]| {
            let address = engine.address();
            let words = [&["-H", &address], words].concat();
            sandbox.run(&mut sandbox.other(client, &words)).success()
        };
        build(&["build", "-t", "app:1", "."]);
        engine.asked();
        let plain = build(&["build", "--progress=plain", "--load", "-t", "app:2", "."]).stderr;
        let asked = engine.asked();
        assert!(asked[0].starts_with("GET /images/sha256:"), "{asked:?}");
        assert!(asked[1].ends_with("/tag?repo=docker.io/library/app&tag=2"), "{asked:?}");
        assert_eq!(asked.len(), 2);
        assert!(plain.contains("importing to docker"), "{plain}");
    }
}

#[test]
fn an_engine_that_refuses_fails_the_build() {
    for client in clients() {
        for (mood, message) in
            [(Mood::Refuses, "no space left on device"), (Mood::Fails, "broken tar")]
        {
            let sandbox = sandbox();
            // More than fits into a socket's buffer.
            sandbox.write("a", "x".repeat(4 << 20));
            let engine = Engine::start(&sandbox, mood);
            let sandbox = sandbox.env("DOCKER_HOST", &engine.address());
            let said = super::docker(&sandbox, client, &["build", "-t", "app", "."]).code(1).stderr;
            assert!(said.contains("failed to load the image into the engine"), "{said}");
            assert!(said.contains(message), "{said}");
        }
    }
}

#[test]
fn without_an_engine_only_who_named_one_hears_of_it() {
    for client in clients() {
        let sandbox = sandbox();
        let words = ["build", "-q", "-t", "app", "."];
        // An engine that runs here is not the test's to fill.
        if !Path::new("/var/run/docker.sock").exists() {
            let unnamed = sandbox.run(&mut sandbox.other(client, &words)).success();
            assert!(!unnamed.stderr.contains("no engine"), "{}", unnamed.stderr);
        }
        let mut command = sandbox.other(client, &words);
        let named = sandbox.run(command.env("DOCKER_HOST", "unix:///nowhere.sock")).success();
        assert!(named.stderr.contains("no engine answers at unix:///nowhere.sock"), "{named:?}");
        assert!(sandbox.gantry(["images"]).success().stdout.contains("app"));
    }
}

/// gantry under its own name has its own store, and asks nobody.
#[test]
fn an_engine_is_left_alone_by_gantry_itself() {
    let sandbox = sandbox();
    let engine = Engine::start(&sandbox, Mood::Well);
    let sandbox = sandbox.env("DOCKER_HOST", &engine.address());
    sandbox.gantry(["build", "--load", "-t", "app", "."]).success();
    assert_eq!(engine.asked(), [""; 0]);
}
