//! The cleaner: removes directories that nobody needs any more while others go on with their work.
//!
//! Removing a work directory takes ten times as long as renaming it, and a step that has ended waits
//! for neither.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use fs_err as fs;
use gantry_tree::remove_tree;

use crate::db::locked;

/// A thread that removes directories, started for the first of them.
#[derive(Debug, Default)]
pub(crate) struct Cleaner(Mutex<Option<(Sender<PathBuf>, JoinHandle<()>)>>);

impl Cleaner {
    /// Has `dir` vanish at once, as `to` beside it, which is then removed in the background.
    ///
    /// What resists is swept when its owner is gone.
    pub(crate) fn remove(&self, dir: &Path, to: PathBuf) {
        if fs::rename(dir, &to).is_err() {
            let _ = remove_tree(dir);
            return;
        }
        let mut thread = locked(&self.0);
        if thread.is_none() {
            let (sender, receiver) = channel::<PathBuf>();
            let clean = move || {
                for dir in receiver {
                    let _ = remove_tree(&dir);
                }
            };
            let started = std::thread::Builder::new().name("gantry-clean".to_owned()).spawn(clean);
            *thread = started.ok().map(|thread| (sender, thread));
        }
        let sent = thread.as_ref().map(|(sender, _)| sender.send(to.clone()));
        if !matches!(sent, Some(Ok(()))) {
            let _ = remove_tree(&to);
        }
    }
}

impl Drop for Cleaner {
    /// Waits until all is gone.
    fn drop(&mut self) {
        if let Some((sender, thread)) = locked(&self.0).take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}
