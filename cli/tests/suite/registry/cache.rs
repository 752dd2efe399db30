//! Build caches elsewhere (C5): what one store cached, another one finds.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::{Server, check_store};
use crate::base::busybox_tar;
use crate::sandbox::Sandbox;

/// Two stages, a cache mount, and steps of all kinds.
const DOCKERFILE: &str = "FROM busybox AS tool\n\
     RUN echo tool > /tool\n\
     FROM busybox\n\
     RUN --mount=type=cache,target=/cache echo x > /cache/mounted; echo one > /one\n\
     COPY --from=tool /tool /tool\n\
     COPY f /f\n\
     RUN cat /tool /f > /two\n\
     CMD [\"cat\", \"/two\"]\n";

/// The same project with an empty store, but for the base image.
pub(crate) fn project() -> Sandbox {
    let sandbox =
        Sandbox::with([("Dockerfile", DOCKERFILE), ("f", "file\n")]).at_time(1_700_000_000);
    sandbox.gantry_with_input(["import", "-", "busybox"], busybox_tar()).success();
    sandbox
}

/// Steps that ran: those that are neither cached nor internal.
pub(crate) fn ran(progress: &str) -> Vec<&str> {
    let lines = || progress.lines();
    let number = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let steps = lines().filter(|line| line.contains("] RUN ") || line.contains("] COPY "));
    let cached = |step: &&str| {
        let wanted = format!("{} CACHED", number(step));
        !lines().any(|line| line == wanted)
    };
    // Steps that run at the same time are shown in turns.
    let mut seen = std::collections::BTreeSet::new();
    let ran = steps.filter(cached).filter(|step| seen.insert(*step));
    ran.map(|step| step.split_once("] ").unwrap().1).collect()
}

/// Where a cache of this sandbox is for others.
fn place(sandbox: &Sandbox, name: &str) -> String {
    sandbox.project().join(name).display().to_string()
}

fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs_err::read(path.as_ref()).unwrap()).unwrap()
}

fn blob(layout: &Path, described: &Value) -> std::path::PathBuf {
    layout.join("blobs/sha256").join(&described["digest"].as_str().unwrap()["sha256:".len()..])
}

/// The layers of the store that were unpacked.
pub(crate) fn unpacked(sandbox: &Sandbox) -> usize {
    let layers = fs_err::read_dir(sandbox.store().join("layers")).unwrap();
    layers.filter(|layer| layer.as_ref().unwrap().path().join("tree").exists()).count()
}

#[test]
fn c5_03_another_store_finds_every_step_and_unpacks_none() {
    let here = project();
    let id = here.gantry(["build", "-q", "--cache-to", "type=local,dest=cache,mode=max", "."]);
    let id = id.success().stdout;
    let there = project();
    let before = unpacked(&there);
    let from = format!("type=local,src={}", place(&here, "cache"));
    let build =
        ["build", "--progress=plain", "--iidfile", "id", "--cache-from", &from, "-t", "x", "."];
    let told = there.gantry(build).success().stderr;
    assert_eq!(ran(&told), [""; 0], "{told}");
    assert!(told.contains("importing cache manifest from client directory"), "{told}");
    assert_eq!(String::from_utf8(there.read("id")).unwrap(), id.trim_end());
    assert_eq!(unpacked(&there), before, "nobody needed any file yet");
    // From now on it is there without the other cache.
    fs_err::remove_dir_all(here.project().join("cache")).unwrap();
    let told = there.gantry(["build", "--progress=plain", "."]).success().stderr;
    assert_eq!(ran(&told), [""; 0], "{told}");
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
    check_store(&there);
}

#[test]
fn c5_07_what_changed_runs_on_top_of_what_was_found() {
    let here = project();
    here.gantry(["build", "-q", "--cache-to", "type=local,dest=cache,mode=max", "."]).success();
    let there = project();
    there.write("f", "changed\n");
    let from = format!("type=local,src={}", place(&here, "cache"));
    let build = ["build", "--progress=plain", "--cache-from", &from, "-t", "x", "."];
    let told = there.gantry(build).success().stderr;
    assert_eq!(ran(&told), ["COPY f /f", "RUN cat /tool /f > /two"]);
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nchanged\n");
    check_store(&there);
}

#[test]
fn c5_03_min_holds_the_results_layers_and_max_all() {
    let here = project();
    for mode in ["min", "max"] {
        let to = format!("type=local,dest={mode},mode={mode}");
        here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
    }
    for (mode, expect) in [("min", &["RUN echo tool > /tool"][..]), ("max", &[])] {
        let there = project();
        let from = format!("type=local,src={}", place(&here, mode));
        let stage = ["build", "--progress=plain", "--target", "tool", "--cache-from", &from, "."];
        assert_eq!(ran(&there.gantry(stage).success().stderr), expect, "{mode}");
        // The result itself is found with both.
        let there = project();
        let all = ["build", "--progress=plain", "--cache-from", &from, "."];
        assert_eq!(ran(&there.gantry(all).success().stderr), [""; 0], "{mode}");
    }
}

#[test]
fn c5_07_cache_mounts_are_never_part_of_it() {
    let here = project();
    let to = "type=local,dest=cache,mode=max,compression=uncompressed";
    here.gantry(["build", "-q", "--cache-to", to, "."]).success();
    let blobs = fs_err::read_dir(here.project().join("cache/blobs/sha256")).unwrap();
    let mut tars = 0;
    for path in blobs.map(|entry| entry.unwrap().path()) {
        let mut first = [0];
        fs_err::File::open(&path).unwrap().read_exact(&mut first).unwrap();
        if first == *b"{" {
            continue;
        }
        tars += 1;
        for entry in tar::Archive::new(fs_err::File::open(&path).unwrap()).entries().unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            assert!(!name.contains("mounted"), "{name}");
        }
    }
    assert!(tars > 3, "{tars}");
}

/// What a cache says that it has and hasn't is made anew, with a warning: where a step needs it, and
/// where the image does.
#[test]
fn c5_07_what_a_cache_lost_is_made_again() {
    let Some(server) = Server::start() else { return };
    let here = project();
    let name = server.name("cache:1");
    let to = format!("type=registry,ref={name},mode=max");
    let id = here.gantry(["build", "-q", "--cache-to", &to, "."]).success().stdout;
    let manifest = here.gantry(["manifest", "inspect", &name]).success().stdout;
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        fs_err::remove_file(server.blob(layer["digest"].as_str().unwrap())).unwrap();
    }
    for text in ["changed\n", "file\n"] {
        let there = project();
        there.write("f", text);
        let build = ["build", "--progress=plain", "--cache-from", &name, "-t", "x", "."];
        let told = there.gantry(build).success().stderr;
        assert!(told.contains("Caches from elsewhere are not used any more"), "{told}");
        assert!(!told.contains(" ERROR: "), "{told}");
        let run = there.gantry(["run", "--rm", "x"]).success().stdout;
        assert_eq!(run, format!("tool\n{text}"));
        if text == "file\n" {
            let made = there.gantry(["inspect", "-f", "{{.Id}}", "x"]).success().stdout;
            assert_eq!(made.trim(), id.trim());
        }
        check_store(&there);
        // And here it is known from now on.
        let told = there.gantry(["build", "--progress=plain", "."]).success().stderr;
        assert_eq!(ran(&told), [""; 0], "{told}");
    }
}

/// Field by field against BuildKit's `cache/remotecache`.
#[test]
fn c5_08_the_format_is_buildkits() {
    let here = project();
    for (options, manifest_type, layers) in [
        (
            "",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (
            ",image-manifest=false",
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        (
            ",oci-mediatypes=false",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
        (
            ",compression=zstd,tag=other",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.layer.v1.tar+zstd",
        ),
    ] {
        let to =
            format!("type=local,dest=cache,mode=max,reset=true,force-compression=true{options}");
        here.gantry(["build", "-q", "--cache-to", &to, "."]).success();
        let layout = here.project().join("cache");
        assert_eq!(json(layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
        let index = json(layout.join("index.json"));
        let entry = &index["manifests"][0];
        assert_eq!(entry["mediaType"], manifest_type, "{options}");
        let tag = if options.contains("tag=") { "other" } else { "latest" };
        assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], tag);
        let manifest = json(blob(&layout, entry));
        assert_eq!(
            (&manifest["schemaVersion"], &manifest["mediaType"]),
            (&2.into(), &manifest_type.into())
        );
        let listed: Vec<Value> = match manifest.get("manifests") {
            Some(all) => all.as_array().unwrap().clone(),
            None => {
                let all = manifest["layers"].as_array().unwrap();
                all.iter().chain([&manifest["config"]]).cloned().collect()
            }
        };
        let (config, described) = listed.split_last().unwrap();
        assert_eq!(config["mediaType"], "application/vnd.buildkit.cacheconfig.v0");
        for layer in described {
            assert_eq!(layer["mediaType"], layers, "{options}");
            let file = fs_err::metadata(blob(&layout, layer)).unwrap();
            assert_eq!(layer["size"], file.len());
            let uncompressed = &layer["annotations"]["containerd.io/uncompressed"];
            assert!(uncompressed.as_str().unwrap().starts_with("sha256:"));
            assert_eq!(layer["annotations"]["buildkit/createdat"], "2023-11-14T22:13:20Z");
        }
        check_document(&json(blob(&layout, config)), described);
        // And none of the blobs is of an earlier cache.
        let blobs = fs_err::read_dir(layout.join("blobs/sha256")).unwrap().count();
        assert_eq!(blobs, listed.len() + 1, "{options}");
    }
}

fn check_document(document: &Value, described: &[Value]) {
    let layers = document["layers"].as_array().unwrap();
    let records = document["records"].as_array().unwrap();
    let known: Vec<&Value> = described.iter().map(|layer| &layer["digest"]).collect();
    let sorted = |list: &[Value], field: &str| {
        list.is_sorted_by_key(|one| one[field].as_str().unwrap().to_owned())
    };
    assert!(sorted(layers, "blob") && sorted(records, "digest"));
    let mut roots = 0;
    for (place, layer) in layers.iter().enumerate() {
        assert!(known.contains(&&layer["blob"]));
        // BuildKit leaves out 0, and reads what is left out as 0.
        let parent = layer.get("parent").map_or(0, |parent| parent.as_i64().unwrap());
        assert_ne!(layer.get("parent"), Some(&0.into()));
        assert!((-1..layers.len() as i64).contains(&parent) && parent != place as i64);
        roots += usize::from(parent == -1);
    }
    assert_eq!(roots, 1, "one base image");
    let mut results = 0;
    for record in records {
        let digest = record["digest"].as_str().unwrap();
        assert!(digest.len() == 71 && digest.starts_with("sha256:"));
        for result in record.get("layers").into_iter().flat_map(|all| all.as_array().unwrap()) {
            results += 1;
            assert!(result["layer"].as_u64().unwrap() < layers.len() as u64);
            assert_eq!(result["createdAt"], "2023-11-14T22:13:20Z");
        }
        let inputs = record.get("inputs").into_iter().flat_map(|all| all.as_array().unwrap());
        for input in inputs.flat_map(|one| one.as_array().unwrap()) {
            assert!(input["link"].as_u64().unwrap() < records.len() as u64);
        }
    }
    assert!(results >= 5, "{results}");
}

#[test]
fn c5_08_a_cache_of_buildkits_is_read_and_no_step_of_it_is_taken_for_one_of_ours() {
    let sandbox = project();
    let document = r#"{"layers":[{"blob":"sha256:3333333333333333333333333333333333333333333333333333333333333333","parent":-1}],"records":[{"digest":"sha256:4444444444444444444444444444444444444444444444444444444444444444"},{"layers":[{"layer":0,"createdAt":"2024-05-01T12:00:00.5Z"}],"digest":"sha256:5555555555555555555555555555555555555555555555555555555555555555","inputs":[[{"selector":"sha256:66","link":0}]]}]}"#;
    let write = |text: &str| {
        let script = format!(
            "mkdir -p cache/blobs/sha256; printf %s '{text}' > t; \
            d=$(sha256sum t | cut -d' ' -f1); mv t cache/blobs/sha256/$d; printf %s $d"
        );
        let mut command = sandbox.other(Path::new("/bin/sh"), &["-c", &script]);
        sandbox.run(&mut command).success().stdout
    };
    let (config, size) = (write(document), document.len());
    let layer = "sha256:3333333333333333333333333333333333333333333333333333333333333333";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"sha256:{config}","size":{size}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{layer}","size":9}}]}}"#
    );
    let digest = write(&manifest);
    let from = format!("type=local,src=cache,digest=sha256:{digest}");
    let told = sandbox.gantry(["build", "--progress=plain", "--cache-from", &from, "."]);
    let told = told.success().stderr;
    assert!(!told.contains("is not used"), "{told}");
    assert_eq!(ran(&told).len(), 5, "{told}");
}

#[test]
fn c5_07_what_is_not_there_is_a_warning() {
    let sandbox = project();
    sandbox.write("broken/index.json", "{");
    sandbox.write("empty/x", "");
    let [missing, empty, broken] =
        ["nowhere", "empty", "broken"].map(|name| format!("type=local,src={name}"));
    let build = [
        "build",
        "--progress=plain",
        "--cache-from",
        &missing,
        "--cache-from",
        &empty,
        "--cache-from",
        &broken,
        ".",
    ];
    let told = sandbox.gantry(build).success().stderr;
    for (name, why) in [
        ("nowhere", "there is none"),
        ("empty", "there is none"),
        ("broken", "holds no build cache"),
    ] {
        let warning =
            told.lines().find(|line| line.contains(&format!("directory {name} is not used")));
        assert!(warning.is_some_and(|line| line.contains(why)), "{name}: {told}");
    }
}

#[test]
fn c5_07_several_caches_are_asked_in_their_order() {
    let here = project();
    here.gantry(["build", "-q", "--cache-to", "type=local,dest=all,mode=max", "."]).success();
    here.gantry(["build", "-q", "--target=tool", "--cache-to", "type=local,dest=tool", "."])
        .success();
    let there = project();
    let [first, second] =
        ["tool", "all"].map(|name| format!("type=local,src={}", place(&here, name)));
    let build = ["build", "--progress=plain", "--cache-from", &first, "--cache-from", &second, "."];
    assert_eq!(ran(&there.gantry(build).success().stderr), [""; 0]);
}

#[test]
fn c5_07_a_cache_that_lies_gives_no_wrong_image() {
    let here = project();
    here.gantry(["build", "-q", "--cache-to", "type=local,dest=cache,mode=max", "."]).success();
    let layout = here.project().join("cache");
    let manifest = json(blob(&layout, &json(layout.join("index.json"))["manifests"][0]));
    let layers = manifest["layers"].as_array().unwrap();
    // Other bytes of the same size under the name of every small layer.
    for layer in layers.iter().filter(|layer| layer["size"].as_u64().unwrap() < 1000) {
        let path = blob(&layout, layer);
        let mut bytes = fs_err::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs_err::write(&path, bytes).unwrap();
    }
    let there = project();
    let from = format!("type=local,src={}", layout.display());
    let told = there.gantry(["build", "--progress=plain", "--cache-from", &from, "-t", "x", "."]);
    let told = told.success().stderr;
    assert!(told.contains("instead of `sha256:"), "{told}");
    assert_eq!(there.gantry(["run", "--rm", "x"]).success().stdout, "tool\nfile\n");
    check_store(&there);
    let there = project();
    // A layer that is gone is no hit.
    for layer in layers {
        fs_err::remove_file(blob(&layout, layer)).unwrap();
    }
    let told = there.gantry(["build", "--progress=plain", "--cache-from", &from, "."]).success();
    assert_eq!(ran(&told.stderr).len(), 5, "{}", told.stderr);
}

#[test]
fn c5_01_an_export_that_fails_costs_no_result() {
    let sandbox = project();
    sandbox.write("file", "");
    let to = ["type=local,dest=file/x", "type=local,dest=file/x,ignore-error=false"];
    let told = sandbox.gantry(["build", "-t", "one", "--cache-to", to[0], "."]).success().stderr;
    assert!(told.contains("The cache could not be exported to client directory file/x"), "{told}");
    sandbox.gantry(["build", "-t", "two", "--cache-to", to[1], "."]).code(1);
    // The image is there in both cases.
    let images = sandbox.gantry(["images"]).success().stdout;
    assert!(images.contains("one") && images.contains("two"), "{images}");
    let typo = sandbox.gantry(["build", "--cache-to", "type=local,dest=c,mode=most", "."]).code(1);
    assert!(typo.stderr.contains("invalid cache mode \"most\""), "{}", typo.stderr);
    let azure = sandbox.gantry(["build", "--cache-from", "type=azblob", "."]).code(1).stderr;
    assert!(azure.contains("cache importer \"azblob\" is not supported"), "{azure}");
}

#[test]
fn c5_02_an_image_carries_its_own_cache() {
    let here = project();
    let id = |to: &[&str]| {
        let words = [&["build", "-q"], to, &["."]].concat();
        here.gantry_words(&words).success().stdout
    };
    let plain = id(&[]);
    let inline = id(&["--cache-to", "type=inline"]);
    assert_ne!(plain, inline);
    // The same by the argument that BuildKit knows, and as often as one likes.
    assert_eq!(id(&["--cache-to", "type=inline"]), inline);
    let out = "type=oci,dest=image,tar=false,compression=gzip";
    here.gantry(["build", "--build-arg", "BUILDKIT_INLINE_CACHE=1", "-o", out, "."]).success();
    let layout = here.project().join("image");
    let manifest = json(blob(&layout, &json(layout.join("index.json"))["manifests"][0]));
    let config = json(blob(&layout, &manifest["config"]));
    assert!(config["moby.buildkit.cache.v0"].is_string(), "{config}");
    let digest = json(layout.join("index.json"))["manifests"][0]["digest"].clone();
    let from = format!("type=local,src={},digest={}", layout.display(), digest.as_str().unwrap());
    let there = project();
    let told = there.gantry(["build", "--progress=plain", "--cache-from", &from, "."]);
    assert_eq!(ran(&told.success().stderr), [""; 0]);
}

#[test]
fn c5_01_a_registry_holds_caches() {
    let Some(server) = Server::start() else { return };
    let here = project();
    let name = server.name("app/cache:main");
    let to = format!("type=registry,ref={name},mode=max");
    let id = here.gantry(["build", "-q", "--cache-to", &to, "."]).success().stdout;
    let there = project();
    let before = unpacked(&there);
    // A reference alone is one in a registry; one that isn't there is a warning.
    let missing = server.name("app/cache:other");
    let build = [
        "build",
        "--progress=plain",
        "--iidfile",
        "id",
        "--cache-from",
        &missing,
        "--cache-from",
        &name,
        ".",
    ];
    let told = there.gantry(build).success().stderr;
    assert_eq!(ran(&told), [""; 0], "{told}");
    assert!(told.contains("app/cache:other is not used"), "{told}");
    assert_eq!(String::from_utf8(there.read("id")).unwrap(), id.trim_end());
    assert_eq!(unpacked(&there), before);
    check_store(&there);
    // What is there is not sent again, and the index form goes there as well.
    let index = format!("type=registry,ref={name},mode=max,image-manifest=false");
    here.gantry(["build", "-q", "--cache-to", &index, "."]).success();
    let there = project();
    let told = there.gantry(["build", "--progress=plain", "--cache-from", &name, "."]);
    assert_eq!(ran(&told.success().stderr), [""; 0]);
}

#[test]
fn c5_02_a_pushed_image_is_a_cache() {
    let Some(server) = Server::start() else { return };
    let (here, name) = (project(), server.name("app:1"));
    let push = ["build", "-q", "--cache-to", "type=inline", "--push", "-t", &name, "."];
    here.gantry(push).success();
    let there = project();
    let told = there.gantry(["build", "--progress=plain", "--cache-from", &name, "."]);
    assert_eq!(ran(&told.success().stderr), [""; 0]);
}
