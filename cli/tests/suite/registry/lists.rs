//! Lists of manifests: platforms (E-09), attestations (E-10), `manifest` and `imagetools`.

use serde_json::Value;

use super::{Server, check_store, inspect, lines, made, push};
use crate::sandbox::Sandbox;

/// Images for two platforms and a list of them, `multi:1`.
fn multi(server: &Server) -> Sandbox {
    let sandbox = Sandbox::new().at_time(1_714_564_800);
    for arch in ["s390x", "arm64"] {
        let name = server.name(&format!("multi:{arch}"));
        let platform = format!("linux/{arch}");
        let args = ["import", "--platform", &platform, "-m", arch, "-", &name];
        sandbox.gantry_with_input(args, crate::base::busybox_tar()).success();
        sandbox.gantry(["push", "-q", &name]).success();
    }
    let (list, s390x, arm64) =
        (server.name("multi:1"), server.name("multi:s390x"), server.name("multi:arm64"));
    let created = sandbox.gantry(["manifest", "create", &list, &s390x, &arm64]).success().stdout;
    assert_eq!(created, format!("Created manifest list {list}\n"));
    sandbox.gantry(["manifest", "push", &list]).success();
    sandbox
}

fn document(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.gantry(["manifest", "inspect", name]).success().stdout;
    serde_json::from_str(&text).unwrap()
}

#[test]
fn e_09_a_platform_is_chosen() {
    let Some(server) = Server::start() else { return };
    let here = multi(&server);
    let name = server.name("multi:1");
    let there = Sandbox::new();
    for arch in ["arm64", "s390x"] {
        there.gantry(["pull", "-q", "--platform", &format!("linux/{arch}"), &name]).success();
        assert_eq!(inspect(&there, &name)["Architecture"], arch);
    }
    let error = there.gantry(["pull", "--platform", "linux/riscv64", &name]).code(1).stderr;
    assert!(
        error.contains("no matching manifest for linux/riscv64 in the manifest list entries"),
        "{error}"
    );
    assert!(error.contains("hint: It is there for `linux/s390x`, `linux/arm64`"), "{error}");
    let other = server.name("multi:arm64");
    let error = there.gantry(["pull", "--platform", "linux/s390x", &other]).code(1).stderr;
    assert!(error.contains("does not match the specified platform"), "{error}");
    // The digest of the list names the image too, and pulls it again.
    let digests = inspect(&there, &name)["RepoDigests"].clone();
    let list =
        here.gantry(["buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", &name]);
    let list = format!("{}@{}", server.name("multi"), list.success().stdout.trim());
    assert!(digests.as_array().unwrap().contains(&list.as_str().into()), "{digests}");
    check_store(&there);
}

#[test]
fn e_10_attestations_are_left_alone() {
    let Some(server) = Server::start() else { return };
    let sandbox = made();
    let (image, attestation, list) =
        (server.name("x:image"), server.name("x:attestation"), server.name("x:1"));
    push(&sandbox, &image);
    sandbox.gantry_with_input(["import", "-", &attestation], &[0; 1024]).success();
    sandbox.gantry(["push", "-q", &attestation]).success();
    sandbox.gantry(["manifest", "create", &list, &attestation, &image]).success();
    let unknown = ["manifest", "annotate", "--os", "unknown", "--arch", "unknown"];
    sandbox.gantry_words(&[&unknown[..], &[&list, &attestation]].concat()).success();
    sandbox.gantry(["manifest", "push", "--purge", &list]).success();
    let error = sandbox.gantry(["manifest", "push", &list]).code(1).stderr;
    assert!(error.contains(&format!("No such manifest: {list}")), "{error}");
    let entries = document(&sandbox, &list);
    assert_eq!(entries["manifests"][0]["platform"]["os"], "unknown");
    let there = Sandbox::new();
    there.gantry(["pull", "-q", &list]).success();
    assert_eq!(inspect(&there, &list)["Id"], inspect(&sandbox, "made")["Id"]);
}

#[test]
fn builds_for_another_platform_leave_the_name_alone() {
    let Some(server) = Server::start() else { return };
    multi(&server);
    let name = server.name("multi:1");
    let there = Sandbox::with([("Dockerfile", &format!("FROM {name}\nENV A=b\n"))]);
    let build = ["build", "--progress=plain", "--platform", "linux/s390x", "-t", "x", "."];
    there.gantry(build).success();
    assert_eq!(inspect(&there, "x")["Architecture"], "s390x");
    assert_eq!(lines(&there, &["images", "-q", &name]), [""; 0]);
    drop(server);
    there.gantry(build).success();
    check_store(&there);
}

#[test]
fn d1_14_a_single_image_of_another_platform_is_built_upon_with_a_warning() {
    let Some(server) = Server::start() else { return };
    let here = multi(&server);
    let single = server.name("multi:arm64");
    let text = format!("FROM {single}\nENV A=b\n");
    let there = Sandbox::with([("Dockerfile", &text)]);
    let build = ["build", "--progress=plain", "--platform", "linux/s390x", "-t", "x", "."];
    let warning = format!(
        "InvalidBaseImagePlatform: Base image {single} was pulled with platform \"linux/arm64\", \
         expected \"linux/s390x\" for current build (line 1)"
    );
    let told = there.gantry(build).success().stderr;
    assert!(told.contains(&warning), "{told}");
    assert_eq!(inspect(&there, "x")["Architecture"], "s390x");
    // It is known from then on, and is what it is for `pull`.
    drop(server);
    let told = there.gantry(build).success().stderr;
    assert!(told.contains(&warning), "{told}");
    check_store(&there);
    // One that was loaded is in no registry.
    here.gantry(["save", "-o", "other.tar", &single]).success();
    let loading = Sandbox::with([("Dockerfile", &text)]);
    let archive = here.project().join("other.tar");
    loading.gantry(["load", "-q", "-i", archive.to_str().unwrap()]).success();
    let told = loading.gantry(build).success().stderr;
    assert!(told.contains(&warning), "{told}");
    let strict = ["build", "--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"];
    let strict = loading.gantry_words(&[&strict[..], &build[2..]].concat()).code(1).stderr;
    assert!(
        strict.contains("lint violation found for rules: InvalidBaseImagePlatform"),
        "{strict}"
    );
}

#[test]
fn d1_14_a_list_without_the_platform_is_an_error() {
    let Some(server) = Server::start() else { return };
    multi(&server);
    let name = server.name("multi:1");
    let there = Sandbox::with([("Dockerfile", &format!("FROM {name}\n"))]);
    let build = ["build", "--platform", "linux/riscv64", "."];
    let error = there.gantry(build).code(1).stderr;
    assert!(error.contains("no match for platform in manifest"), "{error}");
}

#[test]
fn imagetools_inspect_and_create() {
    let Some(server) = Server::start() else { return };
    let sandbox = multi(&server);
    let name = server.name("multi:1");
    let shown = sandbox.gantry(["buildx", "imagetools", "inspect", &name]).success().stdout;
    assert!(
        shown.starts_with(&format!("Name:      {name}\nMediaType: application/vnd.")),
        "{shown}"
    );
    for arch in ["s390x", "arm64"] {
        assert!(shown.contains(&format!("Platform:    linux/{arch}\n")), "{shown}");
    }
    let raw = |name: &str| {
        sandbox.gantry(["buildx", "imagetools", "inspect", "--raw", name]).success().stdout
    };
    // One source is copied as it is, also into another repository.
    let copy = server.name("copy/of:1");
    sandbox.gantry(["buildx", "imagetools", "create", "-t", &copy, &name]).success();
    assert_eq!(raw(&copy), raw(&name));
    let there = Sandbox::new();
    there.gantry(["pull", "-q", "--platform", "linux/arm64", &copy]).success();
    // Several are put together.
    let (one, two) = (server.name("multi:s390x"), server.name("multi:arm64"));
    let joined = server.name("joined:1");
    let create = ["buildx", "imagetools", "create", "--annotation", "index:a=b", "-t", &joined];
    sandbox.gantry_words(&[&create[..], &[&one, &two]].concat()).success();
    let index: Value = serde_json::from_str(&raw(&joined)).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(index["annotations"]["a"], "b");
    let dry = ["buildx", "imagetools", "create", "--dry-run", &one, &two];
    let dry: Value = serde_json::from_str(&sandbox.gantry(dry).success().stdout).unwrap();
    assert_eq!(dry["manifests"], index["manifests"]);
}

#[test]
fn a_registry_is_searched_by_name() {
    let Some(server) = Server::start() else { return };
    let sandbox = made();
    push(&sandbox, &server.name("team/cellar:1"));
    push(&sandbox, &server.name("team/attic:1"));
    let found = lines(&sandbox, &["search", "--format", "{{.Name}}", &server.name("cell")]);
    assert_eq!(found, ["team/cellar"]);
}
