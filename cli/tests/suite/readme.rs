//! Every command of the README is run: those of gantry here, the others by `.ci/run`.

use crate::sandbox::{Sandbox, files};

#[test]
fn the_commands_of_the_readme_are_run() {
    let readme = fs_err::read_to_string(files().join("README.md")).unwrap();
    let gate = fs_err::read_to_string(files().join(".ci/run")).unwrap();
    let demo = fs_err::read_to_string(files().join("scripts/demo")).unwrap();
    let mut seen = 0;
    for command in commands(&readme) {
        seen += 1;
        let run = if command.starts_with("gantry ") {
            // The demo builds the examples for real, with packages from the network.
            demo.lines().any(|line| line.trim() == format!("run {command}"))
        } else {
            gate.lines().any(|line| line.contains(&command))
        };
        assert!(run, "nothing runs `{command}`");
    }
    assert!(seen >= 5, "only {seen} commands were found");
    for gated in ["make lint", "make test", "make demo"] {
        assert!(gate.lines().any(|line| line == gated), "the gate doesn't run `{gated}`");
    }
}

/// Lines of `sh` blocks, lines behind `$ ` in `console` blocks, and inline `cargo install`.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = "";
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            block = if block.is_empty() { kind } else { "" };
            continue;
        }
        let command = match block {
            "sh" => Some(line),
            "console" => line.strip_prefix("$ "),
            _ => line
                .split('`')
                .skip(1)
                .step_by(2)
                .find(|word| word.starts_with("cargo ") || word.starts_with("make ")),
        };
        let command = command.and_then(|line| line.split('#').next()).map(str::trim);
        found.extend(command.filter(|command| !command.is_empty()).map(str::to_owned));
    }
    found
}

/// What the README says works is a subcommand; what it says doesn't is none, or says so.
#[test]
fn what_the_readme_says_works_is_there() {
    let readme = fs_err::read_to_string(files().join("README.md")).unwrap();
    let works = readme.split("## What works").nth(1).and_then(|text| text.split("\n## ").next());
    let help = Sandbox::new().gantry(["--help"]).success().stdout;
    let names = [
        "build", "pull", "push", "login", "search", "run", "ps", "rm", "images", "history",
        "inspect", "tag", "rmi", "load", "import", "save", "du", "prune", "fsck", "info",
    ];
    for name in names {
        assert!(works.unwrap().contains(&format!("`{name}`")), "the README forgets `{name}`");
        let listed = help.lines().any(|line| line.trim_start().starts_with(&format!("{name} ")));
        assert!(listed, "`{name}` is no subcommand");
    }
}
