//! [`Sharded`]: one copy of a value per thread, or nearly, so that cores do not fight over a cache line.

use std::{
    cell::Cell,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// How many threads have asked for their number.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static NUMBER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Copies of a `T`, each on cache lines of its own. A thread always gets the same copy. There are at least as many copies as
/// cores, and threads are spread over them in the order in which they come, so the first ones to come do not share.
pub(super) struct Sharded<T>(Box<[Padded<T>]>);

/// 128 bytes: two lines, because some processors fetch them in pairs.
#[repr(align(128))]
struct Padded<T>(T);

impl<T: Default> Sharded<T> {
    /// Twice as many copies as the process may use cores: 4 to 64.
    pub(super) fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let count = (cores * 2).next_power_of_two().clamp(4, 64);
        Self((0..count).map(|_| Padded(T::default())).collect())
    }
}

impl<T> Sharded<T> {
    /// The calling thread's copy. Another thread may have the same one.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is at least one copy, and a remainder is below the divisor"
    )]
    pub(super) fn local(&self) -> &T {
        &self.0[number() % self.0.len()].0
    }

    /// All copies.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

/// This thread's number, the same for as long as it lives.
fn number() -> usize {
    NUMBER
        .try_with(|number| {
            number.get().unwrap_or_else(|| {
                let new = THREADS.fetch_add(1, Ordering::Relaxed);
                number.set(Some(new));
                new
            })
        })
        // The thread is being torn down; any copy will do.
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_copy() {
        let sharded = Sharded::<AtomicUsize>::new();
        assert!(std::ptr::eq(sharded.local(), sharded.local()));
        assert!(
            sharded
                .iter()
                .any(|copy| std::ptr::eq(copy, sharded.local()))
        );
    }

    #[test]
    fn nothing_written_by_any_thread_is_missed() {
        let sharded = Sharded::<AtomicUsize>::new();
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| sharded.local().fetch_add(1, Ordering::Relaxed));
            }
        });
        let sum: usize = sharded.iter().map(|n| n.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 100);
    }

    #[test]
    fn copies_are_apart_by_two_cache_lines() {
        let sharded = Sharded::<AtomicUsize>::new();
        let places: Vec<_> = sharded
            .iter()
            .map(|copy| std::ptr::from_ref(copy).addr())
            .collect();
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= 128));
    }
}
