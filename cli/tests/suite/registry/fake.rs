//! Images that no registry of today would take: told by a server of the test's own, which knows
//! answers by their paths.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use gantry_image::Digest;
use serde_json::{Value, json};

use super::{Server, check_store, lines, made, push};
use crate::sandbox::Sandbox;

/// Type and bytes of what lies at a path.
type Answers = BTreeMap<String, (String, Vec<u8>)>;

/// Heads, in lower case, and bodies of what was asked.
type Log = Mutex<Vec<(String, Vec<u8>)>>;

struct Fake {
    host: String,
    asked: Arc<Log>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    fn start(make: impl FnOnce(&str) -> Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answers = make(&host);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(Log::default());
        let (stopped, log) = (Arc::clone(&stop), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away is none of ours.
                let _ = stream.and_then(|stream| answer(stream, &answers, &log));
            }
        });
        Self { host, asked, stop, thread: Some(thread) }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Says what is at a path; takes whatever is sent, and has none of it then.
fn answer(stream: TcpStream, answers: &Answers, log: &Log) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let method = head.split(' ').next().unwrap_or_default().to_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push((head, body));
    let empty = |kind: &str| (kind.to_owned(), Vec::new());
    let (status, (kind, bytes)) = match (&*method, answers.get(&path)) {
        ("post", _) => ("202 Accepted\r\nlocation: /up", empty("text/plain")),
        ("put", _) => ("201 Created", empty("text/plain")),
        (_, Some(found)) => ("200 OK", found.clone()),
        (_, None) if path == "/v2/" => ("200 OK", ("application/json".to_owned(), b"{}".to_vec())),
        (_, None) => ("404 Not Found", empty("text/plain")),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        bytes.len()
    )?;
    if method != "head" {
        stream.write_all(&bytes)?;
    }
    Ok(())
}

/// An image of one layer, `x:1`, whose tar is busybox's.
fn image(layer: &Value, kind: &str, more: &[(String, Vec<u8>)]) -> Answers {
    image_of(crate::base::busybox_tar(), layer, kind, more)
}

/// An image of one layer with this tar, `x:1`.
fn image_of(tar: &[u8], layer: &Value, kind: &str, more: &[(String, Vec<u8>)]) -> Answers {
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(tar).to_string()]}
    });
    let config = config.to_string().into_bytes();
    let digest = Digest::of(&config).to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": kind,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest,
            "size": config.len()
        },
        "layers": [layer]
    });
    let octets = || "application/octet-stream".to_owned();
    let mut answers = Answers::new();
    answers.insert("/v2/x/manifests/1".to_owned(), (kind.to_owned(), manifest.to_string().into()));
    answers.insert(format!("/v2/x/blobs/{digest}"), (octets(), config));
    for (path, bytes) in more {
        answers.insert(path.clone(), (octets(), bytes.clone()));
    }
    answers
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[test]
fn e_03_schema_1_is_refused_with_a_clear_message() {
    let fake = Fake::start(|_| {
        let old = br#"{"schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": []}"#.to_vec();
        let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws".to_owned();
        Answers::from([("/v2/x/manifests/1".to_owned(), (kind, old))])
    });
    let sandbox = Sandbox::new();
    let error = sandbox.gantry(["pull", &format!("{}/x:1", fake.host)]).code(1).stderr;
    assert!(error.contains("schema 1"), "{error}");
}

#[test]
fn e_04_foreign_layers_are_fetched_where_they_are_said_to_be_and_not_pushed() {
    let tar = crate::base::busybox_tar();
    let fake = Fake::start(|host| {
        let layer = json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "digest": Digest::of(tar).to_string(),
            "size": tar.len(),
            "urls": [format!("http://{host}/elsewhere/layer")]
        });
        image(&layer, MANIFEST, &[("/elsewhere/layer".to_owned(), tar.to_vec())])
    });
    let (sandbox, name) = (Sandbox::new(), format!("{}/x:1", fake.host));
    sandbox.gantry(["pull", "-q", &name]).success();
    let run = sandbox.gantry(["run", "--rm", &name, "echo", "it runs"]).success();
    assert_eq!(run.stdout, "it runs\n");
    check_store(&sandbox);
    // It stays where it is, and so does what the manifest says of it.
    let copy = format!("{}/copy:1", fake.host);
    sandbox.gantry(["tag", &name, &copy]).success();
    fake.asked.lock().unwrap().clear();
    let said = sandbox.gantry(["push", &copy]).success().stdout;
    let short = &Digest::of(tar).to_string()["sha256:".len()..][..12];
    assert!(said.contains(&format!("{short}: Skipped foreign layer\n")), "{said}");
    let asked = fake.asked.lock().unwrap().clone();
    let uploads = asked.iter().filter(|(head, _)| head.starts_with("put /up"));
    assert_eq!(
        uploads.map(|(_, body)| body.len() < 1000).collect::<Vec<_>>(),
        [true],
        "the config"
    );
    let (_, manifest) =
        asked.iter().find(|(head, _)| head.starts_with("put /v2/copy/manif")).unwrap();
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    assert_eq!(manifest["layers"][0]["urls"][0], format!("http://{}/elsewhere/layer", fake.host));
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    assert_eq!(manifest["layers"][0]["mediaType"], kind);
}

/// Headers that docker's configuration adds go to registries (E-21).
#[test]
fn e_21_headers_of_dockers_configuration() {
    let tar = crate::base::busybox_tar();
    let fake = Fake::start(|_| {
        let digest = Digest::of(tar).to_string();
        let kind = "application/vnd.oci.image.layer.v1.tar";
        let layer = json!({"mediaType": kind, "digest": digest, "size": tar.len()});
        image(&layer, MANIFEST, &[(format!("/v2/x/blobs/{digest}"), tar.to_vec())])
    });
    let sandbox = Sandbox::new();
    let config = r#"{"HttpHeaders": {"X-Meta-Team": "blue", "User-Agent": "mine"}}"#;
    sandbox.write("../home/.docker/config.json", config);
    sandbox.gantry(["pull", "-q", &format!("{}/x:1", fake.host)]).success();
    let asked = fake.asked.lock().unwrap().clone();
    let of_image = asked.iter().filter(|(head, _)| head.contains("/v2/x/"));
    assert!(of_image.clone().count() >= 3);
    assert!(
        of_image.clone().all(|(head, _)| head.contains("\nx-meta-team: blue\r\n")),
        "{asked:?}"
    );
}

#[test]
fn what_is_no_image_is_named() {
    let tar = crate::base::busybox_tar();
    let fake = Fake::start(|_| {
        let layer = json!({
            "mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "digest": Digest::of(tar).to_string(),
            "size": tar.len()
        });
        image(&layer, MANIFEST, &[])
    });
    let name = format!("{}/x:1", fake.host);
    let error = Sandbox::new().gantry(["pull", &name]).code(1).stderr;
    assert!(error.contains("is no image: its layer has the type `application/vnd.cncf"), "{error}");
}

/// A layer whose bytes are those promised, and whose tar is another than the config says.
#[test]
fn a1_14_a_diff_id_is_checked() {
    let other = vec![0; 1024];
    let fake = Fake::start(|_| {
        let digest = Digest::of(&other).to_string();
        let layer = json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": digest,
            "size": other.len()
        });
        image(&layer, MANIFEST, &[(format!("/v2/x/blobs/{digest}"), other.clone())])
    });
    let sandbox = Sandbox::new();
    let error = sandbox.gantry(["pull", &format!("{}/x:1", fake.host)]).code(1).stderr;
    assert!(error.contains("unpacks to diff ID"), "{error}");
    assert_eq!(lines(&sandbox, &["images", "-q"]), [""; 0]);
    check_store(&sandbox);
}

/// Of two that pull the same at once, each layer comes once, and both end well.
#[test]
fn e_30_two_pull_the_same_at_once() {
    let Some(server) = Server::start() else { return };
    let name = server.name("made:1");
    push(&made(), &name);
    let there = Sandbox::new();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| there.gantry(["pull", "-q", &name]).success());
        }
    });
    assert_eq!(lines(&there, &["images", "-q"]).len(), 1);
    check_store(&there);
}

/// A pull that is killed leaves a store in which the next one succeeds.
#[test]
fn e_30_a_killed_pull_leaves_a_sound_store() {
    let Some(server) = Server::start() else { return };
    let name = server.name("made:1");
    push(&made(), &name);
    let there = Sandbox::new();
    for pause in [5, 20, 40, 80] {
        let mut child = there.command(["pull", "-q", &name]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        drop((child.kill(), child.wait()));
        check_store(&there);
    }
    there.gantry(["pull", "-q", &name]).success();
    check_store(&there);
}

/// A layer in pieces with a table of contents, which others fetch one by one: here it is a gzip file
/// as any, and stays as it is (E-27).
#[test]
fn e_27_estargz_is_read_and_passed_on() {
    use gantry_image::compress::{Compression, Encoder};
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [("f", "in pieces\n"), ("stargz.index.json", "{\"version\":1}")] {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut blob = Vec::new();
    for piece in [&tar[..512], &tar[512..1024], &tar[1024..]] {
        let mut gzip = Encoder::new(Compression::Gzip, None, 1, blob).unwrap();
        gzip.write_all(piece).unwrap();
        blob = gzip.finish().unwrap();
    }
    // The footer: a member without data, whose header says where the table is.
    blob.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0]);
    blob.extend(b"SG\x16\x000000000000000400STARGZ");
    blob.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let annotations = json!({
        "containerd.io/snapshot/stargz/toc.digest": Digest::of(b"{\"version\":1}").to_string(),
        "io.containers.estargz.uncompressed-size": tar.len().to_string()
    });
    let digest = Digest::of(&blob).to_string();
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": digest,
        "size": blob.len(),
        "annotations": annotations
    });
    let fake = Fake::start(|_| {
        image_of(&tar, &layer, MANIFEST, &[(format!("/v2/x/blobs/{digest}"), blob.clone())])
    });
    let Some(server) = Server::start() else { return };
    let (sandbox, name) = (Sandbox::new(), format!("{}/x:1", fake.host));
    sandbox.gantry(["pull", "-q", &name]).success();
    sandbox.write("Dockerfile", format!("FROM scratch\nCOPY --from={name} /f /\n"));
    sandbox.gantry(["build", "-o", "out", "."]).success();
    assert_eq!(sandbox.read("out/f"), b"in pieces\n");
    sandbox.gantry(["tag", &name, &server.name("x:1")]).success();
    sandbox.gantry(["push", "-q", &server.name("x:1")]).success();
    let manifest = sandbox.gantry(["manifest", "inspect", &server.name("x:1")]).success().stdout;
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["layers"][0], layer);
    check_store(&sandbox);
}
