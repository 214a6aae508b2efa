//! Models of the semaphore: run as they are with real threads, and under loom through every schedule.
//!
//! The batch holds two wakers here, so three waiters reach the second round. The parent module names the lock: the models
//! are run once with one that is worth going around, and once with a cheap one.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::Lock;
use crate::semaphore::{Closed, TryAcquireError};
use crate::sync::UnsafeCell;
use crate::sync::model::{Arc, block_on, check, thread};

type Semaphore = crate::Semaphore<Lock>;
type Permit<'a> = crate::Permit<'a, Lock>;

/// Polls once with a waker that does nothing; the future is dropped afterwards, whatever came of it.
fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn spawn(semaphore: &Arc<Semaphore>, f: impl FnOnce(&Semaphore) + Send + 'static) -> thread::JoinHandle<()> {
    let semaphore = semaphore.clone();
    thread::spawn(move || f(&semaphore))
}

fn acquire(semaphore: &Semaphore, n: usize) -> Result<Permit<'_>, Closed> {
    block_on(semaphore.acquire_many(n))
}

/// What one permit protects. Loom reports two visits at once, and one that does not see what the last wrote.
struct Guarded {
    semaphore: Semaphore,
    visits: UnsafeCell<usize>,
}

// SAFETY: in these models the cell is only touched by the holder of the one permit.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { semaphore: Semaphore::with_lock(permits), visits: UnsafeCell::new(0) })
    }

    fn visit(&self, _permit: &Permit<'_>) {
        // SAFETY: the one permit is ours.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
    }

    fn visits(&self) -> usize {
        let permit = acquire(&self.semaphore, 1).unwrap();
        // SAFETY: the one permit is ours.
        let visits = self.visits.with(|visits| unsafe { *visits });
        drop(permit);
        visits
    }
}

#[test]
fn model_one_permit_is_a_mutex() {
    check(3, || {
        let guarded = Guarded::new(1);
        let other = thread::spawn({
            let guarded = guarded.clone();
            move || guarded.visit(&acquire(&guarded.semaphore, 1).unwrap())
        });
        guarded.visit(&acquire(&guarded.semaphore, 1).unwrap());
        other.join().unwrap();
        assert_eq!(guarded.visits(), 2);
        assert_eq!(guarded.semaphore.available_permits(), 1);
    });
}

#[test]
fn model_a_permit_handed_over_carries_what_was_written() {
    check(3, || {
        let guarded = Guarded::new(1);
        let permit = acquire(&guarded.semaphore, 1).unwrap();
        let other = thread::spawn({
            let guarded = guarded.clone();
            move || guarded.visit(&acquire(&guarded.semaphore, 1).unwrap())
        });
        guarded.visit(&permit);
        drop(permit);
        other.join().unwrap();
        assert_eq!(guarded.visits(), 2);
    });
}

#[test]
fn model_barging_and_trying_see_what_the_last_holder_wrote() {
    check(3, || {
        let guarded = Guarded::new(1);
        let other = thread::spawn({
            let guarded = guarded.clone();
            move || guarded.visit(&block_on(guarded.semaphore.acquire()).unwrap())
        });
        if let Ok(permit) = guarded.semaphore.try_acquire_barging() {
            guarded.visit(&permit);
        }
        if let Ok(permit) = guarded.semaphore.try_acquire() {
            guarded.visit(&permit);
        }
        other.join().unwrap();
        assert!((1..=3).contains(&guarded.visits()));
    });
}

#[test]
fn model_weighted_requests_conserve_permits() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(3));
        let other = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 2).unwrap()));
        drop(acquire(&semaphore, 3).unwrap());
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 3);
        assert_eq!(semaphore.waiters(), 0);
    });
}

#[test]
fn model_two_releases_serve_two_waiters() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let one = spawn(&semaphore, |semaphore| acquire(semaphore, 1).unwrap().forget());
        let two = spawn(&semaphore, |semaphore| acquire(semaphore, 1).unwrap().forget());
        semaphore.add_permits(1);
        semaphore.add_permits(1);
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn model_three_waiters_take_two_rounds() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let mut first = pin!(semaphore.acquire());
        let mut second = pin!(semaphore.acquire());
        first.as_mut().enroll();
        second.as_mut().enroll();
        let third = spawn(&semaphore, |semaphore| acquire(semaphore, 1).unwrap().forget());
        semaphore.add_permits(3);
        block_on(first).unwrap().forget();
        block_on(second).unwrap().forget();
        third.join().unwrap();
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn model_cancel_races_release() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let other = spawn(&semaphore, |semaphore| drop(poll_once(semaphore.acquire())));
        drop(permit);
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1, "neither the word nor the cancelled waiter keeps it");
        assert_eq!(semaphore.waiters(), 0);
        assert!(semaphore.try_acquire().is_ok(), "no flag is left behind");
    });
}

#[test]
fn model_cancel_races_the_grant_while_another_waits() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let cancelled = spawn(&semaphore, |semaphore| drop(poll_once(semaphore.acquire())));
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1).unwrap()));
        drop(permit);
        cancelled.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_a_large_request_cancelled_at_the_front_lets_the_next_one_in() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let mut large = alloc::boxed::Box::pin(semaphore.acquire_many(3));
        large.as_mut().enroll();
        let small = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1).unwrap()));
        drop(large);
        small.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_close_races_a_waiter_and_a_release() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1)));
        let closes = spawn(&semaphore, Semaphore::close);
        drop(permit);
        waits.join().unwrap();
        closes.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1, "whether it was served or closed out");
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(semaphore.waiters(), 0);
    });
}

#[test]
fn model_close_races_cancel() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let closes = spawn(&semaphore, Semaphore::close);
        drop(poll_once(semaphore.acquire()));
        closes.join().unwrap();
        assert_eq!(semaphore.waiters(), 0);
        assert!(semaphore.is_closed());
    });
}

#[test]
fn model_close_resolves_more_waiters_than_one_round_holds() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let mut first = pin!(semaphore.acquire());
        let mut second = pin!(semaphore.acquire());
        first.as_mut().enroll();
        second.as_mut().enroll();
        let third = spawn(&semaphore, |semaphore| assert!(acquire(semaphore, 1).is_err()));
        semaphore.close();
        assert!(block_on(first).is_err());
        assert!(block_on(second).is_err());
        third.join().unwrap();
    });
}

#[test]
fn model_add_races_close() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1)));
        let closes = spawn(&semaphore, Semaphore::close);
        semaphore.add_permits(1);
        waits.join().unwrap();
        closes.join().unwrap();
        assert!(semaphore.is_closed(), "no arithmetic reopens it");
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_reducing_below_zero_races_release_and_acquire() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(2));
        let both = acquire(&semaphore, 2).unwrap();
        let reduces = spawn(&semaphore, |semaphore| semaphore.reduce_permits(1));
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1).unwrap()));
        drop(both);
        reduces.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_limits_set_by_two_at_once_end_with_one_of_them() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let other = spawn(&semaphore, |semaphore| semaphore.set_limit(3));
        semaphore.set_limit(2);
        drop(permit);
        other.join().unwrap();
        assert!(matches!(semaphore.available_permits(), 2 | 3));
    });
}

#[test]
fn model_raising_the_limit_serves_a_waiter() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 2).unwrap()));
        semaphore.set_limit(2);
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn model_a_range_takes_all_that_is_there_and_gives_it_back() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let waits = spawn(&semaphore, |semaphore| {
            let some = block_on(semaphore.acquire_up_to(1..=3)).unwrap();
            assert!((1..=2).contains(&some.permits()));
        });
        semaphore.add_permits(1);
        semaphore.add_permits(1);
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn model_barging_takes_permits_and_strands_nobody() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let waits = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1).unwrap()));
        let barges = spawn(&semaphore, |semaphore| drop(semaphore.try_acquire_barging()));
        drop(permit);
        barges.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_an_enrolled_waiter_is_served_before_it_is_polled() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let mut enrolled = alloc::boxed::Box::pin(semaphore.acquire());
        enrolled.as_mut().enroll();
        let other = spawn(&semaphore, |semaphore| drop(acquire(semaphore, 1).unwrap()));
        drop(permit);
        drop(block_on(enrolled).unwrap());
        other.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_a_waker_replaced_while_the_grant_comes_is_not_lost() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(0));
        let adds = spawn(&semaphore, |semaphore| semaphore.add_permits(1));
        let mut acquire = alloc::boxed::Box::pin(semaphore.acquire());
        // The first waker leads nowhere; only the second, that of `block_on`, can end the wait.
        let first = acquire.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match first {
            Poll::Ready(permit) => drop(permit.unwrap()),
            Poll::Pending => drop(block_on(acquire).unwrap()),
        }
        adds.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_forgetting_free_permits_races_a_waiter() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let takes = spawn(&semaphore, |semaphore| drop(semaphore.try_acquire()));
        let forgotten = semaphore.forget_permits(1);
        takes.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1 - forgotten);
    });
}

#[test]
fn model_a_grant_before_the_close_stays_a_grant() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        let mut enrolled = alloc::boxed::Box::pin(semaphore.acquire());
        enrolled.as_mut().enroll();
        drop(permit);
        let closes = spawn(&semaphore, Semaphore::close);
        drop(block_on(enrolled).unwrap());
        closes.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_nobody_overtakes_the_queue() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let mut large = alloc::boxed::Box::pin(semaphore.acquire_many(2));
        large.as_mut().enroll();
        let newcomer = spawn(&semaphore, |semaphore| {
            assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
            assert!(poll_once(semaphore.acquire()).is_pending());
        });
        newcomer.join().unwrap();
        semaphore.add_permits(1);
        drop(block_on(large).unwrap());
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn model_the_last_waiter_to_leave_takes_the_flag_along() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let mut large = alloc::boxed::Box::pin(semaphore.acquire_many(3));
        large.as_mut().enroll();
        let other = spawn(&semaphore, |semaphore| drop(semaphore.try_acquire_barging()));
        drop(large);
        assert!(!semaphore.engine.word().has_waiters());
        other.join().unwrap();
        assert!(semaphore.try_acquire().is_ok());
    });
}

#[test]
fn model_the_last_waiter_to_be_served_takes_the_flag_along() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        acquire(&semaphore, 1).unwrap().forget();
        let mut next = alloc::boxed::Box::pin(semaphore.acquire());
        next.as_mut().enroll();
        let releases = spawn(&semaphore, |semaphore| semaphore.add_permits(1));
        let served = block_on(next).unwrap();
        releases.join().unwrap();
        assert!(!semaphore.engine.word().has_waiters());
        drop(served);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn model_a_release_pays_the_debt_before_it_serves() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::with_lock(1));
        let permit = acquire(&semaphore, 1).unwrap();
        semaphore.reduce_permits(1);
        let mut next = alloc::boxed::Box::pin(semaphore.acquire());
        next.as_mut().enroll();
        let other = spawn(&semaphore, |semaphore| drop(semaphore.try_acquire_barging()));
        drop(permit);
        other.join().unwrap();
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        semaphore.add_permits(1);
        drop(block_on(next).unwrap());
        assert_eq!(semaphore.available_permits(), 1);
    });
}
