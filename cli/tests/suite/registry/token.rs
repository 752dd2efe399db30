//! A registry that sends one to a token server, which is the test's own (E-20, A5-20, A5-24).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Server, check_store, made, push};
use crate::sandbox::Sandbox;

/// Gives `user` whose password is `secret` a token for all that is asked for, and everybody one for
/// pulling from `public/…`. Tokens are signed with the registry's key, as it wants them.
struct Tokens {
    host: String,
    /// Request lines and, where there was one, the header `authorization`.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    key: Arc<Mutex<PathBuf>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tokens {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let key = Arc::new(Mutex::new(PathBuf::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (log, dir, stopped) = (Arc::clone(&asked), Arc::clone(&key), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let dir = dir.lock().unwrap().clone();
                // A client that goes away is none of ours.
                let _ = stream.and_then(|stream| answer(stream, &dir, &log));
            }
        });
        Self { host, asked, key, stop, thread: Some(thread) }
    }

    /// A registry that believes this server.
    fn registry(&self) -> Option<Server> {
        let auth = format!(
            "auth: {{token: {{realm: 'http://{}/token', service: here, issuer: tests, \
             rootcertbundle: DIR/ca.pem}}}}\n",
            self.host
        );
        let server = Server::with_certificates(&auth)?;
        *self.key.lock().unwrap() = server.dir().to_owned();
        Some(server)
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.host));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn answer(
    mut stream: TcpStream,
    dir: &Path,
    log: &Mutex<Vec<(String, String)>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut authorization) = (String::new(), String::new());
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut authorization);
            }
            _ => {}
        }
    }
    let first = first.trim().to_owned();
    log.lock().unwrap().push((first.clone(), authorization.clone()));
    let known = authorization == "Basic dXNlcjpzZWNyZXQ=";
    let query = first.split(' ').nth(1).and_then(|path| path.split_once('?')).map_or("", |q| q.1);
    let scopes = query.split('&').filter_map(|pair| pair.strip_prefix("scope=")).map(unescape);
    let access: Vec<_> = scopes
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let may = |action: &&str| known || (name.starts_with("public/") && *action == "pull");
            let actions: Vec<&str> = actions.split(',').filter(may).collect();
            Some(serde_json::json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let (status, body) = if !authorization.is_empty() && !known {
        ("401 Unauthorized", serde_json::json!({"details": "incorrect username or password"}))
    } else {
        ("200 OK", serde_json::json!({"token": token(dir, &access), "expires_in": 300}))
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    )
}

fn unescape(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",")
}

/// A signed token, of which the registry takes the certificate's word.
fn token(dir: &Path, access: &[serde_json::Value]) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let certificate = base64(&fs_err::read(dir.join("cert.der")).unwrap(), false);
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = serde_json::json!({
        "iss": "tests", "sub": "user", "aud": "here", "jti": "1",
        "nbf": now - 60, "iat": now - 60, "exp": now + 300, "access": access
    });
    let part = |value: &serde_json::Value| base64(value.to_string().as_bytes(), true);
    let text = format!("{}.{}", part(&header), part(&claims));
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", "key.pem"])
        .current_dir(dir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let mut signature = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut signature).unwrap();
    assert!(child.wait().unwrap().success());
    format!("{text}.{}", base64(&signature, true))
}

fn base64(bytes: &[u8], url: bool) -> String {
    let letters: &[u8; 64] = match url {
        true => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        false => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let all = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for at in 0..4 {
            if at <= chunk.len() {
                text.push(char::from(letters[(all >> (18 - 6 * at)) as usize & 63]));
            } else if !url {
                text.push('=');
            }
        }
    }
    text
}

#[test]
fn e_20_tokens_for_what_is_needed() {
    let tokens = Tokens::start();
    let Some(server) = tokens.registry() else { return };
    let (here, name) = (made(), server.name("public/made:1"));
    here.gantry(["tag", "made", &name]).success();
    let error = here.gantry(["push", &name]).code(1).stderr;
    assert!(error.contains("denied") || error.contains("unauthorized"), "{error}");
    assert!(error.contains("public/made"), "{error}");
    let login = |password: &[u8]| {
        here.gantry_with_input(["login", "-u", "user", "--password-stdin", &server.host], password)
    };
    let wrong = login(b"wrong-one").code(1).stderr;
    assert!(wrong.contains("incorrect username or password"), "{wrong}");
    assert!(!wrong.contains("wrong-one"), "{wrong}");
    login(b"secret").success();
    tokens.asked();
    assert!(push(&here, &name).contains("1: digest: sha256:"));
    let asked = tokens.asked();
    let pushes = |line: &String| line.contains("scope=repository%3Apublic%2Fmade%3Apull%2Cpush");
    assert!(asked.iter().any(|(line, _)| pushes(line)), "{asked:?}");
    assert!(asked.iter().all(|(_, proof)| proof == "Basic dXNlcjpzZWNyZXQ="), "{asked:?}");
    assert!(asked.len() <= 2, "one token for all layers: {asked:?}");
    // Another repository of the same registry lends its layers, for a token for both.
    let other = push(&here, &server.name("private/made:1"));
    assert!(other.contains(": Mounted from public/made"), "{other}");
    let asked = tokens.asked();
    let both = |line: &String| line.contains("public%2Fmade") && line.contains("private%2Fmade");
    assert!(asked.iter().any(|(line, _)| both(line)), "{asked:?}");
    // Everybody may pull one of them, with a token for nobody.
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &name]).success();
    assert!(tokens.asked().iter().all(|(_, proof)| proof.is_empty()));
    let error = there.gantry(["pull", &server.name("private/made:1")]).code(1).stderr;
    let wanted = "repository does not exist or may require 'docker login'";
    assert!(error.contains(wanted), "{error}");
    check_store(&there);
    // The steps of a build get theirs the same way.
    there.write(
        "Dockerfile",
        format!("FROM {}\nRUN cat /tmp/cool-file\n", server.name("private/made:1")),
    );
    let error = there.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("private/made"), "{error}");
    there.gantry(["build", "-q", "--creds", "user:secret", "."]).success();
}
