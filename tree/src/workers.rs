//! A few threads that work off a growing stack of tasks.
//!
//! The last task in is the first out, so a tree is walked depth first and the stack stays small.
//! The calling thread works too, and further ones start only when tasks pile up: a small tree costs
//! no thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

/// How many workers there are unless asked otherwise. Files are waited for, in the kernel's locks
/// and journal if not on the disk, so four pay off on two processors.
const USUAL: usize = 4;

/// One more worker is started for each so many tasks that wait.
const PILE: usize = 6;

/// The tasks that wait, shared by the workers.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    tasks: Vec<T>,
    /// How many workers are at a task, which may bring more.
    busy: usize,
    /// Whether one of them failed, so that the others stop.
    stopped: bool,
}

/// Counts its worker as busy, and the work as failed if it unwinds.
struct Busy<'q, T>(&'q Queue<T>);

impl<T> Queue<T> {
    /// Adds a task.
    pub(crate) fn push(&self, task: T) {
        self.lock().tasks.push(task);
        self.changed.notify_one();
    }

    /// Adds tasks, the last of which is begun first.
    pub(crate) fn extend(&self, tasks: impl IntoIterator<Item = T>) {
        self.lock().tasks.extend(tasks);
        self.changed.notify_all();
    }

    fn waiting(&self) -> usize {
        self.lock().tasks.len()
    }

    /// Takes a task, waiting while others may still bring some; `None` when all is done.
    fn take(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                state.busy += 1;
                return Some(task);
            }
            if state.busy == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Busy<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy -= 1;
        state.stopped |= std::thread::panicking();
        let over = state.stopped || (state.busy == 0 && state.tasks.is_empty());
        drop(state);
        if over {
            self.0.changed.notify_all();
        }
    }
}

/// Works off `first` and whatever tasks that brings, on at most `workers` threads (0: as usual).
/// Returns what each worker gathered, or the first error, upon which the others stop.
pub(crate) fn run<T, W, E>(
    workers: usize,
    first: Vec<T>,
    make: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, T, &Queue<T>) -> Result<(), E> + Sync,
) -> Result<Vec<W>, E>
where
    T: Send,
    W: Send,
    E: Send,
{
    let workers = if workers == 0 { USUAL } else { workers };
    let state = State { tasks: first, busy: 0, stopped: false };
    let queue = Queue { state: Mutex::new(state), changed: Condvar::new() };
    let results = Mutex::new(Vec::new());
    let one = |started: &mut dyn FnMut()| {
        let mut gathered = make();
        let mut result = Ok(());
        while let Some(task) = queue.take() {
            let busy = Busy(&queue);
            started();
            result = work(&mut gathered, task, &queue);
            if result.is_err() {
                queue.stop();
            }
            drop(busy);
            if result.is_err() {
                break;
            }
        }
        let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
        results.push(result.map(|()| gathered));
    };
    std::thread::scope(|scope| {
        let mut running = 1;
        one(&mut || {
            while running < workers && queue.waiting() >= PILE * running {
                running += 1;
                start(scope, &one);
            }
        });
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}

fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    one: &'scope (impl Fn(&mut dyn FnMut()) + Sync),
) {
    let worker = std::thread::Builder::new().name("gantry-tree".to_owned());
    // Without a further thread, those that run do the work alone.
    drop(worker.spawn_scoped(scope, || one(&mut || {})));
}
