//! A root filesystem made of busybox, and ways to run things in it.

use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gantry_sandbox::{Child, ExitStatus, RootfsSpec, SpawnError, Spec, spawn};

/// Says that a test cannot run here, or fails it if it was required to.
pub(crate) fn skip(need: &str, reason: &str) {
    let required = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == need), "{need} is required, but: {reason}");
    eprintln!("skipped: {reason}");
}

/// A base layer with busybox, and room for uppers.
pub(crate) struct World {
    directory: tempfile::TempDir,
    userxattr: bool,
}

/// How a command ended and what it wrote.
#[derive(Debug)]
#[must_use]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The output of a command that must have succeeded.
    pub(crate) fn ok(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.stdout
    }
}

impl World {
    /// `None` (after a word on stderr) where sandboxes cannot be made.
    pub(crate) fn new() -> Option<Self> {
        let host = gantry_sandbox::probe();
        if host.needs_user_namespace() {
            skip("root", "this process may not mount");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        // Users of the sandbox must be able to pass through.
        chmod(directory.path(), 0o755);
        let userxattr = match host.overlay(directory.path()) {
            gantry_sandbox::Overlay::Available { userxattr } => userxattr,
            gantry_sandbox::Overlay::Unavailable { reason } => {
                skip("overlay", &reason);
                return None;
            }
        };
        let world = Self { directory, userxattr };
        busybox(&world.base());
        for name in ["upper", "work"] {
            fs_err::create_dir(world.directory.path().join(name)).unwrap();
        }
        Some(world)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lowest layer, to be changed before something is run.
    pub(crate) fn base(&self) -> PathBuf {
        self.path("base")
    }

    pub(crate) fn upper(&self) -> PathBuf {
        self.path("upper")
    }

    pub(crate) fn rootfs(&self) -> RootfsSpec {
        RootfsSpec::overlay(vec![self.base()], self.upper(), self.path("work"), self.userxattr)
    }

    pub(crate) fn userxattr(&self) -> bool {
        self.userxattr
    }

    pub(crate) fn spec<const N: usize>(&self, argv: [&str; N]) -> Spec {
        let mut spec = Spec::new(self.rootfs(), argv);
        spec.env = vec!["PATH=/bin".into()];
        spec
    }

    /// Runs a shell script.
    pub(crate) fn sh(&self, script: &str) -> Ran {
        run(self.spec(["sh", "-c", script])).unwrap()
    }

    /// What lies in the upper directory, as sorted relative paths.
    pub(crate) fn layer(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.upper(), &self.upper(), &mut found);
        found.sort();
        found
    }
}

fn list(root: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        if fs_err::symlink_metadata(&path).unwrap().is_dir() {
            list(root, &path, found);
        }
    }
}

/// Starts a spec and reads what it writes.
pub(crate) fn run(spec: Spec) -> Result<Ran, SpawnError> {
    spawn(spec).map(finish)
}

/// Reads what a child writes, and waits for it.
pub(crate) fn finish(mut child: Child) -> Ran {
    let read = |file: Option<std::fs::File>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut file) = file {
                file.read_to_end(&mut text).unwrap();
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (stdout, stderr) = (read(child.take_stdout()), read(child.take_stderr()));
    let status = child.wait();
    Ran { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Makes a tree in which every busybox applet is there.
pub(crate) fn busybox(root: &Path) {
    fs_err::create_dir_all(root.join("bin")).unwrap();
    fs_err::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let applets = "sh ls cat echo id true false sleep kill ps mount umount hostname ip mkdir rmdir \
                   touch rm stat mknod dd head tail wc readlink ln grep test env pwd ping nc tty \
                   stty chown chmod unshare chroot sed awk find df seq sort trap printf yes";
    for applet in applets.split_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs_err::create_dir(root.join("etc")).unwrap();
    let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n";
    fs_err::write(root.join("etc/passwd"), passwd).unwrap();
    fs_err::write(root.join("etc/group"), "root:x:0:\nstaff:x:50:app\n").unwrap();
    fs_err::create_dir(root.join("tmp")).unwrap();
    chmod(&root.join("tmp"), 0o1777);
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A second sandbox over the same base needs an upper directory of its own.
pub(crate) trait Elsewhere {
    fn upper_elsewhere(&mut self, world: &World);
}

impl Elsewhere for Spec {
    fn upper_elsewhere(&mut self, world: &World) {
        let make = |name: &str| {
            let path = world.path(name);
            fs_err::create_dir(&path).unwrap();
            Some(path)
        };
        self.rootfs.upper = make("upper2");
        self.rootfs.work = make("work2");
    }
}

/// What an interface is to the kernel; its name may be another's a moment later.
pub(crate) fn interface(name: &str) -> Option<u32> {
    let path = format!("/sys/class/net/{name}/ifindex");
    fs_err::read_to_string(path).ok()?.trim().parse().ok()
}
