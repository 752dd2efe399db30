//! What is asked of the store, and what it saves.

use gantry_solver::{Event, Graph, NoCache, Options, SolveError, VertexId, why::Why};

use crate::toys::{Builder, Toys, number};

/// base ─ build ─┐
///   └── final ── copy ── last
fn two_stages(step: &str) -> (Graph, VertexId) {
    let mut b = Builder::default();
    let base = b.stage("base").run("add 1 base", None);
    let build = b.stage("build").run(step, Some(base));
    let top = b.stage("final").run("add 2 top", Some(base));
    let copy = b.copy("/app", top, &[(build, 1)], false);
    let last = b.run("add 3 last", Some(copy));
    (b.take(), last)
}

#[test]
fn a_second_build_runs_nothing_and_asks_once_about_its_own_chain_only() {
    let toys = Toys::default();
    let (graph, target) = two_stages("add 4 build");
    let solved = toys.solve(graph, target).unwrap();
    assert_eq!(number(solved.snapshot(target).unwrap()), 3 + 2 + 1 + 5);
    assert_eq!(toys.work.take_ran().len(), 5);
    toys.store.take_questions();
    toys.ears.take();

    let (graph, target) = two_stages("add 4 build");
    let again = toys.solve(graph, target).unwrap();
    assert_eq!(again.snapshot(target), solved.snapshot(target));
    assert_eq!(toys.work.take_ran(), [""; 0]);
    // One question for four keys: last, copy, top, base. Nobody asks about the stage `build`.
    assert_eq!(toys.store.take_questions(), (1, 4));
    let events = toys.ears.take();
    let skipped = events.iter().filter(|e| matches!(e, Event::Skipped { .. })).count();
    let cached = events.iter().filter(|e| matches!(e, Event::Cached { .. })).count();
    assert_eq!((skipped, cached), (1, 4));
}

#[test]
fn a_stage_that_comes_out_the_same_reruns_nothing_that_copies_from_it() {
    let toys = Toys::default();
    let (graph, target) = two_stages("add 4 build");
    let solved = toys.solve(graph, target).unwrap();
    toys.work.take_ran();

    // Another command; the digit that is copied is the same.
    let (graph, target) = two_stages("add 14 build");
    let again = toys.solve(graph, target).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 14 build"]);
    assert_eq!(again.snapshot(target), solved.snapshot(target));

    // And another digit.
    let (graph, target) = two_stages("add 5 build");
    toys.solve(graph, target).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 5 build", "copy /app", "add 3 last"]);
}

#[test]
fn what_was_found_by_content_is_found_by_recipe_the_next_time() {
    let toys = Toys::default();
    for step in ["add 4 build", "add 14 build", "add 14 build"] {
        let (graph, target) = two_stages(step);
        toys.work.take_ran();
        toys.store.take_questions();
        toys.solve(graph, target).unwrap();
    }
    assert_eq!(toys.work.take_ran(), [""; 0]);
    // As if nothing had ever come out differently: nobody looks into the stage `build`.
    assert_eq!(toys.store.take_questions(), (1, 4));
}

#[test]
fn a_step_above_a_base_that_came_out_differently_runs_again() {
    let toys = Toys::default();
    let chain = || {
        let mut b = Builder::default();
        let low = b.run("add 1 low", None);
        let high = b.run("add 2 high", Some(low));
        (b.take(), low, high)
    };
    let (graph, low, high) = chain();
    let solved = toys.solve(graph, high).unwrap();
    let key = solved.key(low).unwrap();
    toys.work.take_ran();

    // The base's record was pruned, but it comes out the same: the step above holds.
    toys.store.forget(key);
    toys.solve(chain().0, high).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 1 low"]);

    // And now it comes out with other times.
    toys.store.forget(key);
    *toys.work.salt.lock().unwrap() = 1;
    toys.solve(chain().0, high).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 1 low", "add 2 high"]);
}

#[test]
fn a_changed_context_reruns_what_takes_from_it_and_says_why() {
    let build = || {
        let mut b = Builder::default();
        let (a, c) = (b.context("a"), b.context("c"));
        let base = b.run("add 1 base", None);
        let first = b.copy("/a", base, &[(a, 9)], false);
        let second = b.copy("/c", first, &[(c, 9)], false);
        (b.take(), second)
    };
    let toys = Toys::default().context("a", 10).context("c", 100);
    let (graph, target) = build();
    assert_eq!(number(toys.solve(graph, target).unwrap().snapshot(target).unwrap()), 111);
    toys.work.take_ran();
    toys.ears.take();

    let toys = toys.context("c", 200);
    let (graph, target) = build();
    assert_eq!(number(toys.solve(graph, target).unwrap().snapshot(target).unwrap()), 211);
    assert_eq!(toys.work.take_ran(), ["copy /c"]);
    let why = toys.ears.take().into_iter().find_map(|event| match event {
        Event::Missed { why, .. } => Some(why),
        _ => None,
    });
    let Some(Why::Changed { differences, more: 0 }) = why else { panic!("{why:?}") };
    assert_eq!(differences[0].path, ["input", "source 0", "content", "file"]);
    assert_eq!(differences[0].to_string(), "`file` changed");
}

#[test]
fn no_cache_runs_everything_once_and_records_it() {
    let toys = Toys::default();
    let all = Options { jobs: 2, no_cache: NoCache::All, ..Options::default() };
    for _ in 0..2 {
        let (graph, target) = two_stages("add 4 build");
        toys.solve_with(graph, &[target], &all).unwrap();
        assert_eq!(toys.work.take_ran().len(), 5);
    }
    let (graph, target) = two_stages("add 4 build");
    toys.solve(graph, target).unwrap();
    assert_eq!(toys.work.take_ran(), [""; 0]);
}

#[test]
fn no_cache_for_a_stage_reruns_it_and_what_it_changes() {
    let toys = Toys::default();
    let (graph, target) = two_stages("add 4 build");
    toys.solve(graph, target).unwrap();
    toys.work.take_ran();

    let stage = NoCache::Stages(vec!["BUILD".into()]);
    let options = Options { jobs: 2, no_cache: stage, ..Options::default() };
    let (graph, target) = two_stages("add 4 build");
    toys.solve_with(graph, &[target], &options).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 4 build"]);
}

#[test]
fn a_probe_runs_nothing_and_says_what_would_run() {
    let toys = Toys::default();
    let probe = Options { probe_only: true, ..Options::default() };
    let (graph, target) = two_stages("add 4 build");
    let error = toys.solve_with(graph, &[target], &probe).unwrap_err();
    let SolveError::WouldRun(steps) = error else { panic!("{error}") };
    assert_eq!(steps.len(), 1);
    assert_eq!(toys.work.take_ran(), [""; 0]);

    let (graph, target) = two_stages("add 4 build");
    toys.solve(graph, target).unwrap();
    let (graph, target) = two_stages("add 4 build");
    assert!(toys.solve_with(graph, &[target], &probe).is_ok());
}

#[test]
fn a_linked_copy_holds_on_any_base() {
    let build = |step: &str| {
        let mut b = Builder::default();
        let base = b.run(step, None);
        let context = b.context("a");
        let copy = b.copy("/a", base, &[(context, 9)], true);
        (b.take(), base, copy)
    };
    let toys = Toys::default().context("a", 10);
    let (graph, _, target) = build("add 1");
    toys.solve(graph, target).unwrap();
    assert_eq!(toys.work.take_ran().len(), 2);
    let (graph, base, target) = build("add 2");
    let solved = toys.solve(graph, target).unwrap();
    assert_eq!(toys.work.take_ran(), ["add 2"]);
    let layers = solved.snapshot(target).unwrap().layers();
    assert_eq!(layers[..1], *solved.own(base).unwrap());
    assert_eq!(layers[1..], *solved.own(target).unwrap());
}

#[test]
fn stages_that_are_only_copied_from_are_read_lazily_but_sources_always() {
    let toys = Toys::default().context("a", 7);
    let build = || {
        let mut b = Builder::default();
        let context = b.context("a");
        let stage = b.run("add 1 stage", None);
        let stage = b.copy("/in", stage, &[(context, 9)], false);
        let base = b.run("add 2 base", None);
        let target = b.copy("/out", base, &[(stage, 9)], false);
        (b.take(), target)
    };
    for ran in [4, 0] {
        let (graph, target) = build();
        toys.solve(graph, target).unwrap();
        assert_eq!(toys.work.take_ran().len(), ran);
        let read = std::mem::take(&mut *toys.work.read.lock().unwrap());
        assert_eq!(read, ["context a"]);
    }
    assert_eq!(*toys.work.narrowed.lock().unwrap(), 1);
}
