//! `--mount=type=ssh`: a socket in the step behind which an agent of the host answers.
//!
//! Only two things are passed on: which keys there are, and signing. A step can neither add keys
//! nor remove nor lock those of the user.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::super::fault::Fault;

/// `SSH_AGENTC_REQUEST_IDENTITIES` and `SSH_AGENTC_SIGN_REQUEST` of the agent protocol
/// (draft-ietf-sshm-ssh-agent).
const ALLOWED: [u8; 2] = [11, 13];
/// A message that says `SSH_AGENT_FAILURE`.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];
/// The longest message that OpenSSH takes.
const LONGEST: usize = 256 * 1024;
/// How many connections of one step are served at a time.
const CONNECTIONS: usize = 32;

/// Who may use the socket.
pub(super) struct Access {
    pub(super) mode: u32,
    /// `None` where files can belong to nobody else.
    pub(super) owner: Option<(u32, u32)>,
}

/// A socket that answers for as long as it lives.
#[derive(Debug)]
pub(super) struct Proxy {
    socket: PathBuf,
    /// The same by a path that is short enough for a socket.
    short: PathBuf,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _dir: fs_err::File,
}

impl Proxy {
    /// Makes the socket in a new directory.
    pub(super) fn start(agent: PathBuf, dir: &Path, access: &Access) -> Result<Self, Fault> {
        let failed = || Fault::io("make a socket for the SSH agent");
        fs_err::create_dir(dir).map_err(failed())?;
        let socket = dir.join("agent");
        let dir = fs_err::File::open(dir).map_err(failed())?;
        let short = PathBuf::from(format!("/proc/self/fd/{}/agent", dir.as_raw_fd()));
        let listener = UnixListener::bind(&short).map_err(failed())?;
        let mode = std::fs::Permissions::from_mode(access.mode);
        fs_err::set_permissions(&socket, mode).map_err(failed())?;
        if let Some((uid, gid)) = access.owner {
            std::os::unix::fs::chown(&socket, Some(uid), Some(gid)).map_err(failed())?;
        }
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let thread = std::thread::Builder::new()
            .name("ssh".to_owned())
            .spawn(move || listen(&listener, &agent, &stop))
            .map_err(failed())?;
        Ok(Self { socket, short, ended, thread: Some(thread), _dir: dir })
    }

    /// Where the socket lies.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes it up; if nobody can, there is no use in waiting.
        if UnixStream::connect(&self.short).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn listen(listener: &UnixListener, agent: &Path, ended: &AtomicBool) {
    let open = Arc::new(AtomicUsize::new(0));
    for client in listener.incoming() {
        if ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (agent, count) = (agent.to_owned(), Arc::clone(&open));
        let serve = move || {
            // A connection that breaks is one that ends.
            let _ = serve(client, || UnixStream::connect(&agent));
            count.fetch_sub(1, Ordering::SeqCst);
        };
        if std::thread::Builder::new().spawn(serve).is_err() {
            open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Answers one connection until it ends.
fn serve<A: Read + Write>(
    mut client: impl Read + Write,
    connect: impl FnOnce() -> io::Result<A>,
) -> io::Result<()> {
    let (mut agent, mut connect) = (None, Some(connect));
    while let Some(request) = message(&mut client)? {
        if !request.get(4).is_some_and(|kind| ALLOWED.contains(kind)) {
            client.write_all(&FAILURE)?;
            continue;
        }
        if let Some(connect) = connect.take() {
            agent = connect().ok();
        }
        let answer = match &mut agent {
            Some(agent) => {
                agent.write_all(&request)?;
                message(agent)?
            }
            None => Some(FAILURE.to_vec()),
        };
        let Some(answer) = answer else { return Ok(()) };
        client.write_all(&answer)?;
    }
    Ok(())
}

/// Reads a message with its length in front; `None` where the stream ends before one.
fn message(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let size = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if size == 0 || size > LONGEST {
        return Err(io::Error::other("a message of this length is none"));
    }
    let mut message = length.to_vec();
    message.resize(4 + size, 0);
    from.read_exact(&mut message[4..])?;
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listing_and_signing_reach_the_agent() {
        let (mut step, client) = UnixStream::pair().unwrap();
        let (mut agent, behind) = UnixStream::pair().unwrap();
        let serving = std::thread::spawn(move || serve(client, || Ok(behind)));
        let mut answer = [0; 5];
        // Adding, removing, locking, extensions.
        for kind in [17, 18, 19, 22, 25, 27] {
            step.write_all(&[0, 0, 0, 1, kind]).unwrap();
            step.read_exact(&mut answer).unwrap();
            assert_eq!(answer, FAILURE);
        }
        step.write_all(&[0, 0, 0, 2, 11, 9]).unwrap();
        let mut asked = [0; 6];
        agent.read_exact(&mut asked).unwrap();
        assert_eq!(asked, [0, 0, 0, 2, 11, 9]);
        agent.write_all(&[0, 0, 0, 1, 12]).unwrap();
        step.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [0, 0, 0, 1, 12]);
        step.write_all(&[0xff; 4]).unwrap();
        assert!(serving.join().unwrap().is_err());
    }
}
