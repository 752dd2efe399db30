//! A registry for one test: Debian's `docker-registry` on a loopback port of its own.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sandbox::required;

/// A registry that runs, and ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Host and port.
    pub(crate) host: String,
    dir: TempDir,
}

/// `user` with the password `secret`.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Makes an authority, a certificate of its for the registry (`127.0.0.1` and `registry.test`), and
/// one for a client.
const CERTIFICATES: &str = r#"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority
make() {
  openssl req -newkey rsa:2048 -nodes -keyout $2 -out request.pem -subj /CN=$3
  printf "$4\nbasicConstraints=CA:FALSE\n" > extensions
  openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
    -extfile extensions -out $1
}
make cert.pem key.pem registry 'subjectAltName=IP:127.0.0.1,DNS:registry.test'
make client.cert client.key somebody 'extendedKeyUsage=clientAuth'
openssl x509 -in cert.pem -outform DER -out cert.der
"#;

fn certificates(dir: &Path) {
    let made = Command::new("sh")
        .args(["-ec", CERTIFICATES])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "openssl made no certificates");
}

impl Server {
    /// Starts one that everybody may use; `None`, and why on stderr, where there is no program.
    pub(crate) fn start() -> Option<Self> {
        Self::with("")
    }

    /// Starts one that asks for user and password.
    pub(crate) fn with_password() -> Option<Self> {
        Self::with("auth: {htpasswd: {realm: test, path: DIR/htpasswd}}\n")
    }

    /// Starts one that speaks TLS, with the certificates that [`certificates`] makes. `http` goes
    /// into the table of that name, `more` behind it; in both, `DIR` is [`dir`](Self::dir).
    pub(crate) fn with_tls(http: &str, more: &str) -> Option<Self> {
        let tls = format!(", tls: {{certificate: DIR/cert.pem, key: DIR/key.pem{http}}}");
        Self::start_with(&tls, more, certificates)
    }

    /// Starts one without TLS that has certificates, for other uses.
    pub(crate) fn with_certificates(more: &str) -> Option<Self> {
        Self::start_with("", more, certificates)
    }

    /// The directory that holds its certificates and passwords.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn with(more: &str) -> Option<Self> {
        Self::start_with("", more, |_| {})
    }

    fn start_with(http: &str, more: &str, prepare: impl Fn(&Path)) -> Option<Self> {
        let found = Command::new("docker-registry").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            assert!(!required("registry"), "`docker-registry` is not there");
            crate::eprintln_skip("docker-registry");
            return None;
        }
        // Somebody else may take the port in between.
        (0..5).find_map(|_| Self::attempt(http, more, &prepare))
    }

    fn attempt(http: &str, more: &str, prepare: &impl Fn(&Path)) -> Option<Self> {
        let dir = TempDir::with_prefix("gantry-registry-").unwrap();
        prepare(dir.path());
        let path = dir.path().to_str().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = format!("127.0.0.1:{port}");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: DIR/data}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '{host}'{http}}}\n{more}"
        );
        fs_err::write(dir.path().join("config.yml"), config.replace("DIR", path)).unwrap();
        fs_err::write(dir.path().join("htpasswd"), HTPASSWD).unwrap();
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.path().join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience && child.try_wait().unwrap().is_none() {
            if TcpStream::connect(&host).is_ok() {
                return Some(Self { child, host, dir });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop((child.kill(), child.wait()));
        None
    }

    /// A name in this registry.
    pub(crate) fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.host)
    }

    /// The file that holds a blob.
    pub(crate) fn blob(&self, digest: &str) -> std::path::PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.dir.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop((self.child.kill(), self.child.wait()));
    }
}
