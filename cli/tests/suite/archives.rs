//! Images that travel: save, load, and what other archives look like.

use crate::sandbox::Sandbox;

fn fridge() -> Sandbox {
    let text = "FROM busybox\nRUN echo cool content > /tmp/cool-file\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "-q", "-t", "fridge", "."]).success();
    sandbox
}

fn id(sandbox: &Sandbox, name: &str) -> String {
    sandbox.gantry(["inspect", "-f", "{{.Id}}", name]).success().stdout
}

#[test]
fn an_image_moves_to_another_store() {
    let here = fridge();
    here.gantry(["save", "-o", "f.tar", "fridge"]).success();
    let there = Sandbox::new();
    there.write("f.tar", here.read("f.tar"));
    let loaded = there.gantry(["load", "-i", "f.tar"]).success().stdout;
    assert_eq!(loaded, "Loaded image: fridge:latest\n");
    assert_eq!(id(&there, "fridge"), id(&here, "fridge"));
    let run = there.gantry(["run", "--rm", "fridge", "cat", "/tmp/cool-file"]);
    assert_eq!(run.success().stdout, "cool content\n");
}

#[test]
fn compressed_archives_are_loaded_from_stdin() {
    let here = fridge();
    let saved = here.gantry(["save", "-o", "f.tar", "fridge"]);
    saved.success();
    for tool in ["gzip", "xz", "zstd"] {
        let path = here.project().join("f.tar");
        let Ok(output) = std::process::Command::new(tool).arg("-c").arg(path).output() else {
            crate::eprintln_skip(tool);
            continue;
        };
        let there = Sandbox::new();
        let loaded = there.gantry_with_input(["load"], &output.stdout).success().stdout;
        assert_eq!(loaded, "Loaded image: fridge:latest\n", "{tool}");
        assert_eq!(id(&there, "fridge"), id(&here, "fridge"), "{tool}");
    }
}

#[test]
fn several_names_share_one_archive() {
    let sandbox = fridge();
    sandbox.gantry(["tag", "fridge", "freezer:1"]).success();
    sandbox.gantry(["tag", "fridge", "freezer:2"]).success();
    sandbox.gantry(["save", "-o", "f.tar", "fridge", "freezer", "busybox"]).success();
    let there = Sandbox::new();
    there.write("f.tar", sandbox.read("f.tar"));
    let mut loaded: Vec<String> =
        there.gantry(["load", "-i", "f.tar"]).success().stdout.lines().map(str::to_owned).collect();
    loaded.sort_unstable();
    assert_eq!(
        loaded,
        [
            "Loaded image: busybox:latest",
            "Loaded image: freezer:1",
            "Loaded image: freezer:2",
            "Loaded image: fridge:latest",
        ]
    );
}

#[test]
fn an_image_saved_by_its_id_has_no_name() {
    let sandbox = fridge();
    let id = id(&sandbox, "fridge");
    sandbox.gantry(["save", "-o", "f.tar", id.trim()]).success();
    let there = Sandbox::new();
    there.write("f.tar", sandbox.read("f.tar"));
    let loaded = there.gantry(["load", "-i", "f.tar"]).success().stdout;
    assert_eq!(loaded, format!("Loaded image ID: {id}"));
}

#[test]
fn a_damaged_archive_is_refused_whole() {
    let sandbox = fridge();
    sandbox.gantry(["save", "-o", "f.tar", "fridge"]).success();
    let whole = sandbox.read("f.tar");
    let there = Sandbox::new();
    // In the text of the one layer that holds it.
    let at = whole.windows(12).position(|window| window == b"cool content").unwrap();
    let mut damaged = whole.clone();
    damaged[at] = b'p';
    for (name, bytes) in [("cut", &whole[..whole.len() / 2]), ("damaged", &damaged), ("empty", &[])]
    {
        let run = there.gantry_with_input(["load"], bytes);
        let error = run.code(1).stderr;
        assert!(error.starts_with("ERROR: "), "{name}: {error}");
        assert_eq!(there.gantry(["images", "-q"]).success().stdout, "", "{name}");
    }
    // What is good still is.
    there.gantry_with_input(["load"], &whole).success();
}

#[test]
fn a_missing_file_is_named() {
    let error = Sandbox::new().gantry(["load", "-i", "nothing.tar"]).code(1).stderr;
    assert!(error.contains("`nothing.tar`"), "{error}");
}

#[test]
fn save_makes_whole_files_only() {
    let sandbox = fridge();
    let _ = sandbox.gantry(["save", "-o", "f.tar", "nothing"]).code(1);
    let names: Vec<_> = fs_err::read_dir(sandbox.project()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "the Dockerfile alone: {names:?}");
}

/// Where a layer can be mounted as it came, nothing unpacks it: not running, not building on it.
#[test]
fn what_is_loaded_is_not_unpacked() {
    let text = "FROM busybox\nCOPY f /d/f\nCOPY g /d/g\n";
    let here = Sandbox::with([("Dockerfile", text), ("f", "one\n"), ("g", "two\n")]).with_busybox();
    here.gantry(["build", "-t", "app", "-o", "type=oci,dest=oci.tar,name=app", "."]).success();
    here.gantry(["build", "-t", "app", "."]).success();
    here.gantry(["save", "-o", "docker.tar", "app"]).success();
    for archive in ["docker.tar", "oci.tar"] {
        let text = "FROM app\nRUN cat /d/f /d/g > /both && rm /d/f\nCOPY --from=app /d/f /again\n\
                    RUN chmod 700 /d && echo more >> /d/g\n";
        let there = Sandbox::with([("Dockerfile", text)]);
        there.gantry_with_input(["load"], &here.read(archive)).success();
        let run = there.gantry(["run", "--rm", "app", "cat", "/d/f"]).success();
        assert_eq!(run.stdout, "one\n", "{archive}");
        if let Some(unpacked) = there.unpacked() {
            assert_eq!(unpacked, 0, "{archive}");
        }
        there.gantry(["build", "-t", "built", "."]).success();
        let show = "cat /both /again /d/g; ls /d; stat -c %a /d";
        let run = there.gantry(["run", "--rm", "built", "sh", "-c", show]).success();
        assert_eq!(run.stdout, "one\ntwo\none\ntwo\nmore\ng\n700\n", "{archive}");
        if let Some(unpacked) = there.unpacked() {
            assert_eq!(unpacked, 2, "{archive}: what steps left is a tree as they left it");
        }
        there.gantry(["fsck", "--deep"]).success();
    }
}
