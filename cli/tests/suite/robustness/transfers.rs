//! Archives whose writing or reading is killed at any moment: a file is there whole or not at all,
//! nothing lies beside it, and whoever comes next does not mind.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::crash::{mended, pause};
use super::{clean, project};
use crate::sandbox::Sandbox;

/// An image of two layers that are large enough for threads and the kernel's copying.
fn image() -> Sandbox {
    let sandbox = project("FROM busybox\nCOPY one /one\nCOPY two /two\n");
    for (name, seed) in [("one", 1_u32), ("two", 7)] {
        let bytes =
            (0..3_000_000_u32).map(|n| ((n + seed).wrapping_mul(2_654_435_761) >> 24) as u8);
        sandbox.write(name, bytes.collect::<Vec<u8>>());
    }
    sandbox.gantry(["build", "-q", "-t", "travels", "."]).success();
    sandbox
}

fn start(sandbox: &Sandbox, words: &[&str]) -> Child {
    let mut command = sandbox.command([]);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How long a command takes here that nobody disturbs.
fn undisturbed(sandbox: &Sandbox, words: &[&str]) -> Duration {
    let began = Instant::now();
    assert!(start(sandbox, words).wait().unwrap().success(), "{words:?}");
    began.elapsed()
}

/// Starts a command and kills it at some moment; says whether that was before its end.
fn killed(sandbox: &Sandbox, words: &[&str], seed: &mut u64, most: Duration) -> bool {
    let mut child = start(sandbox, words);
    pause(seed, most);
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

fn names(sandbox: &Sandbox) -> Vec<String> {
    let entries = fs_err::read_dir(sandbox.project()).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Also where something was there before.
#[test]
fn a_killed_save_leaves_a_whole_archive_or_none() {
    let sandbox = image();
    let mut seed = u64::from(std::process::id());
    let before = names(&sandbox);
    for format in ["docker-archive", "oci-archive"] {
        let words = ["save", "--format", format, "-o", "saved.tar", "travels"];
        let most = undisturbed(&sandbox, &words);
        let whole = sandbox.read("saved.tar");
        let mut count = 0;
        for number in 0..12 {
            let old: &[u8] = if number % 2 == 0 { b"" } else { b"what was there before" };
            let path = sandbox.project().join("saved.tar");
            fs_err::remove_file(&path).unwrap();
            if !old.is_empty() {
                sandbox.write("saved.tar", old);
            }
            count += u32::from(killed(&sandbox, &words, &mut seed, most));
            let now = fs_err::read(&path).unwrap_or_default();
            assert!(now == old || now == whole, "{format}: {} bytes", now.len());
            sandbox.write("saved.tar", "");
        }
        assert!(count >= 4, "only {count} were killed before their end");
        sandbox.gantry_words(&words).success();
        assert!(sandbox.read("saved.tar") == whole, "{format}");
        fs_err::remove_file(sandbox.project().join("saved.tar")).unwrap();
        assert_eq!(names(&sandbox), before);
    }
    mended(&sandbox);
}

/// The blobs of a layout that are not called by a digest.
fn unnamed(layout: &Path) -> Vec<String> {
    let blobs = fs_err::read_dir(layout.join("blobs/sha256")).into_iter().flatten().flatten();
    let names = blobs.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.len() != 64).collect()
}

/// An `index.json` tells of whole images only; blobs that are there already are whole.
#[test]
fn a_killed_save_into_a_layout_leaves_one_that_can_be_added_to() {
    let sandbox = image();
    let mut seed = u64::from(std::process::id());
    let words = ["save", "--format", "oci-dir", "-o", "layout", "travels"];
    let most = undisturbed(&sandbox, &words);
    let layout = sandbox.project().join("layout");
    let there = Sandbox::new();
    for number in 0..10 {
        if number % 3 == 0 {
            // There is none if the one before was killed early.
            let _ = fs_err::remove_dir_all(&layout);
        }
        let _ = fs_err::remove_file(layout.join("index.json"));
        killed(&sandbox, &words, &mut seed, most);
        assert_eq!(unnamed(&layout), Vec::<String>::new());
        if layout.join("index.json").exists() {
            let path = layout.to_str().unwrap();
            there.gantry(["load", "-i", path]).success();
        }
    }
    sandbox.gantry_words(&words).success();
    let loaded = there.gantry(["load", "-i", layout.to_str().unwrap()]).success().stdout;
    assert_eq!(loaded, "Loaded image: travels:latest\n");
    clean(&there);
    mended(&sandbox);
}

/// The store of whoever is killed is whole, and has the image or does not.
#[test]
fn a_killed_load_can_be_done_again() {
    let here = image();
    here.gantry(["save", "-o", "d.tar", "travels"]).success();
    here.gantry(["build", "-q", "-o", "type=oci,compression=gzip,dest=o.tar,name=travels", "."])
        .success();
    let mut seed = u64::from(std::process::id());
    let mut count = 0;
    for archive in ["d.tar", "o.tar"] {
        let path = here.project().join(archive);
        let words = ["load", "-q", "-i", path.to_str().unwrap()];
        let most = undisturbed(&Sandbox::new(), &words);
        for _ in 0..4 {
            let there = Sandbox::new();
            for _ in 0..3 {
                count += u32::from(killed(&there, &words, &mut seed, most));
                there.gantry(["fsck"]).success();
            }
            let listed = there.gantry(["images", "--format", "{{.Repository}}"]).success().stdout;
            assert!(listed.is_empty() || listed == "travels\n", "{listed}");
            let loaded = there.gantry_words(&words).success().stdout;
            assert_eq!(loaded, "Loaded image: travels:latest\n", "{archive}");
            mended(&there);
            let id = |sandbox: &Sandbox| {
                sandbox.gantry(["inspect", "-f", "{{.RootFS.Layers}}", "travels"]).success().stdout
            };
            assert_eq!(id(&there), id(&here), "{archive}");
        }
    }
    assert!(count >= 8, "only {count} were killed before their end");
}

#[test]
fn a_killed_export_leaves_a_whole_archive_or_none() {
    let sandbox = image();
    sandbox.write("From", "FROM travels\n");
    let before = names(&sandbox);
    // At another level each time, so that the layers are compressed anew.
    let output = |level: u32| {
        format!("type=oci,compression=gzip,compression-level={level},dest=e.tar,name=exported")
    };
    let is_whole = || {
        let loaded = Sandbox::new().gantry_with_input(["load"], &sandbox.read("e.tar"));
        assert_eq!(loaded.success().stdout, "Loaded image: exported:latest\n");
    };
    let first = output(1);
    let most = undisturbed(&sandbox, &["build", "-q", "-f", "From", "-o", &first, "."]);
    let path = sandbox.project().join("e.tar");
    let mut seed = u64::from(std::process::id());
    let mut count = 0;
    for level in 2..=12 {
        fs_err::remove_file(&path).unwrap();
        let output = output(level);
        let words = ["build", "-q", "-f", "From", "-o", &output, "."];
        count += u32::from(killed(&sandbox, &words, &mut seed, most));
        if path.exists() {
            is_whole();
        }
        sandbox.write("e.tar", "");
    }
    assert!(count >= 4, "only {count} were killed before their end");
    let last = output(12);
    sandbox.gantry_words(&["build", "-q", "-f", "From", "-o", &last, "."]).success();
    is_whole();
    fs_err::remove_file(&path).unwrap();
    assert_eq!(names(&sandbox), before);
    mended(&sandbox);
}
