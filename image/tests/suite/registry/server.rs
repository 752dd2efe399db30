//! Debian's `docker-registry`, one process a test.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::has_peer;

/// A registry of the test's own; ended when dropped.
pub(crate) struct Registry {
    child: Child,
    port: u16,
    pub(crate) dir: tempfile::TempDir,
}

/// User `me`, password `p:w"d`, as `htpasswd -B` writes it.
pub(crate) const HTPASSWD: &str =
    "me:$2b$05$H11Ig.z/cnqNwi.m.q2dhOL.LVpI.2u9Oe0932vtv5J8CVgjok7n.\n";

impl Registry {
    /// Starts one, or returns `None` where there is no such program.
    pub(crate) fn start(more: impl FnOnce(&std::path::Path) -> String) -> Option<Self> {
        if !has_peer("docker-registry") {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let more = more(dir.path());
        // Somebody else may take the port in between: then another one is tried.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut config = String::from("version: 0.1\nlog:\n  level: error\n");
            config += &format!(
                "storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n",
                dir.path().join("data").display()
            );
            config += &format!("http:\n  addr: 127.0.0.1:{port}\n{more}");
            let path: PathBuf = dir.path().join("config.yml");
            fs_err::File::create(&path).unwrap().write_all(config.as_bytes()).unwrap();
            let mut child = Command::new("docker-registry")
                .arg("serve")
                .arg(&path)
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let end = Instant::now() + Duration::from_secs(30);
            while child.try_wait().unwrap().is_none() {
                assert!(Instant::now() < end, "docker-registry doesn't listen");
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Some(Self { child, port, dir });
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        panic!("docker-registry doesn't start");
    }

    /// Returns its host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
