//! Which of several ready steps runs first: the one with the longest path still ahead of it.

use std::time::Duration;

use crate::{graph::Graph, op::Op};

/// Guesses how long an operation takes that never ran: only their ratio matters.
pub(super) fn guess(op: &Op) -> Duration {
    Duration::from_millis(match op {
        Op::Scratch | Op::Image(_) | Op::Context(_) => 0,
        Op::MakeDir(_) => 1,
        Op::Copy(_) => 50,
        Op::Http(_) | Op::Git(_) => 2_000,
        Op::Run(_) => 5_000,
    })
}

/// Returns for every vertex how long it takes until the last vertex that depends on it is done:
/// the sum of `takes` along the longest path from it upwards. Vertices that `counts` denies add
/// nothing, and lead nowhere.
pub(super) fn remaining(
    graph: &Graph,
    takes: &[Duration],
    counts: impl Fn(usize) -> bool,
) -> Vec<Duration> {
    let mut remaining = vec![Duration::ZERO; graph.len()];
    for id in graph.ids().rev() {
        let index = id.index();
        if counts(index) {
            let above = graph.users(id).into_iter().map(|user| remaining[user.index()]).max();
            remaining[index] = takes[index] + above.unwrap_or_default();
        }
    }
    remaining
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        graph::{Role, Vertex},
        op::MakeDirOp,
    };

    #[test]
    fn the_longest_way_up_counts_and_finished_vertices_do_not() {
        let op = |path: &str| Op::MakeDir(MakeDirOp { path: path.into(), mode: 0o755, user: None });
        let mut graph = Graph::new();
        let low = graph.add(Vertex::new(op("/low"), "low"), &[]);
        let short = graph.add(Vertex::new(op("/short"), "short"), &[(Role::Base, low)]);
        let long = graph.add(Vertex::new(op("/long"), "long"), &[(Role::Base, low)]);
        let top = graph.add(
            Vertex::new(op("/top"), "top"),
            &[(Role::Source(0), short), (Role::Source(1), long)],
        );
        let seconds = [1, 2, 10, 5].map(Duration::from_secs);
        let all = remaining(&graph, &seconds, |_| true);
        assert_eq!(all, [16, 7, 15, 5].map(Duration::from_secs));
        let without_long = remaining(&graph, &seconds, |index| index != long.index());
        assert_eq!(without_long[low.index()], Duration::from_secs(8));
        assert_eq!(without_long[top.index()], Duration::from_secs(5));
    }
}
