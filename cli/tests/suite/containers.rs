//! Containers that have ended: ps, rm, and what they hold on to.

use crate::sandbox::{Sandbox, snapshot};

fn ended() -> Sandbox {
    let sandbox = Sandbox::new().with_busybox();
    let run = ["run", "--network", "none", "--name", "one", "busybox", "sh", "-c", "exit 3"];
    let _ = sandbox.gantry(run).code(3);
    sandbox
}

#[test]
fn an_ended_container_is_listed_on_request() {
    let sandbox = ended();
    let columns = "table {{.Names}}\\t{{.Image}}\\t{{.Command}}\\t{{.Status}}";
    snapshot!(sandbox.gantry(["ps", "-a", "--format", columns]), @r#"
    exit: 0
    ----- stdout -----
    NAMES     IMAGE     COMMAND          STATUS
    one       busybox   "sh -c exit 3"   Exited (3) [AGO]
    ----- stderr -----
    "#);
    let table = sandbox.gantry(["ps", "-a"]).success().stdout;
    let header: Vec<&str> = table.lines().next().unwrap().split("   ").map(str::trim).collect();
    let header: Vec<&str> = header.into_iter().filter(|name| !name.is_empty()).collect();
    let expect = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    assert_eq!(header, expect);
    assert_eq!(sandbox.gantry(["ps", "-q"]).success().stdout, "");
    let long = sandbox.gantry(["ps", "-a", "-q", "--no-trunc"]).success().stdout;
    assert_eq!(long.trim().len(), 64);
    let names = |filter| {
        let run = sandbox.gantry(["ps", "-f", filter, "--format", "{{.Names}}"]);
        run.success().stdout
    };
    assert_eq!(names("exited=3"), "one\n");
    assert_eq!(names("exited=4"), "");
    assert_eq!(names("status=exited"), "one\n");
    let info = sandbox.gantry(["info", "-f", "{{.Containers}} {{.ContainersStopped}}"]);
    assert_eq!(info.success().stdout, "1 1\n");
}

#[test]
fn a_container_holds_its_image_until_it_is_removed() {
    let sandbox = ended();
    let error = sandbox.gantry(["rmi", "busybox"]).code(1).stderr;
    let conflict = "conflict: unable to remove repository reference \"busybox\" (must force) - ";
    assert!(error.contains(conflict), "{error}");
    snapshot!(sandbox.gantry(["rm", "nothing", "one"]), @"
    exit: 1
    ----- stdout -----
    one
    ----- stderr -----
    ERROR: No such container: nothing
    ");
    assert_eq!(sandbox.gantry(["ps", "-a", "-q"]).success().stdout, "");
    sandbox.gantry(["rmi", "busybox"]).success();
}

#[test]
fn names_are_unique_and_well_formed() {
    let sandbox = ended();
    let run = |name| sandbox.gantry(["run", "--name", name, "busybox", "true"]).code(125).stderr;
    assert!(run("one").contains("The container name \"/one\" is already in use"));
    assert!(run("x y").contains("Invalid container name"));
}
