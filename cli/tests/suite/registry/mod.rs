//! Images from a registry and to it: a real one, on loopback.

mod attest;
mod bars;
mod build;
pub(crate) mod cache;
mod fake;
mod indexes;
mod lazy;
mod lists;
mod peers;
mod proxy;
mod pull;
mod push;
mod recorder;
mod secure;
pub(crate) mod server;
mod token;

use serde_json::Value;

use self::server::Server;
use crate::sandbox::Sandbox;

/// Two layers upon `busybox`.
const TEXT: &str =
    "FROM busybox\nRUN echo cool content > /tmp/cool-file\nRUN rm /bin/wget\nCMD [\"true\"]\n";

/// A sandbox in whose store there is `busybox`, and `made` that is built upon it.
fn made() -> Sandbox {
    let sandbox = Sandbox::with([("Dockerfile", TEXT)]).with_busybox();
    sandbox.gantry(["build", "-q", "-t", "made", "."]).success();
    sandbox
}

/// Pushes `made` under a name, and returns what was printed.
fn push(sandbox: &Sandbox, name: &str) -> String {
    sandbox.gantry(["tag", "made", name]).success();
    sandbox.gantry(["push", name]).success().stdout
}

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.gantry(["inspect", name]).success().stdout;
    serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0)
}

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    sandbox.gantry_words(args).success().stdout.lines().map(str::to_owned).collect()
}

/// Asserts that the store is sound.
pub(crate) fn check_store(sandbox: &Sandbox) {
    sandbox.gantry(["fsck"]).success();
}
