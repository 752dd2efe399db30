//! What the owner does with the messages of its jobs.

use crate::{
    event::Event,
    graph::VertexId,
    key::Key,
    scheduler::{
        Output,
        jobs::{Answer, Message, Narrowed},
        owner::Owner,
        state::{Ended, Happened, State},
    },
    store::Snapshot,
    work::{SourceAnswer, StepError},
};

impl Owner {
    pub(super) fn take(&mut self, message: Message) {
        if !matches!(message, Message::Tick | Message::Made(..)) {
            self.in_flight -= 1;
        }
        match message {
            Message::Read(vertex, result) => self.take_source(vertex, result),
            Message::Answered(answers) => self.take_answers(answers),
            Message::Narrowed(vertex, result) => self.take_narrowed(vertex, result),
            Message::Made(vertex, cached) => self.take_end(vertex, Ended::Made(cached)),
            Message::Recorded(_, Ok(())) => {}
            Message::Recorded(vertex, Err(error)) => self.fail(vertex, error),
            Message::Ended(vertex, ended) => self.take_end(vertex, ended),
            Message::Tick => {
                self.ticking = false;
                self.free_contended();
            }
        }
    }

    fn take_source(&mut self, vertex: VertexId, result: Result<SourceAnswer, StepError>) {
        self.tokens.remove(&vertex);
        let result = result.map(|answer| {
            for user in self.facts.set_source(&self.graph, vertex, answer.digest) {
                // Only who waits for a key hears of it; others ask for it when they are wanted.
                if matches!(self.state(user), State::Unkeyed) {
                    let ask = self.facts.of(user).may_ask();
                    self.tell(user, Happened::Keyed { ask });
                }
            }
            let content_key = self.facts.of(vertex).recipe_key.unwrap_or(Key(answer.digest));
            let snapshot = Snapshot::default().with(&answer.own);
            Output { own: answer.own, snapshot, content_key }
        });
        self.tell(vertex, Happened::Read(result));
    }

    fn take_answers(&mut self, answers: Vec<(VertexId, Result<Answer, StepError>)>) {
        for (vertex, answer) in answers {
            let said = answer.map(|answer| match answer {
                Answer::Hit(cached) => Some(cached),
                Answer::Miss(nearest) => {
                    self.facts.of_mut(vertex).nearest = nearest;
                    None
                }
            });
            if matches!(self.state(vertex), State::Probing) {
                self.tell(vertex, Happened::Said(said));
            } else {
                self.answers.insert(vertex, said);
            }
        }
    }

    fn take_narrowed(&mut self, vertex: VertexId, result: Result<Narrowed, StepError>) {
        self.narrowing -= 1;
        let narrowed = result.map(|narrowed| {
            let facts = self.facts.of_mut(vertex);
            facts.content_key = Some(narrowed.content_key);
            facts.contents = narrowed.contents;
            narrowed.cached
        });
        self.tell(vertex, Happened::Narrowed(narrowed));
    }

    fn take_end(&mut self, vertex: VertexId, ended: Ended) {
        self.tokens.remove(&vertex);
        self.running.retain(|_, running| *running != vertex);
        match &ended {
            Ended::Made(cached) => {
                self.name(vertex, &cached.content_key);
                self.world.observer.event(Event::Done { vertex, took: cached.took });
                self.made.insert(cached.content_key, cached.clone());
                self.ran.push(vertex);
            }
            Ended::Busy => {
                if self.waiting.insert(vertex) {
                    self.world.observer.event(Event::Waiting { vertex });
                }
            }
            Ended::Found(_) | Ended::Failed(_) => {}
        }
        let busy = matches!(ended, Ended::Busy);
        self.tell(vertex, Happened::Ended(ended));
        if !busy {
            self.free_contended();
        }
    }

    fn free_contended(&mut self) {
        for vertex in std::mem::take(&mut self.contended) {
            self.tell(vertex, Happened::Freed);
        }
    }
}
