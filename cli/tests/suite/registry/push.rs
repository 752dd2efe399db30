//! `push` (A5-22), `login` and `logout` (A5-23).

use super::recorder::Recorder;
use super::{Server, check_store, inspect, lines, made, push};
use crate::sandbox::Sandbox;

/// The short diff IDs of an image's layers, the uppermost first.
fn layers(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let image = inspect(sandbox, name);
    let ids = image["RootFS"]["Layers"].as_array().unwrap().iter().rev();
    ids.map(|id| id.as_str().unwrap()[7..19].to_owned()).collect()
}

#[test]
fn a5_22_what_push_says() {
    let Some(server) = Server::start() else { return };
    let sandbox = made();
    let name = server.name("u/r");
    sandbox.gantry(["tag", "made", &name]).success();
    let said = lines(&sandbox, &["push", &name]);
    assert_eq!(
        said[..2],
        ["Using default tag: latest", &format!("The push refers to repository [{name}]")]
    );
    let ids = layers(&sandbox, "made");
    let mut pushed = said[2..5].to_vec();
    pushed.sort();
    let mut expected: Vec<_> = ids.iter().map(|id| format!("{id}: Pushed")).collect();
    expected.sort();
    assert_eq!(pushed, expected);
    let digests = inspect(&sandbox, "made")["RepoDigests"].clone();
    let digest = digests[0].as_str().unwrap().strip_prefix(&format!("{name}@")).unwrap().to_owned();
    assert!(said[5].starts_with(&format!("latest: digest: {digest} size: ")), "{said:?}");
    // The same once more: nothing travels, and nothing is compressed anew.
    let again = push(&sandbox, &format!("{name}:latest"));
    assert_eq!(again.matches("Layer already exists").count(), 3, "{again}");
    assert!(again.contains(&digest), "{again}");
    // Another repository of the registry takes over what it has.
    let other = push(&sandbox, &server.name("other/x:1"));
    assert_eq!(other.matches(": Mounted from u/r").count(), 3, "{other}");
    assert!(other.contains(&format!("1: digest: {digest} ")), "{other}");
    assert_eq!(
        lines(&sandbox, &["push", "-q", &server.name("other/x:1")]),
        [server.name("other/x:1")]
    );
    check_store(&sandbox);
}

#[test]
fn a1_16_only_layers_that_changed_travel() {
    let Some(server) = Server::start() else { return };
    let (sandbox, name) = (made(), server.name("app:1"));
    push(&sandbox, &name);
    let before = layers(&sandbox, "made");
    let text = "FROM busybox\nRUN echo cool content > /tmp/cool-file\nRUN rm /bin/vi\n";
    sandbox.write("Dockerfile", text);
    sandbox.gantry(["build", "-q", "-t", "made", "."]).success();
    let after = layers(&sandbox, "made");
    assert_eq!(before[1..], after[1..]);
    let said = push(&sandbox, &name);
    assert!(said.contains(&format!("{}: Pushed\n", after[0])), "{said}");
    assert_eq!(said.matches(": Layer already exists").count(), 2, "{said}");
    // And who has the old one fetches one layer.
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &name]).success();
    sandbox.write("Dockerfile", text.replace("/bin/vi", "/bin/ed"));
    sandbox.gantry(["build", "-q", "-t", "made", "."]).success();
    push(&sandbox, &name);
    let said = there.gantry(["pull", &name]).success().stdout;
    assert_eq!(said.matches(": Already exists").count(), 2, "{said}");
    assert_eq!(said.matches(": Pull complete").count(), 1, "{said}");
}

/// A1-07: all pages of the list of tags.
#[test]
fn all_tags_are_pushed_and_pulled() {
    let Some(server) = Server::start() else { return };
    let (sandbox, name) = (made(), server.name("many"));
    for tag in ["1", "2"] {
        sandbox.gantry(["tag", "made", &format!("{name}:{tag}")]).success();
    }
    sandbox.gantry(["tag", "busybox", &format!("{name}:base")]).success();
    let said = sandbox.gantry(["push", "-a", &name]).success().stdout;
    for tag in ["1", "2", "base"] {
        assert!(said.contains(&format!("\n{tag}: digest: sha256:")), "{said}");
    }
    let error = sandbox.gantry(["push", "-a", &format!("{name}:1")]).code(1).stderr;
    assert!(error.contains("tag can't be used with --all-tags/-a"), "{error}");
    let there = Sandbox::new();
    let error = there.gantry(["pull", "-a", &format!("{name}:1")]).code(1).stderr;
    assert!(error.contains("tag can't be used with --all-tags/-a"), "{error}");
    let said = there.gantry(["pull", "-a", &name]).success().stdout;
    for tag in ["1", "2", "base"] {
        assert!(said.contains(&format!("{tag}: Pulling from many\n")), "{said}");
    }
    assert!(
        said.ends_with(&format!("Status: Downloaded newer image for {name}\n{name}\n")),
        "{said}"
    );
    assert_eq!(lines(&there, &["images", "-q", &name]).len(), 2);
}

#[test]
fn what_can_not_be_pushed() {
    let Some(server) = Server::start() else { return };
    let sandbox = made();
    let name = server.name("nothing:1");
    let error = sandbox.gantry(["push", &name]).code(1).stderr;
    assert!(
        error.contains(&format!(
            "An image does not exist locally with the tag: {}",
            server.name("nothing")
        )),
        "{error}"
    );
    let digest = format!("{name}@sha256:{}", "0".repeat(64));
    let error = sandbox.gantry(["push", &digest]).code(1).stderr;
    assert!(error.contains("cannot push a digest reference"), "{error}");
}

#[test]
fn a5_23_and_24_logging_in_and_out() {
    let Some(server) = Server::with_password() else { return };
    let sandbox = made();
    let name = server.name("private/x:1");
    sandbox.gantry(["tag", "made", &name]).success();
    let error = sandbox.gantry(["push", &name]).code(1).stderr;
    assert!(error.contains("denied") || error.contains("unauthorized"), "{error}");
    let error = sandbox.gantry(["pull", &name]).code(1).stderr;
    assert!(
        error.contains(&format!(
            "pull access denied for {}, repository does not exist or may require 'docker login'",
            server.name("private/x")
        )),
        "{error}"
    );
    let login = |password: &str| {
        let args = ["login", "-u", "user", "--password-stdin", &server.host];
        sandbox.gantry_with_input(args, password.as_bytes())
    };
    let wrong = login("wrong").code(1).stderr;
    assert!(wrong.contains("unauthorized") && !wrong.contains("wrong"), "{wrong}");
    let good = login("secret\n").success();
    assert_eq!(good.stdout, "Login Succeeded\n");
    assert!(
        good.stderr.contains("WARNING! Your credentials are stored unencrypted in"),
        "{}",
        good.stderr
    );
    assert!(push(&sandbox, &name).contains("1: digest: sha256:"));
    sandbox.gantry(["rmi", &name]).success();
    sandbox.gantry(["pull", "-q", &name]).success();
    let out = sandbox.gantry(["logout", &server.host]).success().stdout;
    assert_eq!(out, format!("Removing login credentials for {}\n", server.host));
    let out = sandbox.gantry(["logout", &server.host]).success().stdout;
    assert_eq!(out, format!("Not logged in to {}\n", server.host));
    sandbox.gantry(["pull", &name]).code(1);
    let error = sandbox.gantry(["login", &server.host]).code(1).stderr;
    assert!(error.contains("Cannot perform an interactive login from a non TTY device"), "{error}");
}

/// Blobs, then manifests, then the index that names them: what is there is whole at any moment.
#[test]
fn e_14_children_go_before_their_parents() {
    let Some(proxy) = Recorder::start() else { return };
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\n"),
        ("amd64", "a"),
        ("arm64", "b"),
    ]);
    let name = proxy.name("multi:1");
    let build = ["build", "--platform", "linux/amd64,linux/arm64", "--push", "-t", &name, "."];
    sandbox.gantry(build).success();
    let kind = |line: &String| {
        let path = line.strip_prefix("PUT ")?;
        Some(match path.contains("/blobs/uploads/") {
            true => "blob",
            false if path.ends_with("/manifests/1") => "tag",
            false => "manifest",
        })
    };
    let sent: Vec<_> = proxy.asked().iter().filter_map(kind).collect();
    assert_eq!(sent, ["blob", "blob", "manifest", "blob", "blob", "manifest", "tag"]);
    // A second push asks what is there, and sends no blob.
    sandbox.gantry(build).success();
    let asked = proxy.asked();
    assert!(asked.iter().all(|line| kind(line) != Some("blob")), "{asked:?}");
}

/// Docker's types are written where they are asked for, down to the last layer, and read (E-02).
#[test]
fn e_02_dockers_media_types() {
    let Some(server) = Server::start() else { return };
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let name = server.name("docker:1");
    let output = format!("type=registry,name={name},oci-mediatypes=false");
    sandbox
        .gantry(["build", "--platform", "linux/amd64,linux/arm64", "-o", &output, "."])
        .success();
    let raw = |name: &str| -> serde_json::Value {
        let raw = ["buildx", "imagetools", "inspect", "--raw", name];
        serde_json::from_str(&sandbox.gantry(raw).success().stdout).unwrap()
    };
    let list = raw(&name);
    assert_eq!(list["mediaType"], "application/vnd.docker.distribution.manifest.list.v2+json");
    for entry in list["manifests"].as_array().unwrap() {
        let docker = "application/vnd.docker.distribution.manifest.v2+json";
        assert_eq!(entry["mediaType"], docker);
        let image = format!("{}@{}", server.name("docker"), entry["digest"].as_str().unwrap());
        let manifest = raw(&image);
        assert_eq!(manifest["mediaType"], docker);
        let config = "application/vnd.docker.container.image.v1+json";
        assert_eq!(manifest["config"]["mediaType"], config);
        let layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert_eq!(manifest["layers"][0]["mediaType"], layer);
    }
    let there = Sandbox::new();
    for arch in ["amd64", "arm64"] {
        there.gantry(["pull", "-q", "--platform", &format!("linux/{arch}"), &name]).success();
        assert_eq!(inspect(&there, &name)["Architecture"], arch);
    }
    // Another store pushes on what it pulled, as it is.
    there.gantry(["tag", &name, &server.name("again:1")]).success();
    there.gantry(["push", "-q", &server.name("again:1")]).success();
    let again = raw(&server.name("again:1"));
    assert_eq!(again["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    check_store(&there);
}
