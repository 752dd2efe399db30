//! The graph of a build: vertices that do one operation each, and edges that say what for.
//!
//! Inputs are added before what uses them, so a graph cannot hold a cycle, and the order of ids
//! is a topological order. Two vertices that do the same with the same inputs are one vertex.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, BuildHasherDefault, Hasher},
};

use gantry_parser::Span;
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use crate::{op::Op, store::Place};

/// A vertex's number in its graph.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VertexId(u32);

impl VertexId {
    /// Ids from here on belong to no graph: whoever reports work outside of one (loading the
    /// Dockerfile, resolving an image) numbers it with these.
    const INTERNAL: u32 = 0x8000_0000;

    /// Returns the `n`th id that belongs to no graph.
    #[must_use]
    pub fn internal(n: u32) -> Self {
        VertexId(Self::INTERNAL | n)
    }

    /// Returns whether the id belongs to no graph.
    #[must_use]
    pub fn is_internal(self) -> bool {
        self.0 >= Self::INTERNAL
    }

    /// Returns the number.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn from_index(index: usize) -> Self {
        VertexId(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

impl fmt::Debug for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an input is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The root filesystem to build upon.
    Base,
    /// What a copy takes from; the number is the one in [`CopyItem`](crate::op::CopyItem).
    Source(u32),
    /// What is mounted; the number is the one in [`Mount`](crate::op::Mount).
    Mount(u32),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Base => f.write_str("base"),
            Role::Source(n) => write!(f, "source {n}"),
            Role::Mount(n) => write!(f, "mount {n}"),
        }
    }
}

/// One operation and where it comes from.
#[derive(Debug, Clone)]
pub struct Vertex {
    /// What it does.
    pub op: Op,
    /// Its title, such as `[build 2/5] RUN make`. For people.
    pub title: String,
    /// Where the step stands, to find earlier runs of it.
    pub place: Place,
    /// The instruction that it comes from.
    pub span: Option<Span>,
}

impl Vertex {
    /// Makes a vertex that comes from nowhere in particular.
    #[must_use]
    pub fn new(op: Op, title: impl Into<String>) -> Self {
        Vertex { op, title: title.into(), place: Place::default(), span: None }
    }
}

/// The operations of a build.
#[derive(Debug, Default)]
pub struct Graph {
    inner: DiGraph<Vertex, Role>,
    /// Hash of operation and inputs → the last vertex that has it.
    known: HashMap<u64, VertexId, BuildHasherDefault<Quick>>,
    /// For each vertex, the one before it that has the same hash.
    before: Vec<Option<VertexId>>,
}

/// A hash that is made quickly. Graphs are as small as the files that they come from, so nobody
/// gains by making up collisions.
#[derive(Debug, Default, Clone, Copy)]
struct Quick(u64);

impl Quick {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.mix(rest.iter().fold(1, |all, byte| all << 8 | u64::from(*byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn finish(&self) -> u64 {
        // Tables look at the upper bits as well as at the lower ones.
        self.0 ^ self.0 >> 32
    }
}

impl Graph {
    /// Makes a graph without vertices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a graph with room for so many vertices, so that it is not moved while it grows.
    #[must_use]
    pub fn with_capacity(vertices: usize) -> Self {
        Self {
            inner: DiGraph::with_capacity(vertices, 2 * vertices),
            known: HashMap::with_capacity_and_hasher(vertices, BuildHasherDefault::default()),
            before: Vec::with_capacity(vertices),
        }
    }

    /// Adds a vertex, or returns the one that does the same with the same inputs already.
    ///
    /// # Panics
    /// If an input is not in the graph.
    pub fn add(&mut self, vertex: Vertex, inputs: &[(Role, VertexId)]) -> VertexId {
        let hash = BuildHasherDefault::<Quick>::default().hash_one((&vertex.op, inputs));
        let last = self.known.get(&hash).copied();
        let mut same = last;
        while let Some(id) = same {
            if self.vertex(id).op == vertex.op && self.has(id, inputs) {
                return id;
            }
            same = self.before[id.index()];
        }
        let node = self.inner.add_node(vertex);
        for &(role, input) in inputs {
            self.inner.add_edge(NodeIndex::new(input.index()), node, role);
        }
        let id = VertexId::from_index(node.index());
        self.known.insert(hash, id);
        self.before.push(last);
        id
    }

    fn has(&self, id: VertexId, inputs: &[(Role, VertexId)]) -> bool {
        let mut wanted = inputs.to_vec();
        wanted.sort_unstable();
        self.inputs(id) == wanted
    }

    /// Returns a vertex.
    ///
    /// # Panics
    /// If `id` is not of this graph.
    #[must_use]
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        &self.inner[NodeIndex::new(id.index())]
    }

    /// Returns how many vertices there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    /// Returns whether there is no vertex.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.node_count() == 0
    }

    /// Returns all ids, inputs before what uses them.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = VertexId> + ExactSizeIterator + use<> {
        (0..self.len()).map(VertexId::from_index)
    }

    /// Returns the inputs of a vertex, sorted by role.
    #[must_use]
    pub fn inputs(&self, id: VertexId) -> Vec<(Role, VertexId)> {
        let edges = self.inner.edges_directed(NodeIndex::new(id.index()), Direction::Incoming);
        let mut inputs: Vec<_> =
            edges.map(|e| (*e.weight(), VertexId::from_index(e.source().index()))).collect();
        inputs.sort_unstable();
        inputs
    }

    /// Returns the input that a vertex builds upon.
    #[must_use]
    pub fn base(&self, id: VertexId) -> Option<VertexId> {
        let edges = self.inner.edges_directed(NodeIndex::new(id.index()), Direction::Incoming);
        edges
            .filter(|e| *e.weight() == Role::Base)
            .map(|e| VertexId::from_index(e.source().index()))
            .next()
    }

    /// Returns what uses a vertex, each once.
    #[must_use]
    pub fn users(&self, id: VertexId) -> Vec<VertexId> {
        let nodes = self.inner.neighbors_directed(NodeIndex::new(id.index()), Direction::Outgoing);
        let mut users: Vec<_> = nodes.map(|node| VertexId::from_index(node.index())).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Returns the vertices that `targets` can need, themselves included, inputs first.
    #[must_use]
    pub fn reachable(&self, targets: &[VertexId]) -> Vec<VertexId> {
        let mut seen = vec![false; self.len()];
        for &target in targets {
            seen[target.index()] = true;
        }
        for id in self.ids().rev() {
            if seen[id.index()] {
                for (_, input) in self.inputs(id) {
                    seen[input.index()] = true;
                }
            }
        }
        self.ids().filter(|id| seen[id.index()]).collect()
    }
}
