//! What a build would run, and why, without running anything.
//!
//! Follows the same three lookups as [`solve`](super::solve), but knows less: what a step would
//! make that would run is not known, so what copies from it may or may not have to run.

use std::collections::HashMap;

use crate::{
    cancel::CancelToken,
    graph::{Graph, Role, VertexId},
    key::{InputId, Key, preimage},
    op::Op,
    scheduler::{
        NoCache, World, explain,
        facts::{Facts, is_taken_from},
        jobs::fits,
    },
    store::{Cached, Snapshot},
    why::Why,
    work::{Events, StepError},
};

/// What would become of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The store has its result.
    Cached,
    /// It would run.
    Runs,
    /// It would run, unless a step that it copies from would come out as before.
    MayRun,
}

/// A step that a build would come to.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Which.
    pub vertex: VertexId,
    /// What would become of it.
    pub fate: Fate,
    /// Why, unless it is cached, or depends on what has not been fetched.
    pub why: Option<Why>,
}

/// What is known of a vertex when nothing may run.
#[derive(Clone)]
struct Known {
    fate: Fate,
    /// Its layers, unless they would have to be made.
    snapshot: Option<Snapshot>,
    /// Its content key, as far as it can be told.
    content_key: Option<Key>,
    /// Whether its recipe key was in the store, so that only its base is of interest.
    by_recipe: bool,
    why: Option<Why>,
}

/// Says what would run to bring about `targets`. Reads contexts, and fetches nothing: what depends
/// on a download or a repository may have to run. Blocks.
///
/// # Errors
/// When a context or the store can't be read.
pub fn plan(
    graph: &Graph,
    targets: &[VertexId],
    world: &World,
    no_cache: &NoCache,
) -> Result<Vec<Planned>, StepError> {
    let reachable = graph.reachable(targets);
    let mut facts = Facts::new(graph, &reachable, no_cache);
    for &vertex in &reachable {
        if let Op::Context(_) = &graph.vertex(vertex).op {
            let events = Events::new(world.observer.clone(), vertex);
            let op = &graph.vertex(vertex).op;
            let answer = world.work.source(op, &events, &CancelToken::new())?;
            facts.set_source(graph, vertex, answer.digest);
        }
    }
    let mut planner =
        Planner { graph, world, recipes: HashMap::new(), known: HashMap::new(), facts };
    planner.look_up(&reachable)?;
    for &vertex in &reachable {
        let known = planner.look_at(vertex)?;
        planner.known.insert(vertex, known);
    }
    Ok(planner.needed(&reachable, targets))
}

struct Planner<'a> {
    graph: &'a Graph,
    world: &'a World,
    facts: Facts,
    /// What the store has by recipe key.
    recipes: HashMap<VertexId, Cached>,
    known: HashMap<VertexId, Known>,
}

impl Planner<'_> {
    fn look_up(&mut self, reachable: &[VertexId]) -> Result<(), StepError> {
        let asked: Vec<(VertexId, Key)> = reachable
            .iter()
            .filter(|id| !self.graph.vertex(**id).op.is_source() && self.facts.of(**id).may_ask())
            .filter_map(|id| Some((*id, self.facts.of(*id).recipe_key?)))
            .collect();
        let keys: Vec<Key> = asked.iter().map(|(_, key)| *key).collect();
        let found = self.world.store.lookup(&keys)?;
        let hits = asked.iter().zip(found).filter_map(|((id, _), cached)| Some((*id, cached?)));
        self.recipes = hits.collect();
        Ok(())
    }

    /// All inputs of a vertex have been looked at.
    fn look_at(&self, id: VertexId) -> Result<Known, StepError> {
        let (op, fact) = (&self.graph.vertex(id).op, self.facts.of(id));
        if op.is_source() {
            let snapshot = match op {
                Op::Image(image) => Some(image.layers.iter().copied().collect()),
                Op::Scratch | Op::Context(_) => Some(Snapshot::default()),
                _ => None,
            };
            let fate = if snapshot.is_some() { Fate::Cached } else { Fate::MayRun };
            let content_key = fact.recipe_key;
            return Ok(Known { fate, snapshot, content_key, by_recipe: false, why: None });
        }
        let base = fact.base().and_then(|base| self.known.get(&base));
        let below = match fact.base() {
            Some(_) => base.and_then(|base| base.snapshot.clone()),
            None => Some(Snapshot::default()),
        };
        if let Some(cached) = self.recipes.get(&id) {
            match &below {
                Some(below) if fits(cached, Some(below.id())) => {
                    return Ok(found(cached, below, true));
                }
                // What is below would be made again, and may come out as it was.
                None => return self.missed(id, Fate::MayRun, None, true),
                Some(_) => {}
            }
        }
        let inputs = fact.needed_to_run();
        let content_key = self.content_key(id, &inputs)?;
        if let (Some(key), false) = (content_key, fact.fresh)
            && let Some(cached) = self.world.store.lookup(&[key])?.into_iter().flatten().next()
        {
            match &below {
                Some(below) if fits(&cached, Some(below.id())) => {
                    return Ok(found(&cached, below, false));
                }
                None => return self.missed(id, Fate::MayRun, content_key, true),
                Some(_) => {}
            }
        }
        let unsure = |(_, input): &(Role, VertexId)| {
            self.known.get(input).is_some_and(|known| known.content_key.is_none())
                || matches!(self.graph.vertex(*input).op, Op::Http(_) | Op::Git(_))
        };
        // A key that can be told and isn't there says that it runs, whatever comes before it.
        let fate = match fact.fresh || content_key.is_some() {
            true => Fate::Runs,
            false => {
                let base_runs = base.is_some_and(|base| base.fate == Fate::Runs)
                    && preimage::depends_on_base(op);
                let sure = inputs.iter().all(|input| !unsure(input));
                let taken = inputs.iter().any(|(role, input)| {
                    is_taken_from(self.graph, id, *role, *input)
                        && self.known.get(input).is_some_and(|known| known.snapshot.is_none())
                });
                if base_runs || (sure && !taken) { Fate::Runs } else { Fate::MayRun }
            }
        };
        self.missed(id, fate, content_key, false)
    }

    /// The content key, if all that it is made of can be told without running anything.
    fn content_key(
        &self,
        id: VertexId,
        inputs: &[(Role, VertexId)],
    ) -> Result<Option<Key>, StepError> {
        let op = &self.graph.vertex(id).op;
        let mut ids = Vec::new();
        for &(role, input) in inputs {
            let Some(known) = self.known.get(&input) else { return Ok(None) };
            if is_taken_from(self.graph, id, role, input) {
                let Some(snapshot) = &known.snapshot else { return Ok(None) };
                let selection = preimage::selection(op, role).unwrap_or_default();
                let digest = self.world.work.content(snapshot, &selection)?;
                ids.push((role, InputId::Content(digest)));
            } else {
                let Some(key) = known.content_key else { return Ok(None) };
                ids.push((role, InputId::Key(key, None)));
            }
        }
        Ok(Some(preimage::of_step(op, ids).key()))
    }

    fn missed(
        &self,
        id: VertexId,
        fate: Fate,
        content_key: Option<Key>,
        rebased: bool,
    ) -> Result<Known, StepError> {
        let (shown, fact) = (self.graph.vertex(id), self.facts.of(id));
        let keyed = |(_, input): &(Role, VertexId)| self.facts.of(*input).recipe_key.is_some();
        let why = match fact.fresh {
            true => Some(Why::NoCache),
            // Something below has not been fetched, so nobody knows what differs.
            false if !fact.inputs.iter().all(keyed) => None,
            false => {
                let mut inputs = self
                    .facts
                    .input_facts(self.graph, id, |input| self.known.get(&input)?.content_key);
                let of = |role: Role| fact.inputs.iter().find(|(r, _)| *r == role).map(|(_, v)| *v);
                for input in &mut inputs {
                    let Some(vertex) = of(input.role) else { continue };
                    let snapshot = self.known.get(&vertex).and_then(|k| k.snapshot.as_ref());
                    if is_taken_from(self.graph, id, input.role, vertex)
                        && let Some(snapshot) = snapshot
                    {
                        let selection =
                            preimage::selection(&shown.op, input.role).unwrap_or_default();
                        input.content = Some(self.world.work.content(snapshot, &selection)?);
                    }
                }
                let input = |role: Role| {
                    let vertex = of(role)?;
                    let snapshot = self.known.get(&vertex).and_then(|k| k.snapshot.as_ref());
                    Some((&self.graph.vertex(vertex).op, snapshot))
                };
                let preimage = explain::detailed(self.world, &shown.op, &inputs, input);
                let nearest = self.world.store.nearest(&shown.place)?;
                let why = explain::why(nearest.as_ref(), &preimage, &shown.op, &inputs, rebased);
                Some(match why {
                    // It is there, but what it is made from may come out otherwise.
                    Why::Gone { pruned: None } if fate == Fate::MayRun => {
                        Why::Rebased { step: self.unsure_input(id) }
                    }
                    why => why,
                })
            }
        };
        Ok(Known { fate, snapshot: None, content_key, by_recipe: rebased, why })
    }

    /// The title of the first input that would be made again, or may be.
    fn unsure_input(&self, id: VertexId) -> Option<String> {
        let cached = |input: &VertexId| {
            self.known.get(input).is_some_and(|known| known.fate == Fate::Cached)
        };
        let mut inputs = self.facts.of(id).inputs.iter().map(|(_, input)| *input);
        let unsure = inputs.find(|input| !cached(input))?;
        Some(self.graph.vertex(unsure).title.clone())
    }

    /// Lists what the targets would come to, inputs first.
    fn needed(&self, reachable: &[VertexId], targets: &[VertexId]) -> Vec<Planned> {
        let mut needed = vec![false; self.graph.len()];
        targets.iter().for_each(|target| needed[target.index()] = true);
        for &vertex in reachable.iter().rev() {
            let Some(known) = self.known.get(&vertex).filter(|_| needed[vertex.index()]) else {
                continue;
            };
            let fact = self.facts.of(vertex);
            for &(role, input) in &fact.inputs {
                needed[input.index()] |= !known.by_recipe || role == Role::Base;
            }
        }
        let planned = reachable.iter().filter(|vertex| needed[vertex.index()]);
        planned
            .filter_map(|vertex| {
                let known = self.known.get(vertex)?;
                Some(Planned { vertex: *vertex, fate: known.fate, why: known.why.clone() })
            })
            .collect()
    }
}

fn found(cached: &Cached, below: &Snapshot, by_recipe: bool) -> Known {
    Known {
        fate: Fate::Cached,
        snapshot: Some(below.with(&cached.own)),
        content_key: Some(cached.content_key),
        by_recipe,
        why: None,
    }
}
