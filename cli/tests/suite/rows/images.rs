//! Images in the store, as docker's users know them (A1, A3, A5).

use serde_json::Value;

use super::project;
use crate::sandbox::Sandbox;

const FRIDGE: &str = "FROM busybox\nRUN echo cool content > /tmp/cool-file\nENV A=b\n";

/// `busybox`, and `fridge` that is built upon it.
fn fridge() -> Sandbox {
    let sandbox = project(FRIDGE);
    sandbox.gantry(["build", "-q", "-t", "fridge", "."]).success();
    sandbox
}

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.gantry(["image", "inspect", name]).success().stdout;
    let mut list: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(list.len(), 1);
    list.remove(0)
}

fn lines(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    sandbox.gantry_words(args).success().stdout.lines().map(str::to_owned).collect()
}

fn listed(sandbox: &Sandbox, args: &[&str]) -> Vec<String> {
    let mut words = vec!["images", "--format", "{{.Repository}}:{{.Tag}}"];
    words.extend(args);
    lines(sandbox, &words)
}

#[test]
fn a1_05_names_and_registries() {
    let sandbox = Sandbox::new().with_busybox();
    for (target, shown) in [
        ("docker.io/library/ubuntu", "ubuntu:latest"),
        ("index.docker.io/radial/nginx:1", "radial/nginx:1"),
        ("localhost/a/b", "localhost/a/b:latest"),
        ("host:5000/a", "host:5000/a:latest"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
    ] {
        sandbox.gantry(["tag", "busybox", target]).success();
        assert_eq!(listed(&sandbox, &[shown]), [shown], "{target}");
    }
    let error = sandbox.gantry(["tag", "busybox", "radial/Nginx"]).code(1).stderr;
    assert!(error.contains("repository name (radial/Nginx) must be lowercase"), "{error}");
}

#[test]
fn a1_08_columns_filters_and_forms() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["tag", "busybox", "java:8"]).success();
    let table = lines(&sandbox, &["image", "ls"]);
    assert_eq!(
        table[0].split_whitespace().collect::<Vec<_>>(),
        ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    );
    assert_eq!(table.len(), 3);
    let header = lines(&sandbox, &["images", "jav"]);
    assert_eq!(header, ["REPOSITORY   TAG       IMAGE ID   CREATED   SIZE"]);
    assert_eq!(listed(&sandbox, &["java"]), ["java:8"]);
    assert_eq!(listed(&sandbox, &["java:7"]), [""; 0]);
    assert_eq!(listed(&sandbox, &["-f", "reference=ja*"]), ["java:8"]);
    assert_eq!(listed(&sandbox, &["-a", "--filter", "dangling=true"]), [""; 0]);
    assert_eq!(listed(&sandbox, &["--filter", "since=java:8"]), [""; 0]);
    assert_eq!(lines(&sandbox, &["images", "-q"]).len(), 1, "an image once");
    assert!(lines(&sandbox, &["images", "-q", "--no-trunc"])[0].starts_with("sha256:"));
    assert!(lines(&sandbox, &["images", "--digests"])[0].contains("DIGEST"));
    let json = lines(&sandbox, &["images", "--format", "json", "java"]);
    let row: Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!((&row["Repository"], &row["Tag"]), (&"java".into(), &"8".into()));
    let table =
        lines(&sandbox, &["images", "--format", "table {{.Tag}}\\t{{.Repository}}", "java"]);
    assert_eq!(table, ["TAG       REPOSITORY", "8         java"]);
    let error = sandbox.gantry(["images", "--filter", "bogus=1"]).code(1).stderr;
    assert!(error.contains("invalid filter 'bogus'"), "{error}");
}

#[test]
fn a1_09_and_10_one_id_many_tags() {
    let sandbox = Sandbox::new().with_busybox();
    let used = || {
        let mut rows = lines(&sandbox, &["system", "df", "--format", "{{.Type}} {{.Size}}"]);
        // The database is larger while its log is not written back.
        rows.retain(|row| !row.starts_with("Internal"));
        rows
    };
    let before = used();
    for tag in ["other", "other:1", "x/y:z"] {
        sandbox.gantry(["tag", "busybox", tag]).success();
    }
    let ids = lines(&sandbox, &["images", "--format", "{{.ID}}"]);
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 12), "{ids:?}");
    let id = inspect(&sandbox, "busybox")["Id"].as_str().unwrap().to_owned();
    assert_eq!(id[7..19], ids[0]);
    // It is the digest of the config, wherever that is.
    sandbox.gantry(["save", "--format", "oci-dir", "-o", "layout", "busybox"]).success();
    let config = sandbox.read(&format!("layout/blobs/{}", id.replace(':', "/")));
    assert_eq!(gantry_image::Digest::of(&config).to_string(), id);
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], inspect(&sandbox, "busybox")["RootFS"]["Layers"]);
    assert_eq!(used(), before, "nothing is copied");
}

#[test]
fn a1_11_data_and_metadata() {
    let text = "FROM busybox\nENV A=b\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\nWORKDIR /w\nUSER u\n\
         EXPOSE 80\nVOLUME /v\nLABEL l=1\nONBUILD RUN true\nSTOPSIGNAL SIGQUIT\n\
         HEALTHCHECK --interval=3s CMD true\nSHELL [\"/bin/sh\", \"-e\", \"-c\"]\n";
    let sandbox = project(text);
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    let image = inspect(&sandbox, "x");
    let config = &image["Config"];
    assert!(config["Env"].as_array().unwrap().contains(&"A=b".into()));
    for (field, value) in [
        ("Cmd", r#"["c"]"#),
        ("Entrypoint", r#"["e"]"#),
        ("WorkingDir", r#""/w""#),
        ("User", r#""u""#),
        ("ExposedPorts", r#"{"80/tcp":{}}"#),
        ("Volumes", r#"{"/v":{}}"#),
        ("Labels", r#"{"l":"1"}"#),
        ("OnBuild", r#"["RUN true"]"#),
        ("StopSignal", r#""SIGQUIT""#),
        ("Shell", r#"["/bin/sh","-e","-c"]"#),
    ] {
        assert_eq!(config[field].to_string(), value, "{field}");
    }
    assert_eq!(config["Healthcheck"]["Interval"], 3_000_000_000_u64);
    assert_eq!(image["RepoTags"].to_string(), r#"["x:latest"]"#);
    assert_eq!((&image["Os"], &image["RootFS"]["Type"]), (&"linux".into(), &"layers".into()));
    for field in ["Id", "Created", "Architecture", "Size", "RepoDigests"] {
        assert!(!image[field].is_null(), "{field}");
    }
}

#[test]
fn a1_12_and_13_layers_lie_upon_the_bases() {
    let sandbox = project("FROM busybox\nRUN echo 1 > /f; echo 1 > /g\nRUN echo 2 > /f; rm /g\n");
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    let layers = |name: &str| inspect(&sandbox, name)["RootFS"]["Layers"].clone();
    let (base, child) = (layers("busybox"), layers("x"));
    let (base, child) = (base.as_array().unwrap(), child.as_array().unwrap());
    assert_eq!((base.len(), child.len()), (1, 3));
    assert_eq!(child[..1], base[..]);
    let seen = sandbox.gantry(["run", "--rm", "x", "sh", "-c", "cat /f; ls /g"]);
    let seen = seen.code(1);
    assert_eq!(seen.stdout, "2\n");
}

#[test]
fn a1_18_a_tag_is_exact() {
    let sandbox = Sandbox::new().with_busybox();
    for command in [&["inspect", "busybox:14.04"][..], &["tag", "busybox:14.04", "x"]] {
        let error = sandbox.gantry_words(command).code(1).stderr;
        assert!(error.contains("No such") && error.contains("busybox:14.04"), "{error}");
    }
}

#[test]
fn a1_19_sizes_are_decimal_sums_of_layers() {
    let sandbox = project("FROM scratch\nCOPY a /\nCOPY b /\n");
    sandbox.write("a", vec![0; 1000]);
    sandbox.write("b", vec![1; 895]);
    sandbox.gantry(["build", "-q", "-t", "x", "."]).success();
    let size = |name: &str| lines(&sandbox, &["images", "--format", "{{.Size}}", name]);
    assert_eq!(size("x"), ["1.9kB"]);
    assert_eq!(inspect(&sandbox, "x")["Size"], 1895);
    let sizes = lines(&sandbox, &["history", "--format", "{{.Size}}", "x"]);
    assert_eq!(sizes, ["895B", "1kB"]);
}

#[test]
fn a3_09_and_10_history() {
    let sandbox = fridge();
    let table = lines(&sandbox, &["image", "history", "fridge"]);
    let heads: Vec<_> = table[0].split_whitespace().collect();
    assert_eq!(heads, ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]);
    let rows = lines(
        &sandbox,
        &[
            "history",
            "--no-trunc",
            "--format",
            "{{.ID}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}",
            "fridge",
        ],
    );
    let id = inspect(&sandbox, "fridge")["Id"].as_str().unwrap().to_owned();
    assert_eq!(rows[0], format!("{id}|ENV A=b|0B|buildkit.dockerfile.v0"));
    assert_eq!(
        rows[1],
        "<missing>|RUN /bin/sh -c echo cool content > /tmp/cool-file # buildkit|13B|\
         buildkit.dockerfile.v0"
    );
    assert_eq!(rows.len(), 3);
    let ids = lines(&sandbox, &["history", "-q", "fridge"]);
    assert_eq!(ids, [&id[7..19], "<missing>", "<missing>"]);
    let exact = lines(&sandbox, &["history", "-H=false", "--format", "{{.Size}}", "fridge"]);
    assert_eq!(exact[..2], ["0", "13"]);
}

/// What the classic builder wrote stays as it is, and what is built upon it is BuildKit's style.
#[test]
fn a3_10_histories_of_the_classic_builder() {
    let sandbox = Sandbox::new();
    let layer = [0; 1024];
    let diff_id = gantry_image::Digest::of(&layer).to_string();
    let created = "2014-07-16T00:00:00Z";
    let says = |text: &str, empty: bool| serde_json::json!({"created": created, "created_by": text, "empty_layer": empty});
    let config = serde_json::json!({
        "architecture": inspect(&Sandbox::new().with_busybox(), "busybox")["Architecture"],
        "os": "linux", "created": created, "config": {"Cmd": ["echo", "Hello World"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [
            says("/bin/sh -c apt-get update", false),
            says("/bin/sh -c #(nop) CMD [\"echo\" \"Hello World\"]", true)
        ]
    });
    let manifest = r#"[{"Config":"c.json","RepoTags":["classic:1"],"Layers":["l/layer.tar"]}]"#;
    let mut tar = tar::Builder::new(Vec::new());
    let config = config.to_string();
    for (path, bytes) in [
        ("manifest.json", manifest.as_bytes()),
        ("c.json", config.as_bytes()),
        ("l/layer.tar", &layer),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).unwrap();
    }
    sandbox.gantry_with_input(["load"], &tar.into_inner().unwrap()).success();
    let said = |name: &str| {
        lines(&sandbox, &["history", "--no-trunc", "--format", "{{.CreatedBy}}", name])
    };
    let classic = ["/bin/sh -c #(nop) CMD [\"echo\" \"Hello World\"]", "/bin/sh -c apt-get update"];
    assert_eq!(said("classic:1"), classic);
    sandbox.write("Dockerfile", "FROM classic:1\nENV A=b\n");
    sandbox.gantry(["build", "-q", "-t", "new", "."]).success();
    assert_eq!(said("new"), [&["ENV A=b"][..], &classic].concat());
}

#[test]
fn a3_11_and_12_a_saved_tar_is_two_things() {
    let sandbox = fridge();
    sandbox.gantry(["image", "save", "-o", "f.tar", "fridge", "busybox"]).success();
    let bytes = sandbox.read("f.tar");
    let mut tar = tar::Archive::new(&bytes[..]);
    let mut names = Vec::new();
    let mut documents = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".json") {
            documents.push(serde_json::from_reader::<_, Value>(&mut entry).unwrap());
        }
        names.push(name);
    }
    for name in ["oci-layout", "index.json", "manifest.json", "blobs/sha256/"] {
        assert!(names.iter().any(|other| other == name), "{name} is not in {names:?}");
    }
    let [index, manifest] = &documents[..] else { panic!("two documents") };
    let tags: Vec<_> = manifest.as_array().unwrap().iter().map(|m| &m["RepoTags"][0]).collect();
    assert_eq!(tags, ["fridge:latest", "busybox:latest"]);
    for entry in manifest.as_array().unwrap() {
        let listed = entry["Layers"].as_array().unwrap().iter().chain([&entry["Config"]]);
        for name in listed {
            assert!(names.iter().any(|other| other == name.as_str().unwrap()), "{name}");
        }
    }
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    // Three layers in two images; the one that both have is there once.
    assert_eq!(names.iter().filter(|name| name.len() > 20).count(), 2 + 2 * 2);
}

#[test]
fn a3_13_and_14_an_image_moves() {
    let here = fridge();
    let id = inspect(&here, "fridge")["Id"].clone();
    for (format, path) in
        [("docker-archive", "d.tar"), ("oci-archive", "o.tar"), ("oci-dir", "layout")]
    {
        here.gantry(["save", "--format", format, "-o", path, "fridge"]).success();
        let there = Sandbox::new();
        let from = here.project().join(path);
        let loaded = there.gantry(["image", "load", "-i", from.to_str().unwrap()]);
        assert_eq!(loaded.success().stdout, "Loaded image: fridge:latest\n", "{format}");
        assert_eq!(inspect(&there, "fridge")["Id"], id, "{format}");
        let run = there.gantry(["run", "--rm", "fridge", "cat", "/tmp/cool-file"]);
        assert_eq!(run.success().stdout, "cool content\n", "{format}");
    }
    let error = here.gantry(["save", "--format", "oci-dir", "fridge"]).code(125).stderr;
    assert!(error.contains("directory"), "{error}");
    let other = ["save", "--platform", "linux/s390x", "-o", "x.tar", "fridge"];
    let error = here.gantry(other).code(1).stderr;
    assert!(error.contains("does not provide the specified platform (linux/s390x)"), "{error}");
}

#[test]
fn a5_21_tags_move_silently() {
    let sandbox = fridge();
    let id = inspect(&sandbox, "fridge")["Id"].as_str().unwrap()[7..15].to_owned();
    let quiet = sandbox.gantry(["image", "tag", &id, "busybox:latest"]).success();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert_eq!(inspect(&sandbox, "busybox")["Id"], inspect(&sandbox, "fridge")["Id"]);
    assert_eq!(lines(&sandbox, &["images", "-q", "-f", "dangling=true"]).len(), 1);
}

#[test]
fn an_image_in_use_is_not_removed() {
    let sandbox = Sandbox::new().with_busybox();
    sandbox.gantry(["run", "--name", "user", "busybox", "true"]).success();
    let container = lines(&sandbox, &["ps", "-aq"]).remove(0);
    let image = lines(&sandbox, &["images", "-q"]).remove(0);
    assert_eq!(
        sandbox.gantry(["rmi", "busybox"]).code(1).stderr,
        format!(
            "ERROR: conflict: unable to remove repository reference \"busybox\" (must force) - \
             container {container} is using its referenced image {image}\n"
        )
    );
    assert_eq!(
        sandbox.gantry(["image", "rm", &image]).code(1).stderr,
        format!(
            "ERROR: conflict: unable to delete {image} (must be forced) - image is being used by \
             container {container}\n"
        )
    );
    let pruned = sandbox.gantry(["image", "prune", "-af"]).success().stdout;
    assert_eq!(pruned, "Total reclaimed space: 0B\n");
    sandbox.gantry(["rm", "user"]).success();
    sandbox.gantry(["rmi", "busybox"]).success();
}

#[test]
fn pruning_images_leaves_the_build_cache() {
    // The same base image the second time.
    let sandbox = Sandbox::with([("Dockerfile", FRIDGE)]).at_time(1_714_564_800).with_busybox();
    sandbox.gantry(["build", "-q", "-t", "fridge", "."]).success();
    sandbox.write("other.tar", crate::base::busybox_tar());
    sandbox.gantry(["import", "other.tar", "other"]).success();
    sandbox.gantry_with_input(["import", "-", "other"], &[0; 1024]).success();
    let error = sandbox.gantry(["image", "prune"]).code(1).stderr;
    assert!(
        error.starts_with(
            "WARNING! This will remove all dangling images. \
             Are you sure you want to continue? [y/N] \n"
        ),
        "{error}"
    );
    let pruned = sandbox.gantry(["image", "prune", "-f"]).success().stdout;
    let pruned: Vec<_> = pruned.lines().collect();
    assert_eq!((pruned.len(), pruned[0]), (4, "Deleted Images:"), "{pruned:?}");
    assert!(pruned[1].starts_with("deleted: sha256:"), "{pruned:?}");
    assert_eq!(listed(&sandbox, &[]).len(), 3);
    let kept = sandbox.gantry(["image", "prune", "-af", "--filter", "label=none"]).success();
    assert_eq!(kept.stdout, "Total reclaimed space: 0B\n");
    let pruned = sandbox.gantry(["image", "prune", "-af"]).success().stdout;
    assert!(pruned.contains("untagged: fridge:latest\n"), "{pruned}");
    assert_eq!(listed(&sandbox, &[]), [""; 0]);
    sandbox.gantry(["fsck"]).success();
    let sandbox = sandbox.with_busybox();
    let told = super::told(&sandbox, []);
    assert_eq!(super::cached(&told), 1, "{told}");
}
