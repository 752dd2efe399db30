//! What the tutorials say of a build's steps: containers of their own, and the cache (A5).

use crate::sandbox::Sandbox;

/// A5-06: each starts from what the one before left, and none of its processes or containers stay.
#[test]
fn a_run_is_a_container_of_its_own() {
    let text = "FROM busybox\nRUN cd /tmp && export A=b && sleep 60 & echo $! > /tmp/pid\n\
         RUN test -s /tmp/pid && test \"$PWD$A\" = / && ! pgrep sleep\n";
    let sandbox = Sandbox::with([("Dockerfile", text)]).with_busybox();
    sandbox.gantry(["build", "."]).success();
    let containers = || sandbox.gantry(["ps", "-aq"]).success().stdout;
    assert_eq!(containers(), "");
    sandbox.write("Dockerfile", "FROM busybox\nRUN touch /left && exit 3\n");
    sandbox.gantry(["build", "."]).code(1);
    assert_eq!(containers(), "");
    let scratch = fs_err::read_dir(sandbox.store().join("work")).unwrap();
    assert_eq!(scratch.count(), 0, "nothing half made stays");
}

fn cached(shown: &str) -> usize {
    shown.lines().filter(|line| line.ends_with(" CACHED")).count()
}

/// A5-15.
#[test]
fn an_unchanged_build_is_all_cached_whatever_its_name() {
    let text = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /u\nCOPY f /\nRUN cat /f\n";
    let sandbox = Sandbox::with([("Dockerfile", text), ("f", "f")]).with_busybox();
    let first = sandbox.gantry(["build", "-q", "-t", "x", "."]).success().stdout;
    let again = sandbox.gantry(["build", "-t", "other", "."]).success().stderr;
    assert_eq!(cached(&again), 4, "{again}");
    let id = |name: &str| sandbox.gantry(["inspect", "-f", "{{.Id}}", name]).success().stdout;
    assert_eq!([id("x"), id("other")], [first.clone(), first]);
}

/// A5-16.
#[test]
fn the_first_change_runs_all_that_follows() {
    let text = |middle: &str| {
        format!("FROM busybox\nRUN echo 1 > /1\nRUN echo {middle} > /2\nCOPY f /\nRUN cat /f\n")
    };
    let sandbox = Sandbox::with([("f", "f")]).with_busybox();
    let steps = |sandbox: &Sandbox| {
        let shown = sandbox.gantry(["build", "."]).success().stderr;
        let step = |name: &str| {
            let (_, rest) = shown.split_once(name).unwrap_or_else(|| panic!("{name}: {shown}"));
            rest.split_once("\n\n").unwrap().0.contains(" CACHED")
        };
        ["[2/5]", "[3/5]", "[4/5]", "[5/5]"].map(step)
    };
    sandbox.write("Dockerfile", text("2"));
    assert_eq!(steps(&sandbox), [false; 4]);
    assert_eq!(steps(&sandbox), [true; 4]);
    sandbox.write("Dockerfile", text("two"));
    assert_eq!(steps(&sandbox), [true, false, false, false]);
    sandbox.write("f", "changed");
    assert_eq!(steps(&sandbox), [true, true, false, false]);
    // Back to what was there before: by what is in it, not by when it was written.
    sandbox.write("f", "f");
    assert_eq!(steps(&sandbox), [true; 4]);
}
