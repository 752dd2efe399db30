//! The same Dockerfiles built by BuildKit and by gantry: every entry of every layer, and the whole
//! config with its history, side by side.

use std::process::Command;

use super::allowed::Differences;
use super::cases::{CASES, CONTEXT, MORE, REFUSED};
use super::image::Image;
use super::{Engine, Store};

/// Where the two differ and may: how a line of the comparison begins, `*` for every case, and why.
const ALLOWED: [(&str, &str); 13] = [
    ("args: buildkit .history[1].created_by = \"ARG A\"", "later versions write its value"),
    ("args: gantry .history[1].created_by = \"ARG A=1\"", "as they do"),
    ("args: buildkit .history[7].created_by = \"ARG TARGETARCH", "likewise"),
    ("args: gantry .history[7].created_by = \"ARG TARGETARCH=amd64", "likewise"),
    ("config: buildkit .history[4].created_by = \"EXPOSE map[", "later versions write a list"),
    ("config: gantry .history[4].created_by = \"EXPOSE [", "as they do"),
    ("expose: buildkit .history[", "likewise"),
    ("expose: gantry .history[", "likewise"),
    (
        "healthcheck: buildkit .history[1].created_by = \"HEALTHCHECK &{",
        "later versions name the fields",
    ),
    ("healthcheck: gantry .history[1].created_by = \"HEALTHCHECK {Test:", "as they do"),
    (
        "*: buildkit dev Directory 755",
        "a mount point that it leaves; not in the base, nor made by a step",
    ),
    ("*: buildkit proc Directory 755", "likewise"),
    ("*: buildkit sys Directory 755", "likewise"),
];

#[test]
fn buildkit_and_gantry_build_the_same() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let sandbox = &engine.sandbox;
    for (path, content) in CONTEXT {
        sandbox.write(path, content);
    }
    let mut more = Command::new("sh");
    more.args(["-ec", MORE]).current_dir(sandbox.project());
    let _ = sandbox.run(&mut more).success();
    let output = |dest: &str| {
        format!("type=oci,dest={dest},compression=uncompressed,force-compression=true")
    };
    let mut differences = Differences::but_for(&ALLOWED);
    for (name, text) in CASES {
        let file = format!("{name}.Dockerfile");
        sandbox.write(&file, text);
        let words = ["--network=host", "-f", &file, "-o"];
        let (theirs, ours) = (output("theirs.tar"), output("ours.tar"));
        let theirs = [&["buildx", "build", "-q"], &words[..], &[&theirs, "ctx"]].concat();
        engine.docker(&theirs);
        let ours = [&["build", "-q", "--allow=network.host"], &words[..], &[&ours, "ctx"]].concat();
        let _ = sandbox.gantry_words(&ours).success();
        let theirs = Image::read(&sandbox.read("theirs.tar"));
        let ours = Image::read(&sandbox.read("ours.tar"));
        for (ours, theirs) in [(ours.config, theirs.config), (ours.files, theirs.files)] {
            differences.compare(&format!("{name}:"), &theirs, &ours);
        }
    }
    differences.check();
}

#[test]
fn buildkit_and_gantry_refuse_in_the_same_words() {
    let Some(engine) = Engine::start(Store::Containerd) else { return };
    let sandbox = &engine.sandbox;
    for (path, content) in CONTEXT {
        sandbox.write(path, content);
    }
    let error = |text: &str| {
        let line = text.lines().rfind(|line| line.starts_with("ERROR: ")).unwrap();
        // How BuildKit names the tree that it searched.
        let (mut line, mark) = (line.to_owned(), "failed to calculate checksum of ref ");
        if let Some(at) = line.find(mark) {
            let end = line[at + mark.len()..].find(": ").unwrap() + at + mark.len() + 2;
            line.replace_range(at..end, "");
        }
        line
    };
    let mut different = Vec::new();
    for text in REFUSED {
        sandbox.write("Dockerfile", text);
        let words = ["--network=host", "-f", "Dockerfile", "ctx"];
        let theirs =
            engine.client(&[&["buildx", "build", "--progress=plain"], &words[..]].concat());
        let theirs = sandbox.run(&mut { theirs }).code(1).stderr;
        let ours = [&["build", "--progress=plain", "--allow=network.host"], &words[..]].concat();
        let ours = sandbox.gantry_words(&ours).code(1).stderr;
        let (theirs, ours) = (error(&theirs), error(&ours));
        if theirs != ours {
            different.push(format!("{text}  buildkit {theirs}\n  gantry   {ours}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
