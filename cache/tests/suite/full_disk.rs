//! A full disk fails what it must, says so, and leaves the store whole.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use fs_err as fs;

use crate::support::{is_root, skip};

#[test]
fn a_full_disk_is_said_to_be_full_and_pruning_makes_room() {
    if !is_root("mounting a small tmpfs") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=4m none \"$GANTRY_CACHE_OUT\" || exit 77; \
                  exec \"$0\" --exact worker::does_what_its_environment_says --nocapture";
    let status = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("GANTRY_CACHE_TASK", "fill")
        .env("GANTRY_CACHE_ROOT", dir.path().join("store"))
        .env("GANTRY_CACHE_OUT", dir.path())
        .status()
        .unwrap();
    if status.code() == Some(77) {
        return skip("no tmpfs can be mounted here");
    }
    assert!(status.success());
}

/// Writes until nothing more fits.
pub(crate) fn fill_up(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [65_536, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

pub(crate) fn free(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bavail * stat.f_frsize
}
