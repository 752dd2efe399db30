//! Explaining why a step has to run: its preimage with all details, held against earlier ones.

use crate::{
    graph::Role,
    key::{InputId, Key, Value, preimage},
    op::Op,
    scheduler::World,
    store::{Nearest, Snapshot},
    why::{Case, Why},
};

/// What is known of one input of a step.
pub(super) struct InputFact {
    pub(super) role: Role,
    pub(super) recipe_key: Key,
    /// Its content key, if it is known.
    pub(super) content_key: Option<Key>,
    /// The title of what makes it.
    pub(super) title: String,
    /// What a source was found to hold.
    pub(super) source: Option<[u8; 32]>,
    /// The digest of what the step takes from it.
    pub(super) content: Option<[u8; 32]>,
}

/// Returns the encoded preimage of a step's recipe key, with details, `input` giving an input's operation
/// and its layers, if they are there.
pub(super) fn detailed<'a>(
    world: &World,
    op: &Op,
    inputs: &[InputFact],
    input: impl Fn(Role) -> Option<(&'a Op, Option<&'a Snapshot>)>,
) -> Vec<u8> {
    let counts = |fact: &&InputFact| fact.role != Role::Base || preimage::depends_on_base(op);
    let ids = inputs.iter().filter(counts).map(|fact| {
        let detail =
            input(fact.role).and_then(|(of, snapshot)| detail(world, op, fact, of, snapshot));
        (fact.role, InputId::Key(fact.recipe_key, detail))
    });
    preimage::of_step(op, ids).encode()
}

/// Returns what an input's key stands for, as far as that helps to explain a change.
fn detail(
    world: &World,
    op: &Op,
    fact: &InputFact,
    of: &Op,
    snapshot: Option<&Snapshot>,
) -> Option<Value> {
    if of.is_source() && fact.content.is_none() {
        let content = fact.source.map(|digest| (digest, world.work.describe(of)));
        return preimage::of_source(of, content).map(|preimage| preimage.0);
    }
    let Some(digest) = fact.content else {
        if fact.role != Role::Base {
            return None;
        }
        // However it came about: with this key it is the same.
        return Some(Value::tree([("key", fact.content_key?.into())]));
    };
    let selection = preimage::selection(op, fact.role).unwrap_or_default();
    let parts = snapshot.and_then(|s| world.work.describe_content(s, &selection)).map(Box::new);
    Some(Value::tree([("content", Value::Digest(digest, parts))]))
}

/// Compares with the nearest earlier run.
pub(super) fn why(
    nearest: Option<&Nearest>,
    now: &[u8],
    op: &Op,
    inputs: &[InputFact],
    rebased: bool,
) -> Why {
    let titles: Vec<_> = inputs.iter().map(|fact| (fact.role, fact.title.clone())).collect();
    Why::compare(nearest, now, &Case { op, titles: &titles, rebased })
}
