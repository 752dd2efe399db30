//! The one task that owns all states.
//!
//! Nothing here blocks. Each turn empties the queue of what happened ([`advance`] moves the
//! state, [`carry_out`](Owner::carry_out) does what it says), hands out work, and waits for the
//! next message. A fully cached build takes two turns: one message from the readers of sources,
//! one from the store.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    cancel::CancelToken,
    event::Event,
    graph::{Graph, VertexId},
    key::Key,
    op::Op,
    scheduler::{
        Failure, Options, Output, SolveError, Solved, World,
        facts::Facts,
        jobs::{self, Message},
        state::{Command, Happened, Origin, State, advance},
    },
    store::{Cached, Snapshot},
    work::StepError,
};

/// Everything about one run of [`solve`](super::solve).
pub(super) struct Owner {
    pub(super) graph: Arc<Graph>,
    pub(super) targets: Vec<VertexId>,
    /// What the targets can need, inputs first.
    pub(super) reachable: Vec<VertexId>,
    pub(super) world: World,
    pub(super) options: Options,
    pub(super) cancel: CancelToken,

    pub(super) states: Vec<State>,
    pub(super) facts: Facts,
    /// What happened and was not yet looked at.
    queue: VecDeque<(VertexId, Happened)>,
    /// Of whom the store was asked, and what it said before they wanted to know.
    pub(super) asked: HashSet<VertexId>,
    pub(super) answers: HashMap<VertexId, Result<Option<Cached>, StepError>>,

    pub(super) to_ask: Vec<VertexId>,
    pub(super) to_read: Vec<VertexId>,
    pub(super) to_narrow: VecDeque<VertexId>,
    pub(super) ready: Vec<VertexId>,
    pub(super) contended: Vec<VertexId>,

    /// Who runs which content key.
    pub(super) running: HashMap<Key, VertexId>,
    pub(super) narrowing: usize,
    /// What this build made.
    pub(super) made: HashMap<Key, Cached>,
    pub(super) tokens: HashMap<VertexId, CancelToken>,
    /// Messages that are still to come, ticks apart.
    pub(super) in_flight: usize,
    pub(super) sender: UnboundedSender<Message>,
    receiver: UnboundedReceiver<Message>,
    /// Who waits for another process, and said so.
    pub(super) waiting: HashSet<VertexId>,
    /// Whether a tick is under way, and after which time the next one is due.
    pub(super) ticking: bool,
    pub(super) tick_after: Duration,

    /// Something failed, so that others may run for nothing.
    pub(super) prune: bool,
    pub(super) stopped: bool,
    pub(super) failures: Vec<Failure>,
    pub(super) would_run: Vec<VertexId>,
    pub(super) ran: Vec<VertexId>,
}

impl Owner {
    pub(super) fn new(
        graph: Arc<Graph>,
        targets: &[VertexId],
        world: World,
        options: &Options,
        cancel: &CancelToken,
    ) -> Self {
        let (sender, receiver) = unbounded_channel();
        let reachable = graph.reachable(targets);
        Owner {
            targets: targets.to_vec(),
            states: vec![State::Idle; graph.len()],
            facts: Facts::new(&graph, &reachable, &options.no_cache),
            graph,
            reachable,
            world,
            options: options.clone(),
            cancel: cancel.clone(),
            queue: VecDeque::new(),
            asked: HashSet::new(),
            answers: HashMap::new(),
            to_ask: Vec::new(),
            to_read: Vec::new(),
            to_narrow: VecDeque::new(),
            ready: Vec::new(),
            contended: Vec::new(),
            running: HashMap::new(),
            narrowing: 0,
            made: HashMap::new(),
            tokens: HashMap::new(),
            in_flight: 0,
            sender,
            receiver,
            waiting: HashSet::new(),
            ticking: false,
            tick_after: Duration::ZERO,
            prune: false,
            stopped: false,
            failures: Vec::new(),
            would_run: Vec::new(),
            ran: Vec::new(),
        }
    }

    /// Runs until all targets are over and nothing is in flight any more.
    pub(super) async fn run(mut self) -> Result<Solved, SolveError> {
        self.begin();
        let cancel = self.cancel.clone();
        loop {
            self.settle();
            let over = self.targets.iter().all(|&target| self.state(target).is_over());
            if over && self.in_flight > 0 {
                // What is still under way was worth a try, and is not any more.
                self.stop();
                self.settle();
            }
            if self.in_flight == 0 && (over || !self.ticking) {
                return self.finish();
            }
            tokio::select! {
                message = self.receiver.recv() => if let Some(message) = message {
                    if cancel.is_canceled() && !self.stopped {
                        // First, so that a step that ended because of it does not count as failed.
                        self.stop();
                        self.settle();
                    }
                    self.take(message);
                },
                () = cancel.canceled(), if !self.stopped => self.stop(),
            }
        }
    }

    fn begin(&mut self) {
        for &vertex in &self.reachable {
            let inputs = self.facts.of(vertex).inputs.iter().map(|(_, input)| *input).collect();
            let shown = self.graph.vertex(vertex);
            let (kind, title) = (shown.op.kind().to_owned(), shown.title.clone());
            self.world.observer.event(Event::VertexAdded { vertex, kind, title, inputs });
        }
        for vertex in self.reachable.clone() {
            if self.graph.vertex(vertex).op.must_be_read() {
                self.want(vertex);
            }
        }
        for target in self.targets.clone() {
            self.want(target);
        }
    }

    /// Works off the queue, then hands out work, until there is neither.
    fn settle(&mut self) {
        loop {
            while let Some((vertex, happened)) = self.queue.pop_front() {
                let state = &mut self.states[vertex.index()];
                let (next, command) = advance(std::mem::replace(state, State::Canceled), happened);
                *state = next;
                self.carry_out(vertex, command);
            }
            if std::mem::take(&mut self.prune) {
                self.give_up_unneeded();
                continue;
            }
            self.hand_out();
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, vertex: VertexId, command: Command) {
        match command {
            Command::Nothing => {}
            Command::Read => self.to_read.push(vertex),
            Command::Ask => match self.answers.remove(&vertex) {
                Some(answer) => self.tell(vertex, Happened::Said(answer)),
                None if self.asked.contains(&vertex) => {}
                None => self.to_ask.push(vertex),
            },
            Command::WantBase => {
                if let Some(base) = self.facts.of(vertex).base() {
                    self.want(base);
                }
                self.look_at_base(vertex);
            }
            Command::WantInputs => {
                self.want_inputs(vertex);
                self.look_at_inputs(vertex);
            }
            Command::Narrow => self.to_narrow.push_back(vertex),
            Command::Enqueue => self.ready.push(vertex),
            Command::Run => self.start_run(vertex),
            Command::Wait => self.contended.push(vertex),
            Command::Publish => self.publish(vertex),
            Command::Fail => {
                if let State::Failed(error) = self.state(vertex) {
                    self.fail(vertex, error.clone());
                }
            }
            Command::Abandon => {
                if let Some(token) = self.tokens.remove(&vertex) {
                    token.cancel();
                }
                self.world.observer.event(Event::Canceled { vertex });
            }
        }
    }

    pub(super) fn state(&self, vertex: VertexId) -> &State {
        &self.states[vertex.index()]
    }

    pub(super) fn output(&self, vertex: VertexId) -> Option<&Output> {
        match self.state(vertex) {
            State::Done(output) => Some(output),
            _ => None,
        }
    }

    pub(super) fn tell(&mut self, vertex: VertexId, happened: Happened) {
        self.queue.push_back((vertex, happened));
    }

    fn want(&mut self, vertex: VertexId) {
        if matches!(self.state(vertex), State::Idle) {
            let start = self.facts.start(&self.graph, vertex);
            self.tell(vertex, Happened::Wanted(start));
        }
    }

    pub(super) fn want_inputs(&mut self, vertex: VertexId) {
        for (_, input) in self.facts.of(vertex).inputs.clone() {
            self.want(input);
        }
    }

    /// If the base of found layers is there: do they fit?
    fn look_at_base(&mut self, vertex: VertexId) {
        let State::Found(cached, origin) = self.state(vertex) else { return };
        let base = match self.facts.of(vertex).base() {
            Some(base) => match self.output(base) {
                Some(output) => output.snapshot.clone(),
                None => return,
            },
            None => Snapshot::default(),
        };
        if !jobs::fits(cached, Some(base.id())) {
            return self.tell(vertex, Happened::Misfits);
        }
        if *origin != Origin::Run {
            self.name(vertex, &cached.content_key);
            self.world.observer.event(Event::Cached { vertex });
        }
        let output = Output {
            own: cached.own.clone(),
            snapshot: base.with(&cached.own),
            content_key: cached.content_key,
        };
        self.tell(vertex, Happened::Fits(output));
    }

    /// If all inputs that a step needs to run are there: is there a content key to ask for?
    fn look_at_inputs(&mut self, vertex: VertexId) {
        if !matches!(self.state(vertex), State::Awaiting) {
            return;
        }
        let mut inputs = Vec::new();
        for (role, input) in self.facts.of(vertex).needed_to_run() {
            match self.output(input) {
                Some(output) => inputs.push((role, input, output.content_key)),
                None => return,
            }
        }
        let narrow = self.facts.needs_narrowing(&self.graph, vertex, &inputs);
        self.tell(vertex, Happened::InputsDone { narrow });
    }

    /// Tells how the result of a step is known.
    pub(super) fn name(&self, vertex: VertexId, key: &Key) {
        if self.world.observer.follows_file() {
            self.world.observer.event(Event::Named { vertex, id: key.short() });
        }
    }

    fn publish(&mut self, vertex: VertexId) {
        if matches!(self.graph.vertex(vertex).op, Op::Image(_) | Op::Scratch) {
            if let Op::Image(image) = &self.graph.vertex(vertex).op
                && self.world.observer.follows_file()
            {
                let hex = image.config.split(':').next_back().unwrap_or_default();
                let id = hex.chars().take(12).collect();
                self.world.observer.event(Event::Named { vertex, id });
            }
            self.world.observer.event(Event::Cached { vertex });
        }
        for user in self.facts.of(vertex).users.clone() {
            self.look_at_base(user);
            self.look_at_inputs(user);
        }
    }
}
