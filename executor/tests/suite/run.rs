//! RUN: what a step sees, leaves and refuses.

use crate::common::{Sandbox, explain, is_root};

#[test]
fn a_first_build_end_to_end() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::with([("hello.txt", "hello\n")]);
    let built = sandbox.build(
        "FROM busybox\nRUN echo hi > /hi && echo said\nCOPY hello.txt /srv/\nWORKDIR /w\nCMD [\"cat\"]\n",
    );
    assert_eq!(built.log(), "said\n");
    assert_eq!(built.text("hi"), "hi\n");
    assert_eq!(built.text("srv/hello.txt"), "hello\n");
    assert_eq!(built.image().layers.len(), 4);
    let config = built.config();
    assert_eq!(config.rootfs.diff_ids.len(), config.history_layers());
    assert_eq!(config.config.working_dir, "/w");
    let again = sandbox.build(
        "FROM busybox\nRUN echo hi > /hi && echo said\nCOPY hello.txt /srv/\nWORKDIR /w\nCMD [\"cat\"]\n",
    );
    assert_eq!(again.ran(), Vec::<String>::new());
    assert_eq!(again.image().id, built.image().id);
    sandbox.assert_clean();
}

#[test]
fn a_failing_step_says_so_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let error = sandbox.fail("FROM busybox\nRUN echo before > /x; false\n");
    let text = explain(&error);
    assert!(
        text.contains(
            "process \"/bin/sh -c echo before > /x; false\" did not complete successfully: exit code: 1"
        ),
        "{text}"
    );
    sandbox.assert_clean();
}
