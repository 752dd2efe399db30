//! What is known of each vertex beside its state: its keys, its inputs, what it depends on.
//!
//! Keys come up the graph from the sources: a vertex has a recipe key as soon as all its inputs
//! have one. No result is needed for that.

use crate::{
    graph::{Graph, Role, VertexId},
    key::{InputId, Key, preimage},
    op::Op,
    scheduler::{NoCache, Output, explain::InputFact, state::Start},
    store::{Nearest, Snapshot},
};

/// What is known of all vertices.
pub(super) struct Facts(Vec<Fact>);

/// What is known of one vertex.
#[derive(Default)]
pub(super) struct Fact {
    /// Sorted by role.
    pub(super) inputs: Vec<(Role, VertexId)>,
    /// Of those that a target can need.
    pub(super) users: Vec<VertexId>,
    /// How many inputs have no recipe key yet.
    unkeyed: usize,
    pub(super) recipe_key: Option<Key>,
    pub(super) content_key: Option<Key>,
    /// Digests of what is taken from stages and images.
    pub(super) contents: Vec<(Role, [u8; 32])>,
    /// What a source was found to hold.
    pub(super) source: Option<[u8; 32]>,
    /// The user wants it to run in any case.
    pub(super) fresh: bool,
    /// It depends on a vertex that runs in any case, so that its recipe key says too little.
    tainted: bool,
    pub(super) nearest: Option<Nearest>,
    depends_on_base: bool,
}

impl Fact {
    /// Returns the input that the vertex builds upon.
    pub(super) fn base(&self) -> Option<VertexId> {
        self.inputs.iter().find(|(role, _)| *role == Role::Base).map(|(_, base)| *base)
    }

    /// Returns whether the store may be asked for the recipe key.
    pub(super) fn may_ask(&self) -> bool {
        !self.fresh && !self.tainted
    }

    /// Returns the inputs without which the vertex can't run.
    pub(super) fn needed_to_run(&self) -> Vec<(Role, VertexId)> {
        let needed = |role: Role| role != Role::Base || self.depends_on_base;
        self.inputs.iter().copied().filter(|(role, _)| needed(*role)).collect()
    }
}

/// Returns whether an input counts for a content key by what is taken from it.
///
/// What a context or a download brings was selected already. Of a repository, whoever takes all of
/// it is keyed by the commit.
pub(super) fn is_taken_from(graph: &Graph, user: VertexId, role: Role, input: VertexId) -> bool {
    let selects = || {
        let selection = preimage::selection(&graph.vertex(user).op, role);
        selection.is_some_and(|selection| !selection.paths.is_empty())
    };
    role != Role::Base
        && match &graph.vertex(input).op {
            Op::Git(_) => selects(),
            op => !op.must_be_read(),
        }
}

impl Facts {
    /// Gathers what is known before anything was read.
    pub(super) fn new(graph: &Graph, reachable: &[VertexId], no_cache: &NoCache) -> Self {
        let mut facts = Facts(graph.ids().map(|_| Fact::default()).collect());
        for &id in reachable {
            let vertex = graph.vertex(id);
            let inputs = graph.inputs(id);
            for &(_, input) in &inputs {
                let users = &mut facts.of_mut(input).users;
                // One vertex can be several inputs of another; ids come in order.
                if users.last() != Some(&id) {
                    users.push(id);
                }
            }
            let fresh = !vertex.op.is_source()
                && match no_cache {
                    NoCache::Never => false,
                    NoCache::All => true,
                    NoCache::Stages(stages) => {
                        stages.iter().any(|stage| stage.eq_ignore_ascii_case(&vertex.place.stage))
                    }
                };
            let tainted = inputs.iter().any(|&(_, input)| !facts.of(input).may_ask());
            let unkeyed = |&&(_, input): &&(Role, VertexId)| facts.of(input).recipe_key.is_none();
            let unkeyed = inputs.iter().filter(unkeyed).count();
            let depends_on_base = preimage::depends_on_base(&vertex.op);
            let fact = Fact { inputs, unkeyed, fresh, tainted, depends_on_base, ..Fact::default() };
            facts.0[id.index()] = fact;
            if !vertex.op.must_be_read() && unkeyed == 0 {
                facts.set_recipe_key(graph, id);
            }
        }
        facts
    }

    /// Returns what is known of a vertex.
    pub(super) fn of(&self, vertex: VertexId) -> &Fact {
        &self.0[vertex.index()]
    }

    /// Returns what is known of a vertex, to add to it.
    pub(super) fn of_mut(&mut self, vertex: VertexId) -> &mut Fact {
        &mut self.0[vertex.index()]
    }

    /// Takes down what a source holds, and returns the vertices that have a recipe key thereby.
    pub(super) fn set_source(
        &mut self,
        graph: &Graph,
        source: VertexId,
        digest: [u8; 32],
    ) -> Vec<VertexId> {
        self.of_mut(source).source = Some(digest);
        self.set_recipe_key(graph, source);
        let mut keyed = vec![source];
        let mut next = 0;
        while let Some(&vertex) = keyed.get(next) {
            next += 1;
            for user in self.of(vertex).users.clone() {
                let fact = self.of_mut(user);
                let uses = fact.inputs.iter().filter(|(_, input)| *input == vertex).count();
                fact.unkeyed = fact.unkeyed.saturating_sub(uses);
                if fact.unkeyed == 0 && fact.recipe_key.is_none() {
                    self.set_recipe_key(graph, user);
                    keyed.push(user);
                }
            }
        }
        keyed.remove(0);
        keyed
    }

    fn set_recipe_key(&mut self, graph: &Graph, id: VertexId) {
        let fact = self.of(id);
        let op = &graph.vertex(id).op;
        let source = preimage::of_source(op, fact.source.map(|digest| (digest, None)));
        let preimage = source.unwrap_or_else(|| {
            let inputs = fact.needed_to_run().into_iter().filter_map(|(role, input)| {
                Some((role, InputId::Key(self.of(input).recipe_key?, None)))
            });
            preimage::of_step(op, inputs)
        });
        self.of_mut(id).recipe_key = Some(preimage.key());
    }

    /// Returns what a vertex starts with when it is wanted.
    pub(super) fn start(&self, graph: &Graph, id: VertexId) -> Start {
        let fact = self.of(id);
        match (&graph.vertex(id).op, fact.recipe_key) {
            (Op::Image(image), Some(content_key)) => Start::With(Output {
                own: image.layers.clone(),
                snapshot: image.layers.iter().copied().collect(),
                content_key,
            }),
            (Op::Scratch, Some(content_key)) => {
                Start::With(Output { own: vec![], snapshot: Snapshot::default(), content_key })
            }
            (Op::Context(_) | Op::Http(_) | Op::Git(_), _) => Start::Read,
            (_, Some(_)) => Start::Keyed { ask: fact.may_ask() },
            (_, None) => Start::Unkeyed,
        }
    }

    /// Returns whether there is a content key to ask for, now that the inputs are there (with
    /// their content keys), or to find out.
    pub(super) fn needs_narrowing(
        &mut self,
        graph: &Graph,
        id: VertexId,
        inputs: &[(Role, VertexId, Key)],
    ) -> bool {
        if inputs.iter().any(|&(role, input, _)| is_taken_from(graph, id, role, input)) {
            return true;
        }
        let keyed = inputs.iter().map(|&(role, _, key)| (role, InputId::Key(key, None)));
        let content_key = preimage::of_step(&graph.vertex(id).op, keyed).key();
        let fact = self.of_mut(id);
        fact.content_key = Some(content_key);
        // Where both keys are one, the store has been asked already, unless it was not allowed.
        !fact.fresh && (fact.tainted || fact.recipe_key != Some(content_key))
    }

    /// Returns what identifies the inputs of a vertex, to explain its key; `content_key` tells those
    /// of what has been solved.
    pub(super) fn input_facts(
        &self,
        graph: &Graph,
        id: VertexId,
        content_key: impl Fn(VertexId) -> Option<Key>,
    ) -> Vec<InputFact> {
        let fact = self.of(id);
        let input_fact = |&(role, input): &(Role, VertexId)| {
            let content = fact.contents.iter().find(|(taken, _)| *taken == role);
            Some(InputFact {
                role,
                recipe_key: self.of(input).recipe_key?,
                content_key: content_key(input),
                title: graph.vertex(input).title.clone(),
                source: self.of(input).source,
                content: content.map(|(_, digest)| *digest),
            })
        };
        fact.inputs.iter().filter_map(input_fact).collect()
    }

    /// Returns everything above a vertex.
    pub(super) fn all_users(&self, vertex: VertexId) -> Vec<VertexId> {
        let mut seen = vec![false; self.0.len()];
        let mut all = self.of(vertex).users.clone();
        let mut next = 0;
        while let Some(&user) = all.get(next) {
            next += 1;
            if std::mem::replace(&mut seen[user.index()], true) {
                continue;
            }
            all.extend(self.of(user).users.iter().filter(|user| !seen[user.index()]));
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}
