//! Bad input: the place in the Dockerfile, the reason, exit 1, and a store that is as before.

use crate::sandbox::{Sandbox, snapshot};

fn with(dockerfile: &str) -> Sandbox {
    Sandbox::with([("Dockerfile", dockerfile)]).with_busybox()
}

#[test]
fn a_failing_step_shows_its_last_output_and_its_place() {
    let sandbox = with("FROM busybox\n\nRUN echo working; exit 3\nRUN true\n");
    snapshot!(sandbox.gantry(["build", "--network", "none", "."]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 48B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]

    #3 [1/3] FROM docker.io/library/busybox:latest
    #3 CACHED

    #4 [2/3] RUN echo working; exit 3
    #4 [TIME] working
    #4 ERROR: process "/bin/sh -c echo working; exit 3" did not complete successfully: exit code: 3
    ------
     > [2/3] RUN echo working; exit 3:
    [TIME] working
    ------
    Dockerfile:3
    --------------------
       1 |     FROM busybox
       2 |     
       3 | >>> RUN echo working; exit 3
       4 |     RUN true
    --------------------
    ERROR: failed to solve: process "/bin/sh -c echo working; exit 3" did not complete successfully: exit code: 3
    hint: What it printed last stands above; `--progress=plain` shows all of it
    "#);
    let _ = sandbox.gantry(["build", "--propagate-exit-code", "."]).code(3);
    let quiet = sandbox.gantry(["build", "-q", "."]).code(1);
    assert!(
        quiet.stderr.starts_with("------\n > [2/3] RUN echo working; exit 3:\n"),
        "{}",
        quiet.stderr
    );
    assert_eq!(sandbox.gantry(["images", "-q"]).success().stdout.lines().count(), 1);
}

#[test]
fn every_mistake_is_underlined_and_the_first_is_last() {
    let sandbox = with("FORM busybox\nRUN true\nCOPY\n");
    snapshot!(sandbox.gantry(["build", "."]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 27B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]
    Dockerfile:2
    --------------------
       1 |     FORM busybox
       2 | >>> RUN true
       3 |     COPY
    --------------------
    ERROR: no build stage in current context
    hint: Put a FROM above it; only ARG may stand before the first one

    Dockerfile:3
    --------------------
       1 |     FORM busybox
       2 |     RUN true
       3 | >>> COPY
    --------------------
    ERROR: dockerfile parse error on line 3: COPY requires at least two arguments, but only one was provided. Destination could not be determined
    hint: Write it like `COPY src/ /app/`

    Dockerfile:1
    --------------------
       1 | >>> FORM busybox
         |     ^^^^
       2 |     RUN true
       3 |     COPY
    --------------------
    ERROR: failed to solve: dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)
    hint: Write `FROM`
    ");
}

#[test]
fn a_base_image_that_is_not_there() {
    snapshot!(with("FROM nosuch\n").gantry(["build", "."]), @"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 12B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]

    #3 [internal] load metadata for docker.io/library/nosuch:latest
    #3 ERROR: `registries.conf` blocks `docker.io/library/nosuch`
    ------
     > [internal] load metadata for docker.io/library/nosuch:latest:
    ------
    Dockerfile:1
    --------------------
       1 | >>> FROM nosuch
         |          ^^^^^^
    --------------------
    ERROR: failed to solve: nosuch: failed to resolve source metadata for docker.io/library/nosuch:latest: `registries.conf` blocks `docker.io/library/nosuch`
    hint: `gantry images` lists what is there
    ");
}

#[test]
fn a_source_that_is_not_there() {
    let sandbox = with("FROM busybox\n# what we ship\nCOPY nope /x\nRUN true\n");
    snapshot!(sandbox.gantry(["build", "."]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 50B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]

    #3 [internal] load build context
    #3 DONE [TIME]

    #4 [2/3] COPY nope /x
    #4 ERROR: failed to compute cache key: "/nope": not found
    ------
     > [2/3] COPY nope /x:
    ------
    Dockerfile:3
    --------------------
       1 |     FROM busybox
       2 |     # what we ship
       3 | >>> COPY nope /x
         |          ^^^^
       4 |     RUN true
    --------------------
    ERROR: failed to solve: failed to compute cache key: "/nope": not found
    hint: Paths begin at the root of the context, stage or image that they are copied from
    "#);
    sandbox.write(
        "Dockerfile",
        "FROM busybox\nARG WHAT=target/app\nCOPY --chmod=755 Dockerfile $WHAT /bin/\n",
    );
    sandbox.write(".dockerignore", "# none\n*.md\ntarget\n");
    sandbox.write("target/app", "");
    snapshot!(sandbox.gantry(["build", "."]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 73B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 transferring context: 19B done
    #2 DONE [TIME]

    #3 [internal] load build context
    #3 DONE [TIME]

    #4 [2/2] COPY --chmod=755 Dockerfile target/app /bin/
    #4 ERROR: failed to compute cache key: "/target/app": not found: line 3 of `.dockerignore`, `target`, excludes `target/app`
    ------
     > [2/2] COPY --chmod=755 Dockerfile target/app /bin/:
    ------
    Dockerfile:3
    --------------------
       1 |     FROM busybox
       2 |     ARG WHAT=target/app
       3 | >>> COPY --chmod=755 Dockerfile $WHAT /bin/
         |                                 ^^^^^
    --------------------
    ERROR: failed to solve: failed to compute cache key: "/target/app": not found
      caused by: line 3 of `.dockerignore`, `target`, excludes `target/app`
    hint: To let it in, add `!target/app` below line 3
    "#);
    sandbox.write(".dockerignore", "# none\n*.md\ntarget\n!target/app\n");
    let _ = sandbox.gantry(["build", "."]).success();
}

#[test]
fn a_source_that_a_stage_does_not_have() {
    let sandbox = with("FROM busybox AS a\nFROM scratch\nCOPY --from=a /etc/none /x\n");
    snapshot!(sandbox.gantry(["build", "."]), @r#"
    exit: 1
    ----- stdout -----
    ----- stderr -----
    #1 [internal] load build definition from Dockerfile
    #1 transferring dockerfile: 58B done
    #1 DONE [TIME]

    #2 [internal] load .dockerignore
    #2 DONE [TIME]

    #3 [a 1/1] FROM docker.io/library/busybox:latest
    #3 CACHED

    #4 [stage-1 1/1] COPY --from=a /etc/none /x
    #4 ERROR: failed to compute cache key: "/etc/none": not found
    ------
     > [stage-1 1/1] COPY --from=a /etc/none /x:
    ------
    Dockerfile:3
    --------------------
       1 |     FROM busybox AS a
       2 |     FROM scratch
       3 | >>> COPY --from=a /etc/none /x
         |                   ^^^^^^^^^
    --------------------
    ERROR: failed to solve: failed to compute cache key: "/etc/none": not found
    hint: Paths begin at the root of the context, stage or image that they are copied from
    "#);
}

#[test]
fn sources_cannot_leave_the_context() {
    let sandbox = with("FROM busybox\nCOPY ../outside /x\nCOPY link /y\n");
    fs_err::write(sandbox.project().join("../outside"), "secret").unwrap();
    std::os::unix::fs::symlink("../outside", sandbox.project().join("link")).unwrap();
    let error = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("not found"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn stages_in_a_circle() {
    let sandbox =
        with("FROM busybox AS a\nCOPY --from=b /x /\nFROM busybox AS b\nCOPY --from=a /x /\n");
    let _ = sandbox.gantry(["build", "."]).code(1);
}

#[test]
fn contexts_and_dockerfiles_that_are_not_there() {
    let sandbox = Sandbox::new();
    let error = |args: [&str; 2]| sandbox.gantry(args).code(1).stderr;
    assert_eq!(
        sandbox.gantry(["build"]).code(1).stderr,
        "ERROR: please specify build context (e.g. \".\" for the current directory)\n"
    );
    assert_eq!(
        error(["build", "nowhere"]),
        "ERROR: unable to prepare context: path \"nowhere\" not found\n"
    );
    let missing = error(["build", "."]);
    assert!(
        missing.starts_with(
            "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory\n"
        ),
        "{missing}"
    );
    assert_eq!(
        sandbox.gantry(["build", "-f", "-", "-"]).code(1).stderr,
        "ERROR: invalid argument: can't use stdin for both build context and dockerfile\n"
    );
}

#[test]
fn flags_that_contradict_each_other() {
    let sandbox = with("FROM busybox\n");
    let error = |flag: &str, value: &str| {
        let run = sandbox.gantry(["build", "-q", flag, value, "."]);
        run.code(1).stderr.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        error("--progress", "plain"),
        "ERROR: progress=plain and quiet cannot be used together"
    );
    assert_eq!(
        error("-t", "A:b"),
        "ERROR: invalid tag \"A:b\": invalid reference format: repository name (library/A) must be lowercase"
    );
    assert_eq!(
        error("--build-context", "x"),
        "ERROR: invalid context value: x, expected key=value"
    );
    assert_eq!(error("--network", "mine"), "ERROR: network mode \"mine\" not supported");
    assert_eq!(error("--add-host", "x"), "ERROR: invalid host x");
}

#[test]
fn what_is_ignored_is_said_once() {
    let sandbox = with("FROM busybox\n");
    let ignored = |sandbox: &Sandbox| {
        let error = sandbox.gantry(["build", "--isolation", "default", "."]).success().stderr;
        error.matches("WARNING: --isolation has no effect and is ignored\n").count()
    };
    assert_eq!(ignored(&sandbox), 1);
    // As the process that an unprivileged one starts in its user namespace.
    assert_eq!(ignored(&sandbox.env("GANTRY_USERNS", "1")), 0);
}

#[test]
fn a_newer_store_is_left_alone() {
    let sandbox = with("FROM busybox\n");
    let database = sandbox.store().join("gantry.db");
    // The number that SQLite keeps for its users lies at offset 60, big endian.
    let mut bytes = fs_err::read(&database).unwrap();
    bytes[60..64].copy_from_slice(&9u32.to_be_bytes());
    fs_err::remove_file(sandbox.store().join("gantry.db-wal")).ok();
    fs_err::remove_file(sandbox.store().join("gantry.db-shm")).ok();
    fs_err::write(&database, bytes).unwrap();
    let error = sandbox.gantry(["build", "."]).code(1).stderr;
    assert!(error.contains("was made by a newer gantry (format 9"), "{error}");
    assert!(error.contains("hint: "), "{error}");
}
