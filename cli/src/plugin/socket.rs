//! The socket by which the docker client tells its plugin to end.
//!
//! The client listens, names the socket in a variable, and says nothing. When it closes the
//! connection, because it was interrupted, or because it is gone, the plugin is to end. That comes
//! as a `SIGINT` here, so that there is one way to end: the one of Ctrl-C.

use std::io::Read as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::thread;

use rustix::process::{Signal, getpid, kill_process};

const VARIABLE: &str = "DOCKER_CLI_PLUGIN_SOCKET";

/// Interrupts this process when the client goes away. Clients before version 24 name no socket.
pub(super) fn interrupt_when_closed() {
    let Some(name) = std::env::var_os(VARIABLE) else { return };
    let name = name.into_encoded_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::path::Path::new(&*String::from_utf8_lossy(&name))),
    };
    // Without the socket the plugin ends by signals alone, as with older clients.
    let Ok(mut stream) = address.and_then(|address| UnixStream::connect_addr(&address)) else {
        return;
    };
    let wait = move || {
        let mut byte = [0];
        while let Ok(1..) = stream.read(&mut byte) {}
        let _ = kill_process(getpid(), Signal::INT);
    };
    let _ = thread::Builder::new().name("client".to_owned()).spawn(wait);
}
