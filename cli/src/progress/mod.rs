//! Progress: the build's events made into something to watch. All of it goes to stderr,
//! but for the classic form, which scripts read from stdout.
//!
//! | file | owns |
//! |---|---|
//! | `mode` | `--progress` and what `auto` means here |
//! | `model` | what is known of every step, kept up to date from the events |
//! | `status` | what a step does bit by bit |
//! | `lines` | bytes of a log made into lines that can't harm a terminal |
//! | `plain` | BuildKit's plain form: blocks of `#N …` lines |
//! | `tty` | the live tree on a terminal |
//! | `steps` | the form of docker's classic builder |
//! | `held` | what steps print there before their turn |
//! | `rawjson` | BuildKit's `SolveStatus`, one JSON object a line |
//! | `tail` | what is left to say at the end: last lines of failed steps, warnings |
//! | `script` | builds as tests of displays tell them |
//! | `colors` | `NO_COLOR`, `BUILDKIT_COLORS` |
//!
//! Events are shown on the thread that reports them, so a build that is over in milliseconds pays
//! for no thread. Only what has to move while nothing happens (the clock of the tree, output held
//! back by `plain`) starts a ticking one.

mod colors;
mod held;
mod lines;
mod mode;
mod model;
mod plain;
mod rawjson;
#[cfg(test)]
mod script;
mod status;
mod steps;
mod tail;
mod tty;

pub(crate) use lines::harmless;
pub(crate) use mode::Mode;
pub(crate) use rawjson::base64;
pub(crate) use tail::{Warned, Warnings};

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use gantry_solver::{Event, Observer};

use crate::ui::github;
use model::{Build, Said};

/// How often a picture is drawn again, at most.
const TICK: Duration = Duration::from_millis(100);

/// One way to show a build.
///
/// It writes into `out` and never fails: progress that nobody sees is no reason to stop a build.
trait Display: Send {
    /// Shows an event, which `build` has been told already, and the log lines that it completed;
    /// `at` is the time since the start.
    fn event(&mut self, build: &Build, heard: Heard<'_>, out: &mut dyn Write);

    /// Shows what only time has changed.
    fn tick(&mut self, build: &Build, at: Duration, out: &mut dyn Write);

    /// Shows the last of it.
    fn finish(&mut self, build: &Build, at: Duration, out: &mut dyn Write);

    /// Whether [`tick`](Self::tick) has something to do when called later.
    fn wants_ticks(&self) -> bool;

    /// Whether all lines of [`Heard`] are of use. Where they aren't, only the last that `build`
    /// keeps are made.
    fn wants_lines(&self) -> bool {
        true
    }
}

/// An event with what it brought.
struct Heard<'a> {
    event: &'a Event,
    lines: Said,
    at: Duration,
}

/// Nothing is shown while the build runs (`quiet`, `none`).
struct Silent;

impl Display for Silent {
    fn event(&mut self, _: &Build, _: Heard<'_>, _: &mut dyn Write) {}
    fn tick(&mut self, _: &Build, _: Duration, _: &mut dyn Write) {}
    fn finish(&mut self, _: &Build, _: Duration, _: &mut dyn Write) {}
    fn wants_ticks(&self) -> bool {
        false
    }
    fn wants_lines(&self) -> bool {
        false
    }
}

/// The observer that shows a build. Clones show the same one.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Shared>);

struct Shared {
    started: Instant,
    mode: Mode,
    screen: Mutex<Screen>,
}

struct Screen {
    build: Build,
    display: Box<dyn Display>,
    out: Box<dyn Write + Send>,
    /// Dropped to end the ticking thread.
    ticking: Option<mpsc::Sender<()>>,
    ticker: Option<thread::JoinHandle<()>>,
    finished: bool,
}

impl Progress {
    /// Starts to show a build in this mode: on stderr, or in the classic form on stdout, if that is
    /// `free` of the build's result.
    pub(crate) fn start(mode: Mode, free: bool) -> Self {
        let display: Box<dyn Display> = match mode.resolved() {
            Mode::Tty => Box::new(tty::Tty::on_stderr()),
            Mode::Auto | Mode::Plain => Box::new(plain::Plain::new(github::is_on())),
            Mode::Steps => Box::new(steps::Steps::default()),
            Mode::Rawjson => Box::new(rawjson::RawJson::new(SystemTime::now())),
            Mode::Quiet | Mode::None => Box::new(Silent),
        };
        Self(Arc::new(Shared {
            started: Instant::now(),
            mode,
            screen: Mutex::new(Screen {
                build: Build::default(),
                display,
                out: match mode {
                    Mode::Steps if free => Box::new(io::stdout()),
                    _ => Box::new(io::stderr()),
                },
                ticking: None,
                ticker: None,
                finished: false,
            }),
        }))
    }

    /// Shows the last of it, then the last lines of failed steps, and the warnings.
    ///
    /// Later events are not shown any more. Calling it again does nothing.
    pub(crate) fn finish(&self, warnings: Warnings) {
        let at = self.0.started.elapsed();
        let mut screen = self.0.lock();
        if std::mem::replace(&mut screen.finished, true) {
            return;
        }
        let ticker = screen.ticker.take();
        screen.ticking = None;
        let Screen { build, display, out, .. } = &mut *screen;
        build.finish();
        display.finish(build, at, out);
        if matches!(self.0.mode.resolved(), Mode::Plain | Mode::Tty | Mode::Quiet) {
            // Nothing is lost with it that could still be shown somewhere.
            let _ = out.write_all(tail::failures(build).as_bytes());
        }
        let said = match self.0.mode.resolved() {
            Mode::Plain | Mode::Tty => tail::warnings(build, warnings),
            Mode::Rawjson => rawjson::warnings(build, &warnings),
            _ => String::new(),
        };
        let _ = out.write_all(said.as_bytes());
        let _ = out.flush();
        drop(screen);
        if let Some(ticker) = ticker {
            // It only ever panics if a display does; then there is nothing left to show.
            let _ = ticker.join();
        }
    }
}

impl Observer for Progress {
    fn event(&self, event: Event) {
        let at = self.0.started.elapsed();
        let mut screen = self.0.lock();
        if screen.finished {
            return;
        }
        let Screen { build, display, out, .. } = &mut *screen;
        let lines = match &event {
            Event::Log { vertex, stream, data } if !display.wants_lines() => {
                build.keep_last(*vertex, *stream, data, at);
                Said::default()
            }
            event => build.apply(event, at),
        };
        display.event(build, Heard { event: &event, lines, at }, out);
        if screen.ticker.is_none() && screen.display.wants_ticks() {
            let (ticking, stop) = mpsc::channel();
            let shared = Arc::clone(&self.0);
            screen.ticking = Some(ticking);
            screen.ticker = thread::Builder::new()
                .name("progress".to_owned())
                .spawn(move || shared.tick_until(&stop))
                .ok();
        }
    }

    fn follows_file(&self) -> bool {
        self.0.mode == Mode::Steps
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick_until(&self, stop: &mpsc::Receiver<()>) {
        while let Err(mpsc::RecvTimeoutError::Timeout) = stop.recv_timeout(TICK) {
            let at = self.started.elapsed();
            let mut screen = self.lock();
            if screen.finished {
                return;
            }
            let Screen { build, display, out, .. } = &mut *screen;
            display.tick(build, at, out);
        }
    }
}
