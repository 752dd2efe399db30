//! The live tree: a heading, a line for each step with its time, and the last log lines of what
//! runs. It is drawn at every tick over its former self, and one last time when the build is over.
//!
//! Drawn by hand instead of by indicatif: this is one picture of many lines with a height limit
//! that prefers running steps, and not a set of bars that each know their line.

use std::io::Write;
use std::time::Duration;

use console::{Style, Term, measure_text_width, truncate_str};

use super::colors::Palette;
use super::model::{Build, State, Step};
use super::{Display, Heard};

/// How many log lines of a running step are shown, if `BUILDKIT_TTY_LOG_LINES` doesn't say.
const LOG_LINES: usize = 6;

/// What a name keeps of a line at least that has numbers, too.
const LEAST: usize = 22;

/// See the module.
pub(super) struct Tty {
    size: Box<dyn Fn() -> Size + Send>,
    palette: Palette,
    log_lines: usize,
    /// How many lines of the last picture stand above the cursor.
    drawn: usize,
    heard: bool,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Tty {
    /// Draws for the terminal that stderr is, whose size may change.
    pub(super) fn on_stderr() -> Self {
        let size = || {
            let (height, width) = Term::stderr().size();
            Size { width: width.into(), height: height.into() }
        };
        let asked = std::env::var("BUILDKIT_TTY_LOG_LINES").ok().and_then(|text| text.parse().ok());
        let log_lines = asked.filter(|lines| *lines > 0).unwrap_or(LOG_LINES);
        let (size, palette) = (Box::new(size), Palette::from_environment());
        Self { size, palette, log_lines, drawn: 0, heard: false }
    }

    #[cfg(test)]
    fn of_size(width: usize, height: usize) -> Self {
        let size = Box::new(move || Size { width, height });
        let palette = Palette::colourless();
        Self { size, palette, log_lines: LOG_LINES, drawn: 0, heard: false }
    }

    fn draw(&mut self, build: &Build, at: Duration, over: bool, out: &mut dyn Write) {
        let size = (self.size)();
        let mut lines = self.picture(build, at, size.width);
        if !over {
            // The heading, and one line for the cursor below.
            lines = fit(lines, size.height.saturating_sub(2));
        }
        let total = build.steps().iter().filter(|step| step.state != State::Skipped).count();
        let complete = build
            .steps()
            .iter()
            .filter(|step| matches!(step.state, State::Cached | State::Done(_)))
            .count();
        let ending = match () {
            () if !over => "",
            () if complete == total => " FINISHED",
            () => "",
        };
        let heading = format!("[+] Building {:.1}s ({complete}/{total}){ending}", at.as_secs_f64());
        let style = if over && complete == total { &self.palette.run } else { &Style::new() };
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first line of the last picture; then everything from there is cleared.
            text.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        let heading = truncate_str(&heading, size.width.max(1), "").into_owned();
        text.push_str(&format!("{}\n", style.apply_to(heading)));
        for line in &lines {
            text.push_str(&format!("{}\n", line.style.apply_to(&line.text)));
        }
        self.drawn = lines.len() + 1;
        // One write, so that the terminal shows no half of it.
        let _ = out.write_all(text.as_bytes());
        let _ = out.flush();
    }

    /// The lines below the heading.
    fn picture(&self, build: &Build, at: Duration, width: usize) -> Vec<PictureLine> {
        let mut lines = Vec::new();
        for step in build.steps() {
            let (prefix, style) = match &step.state {
                State::Waiting | State::Skipped => continue,
                State::Canceled if step.started.is_none() => continue,
                State::Running => ("", Style::new()),
                State::Done(_) => ("", self.palette.run.clone()),
                State::Cached => ("CACHED ", self.palette.run.clone()),
                State::Failed { .. } => ("ERROR ", self.palette.error.clone()),
                State::Canceled => ("CANCELED ", self.palette.cancel.clone()),
            };
            let running = step.state == State::Running;
            let took = took(step, at);
            let title = format!("{prefix}{}", step.title);
            lines.extend(row(&title, ["", ""], took, width, style, running));
            for status in &step.statuses {
                let moves = running && !status.is_done();
                // Of a step that is over nothing goes on.
                let took = status.took(if running { at } else { status.updated });
                let pace = if moves { status.pace(at) } else { String::new() };
                let style = if moves { Style::new() } else { self.palette.run.clone() };
                let name = format!("=> {}", status.name);
                let numbers = [&*status.amounts(), &*pace];
                lines.extend(row(&name, numbers, took, width, style, moves));
            }
            let hidden = step.lines.len().saturating_sub(self.log_lines);
            for line in step.lines.iter().skip(hidden).filter(|_| running) {
                let text = format!(" => => # {}", line.text.replace('\t', "    "));
                let text = truncate_str(&text, width.saturating_sub(1), "").into_owned();
                lines.push(PictureLine { text, style: Style::new().dim(), running });
            }
        }
        lines
    }
}

struct PictureLine {
    text: String,
    style: Style,
    running: bool,
}

fn took(step: &Step, at: Duration) -> Duration {
    match &step.state {
        State::Done(took) | State::Failed { took, .. } => *took,
        State::Running | State::Canceled => at.saturating_sub(step.started.unwrap_or(at)),
        State::Waiting | State::Cached | State::Skipped => Duration::ZERO,
    }
}

/// ` => name numbers`, and the time at the right edge; nothing if the terminal is too narrow for it.
///
/// Numbers are left out where there is no room for a name beside them, the last ones first.
fn row(
    name: &str,
    numbers: [&str; 2],
    took: Duration,
    width: usize,
    style: Style,
    running: bool,
) -> Option<PictureLine> {
    let timer = format!(" {:3.1}s", took.as_secs_f64());
    let room = width.checked_sub(" => ".len() + timer.len() + 1).filter(|room| *room >= 12)?;
    let all = numbers.concat();
    let fitting = [all.as_str(), numbers[0], ""].into_iter().find(|numbers| {
        // A digest that can be told from others, and the word before it.
        room.checked_sub(numbers.len() + 1).is_some_and(|room| room >= LEAST) || numbers.is_empty()
    });
    let numbers = fitting.map(|text| format!(" {text}")).filter(|text| text.len() > 1);
    let numbers = numbers.unwrap_or_default();
    let text = format!("{}{numbers}", truncate_str(name, room - numbers.len(), ""));
    let padding = " ".repeat(room.saturating_sub(measure_text_width(&text)));
    Some(PictureLine { text: format!(" => {text}{padding}{timer}"), style, running })
}

/// Takes as many lines as fit: the last ones, but none that runs goes before one that is over.
fn fit(lines: Vec<PictureLine>, height: usize) -> Vec<PictureLine> {
    let mut surplus = lines.len().saturating_sub(height);
    let mut kept: Vec<PictureLine> = Vec::with_capacity(height);
    for line in lines {
        if surplus > 0 && !line.running {
            surplus -= 1;
        } else {
            kept.push(line);
        }
    }
    let still = kept.len().saturating_sub(height);
    kept.drain(..still);
    kept
}

impl Display for Tty {
    fn event(&mut self, _: &Build, _: Heard<'_>, _: &mut dyn Write) {
        self.heard = true;
    }

    fn tick(&mut self, build: &Build, at: Duration, out: &mut dyn Write) {
        self.draw(build, at, false, out);
    }

    fn finish(&mut self, build: &Build, at: Duration, out: &mut dyn Write) {
        if self.heard {
            self.draw(build, at, true, out);
        }
    }

    fn wants_ticks(&self) -> bool {
        self.heard
    }

    fn wants_lines(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::{Script, play};
    use super::*;

    fn script() -> Script {
        Script::default()
            .add(0, "[internal] load build definition from Dockerfile")
            .add(1, "[1/3] FROM docker.io/library/busybox:latest")
            .add(2, "[2/3] RUN for i in 1 2 3 4 5 6 7 8; do echo $i; done; sleep 60; and so on")
            .add(3, "[3/3] COPY . /")
            .start(0)
            .done(0, 12)
            .cached(1)
            .start(2)
            .log(2, "1\n2\n3\n4\n5\n6\n7\n8\x1b[2J\n")
            .wait(2130)
    }

    #[test]
    fn a_running_step_shows_its_last_lines() {
        let text = play(Tty::of_size(60, 20), script().tick());
        let picture = text.split("\x1b[").next().unwrap();
        insta::assert_snapshot!(picture, @"
        [+] Building 2.1s (2/4)
         => [internal] load build definition from Dockerfile   0.0s
         => CACHED [1/3] FROM docker.io/library/busybox:latest 0.0s
         => [2/3] RUN for i in 1 2 3 4 5 6 7 8; do echo $i; do 2.1s
         => => # 3
         => => # 4
         => => # 5
         => => # 6
         => => # 7
         => => # 8
        ");
    }

    #[test]
    fn the_last_picture_is_of_what_became_of_it() {
        let text = play(
            Tty::of_size(60, 20),
            script().tick().done(2, 2130).start(3).wait(100).fail(3, &["no such file"]),
        );
        let (_, picture) = text.rsplit_once("\x1b[J").unwrap();
        insta::assert_snapshot!(picture, @"
        [+] Building 2.2s (3/4)
         => [internal] load build definition from Dockerfile   0.0s
         => CACHED [1/3] FROM docker.io/library/busybox:latest 0.0s
         => [2/3] RUN for i in 1 2 3 4 5 6 7 8; do echo $i; do 2.1s
         => ERROR [3/3] COPY . /                               0.1s
        ");
        let text = play(Tty::of_size(60, 20), script().done(2, 2130).cached(3));
        assert!(text.starts_with("[+] Building 2.1s (4/4) FINISHED\n"), "{text}");
    }

    #[test]
    fn what_moves_has_its_numbers() {
        let layer = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let script = |width| {
            let script = Script::default()
                .add(1, "[internal] pull x")
                .start(1)
                .status(1, layer, 0, Some(45_600_000))
                .wait(2000)
                .status(1, layer, 12_340_000, Some(45_600_000))
                .status(1, "done", 5, Some(5))
                .tick();
            let text = play(Tty::of_size(width, 20), script);
            let picture = text.split("\x1b[").next().unwrap();
            assert!(picture.lines().skip(1).all(|line| line.len() == width - 1), "{picture}");
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            picture.lines().skip(1).map(words).collect::<Vec<_>>()
        };
        let wide = format!("=> => {layer} 12.34MB / 45.60MB 6.17MB/s 5s 2.0s");
        assert_eq!(script(120), ["=> [internal] pull x 2.0s", &wide, "=> => done 5B / 5B 0.0s"]);
        assert_eq!(script(60)[1], format!("=> => {} 12.34MB / 45.60MB 2.0s", &layer[..29]));
        assert_eq!(script(45)[1], format!("=> => {} 2.0s", &layer[..32]), "no room for numbers");
        // And they stay, as what came of it.
        let text = play(
            Tty::of_size(60, 20),
            Script::default().add(1, "x").start(1).status(1, "layer", 5, Some(5)).done(1, 100),
        );
        assert!(
            text.ends_with(" => => layer 5B / 5B                                   0.0s\n"),
            "{text}"
        );
    }

    #[test]
    fn a_low_terminal_prefers_what_runs() {
        let text = play(Tty::of_size(60, 6), script().tick());
        let picture = text.split("\x1b[").next().unwrap();
        assert_eq!(picture.lines().count(), 5, "{picture}");
        assert!(picture.contains("# 8"), "{picture}");
    }

    #[test]
    fn a_narrow_terminal_gets_no_rows_and_no_panic() {
        for width in 0..30 {
            play(Tty::of_size(width, 3), script().tick());
        }
    }
}
