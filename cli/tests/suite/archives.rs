//! Images that travel: save, load, and what other archives look like.

use std::process::Stdio;

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

/// An image of three layers that are large enough for threads and the kernel's copying, one of them
/// mostly holes.
fn large() -> Sandbox {
    let text = "FROM busybox\nCOPY one /one\nCOPY two /two\nCOPY holes /holes\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    for (name, seed) in [("one", 1_u32), ("two", 7)] {
        let bytes =
            (0..3_000_000_u32).map(|n| ((n + seed).wrapping_mul(2_654_435_761) >> 24) as u8);
        sandbox.write(name, bytes.collect::<Vec<u8>>());
    }
    let holes = fs_err::File::create(sandbox.project().join("holes")).unwrap();
    holes.set_len(50_000_000).unwrap();
    sandbox.write(".dockerignore", "*.tar*\n");
    sandbox.gantry(["build", "-q", "-t", "large", "."]).success();
    sandbox
}

/// The same archive with its members the other way round.
fn reversed(archive: &[u8]) -> Vec<u8> {
    let mut archive = tar::Archive::new(archive);
    let mut members = Vec::new();
    for member in archive.entries().unwrap() {
        let mut member = member.unwrap();
        let mut data = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut data).unwrap();
        members.push((member.header().clone(), data));
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (header, data) in members.iter().rev() {
        tar.append(header, &data[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn large_layers_travel_by_every_way() {
    let here = large();
    here.gantry(["save", "-o", "l.tar", "large"]).success();
    let saved = here.read("l.tar");
    let files = |sandbox: &Sandbox| {
        let show = "sha256sum one two holes";
        sandbox.gantry(["run", "--rm", "large", "sh", "-c", show]).success().stdout
    };
    // Into a file that the shell has opened, at its end, and into a pipe.
    let script = "\"$0\" save large > f.tar && echo begin > a.tar && \"$0\" save large >> a.tar && \
                  \"$0\" save large | cat > p.tar";
    let command = here.command([]);
    let mut shell = here.other("sh".as_ref(), &["-ec", script]);
    let run = here.run(shell.arg(command.get_program()));
    run.success();
    assert!(here.read("f.tar") == saved && here.read("p.tar") == saved);
    assert!(here.read("a.tar") == [b"begin\n", &saved[..]].concat());
    let (whole, wanted) = (files(&here), id(&here, "large"));
    here.write("r.tar", reversed(&saved));
    here.gantry(["save", "--format", "oci-dir", "-o", "layout", "large"]).success();
    let project = here.project();
    let path = |name: &str| project.join(name).into_os_string().into_string().unwrap();
    for (from, stdin) in [
        (path("l.tar"), None),
        (path("r.tar"), None),
        (path("layout"), None),
        ("/dev/stdin".to_owned(), Some(saved.clone())),
        ("/dev/stdin".to_owned(), Some(here.read("r.tar"))),
    ] {
        let there = Sandbox::new();
        let run = there.gantry_with_input(["load", "-i", &from], &stdin.unwrap_or_default());
        assert_eq!(run.success().stdout, "Loaded image: large:latest\n", "{from}");
        assert_eq!(id(&there, "large"), wanted, "{from}");
        there.gantry(["fsck", "--deep"]).success();
        assert_eq!(files(&there), whole, "{from}");
        there.gantry(["save", "-o", "again.tar", "large"]).success();
        assert!(there.read("again.tar") == saved, "{from}");
    }
}

#[test]
fn a_large_layer_that_lies_is_refused() {
    let here = large();
    here.gantry(["save", "-o", "l.tar", "large"]).success();
    let whole = here.read("l.tar");
    let one = here.read("one");
    let at = whole.windows(64).position(|window| window == &one[2_000_000..2_000_064]).unwrap();
    let mut damaged = whole.clone();
    damaged[at] ^= 1;
    let there = Sandbox::new();
    for (name, bytes) in [("damaged.tar", &damaged[..]), ("cut.tar", &whole[..at])] {
        there.write(name, bytes);
        for run in [there.gantry(["load", "-i", name]), there.gantry_with_input(["load"], bytes)] {
            let error = run.code(1).stderr;
            assert!(error.starts_with("ERROR: "), "{name}: {error}");
        }
        assert_eq!(there.gantry(["images", "-q"]).success().stdout, "", "{name}");
        there.gantry(["fsck", "--deep"]).success();
        let work = fs_err::read_dir(there.store().join("work")).unwrap().count();
        assert_eq!(work, 0, "{name}");
    }
    there.gantry_with_input(["load"], &whole).success();
    assert_eq!(id(&there, "large"), id(&here, "large"));
}

#[test]
fn what_rotted_in_the_store_is_not_saved() {
    let here = large();
    here.gantry(["save", "-o", "l.tar", "large"]).success();
    // Whoever loads it: the layers are tars then.
    let there = Sandbox::new();
    there.gantry_with_input(["load"], &here.read("l.tar")).success();
    let mut rotten = 0;
    for layer in fs_err::read_dir(there.store().join("layers")).unwrap() {
        let tar = layer.unwrap().path().join("tar");
        if fs_err::metadata(&tar).is_ok_and(|found| (2_900_000..4_000_000).contains(&found.len())) {
            let mut bytes = fs_err::read(&tar).unwrap();
            bytes[1_500_000] ^= 1;
            fs_err::write(&tar, bytes).unwrap();
            rotten += 1;
        }
    }
    assert_eq!(rotten, 2);
    let error = there.gantry(["save", "-o", "l.tar", "large"]).code(1).stderr;
    assert!(error.contains("is corrupt: its digest is"), "{error}");
    there.gantry(["save", "--format", "oci-dir", "-o", "layout", "large"]).code(1);
    let left: Vec<_> = fs_err::read_dir(there.project()).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| entry.file_name() == "layout"), "{left:?}");
    assert!(!there.project().join("layout/index.json").exists());
}

#[test]
fn one_archive_is_loaded_twice_at_once() {
    let here = large();
    here.gantry(["save", "-o", "l.tar", "large"]).success();
    let there = Sandbox::new();
    there.write("l.tar", here.read("l.tar"));
    let words = ["load", "-q", "-i", "l.tar"];
    let start = |_| there.command(words).stdout(Stdio::piped()).spawn().unwrap();
    for child in (0..2).map(start).collect::<Vec<_>>() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout == b"Loaded image: large:latest\n");
    }
    assert_eq!(id(&there, "large"), id(&here, "large"));
    there.gantry(["fsck", "--deep"]).success();
}
