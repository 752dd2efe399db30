//! Outputs: archives, directories, tars; whole or not at all.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gantry_executor::{Dest, ImageOptions, Output, Snapshotter};

use crate::common::{Sandbox, explain};

const DOCKERFILE: &str =
    "FROM busybox\nRUN echo x > /x && chown app:staff /x && ln -s x /l\nCOPY f /f\n";

fn tar_of(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        members.insert(name, content);
    }
    members
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs_err::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_docker_archive_is_an_oci_layout_too() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "file")]);
    let out = sandbox.dir.path().join("out");
    fs_err::create_dir(&out).unwrap();
    let mut request = sandbox.request(DOCKERFILE);
    request.tags = vec!["app:1".parse().unwrap()];
    request.outputs = vec![Output::Docker {
        dest: Dest::File(out.join("app.tar")),
        names: Vec::new(),
        options: ImageOptions::default(),
    }];
    let built = sandbox.run(request);
    assert_eq!(built.outcome.exported, [out.join("app.tar")]);
    assert_eq!(names_in(&out), ["app.tar"]);
    let members = tar_of(&fs_err::read(out.join("app.tar")).unwrap());
    let json =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&members[name]).unwrap() };
    let manifest = &json("manifest.json")[0];
    assert_eq!(manifest["RepoTags"][0], "app:1");
    assert_eq!(manifest["Layers"].as_array().unwrap().len(), 3);
    assert!(members.contains_key(manifest["Config"].as_str().unwrap()));
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let digest = json("index.json")["manifests"][0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest, built.outcome.image.as_ref().unwrap().manifest.to_string());
    // A name is given in the archive; the store's images keep theirs.
    assert!(sandbox.store.images().resolve("app:1").is_err());
    let layer = manifest["Layers"][2].as_str().unwrap();
    assert_eq!(tar_of(&members[layer])["f"], b"file");
}

#[test]
fn an_oci_layout_is_a_directory_or_a_tar_and_can_be_built_upon() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "file")]);
    let out = sandbox.dir.path().join("layout");
    let mut request = sandbox.request(DOCKERFILE);
    let names = vec!["app:1".parse().unwrap()];
    request.outputs = vec![
        Output::Oci {
            dest: Dest::Directory(out.clone()),
            tar: false,
            names: names.clone(),
            options: ImageOptions::default(),
        },
        Output::Oci {
            dest: Dest::File(sandbox.dir.path().join("o.tar")),
            tar: true,
            names,
            options: ImageOptions::default(),
        },
    ];
    let built = sandbox.run(request);
    assert_eq!(names_in(&out), ["blobs", "index.json", "oci-layout"]);
    let members = tar_of(&fs_err::read(sandbox.dir.path().join("o.tar")).unwrap());
    assert!(members.contains_key("index.json"));
    // Another store knows nothing, and takes the image from the layout.
    let other = Sandbox::new();
    let mut request = other.request("FROM base\nRUN cat /x /f > /seen\n");
    request.named_contexts.insert(
        "base".into(),
        gantry_executor::NamedContext::OciLayout(format!("{}:1", out.display())),
    );
    let upon = other.run(request);
    assert_eq!(upon.text("seen"), "x\nfile");
    assert_eq!(upon.config().rootfs.diff_ids[..3], built.config().rootfs.diff_ids);
    other.assert_clean();
}

#[test]
fn a_directory_gets_the_files_as_the_callers_own() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "file")]);
    let out = sandbox.dir.path().join("out/deep");
    fs_err::create_dir_all(&out).unwrap();
    let trap = sandbox.dir.path().join("trap");
    fs_err::write(&trap, "untouched").unwrap();
    std::os::unix::fs::symlink(&trap, out.join("x")).unwrap();
    let mut request =
        sandbox.request(&format!("{DOCKERFILE}FROM scratch\nCOPY --from=0 /x /l /f /\n"));
    request.outputs = vec![Output::Local {
        dest: out.clone(),
        split: None,
        delete: false,
        prefix: String::new(),
    }];
    let built = sandbox.run(request);
    assert!(built.outcome.image.is_none());
    assert_eq!(names_in(&out), ["f", "l", "x"]);
    // A link that was there is replaced, not followed.
    assert_eq!(fs_err::read_to_string(&trap).unwrap(), "untouched");
    assert_eq!(fs_err::read_to_string(out.join("x")).unwrap(), "x\n");
    assert_eq!(fs_err::metadata(out.join("x")).unwrap().uid(), 0);
}

#[test]
fn a_tar_of_the_root_filesystem_keeps_owners() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "file")]);
    let shared = Arc::new(Mutex::new(Vec::new()));
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut request = sandbox.request(&format!("{DOCKERFILE}RUN rm /f\n"));
    request.outputs = vec![Output::Tar {
        dest: Dest::Writer(Box::new(Shared(shared.clone()))),
        prefix: String::new(),
    }];
    sandbox.run(request);
    let bytes = shared.lock().unwrap().clone();
    let mut owner = None;
    for entry in tar::Archive::new(&bytes[..]).entries().unwrap() {
        let entry = entry.unwrap();
        if entry.path().unwrap() == Path::new("x") {
            owner = Some((entry.header().uid().unwrap(), entry.header().gid().unwrap()));
        }
    }
    assert_eq!(owner, Some((1000, 50)));
    let members = tar_of(&bytes);
    assert!(members.contains_key("bin/busybox") && !members.contains_key("f"));
    assert!(!members.keys().any(|name| name.contains(".wh.")));
}

#[test]
fn wrong_destinations_are_told_before_anything_runs() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let file = sandbox.context().join("f");
    let refuse = |output: Vec<Output>| {
        let mut request = sandbox.request("FROM busybox\nRUN false\n");
        request.outputs = output;
        explain(&sandbox.fail_request(request))
    };
    let text = refuse(vec![Output::Local {
        dest: file.clone(),
        split: None,
        delete: false,
        prefix: String::new(),
    }]);
    assert!(
        text.contains(&format!("destination directory {} is a file", file.display())),
        "{text}"
    );
    let dir = sandbox.context();
    let text = refuse(vec![Output::Tar { dest: Dest::File(dir.clone()), prefix: String::new() }]);
    assert!(text.contains(&format!("destination file {} is a directory", dir.display())), "{text}");
    let stdout =
        || Output::Tar { dest: Dest::Writer(Box::new(std::io::sink())), prefix: String::new() };
    let text = refuse(vec![stdout(), stdout()]);
    assert!(text.contains("multiple outputs configured to write to stdout"), "{text}");
}

#[test]
fn an_output_that_fails_leaves_no_half_of_itself() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let out = sandbox.dir.path().join("out");
    fs_err::create_dir(&out).unwrap();
    let mut request = sandbox.request("FROM busybox\nCOPY f /f\n");
    request.outputs =
        vec![Output::Tar { dest: Dest::File(out.join("a.tar")), prefix: String::new() }];
    sandbox.run(request);
    // A layer that lost a file can't be read.
    let image = sandbox.build("FROM busybox\nCOPY f /f\n").image();
    let layer = sandbox.store.layers().require(image.layers.last().unwrap()).unwrap();
    match layer.tree() {
        Some(tree) => fs_err::remove_file(tree.join("f")).unwrap(),
        None => fs_err::remove_file(layer.tar().unwrap()).unwrap(),
    }
    let mut request = sandbox.request("FROM busybox\nCOPY f /f\n");
    request.outputs =
        vec![Output::Tar { dest: Dest::File(out.join("b.tar")), prefix: String::new() }];
    sandbox.fail_request(request);
    assert_eq!(names_in(&out), ["a.tar"]);
}

#[test]
fn pinned_time_gives_one_image_in_every_store() {
    needs_root!();
    let build = |snapshotter: Snapshotter| {
        let sandbox = Sandbox::with([("d/f", "x"), ("d/g", "y")]);
        let mut request = sandbox.request(
            "FROM busybox\nRUN mkdir -p /a/b && echo x > /a/b/c && rm /etc/group\nCOPY d /d\nWORKDIR /w\n\
             COPY <<x /h\nhere\nx\n",
        );
        request.source_date_epoch = Some(1_700_000_000);
        request.snapshotter = snapshotter;
        let built = sandbox.run(request);
        let config = built.config();
        assert_eq!(config.created.as_ref().unwrap().as_str(), "2023-11-14T22:13:20Z");
        built.outcome.image.unwrap()
    };
    let (one, two) = (build(Snapshotter::Auto), build(Snapshotter::Auto));
    assert_eq!((one.id, one.manifest), (two.id, two.manifest));
    assert_eq!(build(Snapshotter::Trees).manifest, one.manifest);
    assert_eq!(build(Snapshotter::Copying).manifest, one.manifest);
}
