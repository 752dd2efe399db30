//! Stages that need each other (B4-10).

use gantry_parser::{Diagnostic, Span};

use crate::lower::stages::Stages;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    OnPath,
    Done,
}

/// A stage on the path, what of its needs is still to be looked at, and how the path came there.
type OnPath = (usize, Vec<(usize, Span)>, Option<Span>);

/// Looks for a cycle among all stages, whether they are needed or not.
///
/// # Errors
/// `circular dependency detected on stage: x`, underlining all instructions that make the circle.
pub(super) fn check(stages: &Stages<'_>) -> Result<(), Diagnostic> {
    let mut seen = vec![Seen::No; stages.list.len()];
    for start in 0..stages.list.len() {
        if let Some(circle) = search(stages, start, &mut seen) {
            let shown = &stages.list[start].shown;
            let message = format!("circular dependency detected on stage: {shown}");
            let Some((first, rest)) = circle.split_first() else { continue };
            let label = match rest {
                [] => "this needs the stage that it stands in",
                _ => "this needs a stage …",
            };
            let hint = match rest {
                [] => "Take it from another stage, or from an image",
                _ => "Move what both need into a stage of its own, and take it from there",
            };
            let error = Diagnostic::error(message, *first).with_label(label).with_hint(hint);
            let labelled = |error: Diagnostic, span| error.and_label(span, "… that needs this");
            return Err(rest.iter().copied().fold(error, labelled));
        }
    }
    Ok(())
}

/// Walks down from a stage, without recursion; returns the instructions of the path that closes.
fn search(stages: &Stages<'_>, start: usize, seen: &mut [Seen]) -> Option<Vec<Span>> {
    if seen[start] != Seen::No {
        return None;
    }
    seen[start] = Seen::OnPath;
    let mut path: Vec<OnPath> = vec![(start, stages.needs(start), None)];
    while let Some((stage, needs, _)) = path.last_mut() {
        let Some((needed, span)) = needs.pop() else {
            seen[*stage] = Seen::Done;
            path.pop();
            continue;
        };
        match seen[needed] {
            Seen::Done => {}
            Seen::OnPath => {
                let from = path.iter().position(|(stage, ..)| *stage == needed).unwrap_or(0);
                let inner = path[from + 1..].iter().filter_map(|(_, _, span)| *span);
                return Some(inner.chain([span]).collect());
            }
            Seen::No => {
                seen[needed] = Seen::OnPath;
                path.push((needed, stages.needs(needed), Some(span)));
            }
        }
    }
    None
}
