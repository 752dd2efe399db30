//! What BuildKit and gantry say of the same thing, line by line, and where the two may differ.

use std::collections::BTreeSet;

/// Differences that may be: how a line begins that one of the two has alone (`case`, who has it, the
/// line), with `*` for anything, and why.
pub(super) type Allowed = [(&'static str, &'static str)];

/// What was found to differ.
pub(super) struct Differences {
    allowed: &'static Allowed,
    seen: BTreeSet<usize>,
    unexpected: Vec<String>,
}

impl Differences {
    pub(super) fn but_for(allowed: &'static Allowed) -> Self {
        Self { allowed, seen: BTreeSet::new(), unexpected: Vec::new() }
    }

    /// Holds the lines of the two against each other.
    pub(super) fn compare(&mut self, case: &str, theirs: &[String], ours: &[String]) {
        for (mark, these, others) in [("buildkit", theirs, ours), ("gantry", ours, theirs)] {
            for line in these.iter().filter(|line| !others.contains(line)) {
                let line = format!("{case} {mark} {line}");
                match self.allowed.iter().position(|(rule, _)| fits(rule, &line)) {
                    Some(index) => drop(self.seen.insert(index)),
                    None => self.unexpected.push(line),
                }
            }
        }
    }

    /// Fails for what may not be, and for what may and is not: it need not be allowed any more.
    #[track_caller]
    pub(super) fn check(self) {
        assert!(self.unexpected.is_empty(), "{}", self.unexpected.join("\n"));
        let all = self.allowed.iter().enumerate();
        let stale: Vec<_> = all.filter(|(index, _)| !self.seen.contains(index)).collect();
        assert!(stale.is_empty(), "{stale:?}");
    }
}

/// Says whether a line begins as `rule` has it, where `*` is anything.
fn fits(rule: &str, line: &str) -> bool {
    let mut parts = rule.split('*');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}
