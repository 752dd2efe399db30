//! What the Dockerfile says of the stages that are built, in its order, for who shows it that way.

use std::collections::{HashMap, HashSet};

use gantry_parser::Span;
use gantry_parser::ast::{Dockerfile, Layout, Statement};
use gantry_solver::event::Instruction;
use gantry_solver::{Graph, Op, VertexId};

use super::Target;

/// Lists the ARGs before the first FROM, and for each platform the instructions of the stages that
/// its image needs.
///
/// A step that two stages have in common is the first one's. `named` is the stage that is built, if
/// it isn't the last.
pub(super) fn list(
    dockerfile: &Dockerfile,
    graph: &Graph,
    targets: &[Target],
    named: Option<&str>,
) -> Vec<Instruction> {
    let layout = dockerfile.layout();
    let last = layout.stages.len();
    let built = match named.and_then(|name| name.parse::<usize>().ok()) {
        Some(number) if number < last => Some(number),
        _ => named.and_then(|name| Some(layout.find(name, last)?.index)),
    };
    let built = built.or(last.checked_sub(1));
    let none = HashMap::new();
    let mut list: Vec<Instruction> =
        layout.globals.iter().map(|arg| made(arg, None, &none)).collect();
    for target in targets {
        let platform = (targets.len() > 1).then(|| target.platform.to_string());
        let mut vertices: HashMap<Span, Vec<VertexId>> = HashMap::new();
        for vertex in graph.reachable(&[target.vertex]) {
            // Nothing is done for FROM scratch, and nobody is told of it.
            let vertex_of = graph.vertex(vertex);
            if let Some(span) = vertex_of.span.filter(|_| !matches!(vertex_of.op, Op::Scratch)) {
                vertices.entry(span).or_default().push(vertex);
            }
        }
        let based_on = bases(&layout, built);
        for stage in &layout.stages {
            let statements = || std::iter::once(stage.statement).chain(stage.body);
            if based_on.contains(&stage.index)
                || statements().any(|statement| vertices.contains_key(&statement.span))
            {
                let platform = platform.as_deref();
                list.extend(statements().map(|statement| made(statement, platform, &vertices)));
            }
        }
    }
    list
}

/// The stage that is built and those that it is built upon, which may consist of words for the
/// image's config alone.
fn bases(layout: &Layout<'_>, built: Option<usize>) -> HashSet<usize> {
    let mut found = HashSet::new();
    let mut next = built;
    while let Some(index) = next {
        found.insert(index);
        let base = layout.find(&layout.stages[index].from.image.text, index);
        next = base.map(|stage| stage.index);
    }
    found
}

fn made(
    statement: &Statement,
    platform: Option<&str>,
    vertices: &HashMap<Span, Vec<VertexId>>,
) -> Instruction {
    Instruction {
        text: statement.text.to_string(),
        platform: platform.map(str::to_owned),
        vertices: vertices.get(&statement.span).cloned().unwrap_or_default(),
    }
}
