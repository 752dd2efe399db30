//! What a step does bit by bit: a download, an upload, a layer being written.

use std::time::Duration;

use crate::ui::bars;

/// Something of a step that takes its time.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) name: String,
    pub(super) current: u64,
    pub(super) total: Option<u64>,
    /// When it was first and last heard of, seen from the build's start.
    pub(super) started: Duration,
    pub(super) updated: Duration,
}

impl Status {
    /// Whether all of it is done.
    pub(super) fn is_done(&self) -> bool {
        self.total.is_some_and(|total| self.current >= total)
    }

    /// How much of how much, as in `1.23MB / 4.56MB`; nothing where nothing is counted.
    pub(super) fn amounts(&self) -> String {
        match self.total {
            // A name that ends so asks for one number, as in `transferring context: 2.1kB`.
            Some(total) if total > 0 && !self.name.ends_with(':') => {
                format!("{} / {}", bytes(self.current), bytes(total))
            }
            _ if self.current > 0 || self.name.ends_with(':') => bytes(self.current),
            _ => String::new(),
        }
    }

    /// How fast it goes and how long it will take, while it does.
    pub(super) fn pace(&self, at: Duration) -> String {
        bars::pace(self.current, self.total.unwrap_or(0), at.saturating_sub(self.started))
    }

    /// How long it took, or takes already.
    pub(super) fn took(&self, at: Duration) -> Duration {
        let until = if self.is_done() { self.updated } else { at };
        until.saturating_sub(self.started)
    }
}

impl std::fmt::Display for Status {
    /// As in `sha256:… 1.23MB / 4.56MB 0.3s done`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        let amounts = self.amounts();
        if !amounts.is_empty() {
            write!(f, " {amounts}")?;
        }
        let took = self.updated.saturating_sub(self.started).as_secs_f64();
        if took > 0.01 {
            write!(f, " {took:.1}s")?;
        }
        if self.is_done() {
            f.write_str(" done")?;
        }
        Ok(())
    }
}

/// A size with two decimals: `1.23MB`, `65B`.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "two decimals of it are shown")]
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.995 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.2}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_decimals_and_some_names_take_one() {
        let status = |name: &str, current, total, millis| {
            let updated = Duration::from_millis(millis);
            let (name, started) = (name.to_owned(), Duration::ZERO);
            Status { name, current, total, started, updated }.to_string()
        };
        assert_eq!(status("a", 1_234_567, Some(5_000_000), 0), "a 1.23MB / 5.00MB");
        assert_eq!(status("a", 5, Some(5), 300), "a 5B / 5B 0.3s done");
        assert_eq!(status("a", 999_996, None, 0), "a 1.00MB");
        assert_eq!(
            status("transferring context:", 65, Some(65), 0),
            "transferring context: 65B done"
        );
        assert_eq!(status("a", 0, None, 0), "a");
    }

    #[test]
    fn the_pace_is_that_from_the_start() {
        let status = |current, total| {
            let (started, updated) = (Duration::from_secs(1), Duration::from_secs(3));
            Status { name: "a".to_owned(), current, total, started, updated }
        };
        let at = Duration::from_secs(3);
        assert_eq!(status(10_000_000, Some(40_000_000)).pace(at), " 5MB/s 6s");
        for unknown in [status(5, None), status(5, Some(5)), status(0, Some(5))] {
            assert_eq!(unknown.pace(at), "");
        }
        assert_eq!(status(5, Some(9)).pace(Duration::from_secs(1)), "", "too early to say");
    }
}
