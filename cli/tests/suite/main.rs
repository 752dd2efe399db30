//! The tests that run the binary: one test binary, a module for each part of the command line.
//!
//! Everything goes through [`sandbox::Sandbox`]. `GANTRY_BIN` names the program to test; without
//! it, it is the one that cargo built. So this binary can be copied and run by another user.

mod base;
/// Shared with the executor's tests.
#[path = "../../../executor/tests/suite/repositories.rs"]
#[expect(unreachable_pub, dead_code, reason = "its other users are elsewhere")]
mod repositories;
mod sandbox;

mod archives;
mod budget;
mod build;
mod build_errors;
mod builds;
mod check;
mod containers;
mod contexts;
mod cutoff;
mod engine;
mod explorer;
mod fmt;
mod help;
mod house;
mod ignore;
mod images;
mod interrupt;
mod logs;
mod names;
mod objects;
mod order;
mod outputs;
mod parse;
mod peers;
mod pipes;
mod plugin;
mod processes;
mod progress;
mod readme;
mod registry;
mod reproducible;
mod robustness;
mod rows;
mod run;
mod ssh;
mod steps;
mod store;
mod terminal;
mod tutorials;
mod usage;
mod why;

/// A module that is not named above would never run.
#[test]
fn no_file_is_forgotten() {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite");
    let Ok(entries) = fs_err::read_dir(here) else {
        eprintln_skip("the sources are not readable here");
        return;
    };
    let main = include_str!("main.rs");
    for entry in entries {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with('.') {
            continue;
        }
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        let named = main.lines().any(|line| line == format!("mod {module};"));
        assert!(named || module == "main", "`{name}` is no module of `main.rs`");
    }
}

/// Says why a test did nothing.
#[expect(clippy::print_stderr, reason = "tests tell people what they skipped")]
fn eprintln_skip(reason: &str) {
    eprintln!("skipped: {reason}");
}
