//! Where the time of a build went, worked out from its record.

use std::collections::HashSet;
use std::time::Duration;

use super::record::{BuildRecord, StepRecord, StepStatus};

/// Where the time of a build went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timing {
    /// All of it.
    pub total: Duration,
    /// Steps that did something, the longest first.
    pub steps: Vec<StepTime>,
    /// Reading contexts, repositories and downloads (as long as the longest of them).
    pub reading: Duration,
    /// Comparing what is taken from stages.
    pub digesting: Duration,
    /// Waiting, at the end, for layers to be hashed.
    pub hashing: Duration,
    /// Writing outputs.
    pub exporting: Duration,
    /// The longest chain of steps of which each had to wait for the one before; positions in the
    /// record, first things first.
    pub critical: Vec<usize>,
    /// How long that chain took.
    pub critical_took: Duration,
}

/// The time of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// Its position in the record.
    pub step: usize,
    /// How long it ran.
    pub took: Duration,
    /// How long it waited for a worker, or for another build, after its inputs were there.
    pub queued: Duration,
}

impl Timing {
    /// Works it out.
    #[must_use]
    pub fn of(record: &BuildRecord) -> Self {
        let steps = &record.steps;
        let end = |step: &StepRecord| step.started_us.saturating_add(step.took_us);
        let worked = |step: &StepRecord| step.status != StepStatus::Cached && step.took_us > 0;
        let mut times: Vec<StepTime> = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.is_instruction() && worked(step))
            .map(|(number, step)| {
                let ready = step.inputs.iter().filter_map(|input| steps.get(*input)).map(end).max();
                let queued = step.started_us.saturating_sub(ready.unwrap_or(step.started_us));
                StepTime {
                    step: number,
                    took: Duration::from_micros(step.took_us),
                    queued: Duration::from_micros(queued),
                }
            })
            .collect();
        times.sort_by_key(|time| std::cmp::Reverse(time.took));
        let reads = |step: &&StepRecord| matches!(step.kind.as_str(), "context" | "git" | "http");
        let reading = steps.iter().filter(reads).map(|step| step.took_us).max().unwrap_or(0);
        let (critical, critical_took) = critical(steps);
        Timing {
            total: Duration::from_micros(record.took_us),
            steps: times,
            reading: Duration::from_micros(reading),
            digesting: Duration::from_micros(record.digesting_us),
            hashing: Duration::from_micros(record.hashing_us),
            exporting: Duration::from_micros(record.exporting_us),
            critical,
            critical_took,
        }
    }
}

/// The chain of inputs that took longest.
fn critical(steps: &[StepRecord]) -> (Vec<usize>, Duration) {
    // Steps are in the order in which they began, which need not be that of their inputs.
    let mut longest: Vec<Option<(u64, Option<usize>)>> = vec![None; steps.len()];
    for number in 0..steps.len() {
        measure(steps, number, &mut longest, &mut HashSet::new());
    }
    let took = |number: usize| longest[number].map_or(0, |(took, _)| took);
    let Some(last) = (0..steps.len()).max_by_key(|number| took(*number)) else {
        return (Vec::new(), Duration::ZERO);
    };
    let mut chain = Vec::new();
    let mut next = Some(last);
    while let Some(number) = next {
        if steps[number].took_us > 0 && steps[number].status != StepStatus::Cached {
            chain.push(number);
        }
        next = longest[number].and_then(|(_, before)| before);
    }
    chain.reverse();
    (chain, Duration::from_micros(took(last)))
}

fn measure(
    steps: &[StepRecord],
    start: usize,
    longest: &mut [Option<(u64, Option<usize>)>],
    path: &mut HashSet<usize>,
) {
    // A stack of its own: a chain of steps may be as long as a Dockerfile.
    let mut stack = vec![start];
    while let Some(&number) = stack.last() {
        if longest[number].is_some() {
            stack.pop();
            path.remove(&number);
            continue;
        }
        path.insert(number);
        let inputs = steps[number].inputs.iter().copied();
        let open = inputs.clone().find(|input| {
            *input < steps.len() && longest[*input].is_none() && !path.contains(input)
        });
        if let Some(open) = open {
            stack.push(open);
            continue;
        }
        let before = inputs
            .filter_map(|input| Some((longest.get(input).copied().flatten()?.0, input)))
            .max();
        let own = match steps[number].status {
            StepStatus::Cached => 0,
            _ => steps[number].took_us,
        };
        longest[number] =
            Some((own + before.map_or(0, |(took, _)| took), before.map(|(_, input)| input)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: &str, started_us: u64, took_us: u64, inputs: &[usize]) -> StepRecord {
        let kind = kind.to_owned();
        StepRecord { kind, started_us, took_us, inputs: inputs.to_vec(), ..StepRecord::default() }
    }

    #[test]
    fn the_critical_path_is_the_longest_chain_and_waiting_is_told() {
        let steps = vec![
            step("context", 0, 5, &[]),
            step("run", 0, 100, &[]),
            step("run", 100, 40, &[1]),
            step("copy", 160, 10, &[2, 0]),
            step("run", 0, 30, &[]),
        ];
        let timing = Timing::of(&BuildRecord { steps, took_us: 200, ..BuildRecord::default() });
        assert_eq!(timing.critical, [1, 2, 3]);
        assert_eq!(timing.critical_took, Duration::from_micros(150));
        assert_eq!(timing.reading, Duration::from_micros(5));
        let order: Vec<usize> = timing.steps.iter().map(|time| time.step).collect();
        assert_eq!(order, [1, 2, 4, 3]);
        let copy = timing.steps.iter().find(|time| time.step == 3).unwrap();
        assert_eq!(copy.queued, Duration::from_micros(20));
    }

    #[test]
    fn a_record_that_makes_no_sense_is_survived() {
        let steps = vec![step("run", 0, 1, &[1, 9]), step("run", 0, 1, &[0])];
        let timing = Timing::of(&BuildRecord { steps, ..BuildRecord::default() });
        assert_eq!(timing.steps.len(), 2);
        assert_eq!(Timing::of(&BuildRecord::default()).critical, [] as [usize; 0]);
    }
}
