//! gantry started as `docker`, `podman`, `buildah` and `buildctl`: their words for what it offers.

use std::path::PathBuf;

use crate::sandbox::{Run, Sandbox};

/// gantry under another name.
fn link(sandbox: &Sandbox, name: &str) -> PathBuf {
    let gantry = fs_err::canonicalize(sandbox.command([]).get_program()).unwrap();
    let directory = sandbox.project().with_file_name("bin");
    fs_err::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    if !path.exists() {
        fs_err::os::unix::fs::symlink(gantry, &path).unwrap();
    }
    path
}

fn called(sandbox: &Sandbox, line: &str) -> Run {
    let mut words = line.split(' ');
    let program = link(sandbox, words.next().unwrap());
    sandbox.run(&mut sandbox.other(&program, &words.collect::<Vec<_>>()))
}

#[test]
fn docker_podman_and_buildah_build_and_list() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nCOPY a /from-dockerfile\n"),
        ("Containerfile", "FROM scratch\nCOPY a /from-containerfile\n"),
        ("a", "hello"),
    ])
    .at_time(1);
    let build = |line: &str| called(&sandbox, line).success().stdout;
    let docker = build("docker --host tcp://nowhere:1 build -q -t by-docker .");
    let podman = build("podman --log-level info build -q -t by-podman .");
    assert_ne!(docker, podman, "podman takes the Containerfile first");
    // Podman and buildah need no context, and call it something else.
    assert_eq!(build("podman build -q"), podman);
    assert_eq!(build("buildah bud -q -t by-buildah"), podman);
    assert_eq!(build("buildah build-using-dockerfile -q -f Dockerfile ."), docker);
    for program in ["docker", "podman", "buildah"] {
        let listed = called(&sandbox, &format!("{program} images")).success().stdout;
        for name in ["by-docker", "by-podman", "by-buildah"] {
            assert!(listed.contains(name), "{program}: {listed}");
        }
    }
    let noted = called(&sandbox, "buildah --storage-driver vfs images").success();
    assert_eq!(noted.stderr, "WARNING: --storage-driver has no effect and is ignored\n");
    let store = sandbox.store();
    let elsewhere = format!("podman --root {} images -q", store.with_file_name("other").display());
    assert_eq!(called(&sandbox, &elsewhere).success().stdout, "");
}

#[test]
fn buildctl_builds_dockerfiles() {
    let sandbox = Sandbox::with([
        ("src/Dockerfile", "FROM scratch AS one\nCOPY a /a\nFROM scratch\nARG B\nLABEL b=$B\n"),
        ("src/a", "hello"),
        ("files/Other", "FROM scratch\nCOPY a /other\n"),
    ]);
    let solve =
        "buildctl --addr unix:///nowhere build --frontend dockerfile.v0 --local context=src";
    called(&sandbox, &format!("{solve} --local dockerfile=src --opt target=one --output out"))
        .success();
    assert_eq!(sandbox.read("out/a"), b"hello");
    let other = "--local dockerfile=files --opt filename=Other --output type=local,dest=out2";
    called(&sandbox, &format!("{solve} {other}")).success();
    assert_eq!(sandbox.read("out2/other"), b"hello");
    let image = "--opt build-arg:B=x --output type=image,name=built,push=false";
    called(&sandbox, &format!("{solve} {image}")).success();
    let inspected = sandbox.gantry(["inspect", "built"]).success().stdout;
    assert!(inspected.contains("\"b\": \"x\""), "{inspected}");
    // An archive without a place goes to stdout.
    let tar = called(&sandbox, &format!("{solve} --opt target=one --output type=tar")).success();
    assert!(tar.stdout.contains("hello"));
}

#[test]
fn what_is_not_offered_says_so() {
    let sandbox = Sandbox::new();
    for (line, error) in [
        ("buildah from scratch", "gantry does not offer `buildah from`"),
        ("podman pod ls", "gantry does not offer `podman pod`"),
        ("buildctl debug workers", "gantry does not offer `buildctl debug`"),
        ("buildctl build --frontend gateway.v0", "gantry does not offer `gateway.v0`"),
        ("docker-buildx dial-stdio", "gantry does not offer `docker buildx dial-stdio`"),
    ] {
        let said = called(&sandbox, line).code(1).stderr;
        assert!(said.contains(error), "{line}: {said}");
    }
}
