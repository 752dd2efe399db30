//! How the owner hands out work: to whom the store's answer, a reader or a worker goes next.

use std::{
    collections::hash_map::Entry,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    graph::{Role, VertexId},
    key::preimage,
    op::Op,
    scheduler::{
        facts::is_taken_from,
        jobs::{self, Narrow},
        order,
        owner::Owner,
        run::{self, Run},
        state::{Ended, Happened, State},
    },
    work::{Events, StepError, Task, TaskInput},
};

/// How long to wait before asking again whether another process is done, at first and at most.
const TICK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

impl Owner {
    pub(super) fn hand_out(&mut self) {
        if self.stopped {
            return;
        }
        self.speculate();
        self.ask();
        self.read();
        self.narrow();
        self.ready.retain(|v| matches!(self.states[v.index()], State::Ready));
        if self.options.probe_only && !self.ready.is_empty() {
            self.would_run = std::mem::take(&mut self.ready);
            return self.stop();
        }
        self.pick();
        self.tick();
    }

    /// While only the network is waited for: who has no key yet will most likely not be in the
    /// store, so that its inputs are worth having.
    fn speculate(&mut self) {
        let mut reading = self
            .reachable
            .iter()
            .filter(|v| matches!(self.states[v.index()], State::Reading))
            .map(|v| matches!(self.graph.vertex(*v).op, Op::Context(_)))
            .peekable();
        if self.options.probe_only || reading.peek().is_none() || reading.any(|context| context) {
            return;
        }
        for vertex in self.reachable.clone() {
            if matches!(self.state(vertex), State::Unkeyed) {
                self.want_inputs(vertex);
            }
        }
    }

    /// Asks the store, in one go, for all that is to be asked and for the bases below: if what
    /// is on top is there, they will be wanted next, and if it isn't, too.
    fn ask(&mut self) {
        let mut questions = Vec::new();
        for wanted in std::mem::take(&mut self.to_ask) {
            let mut next = Some(wanted);
            while let Some(vertex) = next {
                let fact = self.facts.of(vertex);
                let Some(key) = fact.recipe_key.filter(|_| fact.may_ask()) else { break };
                if self.graph.vertex(vertex).op.is_source() || !self.asked.insert(vertex) {
                    break;
                }
                questions.push((vertex, key, self.graph.vertex(vertex).place.clone()));
                next = fact.base();
            }
        }
        if !questions.is_empty() {
            self.in_flight += 1;
            jobs::ask(&self.world, questions, &self.sender);
        }
    }

    /// Sets a few readers upon the list of sources, however many there are.
    fn read(&mut self) {
        if self.to_read.is_empty() {
            return;
        }
        let sources: Vec<_> = std::mem::take(&mut self.to_read);
        let readers = sources.len().min(self.options.jobs.max(1));
        self.in_flight += sources.len();
        let sources = sources.into_iter().map(|source| (source, self.token(source))).collect();
        let sources = Arc::new(Mutex::new(sources));
        for _ in 0..readers {
            jobs::read(&self.world, &self.graph, &sources, &self.sender);
        }
    }

    fn narrow(&mut self) {
        while self.narrowing < self.options.jobs.max(1) {
            let Some(vertex) = self.to_narrow.pop_front() else { return };
            if !matches!(self.state(vertex), State::Narrowing) {
                continue;
            }
            let op = &self.graph.vertex(vertex).op;
            let (mut keyed, mut taken) = (Vec::new(), Vec::new());
            for (role, input) in self.facts.of(vertex).needed_to_run() {
                let Some(output) = self.output(input) else { continue };
                if is_taken_from(&self.graph, vertex, role, input) {
                    let selection = preimage::selection(op, role).unwrap_or_default();
                    taken.push((role, output.snapshot.clone(), selection));
                } else {
                    keyed.push((role, output.content_key));
                }
            }
            let (base, ask) = (self.base_id(vertex), !self.facts.of(vertex).fresh);
            let graph = self.graph.clone();
            let recipe_key = self.facts.of(vertex).recipe_key;
            let job = Narrow { vertex, graph, keyed, taken, base, ask, recipe_key };
            jobs::narrow(&self.world, job, &self.sender);
            self.narrowing += 1;
            self.in_flight += 1;
        }
    }

    /// Picks the steps with the longest path ahead, as many as there are workers free.
    fn pick(&mut self) {
        let free = self.options.jobs.max(1).saturating_sub(self.running.len());
        if self.ready.is_empty() || free == 0 {
            return;
        }
        if self.ready.len() > free {
            let takes: Vec<Duration> = self.graph.ids().map(|vertex| self.takes(vertex)).collect();
            let live = |index: usize| !self.states[index].is_over();
            let ahead = order::remaining(&self.graph, &takes, live);
            // Equal ones in the order of the file.
            self.ready.sort_by_key(|vertex| (std::cmp::Reverse(ahead[vertex.index()]), *vertex));
        }
        let mut left = free;
        for vertex in std::mem::take(&mut self.ready) {
            let key = self.facts.of(vertex).content_key.or(self.facts.of(vertex).recipe_key);
            let Some(key) = key else { continue };
            match self.running.entry(key) {
                Entry::Occupied(_) => self.tell(vertex, Happened::Taken),
                Entry::Vacant(entry) if left > 0 => {
                    left -= 1;
                    entry.insert(vertex);
                    self.tell(vertex, Happened::Picked);
                }
                Entry::Vacant(_) => self.ready.push(vertex),
            }
        }
    }

    fn takes(&self, vertex: VertexId) -> Duration {
        let nearest = self.facts.of(vertex).nearest.as_ref().map(|nearest| nearest.took);
        nearest.unwrap_or_else(|| order::guess(&self.graph.vertex(vertex).op))
    }

    pub(super) fn start_run(&mut self, vertex: VertexId) {
        let fact = self.facts.of(vertex);
        let (Some(recipe_key), Some(content_key)) = (fact.recipe_key, fact.content_key) else {
            let error = StepError::new("The scheduler lost track of this step");
            return self.tell(vertex, Happened::Ended(Ended::Failed(error)));
        };
        let base = self.base_id(vertex);
        if let Some(made) = self.made.get(&content_key).filter(|made| jobs::fits(made, base)) {
            let ended = Ended::Found(made.clone());
            self.running.remove(&content_key);
            return self.tell(vertex, Happened::Ended(ended));
        }
        let shown = self.graph.vertex(vertex);
        let inputs = fact.needed_to_run().into_iter().filter_map(|(role, input)| {
            let op = self.graph.vertex(input).op.clone();
            let snapshot = self.output(input)?.snapshot.clone();
            Some(TaskInput { role, vertex: input, op, snapshot })
        });
        let task = Task {
            vertex,
            op: shown.op.clone(),
            inputs: inputs.collect(),
            events: Events::new(self.world.observer.clone(), vertex),
            cancel: self.cancel.child(),
        };
        let job = Run {
            place: shown.place.clone(),
            recipe_key,
            content_key,
            inputs: self
                .facts
                .input_facts(&self.graph, vertex, |input| Some(self.output(input)?.content_key)),
            base,
            ask: !fact.fresh,
            nearest: fact.nearest.clone(),
            task,
        };
        self.tokens.insert(vertex, job.task.cancel.clone());
        self.in_flight += 1;
        run::run(&self.world, job, &self.sender);
    }

    /// Returns what the layers of a step lie upon, if they depend on that.
    fn base_id(&self, vertex: VertexId) -> Option<[u8; 32]> {
        if !preimage::depends_on_base(&self.graph.vertex(vertex).op) {
            return None;
        }
        let base =
            self.facts.of(vertex).needed_to_run().into_iter().find(|(r, _)| *r == Role::Base);
        Some(base.and_then(|(_, base)| self.output(base)).map_or([0; 32], |o| o.snapshot.id()))
    }

    fn token(&mut self, vertex: VertexId) -> crate::CancelToken {
        let token = self.cancel.child();
        self.tokens.insert(vertex, token.clone());
        token
    }

    /// Looks again after a while if somebody else's step is waited for.
    fn tick(&mut self) {
        self.contended.retain(|v| matches!(self.states[v.index()], State::Contended));
        if self.contended.is_empty() {
            self.tick_after = TICK.0;
        } else if !self.ticking {
            self.ticking = true;
            jobs::tick(&self.sender, self.tick_after);
            self.tick_after = (self.tick_after * 2).min(TICK.1);
        }
    }
}
