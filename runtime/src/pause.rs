//! Holding a container's processes still for a moment.

use std::collections::BTreeMap;

use fs_err as fs;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// A container's processes, stopped until this is dropped.
///
/// They are stopped one by one by `SIGSTOP`, which no process can refuse or see; a cgroup of its own,
/// which could be frozen as a whole, a container has only if it has limits. Whoever kills the process
/// that holds this leaves them stopped, until somebody sends them `SIGCONT`.
#[derive(Debug)]
pub struct Paused {
    stopped: Vec<Pid>,
    /// How many processes could not be stopped: they belong to users that this one has no say over.
    pub missed: usize,
}

impl Paused {
    /// Stops `pid`, the first process of a PID namespace, and all below it.
    ///
    /// What loses its parent in there becomes a child of `pid`, so the tree is complete.
    pub fn all_below(pid: u32) -> Self {
        let mut paused = Self { stopped: Vec::new(), missed: 0 };
        // A process that was not stopped yet may have made others meanwhile.
        for _ in 0..16 {
            let before = paused.stopped.len();
            paused.missed = 0;
            for pid in tree(pid) {
                let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { continue };
                if paused.stopped.contains(&pid) {
                    continue;
                }
                match kill_process(pid, Signal::STOP) {
                    Ok(()) => paused.stopped.push(pid),
                    Err(Errno::SRCH) => {}
                    Err(_) => paused.missed += 1,
                }
            }
            if paused.stopped.len() == before {
                break;
            }
        }
        paused
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // The first one last: it might wonder about its children.
        for pid in self.stopped.iter().rev() {
            // It may have been killed meanwhile.
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

/// A process and all below it, parents first.
fn tree(pid: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(child) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = parent(child) {
            children.entry(parent).or_default().push(child);
        }
    }
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let below = children.remove(pid).unwrap_or_default();
        found.extend(below);
        next += 1;
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses among it: "1 (sh) S 0 …".
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn state(pid: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    #[test]
    fn a_whole_tree_stands_still_and_goes_on() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & cat; kill $!"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let root = child.id();
        while tree(root).len() < 3 {
            std::thread::yield_now();
        }
        let paused = Paused::all_below(root);
        let all = tree(root);
        assert_eq!((all.len(), paused.missed), (3, 0));
        let stopped = |pid: &u32| {
            // A signal is delivered a moment after it was sent; and who waits for a child to execute
            // (`D`, after a vfork) stands as still as that one does.
            (0..1000).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                matches!(state(*pid), Some('T' | 'D'))
            })
        };
        assert!(all.iter().all(stopped));
        drop(paused);
        child.stdin.take().unwrap().write_all(b"").unwrap();
        assert!(child.wait().is_ok());
    }
}
