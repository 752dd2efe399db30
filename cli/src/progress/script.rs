//! Scripted builds for the tests of displays: what happens, and how much time passes between.

use std::time::Duration;

use gantry_solver::event::Instruction;
use gantry_solver::{Event, Stream, VertexId};

use super::model::Build;
use super::{Display, Heard};

/// What happens in a build, in order.
#[derive(Default)]
pub(super) struct Script {
    moves: Vec<Move>,
}

enum Move {
    Event(Event),
    Wait(Duration),
    Tick,
}

pub(super) fn id(n: u32) -> VertexId {
    VertexId::internal(n)
}

impl Script {
    pub(super) fn event(mut self, event: Event) -> Self {
        self.moves.push(Move::Event(event));
        self
    }

    pub(super) fn wait(mut self, millis: u64) -> Self {
        self.moves.push(Move::Wait(Duration::from_millis(millis)));
        self
    }

    pub(super) fn tick(mut self) -> Self {
        self.moves.push(Move::Tick);
        self
    }

    pub(super) fn instructions(self, list: &[(&str, Option<u32>)]) -> Self {
        let made = |(text, vertex): &(&str, Option<u32>)| Instruction {
            text: (*text).to_owned(),
            platform: None,
            vertices: vertex.map(id).into_iter().collect(),
        };
        self.event(Event::Instructions { list: list.iter().map(made).collect() })
    }

    pub(super) fn add(self, n: u32, title: &str) -> Self {
        self.add_kind(n, "run", title)
    }

    pub(super) fn add_kind(self, n: u32, kind: &str, title: &str) -> Self {
        let (kind, title) = (kind.to_owned(), title.to_owned());
        self.event(Event::VertexAdded { vertex: id(n), kind, title, inputs: vec![] })
    }

    pub(super) fn named(self, n: u32, name: &str) -> Self {
        self.event(Event::Named { vertex: id(n), id: name.to_owned() })
    }

    pub(super) fn start(self, n: u32) -> Self {
        self.event(Event::Started { vertex: id(n) })
    }

    pub(super) fn cached(self, n: u32) -> Self {
        self.event(Event::Cached { vertex: id(n) })
    }

    pub(super) fn log(self, n: u32, text: &str) -> Self {
        let data = text.as_bytes().to_vec();
        self.event(Event::Log { vertex: id(n), stream: Stream::Stdout, data })
    }

    pub(super) fn status(self, n: u32, name: &str, current: u64, total: Option<u64>) -> Self {
        self.event(Event::Status { vertex: id(n), name: name.to_owned(), current, total })
    }

    pub(super) fn done(self, n: u32, millis: u64) -> Self {
        self.event(Event::Done { vertex: id(n), took: Duration::from_millis(millis) })
    }

    pub(super) fn fail(self, n: u32, messages: &[&str]) -> Self {
        let messages = messages.iter().map(|text| (*text).to_owned()).collect();
        self.event(Event::Failed { vertex: id(n), messages, exit_code: None })
    }

    pub(super) fn cancel(self, n: u32) -> Self {
        self.event(Event::Canceled { vertex: id(n) })
    }

    pub(super) fn warn(self, message: &str) -> Self {
        self.event(Event::Warning { vertex: None, message: message.to_owned() })
    }
}

/// Plays a script, and returns what was shown.
pub(super) fn play(display: impl Display, script: Script) -> String {
    play_build(display, script).1
}

/// Plays a script; returns the build as it then stands as well.
pub(super) fn play_build(mut display: impl Display, script: Script) -> (Build, String) {
    let mut build = Build::default();
    let mut at = Duration::ZERO;
    let mut out = Vec::new();
    for step in script.moves {
        match step {
            Move::Event(event) => {
                let lines = build.apply(&event, at);
                display.event(&build, Heard { event: &event, lines, at }, &mut out);
            }
            Move::Wait(time) => at += time,
            Move::Tick => display.tick(&build, at, &mut out),
        }
    }
    build.finish();
    display.finish(&build, at, &mut out);
    (build, String::from_utf8(out).unwrap())
}
