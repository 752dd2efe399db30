//! Outputs (C4): their keys, and what is refused.

use std::io::Read as _;

use super::project;
use crate::sandbox::Sandbox;

fn output(sandbox: &Sandbox, flags: &[&str], code: i32) -> String {
    let mut words = vec!["build"];
    words.extend(flags);
    words.push(".");
    sandbox.gantry_words(&words).code(code).stderr
}

fn refused(flags: &[&str]) -> String {
    let shown = output(&project("FROM busybox\n"), flags, 1);
    shown.lines().next().unwrap_or_default().to_owned()
}

fn json(sandbox: &Sandbox, path: &str) -> serde_json::Value {
    serde_json::from_slice(&sandbox.read(path)).unwrap()
}

fn blob(sandbox: &Sandbox, layout: &str, digest: &serde_json::Value) -> Vec<u8> {
    sandbox.read(&format!("{layout}/blobs/{}", digest.as_str().unwrap().replace(':', "/")))
}

fn manifest(sandbox: &Sandbox, layout: &str) -> serde_json::Value {
    let index = json(sandbox, &format!("{layout}/index.json"));
    serde_json::from_slice(&blob(sandbox, layout, &index["manifests"][0]["digest"])).unwrap()
}

#[test]
fn c4_01_docker_archives() {
    let sandbox = project("FROM busybox\n");
    output(&sandbox, &["-o", "type=docker,dest=d.tar,\"name=a:1,b\""], 0);
    let shown = Sandbox::new()
        .gantry(["load", "-i", sandbox.project().join("d.tar").to_str().unwrap()])
        .success()
        .stdout;
    assert!(shown.contains("a:1") && shown.contains("b:latest"), "{shown}");
    assert_eq!(
        refused(&["--platform", "linux/amd64,linux/arm64", "-o", "type=docker"]),
        "ERROR: docker exporter does not currently support exporting manifest lists"
    );
}

#[test]
fn c4_02_oci_layouts() {
    let sandbox = project("FROM busybox\n");
    output(&sandbox, &["-o", "type=oci,dest=l,tar=false,name=a:1,annotation.k=v"], 0);
    assert_eq!(manifest(&sandbox, "l")["annotations"]["k"], "v");
    let entry = &json(&sandbox, "l/index.json")["manifests"][0];
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/a:1");
}

/// Layers in each compression hold the same tar, whoever reads them.
#[test]
fn c4_03_images_and_their_compression() {
    let sandbox = project("FROM busybox\nRUN seq 1 5000 > /f\n");
    for (name, keys, media_type) in [
        ("none", "", "application/vnd.oci.image.layer.v1.tar"),
        (
            "gzip",
            ",compression=gzip,compression-level=9",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ),
        ("zstd", ",compression=zstd", "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        output(&sandbox, &["-o", &format!("type=oci,dest={name},tar=false{keys}")], 0);
        let manifest = manifest(&sandbox, name);
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["mediaType"] == media_type), "{manifest}");
        let bytes = blob(&sandbox, name, &layers.last().unwrap()["digest"]);
        let mut tar = Vec::new();
        let (_, mut reader) = gantry_image::compress::reader(&*bytes).unwrap();
        reader.read_to_end(&mut tar).unwrap();
        let config: serde_json::Value =
            serde_json::from_slice(&blob(&sandbox, name, &manifest["config"]["digest"])).unwrap();
        let diff_id = config["rootfs"]["diff_ids"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(gantry_image::Digest::of(&tar).to_string(), diff_id.as_str().unwrap());
        let other = Sandbox::new();
        other.gantry(["load", "-i", sandbox.project().join(name).to_str().unwrap()]).success();
    }
    // The image in the store can be described by compressed layers too, and is saved all the same.
    output(&sandbox, &["-t", "z", "-o", "type=image,compression=zstd,force-compression=true"], 0);
    sandbox.gantry(["save", "-o", "s.tar", "z"]).success();
    assert_eq!(sandbox.gantry(["run", "--rm", "z", "tail", "-1", "/f"]).success().stdout, "5000\n");
    sandbox.gantry(["fsck"]).success();
    let docker = ["-o", "type=oci,dest=types,tar=false,oci-mediatypes=false,compression=gzip"];
    output(&sandbox, &docker, 0);
    let manifest = manifest(&sandbox, "types");
    assert_eq!(manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(
        manifest["layers"][0]["mediaType"],
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    );
}

#[test]
fn c4_03_other_keys_of_images() {
    let sandbox = project("FROM busybox\nRUN true\n");
    let keys = "type=image,name=n,unpack=true,name-canonical=true,oci-artifact=true,\
                attestation-inline=false,prefer-nondist-layers=true,compatibility-version=30,\
                push=false,registry.insecure=false";
    output(&sandbox, &["-o", keys], 0);
    let _ = sandbox.gantry(["inspect", "n"]).success();
    output(&sandbox, &["-o", "type=image,store=false,name=unstored"], 0);
    let _ = sandbox.gantry(["inspect", "unstored"]).code(1);
    output(&sandbox, &["--no-cache", "-o", "type=image,dangling-name-prefix=x/dangling"], 0);
    let names = sandbox.gantry(["images", "--digests", "x/dangling"]).success().stdout;
    assert!(names.contains("x/dangling") && names.contains("sha256:"), "{names}");
    // A name of its own is all that it gets, and `name-canonical` adds one with the digest.
    let keys = "type=image,name=own:1,dangling-name-prefix=x/unused,name-canonical=true";
    output(&sandbox, &["--no-cache", "-o", keys, "--metadata-file", "m"], 0);
    let listed = |name: &str| {
        let format = "{{.Repository}}:{{.Tag}} {{.Digest}}";
        let shown = sandbox.gantry(["images", "--digests", "--format", format, name]).success();
        shown.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let digest = json(&sandbox, "m")["containerimage.digest"].as_str().unwrap().to_owned();
    assert_eq!(listed("own"), [format!("own:1 {digest}")]);
    let canonical = format!("own@{digest}");
    let found = sandbox.gantry(["inspect", "-f", "{{json .RepoDigests}}", &canonical]);
    assert!(found.success().stdout.contains(&format!("\"{canonical}\"")));
    assert_eq!(listed("x/unused"), [""; 0]);
    output(&sandbox, &["-o", "type=image,name=old,source-date-epoch=1700000000"], 0);
    let created = sandbox.gantry(["inspect", "-f", "{{.Created}}", "old"]).success().stdout;
    assert_eq!(created, "2023-11-14T22:13:20Z\n");
    let error = |keys: &str| refused(&["-o", keys]);
    assert_eq!(error("type=image,compression=x"), "ERROR: unsupported compression type x");
}

/// BuildKit's older behaviours have Docker's media types unless OCI's are asked for (moby/buildkit#6824).
#[test]
fn c4_03_media_types_of_older_versions() {
    let sandbox = project("FROM busybox\nRUN true\n");
    let media_type = |keys: &str| {
        output(
            &sandbox,
            &["-t", "x", "-o", &format!("type=image{keys}"), "--metadata-file", "m"],
            0,
        );
        let about = json(&sandbox, "m");
        about["containerimage.descriptor"]["mediaType"].as_str().unwrap().to_owned()
    };
    let oci = "application/vnd.oci.image.manifest.v1+json";
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    for (keys, wanted) in [
        ("", oci),
        (",compatibility-version=30", oci),
        (",compatibility-version=20", docker),
        (",compatibility-version=20,oci-mediatypes=true", oci),
        (",oci-mediatypes=true,compatibility-version=10", oci),
        (",oci-mediatypes=false", docker),
        (",oci-mediatypes=false,compression=zstd", oci),
    ] {
        assert_eq!(media_type(keys), wanted, "{keys}");
    }
    output(&sandbox, &["-o", "type=oci,dest=old,tar=false,compatibility-version=20"], 0);
    assert_eq!(manifest(&sandbox, "old")["mediaType"], oci);
    let error = refused(&["-o", "type=image,compatibility-version=31"]);
    assert!(error.ends_with(": invalid compatibility-version=31"), "{error}");
}

/// Layers that are there keep their form unless it is forced upon them (E-28), and levels count.
#[test]
fn c4_03_and_e_28_forced_compression_and_levels() {
    let sandbox = project("FROM busybox\nRUN seq 1 50000 > /f\n");
    output(&sandbox, &["-o", "type=oci,dest=base,tar=false,name=base:1,compression=gzip"], 0);
    sandbox.write("Dockerfile", "FROM base:1\nRUN seq 1 60000 > /g\n");
    let there = Sandbox::new();
    let layout = sandbox.project().join("base");
    there.gantry(["load", "-i", layout.to_str().unwrap()]).success();
    there.write("Dockerfile", sandbox.read("Dockerfile"));
    let types = |keys: &str| {
        output(&there, &["-o", &format!("type=oci,dest=l,tar=false,compression=zstd{keys}")], 0);
        let layers = manifest(&there, "l")["layers"].as_array().unwrap().clone();
        fs_err::remove_dir_all(there.project().join("l")).unwrap();
        let suffix = |layer: &serde_json::Value| {
            layer["mediaType"].as_str().unwrap().rsplit('+').next().unwrap().to_owned()
        };
        layers.iter().map(suffix).collect::<Vec<_>>()
    };
    assert_eq!(types(""), ["gzip", "gzip", "zstd"]);
    assert_eq!(types(",force-compression=true"), ["zstd", "zstd", "zstd"]);
    // As with BuildKit, what there is of a kind is taken, so each level has a store of its own.
    for kind in ["gzip", "zstd"] {
        let size = |level: &str| {
            let sandbox = project("FROM busybox\nRUN seq 1 50000 > /f\n");
            let keys = format!("compression={kind},compression-level={level}");
            output(&sandbox, &["-o", &format!("type=oci,dest=l,tar=false,{keys}")], 0);
            manifest(&sandbox, "l")["layers"][1]["size"].as_u64().unwrap()
        };
        assert!(size("9") < size("0"), "{kind}");
    }
}

#[test]
fn c4_04_registries_need_a_name() {
    assert_eq!(refused(&["-o", "type=registry"]), "ERROR: tag is needed when pushing to registry");
    assert_eq!(
        refused(&["-o", "type=image,push=true"]),
        "ERROR: tag is needed when pushing to registry"
    );
}

#[test]
fn c4_05_directories() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH/f\nCOPY f /f\n"),
        ("f", "x"),
        ("out/old", "old"),
        ("out/f/in-the-way", "old"),
    ]);
    let both = ["--platform", "linux/amd64,linux/arm64"];
    output(&sandbox, &[&both[..], &["-o", "split"]].concat(), 0);
    assert_eq!(sandbox.read("split/linux_amd64/amd64/f"), b"x");
    assert_eq!(sandbox.read("split/linux_arm64/f"), b"x");
    let error = output(
        &sandbox,
        &[&both[..], &["-o", "type=local,dest=o,platform-split=false"]].concat(),
        1,
    );
    let wanted =
        "cannot overwrite f from linux/amd64 with linux/arm64 when split option is disabled";
    assert!(error.contains(wanted), "{error}");
    output(
        &sandbox,
        &["--platform=linux/amd64", "-o", "type=local,dest=one,platform-split=true"],
        0,
    );
    assert_eq!(sandbox.read("one/linux_amd64/f"), b"x");
    output(&sandbox, &["-o", "type=local,dest=out,mode=delete"], 0);
    assert!(!sandbox.project().join("out/old").exists());
    assert_eq!(sandbox.read("out/f"), b"x");
    // Only below the current directory, unless it is allowed.
    sandbox.write("../elsewhere/old", "old");
    let elsewhere = "type=local,dest=../elsewhere,mode=delete";
    for dest in
        [elsewhere, "type=local,dest=.,mode=delete", "type=local,dest=out/../..,mode=delete"]
    {
        let error = output(&sandbox, &["-o", dest], 1);
        assert!(error.contains("--allow=buildx.local.delete"), "{error}");
    }
    assert_eq!(sandbox.read("../elsewhere/old"), b"old");
    output(&sandbox, &["--allow=buildx.local.delete", "-o", elsewhere], 0);
    assert!(!sandbox.project().join("../elsewhere/old").exists());
}

#[test]
fn c4_06_tars() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY f /d/\n"), ("f", "x")]);
    let names = |path: &str| -> Vec<String> {
        let bytes = sandbox.read(path);
        let mut archive = tar::Archive::new(&*bytes);
        let entries = archive.entries().unwrap();
        entries.map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned()).collect()
    };
    output(&sandbox, &["-o", "type=tar,dest=a.tar"], 0);
    assert!(names("a.tar").contains(&"d/f".to_owned()), "{:?}", names("a.tar"));
    output(&sandbox, &["--platform=linux/amd64,linux/arm64", "-o", "type=tar,dest=b.tar"], 0);
    let both = names("b.tar");
    assert!(both.contains(&"linux_arm64/d/f".to_owned()), "{both:?}");
    assert!(both.contains(&"linux_amd64/d/f".to_owned()), "{both:?}");
}

#[test]
fn c4_07_nothing_but_the_cache() {
    let sandbox = project("FROM busybox\nRUN true\n");
    for kind in ["cacheonly", "none"] {
        output(&sandbox, &["-t", "x", "-o", &format!("type={kind}")], 0);
    }
    let _ = sandbox.gantry(["inspect", "x"]).code(1);
    assert!(output(&sandbox, &[], 0).contains("RUN true\n#4 CACHED"));
}

#[test]
fn c4_08_and_09_outputs_that_cannot_be() {
    assert_eq!(
        refused(&["-o", "-", "-o", "type=oci,dest=-"]),
        "ERROR: multiple outputs configured to write to stdout"
    );
    assert_eq!(refused(&["-o", "dest=x"]), "ERROR: type is required for output");
    assert_eq!(refused(&["-o", "type=local"]), "ERROR: dest is required for local exporter");
    assert_eq!(refused(&["-o", "Dockerfile"]), "ERROR: destination directory Dockerfile is a file");
    assert_eq!(refused(&["-o", "type=docker,dest=."]), "ERROR: destination file . is a directory");
}
