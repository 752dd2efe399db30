//! `--output`: directories, tars, archives, several at once.

use std::os::unix::fs::MetadataExt as _;

use crate::sandbox::Sandbox;

fn project() -> Sandbox {
    let text =
        "FROM busybox AS b\nRUN echo made > /made\nFROM scratch\nCOPY --from=b /made /out/made\n";
    Sandbox::with([("Dockerfile", text)]).with_busybox()
}

fn members(tar: &[u8]) -> Vec<String> {
    tar::Archive::new(tar)
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_directory_owned_by_the_caller() {
    let sandbox = project();
    sandbox.gantry(["build", "-o", "dist", "."]).success();
    assert_eq!(sandbox.read("dist/out/made"), b"made\n");
    let metadata = fs_err::metadata(sandbox.project().join("dist/out/made")).unwrap();
    assert_eq!(metadata.uid(), fs_err::metadata(sandbox.project()).unwrap().uid());
}

#[test]
fn a_tar_of_the_root_filesystem() {
    let sandbox = project();
    sandbox.gantry(["build", "-o", "type=tar,dest=root.tar", "."]).success();
    assert!(members(&sandbox.read("root.tar")).contains(&"out/made".to_owned()));
    let mut command = sandbox.command(["build", "--progress=none", "-o", "-", "."]);
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, sandbox.read("root.tar"));
}

#[test]
fn archives_and_the_store_at_once() {
    let sandbox = project();
    sandbox
        .gantry([
            "build",
            "-t",
            "made",
            "-o",
            "type=docker,dest=d.tar",
            "-o",
            "type=oci,dest=o.tar",
            "-o",
            "type=oci,tar=false,dest=layout",
            "-o",
            "type=image",
            ".",
        ])
        .success();
    let docker = members(&sandbox.read("d.tar"));
    for name in ["manifest.json", "index.json", "oci-layout"] {
        assert!(docker.contains(&name.to_owned()), "{docker:?}");
    }
    assert!(members(&sandbox.read("o.tar")).contains(&"index.json".to_owned()));
    assert!(sandbox.project().join("layout/index.json").is_file());
    let id = sandbox.gantry(["inspect", "-f", "{{.Id}}", "made"]).success().stdout;
    for archive in ["d.tar", "o.tar", "layout"] {
        let there = Sandbox::new();
        let path = sandbox.project().join(archive);
        let loaded = there.gantry(["load", "-i", path.to_str().unwrap()]).success().stdout;
        assert_eq!(loaded, "Loaded image: made:latest\n", "{archive}");
        let loaded = there.gantry(["inspect", "-f", "{{.Id}}", "made"]).success().stdout;
        assert_eq!(loaded, id, "{archive}");
    }
}

#[test]
fn outputs_that_cannot_be() {
    let sandbox = project();
    let error = |flags: &[&str]| {
        let output = sandbox.command(["build"]).args(flags).arg(".").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(error(&["-o", "type=local"]), "ERROR: dest is required for local exporter");
    assert_eq!(
        error(&["-o", "type=local,dest=Dockerfile"]),
        "ERROR: destination directory Dockerfile is a file"
    );
    assert_eq!(error(&["-o", "type=tar,dest=."]), "ERROR: destination file . is a directory");
    assert_eq!(
        error(&["-o", "-", "-o", "type=docker,dest=-"]),
        "ERROR: multiple outputs configured to write to stdout"
    );
    assert_eq!(
        error(&["--iidfile", "id", "-o", "out"]),
        "ERROR: local and tar exporters are incompatible with image ID file"
    );
    assert_eq!(error(&["-o", "dest=x"]), "ERROR: type is required for output");
}
