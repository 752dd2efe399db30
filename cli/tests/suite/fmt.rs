//! `gantry fmt`: what it writes, and what it leaves alone.

use crate::sandbox::Sandbox;

const UGLY: &str = "from busybox  as x\nrun  true   \\\n  && true\n\n\ncopy a \\\n b\n";
const FINE: &str = "FROM busybox AS x\nRUN true   \\\n  && true\n\nCOPY a \\\n    b\n";

#[test]
fn files_are_rewritten_in_place() {
    let sandbox = Sandbox::with([("Dockerfile", UGLY), ("other", FINE)]);
    let output = sandbox.gantry(["fmt"]).success();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    assert_eq!(sandbox.read("Dockerfile"), FINE.as_bytes());
    sandbox.gantry(["fmt", "--check", "Dockerfile", "other"]).success();
    let output = sandbox.gantry_with_input(["fmt", "-"], UGLY.as_bytes()).success();
    assert_eq!(output.stdout, FINE);
}

#[test]
fn check_and_diff_write_nothing() {
    let sandbox = Sandbox::with([("Dockerfile", UGLY), ("fine", FINE)]);
    let output = sandbox.gantry(["fmt", "--check", "Dockerfile", "fine"]).code(1);
    assert_eq!(output.stdout, "Dockerfile\n");
    let output = sandbox.gantry(["fmt", "--diff", "Dockerfile", "fine"]).success();
    assert!(output.stdout.starts_with("--- Dockerfile\n"), "{}", output.stdout);
    assert!(output.stdout.contains("\n-from busybox  as x\n"), "{}", output.stdout);
    assert!(output.stdout.contains("\n+FROM busybox AS x\n"), "{}", output.stdout);
    sandbox.gantry(["fmt", "--check", "--diff", "Dockerfile"]).code(1);
    assert_eq!(sandbox.read("Dockerfile"), UGLY.as_bytes());
}

#[test]
fn a_file_with_errors_is_left_alone() {
    let sandbox = Sandbox::with([("bad", "from\n"), ("ugly", UGLY)]);
    let output = sandbox.gantry(["fmt", "bad", "ugly", "nowhere"]).code(1);
    assert!(output.stderr.contains("FROM requires either one or three"), "{}", output.stderr);
    assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
    assert_eq!(sandbox.read("bad"), b"from\n");
    // The others have their turn all the same.
    assert_eq!(sandbox.read("ugly"), FINE.as_bytes());
    // Bytes that are no text would be lost.
    sandbox.write("latin", b"from a\nenv a=\xe4\n");
    sandbox.gantry(["fmt", "latin"]).code(1);
    assert_eq!(sandbox.read("latin"), b"from a\nenv a=\xe4\n");
}

#[test]
fn a_formatted_file_is_found_in_the_cache() {
    let text = UGLY.replace(" b\n", " /b\n");
    let sandbox = Sandbox::with([("Dockerfile", text.as_str()), ("a", "a")]).with_busybox();
    sandbox.gantry(["build", "--network", "none", "."]).success();
    sandbox.gantry(["fmt"]).success();
    let output =
        sandbox.gantry(["build", "--network", "none", "--progress", "plain", "."]).success();
    let cached = output.stderr.lines().filter(|line| line.ends_with(" CACHED")).count();
    assert_eq!(cached, 3, "{}", output.stderr);
}
