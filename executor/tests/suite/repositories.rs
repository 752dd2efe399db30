//! Git repositories behind HTTP on loopback: git's own CGI program behind a few lines of server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// A server of all repositories in a directory.
pub struct Server {
    pub address: String,
    dir: tempfile::TempDir,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    root: PathBuf,
    /// The value of `Authorization` without which nothing is given out.
    wanted: Mutex<Option<String>>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State { root: dir.path().to_owned(), ..State::default() });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&shared));
                // A client that goes away is no failure of the test.
                std::thread::spawn(move || drop(answer(stream, &state)));
            }
        });
        Self { address, dir, state }
    }

    /// Makes a repository `<name>.git` with one commit of these files.
    pub fn repository(&self, name: &str, files: &[(&str, &str)]) -> Repository {
        let path = self.dir.path().join(format!("{name}.git"));
        fs_err::create_dir(&path).unwrap();
        let repository = Repository { path, url: format!("{}/{name}.git", self.address) };
        repository.git(&["init", "-q", "-b", "main", "."]);
        repository.commit(files);
        repository
    }

    /// From now on only who sends this `Authorization` is answered.
    pub fn require(&self, authorization: &str) {
        *self.state.wanted.lock().unwrap() = Some(authorization.to_owned());
    }

    /// The paths that were asked for since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.asked.lock().unwrap())
    }
}

/// A repository with a work tree.
pub struct Repository {
    pub path: PathBuf,
    pub url: String,
}

impl Repository {
    /// Runs git in it.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "protocol.file.allow=always"])
            .args(args)
            .current_dir(&self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["AUTHOR", "COMMITTER"].iter().flat_map(|who| {
                [("NAME", "a"), ("EMAIL", "a@example.com"), ("DATE", "1700000000 +0000")]
                    .map(|(what, value)| (format!("GIT_{who}_{what}"), value))
            }))
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes files and commits all there is; returns the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.path.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "change"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

fn answer(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    state.asked.lock().unwrap().push(path.to_owned());
    let wanted = state.wanted.lock().unwrap().clone();
    if wanted.is_some() && wanted != header("authorization") {
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(head.as_bytes());
    }
    let length = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let reply = backend(&state.root, method, path, query, &header, &body)?;
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(reply.len());
    let text = String::from_utf8_lossy(&reply[..end]).into_owned();
    let status = text.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\n{text}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(reply.get(end + 4..).unwrap_or_default())
}

fn backend(
    root: &Path,
    method: &str,
    path: &str,
    query: &str,
    header: &dyn Fn(&str) -> Option<String>,
    body: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding").unwrap_or_default())
        .env("GIT_PROTOCOL", header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    child.stdin.take().map(|mut stdin| stdin.write_all(body)).transpose()?;
    Ok(child.wait_with_output()?.stdout)
}
