//! Where the time of a build went, for people and for programs.

use std::time::Duration;

use gantry_executor::{BuildRecord, Timing};
use serde_json::{Value, json};

use super::{span, title};
use crate::ui::table::align;

/// How many steps are listed; more take no time that anybody would miss.
const SHOWN: usize = 10;

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The report as text.
pub(crate) fn text(record: &BuildRecord, timing: &Timing) -> String {
    let shown = |time: Duration| span(micros(time));
    let mut lines = Vec::new();
    for (what, time) in [
        ("Total", timing.total),
        ("Critical path", timing.critical_took),
        ("Reading sources", timing.reading),
        ("Comparing what stages hand on", timing.digesting),
        ("Hashing layers at the end", timing.hashing),
        ("Writing outputs", timing.exporting),
    ] {
        lines.push(format!("{what}\t{}", shown(time)));
    }
    let mut text = format!("Time\n{}", align(&lines));
    if !timing.steps.is_empty() {
        let mut lines = vec!["TIME\tQUEUED\t\tSTEP".to_owned()];
        for time in timing.steps.iter().take(SHOWN) {
            let Some(step) = record.steps.get(time.step) else { continue };
            let mark = if timing.critical.contains(&time.step) { "*" } else { "" };
            let (took, queued) = (shown(time.took), shown(time.queued));
            lines.push(format!("{took}\t{queued}\t{mark}\t{}", title(step)));
        }
        text.push('\n');
        text.push_str(&align(&lines));
        if timing.steps.len() > SHOWN {
            text.push_str(&format!("and {} more\n", timing.steps.len() - SHOWN));
        }
        text.push_str("* on the critical path: nothing but these steps made the build so long\n");
    }
    text
}

/// The report as JSON; all spans in microseconds.
pub(crate) fn document(record: &BuildRecord) -> Value {
    let timing = Timing::of(record);
    let step = |number: usize| record.steps.get(number).map(title);
    let steps = timing.steps.iter().map(|time| {
        json!({
            "step": time.step + 1,
            "title": step(time.step),
            "took_us": micros(time.took),
            "queued_us": micros(time.queued),
        })
    });
    json!({
        "total_us": micros(timing.total),
        "reading_us": micros(timing.reading),
        "digesting_us": micros(timing.digesting),
        "hashing_us": micros(timing.hashing),
        "exporting_us": micros(timing.exporting),
        "critical_us": micros(timing.critical_took),
        "critical": timing.critical.iter().map(|number| number + 1).collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
    })
}
