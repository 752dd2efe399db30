//! Why a step ran: what differs from the nearest earlier run of the same step.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    key::{Difference, Preimage},
    store::Nearest,
};

/// How many differences are kept; more say no more.
const SHOWN: usize = 50;

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
    /// It ran before just so, but the result is gone (pruned), or was made on top of another
    /// result of the same base.
    Gone,
}

impl Why {
    /// Compares a preimage with that of the nearest earlier run.
    #[must_use]
    pub fn compare(nearest: Option<&Nearest>, now: &Preimage) -> Why {
        let Some(before) = nearest.and_then(|n| Preimage::decode(&n.preimage).ok()) else {
            return Why::New;
        };
        let mut differences = Preimage::diff(&before, now);
        if differences.is_empty() {
            return Why::Gone;
        }
        let more = differences.len().saturating_sub(SHOWN);
        differences.truncate(SHOWN);
        Why::Changed { differences, more }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::New => f.write_str("it never ran before"),
            Why::NoCache => f.write_str("the cache was not to be used"),
            Why::Gone => f.write_str("its earlier result is gone"),
            Why::Changed { differences, more } => {
                for (n, difference) in differences.iter().enumerate() {
                    if n > 0 {
                        f.write_str(", ")?;
                    }
                    difference.fmt(f)?;
                }
                if *more > 0 {
                    write!(f, ", and {more} more")?;
                }
                Ok(())
            }
        }
    }
}
