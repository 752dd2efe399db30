//! What ignore files hide, and from whom (C3).

use crate::sandbox::Sandbox;

fn build(sandbox: &Sandbox) {
    sandbox.gantry(["build", "-q", "-o", "out", "--build-context", "other=other", "."]).success();
}

#[test]
fn the_dockerfile_and_the_ignore_file_may_be_hidden() {
    let sandbox = Sandbox::with([
        ("Dockerfile", "FROM scratch\nCOPY . /all/\n"),
        (".dockerignore", "Dockerfile\n.dockerignore\n"),
        ("a", "a"),
        ("other/b", "b"),
    ]);
    build(&sandbox);
    let all = sandbox.project().join("out/all");
    assert!(all.join("a").exists());
    assert!(!all.join("Dockerfile").exists() && !all.join(".dockerignore").exists());
}

#[test]
fn every_local_context_has_its_own_and_stages_have_none() {
    let sandbox = Sandbox::with([
        (
            "Dockerfile",
            "FROM scratch AS stage\nCOPY a /x\nCOPY a /y\nFROM scratch\nCOPY --from=other . /other/\n\
             COPY --from=stage . /stage/\n",
        ),
        (".dockerignore", "x\nb\n"),
        ("a", "a"),
        ("other/.dockerignore", "c\n"),
        ("other/b", "b"),
        ("other/c", "c"),
    ]);
    build(&sandbox);
    let there = |path: &str| sandbox.project().join("out").join(path).exists();
    assert!(there("other/b") && !there("other/c"));
    assert!(there("stage/x") && there("stage/y"));
}
