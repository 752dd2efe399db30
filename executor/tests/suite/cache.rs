//! Who runs again after which change (B10).

use crate::common::{Sandbox, set_mode};

const NOBODY: [&str; 0] = [];

#[test]
fn files_count_by_name_content_and_mode_and_not_by_time_or_owner() {
    needs_root!();
    let sandbox = Sandbox::with([("d/f", "x"), ("other", "y")]);
    let dockerfile = "FROM busybox\nCOPY d /d\nRUN cat /d/* > /all\n";
    let all = ["COPY d /d", "RUN cat /d/* > /all"];
    let ran = || sandbox.build(dockerfile).ran();
    let file = sandbox.context().join("d/f");
    assert_eq!(ran(), all);
    assert_eq!(ran(), NOBODY);
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    std::os::unix::fs::chown(&file, Some(7), Some(7)).unwrap();
    sandbox.write("other", "changed");
    assert_eq!(ran(), NOBODY);
    sandbox.write("d/f", "z");
    assert_eq!(ran(), all);
    set_mode(&file, 0o755);
    assert_eq!(ran(), all);
    sandbox.write("d/g", "");
    assert_eq!(ran(), all);
    fs_err::remove_file(sandbox.context().join("d/g")).unwrap();
    // As it was two builds ago.
    assert_eq!(ran(), NOBODY);
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_seen() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "0000")]);
    for round in 1..20 {
        let text = format!("{round:04}");
        sandbox.write("f", &text);
        let built = sandbox.build("FROM busybox\nCOPY f /f\n");
        assert_eq!(built.text("f"), text);
    }
}

#[test]
fn metadata_busts_nothing_below_it_unless_a_process_sees_it() {
    needs_root!();
    let sandbox = Sandbox::new();
    let build = |label: &str, env: &str| {
        let text = format!(
            "FROM busybox\nLABEL a={label}\nEXPOSE {label}\nCMD {label}\nENV E={env}\nRUN echo\n"
        );
        sandbox.build(&text).ran()
    };
    assert_eq!(build("1", "x"), ["RUN echo"]);
    assert_eq!(build("2", "x"), NOBODY);
    assert_eq!(build("2", "y"), ["RUN echo"]);
}

#[test]
fn the_same_output_of_a_changed_stage_stops_there() {
    needs_root!();
    let sandbox = Sandbox::with([("in", "1")]);
    let dockerfile = "FROM busybox AS a\nCOPY in /in\nRUN echo same > /out\n\
                      FROM busybox\nCOPY --from=a /out /out\nRUN cat /out\n\
                      RUN --mount=from=a,source=/out,target=/m cat /m\n";
    assert_eq!(sandbox.build(dockerfile).ran().len(), 5);
    sandbox.write("in", "2");
    assert_eq!(sandbox.build(dockerfile).ran(), ["COPY in /in", "RUN echo same > /out"]);
}

#[test]
fn no_cache_runs_and_keeps_the_image_if_nothing_came_out_differently() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let dockerfile = "FROM busybox\nCOPY f /f\n";
    let first = sandbox.build(dockerfile);
    let mut request = sandbox.request(dockerfile);
    request.no_cache = gantry_solver::NoCache::All;
    let second = sandbox.run(request);
    assert_eq!(second.ran(), ["COPY f /f"]);
    assert_eq!(second.image().id, first.image().id);
}

#[test]
fn what_is_unwise_is_told_and_can_fail_the_build() {
    needs_root!();
    let sandbox = Sandbox::new();
    let text = "FROM busybox as one\nMAINTAINER me\nWORKDIR rel\n";
    let codes = |built: &crate::common::Built| {
        built.outcome.warnings.iter().filter_map(|w| w.code).collect::<Vec<_>>()
    };
    let built = sandbox.build(text);
    assert_eq!(codes(&built), ["FromAsCasing", "MaintainerDeprecated", "WorkdirRelativePath"]);
    let mut request = sandbox.request(text);
    let options = "skip=FromAsCasing,MaintainerDeprecated,WorkdirRelativePath;error=true";
    request.build_args.insert("BUILDKIT_DOCKERFILE_CHECK".into(), options.into());
    assert_eq!(codes(&sandbox.run(request)), Vec::<&str>::new());
    let error = sandbox.fail(&format!("# check=error=true\n{text}"));
    let text = crate::common::explain(&error);
    assert!(text.contains("lint violation found for rules: FromAsCasing"), "{text}");
}

#[test]
fn only_what_the_target_needs_is_built() {
    needs_root!();
    let sandbox = Sandbox::new();
    let dockerfile =
        "FROM busybox AS a\nRUN echo a\nFROM busybox AS b\nRUN false\nFROM a\nRUN echo c\n";
    assert_eq!(sandbox.build(dockerfile).ran(), ["RUN echo a", "RUN echo c"]);
    let mut request = sandbox.request(dockerfile);
    request.target = Some("a".into());
    assert_eq!(sandbox.run(request).ran(), NOBODY);
}

#[test]
fn names_do_not_make_another_image_and_move() {
    needs_root!();
    let sandbox = Sandbox::new();
    let build = |text: &str| {
        let mut request = sandbox.request(text);
        request.tags = vec!["app".parse().unwrap(), "registry.example/app:2".parse().unwrap()];
        sandbox.run(request)
    };
    let first = build("FROM busybox\nRUN echo 1\n");
    let names = |id: &gantry_image::Digest| {
        let image = sandbox.store.images().get(id).unwrap().unwrap();
        image.names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(names(&first.image().id).len(), 2);
    let untagged = sandbox.build("FROM busybox\nRUN echo 1\n");
    assert_eq!(untagged.image().id, first.image().id);
    let second = build("FROM busybox\nRUN echo 2\n");
    assert_eq!(names(&first.image().id), Vec::<String>::new());
    assert_eq!(names(&second.image().id).len(), 2);
    // Also after it was removed, a rebuild brings the same image back.
    sandbox.store.images().remove(&second.image().id.to_string(), true).unwrap();
    let back = sandbox.build("FROM busybox\nRUN echo 2\n");
    assert_eq!(back.image().id, second.image().id);
}

#[test]
fn a_build_upon_a_built_image_keeps_its_diff_ids() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut request = sandbox.request("FROM busybox\nRUN echo x > /x\n");
    request.tags = vec!["one".parse().unwrap()];
    request.source_date_epoch = Some(1_600_000_000);
    let one = sandbox.run(request);
    let two = sandbox.build("FROM one\nRUN echo y > /y\n");
    let three = {
        let mut request = sandbox.request("FROM one\nRUN echo y > /y\n");
        request.source_date_epoch = Some(1_500_000_000);
        sandbox.run(request)
    };
    let ids = one.config().rootfs.diff_ids.clone();
    assert_eq!(two.config().rootfs.diff_ids[..2], ids);
    assert_eq!(three.config().rootfs.diff_ids[..2], ids);
    assert_ne!(two.config().rootfs.diff_ids[2], three.config().rootfs.diff_ids[2]);
}
