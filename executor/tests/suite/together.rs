//! Several builds at once, builds that are ended early, and hosts without overlay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_executor::{BuildError, Snapshotter, build};
use gantry_solver::{CancelToken, Event, Observer};

use crate::common::{Heard, Sandbox};

#[test]
fn two_builds_at_once_run_each_step_once() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let dockerfile = "FROM busybox\nRUN sleep 0.3; echo 1\nCOPY f /f\nRUN sleep 0.1; echo 2\n";
    let builds: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| sandbox.build(dockerfile))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let ran: usize = builds.iter().map(|built| built.outcome.stats.ran.len()).sum();
    assert_eq!(ran, 3);
    assert!(builds.iter().all(|built| built.image().id == builds[0].image().id));
    sandbox.assert_clean();
}

#[test]
fn stages_run_side_by_side() {
    needs_root!();
    let sandbox = Sandbox::new();
    let mut request = sandbox.request(
        "FROM busybox AS a\nRUN sleep 0.7; echo a > /a\nFROM busybox AS b\nRUN sleep 0.7; echo b > /b\n\
         FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n",
    );
    request.jobs = 4;
    let started = Instant::now();
    sandbox.run(request);
    assert!(started.elapsed() < Duration::from_millis(1350), "{:?}", started.elapsed());
}

#[test]
fn a_canceled_build_kills_its_steps_and_leaves_nothing() {
    needs_root!();
    let sandbox = Sandbox::new();
    let request = sandbox.request("FROM busybox\nRUN sleep 123.25 & sleep 123.25\n");
    let cancel = CancelToken::new();
    let heard = Arc::new(Heard::default());
    let started = Instant::now();
    std::thread::scope(|scope| {
        let (token, seen) = (cancel.clone(), Arc::clone(&heard));
        scope.spawn(move || {
            let running = |event: &Event| matches!(event, Event::Started { .. });
            while !seen.0.lock().unwrap().iter().any(running) {
                std::thread::sleep(Duration::from_millis(5));
            }
            std::thread::sleep(Duration::from_millis(300));
            token.cancel();
        });
        let observer: Arc<dyn Observer> = Arc::clone(&heard) as _;
        let result = build(request, &sandbox.store, &sandbox.host, observer, &cancel);
        assert!(matches!(result, Err(BuildError::Canceled)), "{result:?}");
    });
    assert!(started.elapsed() < Duration::from_secs(20));
    let left = fs_err::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(6).any(|window| window == b"123.25")
    });
    assert!(!left, "a process of the step still runs");
    sandbox.assert_clean();
}

/// Writes to a file of the context as soon as a step has begun.
struct Meddler {
    file: std::path::PathBuf,
    heard: Heard,
}

impl Observer for Meddler {
    fn event(&self, event: Event) {
        let is_copy = |event: &Event| match event {
            Event::VertexAdded { title, .. } => title.contains("COPY").then(|| event.clone()),
            _ => None,
        };
        if let Event::Started { vertex } = &event {
            let heard = self.heard.0.lock().unwrap();
            let copies = heard.iter().filter_map(is_copy).any(
                |added| matches!(added, Event::VertexAdded { vertex: copy, .. } if copy == *vertex),
            );
            if copies {
                fs_err::write(&self.file, "meddled").unwrap();
            }
        }
        self.heard.event(event);
    }
}

#[test]
fn a_file_that_changes_under_the_build_is_never_recorded_as_what_it_was() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "before!")]);
    let file = sandbox.context().join("f");
    let dockerfile = "FROM busybox\nCOPY f /f\n";
    let meddler = Meddler { file, heard: Heard::default() };
    let request = sandbox.request(dockerfile);
    let result =
        build(request, &sandbox.store, &sandbox.host, Arc::new(meddler), &CancelToken::new());
    let text = crate::common::explain(&result.expect_err("the file changed"));
    assert!(text.contains("`f` changed while it was being read"), "{text}");
    sandbox.write("f", "before!");
    let built = sandbox.build(dockerfile);
    assert_eq!(built.ran(), ["COPY f /f"]);
    assert_eq!(built.text("f"), "before!");
    sandbox.assert_clean();
}

#[test]
fn more_layers_than_overlay_takes_are_merged() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let copies: String = (0..455).map(|n| format!("COPY f /many/{n}\n")).collect();
    let built = sandbox.build(&format!("FROM busybox\n{copies}RUN ls /many | wc -l > /count\n"));
    assert_eq!(built.text("count"), "455\n");
    assert_eq!(built.image().layers.len(), 457);
}

#[test]
fn copying_gives_what_overlay_gives() {
    needs_root!();
    let sandbox = Sandbox::with([("f", "x")]);
    let dockerfile = "FROM busybox\n\
        RUN mkdir -p /d/e && echo a > /d/a && echo b > /d/e/b && ln /d/a /d/h && ln -s a /d/l\n\
        RUN rm /d/a && rm -r /d/e && echo file > /d/e && chmod 700 /d && touch /etc/passwd\n\
        COPY f /d/\n\
        RUN rm -r /d && mkdir /d && echo new > /d/n && chown app /d/n\n";
    let over = sandbox.build(dockerfile);
    // Layers that were not unpacked, in either way, their trees, and copies of those.
    for snapshotter in [Snapshotter::Attached, Snapshotter::Trees, Snapshotter::Copying] {
        let mut request = sandbox.request(dockerfile);
        request.snapshotter = snapshotter;
        request.no_cache = gantry_solver::NoCache::All;
        assert_alike(&over, &sandbox.run(request));
    }
    sandbox.assert_clean();
}

#[track_caller]
fn assert_alike(over: &crate::common::Built, copied: &crate::common::Built) {
    let strip = |built: &crate::common::Built| {
        let mut files = built.files();
        for entry in files.values_mut() {
            entry.mtime = gantry_tree::Time::default();
        }
        files
    };
    for (path, entry) in strip(over) {
        assert_eq!(strip(copied).get(&path), Some(&entry));
    }
    assert_eq!(over.files().len(), copied.files().len());
    let layers = |built: &crate::common::Built| built.image().layers.len();
    assert_eq!(layers(over), layers(copied));
    assert_eq!(over.own_paths(), copied.own_paths());
}
