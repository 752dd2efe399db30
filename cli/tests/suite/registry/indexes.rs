//! Names of the store that stand for an index: built, pushed, pulled, saved and loaded whole.

use serde_json::Value;

use super::peers::skopeo;
use super::{Server, check_store, lines};
use crate::sandbox::Sandbox;

const BOTH: &str = "linux/amd64,linux/arm64";

/// A project of which nothing runs, so that every host builds it for all platforms.
fn project() -> Sandbox {
    let text = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /which\nCOPY both /\n";
    let files = [("Dockerfile", text), ("amd64", "a"), ("arm64", "b"), ("both", "same")];
    Sandbox::with(files).at_time(1_714_564_800)
}

fn build(sandbox: &Sandbox, name: &str, more: &[&str]) {
    let words = ["build", "-q", "--platform", BOTH, "-t", name];
    sandbox.gantry_words(&[&words[..], more, &["."]].concat()).success();
}

/// The bytes that a registry has under a name.
fn raw(sandbox: &Sandbox, name: &str) -> String {
    sandbox.gantry(["buildx", "imagetools", "inspect", "--raw", name]).success().stdout
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// `architecture` of each manifest of an index.
fn architectures(index: &Value) -> Vec<&str> {
    let entries = index["manifests"].as_array().unwrap();
    entries.iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect()
}

fn digest(text: &str) -> String {
    gantry_image::Digest::of(text.as_bytes()).to_string()
}

/// The platform that this host isn't.
fn other() -> &'static str {
    if std::env::consts::ARCH == "x86_64" { "arm64" } else { "amd64" }
}

#[test]
fn c1_10_a_push_later_is_the_push_of_the_build() {
    let Some(server) = Server::start() else { return };
    let (here, there) = (project(), project());
    let (later, at_once) = (server.name("x:later"), server.name("y:once"));
    let more = ["--annotation", "index,manifest:who=me"];
    build(&here, &later, &more);
    let shown = here.gantry(["push", &later]).success().stdout;
    build(&there, &at_once, &[&more[..], &["--push"]].concat());
    let pushed = raw(&here, &later);
    assert_eq!(pushed, raw(&there, &at_once));
    assert_eq!(architectures(&parsed(&pushed)), ["amd64", "arm64"]);
    let ours = digest(&pushed);
    assert!(shown.contains(&format!("later: digest: {ours} size: {}", pushed.len())), "{shown}");
    // The store has it as it was pushed, and knows it by that digest.
    let by_digest = format!("{}@{ours}", server.name("x"));
    let digests = lines(&here, &["inspect", "-f", "{{join .RepoDigests \" \"}}", &later]);
    assert_eq!(digests, [by_digest.as_str()]);
    here.gantry(["inspect", &by_digest]).success();
    here.gantry(["push", "-q", &later]).success();
    assert_eq!(raw(&here, &later), pushed);
    // And so it is after a rebuild, which runs nothing.
    build(&here, &later, &more);
    here.gantry(["push", "-q", &later]).success();
    assert_eq!(raw(&here, &later), pushed);
    check_store(&here);

    let from = format!("docker://{later}");
    let copy = ["copy", "-q", "--all", "--preserve-digests", "--src-tls-verify=false"];
    if skopeo(&here, &[&copy[..], &[&from, "oci:copied:x"]].concat()).is_some() {
        let copied = parsed(&String::from_utf8(here.read("copied/index.json")).unwrap());
        assert_eq!(copied["manifests"][0]["digest"], ours.as_str());
    }

    // One of them alone, as docker does.
    let one = server.name("x:one");
    here.gantry(["tag", &later, &one]).success();
    here.gantry(["push", "-q", "--platform", "linux/arm64", &one]).success();
    let alone = raw(&here, &one);
    assert_eq!(parsed(&pushed)["manifests"][1]["digest"], digest(&alone).as_str());
    let error = here.gantry(["push", "--platform", "linux/s390x", &one]).code(1).stderr;
    let said = format!(
        "ERROR: image with reference {one} was found but does not provide the specified platform \
         (linux/s390x)"
    );
    assert!(error.contains(&said), "{error}");
    assert!(error.contains("hint: It is there for `linux/amd64`, `linux/arm64`"), "{error}");
}

#[test]
fn c1_10_a_name_of_the_image_alone_is_pushed_alone() {
    let Some(server) = Server::start() else { return };
    let here = project();
    let (all, one, tagged) = (server.name("x:all"), server.name("x:one"), server.name("x:tagged"));
    build(&here, &all, &[]);
    // The same image as the host's of the other name.
    here.gantry(["build", "-q", "-t", &one, "."]).success();
    here.gantry(["tag", &all, &tagged]).success();
    let ids = lines(&here, &["images", "-q", "--no-trunc"]);
    assert_eq!(ids.len(), 1);
    here.gantry(["push", "-q", "-a", &server.name("x")]).success();
    assert_eq!(architectures(&parsed(&raw(&here, &all))), ["amd64", "arm64"]);
    assert_eq!(raw(&here, &all), raw(&here, &tagged));
    assert_eq!(parsed(&raw(&here, &one))["config"]["digest"], ids[0].as_str());
    // Built for the host alone, a name stands for no index any more.
    here.gantry(["build", "-q", "-t", &all, "."]).success();
    here.gantry(["push", "-q", &all]).success();
    assert_eq!(raw(&here, &all), raw(&here, &one));
    check_store(&here);
}

#[test]
fn e_10_what_is_said_travels_with_all_platforms() {
    let Some(server) = Server::start() else { return };
    let here = project();
    let (name, copied) = (server.name("app:1"), server.name("copied:1"));
    build(&here, &name, &["--provenance=mode=max"]);
    here.gantry(["push", "-q", &name]).success();
    let pushed = raw(&here, &name);
    assert_eq!(architectures(&parsed(&pushed)), ["amd64", "arm64", "unknown", "unknown"]);

    // Pulled whole, it is the same bytes wherever it goes.
    let there = Sandbox::new();
    let shown = there.gantry(["pull", "--all-platforms", &name]).success().stdout;
    assert!(shown.contains(&format!("Digest: {}\n", digest(&pushed))), "{shown}");
    assert!(shown.contains("Status: Downloaded newer image"), "{shown}");
    let again = there.gantry(["pull", "--all-platforms", &name]).success().stdout;
    assert!(again.contains("Status: Image is up to date"), "{again}");
    assert_eq!(lines(&there, &["images", "-q"]).len(), 1);
    assert_eq!(lines(&there, &["images", "-aq"]).len(), 2);
    there.gantry(["tag", &name, &copied]).success();
    there.gantry(["push", "-q", &copied]).success();
    assert_eq!(raw(&there, &copied), pushed);
    // A pull of the host's alone changes nothing, as long as the registry has the same.
    there.gantry(["pull", "-q", &name]).success();
    there.gantry(["push", "-q", &copied]).success();
    assert_eq!(raw(&there, &copied), pushed);

    // Through an archive as well.
    for format in ["docker-archive", "oci-archive"] {
        let file = there.project().join(format);
        let file = file.to_str().unwrap();
        there.gantry(["save", "--format", format, "-o", file, &name]).success();
        let third = Sandbox::new();
        let loaded = third.gantry(["load", "-i", file]).success().stdout;
        assert_eq!(loaded, format!("Loaded image: {name}\n"));
        let through = server.name(&format!("through:{format}"));
        third.gantry(["tag", &name, &through]).success();
        third.gantry(["push", "-q", &through]).success();
        assert_eq!(raw(&third, &through), pushed, "{format}");
        check_store(&third);
    }
    check_store(&there);

    // A plain pull takes the host's image, and the name stands for that alone.
    let plain = Sandbox::new();
    plain.gantry(["pull", "-q", &name]).success();
    assert_eq!(lines(&plain, &["images", "-aq"]).len(), 1);
    let shown = plain.gantry(["inspect", "--platform", &format!("linux/{}", other()), &name]);
    assert!(shown.code(1).stderr.contains("does not provide the specified platform"));
}

#[test]
fn a3_12_an_archive_holds_the_whole_index() {
    let (here, there) = (project(), Sandbox::new());
    build(&here, "x", &[]);
    here.gantry(["tag", "x", "y:2"]).success();
    here.gantry(["save", "-o", "a.tar", "x", "y:2"]).success();
    let id = lines(&here, &["inspect", "-f", "{{.Id}}", "x"]).remove(0);
    let unpack = ["-xf", "a.tar", "oci-layout", "index.json", "manifest.json", "blobs"];
    here.run(&mut here.other("tar".as_ref(), &unpack)).success();
    let index = parsed(&String::from_utf8(here.read("index.json")).unwrap());
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "one entry a name: {index}");
    assert_eq!(entries[0]["digest"], entries[1]["digest"]);
    assert_eq!(entries[0]["mediaType"], "application/vnd.oci.image.index.v1+json");
    let over = entries[0]["digest"].as_str().unwrap().replace(':', "/");
    let over = parsed(&String::from_utf8(here.read(&format!("blobs/{over}"))).unwrap());
    assert_eq!(architectures(&over), ["amd64", "arm64"]);
    for entry in over["manifests"].as_array().unwrap() {
        let blob = entry["digest"].as_str().unwrap().replace(':', "/");
        let manifest = parsed(&String::from_utf8(here.read(&format!("blobs/{blob}"))).unwrap());
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().replace(':', "/");
        assert!(!here.read(&format!("blobs/{layer}")).is_empty());
    }
    // What knows no index finds the host's image.
    let items = parsed(&String::from_utf8(here.read("manifest.json")).unwrap());
    assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
    assert_eq!(items[0]["RepoTags"], serde_json::json!(["x:latest", "y:2"]));
    let config = id.replace("sha256:", "blobs/sha256/");
    assert_eq!(items[0]["Config"], config.as_str());
    if let Some(shown) = skopeo(&here, &["inspect", "docker-archive:a.tar:x:latest"]) {
        assert_eq!(parsed(&shown)["Architecture"], host());
    }
    if skopeo(&here, &["copy", "-q", "--all", "oci-archive:a.tar:2", "dir:all"]).is_some() {
        let copied = parsed(&String::from_utf8(here.read("all/manifest.json")).unwrap());
        assert_eq!(architectures(&copied), ["amd64", "arm64"]);
    }

    // Another store keeps all of it, and shows the same image.
    let archive = here.project().join("a.tar");
    let archive = archive.to_str().unwrap();
    let loaded = there.gantry(["load", "-i", archive]).success().stdout;
    assert_eq!(loaded, "Loaded image: x:latest\nLoaded image: y:2\n");
    assert_eq!(lines(&there, &["inspect", "-f", "{{.Id}}", "x"]), [id.as_str()]);
    assert_eq!(lines(&there, &["images", "-aq"]).len(), 2);
    there.gantry(["rmi", "x"]).success();
    there.gantry(["save", "-o", "again.tar", "y:2"]).success();
    there.gantry(["prune", "-f"]).success();
    let platform = format!("linux/{}", other());
    let shown = ["inspect", "--platform", &platform, "-f", "{{.Architecture}}", "y:2"];
    assert_eq!(lines(&there, &shown), [other()]);
    let history = ["history", "--platform", &platform, "--format", "{{.CreatedBy}}", "y:2"];
    assert!(lines(&there, &history).iter().any(|line| line.contains("COPY")));
    assert_eq!(lines(&there, &["inspect", "-f", "{{.Architecture}}", "y:2"]), [host()]);
    check_store(&there);

    // The last name takes all of it along.
    let removed = there.gantry(["rmi", "y:2"]).success().stdout;
    assert_eq!(removed.matches("Deleted: sha256:").count(), 2, "{removed}");
    assert_eq!(lines(&there, &["images", "-aq"]), [""; 0]);
    check_store(&there);

    // One of them alone, out of the store and out of an archive.
    here.gantry(["save", "--platform", &platform, "-o", "one.tar", "x"]).success();
    let one = Sandbox::new();
    let archive = here.project().join("one.tar");
    one.gantry(["load", "-i", archive.to_str().unwrap()]).success();
    let archive = here.project().join("a.tar");
    assert_eq!(lines(&one, &["inspect", "-f", "{{.Architecture}}", "x"]), [other()]);
    let load = ["load", "--platform", &platform, "-i", archive.to_str().unwrap()];
    let two = Sandbox::new();
    two.gantry(load).success();
    assert_eq!(lines(&two, &["images", "-aq"]).len(), 1);
    assert_eq!(lines(&two, &["inspect", "-f", "{{.Architecture}}", "y:2"]), [other()]);
    let run = ["run", "--rm", "--pull=never", "--platform", "linux/s390x", "x", "true"];
    let error = here.gantry(run).code(125).stderr;
    assert!(error.contains("does not provide the specified platform (linux/s390x)"), "{error}");
}

#[test]
fn b4_a_base_image_of_the_store_is_taken_for_each_platform() {
    let here = project();
    build(&here, "base", &[]);
    here.write("Dockerfile", "FROM base\nCOPY both /again\n");
    build(&here, "upon", &[]);
    for arch in ["amd64", "arm64"] {
        let platform = format!("linux/{arch}");
        let layers = |name: &str| {
            let format = "{{join .RootFS.Layers \" \"}}";
            lines(&here, &["inspect", "--platform", &platform, "-f", format, name]).remove(0)
        };
        assert!(layers("upon").starts_with(&layers("base")), "{arch}");
    }
    check_store(&here);
}

fn host() -> &'static str {
    if other() == "arm64" { "amd64" } else { "arm64" }
}

#[test]
fn e_09_a_base_of_another_platform_is_fetched_or_told() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (project(), server.name("base:1"));
    build(&here, &name, &["--push", "--load=false"]);
    let text = format!("FROM {name}\nCOPY Dockerfile /\n");
    let (first, second) =
        (Sandbox::with([("Dockerfile", &text)]), Sandbox::with([("Dockerfile", &text)]));
    let (mine, others) = (format!("linux/{}", host()), format!("linux/{}", other()));
    for there in [&first, &second] {
        there.gantry(["build", "-q", "."]).success();
    }
    // As long as the registry answers, each gets its own, and keeps it.
    let another = ["build", "-q", "--platform", &others, "-t", "x", "."];
    first.gantry(another).success();
    assert_eq!(lines(&first, &["inspect", "-f", "{{.Architecture}}", "x"]), [other()]);
    drop(server);
    first.gantry(another).success();
    first.gantry(["build", "-q", "."]).success();
    // Then, what is there is of no use, and the error says so.
    second.gantry(["build", "-q", "."]).success();
    let error = second.gantry(another).code(1).stderr;
    assert!(error.contains(": Failed to connect to the registry"), "{error}");
    let hint = format!(
        "hint: The store has it for `{mine}` only: build with `--platform {mine}`, or bring it in for \
         the other platform with `gantry pull --platform {others} {name}` or `gantry load`\n"
    );
    assert!(error.contains(&hint), "{error}");
    check_store(&first);
}

#[test]
fn e_09_an_index_in_an_index_is_looked_through() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (project(), server.name("base:1"));
    build(&here, &name, &["--push", "--load=false"]);
    let inner = raw(&here, &name);
    let kind = "application/vnd.oci.image.index.v1+json";
    let outer = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind,
        "manifests": [{ "mediaType": kind, "digest": digest(&inner), "size": inner.len() }],
    })
    .to_string();
    // No client makes one, so it is put there by hand.
    let mut stream = std::net::TcpStream::connect(&server.host).unwrap();
    let head = format!(
        "PUT /v2/base/manifests/outer HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        server.host,
        outer.len()
    );
    std::io::Write::write_all(&mut stream, (head + &outer).as_bytes()).unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let name = server.name("base:outer");
    for arch in [other(), host()] {
        let there = Sandbox::with([("Dockerfile", &format!("FROM {name}\nCOPY Dockerfile /\n"))]);
        let platform = format!("linux/{arch}");
        there.gantry(["pull", "-q", "--platform", &platform, &name]).success();
        assert_eq!(lines(&there, &["inspect", "-f", "{{.Architecture}}", &name]), [arch]);
        there.gantry(["build", "-q", "--pull", "--platform", &platform, "-t", "x", "."]).success();
        assert_eq!(lines(&there, &["inspect", "-f", "{{.Architecture}}", "x"]), [arch]);
        check_store(&there);
    }
}
