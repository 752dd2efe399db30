//! What skopeo and buildah make of what we push, and we of what they push.

use std::process::{Command, Stdio};

use super::{Server, check_store, inspect, lines, made, push};
use crate::sandbox::{Sandbox, required};

/// Runs skopeo; `None`, and why on stderr, where it is not there.
pub(super) fn skopeo(sandbox: &Sandbox, words: &[&str]) -> Option<String> {
    // Else it looks into a directory of the machine that not everybody may read.
    sandbox.write("nobody.json", "{}");
    let mut command = Command::new("skopeo");
    let command = command
        .arg("--insecure-policy")
        .args(words)
        .current_dir(sandbox.project())
        .env("REGISTRY_AUTH_FILE", sandbox.project().join("nobody.json"));
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        assert!(!required("peers"), "skopeo is not there");
        crate::eprintln_skip("skopeo");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {error}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn skopeo_copies_what_we_push_under_the_same_digest() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("made:1"));
    push(&here, &name);
    let from = format!("docker://{name}");
    let copy = ["copy", "-q", "--preserve-digests", "--src-tls-verify=false", &from, "dir:copied"];
    if skopeo(&here, &copy).is_none() {
        return;
    }
    let ours = lines(&here, &["inspect", "-f", "{{index .RepoDigests 0}}", "made"]).remove(0);
    let manifest = gantry_digest(&here.read("copied/manifest.json"));
    assert_eq!(ours.split_once('@').unwrap().1, manifest);
    let inspected = skopeo(&here, &["inspect", "--tls-verify=false", &from]).unwrap();
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["Digest"], manifest);
}

#[test]
fn we_pull_what_skopeo_pushes_in_every_format() {
    let Some(server) = Server::start() else { return };
    let here = made();
    here.gantry(["save", "-o", "f.tar", "made"]).success();
    let id = inspect(&here, "made")["Id"].clone();
    for (number, format) in ["oci", "v2s2", "zstd", "plain"].iter().enumerate() {
        let name = server.name(&format!("from-skopeo:{number}"));
        let to = format!("docker://{name}");
        let mut words = vec!["copy", "-q", "--dest-tls-verify=false"];
        words.extend(match *format {
            "zstd" => ["--dest-compress-format=zstd", "--format=oci"],
            "plain" => ["--dest-decompress", "--format=oci"],
            format => ["--format", format],
        });
        words.extend(["docker-archive:f.tar", &to]);
        if skopeo(&here, &words).is_none() {
            return;
        }
        let there = Sandbox::new();
        there.gantry(["pull", "-q", &name]).success();
        let cool = there.gantry(["run", "--rm", &name, "cat", "/tmp/cool-file"]);
        assert_eq!(cool.success().stdout, "cool content\n", "{format}");
        if *format == "v2s2" {
            // In the other formats skopeo writes the config anew.
            assert_eq!(inspect(&there, &name)["Id"], id, "{format}");
        }
        // And what we push again is the same.
        let again = server.name(&format!("again:{number}"));
        there.gantry(["tag", &name, &again]).success();
        there.gantry(["push", "-q", &again]).success();
        let digest = |name: &str| {
            let from = format!("docker://{name}");
            let raw = skopeo(&here, &["inspect", "--raw", "--tls-verify=false", &from]).unwrap();
            gantry_digest(raw.as_bytes())
        };
        assert_eq!(digest(&name), digest(&again), "{format}");
        check_store(&there);
    }
}

fn gantry_digest(bytes: &[u8]) -> String {
    gantry_image::Digest::of(bytes).to_string()
}
