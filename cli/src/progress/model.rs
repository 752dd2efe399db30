//! What is known of every step of a build, kept up to date from the events.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gantry_solver::event::Instruction;
use gantry_solver::{Event, Stream, VertexId};

use super::lines::{Lines, harmless};
use super::status::Status;

/// How many of its last log lines a step keeps for the end.
pub(super) const KEPT_LINES: usize = 25;

/// A build as seen so far; steps in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Build {
    steps: Vec<Step>,
    index: HashMap<VertexId, usize>,
    /// What the Dockerfile says, in its order.
    pub(super) instructions: Vec<Instruction>,
    /// What was warned of, without repetitions.
    pub(super) warnings: Vec<String>,
}

/// One vertex.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) vertex: VertexId,
    /// What it does, in one word.
    pub(super) kind: String,
    pub(super) title: String,
    /// What it makes is known by this.
    pub(super) id: Option<String>,
    pub(super) state: State,
    /// When it started, seen from the build's start.
    pub(super) started: Option<Duration>,
    /// The last complete lines, oldest first.
    pub(super) lines: VecDeque<Line>,
    /// What it does bit by bit, in the order in which it began.
    pub(super) statuses: Vec<Status>,
    stdout: Lines,
    stderr: Lines,
}

/// A line of a step's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// When it was complete, seen from the step's start.
    pub(super) since: Duration,
    /// Its text, harmless.
    pub(super) text: String,
}

impl std::fmt::Display for Line {
    /// When it was complete, and the text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", seconds(self.since), self.text)
    }
}

/// Lines of a step's log that were complete at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// When that was, seen from the step's start.
    pub(super) since: Duration,
    /// Their texts, harmless, with a newline behind each.
    pub(super) text: String,
}

impl Said {
    /// Each line's text.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split_terminator('\n')
    }
}

/// Seconds in five characters, as BuildKit writes them.
pub(super) fn seconds(since: Duration) -> String {
    let decimals = match since.as_secs() {
        0..10 => 3,
        10..100 => 2,
        _ => 1,
    };
    format!("{:.decimals$}", since.as_secs_f64())
}

/// How far a step has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Cached,
    Skipped,
    Done(Duration),
    Failed { message: String, took: Duration },
    Canceled,
}

impl Build {
    /// All steps.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The position of a vertex's step in [`steps`](Self::steps).
    pub(super) fn position(&self, vertex: VertexId) -> Option<usize> {
        self.index.get(&vertex).copied()
    }

    /// Takes an event; `at` is the time since the build's start. Returns the log lines that it
    /// completed.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) -> Said {
        let mut lines = Said::default();
        match event {
            Event::Instructions { list } => self.instructions.clone_from(list),
            Event::Named { vertex, id } => {
                self.change(*vertex, |step| step.id = Some(id.clone()));
            }
            Event::VertexAdded { vertex, kind, title, .. } => self.add(*vertex, kind, title),
            Event::Started { vertex } => self.change(*vertex, |step| {
                step.state = State::Running;
                step.started = Some(at);
            }),
            Event::Cached { vertex } => self.change(*vertex, |step| step.state = State::Cached),
            Event::Skipped { vertex } => self.change(*vertex, |step| step.state = State::Skipped),
            Event::Missed { .. } | Event::Waiting { .. } => {}
            Event::Log { vertex, stream, data } => {
                self.change(*vertex, |step| lines = step.log(*stream, data, at));
            }
            Event::Status { vertex, name, current, total } => self.change(*vertex, |step| {
                let name = harmless(name.as_bytes());
                match step.statuses.iter_mut().find(|status| status.name == name) {
                    Some(status) => {
                        status.current = *current;
                        status.total = *total;
                        status.updated = at;
                    }
                    None => step.statuses.push(Status {
                        name,
                        current: *current,
                        total: *total,
                        started: at,
                        updated: at,
                    }),
                }
            }),
            Event::Done { vertex, took } => self.change(*vertex, |step| {
                lines = step.flush(at);
                step.state = State::Done(*took);
            }),
            Event::Failed { vertex, messages, .. } => self.change(*vertex, |step| {
                lines = step.flush(at);
                let took = at.saturating_sub(step.started.unwrap_or(at));
                step.state = State::Failed { message: harmless_text(&messages.join(": ")), took };
            }),
            Event::Canceled { vertex } => self.change(*vertex, |step| {
                lines = step.flush(at);
                step.state = State::Canceled;
            }),
            Event::Warning { message, .. } => {
                let message = harmless_text(message);
                if !self.warnings.contains(&message) {
                    self.warnings.push(message);
                }
            }
        }
        lines
    }

    /// Takes what a step printed as [`apply`](Self::apply) does, but makes no line that the step
    /// would forget at once.
    pub(super) fn keep_last(&mut self, of: VertexId, stream: Stream, data: &[u8], at: Duration) {
        self.change(of, |step| match memchr::memrchr_iter(b'\n', data).nth(KEPT_LINES) {
            Some(end) => {
                step.stream(stream).forget();
                step.log(stream, &data[end + 1..], at);
            }
            None => {
                step.log(stream, data, at);
            }
        });
    }

    /// Ends the build: what still seemed to run was canceled.
    pub(super) fn finish(&mut self) {
        for step in self.steps.iter_mut().filter(|step| step.state == State::Running) {
            step.state = State::Canceled;
        }
    }

    fn add(&mut self, vertex: VertexId, kind: &str, title: &str) {
        // As in BuildKit, FROM scratch is no step.
        if self.index.contains_key(&vertex) || kind == "scratch" {
            return;
        }
        self.index.insert(vertex, self.steps.len());
        self.steps.push(Step {
            vertex,
            kind: kind.to_owned(),
            id: None,
            // A heredoc's title has several lines; the first says enough.
            title: harmless(title.lines().next().unwrap_or("").as_bytes()),
            state: State::Waiting,
            started: None,
            lines: VecDeque::new(),
            statuses: Vec::new(),
            stdout: Lines::default(),
            stderr: Lines::default(),
        });
    }

    fn change(&mut self, vertex: VertexId, change: impl FnOnce(&mut Step)) {
        if let Some(position) = self.position(vertex) {
            change(&mut self.steps[position]);
        }
    }
}

impl Step {
    fn log(&mut self, stream: Stream, data: &[u8], at: Duration) -> Said {
        let since = at.saturating_sub(self.started.unwrap_or(at));
        let mut said = Said { since, text: String::new() };
        self.stream(stream).push(data, &mut said.text);
        self.keep(&said);
        said
    }

    fn stream(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }

    fn flush(&mut self, at: Duration) -> Said {
        let since = at.saturating_sub(self.started.unwrap_or(at));
        let mut said = Said { since, text: String::new() };
        self.stdout.finish(&mut said.text);
        self.stderr.finish(&mut said.text);
        self.keep(&said);
        said
    }

    fn keep(&mut self, said: &Said) {
        let kept = self.lines.len();
        let line = |text: &str| Line { since: said.since, text: text.to_owned() };
        self.lines.extend(said.lines().rev().take(KEPT_LINES).map(line));
        self.lines.make_contiguous()[kept..].reverse();
        let surplus = self.lines.len().saturating_sub(KEPT_LINES);
        self.lines.drain(..surplus);
    }
}

/// Text of several lines, each made harmless.
fn harmless_text(text: &str) -> String {
    text.lines().map(|line| harmless(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_the_same_whether_all_are_made_or_not() {
        let vertex = VertexId::internal(1);
        let added = Event::VertexAdded {
            vertex,
            kind: "run".to_owned(),
            title: "RUN chat".to_owned(),
            inputs: vec![],
        };
        let text: String =
            (0..2_000).map(|n| format!("line {n}\r\n{}", "\n".repeat(n % 3))).collect();
        for size in [1, 7, 300, 5_000] {
            let (mut all, mut last) = (Build::default(), Build::default());
            all.apply(&added, Duration::ZERO);
            last.apply(&added, Duration::ZERO);
            for (data, n) in text.as_bytes().chunks(size).zip(0..) {
                let stream = if n % 5 == 0 { Stream::Stderr } else { Stream::Stdout };
                let at = Duration::from_millis(n);
                all.apply(&Event::Log { vertex, stream, data: data.to_vec() }, at);
                last.keep_last(vertex, stream, data, at);
                assert_eq!(last.steps()[0].lines, all.steps()[0].lines, "{size} bytes at once");
            }
            let done = Event::Done { vertex, took: Duration::ZERO };
            assert_eq!(last.apply(&done, Duration::ZERO), all.apply(&done, Duration::ZERO));
            assert_eq!(last.steps()[0].lines.len(), KEPT_LINES);
        }
    }
}
