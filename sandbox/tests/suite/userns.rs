//! The same in user namespaces: this binary runs itself again in several kinds of them.

use std::process::{Command, Output};

use gantry_sandbox::{IdMap, Overlay, USERNS_MARKER, probe, reexec_in_user_namespace};

use crate::support::skip;

/// Whether this process is one of those that were started again.
fn is_inner() -> bool {
    std::env::var_os("GANTRY_TEST_INNER").is_some()
}

fn outer() -> bool {
    let host = probe();
    if is_inner() || host.in_user_namespace() {
        return false;
    }
    if !host.is_root() {
        skip("root", "other users cannot be taken on");
        return false;
    }
    true
}

/// Runs tests of this binary behind a command that changes who it is.
fn inner(wrapper: &[&str], require: &str, tests: &[&str]) -> Output {
    // Other users cannot enter root's target directory.
    let directory = tempfile::tempdir().unwrap();
    crate::support::chmod(directory.path(), 0o755);
    let program = directory.path().join("suite");
    fs_err::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let scratch = directory.path().join("tmp");
    fs_err::create_dir(&scratch).unwrap();
    crate::support::chmod(&scratch, 0o1777);
    Command::new(wrapper[0])
        .args(&wrapper[1..])
        .arg(&program)
        .args(tests)
        .args(["--nocapture", "--test-threads=2"])
        .env("GANTRY_TEST_INNER", "1")
        // What works for the outer process is no reason to skip in the inner one.
        .env("GANTRY_TEST_REQUIRE", require)
        .env("TMPDIR", &scratch)
        .env_remove(USERNS_MARKER)
        .current_dir("/")
        .output()
        .unwrap()
}

fn check(output: &Output) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success() && text.contains("test result: ok"), "{text}");
    assert!(!text.contains(" 0 passed"), "{text}");
}

const REQUIRE: &str = "root,overlay";

const EVERYTHING: [&str; 7] =
    ["basics::", "lifetime::", "mounts::", "walls::", "users::", "terminal::", "network::"];

#[test]
fn everything_works_with_one_id_and_no_mount_namespace() {
    if outer() {
        check(&inner(&["unshare", "-Ur"], REQUIRE, &EVERYTHING));
    }
}

#[test]
fn root_of_a_container_becomes_root_of_all_ids() {
    if outer() {
        // Root without CAP_SYS_ADMIN, as in many containers, still may map all IDs.
        let all = ["setpriv", "--bounding-set=-sys_admin", "env", "GANTRY_TEST_KIND=full"];
        check(&inner(&all, REQUIRE, &["--exact", "userns::again"]));
    }
}

/// Runs when started again by the tests below, and enters a user namespace by itself.
#[test]
fn again() {
    let Ok(kind) = std::env::var("GANTRY_TEST_KIND") else { return };
    let host = probe();
    if host.needs_user_namespace() {
        let status = reexec_in_user_namespace().unwrap();
        // The re-executed harness has told its story; its status is ours.
        #[expect(clippy::exit, reason = "what `main` does after a re-execution")]
        std::process::exit(status.code().unwrap_or(99));
    }
    assert!(host.is_root() && host.in_user_namespace());
    assert_eq!(std::env::var(USERNS_MARKER).unwrap(), "1");
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(host.overlay(directory.path()), Overlay::Available { userxattr: true });
    match kind.as_str() {
        "full" => assert_eq!(host.id_map(), IdMap::Full),
        "subids" => assert_eq!(host.id_map(), IdMap::SubIds { count: 65_537 }),
        _ => assert_eq!(host.id_map(), IdMap::Single),
    }
    // A second time makes no sense.
    assert!(reexec_in_user_namespace().is_err());
    crate::basics::smoke();
    crate::users::smoke();
}

fn as_user(id: &str, kind: &str) -> Output {
    let kind = format!("GANTRY_TEST_KIND={kind}");
    let id = [format!("--reuid={id}"), format!("--regid={id}")];
    inner(
        &["setpriv", &id[0], &id[1], "--clear-groups", "env", &kind],
        REQUIRE,
        &["--exact", "userns::again"],
    )
}

#[test]
fn an_ordinary_user_becomes_root_of_one_id() {
    if outer() {
        check(&as_user("65534", "single"));
    }
}

#[test]
fn an_ordinary_user_with_subordinate_ids_has_them() {
    if !outer() {
        return;
    }
    // A number is as good as a name in these files; nobody else has this one.
    let user = 2_111_000 + std::process::id() % 1000;
    let line = format!("{user}:3000000:65536\n");
    let edit = |path: &str, edit: &dyn Fn(&str) -> String| {
        let text = fs_err::read_to_string(path).unwrap_or_default();
        fs_err::write(path, edit(&text)).is_ok()
    };
    let files = ["/etc/subuid", "/etc/subgid"];
    if gantry_find("newuidmap").is_none()
        || !files.iter().all(|path| edit(path, &|t| format!("{t}{line}")))
    {
        skip("userns", "subordinate IDs cannot be given to a user");
        return;
    }
    // newuidmap only serves users that there are.
    let passwd = format!("gantry-test-{user}:x:{user}:{user}::/:/bin/false\n");
    edit("/etc/passwd", &|text| format!("{text}{passwd}"));
    let output = as_user(&user.to_string(), "subids");
    edit("/etc/passwd", &|text| text.replace(&passwd, ""));
    for path in files {
        edit(path, &|text| text.replace(&line, ""));
    }
    check(&output);
}

fn gantry_find(program: &str) -> Option<()> {
    Command::new(program).output().ok().map(drop)
}
