//! What runs when.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gantry_solver::{Event, Nearest, Options, Place, VertexId};

use crate::toys::{Builder, Meeting, Toys, number};

#[test]
fn independent_steps_run_at_the_same_time_up_to_the_limit() {
    for jobs in [1, 2, 3] {
        let toys = Toys::default();
        let mut b = Builder::default();
        let base = b.run("add 1 base", None);
        let meeting = Arc::new(Meeting::default());
        let sides: Vec<_> = (0..3)
            .map(|n| {
                let step = format!("add {n} side");
                let meeting = meeting.clone();
                // With one worker nobody can be met.
                toys.work.during(&step, move |_| assert!(jobs == 1 || meeting.wait(jobs)));
                (b.run(&step, Some(base)), 9)
            })
            .collect();
        let target = b.run_with("add 0 target", Some(base), &sides);
        let options = Options { jobs, ..Options::default() };
        let solved = toys.solve_with(b.take(), &[target], &options).unwrap();
        assert_eq!(number(solved.snapshot(target).unwrap()), 1 + (1 + 2 + 3));
        assert_eq!(toys.work.now.lock().unwrap().1, jobs);
    }
}

#[test]
fn the_step_with_the_longest_path_ahead_runs_first() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let short = b.run("add 1 short", Some(base));
    let long = b.run("add 2 long", Some(base));
    let longer = b.run("add 3 longer", Some(long));
    let target = b.run_with("add 0 target", Some(longer), &[(short, 9)]);
    toys.solve_with(b.take(), &[target], &Options::default()).unwrap();
    let ran = toys.work.take_ran();
    assert_eq!(
        ran,
        ["add 1 base", "add 2 long", "add 1 short", "add 3 longer", "add 0 target"]
            .map(str::to_owned)
    );
}

#[test]
fn measured_times_of_earlier_runs_count() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let quick = b.run("add 1 quick", Some(base));
    let slow = b.run("add 2 slow", Some(base));
    let target = b.run_with("add 0 target", Some(base), &[(quick, 9), (slow, 9)]);
    let place = Place { stage: "".into(), position: 2, text: "add 2 slow".into() };
    let nearest = Nearest { preimage: Arc::from([]), took: Duration::from_secs(60), gone: None };
    toys.store.places.lock().unwrap().insert(place, nearest);
    toys.solve_with(b.take(), &[target], &Options::default()).unwrap();
    assert_eq!(toys.work.take_ran()[1], "add 2 slow");
}

#[test]
fn a_linked_copy_does_not_wait_for_its_base() {
    let toys = Toys::default().context("a", 10);
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let context = b.context("a");
    let copy = b.copy("/a", base, &[(context, 9)], true);
    let meeting = Arc::new(Meeting::default());
    for step in ["add 1 base", "copy /a"] {
        let meeting = meeting.clone();
        toys.work.during(step, move |_| assert!(meeting.wait(2)));
    }
    toys.solve(b.take(), copy).unwrap();
}

#[test]
fn identical_vertices_are_one() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let one = b.run("add 2", Some(base));
    let two = b.run("add 2", Some(base));
    assert_eq!(one, two);
    let other = b.run("add 3", Some(base));
    assert_ne!(one, other);
    let target = b.run_with("add 0", Some(base), &[(one, 9), (two, 9)]);
    let solved = toys.solve(b.take(), target).unwrap();
    assert_eq!(number(solved.snapshot(target).unwrap()), 1 + 3 + 3);
    assert_eq!(toys.work.take_ran().len(), 3);
}

#[test]
fn steps_that_turn_out_to_be_identical_run_once() {
    // Two contexts with other names and the same content.
    let toys = Toys::default().context("a", 10).context("b", 10);
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let sides: Vec<_> = ["a", "b"]
        .map(|name| {
            let context = b.context(name);
            (b.copy("/same", base, &[(context, 9)], false), 9)
        })
        .to_vec();
    let target = b.run_with("add 0", Some(base), &sides);
    let options = Options { jobs: 4, ..Options::default() };
    toys.work.during("copy /same", |_| std::thread::sleep(Duration::from_millis(20)));
    let solved = toys.solve_with(b.take(), &[target], &options).unwrap();
    assert_eq!(number(solved.snapshot(target).unwrap()), 1 + 11 + 11);
    assert_eq!(toys.work.take_ran(), ["add 1 base", "copy /same", "add 0"]);
}

#[test]
fn while_a_download_is_awaited_other_steps_run() {
    let toys = Toys::default().context("u", 5);
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let http = b.http("u");
    let target = b.copy("/u", base, &[(http, 9)], false);
    let meeting = Arc::new(Meeting::default());
    for step in ["http u", "add 1 base"] {
        let meeting = meeting.clone();
        toys.work.during(step, move |_| assert!(meeting.wait(2)));
    }
    let solved = toys.solve(b.take(), target).unwrap();
    assert_eq!(number(solved.snapshot(target).unwrap()), 6);
}

#[test]
fn only_what_the_target_needs_is_looked_at() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let _missing = b.context("missing");
    let _other = b.run("fail 1", Some(base));
    toys.solve(b.take(), base).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 1 base"]);
}

#[test]
fn several_targets_share_what_they_have_in_common() {
    let toys = Toys::default();
    let mut b = Builder::default();
    let base = b.run("add 1 base", None);
    let (one, two) = (b.run("add 1", Some(base)), b.run("add 2", Some(base)));
    let solved = toys.solve_with(b.take(), &[one, two], &Options::default()).unwrap();
    let numbers = [one, two].map(|v| number(solved.snapshot(v).unwrap()));
    assert_eq!((numbers, solved.ran().len()), ([2, 3], 3));
}

#[test]
fn a_chain_of_thousands_is_no_matter() {
    let toys = Toys::default();
    let build = || {
        let mut b = Builder::default();
        let mut last = b.run("add 1", None);
        for n in 0..3_000 {
            last = b.mkdir(&format!("/{n}"), last);
        }
        (b.take(), last)
    };
    for ran in [3_001, 0] {
        let (graph, target) = build();
        let solved = toys.solve(graph, target).unwrap();
        assert_eq!(number(solved.snapshot(target).unwrap()), 3_001);
        assert_eq!(toys.work.take_ran().len(), ran);
    }
}

#[test]
fn events_of_a_vertex_come_in_order() {
    let toys = Toys::default().context("a", 1);
    let build = || {
        let mut b = Builder::default();
        let context = b.context("a");
        let base = b.run("add 1 base", None);
        let copy = b.copy("/a", base, &[(context, 9)], false);
        (b.take(), [context, base, copy])
    };
    let kinds = |events: &[Event], vertex: VertexId| -> Vec<&'static str> {
        let kind = |event: &Event| match event {
            Event::VertexAdded { vertex: v, .. } if *v == vertex => Some("added"),
            Event::Started { vertex: v } if *v == vertex => Some("started"),
            Event::Missed { vertex: v, .. } if *v == vertex => Some("missed"),
            Event::Log { vertex: v, .. } if *v == vertex => Some("log"),
            Event::Done { vertex: v, .. } if *v == vertex => Some("done"),
            Event::Cached { vertex: v } if *v == vertex => Some("cached"),
            _ => None,
        };
        events.iter().filter_map(kind).collect()
    };
    let told = Arc::new(AtomicBool::new(false));
    let tell = told.clone();
    toys.work.during("add 1 base", move |task| {
        task.events.log(gantry_solver::Stream::Stdout, b"hello");
        tell.store(true, Ordering::SeqCst);
    });
    let (graph, [context, base, copy]) = build();
    toys.solve(graph, copy).unwrap();
    let events = toys.ears.take();
    assert!(told.load(Ordering::SeqCst));
    assert_eq!(kinds(&events, context), ["added", "started", "done"]);
    assert_eq!(kinds(&events, base), ["added", "started", "missed", "log", "done"]);
    assert_eq!(kinds(&events, copy), ["added", "started", "missed", "done"]);
    let (graph, [_, base, copy]) = build();
    toys.solve(graph, copy).unwrap();
    let events = toys.ears.take();
    assert_eq!(kinds(&events, base), ["added", "cached"]);
    assert_eq!(kinds(&events, copy), ["added", "cached"]);
    let json = serde_json::to_string(&events).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Event>>(&json).unwrap(), events);
}
