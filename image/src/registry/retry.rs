//! When to try again: doubling waits with a random part, `Retry-After`, and an end.

use std::time::Duration;

use super::error::RegistryError;
use super::settings::Retry;
use super::transport::is_about_trust;

/// Who isn't there at all is asked so often: a misspelt name shouldn't take long to be told.
const CONNECTS: u32 = 3;

/// The tries of one request.
pub(super) struct Tries {
    settings: Retry,
    made: u32,
}

impl Tries {
    pub(super) fn new(settings: &Retry) -> Self {
        Self { settings: settings.clone(), made: 0 }
    }

    /// For a mirror: there is somebody else to ask.
    pub(super) fn few(settings: &Retry) -> Self {
        Self { settings: Retry { tries: settings.tries.min(2), ..settings.clone() }, made: 0 }
    }

    /// Starts the count anew, since there was headway.
    pub(super) fn headway(&mut self) {
        self.made = 0;
    }

    /// Returns how long to wait before the next try, or `None` if this failure is the last.
    pub(super) fn next(&mut self, failure: &RegistryError) -> Option<Duration> {
        self.made += 1;
        let most = match failure {
            RegistryError::Connect { .. } if is_about_trust(failure) => 1,
            RegistryError::Connect { .. } => self.settings.tries.min(CONNECTS),
            _ if failure.is_transient() => self.settings.tries,
            _ => 1,
        };
        if self.made >= most {
            return None;
        }
        let doubled = self.settings.first.saturating_mul(1 << (self.made - 1).min(16));
        let wait = doubled.min(self.settings.longest);
        let asked = match failure {
            RegistryError::Busy { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        if asked > self.settings.longest {
            return None;
        }
        // Many that were turned away at once must not come back at once.
        let random = wait.mul_f64(f64::from(random()) / 256.0 / 2.0);
        Some(if asked.is_zero() { wait / 2 + random } else { asked + random.min(asked / 4) })
    }
}

fn random() -> u8 {
    let mut byte = [128];
    // Without randomness there is still a wait.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::error::Said;

    fn busy(retry_after: Option<u64>) -> RegistryError {
        let retry_after = retry_after.map(Duration::from_secs);
        RegistryError::Busy { host: "h".into(), status: 429, retry_after, said: Said::default() }
    }

    #[test]
    fn waits_double_and_end() {
        let mut tries = Tries::new(&Retry::default());
        let waits: Vec<_> = (0..4).map(|_| tries.next(&busy(None)).unwrap().as_millis()).collect();
        for (at, wait) in waits.iter().enumerate() {
            let most = 500 << at;
            assert!((most / 2..=most).contains(wait), "{waits:?}");
        }
        assert_eq!(tries.next(&busy(None)), None);
        tries.headway();
        assert!(tries.next(&busy(None)).is_some());
    }

    #[test]
    fn retry_after_is_obeyed_unless_it_is_too_long() {
        let mut tries = Tries::new(&Retry::default());
        let wait = tries.next(&busy(Some(7))).unwrap().as_secs_f64();
        assert!((7.0..9.0).contains(&wait), "{wait}");
        assert_eq!(tries.next(&busy(Some(3600))), None);
    }

    #[test]
    fn what_does_not_change_is_asked_once() {
        let mut tries = Tries::new(&Retry::default());
        let error = RegistryError::NotFound { what: "a".into(), said: Said::default() };
        assert_eq!(tries.next(&error), None);
    }
}
