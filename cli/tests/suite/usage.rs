//! Usage errors: docker's words, docker's exit codes, nothing on stdout, and no store made.

use crate::sandbox::{Sandbox, snapshot};

#[test]
fn a_wrong_number_of_arguments() {
    snapshot!(Sandbox::new().gantry(["tag", "a"]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    gantry: 'gantry tag' requires 2 arguments

    Usage:  gantry tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]

    Run 'gantry tag --help' for more information
    ");
}

#[test]
fn an_unknown_flag_with_a_guess() {
    snapshot!(Sandbox::new().gantry(["images", "--digest"]), @"
    exit: 125
    ----- stdout -----
    ----- stderr -----
    unknown flag: --digest
    hint: Did you mean `--digests`?

    Usage:  gantry images [OPTIONS] [REPOSITORY[:TAG]]

    Run 'gantry images --help' for more information
    ");
}

#[test]
fn an_unknown_command() {
    snapshot!(Sandbox::new().gantry(["imagse"]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    gantry: unknown command: gantry imagse
    hint: Did you mean `image`?

    Run 'gantry --help' for more information
    ");
}

#[test]
fn a_bad_value() {
    snapshot!(Sandbox::new().gantry(["prune", "--max-used-space", "much"]), @r#"
    exit: 125
    ----- stdout -----
    ----- stderr -----
    invalid argument "much" for "--max-used-space" flag: invalid size: 'much'

    Usage:  gantry prune [OPTIONS]

    Run 'gantry prune --help' for more information
    "#);
}

#[test]
fn a_usage_error_makes_no_store() {
    let sandbox = Sandbox::new();
    sandbox.gantry(["images", "--bogus"]).code(125);
    sandbox.gantry(["images"]).success();
    assert!(!sandbox.store().exists(), "looking makes no store either");
}

/// As with docker, the last of a flag that takes one value counts, and lists are put together.
#[test]
fn a_flag_that_is_said_again() {
    let sandbox =
        Sandbox::with([("Dockerfile", "FROM scratch AS a\nLABEL is=a\nFROM a AS b\nLABEL is=b\n")]);
    let build = ["build", "-q", "-q", "--pull=true", "--pull=false", "--target=b", "--target", "a"];
    let names = ["-t", "x:1", "-t", "x:2", "--progress=plain", "--progress=auto", "."];
    sandbox.gantry_words(&[&build[..], &names].concat()).success();
    for name in ["x:1", "x:2"] {
        let label = sandbox.gantry(["inspect", "-f", "{{.Config.Labels.is}}", name]).success();
        assert_eq!(label.stdout, "a\n");
    }
    assert_eq!(
        sandbox.gantry(["images", "-q", "-q", "--no-trunc"]).success().stdout.lines().count(),
        1
    );
}

/// A variable of a script that is empty: as if the flag weren't there, as for buildx.
#[test]
fn a_flag_without_a_value() {
    let sandbox = Sandbox::with([("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]);
    let flags = ["--target=", "--iidfile", "", "--metadata-file=", "--platform=", "--network="];
    sandbox.gantry_words(&[&["build", "-q"][..], &flags, &["."]].concat()).success();
    assert_eq!(fs_err::read_dir(sandbox.project()).unwrap().count(), 1);
}
