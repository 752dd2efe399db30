//! The place where a run happens: one temporary directory with contexts, a store, and the tools
//! that both sides use. Removed when dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) type Problem = Box<dyn std::error::Error>;

/// A temporary directory, and a gantry store in it.
pub(crate) struct Workspace {
    dir: TempDir,
    gantry: String,
}

impl Workspace {
    /// Makes the directory below `/var/tmp`: a real file system, where `/tmp` may be memory.
    pub(crate) fn new(gantry: &str) -> Result<Self, Problem> {
        let dir = tempfile::Builder::new().prefix("gantry-bench.").tempdir_in("/var/tmp")?;
        Ok(Self { dir, gantry: gantry.to_owned() })
    }

    /// Brings in the base image.
    pub(crate) fn import_busybox(&self) -> Result<(), Problem> {
        let base = fs_err::canonicalize("target/bases/busybox.tar")?;
        run(self.gantry(["import"]).arg(base).arg("busybox")).map(drop)
    }

    /// A path below the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A gantry command on this workspace's store, with nothing of the caller's environment.
    pub(crate) fn gantry<const N: usize>(&self, args: [&str; N]) -> Command {
        let mut command = Command::new(&self.gantry);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.dir.path())
            .env("GANTRY_ROOT", self.path("store"))
            .args(args)
            .stdin(Stdio::null());
        command
    }

    /// Writes a build context: a Dockerfile, and `files` files of about 1 KiB below `src/`, two
    /// hundred a directory.
    pub(crate) fn context(
        &self,
        name: &str,
        dockerfile: &str,
        files: usize,
    ) -> Result<PathBuf, Problem> {
        let root = self.path(name);
        fs_err::create_dir_all(root.join("src"))?;
        fs_err::write(root.join("Dockerfile"), dockerfile)?;
        for number in 0..files {
            let dir = root.join(format!("src/d{:04}", number / 200));
            if number % 200 == 0 {
                fs_err::create_dir_all(&dir)?;
            }
            let line = format!("file {number} of a build context\n");
            fs_err::write(dir.join(format!("f{number:06}.txt")), line.repeat(1024 / line.len()))?;
        }
        Ok(root)
    }
}

/// Runs a command to its end and returns its wall time.
///
/// # Errors
/// If it can't be started or fails; with what it printed.
pub(crate) fn run(command: &mut Command) -> Result<Duration, Problem> {
    let start = Instant::now();
    let output = command.output()?;
    let took = start.elapsed();
    if output.status.success() {
        return Ok(took);
    }
    Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Runs a command to its end and returns the most memory that it had resident, in bytes; `None` if
/// it was too quick to be looked at. Not for timing: it is watched closely.
pub(crate) fn peak(command: &mut Command) -> Result<Option<u64>, Problem> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = None;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        let text = fs_err::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(kilobytes.map(|kilobytes| kilobytes * 1024));
        std::thread::sleep(Duration::from_micros(300));
    };
    if ended.success() { Ok(most) } else { Err(format!("{command:?} failed").into()) }
}

/// Runs both sides `runs` times in turns, so that whatever else the machine does meets both, and
/// returns the medians of the durations that they report.
pub(crate) fn paired(
    runs: usize,
    mut gantry: impl FnMut(usize) -> Result<Duration, Problem>,
    mut floor: impl FnMut(usize) -> Result<Duration, Problem>,
) -> Result<(Duration, Duration), Problem> {
    let (mut ours, mut least) = (Vec::new(), Vec::new());
    for turn in 0..runs {
        ours.push(gantry(turn)?);
        least.push(floor(turn)?);
    }
    Ok((median(ours), median(least)))
}

/// Returns the middle one of some times.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Waits until what was written has gone to disk, so that one run doesn't pay for another.
pub(crate) fn settle() -> Result<(), Problem> {
    run(&mut Command::new("sync")).map(drop)
}

/// Makes a directory that is not there yet. Nothing is deleted while measuring: where many files
/// were just deleted, some file systems make new ones several times more slowly for minutes.
pub(crate) fn fresh(dir: &Path) -> Result<(), Problem> {
    fs_err::create_dir_all(dir)?;
    settle()
}
