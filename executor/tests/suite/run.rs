//! RUN: what a step sees, leaves and refuses.

use gantry_executor::{BuildError, Secret};
use gantry_tree::Node;

use crate::common::{Sandbox, explain};

fn line(sandbox: &Sandbox, line: &str) -> crate::common::Built {
    sandbox.build(&format!("FROM busybox\n{line}\n"))
}

fn refusal(sandbox: &Sandbox, line: &str) -> String {
    explain(&sandbox.fail(&format!("FROM busybox\n{line}\n")))
}

const FIRST: &str = "FROM busybox\nRUN echo hi > /hi && echo said\nCOPY hello.txt /srv/\nWORKDIR /w\nCMD [\"cat\"]\n";

#[test]
fn a_first_build_end_to_end() {
    needs_root!();
    let sandbox = Sandbox::with([("hello.txt", "hello\n")]);
    let built = sandbox.build(FIRST);
    assert_eq!(built.log(), "said\n");
    assert_eq!(built.text("hi"), "hi\n");
    assert_eq!(built.text("srv/hello.txt"), "hello\n");
    assert_eq!(built.image().layers.len(), 4);
    let config = built.config();
    assert_eq!(config.rootfs.diff_ids.len(), config.history_layers());
    assert_eq!(config.config.working_dir, "/w");
    let again = sandbox.build(FIRST);
    assert_eq!(again.ran(), Vec::<String>::new());
    assert_eq!(again.image().id, built.image().id);
    sandbox.assert_clean();
}

#[test]
fn three_steps_make_three_layers_each_of_what_it_changed() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = sandbox.build(
        "FROM busybox\n\
         RUN mkdir /d && echo a > /d/a && echo b > /d/b\n\
         RUN rm /d/a && ln -s b /d/l\n\
         RUN rm -r /d && mkdir /d && echo c > /d/c\n",
    );
    assert_eq!(built.image().layers.len(), 4);
    assert_eq!(
        built.own_paths(),
        ["d", "d/a", "d/b", "d", "-d/a", "d/l", "d", "-d/b", "d/c", "-d/l"]
    );
    let paths: Vec<String> = built.files().into_keys().filter(|p| p.starts_with("d")).collect();
    assert_eq!(paths, ["d", "d/c"]);
}

/// Equal layers have one name, and overlay refuses to mount one directory twice.
#[test]
fn equal_layers_may_lie_in_one_stack() {
    needs_root!();
    let sandbox = Sandbox::new();
    let many = "RUN true\n".repeat(6);
    let built = line(&sandbox, &format!("{many}RUN echo 1 > /one\nRUN true\nRUN cat /one > /two"));
    assert_eq!(built.image().layers.len(), 10);
    assert_eq!(built.text("two"), "1\n");
}

#[test]
fn a_step_that_changes_nothing_is_an_empty_layer() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = line(&sandbox, "RUN true");
    assert_eq!(built.image().layers.len(), 2);
    // No mount points, no resolv.conf, no /proc.
    assert_eq!(built.top(), Vec::<String>::new());
    assert_eq!(built.config().rootfs.diff_ids.len(), 2);
}

#[test]
fn a_failing_step_says_so_and_leaves_nothing() {
    needs_root!();
    let sandbox = Sandbox::new();
    let error = sandbox.fail("FROM busybox\nRUN echo before > /x; false\n");
    let BuildError::Steps(failures) = &error else { panic!("{error}") };
    assert_eq!(failures.steps[0].error.exit_code(), Some(1));
    let span = failures.steps[0].span.unwrap();
    assert!(failures.source.slice(span).starts_with("RUN echo"));
    let text = explain(&error);
    let wanted = "process \"/bin/sh -c echo before > /x; false\" did not complete successfully: exit code: 1";
    assert!(text.contains(wanted), "{text}");
    assert!(sandbox.store.images().list().unwrap().len() == 1);
    sandbox.assert_clean();
}

#[test]
fn programs_that_are_not_there_have_their_own_words() {
    needs_root!();
    let sandbox = Sandbox::new();
    let text = refusal(&sandbox, "RUN [\"/none\"]");
    assert!(text.contains("exec: \"/none\""), "{text}");
    let error = sandbox.fail("FROM busybox\nRUN nosuchcommand\n");
    let BuildError::Steps(failures) = &error else { panic!("{error}") };
    assert_eq!(failures.steps[0].error.exit_code(), Some(127));
    assert!(error.hint().unwrap().contains("not found"));
    let text = refusal(&sandbox, "USER ghost\nRUN true");
    assert!(text.contains("unable to find user ghost"), "{text}");
}

#[test]
fn a_step_sees_its_environment_directory_and_user() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = sandbox.build(
        "FROM busybox\n\
         ENV A=1 B=two\n\
         ARG C=three\n\
         WORKDIR /w/x\n\
         USER app\n\
         RUN echo $A $B $C $(pwd) $(id -u):$(id -g) > /tmp/seen\n",
    );
    assert_eq!(built.text("tmp/seen"), "1 two three /w/x 1000:1001\n");
    let built = line(&sandbox, "SHELL [\"/bin/sh\", \"-ec\"]\nRUN echo $0 > /x; echo done >> /x");
    assert!(built.text("x").ends_with("done\n"));
    let built = line(&sandbox, "RUN <<EOF\necho one > /x\necho two >> /x\nEOF");
    assert_eq!(built.text("x"), "one\ntwo\n");
    let built = line(&sandbox, "RUN <<EOF\n#!/bin/sh\necho $0 > /x\nEOF\nRUN true");
    assert_eq!(built.text("x"), "/dev/pipes/EOF\n");
    assert_eq!(built.own_paths(), ["x"]);
}

#[test]
fn both_streams_are_told_and_stored() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = line(&sandbox, "RUN echo out; echo err >&2");
    assert!(built.log().contains("out\n") && built.log().contains("err\n"));
    let record = sandbox.store.records().list().unwrap();
    let record = record.iter().find(|record| record.log.is_some()).expect("a record with a log");
    let mut stored = Vec::new();
    let mut reader = sandbox.store.logs().open(&record.log.unwrap()).unwrap().unwrap();
    std::io::Read::read_to_end(&mut reader, &mut stored).unwrap();
    let frame = |stream: u8, text: &[u8]| {
        [&[stream][..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text].concat()
    };
    let found = |frame: Vec<u8>| stored.windows(frame.len()).any(|window| window == frame);
    assert!(found(frame(1, b"out\n")) && found(frame(2, b"err\n")));
}

#[test]
fn without_network_there_is_only_lo() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built =
        line(&sandbox, "RUN --network=none ls /sys/class/net > /n; cat /proc/net/dev >> /n");
    assert!(built.text("n").contains("lo") && !built.text("n").contains("eth"));
    let text = refusal(&sandbox, "RUN --network=host true");
    assert!(text.contains("entitlement network.host is not allowed"), "{text}");
    let text = refusal(&sandbox, "RUN --security=insecure true");
    assert!(text.contains("entitlement security.insecure is not allowed"), "{text}");
}

#[test]
fn the_root_directorys_own_mode_lasts() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let built = line(&sandbox, "RUN chmod 711 /\nCOPY f /f\nRUN stat -c %a / > /mode");
    assert_eq!(built.text("mode"), "711\n");
}

#[test]
fn binds_show_stages_images_and_the_context() {
    needs_root!();
    let sandbox =
        Sandbox::with([("ctx/a", "from context"), ("drop", "x"), (".dockerignore", "drop")]);
    let built = sandbox.build(
        "FROM busybox AS one\n\
         RUN mkdir /o && echo 1 > /o/a && echo 2 > /o/b\n\
         RUN rm /o/b && echo 3 > /o/c\n\
         FROM busybox\n\
         RUN --mount=type=bind,from=one,source=/o,target=/m \
             --mount=target=/ctx,source=ctx \
             --mount=from=busybox,source=/etc/passwd,target=/pw \
             cat /m/* /ctx/a > /seen; ls /m >> /seen; grep -c root /pw >> /seen; echo no > /m/a || echo ro >> /seen\n\
         RUN --mount=from=one,source=/o,target=/m,rw echo lost > /m/a && cat /m/a > /seen2\n\
         RUN --mount=from=one,source=/o,target=/m cat /m/a > /seen3\n\
         RUN --mount=target=/all ls -a /all > /seen4\n",
    );
    assert_eq!(built.text("seen"), "1\n3\nfrom contexta\nc\n1\nro\n");
    assert_eq!(built.text("seen2"), "lost\n");
    assert_eq!(built.text("seen3"), "1\n");
    assert_eq!(built.text("seen4"), ".\n..\n.dockerignore\nctx\n");
    assert!(!built.files().contains_key("m") && !built.files().contains_key("pw"));
    sandbox.assert_clean();
}

#[test]
fn cache_mounts_last_and_stay_out_of_layers() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = line(
        &sandbox,
        "RUN --mount=type=cache,target=/c/deep echo 1 >> /c/deep/n\n\
         RUN --mount=type=cache,target=/c/deep echo 2 >> /c/deep/n; cat /c/deep/n > /seen\n\
         RUN --mount=type=cache,target=/c/deep,uid=5 ls /c/deep > /other; stat -c %u:%a /c/deep >> /other",
    );
    assert_eq!(built.text("seen"), "1\n2\n");
    assert_eq!(built.text("other"), "5:755\n");
    // Nothing of it stays, and not what it was mounted on.
    assert!(!built.files().keys().any(|path| path == "c" || path.starts_with("c/")));
}

#[test]
fn cache_mounts_can_be_seeded() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = sandbox.build(
        "FROM busybox AS seed\nRUN mkdir /s && echo seeded > /s/f\nFROM busybox\n\
         RUN --mount=type=cache,from=seed,source=/s,target=/c cat /c/f > /seen && echo more > /c/g\n\
         RUN --mount=type=cache,from=seed,source=/s,target=/c cat /c/f /c/g > /seen2\n",
    );
    assert_eq!(built.text("seen"), "seeded\n");
    assert_eq!(built.text("seen2"), "seeded\nmore\n");
}

#[test]
fn tmpfs_mounts_are_gone_afterwards() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = line(
        &sandbox,
        "RUN --mount=type=tmpfs,target=/t,size=1m echo x > /t/f && df /t | grep -c tmpfs > /n",
    );
    assert_eq!(built.text("n"), "1\n");
    assert!(!built.files().contains_key("t/f"));
}

#[test]
fn secrets_are_seen_by_their_step_alone() {
    needs_root!();
    const VALUE: &str = "hunter2-5d41402abc4b2a76";
    let sandbox = Sandbox::new();
    let dockerfile = "FROM busybox\n\
         RUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /n && stat -c %a /run/secrets/s >> /n\n\
         RUN --mount=type=secret,id=s,env=TOKEN test \"$TOKEN\" && test ! -e /run/secrets/s && echo ${#TOKEN} > /m\n\
         RUN --mount=type=secret,id=none test ! -e /run/secrets/none\n\
         RUN test ! -e /run/secrets/s\n";
    let mut request = sandbox.request(dockerfile);
    request.secrets.insert("s".into(), Secret::from_bytes(VALUE));
    let built = sandbox.run(request);
    assert_eq!(built.text("n"), "24\n400\n");
    assert_eq!(built.text("m"), "24\n");
    assert!(!built.own_paths().iter().any(|path| path.contains("secrets")));
    // Another value is another build's secret, and no other key.
    let mut request = sandbox.request(dockerfile);
    request.secrets.insert("s".into(), Secret::from_bytes("other"));
    assert_eq!(sandbox.run(request).ran(), Vec::<String>::new());
    // Nowhere in the store.
    let found = std::process::Command::new("grep")
        .args(["-rla", VALUE])
        .arg(sandbox.store.root())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let text = refusal(&sandbox, "RUN --mount=type=secret,id=gone,required=true true");
    assert!(text.contains("secret gone: not found"), "{text}");
    let mut request = sandbox.request("FROM busybox\nRUN --mount=type=secret,id=big true\n");
    request.secrets.insert("big".into(), Secret::from_bytes(vec![b'x'; 600 * 1024]));
    let text = explain(&sandbox.fail_request(request));
    assert!(text.contains("secret big too big. max size 500KB"), "{text}");
}

#[test]
fn workdir_makes_what_is_missing_and_nothing_else() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = line(&sandbox, "WORKDIR /a/b\nRUN pwd > /where\nWORKDIR /tmp");
    assert_eq!(built.text("where"), "/a/b\n");
    assert_eq!(built.top(), Vec::<String>::new());
    assert_eq!(built.file("a/b").mode, 0o755);
    let text = refusal(&sandbox, "WORKDIR /etc/passwd/x");
    assert!(text.contains("not a directory"), "{text}");
}

#[test]
fn from_scratch_has_nothing_but_what_is_copied() {
    needs_root!();
    let sandbox = Sandbox::new();
    let built = sandbox.build(
        "FROM scratch\nCOPY --from=busybox /bin /bin\nRUN [\"/bin/sh\", \"-c\", \"echo x > /x\"]\n",
    );
    assert_eq!(built.text("x"), "x\n");
    assert!(matches!(built.file("bin/sh").node, Node::Symlink { .. }));
}

#[test]
fn an_unknown_base_is_named_with_what_may_be_meant() {
    needs_root!();
    let sandbox = Sandbox::new();
    let text = explain(&sandbox.fail("FROM busybux\n"));
    assert!(text.contains("busybux") && text.contains("Did you mean `busybox"), "{text}");
    let text = explain(&sandbox.fail("FROM debian:12\n"));
    assert!(text.contains("gantry load"), "{text}");
    // All spellings of one name.
    for name in ["busybox:latest", "docker.io/library/busybox", "library/busybox"] {
        sandbox.build(&format!("FROM {name}\n"));
    }
    let id = sandbox.store.images().resolve("busybox").unwrap().id;
    sandbox.build(&format!("FROM {}\n", &id.hex()[..12]));
}
