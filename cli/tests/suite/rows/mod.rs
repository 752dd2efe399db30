//! The Dockerfile language at work, one test a rule: each builds something and looks at what comes
//! out of it, at the bytes, the config, the history, or the words of the refusal.
//!
//! The names are those of the rules: `a1`, `a3` and `a5` images, `b5` mounts, `b6` COPY and ADD, `b7` variables, `b8`
//! here-documents and triggers, `b9` history, `b10` keys, `g` complaints about other builders.

mod args;
mod attest;
mod complaints;
mod containers;
mod copy;
mod ends;
mod errors;
mod exports;
mod flags;
mod garbage;
mod history;
mod images;
mod keys;
mod limits;
mod mounts;
mod onbuild;

use crate::sandbox::Sandbox;

/// A project with this Dockerfile, and `busybox` in the store.
fn project(dockerfile: &str) -> Sandbox {
    Sandbox::with([("Dockerfile", dockerfile)]).with_busybox()
}

/// Builds what is there as `x`, and returns what the steps printed.
fn build<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> String {
    printed(&told(sandbox, args))
}

/// Builds what is there as `x`, and returns all that was told.
fn told<const N: usize>(sandbox: &Sandbox, args: [&str; N]) -> String {
    let mut words = vec!["build", "--progress", "plain", "-t", "x"];
    words.extend(args);
    words.push(".");
    sandbox.gantry_words(&words).success().stderr
}

/// Builds this Dockerfile, and returns what its steps printed.
fn steps(dockerfile: &str) -> String {
    build(&project(dockerfile), [])
}

/// Builds this Dockerfile after a base image, and returns why that was refused.
fn refusal(lines: &str) -> String {
    refused(&project(&format!("FROM busybox\n{lines}\n")))
}

/// Returns why a build is refused: the last of its errors, which is the first in the file.
fn refused(sandbox: &Sandbox) -> String {
    let shown = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(shown.contains(">>> "), "the place is shown: {shown}");
    let (_, error) = shown.rsplit_once("ERROR: failed to solve: ").unwrap();
    let error = error.lines().next().unwrap();
    let images = sandbox.gantry(["images", "-q"]).success().stdout;
    assert_eq!(images.lines().count(), 1, "nothing is made");
    match error.strip_prefix("dockerfile parse error on line ") {
        Some(rest) => rest.split_once(": ").unwrap().1.to_owned(),
        None => error.to_owned(),
    }
}

/// What steps printed, without their numbers and times.
fn printed(told: &str) -> String {
    let mut text = String::new();
    for line in told.lines().take_while(|line| *line != "------") {
        let Some((time, rest)) = line
            .strip_prefix('#')
            .and_then(|line| line.split_once(' '))
            .map(|(_, rest)| rest.split_once(' ').unwrap_or((rest, "")))
        else {
            continue;
        };
        if time.starts_with(|c: char| c.is_ascii_digit())
            && time.contains('.')
            && time.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            text.push_str(rest);
            text.push('\n');
        }
    }
    text
}

/// How many steps were not run again, the base image aside.
fn cached(told: &str) -> usize {
    let mut count = 0;
    for block in told.split("\n\n") {
        let base = block.contains("] FROM ") || block.contains(" FROM scratch");
        count += usize::from(!base && block.lines().any(|line| line.ends_with(" CACHED")));
    }
    count
}

/// The config of the image `x`.
fn config(sandbox: &Sandbox) -> serde_json::Value {
    let text = sandbox.gantry(["inspect", "-f", "{{json .Config}}", "x"]).success().stdout;
    serde_json::from_str(&text).unwrap()
}

/// The history of the image `x` that is not the base image's, the oldest first.
fn history(sandbox: &Sandbox) -> Vec<String> {
    let shown = sandbox.gantry(["history", "--no-trunc", "--format", "{{json .CreatedBy}}", "x"]);
    let shown = shown.success().stdout;
    let mut lines: Vec<String> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.reverse();
    lines.retain(|line| !line.is_empty());
    lines
}
