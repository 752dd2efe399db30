//! The form of docker's classic builder: `Step 1/5 : FROM busybox`, in the order of the file
//! (A5-10).
//!
//! Steps that run at once are shown one after the other: what a later one prints is held back until
//! it is its turn, on the disk if it is much.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Write};
use std::time::Duration;

use gantry_image::Digest;
use gantry_solver::event::Instruction;
use gantry_solver::{Event, VertexId};

use super::held::Held;
use super::lines::harmless;
use super::model::{Build, State, Step};
use super::{Display, Heard};

/// See the module.
#[derive(Default)]
pub(super) struct Steps {
    /// How many instructions are shown to their end.
    shown: usize,
    /// How many steps of the one after these are.
    parts: usize,
    /// Whether it has its line.
    begun: bool,
    /// Whether it was said to run.
    running: bool,
    /// What steps printed whose turn has not come.
    held: HashMap<VertexId, Held>,
    /// The steps that are shown; of several platforms' ones the others only have a name.
    told: HashSet<VertexId>,
    /// The name of what is there so far.
    last: String,
    /// A step has failed, so that no other has its turn.
    over: bool,
}

impl Display for Steps {
    fn event(&mut self, build: &Build, heard: Heard<'_>, out: &mut dyn Write) {
        if let Event::Log { vertex, .. }
        | Event::Done { vertex, .. }
        | Event::Failed { vertex, .. }
        | Event::Canceled { vertex } = heard.event
            && !heard.lines.text.is_empty()
        {
            self.held.entry(*vertex).or_default().push(&heard.lines.text);
        }
        self.go_on(build, out);
    }

    fn tick(&mut self, _: &Build, _: Duration, _: &mut dyn Write) {}

    fn finish(&mut self, build: &Build, _: Duration, out: &mut dyn Write) {
        self.go_on(build, out);
        if build.steps().iter().any(|step| matches!(step.state, State::Failed { .. })) {
            self.catch_up(build, out);
        }
        let _ = out.flush();
    }

    fn wants_ticks(&self) -> bool {
        false
    }
}

impl Steps {
    /// Shows all whose turn has come.
    fn go_on(&mut self, build: &Build, out: &mut dyn Write) {
        let out = &mut BufWriter::new(out);
        while let Some(instruction) = build.instructions.get(self.shown).filter(|_| !self.over) {
            if !std::mem::replace(&mut self.begun, true) {
                put(out, &header(build, self.shown));
            }
            while let Some(vertex) = instruction.vertices.get(self.parts) {
                // Vertices are told of after the instructions.
                let Some(position) = build.position(*vertex) else { break };
                if !self.show(&build.steps()[position], instruction, out) {
                    break;
                }
                self.parts += 1;
                self.running = false;
            }
            if self.parts < instruction.vertices.len() {
                break;
            }
            if instruction.vertices.is_empty() {
                self.name(None, instruction, out);
            }
            self.shown += 1;
            (self.parts, self.begun, self.running) = (0, false, false);
        }
    }

    /// Shows how far a step has come; returns whether it is over.
    fn show(&mut self, step: &Step, instruction: &Instruction, out: &mut dyn Write) -> bool {
        let is_run = step.kind == "run";
        let is_base = step.kind == "image";
        if step.state == State::Waiting {
            return false;
        }
        if matches!(step.state, State::Cached | State::Skipped) || self.told.contains(&step.vertex)
        {
            if !is_base {
                put(out, " ---> Using cache\n");
            }
            self.name(step.id.as_deref(), instruction, out);
            return true;
        }
        if is_run && step.started.is_some() && !std::mem::replace(&mut self.running, true) {
            put(out, &format!(" ---> Running in {}\n", container(step)));
        }
        self.print(step.vertex, out);
        match &step.state {
            State::Done(_) => {
                if is_run {
                    let container = container(step);
                    put(out, &format!(" ---> Removed intermediate container {container}\n"));
                }
                self.told.insert(step.vertex);
                self.name(step.id.as_deref(), instruction, out);
                true
            }
            State::Failed { .. } | State::Canceled => {
                self.over = true;
                self.told.insert(step.vertex);
                false
            }
            _ => false,
        }
    }

    /// Shows what is left of a build that failed: what steps printed whose turn never came, and
    /// last the ones that failed.
    fn catch_up(&mut self, build: &Build, out: &mut dyn Write) {
        let failed = |vertex: &VertexId| {
            let step = build.position(*vertex).map(|position| &build.steps()[position]);
            step.is_some_and(|step| matches!(step.state, State::Failed { .. }))
        };
        let from = self.shown;
        let rest = |number: usize| {
            let instruction = &build.instructions[number];
            instruction.vertices.iter().map(move |vertex| (number, *vertex))
        };
        let mut rest: Vec<_> = (from..build.instructions.len()).flat_map(rest).collect();
        rest.sort_by_key(|(_, vertex)| failed(vertex));
        let out = &mut BufWriter::new(out);
        for (number, vertex) in rest {
            let step = build.position(vertex).map(|position| &build.steps()[position]);
            let Some(step) = step.filter(|step| !self.told.contains(&step.vertex)) else {
                continue;
            };
            if failed(&vertex) || self.held.contains_key(&vertex) {
                self.told.insert(vertex);
                put(out, &header(build, number));
                if step.kind == "run" && step.started.is_some() {
                    put(out, &format!(" ---> Running in {}\n", container(step)));
                }
                self.print(vertex, out);
            }
        }
        // What belongs to no instruction, in the order in which it came to be.
        for step in build.steps() {
            self.print(step.vertex, out);
        }
    }

    /// Shows what a step has printed by now.
    fn print(&mut self, vertex: VertexId, out: &mut dyn Write) {
        if let Some(held) = self.held.remove(&vertex) {
            let _ = held.write_to(out);
        }
    }

    /// Shows the name of what is there after an instruction: the step's, or one that follows from
    /// the name so far and what is said.
    fn name(&mut self, id: Option<&str>, instruction: &Instruction, out: &mut dyn Write) {
        let derived = || {
            let seed = format!("{}\n{}", self.last, instruction.text);
            short(&Digest::of(seed.as_bytes()))
        };
        self.last = id.map_or_else(derived, str::to_owned);
        put(out, &format!(" ---> {}\n", self.last));
    }
}

/// Nobody reads: then nobody misses it either.
fn put(out: &mut dyn Write, text: &str) {
    let _ = out.write_all(text.as_bytes());
}

/// The line that begins an instruction.
fn header(build: &Build, number: usize) -> String {
    let instruction = &build.instructions[number];
    let platform = instruction.platform.as_deref();
    let platform = platform.map(|name| format!("[{name}] ")).unwrap_or_default();
    let (number, count) = (number + 1, build.instructions.len());
    format!(
        "Step {number}/{count} : {}\n",
        harmless(format!("{platform}{}", instruction.text).as_bytes())
    )
}

/// The name of the container in which a step runs. It has no other, and lives no longer.
fn container(step: &Step) -> String {
    let seed = format!("{} {} {:?}", std::process::id(), step.vertex, step.started);
    short(&Digest::of(seed.as_bytes()))
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::super::script::{self, Script, play};
    use super::*;

    fn script() -> Script {
        Script::default()
            .instructions(&[
                ("FROM busybox", Some(1)),
                ("ENV A=b", None),
                ("RUN echo hi", Some(2)),
                ("COPY . /", Some(3)),
                ("RUN false", Some(4)),
                ("CMD x", None),
            ])
            .add_kind(1, "image", "[1/4] FROM busybox")
            .add(2, "[2/4] RUN echo hi")
            .add_kind(3, "copy", "[3/4] COPY . /")
            .add(4, "[4/4] RUN false")
            .named(1, "0123456789ab")
            .cached(1)
    }

    #[test]
    fn a_build_reads_as_the_classic_builders() {
        let text = play(
            Steps::default(),
            script()
                .start(2)
                // A step that runs at the same time waits for its turn.
                .start(4)
                .log(4, "four\n")
                .log(2, "hi\n")
                .named(2, "aaaaaaaaaaaa")
                .done(2, 10)
                .named(3, "bbbbbbbbbbbb")
                .cached(3)
                .named(4, "cccccccccccc")
                .done(4, 10),
        );
        let mut settings = insta::Settings::clone_current();
        settings.add_filter("(in|container) [0-9a-f]{12}", "$1 [CONTAINER]");
        let _guard = settings.bind_to_scope();
        insta::assert_snapshot!(text, @"
        Step 1/6 : FROM busybox
         ---> 0123456789ab
        Step 2/6 : ENV A=b
         ---> 202b92a910d9
        Step 3/6 : RUN echo hi
         ---> Running in [CONTAINER]
        hi
         ---> Removed intermediate container [CONTAINER]
         ---> aaaaaaaaaaaa
        Step 4/6 : COPY . /
         ---> Using cache
         ---> bbbbbbbbbbbb
        Step 5/6 : RUN false
         ---> Running in [CONTAINER]
        four
         ---> Removed intermediate container [CONTAINER]
         ---> cccccccccccc
        Step 6/6 : CMD x
         ---> f2cc5c124ba8
        ");
    }

    #[test]
    fn nothing_comes_after_a_failure() {
        let text = play(
            Steps::default(),
            script()
                .named(2, "aaaaaaaaaaaa")
                .cached(2)
                .named(3, "bbbbbbbbbbbb")
                .cached(3)
                .start(4)
                .log(4, "oh no\n")
                .fail(4, &["exit code: 1"]),
        );
        assert!(text.ends_with("oh no\n"), "{text}");
        assert!(text.contains("Step 5/6 : RUN false\n ---> Running in "), "{text}");
    }

    #[test]
    fn what_came_out_of_turn_is_shown_when_the_build_fails() {
        let text = play(
            Steps::default(),
            script()
                .start(2)
                .log(2, "slow\n")
                .start(3)
                .log(3, "copied\n")
                .start(4)
                .log(4, "why it failed, without an end")
                .fail(4, &["exit code: 1"])
                .cancel(2),
        );
        let text = &text[text.find("Step 3/6").unwrap()..];
        let mut settings = insta::Settings::clone_current();
        settings.add_filter("in [0-9a-f]{12}", "in [CONTAINER]");
        let _guard = settings.bind_to_scope();
        insta::assert_snapshot!(text, @"
        Step 3/6 : RUN echo hi
         ---> Running in [CONTAINER]
        slow
        Step 4/6 : COPY . /
        copied
        Step 5/6 : RUN false
         ---> Running in [CONTAINER]
        why it failed, without an end
        ");
    }

    #[test]
    fn platforms_follow_each_other_and_share_what_they_share() {
        let instruction = |text: &str, platform: &str, vertices: &[u32]| Instruction {
            text: text.to_owned(),
            platform: Some(platform.to_owned()),
            vertices: vertices.iter().copied().map(script::id).collect(),
        };
        let list = vec![
            instruction("RUN make", "linux/amd64", &[1]),
            instruction("RUN arch", "linux/amd64", &[2]),
            instruction("RUN make", "linux/arm64", &[1]),
            instruction("RUN arch", "linux/arm64", &[3]),
        ];
        let text = play(
            Steps::default(),
            Script::default()
                .event(Event::Instructions { list })
                .add(1, "a")
                .add(2, "b")
                .add(3, "c")
                .start(1)
                .named(1, "aaaaaaaaaaaa")
                .done(1, 1)
                .start(3)
                .log(3, "aarch64\n")
                .named(3, "cccccccccccc")
                .done(3, 1)
                .start(2)
                .log(2, "x86_64\n")
                .named(2, "bbbbbbbbbbbb")
                .done(2, 1),
        );
        let mut settings = insta::Settings::clone_current();
        settings.add_filter("(in|container) [0-9a-f]{12}", "$1 [CONTAINER]");
        let _guard = settings.bind_to_scope();
        insta::assert_snapshot!(text, @"
        Step 1/4 : [linux/amd64] RUN make
         ---> Running in [CONTAINER]
         ---> Removed intermediate container [CONTAINER]
         ---> aaaaaaaaaaaa
        Step 2/4 : [linux/amd64] RUN arch
         ---> Running in [CONTAINER]
        x86_64
         ---> Removed intermediate container [CONTAINER]
         ---> bbbbbbbbbbbb
        Step 3/4 : [linux/arm64] RUN make
         ---> Using cache
         ---> aaaaaaaaaaaa
        Step 4/4 : [linux/arm64] RUN arch
         ---> Running in [CONTAINER]
        aarch64
         ---> Removed intermediate container [CONTAINER]
         ---> cccccccccccc
        ");
    }
}
