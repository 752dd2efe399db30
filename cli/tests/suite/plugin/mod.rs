//! gantry as the build plugin of real docker clients, with no engine running and with a stand-in
//! for one.
//!
//! The clients are Debian's, which `scripts/setup` puts below `target/tools`, and the one in `PATH`.

mod clients;
mod engine;
mod install;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::sandbox::{Run, Sandbox, files, required};

/// Every docker client there is here.
fn clients() -> &'static [PathBuf] {
    static CLIENTS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    CLIENTS.get_or_init(|| {
        let places = ["/usr/local/bin/docker", "/usr/bin/docker"].map(PathBuf::from);
        let tools = std::env::var_os("GANTRY_TEST_TOOLS");
        let tools = tools.map_or_else(|| files().join("target/tools"), PathBuf::from);
        let mut found: Vec<PathBuf> =
            std::iter::once(tools.join("docker")).chain(places).filter(|p| p.exists()).collect();
        found.dedup_by_key(|path| fs_err::canonicalize(path).ok());
        // A `docker` that is podman's has no plugins.
        found.retain(|path| version(path).is_some());
        if found.is_empty() {
            assert!(!required("docker"), "no docker client: run `scripts/setup test`");
            crate::eprintln_skip("no docker client is here");
        }
        found
    })
}

/// The first number of a client's version.
fn version(client: &Path) -> Option<u32> {
    let output = Command::new(client).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.strip_prefix("Docker version ")?.split('.').next()?.parse().ok()
}

/// A project whose docker client has gantry for a plugin, and finds no engine.
fn installed(sandbox: Sandbox) -> Sandbox {
    let nowhere = sandbox.project().with_file_name("no-engine.sock");
    let config = config(&sandbox);
    let sandbox = sandbox.env("DOCKER_CONFIG", config.to_str().unwrap());
    sandbox.gantry(["plugin", "install"]).success();
    sandbox.env("DOCKER_HOST", &format!("unix://{}", nowhere.display()))
}

/// The client's configuration directory.
fn config(sandbox: &Sandbox) -> PathBuf {
    sandbox.project().with_file_name("docker")
}

fn docker(sandbox: &Sandbox, client: &Path, args: &[&str]) -> Run {
    sandbox.run(&mut sandbox.other(client, args))
}
