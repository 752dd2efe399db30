//! Bars on a terminal: a line for each layer that moves, as docker shows it, and how fast and how
//! long still.
//!
//! ```text
//! 0123456789ab: Downloading [=====>        ]  12.3MB/45MB 5.1MB/s 6s
//! ```
//!
//! Lines stay where they are and change in place; drawn at most 20 times a second, by the threads
//! that move the bytes.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use gantry_image::Digest;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle,
};

use super::human::fine_size;

/// What everything but the bar itself takes of a line, at most.
const WORDS: usize = 65;

/// As wide as docker's.
const WIDEST: usize = 50;

/// One line for each layer.
pub(crate) struct Bars {
    all: MultiProgress,
    lines: Mutex<HashMap<Digest, ProgressBar>>,
    term: Term,
}

impl Bars {
    /// Bars on stdout, if that is a terminal whose cursor can be moved.
    pub(crate) fn on_stdout() -> Option<Self> {
        let live = std::io::stdout().is_terminal();
        Self::on(live, ProgressDrawTarget::stdout(), Term::stdout())
    }

    /// The same on stderr.
    pub(crate) fn on_stderr() -> Option<Self> {
        let live = std::io::stderr().is_terminal();
        Self::on(live, ProgressDrawTarget::stderr(), Term::stderr())
    }

    fn on(live: bool, target: ProgressDrawTarget, term: Term) -> Option<Self> {
        let live = live && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let all = || MultiProgress::with_draw_target(target);
        live.then(|| Self { all: all(), lines: Mutex::default(), term })
    }

    /// Says a word of a layer, which gets a line if it has none.
    pub(crate) fn say(&self, layer: &Digest, word: &str) {
        let line = self.line(layer);
        line.set_style(style("{prefix}: {msg}"));
        line.set_message(word.to_owned());
    }

    /// Says how far a layer has come.
    pub(crate) fn moved(&self, layer: &Digest, word: &str, current: u64, total: u64) {
        let line = self.line(layer);
        if line.length().is_none() {
            // The time from here on counts for the rate.
            line.reset();
        }
        line.set_message(word.to_owned());
        let room = usize::from(self.term.size().1).saturating_sub(WORDS).min(WIDEST);
        line.set_style(moving(room));
        line.set_length(total);
        line.set_position(current);
    }

    /// Says the last word of a layer.
    pub(crate) fn end(&self, layer: &Digest, word: &str) {
        let line = self.line(layer);
        line.set_style(style("{prefix}: {msg}"));
        line.abandon_with_message(word.to_owned());
    }

    fn line(&self, layer: &Digest) -> ProgressBar {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            // What has begun is left to be seen, however it ends.
            let line = ProgressBar::no_length().with_finish(ProgressFinish::Abandon);
            self.all.add(line.with_prefix(layer.short()))
        };
        lines.entry(*layer).or_insert_with(new).clone()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The style of a layer that moves, with a bar of so many characters where that is enough for one.
fn moving(room: usize) -> ProgressStyle {
    let bar = move |state: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(&bar(state.pos(), state.len().unwrap_or(0), room));
    };
    let numbers = |state: &ProgressState, out: &mut dyn Write| {
        let _ = out.write_str(&numbers(state.pos(), state.len().unwrap_or(0)));
    };
    let pace = |state: &ProgressState, out: &mut dyn Write| {
        let total = state.len().unwrap_or(0);
        let _ = out.write_str(&pace(state.pos(), total, state.elapsed()));
    };
    let line = "{prefix}: {msg} {bars}{numbers}{pace}";
    style(line).with_key("bars", bar).with_key("numbers", numbers).with_key("pace", pace)
}

/// Docker's bar: `[===>   ] `.
fn bar(current: u64, total: u64, room: usize) -> String {
    if room < 8 || total == 0 {
        return String::new();
    }
    let share = u128::from(current.min(total)) * room as u128 / u128::from(total);
    let done = usize::try_from(share).unwrap_or(room);
    format!("[{}>{}] ", "=".repeat(done), " ".repeat(room - done))
}

/// Docker's numbers: `12.3MB/45MB`, right-aligned to the slash.
fn numbers(current: u64, total: u64) -> String {
    match total >= current && total > 0 {
        true => format!("{:>8}/{}", fine_size(current), fine_size(total)),
        // What turned out larger than was said.
        false => format!("{:>8}", fine_size(current)),
    }
}

/// How fast it went so far, and how long the rest takes at that rate: ` 5.1MB/s 6s`. Nothing before
/// there is enough to tell it from, or when all is there.
pub(crate) fn pace(current: u64, total: u64, took: Duration) -> String {
    const SOON: Duration = Duration::from_millis(500);
    let took_millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if took < SOON || current == 0 || current >= total {
        return String::new();
    }
    let of = |count: u64| u128::from(count) * u128::from(took_millis) / u128::from(current);
    let left = u64::try_from(of(total - current)).unwrap_or(u64::MAX);
    let rate = u128::from(current) * 1000 / u128::from(took_millis);
    let rate = fine_size(u64::try_from(rate).unwrap_or(u64::MAX));
    format!(" {rate}/s {}", span(Duration::from_millis(left)))
}

/// A time in whole seconds, as Go writes it: `6s`, `1m5s`, `1h0m3s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_dockers() {
        assert_eq!(bar(0, 100, 10), "[>          ] ");
        assert_eq!(bar(55, 100, 10), "[=====>     ] ");
        assert_eq!(bar(200, 100, 10), "[==========>] ");
        assert_eq!(bar(u64::MAX, u64::MAX, 50).len(), 54);
        assert_eq!(bar(1, 2, 7), "", "no room");
        assert_eq!(bar(1, 0, 50), "", "nothing is known");
        assert_eq!(numbers(12_300_000, 45_000_000), "  12.3MB/45MB");
        assert_eq!(numbers(9, 5), "      9B");
    }

    #[test]
    fn the_pace_is_told_when_it_is_known() {
        let seconds = Duration::from_secs;
        assert_eq!(pace(10_200_000, 40_800_000, seconds(2)), " 5.1MB/s 6s");
        assert_eq!(pace(1000, 3_604_000, seconds(1)), " 1kB/s 1h0m3s");
        assert_eq!(pace(1000, 66_000, seconds(1)), " 1kB/s 1m5s");
        assert_eq!(pace(1000, 66_000, Duration::from_millis(499)), "", "too early to say");
        assert_eq!(pace(0, 5, seconds(1)), "");
        assert_eq!(pace(5, 5, seconds(1)), "");
        assert_eq!(pace(u64::MAX - 1, u64::MAX, seconds(1)).split(' ').count(), 3);
    }
}
