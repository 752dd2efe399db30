//! gantry beside a whole Docker engine with BuildKit, both of Debian: images go from one to the
//! other, and the same Dockerfiles are built by both.
//!
//! `scripts/setup` puts the programs below `target/tools/engine`. An engine needs root.

mod allowed;
mod attested;
mod cases;
mod differences;
mod image;
mod travel;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Printed, Sandbox, files, required};

/// Where the engine keeps images; each can do what the other can't.
#[derive(Debug, Clone, Copy)]
enum Store {
    /// The classic one: an image's ID is the digest of its config.
    Graph,
    /// containerd's: exports of every kind, caches, attestations.
    Containerd,
}

/// An engine that runs, and ends with this value. It sees a mount namespace and a process
/// namespace of its own, and its steps a group of processes that goes with it.
struct Engine {
    sandbox: Sandbox,
    child: Child,
    group: String,
}

impl Engine {
    /// Starts one, with a project of its own; `None`, and why on stderr, where it can't be.
    fn start(store: Store) -> Option<Self> {
        let tools = std::env::var_os("GANTRY_TEST_TOOLS");
        let tools = tools.map_or_else(|| files().join("target/tools"), PathBuf::from);
        let programs = tools.join("engine");
        if !rustix::process::geteuid().is_root() || !programs.join("dockerd").exists() {
            assert!(!required("engine"), "no engine: run `scripts/setup test`, as root");
            crate::eprintln_skip("there is no engine, or no root to run it");
            return None;
        }
        let sandbox = Sandbox::new();
        let dir = sandbox.project().with_file_name("engine");
        let plugins = dir.join("config/cli-plugins");
        fs_err::create_dir_all(&plugins).unwrap();
        fs_err::copy(programs.join("docker-buildx"), plugins.join("docker-buildx")).unwrap();
        let containerd = matches!(store, Store::Containerd);
        let daemon = format!(
            "{{\"features\":{{\"containerd-snapshotter\":{containerd}}},\
             \"insecure-registries\":[\"127.0.0.0/8\"]}}"
        );
        fs_err::write(dir.join("daemon.json"), daemon).unwrap();
        let group = format!("gantry-test-engine-{}", dir.parent().unwrap().display())
            .replace(['/', '.'], "-");
        let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let log = fs_err::File::create(dir.join("log")).unwrap().into_parts().0;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"])
            .args(["--mount-proc", "dockerd", "--config-file", &path("daemon.json")])
            .args(["--data-root", &path("data"), "--exec-root", &path("run")])
            .args(["--pidfile", &path("pid"), "-H", &format!("unix://{}", path("sock"))])
            .args(["--bridge=none", "--userland-proxy=false"])
            .args(["--iptables=false", "--ip6tables=false"])
            .args(["--cgroup-parent", &format!("/{group}")])
            .arg(format!("--default-ulimit=nofile={}", open.unwrap_or(1024)))
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", programs.display()))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        let child = command.spawn().unwrap();
        let sandbox = sandbox
            .env("DOCKER_HOST", &format!("unix://{}", path("sock")))
            .env("DOCKER_CONFIG", &path("config"))
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
        let engine = Self { sandbox, child, group };
        let patience = Instant::now() + Duration::from_secs(60);
        while !engine.run(&programs, &["version"]).is_some_and(|output| output.status.success()) {
            let log = String::from_utf8(engine.sandbox.read("../engine/log")).unwrap();
            assert!(Instant::now() < patience, "the engine did not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        // The same base image for both.
        engine.sandbox.write("base.tar", crate::base::busybox_tar());
        engine.docker(&["import", "base.tar", "busybox"]);
        engine.docker(&["save", "-o", "saved.tar", "busybox"]);
        engine.sandbox.gantry(["load", "-q", "-i", "saved.tar"]).success();
        Some(engine)
    }

    fn run(&self, programs: &Path, words: &[&str]) -> Option<std::process::Output> {
        self.sandbox.other(&programs.join("docker"), words).output().ok()
    }

    /// Runs the docker client to its good end.
    #[track_caller]
    fn docker(&self, words: &[&str]) -> Printed {
        self.sandbox.run(&mut self.client(words)).success()
    }

    /// The docker client, to be run in some other way.
    fn client(&self, words: &[&str]) -> Command {
        let tools = std::env::var_os("GANTRY_TEST_TOOLS");
        let tools = tools.map_or_else(|| files().join("target/tools"), PathBuf::from);
        self.sandbox.other(&tools.join("engine/docker"), words)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The first process of its namespace: with it all others end.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let groups = "for d in /sys/fs/cgroup/*/\"$1\" /sys/fs/cgroup/\"$1\"; do \
             if [ -d \"$d\" ]; then find \"$d\" -depth -type d -exec rmdir {} +; fi; done";
        let _ = Command::new("sh").args(["-c", groups, "sh", &self.group]).status();
    }
}
