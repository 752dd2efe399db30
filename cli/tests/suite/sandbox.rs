//! `Sandbox`: the one way to run the binary.
//!
//! The environment is cleared, home, store, project and temporary directory are its own, and all
//! of it is gone afterwards. Dropping it asserts that no process and no mount was left behind.

use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::base::busybox_tar;

/// See the module.
pub(crate) struct Sandbox {
    dir: TempDir,
    environment: Vec<(String, String)>,
}

/// No test may depend on what Docker Hub has.
const NO_HUB: &str = "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n";

impl Sandbox {
    /// An empty project and no store.
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("gantry-test-").unwrap();
        for name in ["home", "project", "tmp"] {
            fs_err::create_dir(dir.path().join(name)).unwrap();
        }
        // `scripts/test` runs a part of the suite again with layers in their other form.
        let form = std::env::var("GANTRY_SNAPSHOTTER").ok();
        let environment = form.map(|form| ("GANTRY_SNAPSHOTTER".to_owned(), form));
        let sandbox = Self { dir, environment: environment.into_iter().collect() };
        sandbox.write("../home/.config/containers/registries.conf", NO_HUB);
        sandbox
    }

    /// A project with these files.
    pub(crate) fn with<const N: usize>(files: [(&str, &str); N]) -> Self {
        let sandbox = Self::new();
        for (path, content) in files {
            sandbox.write(path, content);
        }
        sandbox
    }

    /// The same with `busybox:latest` in the store.
    pub(crate) fn with_busybox(self) -> Self {
        let tar = busybox_tar();
        self.gantry_with_input(["import", "-", "busybox"], tar).success();
        self
    }

    /// Sets a variable for all commands to come.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Pins the time that images say they were made at.
    pub(crate) fn at_time(self, seconds: i64) -> Self {
        self.env("SOURCE_DATE_EPOCH", &seconds.to_string())
    }

    /// The directory that commands run in.
    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// The store's root.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// How many layers of the store were unpacked; `None` where they have to be.
    pub(crate) fn unpacked(&self) -> Option<usize> {
        let told = self.gantry(["info"]).success().stdout;
        let unpacks =
            |(name, value): &(String, String)| name == "GANTRY_SNAPSHOTTER" && value != "attached";
        let forced = self.environment.iter().any(unpacks);
        if forced || !told.contains("can be mounted from their tars") {
            assert!(forced || !required("index"), "{told}");
            return None;
        }
        let layers = fs_err::read_dir(self.store().join("layers")).unwrap();
        Some(layers.filter(|layer| layer.as_ref().unwrap().path().join("tree").exists()).count())
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.project().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    /// Reads a file of the project.
    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs_err::read(self.project().join(path)).unwrap()
    }

    /// Runs gantry to its end.
    pub(crate) fn gantry<const N: usize>(&self, args: [&str; N]) -> Run {
        self.run(self.command(args).stdin(Stdio::null()))
    }

    /// The same with words that are put together at run time.
    pub(crate) fn gantry_words(&self, args: &[&str]) -> Run {
        self.run(self.command([]).args(args).stdin(Stdio::null()))
    }

    /// Runs gantry to its end with something on stdin.
    pub(crate) fn gantry_with_input<const N: usize>(&self, args: [&str; N], input: &[u8]) -> Run {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let output = std::thread::scope(|scope| {
            // It may well stop reading before the end.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().unwrap()
        });
        self.finished(&command, output)
    }

    /// A gantry to be run in some other way: in the background, in a terminal.
    pub(crate) fn command<const N: usize>(&self, args: [&str; N]) -> Command {
        let program = std::env::var_os("GANTRY_BIN")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_gantry")), PathBuf::from);
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.path().join("home"))
            .env("TMPDIR", self.dir.path().join("tmp"))
            .env("GANTRY_ROOT", self.store())
            .env("NO_COLOR", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Another program in the same surroundings.
    pub(crate) fn other(&self, program: &Path, args: &[&str]) -> Command {
        let like = self.command([]);
        let mut command = Command::new(program);
        command.args(args).current_dir(self.project()).env_clear();
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &mut Command) -> Run {
        let output = command.output().unwrap();
        self.finished(command, output)
    }

    fn finished(&self, command: &Command, output: Output) -> Run {
        let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
        let path = self.dir.path().to_str().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace(path, "[DIR]");
        Run {
            line: format!("{} {}", program(command), words.join(" ")),
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Processes and mounts that refer to the sandbox's directory.
    fn leftovers(&self) -> Vec<String> {
        let dir = self.dir.path();
        let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let name = dir.to_str().unwrap();
        let mut left: Vec<String> =
            mounts.lines().filter(|line| line.contains(name)).map(str::to_owned).collect();
        for process in fs_err::read_dir("/proc").unwrap().flatten() {
            let pid = process.file_name().into_string().unwrap_or_default();
            if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let link = |name: &str| fs_err::read_link(process.path().join(name)).ok();
            let inside = |path: Option<PathBuf>| path.is_some_and(|path| path.starts_with(dir));
            let words = fs_err::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if inside(link("cwd")) || inside(link("root")) || words.contains(name) {
                left.push(format!("process {pid}: {words}"));
            }
        }
        left
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; what matters now is to leave nothing.
            return remove_foreign(&self.store());
        }
        let patience = Instant::now() + Duration::from_secs(2);
        let mut left = self.leftovers();
        while !left.is_empty() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
            left = self.leftovers();
        }
        remove_foreign(&self.store());
        assert!(left.is_empty(), "gantry left behind: {left:#?}");
    }
}

/// Removes what an unprivileged user's store holds of subordinate ids, from where they are its own.
fn remove_foreign(path: &Path) {
    if !path.exists() || fs_err::remove_dir_all(path).is_ok() {
        return;
    }
    let removed = Command::new("unshare")
        .args(["--user", "--map-root-user", "--map-auto", "rm", "-rf"])
        .arg(path)
        .stderr(Stdio::null())
        .status();
    // Without subordinate ids there was nothing foreign; the rest is the temporary directory's.
    drop(removed);
}

/// How a command ended.
#[must_use]
#[derive(Debug, Clone)]
pub(crate) struct Run {
    line: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Whether it ended well.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Asserts that it ended well.
    pub(crate) fn success(self) -> Printed {
        self.code(0)
    }

    /// Asserts how it ended.
    pub(crate) fn code(self, code: i32) -> Printed {
        assert_eq!(self.code, Some(code), "`{}`\n{self}", self.line);
        Printed { stdout: self.stdout, stderr: self.stderr }
    }
}

/// What a command printed, once its exit code has been looked at.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "signal".to_owned(), |code| code.to_string());
        write!(
            f,
            "exit: {code}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.stdout, self.stderr
        )
    }
}

/// What a program is called.
fn program(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Compares a [`Run`] with an inline snapshot, without what differs from run to run.
macro_rules! snapshot {
    ($run:expr, @$expect:literal) => {
        $crate::sandbox::filters().bind(|| {
            insta::assert_snapshot!($run.to_string(), @$expect);
        })
    };
}
pub(crate) use snapshot;

/// What differs from run to run, and what stands for it.
pub(crate) fn filters() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"sha256:[0-9a-f]{64}", "[DIGEST]");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[HEX]");
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[ID]");
    settings.add_filter(r"(?m)^(#\d+) \d+\.\d+ ", "$1 [TIME] ");
    settings.add_filter(r"(?m)^\d+\.\d{1,3} ", "[TIME] ");
    settings.add_filter(r"\b\d+\.\ds\b", "[TIME]");
    settings.add_filter(r"(Less than a second|\d+ seconds?) ago", "[AGO]");
    settings
}

/// Says whether the tests shall fail where they can't do something, instead of being skipped.
pub(crate) fn required(what: &str) -> bool {
    let list = std::env::var("GANTRY_TEST_REQUIRE").unwrap_or_default();
    list.split(',').any(|word| word.trim() == what)
}

/// The project's own files: those of the checkout, or the copies that go with a copied suite.
pub(crate) fn files() -> PathBuf {
    let checkout = || Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("GANTRY_TEST_FILES").map_or_else(checkout, PathBuf::from)
}
