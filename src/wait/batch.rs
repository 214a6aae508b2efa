//! Wakers that are taken under a lock and woken after it.

use core::task::Waker;

use crate::sync::{Panic, hold_panic, is_panicking, resume_panic};

/// How many wakers one round takes. It bounds the length of a critical section and the stack that a release needs.
///
/// Two in model builds, so that the models reach the second round with three waiters.
pub(crate) const BATCH: usize = if cfg!(any(test, tollgate_loom)) { 2 } else { 8 };

/// Room for the wakers of one round.
#[derive(Debug)]
pub(crate) struct Batch {
    wakers: [Option<Waker>; BATCH],
    len: usize,
}

/// Runs `round` until it returns `false`, and after each round wakes what that round put into the batch.
///
/// `round` takes its lock itself and lets go of it before it returns.
///
/// A waker that panics loses nobody else's wake: all rounds are run to the end and the first panic goes on after that.
/// Without std a panic cannot be held back; the guard below then finishes the rounds while the panic is under way.
#[inline]
pub(crate) fn wake_rounds(round: impl FnMut(&mut Batch) -> bool) {
    let mut rounds = Rounds { round, batch: Batch::new(), more: true };
    let panic = rounds.run();
    // Every waker is gone and no round is left, so there is nothing for the guard to do.
    core::mem::forget(rounds);
    if let Some(panic) = panic {
        resume_panic(panic);
    }
}

/// As [`wake_rounds`], one at a time and in less code. `next` takes its lock itself, and hands out a waiter that it has resolved,
/// or rather its waker if it has one.
#[inline]
pub(crate) fn wake_each(next: impl FnMut() -> Option<Option<Waker>>) {
    let mut each = Each(next);
    each.run();
    core::mem::forget(each);
}

/// Wakes one. A permit may be dropped, and its successor woken, by a panic; a waker that panics then does not end the process.
#[inline]
pub(crate) fn wake_one(waker: Waker) {
    if is_panicking() {
        let _ = hold_panic(|| waker.wake());
    } else {
        waker.wake();
    }
}

/// Goes on with the rest if a waker panics.
struct Each<F: FnMut() -> Option<Option<Waker>>>(F);

struct Rounds<F: FnMut(&mut Batch) -> bool> {
    round: F,
    batch: Batch,
    more: bool,
}

// === impl Batch ===

impl Batch {
    const fn new() -> Self {
        Self { wakers: [const { None }; BATCH], len: 0 }
    }

    /// How many more wakers fit.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        BATCH - self.len
    }

    /// Puts a waker in. `None` is a waiter that nobody has polled yet: it counts, and there is nothing to wake.
    ///
    /// # Panics
    ///
    /// If there is no [`room`](Self::room), which callers ask first.
    #[inline]
    pub(crate) fn push(&mut self, waker: Option<Waker>) {
        self.wakers[self.len] = waker;
        self.len += 1;
    }

    #[inline]
    fn wake_all(&mut self) {
        for waker in &mut self.wakers[..self.len] {
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
        self.len = 0;
    }
}

// === impl Rounds ===

impl<F: FnMut(&mut Batch) -> bool> Rounds<F> {
    #[inline]
    fn run(&mut self) -> Option<Panic> {
        let mut first = None;
        loop {
            while self.more && self.batch.room() == BATCH {
                self.more = (self.round)(&mut self.batch);
            }
            if self.batch.room() == BATCH {
                return first;
            }
            if let Err(panic) = hold_panic(|| self.batch.wake_all()) {
                first = first.or(Some(panic));
            }
        }
    }
}

impl<F: FnMut(&mut Batch) -> bool> Drop for Rounds<F> {
    fn drop(&mut self) {
        // Only where a panic could not be held back is there anything left here.
        let _ = self.run();
    }
}

// === impl Each ===

impl<F: FnMut() -> Option<Option<Waker>>> Each<F> {
    #[inline]
    fn run(&mut self) {
        while let Some(waker) = (self.0)() {
            if let Some(waker) = waker {
                wake_one(waker);
            }
        }
    }
}

impl<F: FnMut() -> Option<Option<Waker>>> Drop for Each<F> {
    fn drop(&mut self) {
        self.run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicUsize, Ordering};

    struct Count {
        woken: AtomicUsize,
        panics: bool,
    }

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.woken.fetch_add(1, Ordering::Relaxed);
            assert!(!self.panics, "waker panics");
        }
    }

    fn waker(panics: bool) -> (Arc<Count>, Waker) {
        let count = Arc::new(Count { woken: AtomicUsize::new(0), panics });
        (count.clone(), Waker::from(count))
    }

    #[test]
    fn every_round_is_woken_before_the_next_begins() {
        let (count, waker) = waker(false);
        let mut left = 5;
        wake_rounds(|batch| {
            assert_eq!(count.woken.load(Ordering::Relaxed), 5 - left);
            while left > 0 && batch.room() > 0 {
                batch.push(Some(waker.clone()));
                left -= 1;
            }
            left > 0
        });
        assert_eq!(count.woken.load(Ordering::Relaxed), 5);
    }

    #[test]
    #[cfg(feature = "std")]
    fn a_panicking_waker_loses_nobody_elses_wake_one_by_one() {
        let (bad, bad_waker) = waker(true);
        let (good, good_waker) = waker(false);
        let mut wakers =
            [Some(good_waker.clone()), None, Some(bad_waker.clone()), Some(bad_waker), Some(good_waker)].into_iter();
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| wake_each(|| wakers.next())));
        assert!(outcome.is_err(), "the panic goes on");
        assert_eq!(bad.woken.load(Ordering::Relaxed), 2);
        assert_eq!(good.woken.load(Ordering::Relaxed), 2);
    }

    #[test]
    #[cfg(feature = "std")]
    fn panicking_wakers_lose_nobody_elses_wake() {
        let (bad, bad_waker) = waker(true);
        let (good, good_waker) = waker(false);
        let mut left = 7;
        let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| {
            wake_rounds(|batch| {
                while left > 0 && batch.room() > 0 {
                    let panics = left % 2 == 1;
                    batch.push(Some(if panics { bad_waker.clone() } else { good_waker.clone() }));
                    left -= 1;
                }
                left > 0
            });
        }));
        assert!(outcome.is_err(), "the panic goes on");
        assert_eq!(bad.woken.load(Ordering::Relaxed), 4);
        assert_eq!(good.woken.load(Ordering::Relaxed), 3);
    }
}
