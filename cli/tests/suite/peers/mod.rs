//! Other tools read what gantry writes, and gantry reads what they write: skopeo, buildah,
//! podman, umoci.

mod differences;
mod read;
mod registry;
mod written;

use std::process::{Command, Stdio};

use crate::sandbox::{Sandbox, required};

/// Several layers with all that tends to be lost: owners, modes, links, deletions, a replaced
/// directory, text for the process.
const TEXT: &str = r#"FROM busybox
ENV GREETING="hello there"
WORKDIR /work
RUN echo one > one && ln one again && ln -s one soft && mkdir -m 1770 dir && echo x > dir/old \
    && chown 7:8 one && chmod 4750 one && echo two > two
RUN chown 5:6 two && chmod 2711 two && chown -h 9 soft && rm /bin/wget
RUN rm -r dir && mkdir dir && echo y > dir/new
COPY --chown=12:34 --chmod=640 sub/ /copied/
COPY facts /facts
USER nobody
LABEL of="some text"
EXPOSE 80
ENTRYPOINT ["sh", "/facts"]
CMD ["by default"]
"#;

/// Prints what a process sees of it.
const FACTS: &str = r#"echo "$GREETING, $*"
id -u; id -g; pwd
test -e /bin/wget || echo "no wget"
find /work /copied /facts /etc/passwd /bin/sh | sort | while read -r path; do
  stat -c '%n %u:%g %a %F %N' "$path"
  test -d "$path" || stat -c '%n %s %h' "$path"
done
"#;

/// What every peer runs under: nothing of the host's is seen by it, and nothing it does stays.
/// crun knows no mixed hierarchy of cgroups; it takes the second one alone.
const ALONE: &str = r#"set -e
mount -t tmpfs none /dev/shm
mount -t tmpfs none /run
mount -t tmpfs none /var/cache
# Else they look for signatures in a directory of the machine that not everybody may read.
if [ -d /var/lib/containers ]; then mount -t tmpfs none /var/lib/containers; fi
if [ -d /sys/fs/cgroup/unified ]; then mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup; fi
if [ "$(ulimit -Hn)" = unlimited ]; then ulimit -n 1024; fi
exec timeout 120 "$@""#;

/// A sandbox whose project holds the image `made`, and a place for what the peers keep.
struct Peers {
    sandbox: Sandbox,
}

impl Peers {
    /// `None`, and why on stderr, where a peer is missing or can do nothing.
    fn new() -> Option<Self> {
        let sandbox = Sandbox::with([("Dockerfile", TEXT), ("facts", FACTS), ("sub/f", "f\n")]);
        let peers = Self { sandbox };
        fs_err::create_dir(peers.sandbox.project().join("peers")).unwrap();
        let tools = "for tool in skopeo podman buildah umoci crun; do command -v $tool; done";
        let output = peers.command(&["sh", "-ec", tools]).output().unwrap();
        if !output.status.success() {
            let found = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            let reason = format!("peers can't be run; found are {found}; {why}");
            assert!(!required("peers"), "{reason}");
            crate::eprintln_skip(&reason);
            return None;
        }
        let sandbox = &peers.sandbox;
        sandbox.gantry_with_input(["import", "-", "busybox"], crate::base::busybox_tar()).success();
        sandbox
            .gantry([
                "build",
                "-t",
                "made",
                "-o",
                "type=image",
                "-o",
                "type=oci,dest=oci.tar",
                "-o",
                "type=oci,tar=false,dest=layout",
                "-o",
                "type=docker,dest=docker.tar",
                "-o",
                "type=tar,dest=root.tar",
                ".",
            ])
            .success();
        sandbox.gantry(["save", "-o", "saved.tar", "made"]).success();
        Some(peers)
    }

    /// A command line of a peer, as root of what it may do: of this host, or of a namespace.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user", "--map-auto"]);
        }
        let gantry = self.sandbox.command([]);
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", ALONE, "sh"])
            .args(words)
            .current_dir(self.sandbox.project())
            .env_clear()
            .envs(gantry.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its good end and returns what it printed.
    #[track_caller]
    fn peer(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(
            output.status.success(),
            "{words:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn skopeo(&self, words: &[&str]) -> String {
        self.peer(&[&["skopeo", "--insecure-policy"], words].concat())
    }

    #[track_caller]
    fn buildah(&self, words: &[&str]) -> String {
        let store = ["buildah", "--root", "peers/b", "--runroot", "peers/br"];
        self.peer(&[&store[..], &["--storage-driver", "vfs"], words].concat())
    }

    #[track_caller]
    fn podman(&self, words: &[&str]) -> String {
        let place = self.sandbox.project().join("peers");
        let place = |name: &str| place.join(name).to_str().unwrap().to_owned();
        let (root, run, tmp) = (place("p"), place("pr"), place("pt"));
        let store = ["podman", "--root", &root, "--runroot", &run, "--tmpdir", &tmp];
        let ways = ["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"];
        let more = ["--events-backend", "file", "--runtime", "crun"];
        self.peer(&[&store[..], &ways, &more, words].concat())
    }

    #[track_caller]
    fn podman_run(&self, words: &[&str]) -> String {
        let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
        let open = open.unwrap_or(1024);
        let open = format!("nofile={open}:{open}");
        let flags = ["run", "--rm", "--cgroups=disabled", "--network=none", "--log-driver=none"];
        // Without them, podman asks for more than this process may have.
        let limits = ["--ulimit", &open, "--ulimit", "nproc=512:512"];
        self.podman(&[&flags[..], &limits, words].concat())
    }

    #[track_caller]
    fn gantry_run(&self, words: &[&str]) -> String {
        gantry_run(&self.sandbox, words)
    }

    fn id(&self) -> String {
        self.sandbox.gantry(["inspect", "-f", "{{.Id}}", "made"]).success().stdout.trim().to_owned()
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // Files of other owners, which only the namespace can remove.
        drop(self.command(&["rm", "-rf", "peers"]).output());
    }
}

#[track_caller]
fn gantry_run(sandbox: &Sandbox, words: &[&str]) -> String {
    let mut command = sandbox.command(["run", "--rm", "--network=none"]);
    let output = command.args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
