//! `gantry builds logs`: what steps printed, whole.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use gantry_cache::Store;
use gantry_executor::{Chunk, Outcome, StepLog, StepRecord, StepStatus};

use super::super::Context;
use super::{find, find_step, span, title};
use crate::progress::harmless;
use crate::ui::Failure;

/// Show what the steps of a build printed
#[derive(Debug, clap::Args)]
#[command(override_usage = "gantry builds logs [OPTIONS] [BUILD] [STEP]")]
pub(crate) struct LogsArgs {
    /// The beginning of a build's ID, or `^1` for the one before the last; the last one if left out
    #[arg(value_name = "BUILD")]
    build: Option<String>,
    /// A step's number or a piece of its title: only what it printed, byte by byte; else all steps
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// Show when each line was printed
    #[arg(short, long)]
    timestamps: bool,
}

pub(crate) fn run(args: &LogsArgs, context: &Context) -> Result<ExitCode, Failure> {
    let (store, past) = find(args.build.as_deref(), context)?;
    let untold = match past.record.outcome {
        Outcome::Running => Some("still runs; what its steps print is kept when it ends"),
        Outcome::Killed => Some("was killed; what its steps printed is lost"),
        _ => None,
    };
    if let Some(untold) = untold {
        return Err(Failure::text(format_args!("The build `{}` {untold}", past.entry.id)));
    }
    let out = io::stdout().lock();
    let is_terminal = out.is_terminal();
    // Else each line of a log is a write of its own.
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    if let Some(text) = &args.step {
        let (_, step) = find_step(&past.record, text)?;
        if let Some(log) = open(&store, step)? {
            // A terminal must not be led astray; a file or a pipe gets every byte.
            match args.timestamps || is_terminal {
                true => lines(log, args.timestamps, "", &mut out)?,
                false => bytes(log, &mut out)?,
            }
        }
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    for (number, step) in (1..).zip(&past.record.steps) {
        if number > 1 {
            writeln!(out)?;
        }
        writeln!(out, "#{number} {}", title(step))?;
        let prefix = format!("#{number} ");
        if step.status != StepStatus::Cached
            && let Some(log) = open(&store, step)?
        {
            lines(log, args.timestamps, &prefix, &mut out)?;
        }
        match step.status {
            StepStatus::Cached => writeln!(out, "{prefix}CACHED")?,
            StepStatus::Ran => writeln!(out, "{prefix}DONE {}", span(step.took_us))?,
            StepStatus::Canceled => writeln!(out, "{prefix}CANCELED")?,
            StepStatus::Failed => {
                let error = harmless(step.error.clone().unwrap_or_default().as_bytes());
                writeln!(out, "{prefix}ERROR: {error}")?;
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Opens a step's log; a step that printed nothing has none.
fn open(store: &Store, step: &StepRecord) -> Result<Option<StepLog>, Failure> {
    let Some(id) = step.log_id() else { return Ok(None) };
    let log = StepLog::open(store, &id)?;
    log.map(Some).ok_or_else(|| {
        Failure::text(format_args!("What `{}` printed was pruned meanwhile", title(step)))
    })
}

fn bytes(mut log: StepLog, out: &mut impl Write) -> Result<(), Failure> {
    while let Some(chunk) = log.next_chunk()? {
        out.write_all(&chunk.data)?;
    }
    Ok(())
}

/// Writes line by line, each with its time if that is asked for.
fn lines(
    mut log: StepLog,
    timestamps: bool,
    prefix: &str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut line = |time: Option<SystemTime>, text: &[u8]| -> io::Result<()> {
        let text = harmless(text);
        match timestamps {
            true => writeln!(out, "{prefix}{} {text}", stamp(time)),
            false => writeln!(out, "{prefix}{text}"),
        }
    };
    // One for each stream; a line's time is that of its end.
    let mut partial: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    let mut last = None;
    while let Some(Chunk { stream, time, data }) = log.next_chunk()? {
        let partial = &mut partial[usize::from(stream == gantry_solver::Stream::Stderr)];
        last = time;
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(piece);
            if partial.last() == Some(&b'\n') {
                partial.pop();
                line(time, partial)?;
                partial.clear();
            }
        }
    }
    for rest in partial.iter().filter(|rest| !rest.is_empty()) {
        line(last, rest)?;
    }
    Ok(())
}

/// A time with milliseconds; a log of old has none.
fn stamp(time: Option<SystemTime>) -> String {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3}"))
}
