//! What runs again, and what does not (B10, G-02, G-08, G-09).

use super::{build, cached, project, told};

#[test]
fn b10_02_times_do_not_count_and_modes_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = project("FROM busybox\nCOPY f /f\nRUN cat /f\n");
    sandbox.write("f", "f\n");
    assert_eq!(build(&sandbox, []), "f\n");
    let path = sandbox.project().join("f");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs_err::File::options().write(true).open(&path).unwrap().file().set_modified(time).unwrap();
    assert_eq!(cached(&told(&sandbox, [])), 2);
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(cached(&told(&sandbox, [])), 0);
    // G-08: other bytes of the same size and time.
    sandbox.write("f", "g\n");
    fs_err::File::options().write(true).open(&path).unwrap().file().set_modified(time).unwrap();
    assert_eq!(build(&sandbox, []), "g\n");
}

#[test]
fn b10_04_metadata_runs_nothing_again() {
    let text = |label: &str| {
        format!("FROM busybox\nLABEL a={label}\nEXPOSE 80\nCMD {label}\nRUN true\nWORKDIR /w\n")
    };
    let sandbox = project(&text("1"));
    build(&sandbox, []);
    sandbox.write("Dockerfile", text("2"));
    assert_eq!(cached(&told(&sandbox, [])), 2);
    sandbox.write("Dockerfile", text("2\nENV X=1"));
    assert_eq!(cached(&told(&sandbox, [])), 0);
}

/// A stage that runs again and comes out the same reruns nothing that copies from or binds it.
#[test]
fn b10_05_an_equal_stage_stops_a_change() {
    let text = |comment: &str| {
        format!(
            "FROM busybox AS s\nRUN echo same > /f && touch -d @0 /f # {comment}\nFROM busybox\n\
             COPY --from=s /f /f\nRUN --mount=from=s,src=/f,target=/m cat /m\n"
        )
    };
    let sandbox = project(&text("1"));
    assert_eq!(build(&sandbox, []), "same\n");
    sandbox.write("Dockerfile", text("2"));
    let told = told(&sandbox, []);
    assert_eq!((cached(&told), super::printed(&told).as_str()), (2, ""), "{told}");
}

#[test]
fn g_02_unused_stages_are_not_looked_at() {
    let text = "ARG NOT\nFROM ${NOT:-no-such-image} AS unused\nRUN false\nFROM busybox\nRUN true\n";
    build(&project(text), []);
}

#[test]
fn g_09_no_cache_is_for_all_stages() {
    let text =
        "FROM busybox AS s\nRUN true\nFROM busybox\nCOPY --from=s /etc/group /g\nRUN true # 2\n";
    let sandbox = project(text);
    build(&sandbox, []);
    assert_eq!(cached(&told(&sandbox, [])), 2, "nobody has to look at the first stage");
    assert_eq!(cached(&told(&sandbox, ["--no-cache"])), 0);
}
