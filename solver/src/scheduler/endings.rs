//! How the owner lets go: of what depends on a failure, of what nobody needs, of everything.

use std::collections::HashMap;

use crate::{
    event::Event,
    graph::VertexId,
    scheduler::{
        Failure, SolveError, Solved,
        owner::Owner,
        state::{Happened, State},
    },
    work::StepError,
};

impl Owner {
    /// Ends what depends on a step that failed, or whose result could not be recorded.
    pub(super) fn fail(&mut self, vertex: VertexId, error: StepError) {
        let (messages, exit_code) = (error.messages(), error.exit_code());
        self.world.observer.event(Event::Failed { vertex, messages, exit_code });
        let title = self.graph.vertex(vertex).title.clone();
        self.failures.push(Failure { vertex, title, error });
        for user in self.facts.all_users(vertex) {
            self.tell(user, Happened::GivenUp);
        }
        self.prune = true;
    }

    /// Gives up whatever no target can need any more.
    pub(super) fn give_up_unneeded(&mut self) {
        let mut needed = vec![false; self.graph.len()];
        for &target in &self.targets {
            needed[target.index()] = true;
        }
        for &vertex in self.reachable.iter().rev() {
            if needed[vertex.index()] && !self.state(vertex).is_over() {
                for &(_, input) in &self.facts.of(vertex).inputs {
                    needed[input.index()] = true;
                }
            }
        }
        self.give_up(|vertex| !needed[vertex.index()]);
    }

    /// Gives up everything.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.give_up(|_| true);
    }

    fn give_up(&mut self, which: impl Fn(VertexId) -> bool) {
        for vertex in self.reachable.clone() {
            let state = self.state(vertex);
            // Who was never asked for is skipped, and not canceled, unless a target is.
            let idle = matches!(state, State::Idle) && !self.targets.contains(&vertex);
            if which(vertex) && !state.is_over() && !idle {
                self.tell(vertex, Happened::GivenUp);
            }
        }
    }

    pub(super) fn finish(self) -> Result<Solved, SolveError> {
        if !self.would_run.is_empty() {
            return Err(SolveError::WouldRun(self.would_run));
        }
        if !self.failures.is_empty() {
            return Err(SolveError::Failed(self.failures));
        }
        if self.cancel.is_canceled() && self.targets.iter().any(|&t| self.output(t).is_none()) {
            return Err(SolveError::Canceled);
        }
        if let Some(&vertex) = self.targets.iter().find(|&&target| self.output(target).is_none()) {
            let error = StepError::new("The scheduler lost track of this step");
            let title = self.graph.vertex(vertex).title.clone();
            return Err(SolveError::Failed(vec![Failure { vertex, title, error }]));
        }
        let mut outputs = HashMap::new();
        for (vertex, state) in self.reachable.iter().map(|&v| (v, &self.states[v.index()])) {
            match state {
                State::Done(output) => drop(outputs.insert(vertex, output.clone())),
                State::Idle => self.world.observer.event(Event::Skipped { vertex }),
                _ => {}
            }
        }
        let key = |vertex: &VertexId| Some((*vertex, self.facts.of(*vertex).recipe_key?));
        let recipe_keys = self.reachable.iter().filter_map(key).collect();
        Ok(Solved { recipe_keys, outputs, ran: self.ran })
    }
}
