//! Registries behind a proxy of the test's own, which may well be broken (E-13, E-18, E-24, E-26).

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Server, check_store, inspect, lines, made, push};
use crate::sandbox::Sandbox;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Pass,
    /// The connection ends after so many bytes of the answer.
    Cut(usize),
    /// The answer is this status, to be tried again at once.
    Busy(u16),
    /// One byte of the answer, so far from its beginning, is another.
    Corrupt(usize),
}

/// What becomes of a request, by how often the same was asked for before, and its first line.
type Fates = dyn Fn(usize, &str) -> Fate + Send + Sync;

/// A proxy for plain http and for `CONNECT`; whatever host is asked for, it goes to one server.
struct Proxy {
    host: String,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    fn start(to: &str, fates: impl Fn(usize, &str) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let fates: Arc<Fates> = Arc::new(fates);
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let (log, stopped, to) = (Arc::clone(&asked), Arc::clone(&stop), to.to_owned());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (log, fates, to) = (Arc::clone(&log), Arc::clone(&fates), to.clone());
                let counts = Arc::clone(&counts);
                // Ends by itself when either side hangs up.
                std::thread::spawn(move || drop(serve(stream, &to, &*fates, &log, &counts)));
            }
        });
        Self { host, asked, stop, thread: Some(thread) }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// A sandbox whose registries, but for loopback, are behind it.
    fn before(&self, sandbox: Sandbox) -> Sandbox {
        let url = format!("http://{}", self.host);
        sandbox.env("HTTP_PROXY", &url).env("HTTPS_PROXY", &url)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// One request a connection.
fn serve(
    near: TcpStream,
    to: &str,
    fates: &Fates,
    log: &Mutex<Vec<String>>,
    counts: &Mutex<BTreeMap<String, usize>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(near.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if !lower.starts_with("connection:") && !lower.starts_with("proxy-") {
            head += &line;
        }
    }
    log.lock().unwrap().push(first.trim().to_owned());
    let mut far = TcpStream::connect(to)?;
    if first.starts_with("CONNECT ") {
        (&near).write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let (mut a, mut b) = (near.try_clone()?, far.try_clone()?);
        let up = std::thread::spawn(move || {
            drop(io::copy(&mut a, &mut b));
            drop(b.shutdown(Shutdown::Write));
        });
        drop(io::copy(&mut far, &mut &near));
        drop(near.shutdown(Shutdown::Both));
        drop(up.join());
        return Ok(());
    }
    // Each upload has a name of its own.
    let same = first.split("/uploads/").next().unwrap_or_default().to_owned();
    let count = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(same).or_insert(0);
        *count += 1;
        *count - 1
    };
    let fate = fates(count, &first);
    if let Fate::Busy(status) = fate {
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        return write!(
            &near,
            "HTTP/1.1 {status} Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    // `GET http://registry.test/v2/… HTTP/1.1`
    let path = first.split_once("://").and_then(|(_, rest)| Some(rest.split_once('/')?.1));
    let method = first.split(' ').next().unwrap_or_default();
    write!(far, "{method} /{}{head}connection: close\r\n\r\n", path.unwrap_or_default())?;
    if let Fate::Cut(bytes) = fate
        && length > bytes as u64
    {
        // It is the sending that is cut.
        io::copy(&mut reader.by_ref().take(bytes as u64), &mut far)?;
        return near.shutdown(Shutdown::Both);
    }
    io::copy(&mut reader.by_ref().take(length), &mut far)?;
    let mut answer = Vec::new();
    far.read_to_end(&mut answer)?;
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    match fate {
        Fate::Cut(bytes) if answer.len() > body + bytes => answer.truncate(body + bytes),
        Fate::Corrupt(at) if answer.len() > body + at => answer[body + at] ^= 1,
        _ => {}
    }
    (&near).write_all(&answer)?;
    near.shutdown(Shutdown::Both)
}

/// `registry.test` needs no TLS.
const PLAIN: &str = "[[registry]]\nlocation = \"registry.test\"\ninsecure = true\n";

fn configured(sandbox: Sandbox, text: &str) -> Sandbox {
    sandbox.write("../home/.config/containers/registries.conf", text);
    sandbox
}

#[test]
fn e_26_through_a_proxy_and_around_it() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::start(&server.host, |_, _| Fate::Pass);
    let here = proxy.before(configured(made(), PLAIN));
    let name = "registry.test/team/made:1";
    push(&here, name);
    assert!(proxy.asked().iter().any(|line| line.starts_with("PUT http://registry.test/v2/")));
    let there = proxy.before(configured(Sandbox::new(), PLAIN));
    there.gantry(["pull", "-q", name]).success();
    there.write("Dockerfile", format!("FROM {name}\nRUN cat /tmp/cool-file\n"));
    there.gantry(["build", "-q", "--pull", "."]).success();
    assert!(proxy.asked().len() > 3);
    // Loopback is never behind it, nor is what is excepted.
    there.gantry(["pull", "-q", &server.name("team/made:1")]).success();
    assert_eq!(proxy.asked(), [""; 0]);
    let there = there.env("NO_PROXY", "example.com,.test");
    let error = there.gantry(["pull", "--retry=0", name]).code(1).stderr;
    assert!(error.contains("registry.test"), "{error}");
    assert_eq!(proxy.asked(), [""; 0]);
}

/// In capitals or not, with the exceptions that Go's programs know.
#[test]
fn e_26_variables_in_every_spelling() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::start(&server.host, |_, _| Fate::Pass);
    push(&made(), &server.name("made:1"));
    let url = format!("http://{}", proxy.host);
    for (variable, exceptions, through) in [
        ("http_proxy", "", true),
        ("HTTP_PROXY", "other.test, 10.0.0.0/8", true),
        ("HTTP_PROXY", "egistry.test", true),
        ("http_proxy", "registry.test:5000", true),
        ("http_proxy", "*", false),
        ("HTTP_PROXY", "test", false),
        ("HTTP_PROXY", "other, registry.test", false),
    ] {
        let there = configured(Sandbox::new(), PLAIN).env(variable, &url);
        let there = there.env("no_proxy", exceptions);
        let run = there.gantry(["pull", "-q", "--retry=0", "registry.test/made:1"]);
        assert_eq!(run.succeeded(), through, "{variable}, {exceptions}: {run}");
        assert_eq!(proxy.asked().is_empty(), !through, "{variable}, {exceptions}");
    }
}

#[test]
fn e_26_tls_goes_through_a_proxy_unseen() {
    let Some(server) = Server::with_tls("", "") else { return };
    let proxy = Proxy::start(&server.host, |_, _| Fate::Pass);
    let here = proxy.before(made());
    let authority = fs_err::read(server.dir().join("ca.pem")).unwrap();
    here.write("../home/.docker/certs.d/registry.test/ca.crt", &authority);
    here.write("../home/.config/docker/certs.d/registry.test/ca.crt", &authority);
    let name = "registry.test/made:1";
    push(&here, name);
    let asked = proxy.asked();
    assert!(asked.iter().all(|line| line == "CONNECT registry.test:443 HTTP/1.1"), "{asked:?}");
    // A proxy that is not there is told of, and its password is not.
    let bad = Sandbox::new().env("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1");
    let error = bad.gantry(["pull", "--retry=0", name]).code(1).stderr;
    assert!(error.contains("registry.test") && !error.contains("hunter2"), "{error}");
}

/// Every pull and push ends right or fails clearly, and the store stays sound.
#[test]
fn e_13_and_14_a_wire_that_breaks() {
    let Some(server) = Server::start() else { return };
    let blob = |line: &str| line.contains("/blobs/");
    let quick = ["--retry=3", "--retry-delay=10ms"];
    let first = |count: usize, fate: Fate| if count == 0 { fate } else { Fate::Pass };
    let of_blob = move |line: &str, fate: Fate| if blob(line) { fate } else { Fate::Pass };
    let fates: [(&str, Box<Fates>, bool); 7] = [
        ("busy", Box::new(move |count, _| first(count, Fate::Busy(429))), true),
        ("ill", Box::new(move |count, _| first(count / 2, Fate::Busy(503))), true),
        ("cut", Box::new(move |count, line| of_blob(line, first(count, Fate::Cut(100_000)))), true),
        ("odd", Box::new(move |count, line| of_blob(line, first(count, Fate::Corrupt(50)))), true),
        ("corrupt", Box::new(move |_, line| of_blob(line, Fate::Corrupt(50))), false),
        ("cut-for-ever", Box::new(move |_, line| of_blob(line, Fate::Cut(10))), false),
        ("down", Box::new(|_, _| Fate::Busy(503)), false),
    ];
    for (what, fates, ends) in fates {
        let proxy = Proxy::start(&server.host, fates);
        let here = proxy.before(configured(made(), PLAIN));
        let name = format!("registry.test/{what}:1");
        here.gantry(["tag", "made", &name]).success();
        let pushed = here.gantry_words(&[&["push"][..], &quick, &[&name]].concat());
        if ends {
            pushed.success();
        } else {
            drop(pushed);
            push(&here, &server.name(&format!("{what}:1")));
        }
        check_store(&here);
        let there = proxy.before(configured(Sandbox::new(), PLAIN));
        let pull = || there.gantry_words(&[&["pull", "-q"][..], &quick, &[&name]].concat());
        let mut pulled = pull();
        if what == "odd" {
            // What was unpacked on the way is not taken back, so this pull fails, and the next one not.
            let error = pulled.code(1).stderr;
            assert!(error.contains("is corrupt: its digest is `sha256:"), "{error}");
            check_store(&there);
            pulled = (0..3).map(|_| pull()).find(|run| run.succeeded()).unwrap_or_else(pull);
        }
        if ends {
            pulled.success();
            assert_eq!(inspect(&there, &name)["Id"], inspect(&here, "made")["Id"], "{what}");
        } else {
            let error = pulled.code(1).stderr;
            assert!(
                error.starts_with("ERROR: ") && error.contains("registry.test"),
                "{what}: {error}"
            );
            assert_eq!(lines(&there, &["images", "-q"]), [""; 0]);
        }
        check_store(&there);
    }
}

#[test]
fn e_24_mirrors_are_asked_first() {
    let Some(server) = Server::start() else { return };
    let here = made();
    push(&here, &server.name("cache/made:1"));
    let containers = format!(
        "[[registry]]\nlocation = \"registry.test\"\n[[registry.mirror]]\nlocation = \"{}/cache\"\n",
        server.host
    );
    let buildkit = format!("[registry.\"registry.test\"]\nmirrors = [\"{}/cache\"]\n", server.host);
    for (file, text) in
        [("containers/registries.conf", containers), ("buildkit/buildkitd.toml", buildkit)]
    {
        let there = Sandbox::with([("Dockerfile", "FROM registry.test/made:1\nRUN true\n")]);
        there.write(&format!("../home/.config/{file}"), text);
        there.gantry(["pull", "-q", "registry.test/made:1"]).success();
        let named = lines(&there, &["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert_eq!(named, ["registry.test/made:1"]);
        there.gantry(["rmi", "registry.test/made:1"]).success();
        there.gantry(["build", "-q", "."]).success();
    }
    // One that is not there is passed over.
    let fallen = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"127.0.0.1:1\"\n",
        server.host
    );
    let there = configured(Sandbox::new(), &fallen);
    there.gantry(["pull", "-q", &server.name("cache/made:1")]).success();
    check_store(&there);
}
