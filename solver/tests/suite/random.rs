//! Random graphs, against a reference that does everything in sequence.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gantry_solver::{
    CancelToken, Event, Fate, Graph, NoCache, Options, Role, SolveError, VertexId, plan,
};
use proptest::prelude::*;

use crate::toys::{Builder, Toys, number};

/// A vertex: what it adds, and on which earlier ones it depends (taken modulo their number).
#[derive(Debug, Clone)]
struct Plan {
    kind: u8,
    adds: u64,
    base: Option<usize>,
    others: Vec<(usize, u32)>,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (
        0..10_u8,
        0..4_u64,
        prop::option::weighted(0.8, any::<usize>()),
        prop::collection::vec((any::<usize>(), 1..3_u32), 0..3),
    );
    let plan = plan.prop_map(|(kind, adds, base, others)| Plan { kind, adds, base, others });
    prop::collection::vec(plan, 1..14)
}

/// Builds the graph and, beside it, the value of each vertex and whether it can be one's base.
fn build(plans: &[Plan], contexts: &[u64]) -> (Graph, Vec<VertexId>, BTreeMap<VertexId, u64>) {
    let mut b = Builder::default();
    let mut ids: Vec<VertexId> = Vec::new();
    let mut values: BTreeMap<VertexId, u64> = BTreeMap::new();
    let mut steps: Vec<VertexId> = Vec::new();
    for plan in plans {
        let base = plan.base.filter(|_| !steps.is_empty()).map(|n| steps[n % steps.len()]);
        let others: Vec<_> = plan
            .others
            .iter()
            .filter(|_| !ids.is_empty())
            .map(|(n, digits)| (ids[n % ids.len()], *digits))
            .collect();
        let taken = |values: &BTreeMap<VertexId, u64>| -> u64 {
            others.iter().map(|(v, digits)| values[v] % 10_u64.pow(*digits)).sum()
        };
        let (id, value) = match (plan.kind, base) {
            (0..2, _) => {
                let name = usize::try_from(plan.adds).unwrap() % contexts.len();
                (b.context(&name.to_string()), contexts[name])
            }
            (2..5, Some(base)) => {
                let id = b.copy("/x", base, &others, false);
                (id, values[&base] + taken(&values))
            }
            (5, Some(base)) => (b.mkdir(&format!("/{}", plan.adds), base), values[&base] + 1),
            (_, base) => {
                let id = b.run_with(&format!("add {}", plan.adds), base, &others);
                let below = base.map_or(0, |base| values[&base]);
                (id, below + taken(&values) + plan.adds)
            }
        };
        values.insert(id, value);
        ids.push(id);
        if !b.graph.vertex(id).op.is_source() {
            steps.push(id);
        }
    }
    (b.take(), ids, values)
}

/// What a step is to the reference: its operation and the values of what it takes, all the way
/// down. Two steps that are equal here must run once.
fn identity(
    graph: &Graph,
    values: &BTreeMap<VertexId, u64>,
    known: &mut HashMap<VertexId, String>,
    id: VertexId,
) -> String {
    if let Some(known) = known.get(&id) {
        return known.clone();
    }
    let op = &graph.vertex(id).op;
    let mut text =
        if op.is_source() { format!("context={}", values[&id]) } else { crate::toys::name(op) };
    for (role, input) in graph.inputs(id) {
        let selection = gantry_solver::key::preimage::selection(op, role);
        let digits = selection.and_then(|s| s.paths[0].pattern.parse::<u32>().ok());
        text += &match (role, digits) {
            (Role::Base, _) => format!(" base({})", identity(graph, values, known, input)),
            // Contexts count as a whole, stages by what is taken from them.
            (role, Some(digits)) if !graph.vertex(input).op.is_source() => {
                format!(" {role}:{digits}({})", values[&input] % 10_u64.pow(digits))
            }
            (role, digits) => {
                format!(" {role}:{digits:?}({})", identity(graph, values, known, input))
            }
        };
    }
    known.insert(id, text.clone());
    text
}

/// The steps that must run to make `target` if `done` were made before.
fn must_run(
    graph: &Graph,
    values: &BTreeMap<VertexId, u64>,
    target: VertexId,
    done: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut known = HashMap::new();
    graph
        .reachable(&[target])
        .into_iter()
        .filter(|id| !graph.vertex(*id).op.is_source())
        .map(|id| identity(graph, values, &mut known, id))
        .filter(|identity| !done.contains(identity))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_and_steps_are_those_of_the_reference(
        plans in plans(),
        first in prop::collection::vec(0..40_u64, 3),
        second in prop::collection::vec(0..40_u64, 3),
        jobs in 1..4_usize,
    ) {
        let mut toys = Toys::default();
        let mut done = BTreeSet::new();
        let options = Options { jobs, ..Options::default() };
        // A build, one after a change, and the first once more.
        for contexts in [&first, &second, &first] {
            for (name, number) in contexts.iter().enumerate() {
                toys = toys.context(&name.to_string(), *number);
            }
            let (graph, ids, values) = build(&plans, contexts);
            let target = *ids.last().unwrap();
            prop_assume!(!graph.vertex(target).op.is_source());
            let expected = must_run(&graph, &values, target, &done);
            let (again, ..) = build(&plans, contexts);
            let solved = toys.solve_with(graph, &[target], &options).unwrap();
            prop_assert_eq!(number(solved.snapshot(target).unwrap()), values[&target]);

            let mut known = HashMap::new();
            let ran: Vec<String> =
                solved.ran().iter().map(|id| identity(&again, &values, &mut known, *id)).collect();
            let ran_once: BTreeSet<String> = ran.iter().cloned().collect();
            prop_assert_eq!(ran.len(), ran_once.len(), "a step ran twice: {:?}", ran);
            prop_assert_eq!(&ran_once, &expected);
            done.extend(ran_once);

            // The same build once more runs nothing.
            let solved = toys.solve_with(again, &[target], &options).unwrap();
            prop_assert_eq!(solved.ran(), &[][..]);
            prop_assert_eq!(number(solved.snapshot(target).unwrap()), values[&target]);
        }
    }
}

/// What happens to a build.
#[derive(Debug, Clone)]
enum Fortune {
    /// Nothing bad.
    Good,
    /// Steps that add this number fail.
    Fails(u64),
    /// It is canceled after so many steps.
    Canceled(usize),
    /// Everything was pruned before it.
    Pruned,
}

fn fortunes() -> impl Strategy<Value = Fortune> {
    prop_oneof![
        2 => Just(Fortune::Good),
        2 => (0..4_u64).prop_map(Fortune::Fails),
        2 => (0..5_usize).prop_map(Fortune::Canceled),
        1 => Just(Fortune::Pruned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Builds that fail, are canceled, or find their cache pruned: what ran is what the reference
    /// runs, or as much of it as was possible; nothing runs twice, and a dry run told the truth.
    #[test]
    fn bad_fortune_leaves_nothing_wrong_behind(
        plans in plans(),
        builds in prop::collection::vec((fortunes(), prop::collection::vec(0..20_u64, 3)), 1..6),
        jobs in 1..4_usize,
    ) {
        let mut toys = Toys::default();
        let mut done = BTreeSet::new();
        let options = Options { jobs, ..Options::default() };
        let last = (Fortune::Good, vec![1, 2, 3]);
        for (fortune, contexts) in builds.iter().chain([&last]) {
            for (name, number) in contexts.iter().enumerate() {
                toys = toys.context(&name.to_string(), *number);
            }
            let (graph, ids, values) = build(&plans, contexts);
            let target = *ids.last().unwrap();
            prop_assume!(!graph.vertex(target).op.is_source());
            let cancel = CancelToken::new();
            toys.work.failing.lock().unwrap().clear();
            *toys.work.cancel_after.lock().unwrap() = None;
            match fortune {
                Fortune::Good => {}
                Fortune::Fails(number) => {
                    toys.work.failing.lock().unwrap().insert(format!("add {number}"));
                }
                Fortune::Canceled(after) => {
                    *toys.work.cancel_after.lock().unwrap() = Some((*after, cancel.clone()));
                }
                Fortune::Pruned => {
                    toys.store.records.lock().unwrap().clear();
                    done.clear();
                }
            }
            let expected = must_run(&graph, &values, target, &done);
            let (again, ..) = build(&plans, contexts);
            let mut known = HashMap::new();
            let mut name = |id: VertexId| identity(&again, &values, &mut known, id);
            let failing = again
                .reachable(&[target])
                .into_iter()
                .filter(|id| {
                    let text = crate::toys::name(&again.vertex(*id).op);
                    toys.work.failing.lock().unwrap().contains(&text)
                })
                .map(&mut name)
                .any(|identity| expected.contains(&identity));

            for planned in plan(&graph, &[target], &toys.world(), &NoCache::Never).unwrap() {
                if graph.vertex(planned.vertex).op.is_source() {
                    continue;
                }
                let runs = expected.contains(&name(planned.vertex));
                match planned.fate {
                    Fate::Runs => prop_assert!(runs, "{} does not run", name(planned.vertex)),
                    Fate::Cached => prop_assert!(!runs, "{} runs", name(planned.vertex)),
                    Fate::MayRun => {}
                }
            }

            toys.ears.take();
            let result = toys.solve_until(graph, &[target], &options, &cancel);
            let made: Vec<String> = toys
                .ears
                .take()
                .into_iter()
                .filter_map(|event| match event {
                    Event::Done { vertex, .. } => Some(vertex),
                    _ => None,
                })
                .filter(|vertex| !again.vertex(*vertex).op.is_source())
                .map(&mut name)
                .collect();
            let once: BTreeSet<String> = made.iter().cloned().collect();
            prop_assert_eq!(made.len(), once.len(), "something ran twice");
            prop_assert!(once.is_subset(&expected), "{:?} ran besides {:?}", once, expected);
            match result {
                Ok(solved) => {
                    prop_assert!(!failing);
                    prop_assert_eq!(number(solved.snapshot(target).unwrap()), values[&target]);
                    prop_assert_eq!(&once, &expected);
                }
                Err(SolveError::Failed(_)) => prop_assert!(failing, "it failed for nothing"),
                Err(SolveError::Canceled) => {
                    prop_assert!(matches!(fortune, Fortune::Canceled(_)));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
            done.extend(once);
        }
    }
}
