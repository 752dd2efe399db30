//! Network namespaces that one sandbox is done with and the next may have.
//!
//! Making one costs the kernel as much as all the other namespaces together and half of the mounts,
//! and taking it down as much again. A sandbox without the means to change it leaves it as it was,
//! once its processes and their sockets are gone: this is looked up before the next one gets it.

use std::io;
use std::sync::{Mutex, PoisonError};

/// As many are kept as sandboxes are likely to run at once.
const KEPT: usize = 8;

/// Those that nobody is in.
#[derive(Debug)]
pub(super) struct Spares<T>(Mutex<Vec<T>>);

impl<T> Default for Spares<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Spares<T> {
    /// Returns one, if there is any.
    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps one that was [quiet](is_quiet) when its processes had ended, which must not have been
    /// able to change it.
    pub(super) fn keep(&self, spare: T) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < KEPT {
            spares.push(spare);
        }
    }
}

/// Whether this thread's network namespace has no connection left, nor the shadow of one: the
/// kernel keeps ports of closed ones busy for a minute.
pub(super) fn is_quiet() -> bool {
    let read = |name: &str| fs_err::read_to_string(format!("/proc/thread-self/net/{name}"));
    read("sockstat").is_ok_and(|text| no_tcp(&text))
        // A kernel without IPv6 has no such file.
        && read("sockstat6").map_or_else(|e| e.kind() == io::ErrorKind::NotFound, |t| no_tcp(&t))
}

/// Reads `TCP: inuse 0 orphan 0 tw 0 alloc 1 mem 1` and `TCP6: inuse 0`.
fn no_tcp(text: &str) -> bool {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("TCP: ").or_else(|| line.strip_prefix("TCP6: ")));
    let words: Vec<&str> = line.unwrap_or_default().split_ascii_whitespace().collect();
    let counts: Vec<(&str, &str)> =
        words.as_chunks::<2>().0.iter().map(|[name, count]| (*name, *count)).collect();
    counts.contains(&("inuse", "0"))
        && counts.iter().all(|(name, count)| *name != "tw" || *count == "0")
}

#[cfg(test)]
mod tests {
    use super::no_tcp;

    #[test]
    fn connections_and_what_is_left_of_them_are_seen() {
        let quiet =
            "sockets: used 3\nTCP: inuse 0 orphan 0 tw 0 alloc 4 mem 2\nUDP: inuse 0 mem 0\n";
        assert!(no_tcp(quiet));
        assert!(no_tcp("TCP6: inuse 0\nUDP6: inuse 1\n"));
        assert!(!no_tcp(&quiet.replace("TCP: inuse 0", "TCP: inuse 1")));
        assert!(!no_tcp(&quiet.replace("tw 0", "tw 2")));
        assert!(!no_tcp("TCP6: inuse 1\n"));
        assert!(!no_tcp(""), "what can't be read is not quiet");
    }
}
