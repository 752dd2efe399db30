//! BuildKit's plain form: every step a block of `#N …` lines, blocks apart by an empty line.
//!
//! One step has the floor: its output appears at once. What others say meanwhile is held back, so
//! that blocks stay readable, until they end, or until they have waited for [`PATIENCE`]; then the
//! floor changes with `#N ...`.

use std::collections::HashMap;
use std::io::Write;
use std::time::Duration;

use gantry_solver::{Event, VertexId, Why};

use super::model::{Build, Said, State, Step, seconds};
use super::{Display, Heard};
use crate::ui::github;

/// How long a step waits for the floor.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far apart the reports of one unfinished status are, in time or in hundredths of the whole.
const STATUS_EVERY: Duration = Duration::from_secs(5);
const STATUS_PERCENT: u64 = 5;

/// How many bytes wait for the floor at most, of one step.
const PATIENT_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Plain {
    numbers: HashMap<VertexId, usize>,
    floor: Option<VertexId>,
    /// What steps without the floor have to say, first come first.
    waiting: Vec<Waiting>,
    /// What was last printed of each status.
    statuses: HashMap<(VertexId, String), Reported>,
    wrote: bool,
    /// Whether blocks are groups that GitHub's log folds.
    grouped: bool,
    /// Space for what is written next.
    text: String,
}

struct Waiting {
    vertex: VertexId,
    since: Duration,
    words: Vec<Words>,
}

/// What a step has to say.
enum Words {
    /// Lines of its log.
    Log(Said),
    /// A line about it.
    Line(String),
}

struct Reported {
    at: Duration,
    current: u64,
    done: bool,
}

impl Display for Plain {
    fn event(&mut self, build: &Build, heard: Heard<'_>, out: &mut dyn Write) {
        let (vertex, mut words) = match heard.event {
            Event::Status { vertex, name, .. } => {
                let line = self.status_line(build, *vertex, name, heard.at);
                (*vertex, line.map(Words::Line).into_iter().collect())
            }
            Event::Warning { vertex: Some(vertex), message } => {
                let first = message.lines().next().unwrap_or("");
                let line = format!("WARN: {}", super::lines::harmless(first.as_bytes()));
                (*vertex, vec![Words::Line(line)])
            }
            Event::Started { vertex } => (*vertex, Vec::new()),
            // Of what never ran, and of what the user wants to run, there is nothing to explain.
            Event::Missed { why: Why::New | Why::NoCache, .. } => return,
            Event::Missed { vertex, why } => {
                let why = super::lines::harmless(why.to_string().as_bytes());
                (*vertex, vec![Words::Line(format!("[because: {why}]"))])
            }
            Event::Log { vertex, .. }
            | Event::Cached { vertex }
            | Event::Done { vertex, .. }
            | Event::Failed { vertex, .. }
            | Event::Canceled { vertex } => {
                let said = (!heard.lines.text.is_empty()).then_some(heard.lines);
                (*vertex, said.map(Words::Log).into_iter().collect())
            }
            Event::VertexAdded { .. }
            | Event::Instructions { .. }
            | Event::Named { .. }
            | Event::Skipped { .. }
            | Event::Waiting { .. }
            | Event::Warning { vertex: None, .. } => return,
        };
        let Some(step) = build.position(vertex).map(|position| &build.steps()[position]) else {
            return;
        };
        if let Some(ending) = ending(step) {
            // A step that never began and never will is not worth a block.
            if step.state == State::Canceled && step.started.is_none() {
                return;
            }
            words.push(Words::Line(ending));
            let mut all = self.take_waiting(vertex);
            all.append(&mut words);
            self.say(step, &all, out);
            self.floor = None;
            self.pass_floor(0, build, out);
        } else if self.floor.is_none() || self.floor == Some(vertex) {
            self.say(step, &words, out);
        } else if !words.is_empty() {
            let position = self.waiting.iter().position(|waiting| waiting.vertex == vertex);
            let position = position.unwrap_or_else(|| {
                self.waiting.push(Waiting { vertex, since: heard.at, words: Vec::new() });
                self.waiting.len() - 1
            });
            let waiting = &mut self.waiting[position].words;
            waiting.append(&mut words);
            if waiting.iter().map(Words::len).sum::<usize>() > PATIENT_BYTES {
                self.pass_floor(position, build, out);
            }
            self.tick(build, heard.at, out);
        }
    }

    fn tick(&mut self, build: &Build, at: Duration, out: &mut dyn Write) {
        if self.waiting.first().is_some_and(|first| at.saturating_sub(first.since) >= PATIENCE) {
            self.pass_floor(0, build, out);
        }
    }

    fn finish(&mut self, build: &Build, _: Duration, out: &mut dyn Write) {
        while !self.waiting.is_empty() {
            self.pass_floor(0, build, out);
        }
        for step in build.steps().iter().filter(|step| step.state == State::Canceled) {
            if self.floor == Some(step.vertex) {
                self.say(step, &[Words::Line("CANCELED".to_owned())], out);
            }
        }
        let _ = out.write_all(self.close_group().as_bytes());
        let _ = out.flush();
    }

    fn wants_ticks(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Plain {
    /// Blocks are groups, if this runs where GitHub folds them.
    pub(super) fn new(grouped: bool) -> Self {
        Self { grouped, ..Self::default() }
    }

    /// What ends the group that is open.
    fn close_group(&self) -> &'static str {
        if self.grouped && self.wrote { github::END_GROUP } else { "" }
    }

    /// Gives the floor to the step at this place among those that wait, if there is one.
    fn pass_floor(&mut self, place: usize, build: &Build, out: &mut dyn Write) {
        if self.waiting.len() <= place {
            return;
        }
        let waiting = self.waiting.remove(place);
        if let Some(position) = build.position(waiting.vertex) {
            self.say(&build.steps()[position], &waiting.words, out);
        }
    }

    fn take_waiting(&mut self, vertex: VertexId) -> Vec<Words> {
        match self.waiting.iter().position(|waiting| waiting.vertex == vertex) {
            Some(position) => self.waiting.remove(position).words,
            None => Vec::new(),
        }
    }

    /// Prints what a step has to say, by one write. The step has the floor from here on.
    fn say(&mut self, step: &Step, words: &[Words], out: &mut dyn Write) {
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(step.vertex).or_insert(next);
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        if self.floor != Some(step.vertex) {
            if let Some(before) = self.floor.and_then(|before| self.numbers.get(&before)) {
                text.push_str(&format!("#{before} ...\n"));
            }
            let header = format!("#{number} {}", step.title);
            if self.grouped {
                text.push_str(self.close_group());
                text.push_str(&github::group(&header));
            } else {
                text.push_str(if self.wrote { "\n" } else { "" });
                text.push_str(&format!("{header}\n"));
            }
            self.floor = Some(step.vertex);
        }
        words.iter().for_each(|words| words.print(number, &mut text));
        self.wrote = true;
        // Nobody reads: then nobody misses it either.
        let _ = out.write_all(text.as_bytes());
        self.text = text;
    }

    /// The line for a status, if it is time for one.
    fn status_line(
        &mut self,
        build: &Build,
        vertex: VertexId,
        name: &str,
        at: Duration,
    ) -> Option<String> {
        let step = &build.steps()[build.position(vertex)?];
        let status = step.statuses.iter().find(|status| status.name == name)?;
        let key = (vertex, name.to_owned());
        let done = status.is_done();
        let due = match self.statuses.get(&key) {
            None => true,
            Some(reported) => {
                let more = status.current.saturating_sub(reported.current);
                let part = status.total.filter(|total| *total > 0);
                let much = part.is_some_and(|total| more >= total.div_ceil(100 / STATUS_PERCENT));
                let long = at.saturating_sub(reported.at) >= STATUS_EVERY;
                !reported.done && (done || much || long)
            }
        };
        if !due {
            return None;
        }
        self.statuses.insert(key, Reported { at, current: status.current, done });
        Some(status.to_string())
    }
}

impl Words {
    fn len(&self) -> usize {
        match self {
            Self::Log(said) => said.text.len(),
            Self::Line(line) => line.len(),
        }
    }

    fn print(&self, number: usize, text: &mut String) {
        match self {
            Self::Log(said) => {
                let prefix = format!("#{number} {} ", seconds(said.since));
                for line in said.lines() {
                    text.push_str(&prefix);
                    text.push_str(line);
                    text.push('\n');
                }
            }
            Self::Line(line) => text.push_str(&format!("#{number} {line}\n")),
        }
    }
}

/// The line that ends a block.
fn ending(step: &Step) -> Option<String> {
    match &step.state {
        State::Waiting | State::Running | State::Skipped => None,
        State::Cached => Some("CACHED".to_owned()),
        State::Done(took) => Some(format!("DONE {:.1}s", took.as_secs_f64())),
        State::Failed { message, .. } => Some(format!("ERROR: {message}")),
        State::Canceled => Some("CANCELED".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, play};
    use super::*;

    #[test]
    fn a_build_reads_as_buildkit_writes_it() {
        let script = Script::default()
            .add(0, "[internal] load build definition from Dockerfile")
            .start(0)
            .status(0, "transferring dockerfile:", 65, Some(65))
            .done(0, 20)
            .add(1, "[1/3] FROM docker.io/library/busybox:latest")
            .add(2, "[2/3] RUN echo hi && sleep 1")
            .add(3, "[3/3] COPY . /")
            .cached(1)
            .start(2)
            .wait(123)
            .log(2, "hi\n")
            .wait(12_000)
            .log(2, "half ")
            .log(2, "a line\nno end")
            .done(2, 12_300)
            .start(3)
            .status(3, "sha256:abc", 500_000, Some(2_000_000))
            .wait(300)
            .status(3, "sha256:abc", 2_000_000, Some(2_000_000))
            .fail(3, &["failed to copy", "no such file"]);
        insta::assert_snapshot!(play(Plain::default(), script), @"
        #1 [internal] load build definition from Dockerfile
        #1 transferring dockerfile: 65B done
        #1 DONE 0.0s

        #2 [1/3] FROM docker.io/library/busybox:latest
        #2 CACHED

        #3 [2/3] RUN echo hi && sleep 1
        #3 0.123 hi
        #3 12.12 half a line
        #3 12.12 no end
        #3 DONE 12.3s

        #4 [3/3] COPY . /
        #4 sha256:abc 500.00kB / 2.00MB
        #4 sha256:abc 2.00MB / 2.00MB 0.3s done
        #4 ERROR: failed to copy: no such file
        ");
    }

    #[test]
    fn blocks_are_groups_where_they_are_folded() {
        let script = Script::default()
            .add(1, "[1/2] FROM x")
            .cached(1)
            .add(2, "[2/2] RUN date +%D")
            .start(2)
            .log(2, "hi\n::error::not of ours\n")
            .done(2, 300);
        insta::assert_snapshot!(play(Plain::new(true), script), @"
        ::group::#1 [1/2] FROM x
        #1 CACHED
        ::endgroup::
        ::group::#2 [2/2] RUN date +%25D
        #2 0.000 hi
        #2 0.000 ::error::not of ours
        #2 DONE 0.3s
        ::endgroup::
        ");
    }

    #[test]
    fn steps_that_run_at_once_take_turns() {
        let script = Script::default()
            .add(1, "[a 1/1] RUN a")
            .add(2, "[b 1/1] RUN b")
            .add(3, "[c 1/1] RUN c")
            .start(1)
            .start(2)
            .start(3)
            .log(1, "a1\n")
            .log(2, "b1\n")
            .wait(1000)
            .log(2, "b2\n")
            .log(1, "a2\n")
            .wait(4500)
            .tick()
            .log(1, "a3\n")
            .log(3, "c1\n")
            .done(3, 5500)
            .log(2, "b3\n")
            .done(1, 5500)
            .cancel(2);
        insta::assert_snapshot!(play(Plain::default(), script), @"
        #1 [a 1/1] RUN a
        #1 0.000 a1
        #1 1.000 a2
        #1 ...

        #2 [b 1/1] RUN b
        #2 0.000 b1
        #2 1.000 b2
        #2 ...

        #3 [c 1/1] RUN c
        #3 5.500 c1
        #3 DONE 5.5s

        #1 [a 1/1] RUN a
        #1 5.500 a3
        #1 DONE 5.5s

        #2 [b 1/1] RUN b
        #2 5.500 b3
        #2 CANCELED
        ");
    }

    #[test]
    fn who_has_much_to_say_does_not_wait() {
        let much = "x".repeat(PATIENT_BYTES - 1) + "\n";
        let script = Script::default()
            .add(1, "[a 1/1] RUN a")
            .add(2, "[b 1/1] RUN b")
            .start(1)
            .start(2)
            .log(1, "a1\n")
            .log(2, "b1\n")
            .log(2, &much)
            .log(1, "a2\n")
            .done(2, 0)
            .done(1, 0);
        let text = play(Plain::default(), script).replace(&much, "much\n");
        insta::assert_snapshot!(text, @"
        #1 [a 1/1] RUN a
        #1 0.000 a1
        #1 ...

        #2 [b 1/1] RUN b
        #2 0.000 b1
        #2 0.000 much
        #2 DONE 0.0s

        #1 [a 1/1] RUN a
        #1 0.000 a2
        #1 DONE 0.0s
        ");
    }

    #[test]
    fn logs_cannot_reach_the_terminal() {
        let script = Script::default()
            .add(1, "RUN \x1b[31mred")
            .start(1)
            .log(1, "\x1b]0;owned\x07text\x1b[2J\r\n")
            .fail(1, &["bad \x1b[1mthing"]);
        let text = play(Plain::default(), script);
        assert!(!text.contains('\x1b'), "{text:?}");
    }
}
