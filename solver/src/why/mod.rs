//! Why a step ran: what differs from the nearest earlier run of the same step.

mod subject;

use std::{collections::HashSet, fmt};

use gantry_parser::lint::secrets_used_in_arg_or_env::sounds_secret;
use serde::{Deserialize, Serialize};

pub use subject::Subject;

use crate::{
    graph::Role,
    key::{Change, Difference, Preimage},
    op::Op,
    store::Nearest,
};

/// How many differences are kept; more say no more.
const KEPT: usize = 200;

/// How many are named in a few words.
const NAMED: usize = 3;

/// Why the store had no result for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Why {
    /// No step at this place, or with this text, ever ran.
    New,
    /// The user asked not to use the cache.
    NoCache,
    /// It ran before, with these differences.
    Changed {
        /// What differs, the most telling first.
        differences: Vec<Difference>,
        /// How many more there are.
        more: usize,
    },
    /// It ran before just so, but the result is gone.
    Gone {
        /// Why it was pruned, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pruned: Option<String>,
    },
    /// It ran before just so, on top of another result: a step before it ran again, and came out
    /// otherwise.
    Rebased {
        /// The title of what is below it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
}

/// What is known of a step that has to run, besides its preimage.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What it does.
    pub op: &'a Op,
    /// The titles of what it is made from.
    pub titles: &'a [(Role, String)],
    /// Whether the store has a result of just this, on top of another base.
    pub rebased: bool,
}

impl Why {
    /// Compares an encoded preimage with that of the nearest earlier run.
    #[must_use]
    pub fn compare(nearest: Option<&Nearest>, now: &[u8], case: &Case<'_>) -> Why {
        let title = |name: &str| {
            let titles = || case.titles.iter().map(|(role, title)| (role.to_string(), title));
            titles().find(|(role, _)| role == name).map(|(_, title)| title.clone())
        };
        if case.rebased {
            return Why::Rebased { step: title("base") };
        }
        let compared = nearest
            .and_then(|before| Some((Preimage::diff_encoded(&before.preimage, now).ok()?, before)));
        let Some((mut differences, nearest)) = compared else { return Why::New };
        if differences.is_empty() {
            return Why::Gone { pruned: nearest.gone.clone() };
        }
        let args = args(case.op);
        for difference in &mut differences {
            match difference.path.as_mut_slice() {
                [kind, name] if kind == "env" => {
                    if args.contains(name.as_str()) {
                        "arg".clone_into(kind);
                    }
                    if sounds_secret(name) {
                        difference.change.forget_values();
                    }
                }
                [input, role, ..] if input == "input" => difference.step = title(role),
                _ => {}
            }
        }
        let more = differences.len().saturating_sub(KEPT);
        differences.truncate(KEPT);
        Why::Changed { differences, more }
    }

    /// Returns the step because of which this one ran, if that is the only reason.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        match self {
            Why::Rebased { step } => step.as_deref(),
            Why::Changed { differences, more: 0 } => match differences.as_slice() {
                [only] if only.subject() == Subject::Base => only.step.as_deref(),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Change {
    /// Leaves only that it changed.
    fn forget_values(&mut self) {
        match self {
            Change::Added(value) | Change::Removed(value) => value.clear(),
            Change::Changed { old, new } => {
                old.clear();
                new.clear();
            }
        }
    }
}

/// The variables that ARGs set.
fn args(op: &Op) -> HashSet<&str> {
    let Op::Run(run) = op else { return HashSet::new() };
    run.env.iter().filter(|var| var.arg).map(|var| &*var.name).collect()
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::New => f.write_str("it never ran before"),
            Why::NoCache => f.write_str("the cache was not to be used"),
            Why::Gone { pruned: None } => f.write_str("its earlier result is gone"),
            Why::Gone { pruned: Some(reason) } => {
                write!(f, "its earlier result was pruned ({reason})")
            }
            Why::Rebased { step: None } => f.write_str("what it builds upon came out otherwise"),
            Why::Rebased { step: Some(step) } => {
                let step = step.lines().next().unwrap_or_default();
                write!(f, "`{step}` before it ran again")
            }
            Why::Changed { differences, more } => {
                for (n, difference) in differences.iter().take(NAMED).enumerate() {
                    if n > 0 {
                        f.write_str(", ")?;
                    }
                    difference.fmt(f)?;
                }
                match differences.len().saturating_sub(NAMED) + more {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
        }
    }
}
