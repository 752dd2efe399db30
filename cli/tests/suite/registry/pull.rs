//! `pull` (A1-03 to A1-06, A1-14), `run` of what isn't there (A1-02).

use super::recorder::Recorder;
use super::{Server, check_store, inspect, lines, made, push};
use crate::sandbox::Sandbox;

#[test]
fn a1_03_and_04_what_pull_says() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("library/made"));
    push(&here, &name);
    let there = Sandbox::new();
    let said = lines(&there, &["pull", &name]);
    assert_eq!(said[..2], ["Using default tag: latest", "latest: Pulling from library/made"]);
    let layer = |line: &String| {
        line.len() == "0123456789ab: Pull complete".len() && line.ends_with(": Pull complete")
    };
    assert!(said[2..5].iter().all(layer), "{said:?}");
    let digest = inspect(&here, &name)["RepoDigests"][0].as_str().unwrap().to_owned();
    let digest = digest.split_once('@').unwrap().1.to_owned();
    assert_eq!(
        said[5..],
        [
            format!("Digest: {digest}"),
            format!("Status: Downloaded newer image for {name}:latest"),
            format!("{name}:latest"),
        ]
    );
    assert_eq!(inspect(&there, &name)["Id"], inspect(&here, "made")["Id"]);
    let said = lines(&there, &["image", "pull", &format!("{name}:latest")]);
    assert_eq!(said.iter().filter(|line| line.ends_with(": Already exists")).count(), 3);
    assert_eq!(said[5], format!("Status: Image is up to date for {name}:latest"));
    assert_eq!(lines(&there, &["pull", "-q", &name]), [format!("{name}:latest")]);
    let run = there.gantry(["run", "--rm", &name, "cat", "/tmp/cool-file"]);
    assert_eq!(run.success().stdout, "cool content\n");
    there.gantry(["run", "--rm", &name, "test", "-e", "/bin/wget"]).code(1);
    if let Some(unpacked) = there.unpacked() {
        assert_eq!(unpacked, 0, "neither pulling nor running unpacks what can be mounted");
    }
    check_store(&there);
}

#[test]
fn a1_06_by_digest() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("made"));
    push(&here, &format!("{name}:1"));
    let digest = inspect(&here, "made")["RepoDigests"][0].as_str().unwrap().to_owned();
    let there = Sandbox::new();
    let said = lines(&there, &["pull", &digest]);
    assert_eq!(said[0], format!("{digest}: Pulling from made"));
    assert_eq!(said.last(), Some(&digest));
    let shown =
        lines(&there, &["images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"]);
    assert_eq!(shown, [format!("{name} <none> {}", digest.split_once('@').unwrap().1)]);
    there.gantry(["run", "--rm", &digest, "true"]).success();
}

#[test]
fn a1_02_run_pulls() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("made:2"));
    push(&here, &name);
    let there = Sandbox::new();
    let error = there.gantry(["run", "--pull", "never", &name, "true"]).code(125).stderr;
    assert!(error.contains(&format!("No such image: {name}")), "{error}");
    let first = there.gantry(["run", "--rm", &name, "cat", "/tmp/cool-file"]).success();
    assert_eq!(first.stdout, "cool content\n");
    assert!(
        first
            .stderr
            .starts_with(&format!("Unable to find image '{name}' locally\n2: Pulling from made\n")),
        "{}",
        first.stderr
    );
    let second = there.gantry(["run", "--rm", &name, "true"]).success();
    // Where no private network can be made, that is said; and nothing else.
    assert!(!second.stderr.contains("Pull"), "{}", second.stderr);
    let always = there.gantry(["run", "--rm", "--pull=always", &name, "true"]).success();
    assert!(always.stderr.contains("Status: Image is up to date for"), "{}", always.stderr);
    let error = there.gantry(["run", &server.name("nothing"), "true"]).code(125).stderr;
    assert!(error.contains("not found") || error.contains("access denied"), "{error}");
}

#[test]
fn a1_14_what_is_not_what_it_should_be_fails_the_pull() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("made:1"));
    push(&here, &name);
    let manifest = here.gantry(["manifest", "inspect", &name]).success().stdout;
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let digest = manifest["layers"][1]["digest"].as_str().unwrap();
    let path = server.blob(digest);
    let whole = fs_err::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for bytes in [&changed, &whole[..whole.len() - 1].to_vec(), &b"no gzip at all".to_vec()] {
        fs_err::write(&path, bytes).unwrap();
        let there = Sandbox::new();
        let error = there.gantry(["pull", &name]).code(1).stderr;
        assert!(error.starts_with("ERROR: "), "{error}");
        assert_eq!(lines(&there, &["images", "-q"]), [""; 0]);
        check_store(&there);
        // What was good is not fetched twice.
        fs_err::write(&path, &whole).unwrap();
        there.gantry(["pull", &name]).success();
        check_store(&there);
    }
}

#[test]
fn a_tag_that_is_not_there_is_told() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (made(), server.name("made"));
    push(&here, &format!("{name}:1"));
    let error = here.gantry(["pull", &format!("{name}:2")]).code(1).stderr;
    assert!(
        error.contains(&format!("manifest for {name}:2 not found: manifest unknown")),
        "{error}"
    );
}

#[test]
fn nobody_listens() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sandbox = Sandbox::new();
    let error = sandbox.gantry(["pull", &format!("127.0.0.1:{port}/x")]).code(1).stderr;
    assert!(
        error.contains(&format!("Failed to connect to the registry `127.0.0.1:{port}`")),
        "{error}"
    );
}

#[test]
fn e_28_what_was_pulled_is_pushed_as_it_is() {
    let Some(server) = Server::start() else { return };
    let here = made();
    push(&here, &server.name("a:1"));
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &server.name("a:1")]).success();
    there.gantry(["tag", &server.name("a:1"), &server.name("b:1")]).success();
    there.gantry(["push", "-q", &server.name("b:1")]).success();
    let digests: Vec<String> =
        lines(&there, &["inspect", "-f", "{{join .RepoDigests \"\\n\"}}", &server.name("a:1")]);
    let digests: Vec<_> = digests.iter().map(|name| name.split_once('@').unwrap().1).collect();
    assert_eq!(digests.len(), 2);
    assert_eq!(digests[0], digests[1]);
    // And it goes into an OCI layout with the same manifest.
    there.gantry(["save", "--format", "oci-dir", "-o", "layout", &server.name("a:1")]).success();
    let index: serde_json::Value =
        serde_json::from_slice(&there.read("layout/index.json")).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digests[0]);
}

#[test]
fn e_13_layers_are_fetched_side_by_side() {
    let Some(proxy) = Recorder::start() else { return };
    let text = format!("FROM busybox\n{}", "RUN date +%N >> /f\n".repeat(5));
    let here = Sandbox::with([("Dockerfile", &text)]).with_busybox();
    let name = proxy.name("many:1");
    here.gantry(["build", "-q", "--push", "-t", &name, "."]).success();
    proxy.slow_down();
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &name]).success();
    assert!(proxy.at_once() >= 3, "only {} at once", proxy.at_once());
    check_store(&there);
}
