//! Several at once, in the order in which they were given.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, scope};

/// Does `work` with each item on up to `threads` threads, this one among them, and returns what
/// comes of them in their order. Of items with the same `key` the first alone is worked on, and
/// what comes of it is the others' as well. After a failure none is begun.
///
/// # Errors
/// That of the first item that failed.
pub fn each<T, K, R, E>(
    items: &[T],
    threads: usize,
    key: impl Fn(&T) -> K,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E>
where
    T: Sync,
    K: PartialEq,
    R: Clone + Send,
    E: Send,
{
    let (mut keys, mut once) = (Vec::<K>::new(), Vec::<&T>::new());
    let mut places: Vec<usize> = Vec::with_capacity(items.len());
    for item in items {
        let key = key(item);
        let known = keys.iter().position(|known| *known == key);
        places.push(known.unwrap_or(once.len()));
        if known.is_none() {
            keys.push(key);
            once.push(item);
        }
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let one_by_one = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed)
            && let number = next.fetch_add(1, Ordering::Relaxed)
            && let Some(item) = once.get(number)
        {
            let result = work(item);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            done.push((number, result));
        }
        done
    };
    let mut done = scope(|scope| {
        let spawn = |_| Builder::new().name("each".to_owned()).spawn_scoped(scope, one_by_one);
        // Where there can be no thread, this one does it all.
        let others: Vec<_> = (1..threads.min(once.len())).flat_map(spawn).collect();
        let mut done = one_by_one();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(number, _)| *number);
    let results = done.into_iter().map(|(_, result)| result).collect::<Result<Vec<R>, E>>()?;
    Ok(places.into_iter().map(|place| results[place].clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_order_of_the_items_and_like_ones_are_done_once() {
        let items: Vec<u32> = (0..100).map(|number| number % 60).collect();
        for threads in [0, 1, 4] {
            let calls = AtomicUsize::new(0);
            let twice = |item: &u32| {
                calls.fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(item * 2)
            };
            let wanted: Vec<u32> = items.iter().map(|item| item * 2).collect();
            assert_eq!(each(&items, threads, |item| *item, twice), Ok(wanted), "{threads}");
            assert_eq!(calls.into_inner(), 60, "{threads}");
        }
        assert_eq!(each(&[], 4, |item: &u32| *item, |_| Err::<u32, ()>(())), Ok(vec![]));
    }

    #[test]
    fn after_a_failure_none_is_begun() {
        let items: Vec<u32> = (0..1000).collect();
        let calls = AtomicUsize::new(0);
        let fail = |item: &u32| {
            calls.fetch_add(1, Ordering::Relaxed);
            if *item >= 2 { Err(*item) } else { Ok(()) }
        };
        assert_eq!(each(&items, 1, |item| *item, fail), Err(2));
        assert_eq!(calls.into_inner(), 3);
    }
}
