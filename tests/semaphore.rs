//! What the semaphore promises, polled by hand.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::future::Future;
use std::mem::size_of;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use futures_core::future::FusedFuture;
use support::watched_lock::{WatchedLock, taken_by, without_lock};
use support::{Wakes, in_time, panic_of, pending, poll, poll_with, ready};
use tollgate::{Acquire, Closed, LocalLock, Permit, RawLock, Semaphore, TryAcquireError};

const MAX: usize = <Semaphore>::MAX_PERMITS;

/// What an acquire is given, as a number.
fn granted<L: RawLock>(future: Pin<&mut Acquire<'_, L>>) -> usize {
    let permit = ready(future).expect("open");
    let permits = permit.permits();
    permit.forget();
    permits
}

// === counting ===

#[test]
fn a_new_semaphore_has_its_permits_free_and_nobody_waiting() {
    for n in [0, 1, 7, MAX] {
        let gate = Semaphore::new(n);
        assert_eq!(gate.available_permits(), n);
        assert_eq!(gate.waiters(), 0);
        assert!(!gate.is_closed());
    }
}

#[test]
fn a_semaphore_can_be_a_static_and_lends_permits_for_ever() {
    static GATE: Semaphore = Semaphore::new(2);
    static PERMIT: std::sync::Mutex<Option<Permit<'static>>> = std::sync::Mutex::new(None);
    *PERMIT.lock().unwrap() = Some(GATE.try_acquire().unwrap());
    assert_eq!(GATE.available_permits(), 1);
    PERMIT.lock().unwrap().take();
    assert_eq!(GATE.available_permits(), 2);
}

#[test]
fn a_semaphore_can_be_a_const_part_of_something_larger() {
    struct Device {
        name: &'static str,
        gate: Semaphore,
    }
    static DEVICE: Device = Device { name: "uart", gate: Semaphore::new(MAX) };
    #[allow(clippy::declare_interior_mutable_const, reason = "each mention is a new one, as is meant here")]
    const LOCAL: Semaphore<LocalLock> = Semaphore::with_lock(3);
    assert_eq!((DEVICE.name, DEVICE.gate.available_permits()), ("uart", MAX));
    #[allow(clippy::borrow_interior_mutable_const, reason = "each mention is a new one, as is meant here")]
    let one = LOCAL.try_acquire().unwrap().permits();
    assert_eq!(one, 1);
}

#[test]
fn sizes_on_a_64_bit_machine_are_32_64_and_16_bytes() {
    if cfg!(all(target_pointer_width = "64", feature = "std")) {
        assert!(size_of::<Semaphore>() <= 32, "{}", size_of::<Semaphore>());
        assert!(size_of::<Acquire<'_>>() <= 64, "{}", size_of::<Acquire<'_>>());
        assert!(size_of::<Permit<'_>>() <= 16, "{}", size_of::<Permit<'_>>());
        assert!(size_of::<Semaphore<LocalLock>>() <= 32);
        assert!(size_of::<Acquire<'_, LocalLock>>() <= 64);
        assert!(size_of::<Permit<'_, LocalLock>>() <= 16);
    }
}

#[test]
fn try_acquire_takes_one_and_dropping_gives_it_back() {
    let gate = Semaphore::new(2);
    let one = gate.try_acquire().unwrap();
    assert_eq!((one.permits(), gate.available_permits()), (1, 1));
    let two = gate.try_acquire().unwrap();
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    drop(one);
    assert_eq!(gate.available_permits(), 1);
    drop(two);
    assert_eq!(gate.available_permits(), 2);
}

#[test]
fn try_acquire_many_takes_all_or_nothing() {
    let gate = Semaphore::new(5);
    let three = gate.try_acquire_many(3).unwrap();
    assert_eq!(gate.try_acquire_many(3).unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(gate.available_permits(), 2);
    let two = gate.try_acquire_many(2).unwrap();
    assert_eq!(gate.available_permits(), 0);
    drop((three, two));
    assert_eq!(gate.available_permits(), 5);
}

#[test]
fn acquire_is_ready_at_the_first_poll_when_permits_are_free() {
    let gate = Semaphore::new(3);
    let (wakes, waker) = Wakes::new();
    let mut acquire = pin!(gate.acquire_many(2));
    let Poll::Ready(Ok(permit)) = poll_with(acquire.as_mut(), &waker) else { panic!("two are free") };
    assert_eq!((permit.permits(), gate.available_permits(), gate.waiters()), (2, 1, 0));
    drop(permit);
    assert_eq!((gate.available_permits(), wakes.count()), (3, 0));
}

#[test]
fn an_unpolled_acquire_takes_neither_a_permit_nor_a_place() {
    let gate = Semaphore::new(1);
    let unpolled = gate.acquire();
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 0));
    assert!(gate.try_acquire().is_ok());
    drop(unpolled);
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 0));
}

#[test]
fn a_waiting_acquire_is_woken_once_when_its_permits_come() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut acquire = pin!(gate.acquire());
    assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    assert_eq!((gate.waiters(), wakes.count()), (1, 0));
    drop(held);
    assert_eq!((gate.waiters(), wakes.count(), gate.available_permits()), (0, 1, 0));
    let permit = ready(acquire).unwrap();
    assert_eq!(permit.permits(), 1);
    drop(permit);
    assert_eq!((gate.available_permits(), wakes.count()), (1, 1));
}

#[test]
fn a_large_request_is_given_all_at_once_and_holds_nothing_meanwhile() {
    let gate = Semaphore::new(3);
    let mut held: Vec<_> = (0..3).map(|_| gate.try_acquire().unwrap()).collect();
    let (wakes, waker) = Wakes::new();
    let mut three = pin!(gate.acquire_many(3));
    assert!(poll_with(three.as_mut(), &waker).is_pending());
    held.pop();
    held.pop();
    assert_eq!((gate.available_permits(), wakes.count()), (2, 0), "the count is true while somebody waits");
    pending(three.as_mut());
    assert!(poll_with(three.as_mut(), &waker).is_pending());
    held.pop();
    assert_eq!((gate.available_permits(), wakes.count()), (0, 1));
    assert_eq!(granted(three), 3);
}

#[test]
fn a_spurious_poll_changes_nothing() {
    let gate = Semaphore::new(0);
    let mut first = pin!(gate.acquire());
    let mut second = pin!(gate.acquire());
    pending(first.as_mut());
    pending(second.as_mut());
    for _ in 0..10 {
        pending(first.as_mut());
        assert_eq!(gate.waiters(), 2);
    }
    gate.add_permits(1);
    assert_eq!(granted(first), 1, "polling again does not lose the place");
    pending(second);
}

#[test]
fn the_newest_waker_counts() {
    let gate = Semaphore::new(0);
    let (old_wakes, old) = Wakes::new();
    let (new_wakes, new) = Wakes::new();
    let mut acquire = pin!(gate.acquire());
    assert!(poll_with(acquire.as_mut(), &old).is_pending());
    assert!(poll_with(acquire.as_mut(), &new).is_pending());
    gate.add_permits(1);
    assert_eq!((old_wakes.count(), new_wakes.count()), (0, 1));
    assert_eq!(granted(acquire), 1);
}

#[test]
fn no_waker_is_kept_once_a_future_is_done_or_gone() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let kept = |wakes: &std::sync::Arc<Wakes>| std::sync::Arc::strong_count(wakes) - 2;
    let mut served = Box::pin(gate.acquire());
    let mut cancelled = Box::pin(gate.acquire());
    assert!(poll_with(served.as_mut(), &waker).is_pending());
    assert!(poll_with(cancelled.as_mut(), &waker).is_pending());
    assert!(kept(&wakes) >= 2);
    drop(cancelled);
    assert_eq!(kept(&wakes), 1);
    gate.add_permits(1);
    assert_eq!(granted(served.as_mut()), 1);
    assert_eq!(kept(&wakes), 0);
    let mut closed = pin!(gate.acquire());
    assert!(poll_with(closed.as_mut(), &waker).is_pending());
    gate.close();
    assert_eq!(ready(closed.as_mut()).unwrap_err(), Closed);
    assert_eq!(kept(&wakes), 0);
}

#[test]
fn a_future_may_be_boxed_and_moved_to_another_thread_between_polls() {
    in_time("moving a waiting future", || {
        static GATE: Semaphore = Semaphore::new(0);
        let mut acquire = Box::pin(GATE.acquire());
        pending(acquire.as_mut());
        let other = std::thread::spawn(move || {
            GATE.add_permits(1);
            granted(acquire.as_mut())
        });
        assert_eq!(other.join().unwrap(), 1);
    });
}

// === zero permits ===

#[test]
fn zero_permits_are_granted_at_once() {
    let gate = Semaphore::new(0);
    assert_eq!(gate.try_acquire_many(0).unwrap().permits(), 0);
    assert_eq!(ready(pin!(gate.acquire_many(0))).unwrap().permits(), 0);
    assert_eq!(gate.try_acquire_up_to(0..=0).unwrap().permits(), 0);
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 0));
}

#[test]
fn zero_permits_are_granted_at_once_behind_a_queue_and_in_debt() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    gate.reduce_permits(1);
    let mut queued = pin!(gate.acquire());
    pending(queued.as_mut());
    assert_eq!(gate.try_acquire_many(0).unwrap().permits(), 0);
    assert_eq!(ready(pin!(gate.acquire_many(0))).unwrap().permits(), 0);
    pending(queued.as_mut());
    drop(held);
    pending(queued.as_mut());
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 1));
}

#[test]
fn zero_permits_are_granted_at_once_to_who_enrols_behind_a_queue() {
    let gate = Semaphore::new(0);
    let mut queued = pin!(gate.acquire());
    queued.as_mut().enroll();
    for zero in [gate.acquire_many(0), gate.acquire_up_to(0..=3), gate.acquire_many(0).barging()] {
        let mut zero = Box::pin(zero);
        zero.as_mut().enroll();
        assert_eq!(gate.waiters(), 1, "{zero:?}");
        assert_eq!(ready(zero.as_mut()).unwrap().permits(), 0);
    }
}

#[test]
fn zero_permits_are_refused_when_closed() {
    let gate = Semaphore::new(1);
    gate.close();
    assert_eq!(gate.try_acquire_many(0).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(gate.try_acquire_up_to(0..=1).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(ready(pin!(gate.acquire_many(0))).unwrap_err(), Closed);
}

#[test]
fn a_permit_of_zero_can_be_dropped_split_merged_and_forgotten() {
    let gate = Semaphore::new(1);
    let mut zero = gate.try_acquire_many(0).unwrap();
    assert_eq!(zero.split(0).unwrap().permits(), 0);
    assert!(zero.split(1).is_none());
    zero.merge(gate.try_acquire_many(0).unwrap());
    zero.merge(gate.try_acquire().unwrap());
    assert_eq!(zero.permits(), 1);
    drop(zero);
    gate.try_acquire_many(0).unwrap().forget();
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn adding_forgetting_and_reducing_by_zero_do_nothing() {
    let gate = Semaphore::new(1);
    gate.add_permits(0);
    assert_eq!(gate.forget_permits(0), 0);
    gate.reduce_permits(0);
    assert_eq!(gate.available_permits(), 1);
}

// === ranges ===

#[test]
fn up_to_takes_what_there_is_within_the_range() {
    let gate = Semaphore::new(5);
    let three = gate.try_acquire_up_to(1..=3).unwrap();
    assert_eq!(three.permits(), 3, "not more than the end");
    let two = gate.try_acquire_up_to(2..=8).unwrap();
    assert_eq!(two.permits(), 2, "what there is");
    assert_eq!(gate.try_acquire_up_to(1..=8).unwrap_err(), TryAcquireError::NoPermits);
    drop(three);
    assert_eq!(gate.try_acquire_up_to(4..=8).unwrap_err(), TryAcquireError::NoPermits, "less than the start");
    assert_eq!(gate.available_permits(), 3);
    let exact = gate.try_acquire_up_to(3..=3).unwrap();
    assert_eq!(exact.permits(), 3);
}

#[test]
fn an_end_beyond_the_maximum_means_all() {
    let gate = Semaphore::new(5);
    assert_eq!(gate.try_acquire_up_to(1..=usize::MAX).unwrap().permits(), 5);
    assert_eq!(ready(pin!(gate.acquire_up_to(0..=MAX + 1))).unwrap().permits(), 5);
    let all = Semaphore::new(MAX);
    assert_eq!(ready(pin!(all.acquire_up_to(MAX..=usize::MAX))).unwrap().permits(), MAX);
}

#[test]
fn a_range_from_zero_never_waits() {
    let gate = Semaphore::new(2);
    assert_eq!(gate.try_acquire_up_to(0..=5).unwrap().permits(), 2);
    let all = gate.try_acquire_many(2).unwrap();
    assert_eq!(gate.try_acquire_up_to(0..=5).unwrap().permits(), 0);
    assert_eq!(ready(pin!(gate.acquire_up_to(0..=5))).unwrap().permits(), 0);
    drop(all);
    assert_eq!(ready(pin!(gate.acquire_up_to(0..=5))).unwrap().permits(), 2);
    assert_eq!(gate.available_permits(), 2);
}

#[test]
fn a_range_from_zero_does_not_overtake_a_queue() {
    let gate = Semaphore::new(2);
    let mut large = pin!(gate.acquire_many(3));
    pending(large.as_mut());
    assert_eq!(gate.try_acquire_up_to(0..=5).map(|permit| permit.permits()), Ok(0));
    assert_eq!(ready(pin!(gate.acquire_up_to(0..=5))).map(|permit| permit.permits()), Ok(0));
    assert_eq!((gate.available_permits(), gate.waiters()), (2, 1));
}

#[test]
fn a_waiting_range_takes_what_there_is_when_its_turn_comes() {
    let gate = Semaphore::new(0);
    let mut range = pin!(gate.acquire_up_to(2..=4));
    let mut behind = pin!(gate.acquire());
    pending(range.as_mut());
    pending(behind.as_mut());
    gate.add_permits(1);
    pending(range.as_mut());
    gate.add_permits(2);
    assert_eq!(granted(range.as_mut()), 3);
    pending(behind.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(behind), 1);
}

#[test]
fn a_waiting_range_leaves_what_is_beyond_its_end_to_the_next() {
    let gate = Semaphore::new(0);
    let mut range = pin!(gate.acquire_up_to(2..=4));
    let mut behind = pin!(gate.acquire());
    pending(range.as_mut());
    pending(behind.as_mut());
    gate.add_permits(6);
    assert_eq!(granted(range), 4);
    assert_eq!(granted(behind), 1);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
#[allow(clippy::reversed_empty_ranges, reason = "that is the misuse")]
fn an_empty_range_panics_and_takes_nothing() {
    let gate = Semaphore::new(5);
    for message in [
        panic_of(|| gate.try_acquire_up_to(3..=2).is_ok()),
        panic_of(|| drop(gate.acquire_up_to(3..=2))),
        panic_of(|| drop(gate.acquire_up_to(1..=0))),
    ] {
        assert!(message.contains("range"), "{message}");
    }
    assert_eq!((gate.available_permits(), gate.waiters()), (5, 0));
}

#[test]
fn an_exhausted_range_is_empty() {
    // An inclusive range that was iterated to its end looks like `2..=2` and is empty.
    let gate = Semaphore::new(5);
    let mut range = 2..=2;
    range.next();
    assert!(range.is_empty());
    let outcome = catch_unwind(AssertUnwindSafe(|| gate.try_acquire_up_to(range).map(|permit| permit.permits())));
    assert!(outcome.is_err() || outcome.is_ok_and(|taken| taken == Ok(2)), "a panic or the two that it names");
    assert_eq!(gate.available_permits(), 5);
}

// === misuse ===

#[test]
fn asking_for_more_than_the_maximum_panics_and_takes_nothing() {
    let gate = Semaphore::new(5);
    for message in [
        panic_of(|| gate.try_acquire_many(MAX + 1).is_ok()),
        panic_of(|| drop(gate.acquire_many(MAX + 1))),
        panic_of(|| gate.try_acquire_up_to(MAX + 1..=usize::MAX).is_ok()),
        panic_of(|| drop(gate.acquire_up_to(MAX + 1..=usize::MAX))),
        panic_of(|| drop(gate.acquire_many(usize::MAX))),
        panic_of(|| gate.set_limit(MAX + 1)),
        panic_of(|| gate.add_permits(MAX + 1)),
        panic_of(|| gate.add_permits(usize::MAX)),
        panic_of(|| gate.reduce_permits(MAX + 1)),
        panic_of(|| gate.reduce_permits(usize::MAX)),
        panic_of(|| Semaphore::new(MAX + 1)),
        panic_of(|| Semaphore::<LocalLock>::with_lock(usize::MAX)),
    ] {
        assert!(message.contains("MAX_PERMITS"), "{message}");
    }
    assert_eq!((gate.available_permits(), gate.waiters()), (5, 0));
    assert_eq!(gate.try_acquire_many(5).unwrap().permits(), 5);
}

#[test]
fn a_panic_for_misuse_names_the_callers_line() {
    use std::cell::RefCell;
    thread_local!(static PLACE: RefCell<String> = const { RefCell::new(String::new()) });
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PLACE.set(info.location().map(Location::file).unwrap_or_default().to_string());
        usual(info);
    }));
    let gate = Semaphore::new(5);
    let other = Semaphore::new(1);
    let mut wrong = Vec::new();
    let mut check = |what: &'static str, misuse: &dyn Fn()| {
        PLACE.take();
        panic_of(misuse);
        let place = PLACE.take();
        if place != file!() {
            wrong.push((what, place));
        }
    };
    check("new", &|| drop(Semaphore::new(MAX + 1)));
    check("acquire_many", &|| drop(gate.acquire_many(MAX + 1)));
    check("try_acquire_many", &|| drop(gate.try_acquire_many(MAX + 1)));
    check("acquire_up_to", &|| drop(gate.acquire_up_to(MAX + 1..=usize::MAX)));
    check("try_acquire_up_to", &|| drop(gate.try_acquire_up_to(MAX + 1..=usize::MAX)));
    check("add_permits", &|| gate.add_permits(MAX));
    check("reduce_permits", &|| gate.reduce_permits(MAX + 1));
    check("set_limit", &|| gate.set_limit(MAX + 1));
    check("merge", &|| gate.try_acquire().unwrap().merge(other.try_acquire().unwrap()));
    check("reset", &|| pin!(gate.acquire()).reset(MAX + 1));
    #[cfg(feature = "std")]
    check("acquire_many_blocking", &|| drop(gate.acquire_many_blocking(MAX + 1)));
    #[cfg(feature = "alloc")]
    {
        let gate = std::sync::Arc::new(Semaphore::new(5));
        check("acquire_many_owned", &|| drop(gate.clone().acquire_many_owned(MAX + 1)));
        check("try_acquire_many_owned", &|| drop(gate.clone().try_acquire_many_owned(MAX + 1)));
        check("acquire_up_to_owned", &|| drop(gate.clone().acquire_up_to_owned(MAX + 1..=usize::MAX)));
        check("try_acquire_up_to_owned", &|| drop(gate.clone().try_acquire_up_to_owned(MAX + 1..=usize::MAX)));
    }
    assert!(wrong.is_empty(), "these blame somebody else: {wrong:?}");
}

#[test]
fn adding_beyond_the_maximum_panics_and_leaves_the_count() {
    let gate = Semaphore::new(MAX);
    assert!(panic_of(|| gate.add_permits(1)).contains("MAX_PERMITS"));
    assert_eq!(gate.available_permits(), MAX);
    let lent = gate.try_acquire_many(MAX - 1).unwrap();
    assert!(panic_of(|| gate.add_permits(1)).contains("MAX_PERMITS"), "lent ones exist too");
    assert_eq!(gate.available_permits(), 1);
    drop(lent);
    assert_eq!(gate.available_permits(), MAX);
}

#[test]
fn adding_beyond_the_maximum_serves_nobody() {
    let gate = Semaphore::new(MAX);
    let lent = gate.try_acquire_many(MAX).unwrap();
    let (wakes, waker) = Wakes::new();
    let mut waiting = pin!(gate.acquire());
    assert!(poll_with(waiting.as_mut(), &waker).is_pending());
    panic_of(|| gate.add_permits(1));
    panic_of(|| gate.add_permits(MAX));
    assert_eq!((gate.available_permits(), gate.waiters(), wakes.count()), (0, 1, 0));
    assert!(poll_with(waiting.as_mut(), &waker).is_pending());
    drop(lent);
    assert_eq!(granted(waiting), 1);
    assert_eq!((gate.available_permits(), wakes.count()), (MAX - 1, 1));
}

#[test]
fn all_of_the_maximum_can_be_lent_and_given_back() {
    let gate = Semaphore::new(0);
    let mut all = pin!(gate.acquire_many(MAX));
    pending(all.as_mut());
    gate.add_permits(MAX - 1);
    pending(all.as_mut());
    gate.add_permits(1);
    let all = ready(all).unwrap();
    assert_eq!((all.permits(), gate.available_permits()), (MAX, 0));
    drop(all);
    assert_eq!(gate.available_permits(), MAX);
}

#[test]
fn polling_after_completion_panics_and_takes_nothing() {
    let gate = Semaphore::new(3);
    let mut acquire = pin!(gate.acquire());
    drop(ready(acquire.as_mut()));
    let message = panic_of(|| poll(acquire.as_mut()).is_ready());
    assert!(message.contains("polled"), "{message}");
    assert_eq!((gate.available_permits(), gate.waiters()), (3, 0));
}

// === order ===

#[test]
fn waiters_are_served_first_in_first_out() {
    let gate = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..40).map(|_| (Box::pin(gate.acquire()), Wakes::new())).collect();
    for (acquire, (_, waker)) in &mut waiting {
        assert!(poll_with(acquire.as_mut(), waker).is_pending());
    }
    for turn in 0..40 {
        gate.add_permits(1);
        for (place, (_, (wakes, _))) in waiting.iter().enumerate() {
            assert_eq!(wakes.count(), usize::from(place <= turn), "place {place} in turn {turn}");
        }
    }
    assert_eq!(waiting.iter_mut().map(|(acquire, _)| granted(acquire.as_mut())).sum::<usize>(), 40);
}

#[test]
fn one_release_serves_as_many_as_fit_in_their_order() {
    let gate = Semaphore::new(0);
    let mut waiting: Vec<_> = [2, 1, 3, 1].map(|n| Box::pin(gate.acquire_many(n))).into();
    for acquire in &mut waiting {
        pending(acquire.as_mut());
    }
    gate.add_permits(5);
    assert_eq!(granted(waiting[0].as_mut()), 2);
    assert_eq!(granted(waiting[1].as_mut()), 1);
    pending(waiting[2].as_mut());
    pending(waiting[3].as_mut());
    assert_eq!((gate.available_permits(), gate.waiters()), (2, 2), "the one behind the third does not overtake it");
    gate.add_permits(2);
    assert_eq!(granted(waiting[2].as_mut()), 3);
    assert_eq!(granted(waiting[3].as_mut()), 1);
}

#[test]
fn a_thousand_waiters_are_served_by_one_call() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let mut waiting: Vec<_> = (0..1000).map(|_| Box::pin(gate.acquire())).collect();
    for acquire in &mut waiting {
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    }
    assert_eq!(gate.waiters(), 1000);
    gate.add_permits(1001);
    assert_eq!((gate.waiters(), wakes.count(), gate.available_permits()), (0, 1000, 1));
    assert_eq!(waiting.iter_mut().map(|acquire| granted(acquire.as_mut())).sum::<usize>(), 1000);
}

#[test]
fn nobody_overtakes_a_queued_waiter() {
    let gate = Semaphore::new(1);
    let mut large = pin!(gate.acquire_many(2));
    pending(large.as_mut());
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(gate.try_acquire_many(1).unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(gate.try_acquire_up_to(1..=1).unwrap_err(), TryAcquireError::NoPermits);
    let mut small = pin!(gate.acquire());
    pending(small.as_mut());
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 2));
    gate.add_permits(1);
    assert_eq!(granted(large), 2);
    pending(small);
}

#[test]
fn nobody_slips_in_between_a_release_and_the_woken_tasks_poll() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    drop(held);
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::NoPermits, "it is lent already");
    assert_eq!(granted(waiting), 1);
}

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    let gate = Semaphore::new(4);
    let mut out: std::collections::VecDeque<_> = (0..4).map(|_| gate.try_acquire().unwrap()).collect();
    let mut large = pin!(gate.acquire_many(4));
    pending(large.as_mut());
    let mut small: Vec<_> = (0..8).map(|_| Box::pin(gate.acquire())).collect();
    for acquire in &mut small {
        pending(acquire.as_mut());
    }
    for free in 1..=4 {
        out.pop_front();
        for acquire in &mut small {
            pending(acquire.as_mut());
        }
        assert_eq!(gate.available_permits(), if free < 4 { free } else { 0 });
    }
    drop(ready(large).unwrap());
    let served: Vec<_> = small.iter_mut().map(|acquire| poll(acquire.as_mut())).collect();
    assert_eq!(served.iter().filter(|poll| poll.is_ready()).count(), 4);
}

#[test]
fn permits_left_at_the_head_serve_a_later_release_too() {
    let gate = Semaphore::new(2);
    let mut three = pin!(gate.acquire_many(3));
    pending(three.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(three), 3);
    assert_eq!(gate.available_permits(), 0);
}

// === barging ===

#[test]
fn a_barging_call_takes_free_permits_past_the_queue() {
    let gate = Semaphore::new(2);
    let mut large = pin!(gate.acquire_many(3));
    pending(large.as_mut());
    let one = gate.try_acquire_barging().unwrap();
    assert_eq!((one.permits(), gate.available_permits(), gate.waiters()), (1, 1, 1));
    let two = ready(pin!(gate.acquire().barging())).unwrap();
    assert_eq!((two.permits(), gate.available_permits()), (1, 0));
    assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::NoPermits);
    drop((one, two));
    gate.add_permits(1);
    assert_eq!(granted(large), 3);
}

#[test]
fn barging_works_for_many_and_for_ranges() {
    let gate = Semaphore::new(5);
    let mut large = pin!(gate.acquire_many(6));
    pending(large.as_mut());
    let two = ready(pin!(gate.acquire_many(2).barging())).unwrap();
    let rest = ready(pin!(gate.acquire_up_to(1..=9).barging())).unwrap();
    assert_eq!((two.permits(), rest.permits(), gate.available_permits()), (2, 3, 0));
    assert_eq!(ready(pin!(gate.acquire_up_to(0..=9).barging())).unwrap().permits(), 0);
}

#[test]
fn a_barging_call_that_finds_too_few_queues_like_everyone_else() {
    let gate = Semaphore::new(1);
    let mut first = pin!(gate.acquire_many(2));
    let mut barging = pin!(gate.acquire_many(2).barging());
    let mut last = pin!(gate.acquire());
    pending(first.as_mut());
    pending(barging.as_mut());
    pending(last.as_mut());
    assert_eq!(gate.waiters(), 3);
    gate.add_permits(1);
    pending(barging.as_mut());
    assert_eq!(granted(first), 2);
    gate.add_permits(3);
    assert_eq!(granted(barging), 2);
    assert_eq!(granted(last), 1);
}

#[test]
fn barging_does_not_pay_a_debt_nor_open_a_closed_semaphore() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    gate.reduce_permits(1);
    drop(held);
    assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::NoPermits);
    gate.add_permits(1);
    gate.close();
    assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(ready(pin!(gate.acquire().barging())).unwrap_err(), Closed);
}

// === priority ===

#[test]
fn higher_priorities_are_served_first_and_equals_in_their_order() {
    let gate = Semaphore::new(0);
    let priorities = [1, 0, 2, 1, 255, 0, 2, 255, 1, 0];
    let mut waiting: Vec<_> = priorities.map(|p| Box::pin(gate.acquire().priority(p))).into();
    for acquire in &mut waiting {
        pending(acquire.as_mut());
    }
    let mut expected: Vec<_> = (0..priorities.len()).collect();
    expected.sort_by_key(|&place| std::cmp::Reverse(priorities[place])); // stable: equals keep their order
    for place in expected {
        gate.add_permits(1);
        let mut served: Vec<_> = (0..waiting.len()).filter(|&i| !waiting[i].is_terminated()).collect();
        served.retain(|&i| poll(waiting[i].as_mut()).forgotten_if_ready());
        assert_eq!(served, [place]);
    }
}

trait Forget {
    /// Whether there is an output; a permit in it is kept for good.
    fn forgotten_if_ready(self) -> bool;
}

impl<L: RawLock> Forget for Poll<Result<Permit<'_, L>, Closed>> {
    fn forgotten_if_ready(self) -> bool {
        match self {
            Poll::Ready(permit) => {
                permit.unwrap().forget();
                true
            }
            Poll::Pending => false,
        }
    }
}

#[test]
fn a_higher_priority_at_the_head_takes_what_is_free_at_once() {
    let gate = Semaphore::new(1);
    let mut large = pin!(gate.acquire_many(2));
    pending(large.as_mut());
    let mut equal = pin!(gate.acquire());
    pending(equal.as_mut());
    assert_eq!(granted(pin!(gate.acquire().priority(1))), 1, "nobody is ahead of it, and one is free");
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 2));
}

#[test]
fn a_higher_priority_that_does_not_fit_waits_ahead() {
    let gate = Semaphore::new(0);
    let mut usual = pin!(gate.acquire());
    pending(usual.as_mut());
    let mut urgent = pin!(gate.acquire_many(2).priority(9));
    pending(urgent.as_mut());
    gate.add_permits(1);
    pending(usual.as_mut());
    pending(urgent.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(urgent), 2);
    pending(usual.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(usual), 1);
}

#[test]
fn a_cancelled_high_priority_lets_those_behind_it_go_on() {
    let gate = Semaphore::new(1);
    let mut urgent = Box::pin(gate.acquire_many(2).priority(9));
    pending(urgent.as_mut());
    let (wakes, waker) = Wakes::new();
    let mut usual = pin!(gate.acquire());
    assert!(poll_with(usual.as_mut(), &waker).is_pending());
    drop(urgent);
    assert_eq!(wakes.count(), 1);
    assert_eq!(granted(usual), 1);
}

#[test]
fn priority_zero_is_the_default_and_the_last_word_counts() {
    let gate = Semaphore::new(0);
    let mut usual = pin!(gate.acquire());
    let mut zero = pin!(gate.acquire().priority(7).priority(0));
    let mut one = pin!(gate.acquire().priority(0).priority(1));
    pending(usual.as_mut());
    pending(zero.as_mut());
    pending(one.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(one), 1);
    gate.add_permits(1);
    assert_eq!(granted(usual), 1);
    pending(zero);
}

#[test]
fn barging_and_priority_go_together() {
    let gate = Semaphore::new(1);
    let mut large = pin!(gate.acquire_many(2).priority(9));
    pending(large.as_mut());
    let permit = ready(pin!(gate.acquire().barging().priority(1))).unwrap();
    let mut usual = pin!(gate.acquire());
    pending(usual.as_mut());
    let mut urgent = pin!(gate.acquire_many(2).priority(3).barging());
    pending(urgent.as_mut());
    drop(permit);
    gate.add_permits(3);
    assert_eq!((granted(large), granted(urgent)), (2, 2), "what queues keeps its priority");
    pending(usual);
}

// === enrolling ===

#[test]
fn enrolling_takes_a_place_before_the_first_poll() {
    let gate = Semaphore::new(0);
    let mut early = pin!(gate.acquire());
    let mut late = pin!(gate.acquire());
    early.as_mut().enroll();
    assert_eq!(gate.waiters(), 1);
    pending(late.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(early), 1);
    pending(late);
}

#[test]
fn enrolling_takes_free_permits_at_once() {
    let gate = Semaphore::new(1);
    let mut acquire = pin!(gate.acquire());
    acquire.as_mut().enroll();
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 0));
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!(granted(acquire), 1);
}

#[test]
fn enrolling_twice_or_while_waiting_does_nothing() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let mut first = pin!(gate.acquire());
    let mut second = pin!(gate.acquire());
    first.as_mut().enroll();
    first.as_mut().enroll();
    second.as_mut().enroll();
    assert!(poll_with(first.as_mut(), &waker).is_pending());
    first.as_mut().enroll();
    assert_eq!(gate.waiters(), 2);
    gate.add_permits(1);
    first.as_mut().enroll();
    assert_eq!((gate.waiters(), gate.available_permits(), wakes.count()), (1, 0, 1));
    assert_eq!(granted(first), 1);
    pending(second);
}

#[test]
fn a_place_without_a_waker_gets_one_at_the_first_poll() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let mut acquire = pin!(gate.acquire());
    acquire.as_mut().enroll();
    assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    gate.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert_eq!(granted(acquire), 1);
}

#[test]
fn dropping_an_enrolled_future_gives_up_its_place_or_its_permits() {
    let gate = Semaphore::new(1);
    let mut granted_one = Box::pin(gate.acquire());
    granted_one.as_mut().enroll();
    let mut queued = Box::pin(gate.acquire_many(2));
    queued.as_mut().enroll();
    let mut last = pin!(gate.acquire());
    last.as_mut().enroll();
    assert_eq!(gate.waiters(), 2);
    drop(queued);
    assert_eq!(gate.waiters(), 1);
    drop(granted_one);
    assert_eq!((gate.waiters(), granted(last)), (0, 1));
}

#[test]
fn enrolling_when_closed_tells_at_the_next_poll() {
    let gate = Semaphore::new(1);
    gate.close();
    let mut acquire = pin!(gate.acquire());
    acquire.as_mut().enroll();
    assert_eq!(gate.waiters(), 0);
    assert_eq!(ready(acquire).unwrap_err(), Closed);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn an_enrolled_future_keeps_its_grant_when_the_semaphore_closes() {
    let gate = Semaphore::new(1);
    let mut acquire = pin!(gate.acquire());
    acquire.as_mut().enroll();
    gate.close();
    assert_eq!(granted(acquire), 1);
}

#[test]
fn enrolling_respects_priority_and_barging() {
    let gate = Semaphore::new(1);
    let mut large = pin!(gate.acquire_many(2));
    large.as_mut().enroll();
    let mut barging = pin!(gate.acquire().barging());
    barging.as_mut().enroll();
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 1));
    let mut urgent = pin!(gate.acquire().priority(1));
    urgent.as_mut().enroll();
    gate.add_permits(1);
    assert_eq!((granted(urgent), granted(barging)), (1, 1));
    pending(large);
}

// === cancelling ===

#[test]
fn a_dropped_waiter_gives_up_its_place() {
    let gate = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..5).map(|_| Some(Box::pin(gate.acquire()))).collect();
    for acquire in waiting.iter_mut().flatten() {
        pending(acquire.as_mut());
    }
    for (left, place) in [(4, 2), (3, 0), (2, 4)] {
        waiting[place] = None;
        assert_eq!(gate.waiters(), left);
    }
    gate.add_permits(1);
    assert_eq!(granted(waiting[1].take().unwrap().as_mut()), 1);
    gate.add_permits(1);
    assert_eq!(granted(waiting[3].take().unwrap().as_mut()), 1);
    assert_eq!((gate.waiters(), gate.available_permits()), (0, 0));
}

#[test]
fn a_dropped_grant_goes_on_to_the_next() {
    let gate = Semaphore::new(0);
    let mut first = Box::pin(gate.acquire_many(2));
    pending(first.as_mut());
    let (wakes, waker) = Wakes::new();
    let mut others: Vec<_> = (0..3).map(|_| Box::pin(gate.acquire())).collect();
    for acquire in &mut others {
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    }
    gate.add_permits(2);
    assert_eq!(wakes.count(), 0);
    drop(first);
    assert_eq!((wakes.count(), gate.waiters(), gate.available_permits()), (2, 1, 0));
    assert_eq!((granted(others[0].as_mut()), granted(others[1].as_mut())), (1, 1));
    pending(others[2].as_mut());
}

#[test]
fn dropping_the_head_wakes_all_that_fit_now() {
    let gate = Semaphore::new(4);
    let mut head = Box::pin(gate.acquire_many(5));
    pending(head.as_mut());
    let mut waiting: Vec<_> = [2, 1, 2, 1].map(|n| (Box::pin(gate.acquire_many(n)), Wakes::new())).into();
    for (acquire, (_, waker)) in &mut waiting {
        assert!(poll_with(acquire.as_mut(), waker).is_pending());
    }
    drop(head);
    let woken: Vec<_> = waiting.iter().map(|(_, (wakes, _))| wakes.count()).collect();
    assert_eq!(woken, [1, 1, 0, 0]);
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 2));
}

#[test]
fn dropping_a_completed_future_changes_nothing() {
    let gate = Semaphore::new(1);
    let mut acquire = Box::pin(gate.acquire());
    let permit = ready(acquire.as_mut()).unwrap();
    drop(acquire);
    assert_eq!(gate.available_permits(), 0);
    drop(permit);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn dropping_a_future_that_was_told_of_the_close_changes_nothing() {
    let gate = Semaphore::new(2);
    let mut head = Box::pin(gate.acquire_many(3));
    let mut unpolled = Box::pin(gate.acquire());
    pending(head.as_mut());
    pending(unpolled.as_mut());
    gate.close();
    assert_eq!(ready(head.as_mut()).unwrap_err(), Closed);
    drop(head);
    drop(unpolled);
    assert_eq!((gate.available_permits(), gate.waiters()), (2, 0));
}

#[test]
fn a_leaked_permit_and_a_leaked_unpolled_future_are_safe() {
    let gate = Semaphore::new(2);
    std::mem::forget(gate.try_acquire().unwrap());
    std::mem::forget(gate.acquire());
    assert_eq!(gate.available_permits(), 1);
}

// === reset and fusing ===

#[test]
fn a_future_is_terminated_once_it_has_completed() {
    let gate = Semaphore::new(0);
    let mut acquire = pin!(gate.acquire());
    assert!(!acquire.is_terminated());
    pending(acquire.as_mut());
    assert!(!acquire.is_terminated());
    gate.add_permits(1);
    assert!(!acquire.is_terminated(), "granted, but nobody was told");
    assert_eq!(granted(acquire.as_mut()), 1);
    assert!(acquire.is_terminated());
    acquire.as_mut().reset(1);
    assert!(!acquire.is_terminated());
    gate.close();
    assert_eq!(ready(acquire.as_mut()).unwrap_err(), Closed);
    assert!(acquire.is_terminated());
}

#[test]
fn one_pinned_future_serves_any_number_of_rounds() {
    let gate = Semaphore::new(3);
    let mut acquire = pin!(gate.acquire());
    for round in 0..10 {
        let n = round % 4;
        acquire.as_mut().reset(n);
        let permit = ready(acquire.as_mut()).unwrap();
        assert_eq!((permit.permits(), gate.available_permits()), (n, 3 - n));
    }
}

#[test]
fn resetting_a_queued_future_gives_up_its_place_and_serves_those_behind() {
    let gate = Semaphore::new(1);
    let mut first = pin!(gate.acquire_many(2));
    pending(first.as_mut());
    let (wakes, waker) = Wakes::new();
    let mut second = pin!(gate.acquire());
    assert!(poll_with(second.as_mut(), &waker).is_pending());
    first.as_mut().reset(1);
    assert_eq!((wakes.count(), gate.waiters()), (1, 0));
    pending(first.as_mut());
    assert_eq!(granted(second), 1);
    gate.add_permits(1);
    assert_eq!(granted(first), 1);
}

#[test]
fn resetting_a_granted_future_gives_its_permits_back() {
    let gate = Semaphore::new(0);
    let mut acquire = pin!(gate.acquire_many(2));
    pending(acquire.as_mut());
    gate.add_permits(2);
    assert_eq!(gate.available_permits(), 0);
    acquire.as_mut().reset(1);
    assert_eq!(gate.available_permits(), 2);
    assert_eq!(granted(acquire), 1);
}

#[test]
fn resetting_keeps_the_priority_and_forgets_the_barging() {
    let gate = Semaphore::new(2);
    let mut again = pin!(gate.acquire().barging().priority(3));
    drop(ready(again.as_mut()).unwrap());
    let mut large = pin!(gate.acquire_many(3).priority(3));
    pending(large.as_mut());
    again.as_mut().reset(1);
    pending(again.as_mut());
    let mut usual = pin!(gate.acquire().priority(2));
    pending(usual.as_mut());
    gate.add_permits(2);
    assert_eq!((granted(large), granted(again)), (3, 1));
    pending(usual);
}

#[test]
fn resetting_a_range_makes_it_an_exact_request() {
    let gate = Semaphore::new(5);
    let mut acquire = pin!(gate.acquire_up_to(1..=4));
    drop(ready(acquire.as_mut()).unwrap());
    acquire.as_mut().reset(2);
    assert_eq!(granted(acquire), 2);
}

#[test]
fn resetting_beyond_the_maximum_panics_and_leaves_the_counts() {
    let gate = Semaphore::new(1);
    let mut waiting = pin!(gate.acquire_many(2));
    pending(waiting.as_mut());
    assert!(panic_of(|| waiting.as_mut().reset(MAX + 1)).contains("MAX_PERMITS"));
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 1), "it waits on as before");
    pending(waiting.as_mut());
    waiting.as_mut().reset(1);
    assert_eq!(granted(waiting), 1);
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 0));
}

#[test]
fn resetting_a_future_that_was_closed_finds_it_still_closed() {
    let gate = Semaphore::new(1);
    gate.close();
    let mut acquire = pin!(gate.acquire());
    assert_eq!(ready(acquire.as_mut()).unwrap_err(), Closed);
    acquire.as_mut().reset(1);
    assert_eq!(ready(acquire).unwrap_err(), Closed);
}

// === permits ===

#[test]
fn splitting_takes_a_part_and_both_give_back_their_own() {
    let gate = Semaphore::new(5);
    let mut four = gate.try_acquire_many(4).unwrap();
    let one = four.split(1).unwrap();
    assert_eq!((one.permits(), four.permits(), gate.available_permits()), (1, 3, 1));
    drop(four);
    assert_eq!(gate.available_permits(), 4);
    drop(one);
    assert_eq!(gate.available_permits(), 5);
}

#[test]
fn splitting_off_all_nothing_or_too_many() {
    let gate = Semaphore::new(3);
    let mut permit = gate.try_acquire_many(3).unwrap();
    assert!(permit.split(4).is_none());
    assert!(permit.split(usize::MAX).is_none());
    assert_eq!(permit.permits(), 3, "a refusal leaves all here");
    assert_eq!(permit.split(0).unwrap().permits(), 0);
    let all = permit.split(3).unwrap();
    assert_eq!((permit.permits(), all.permits()), (0, 3));
    drop(permit);
    assert_eq!(gate.available_permits(), 0);
    drop(all);
    assert_eq!(gate.available_permits(), 3);
}

#[test]
fn splitting_serves_a_waiter_with_the_part() {
    let gate = Semaphore::new(2);
    let mut both = gate.try_acquire_many(2).unwrap();
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    drop(both.split(1));
    assert_eq!(granted(waiting), 1);
    assert_eq!(both.permits(), 1);
}

#[test]
fn merging_adds_up_and_gives_back_together() {
    let gate = Semaphore::new(5);
    let mut two = gate.try_acquire_many(2).unwrap();
    two.merge(gate.try_acquire_many(3).unwrap());
    assert_eq!((two.permits(), gate.available_permits()), (5, 0));
    drop(two);
    assert_eq!(gate.available_permits(), 5);
}

#[test]
fn merging_a_foreign_permit_panics_and_both_give_back() {
    let ours = Semaphore::new(2);
    let theirs = Semaphore::new(3);
    let mut one = ours.try_acquire().unwrap();
    let three = theirs.try_acquire_many(3).unwrap();
    let message = panic_of(move || one.merge(three));
    assert!(message.contains("merge"), "{message}");
    assert_eq!((ours.available_permits(), theirs.available_permits()), (2, 3));
}

#[test]
fn a_permit_that_survives_a_foreign_merge_gives_back_once() {
    let ours = Semaphore::new(2);
    let theirs = Semaphore::new(3);
    let mut one = ours.try_acquire().unwrap();
    panic_of(|| one.merge(theirs.try_acquire_many(3).unwrap()));
    assert_eq!(theirs.available_permits(), 3);
    drop(one);
    assert_eq!(ours.available_permits(), 2);
}

#[test]
fn a_permit_names_its_semaphore() {
    let gate = Semaphore::new(1);
    let permit = gate.try_acquire().unwrap();
    let named: &Semaphore = permit.semaphore();
    drop(permit);
    assert!(std::ptr::eq(named, &raw const gate), "the reference outlives the permit");
}

#[test]
fn a_forgotten_permit_does_not_come_back() {
    let gate = Semaphore::new(3);
    gate.try_acquire_many(2).unwrap().forget();
    assert_eq!(gate.available_permits(), 1);
    gate.add_permits(MAX - 1);
    assert_eq!(gate.available_permits(), MAX, "those that were forgotten do not count any more");
}

#[test]
fn a_forgotten_permit_counts_against_the_limit() {
    let gate = Semaphore::new(3);
    gate.try_acquire_many(2).unwrap().forget();
    gate.set_limit(3);
    assert_eq!(gate.available_permits(), 3, "the limit makes three exist again");
}

#[test]
fn a_permit_lent_by_acquire_and_one_by_try_acquire_are_alike() {
    let gate = Semaphore::new(2);
    let mut permit = ready(pin!(gate.acquire())).unwrap();
    permit.merge(gate.try_acquire().unwrap());
    assert_eq!(permit.permits(), 2);
}

// === resizing ===

#[test]
fn added_permits_serve_those_who_wait_before_they_are_free() {
    let gate = Semaphore::new(0);
    let mut two = pin!(gate.acquire_many(2));
    pending(two.as_mut());
    gate.add_permits(5);
    assert_eq!(gate.available_permits(), 3);
    assert_eq!(granted(two), 2);
}

#[test]
fn forgetting_takes_only_what_is_free_and_says_how_many() {
    let gate = Semaphore::new(5);
    let lent = gate.try_acquire_many(2).unwrap();
    assert_eq!(gate.forget_permits(1), 1);
    assert_eq!(gate.available_permits(), 2);
    assert_eq!(gate.forget_permits(9), 2);
    assert_eq!(gate.forget_permits(9), 0);
    drop(lent);
    assert_eq!(gate.available_permits(), 2);
    assert_eq!(gate.forget_permits(usize::MAX), 2, "all there are");
    assert_eq!(gate.available_permits(), 0);
}

#[test]
fn forgetting_in_debt_takes_nothing() {
    let gate = Semaphore::new(1);
    let lent = gate.try_acquire().unwrap();
    gate.reduce_permits(3);
    assert_eq!(gate.forget_permits(5), 0);
    drop(lent);
    gate.add_permits(3);
    assert_eq!(gate.available_permits(), 1, "the debt was two after the release");
}

#[test]
fn forgetting_takes_what_a_large_waiter_could_not_use_yet() {
    let gate = Semaphore::new(2);
    let mut large = pin!(gate.acquire_many(3));
    pending(large.as_mut());
    assert_eq!(gate.forget_permits(9), 2);
    gate.add_permits(2);
    pending(large.as_mut());
    gate.add_permits(1);
    assert_eq!(granted(large), 3);
}

#[test]
fn reducing_takes_exactly_so_many_and_releases_pay_the_debt_first() {
    let gate = Semaphore::new(3);
    let lent = gate.try_acquire_many(3).unwrap();
    let mut lent = lent;
    let one = lent.split(1).unwrap();
    let two = lent.split(1).unwrap();
    gate.reduce_permits(2);
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    drop(one);
    pending(waiting.as_mut());
    assert_eq!(gate.available_permits(), 0);
    drop(two);
    pending(waiting.as_mut());
    drop(lent);
    assert_eq!(granted(waiting), 1);
    assert_eq!(gate.available_permits(), 0);
}

#[test]
fn reducing_uses_free_permits_first() {
    let gate = Semaphore::new(5);
    let lent = gate.try_acquire_many(2).unwrap();
    gate.reduce_permits(4);
    assert_eq!(gate.available_permits(), 0);
    drop(lent);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn a_debt_is_paid_by_added_permits_too() {
    let gate = Semaphore::new(0);
    gate.reduce_permits(3);
    gate.add_permits(2);
    assert_eq!((gate.available_permits(), gate.try_acquire().unwrap_err()), (0, TryAcquireError::NoPermits));
    gate.add_permits(2);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn a_forgotten_permit_does_not_pay_a_debt() {
    let gate = Semaphore::new(2);
    let mut both = gate.try_acquire_many(2).unwrap();
    gate.reduce_permits(1);
    both.split(1).unwrap().forget();
    drop(both);
    assert_eq!(gate.available_permits(), 0, "two existed, one was taken away and one was forgotten");
    gate.add_permits(1);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn a_debt_beyond_the_maximum_panics_and_leaves_the_count() {
    let gate = Semaphore::new(0);
    gate.reduce_permits(MAX);
    assert!(panic_of(|| gate.reduce_permits(1)).contains("MAX_PERMITS"));
    gate.add_permits(MAX);
    assert_eq!(gate.available_permits(), 0);
    gate.add_permits(1);
    assert_eq!(gate.available_permits(), 1);
}

#[test]
fn the_largest_debt_on_top_of_the_largest_loan_is_paid_back_exactly() {
    let gate = Semaphore::new(MAX);
    let lent = gate.try_acquire_many(MAX).unwrap();
    gate.reduce_permits(MAX);
    assert_eq!(gate.available_permits(), 0);
    drop(lent);
    assert_eq!(gate.available_permits(), 0);
    gate.add_permits(MAX);
    assert_eq!(gate.available_permits(), MAX);
}

#[test]
fn a_limit_grows_and_serves_whoever_waits() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(gate.acquire())).collect();
    for acquire in &mut waiting {
        pending(acquire.as_mut());
    }
    gate.set_limit(3);
    assert_eq!((gate.waiters(), gate.available_permits()), (2, 0));
    gate.set_limit(10);
    assert_eq!((gate.waiters(), gate.available_permits()), (0, 5));
    drop((held, waiting));
    assert_eq!(gate.available_permits(), 10);
}

#[test]
fn a_limit_shrinks_below_what_is_lent_and_holds_from_then_on() {
    let gate = Semaphore::new(8);
    let mut lent: Vec<_> = (0..6).map(|_| gate.try_acquire().unwrap()).collect();
    gate.set_limit(2);
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    while lent.len() > 2 {
        lent.pop();
        pending(waiting.as_mut());
        assert_eq!(gate.available_permits(), 0);
    }
    lent.pop();
    let permit = ready(waiting).unwrap();
    drop((permit, lent));
    assert_eq!(gate.available_permits(), 2);
}

#[test]
fn a_limit_of_zero_stops_everything_until_it_grows() {
    let gate = Semaphore::new(2);
    let lent = gate.try_acquire_many(2).unwrap();
    gate.set_limit(0);
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    drop(lent);
    pending(waiting.as_mut());
    gate.set_limit(1);
    assert_eq!(granted(waiting), 1);
}

#[test]
fn a_limit_may_be_set_up_and_down_in_one_breath() {
    let gate = Semaphore::new(3);
    let lent = gate.try_acquire_many(3).unwrap();
    for n in [0, 5, 1, MAX, 0, 3, 2, 4] {
        gate.set_limit(n);
        assert_eq!(gate.available_permits(), n.saturating_sub(3));
    }
    drop(lent);
    assert_eq!(gate.available_permits(), 4);
}

#[test]
fn setting_the_limit_that_holds_changes_nothing() {
    let gate = Semaphore::new(3);
    let lent = gate.try_acquire_many(2).unwrap();
    gate.set_limit(3);
    assert_eq!(gate.available_permits(), 1);
    drop(lent);
    assert_eq!(gate.available_permits(), 3);
}

#[test]
fn a_limit_forgives_what_was_reduced_forgotten_and_added_before() {
    let gate = Semaphore::new(3);
    gate.reduce_permits(7);
    gate.set_limit(2);
    assert_eq!(gate.available_permits(), 2);
    gate.add_permits(5);
    gate.set_limit(1);
    assert_eq!(gate.available_permits(), 1);
    assert_eq!(gate.forget_permits(1), 1);
    gate.set_limit(4);
    assert_eq!(gate.available_permits(), 4);
}

#[test]
fn setting_a_limit_beyond_the_maximum_leaves_the_old_one() {
    let gate = Semaphore::new(3);
    panic_of(|| gate.set_limit(MAX + 1));
    panic_of(|| gate.set_limit(usize::MAX));
    assert_eq!(gate.available_permits(), 3);
    gate.set_limit(MAX);
    assert_eq!(gate.available_permits(), MAX);
}

// === closing ===

#[test]
fn closing_wakes_every_waiter_with_closed() {
    let gate = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..40).map(|_| (Box::pin(gate.acquire()), Wakes::new())).collect();
    for (acquire, (_, waker)) in &mut waiting {
        assert!(poll_with(acquire.as_mut(), waker).is_pending());
    }
    gate.close();
    assert!(gate.is_closed());
    assert_eq!(gate.waiters(), 0);
    for (acquire, (wakes, _)) in &mut waiting {
        assert_eq!(wakes.count(), 1);
        assert_eq!(ready(acquire.as_mut()).unwrap_err(), Closed);
    }
}

#[test]
fn a_closed_semaphore_refuses_everybody() {
    let gate = Semaphore::new(5);
    let mut unpolled = pin!(gate.acquire());
    gate.close();
    assert_eq!(ready(unpolled.as_mut()).unwrap_err(), Closed);
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(gate.try_acquire_many(9).unwrap_err(), TryAcquireError::Closed, "closed comes before too few");
    assert_eq!(gate.try_acquire_up_to(1..=9).unwrap_err(), TryAcquireError::Closed);
    assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::Closed);
    for mut acquire in [gate.acquire(), gate.acquire_many(9), gate.acquire_up_to(0..=9), gate.acquire().priority(9)] {
        // SAFETY: the future is not moved until it is dropped, at the end of this round.
        let acquire = unsafe { Pin::new_unchecked(&mut acquire) };
        assert_eq!(ready(acquire).unwrap_err(), Closed);
    }
    assert_eq!(gate.waiters(), 0);
}

#[test]
fn permits_that_were_granted_stay_valid_when_the_semaphore_closes() {
    let gate = Semaphore::new(3);
    let mut lent = gate.try_acquire_many(2).unwrap();
    let mut told = pin!(gate.acquire_many(2));
    pending(told.as_mut());
    gate.add_permits(1);
    gate.close();
    assert_eq!(ready(told).expect("granted before the close").permits(), 2);
    let one = lent.split(1).unwrap();
    lent.merge(one);
    assert_eq!((lent.permits(), lent.semaphore().is_closed()), (2, true));
    drop(lent);
    assert_eq!(gate.available_permits(), 4, "the count goes on");
}

#[test]
fn closing_twice_and_with_nobody_there_is_fine() {
    let gate = Semaphore::new(0);
    gate.close();
    gate.close();
    assert!(gate.is_closed());
}

#[test]
fn nothing_reopens_a_closed_semaphore() {
    let gate = Semaphore::new(5);
    let lent = gate.try_acquire_many(2).unwrap();
    gate.close();
    gate.add_permits(3);
    gate.set_limit(0);
    gate.set_limit(9);
    gate.reduce_permits(4);
    gate.forget_permits(1);
    drop(lent);
    assert!(gate.is_closed());
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

#[test]
fn an_acquire_on_a_closed_semaphore_can_be_dropped_unpolled() {
    let gate = Semaphore::new(1);
    let acquire = gate.acquire();
    gate.close();
    drop(acquire);
    assert_eq!(gate.available_permits(), 1);
}

// === what is looked at ===

#[test]
fn waiters_counts_the_queued_and_neither_the_granted_nor_the_unpolled() {
    let gate = Semaphore::new(1);
    let mut served = pin!(gate.acquire());
    served.as_mut().enroll();
    let mut queued = pin!(gate.acquire());
    pending(queued.as_mut());
    let _unpolled = gate.acquire();
    assert_eq!(gate.waiters(), 1);
}

#[test]
fn debug_never_blocks_and_takes_no_lock() {
    let gate = Semaphore::<WatchedLock>::with_lock(1);
    let unpolled = gate.acquire();
    let permit = gate.try_acquire().unwrap();
    let mut waiting = pin!(gate.acquire());
    pending(waiting.as_mut());
    without_lock(|| {
        for text in [
            format!("{gate:?}"),
            format!("{permit:?}"),
            format!("{unpolled:?}"),
            format!("{waiting:?}"),
            format!("{gate:#?}"),
        ] {
            assert!(!text.is_empty());
        }
    });
    let shown = format!("{gate:?} {permit:?}");
    assert!(shown.contains("Semaphore") && shown.contains("Permit"), "{shown}");
    let local = Semaphore::<LocalLock>::with_lock(1);
    assert!(format!("{local:?} {:?} {:?}", local.acquire(), local.try_acquire()).contains("Acquire"));
}

#[test]
fn errors_tell_what_is_wrong_and_convert() {
    fn is_error<E: std::error::Error + Copy + Eq + Send + Sync + 'static>(error: E) -> String {
        format!("{error} {error:?}")
    }
    assert!(is_error(Closed).contains("closed"));
    assert!(is_error(TryAcquireError::Closed).contains("closed"));
    assert!(is_error(TryAcquireError::NoPermits).contains("NoPermits"));
    assert_eq!(TryAcquireError::from(Closed), TryAcquireError::Closed);
    assert_ne!(TryAcquireError::NoPermits, TryAcquireError::Closed);
}

#[test]
fn with_nobody_waiting_no_lock_is_taken() {
    let gate = Semaphore::<WatchedLock>::with_lock(4);
    without_lock(|| {
        drop(gate.try_acquire().unwrap());
        drop(gate.try_acquire_many(4).unwrap());
        drop(gate.try_acquire_up_to(1..=9).unwrap());
        drop(gate.try_acquire_barging().unwrap());
        drop(ready(pin!(gate.acquire())).unwrap());
        drop(ready(pin!(gate.acquire_many(2).barging())).unwrap());
        assert!(gate.try_acquire_many(5).is_err());
        let mut two = gate.try_acquire_many(2).unwrap();
        let one = two.split(1).unwrap();
        two.merge(one);
        assert_eq!((gate.available_permits(), gate.is_closed()), (2, false));
    });
    assert_eq!(gate.available_permits(), 4);
}

#[test]
fn a_granted_waiter_is_polled_or_dropped_without_the_lock() {
    let gate = Semaphore::<WatchedLock>::with_lock(0);
    let mut polled = pin!(gate.acquire());
    let mut dropped = Box::pin(gate.acquire());
    pending(polled.as_mut());
    pending(dropped.as_mut());
    gate.add_permits(2);
    without_lock(|| {
        assert_eq!(ready(polled).unwrap().permits(), 1);
        drop(dropped);
    });
    assert_eq!(gate.available_permits(), 2);
}

#[test]
fn a_waiter_that_polls_again_with_the_same_waker_takes_no_lock() {
    let gate = Semaphore::<WatchedLock>::with_lock(0);
    let (_, waker) = Wakes::new();
    let mut waiting = pin!(gate.acquire());
    assert_eq!(taken_by(|| assert!(poll_with(waiting.as_mut(), &waker).is_pending())), 1);
    without_lock(|| assert!(poll_with(waiting.as_mut(), &waker).is_pending()));
}

#[test]
fn no_lock_is_taken_recursively_by_any_operation() {
    let gate = Semaphore::<WatchedLock>::with_lock(2);
    let held = gate.try_acquire_many(2).unwrap();
    let mut waiting: Vec<_> = (0..30).map(|i| Box::pin(gate.acquire_many(i % 3 + 1).priority((i % 4) as u8))).collect();
    for acquire in &mut waiting {
        pending(acquire.as_mut());
    }
    drop(held);
    gate.set_limit(40);
    gate.reduce_permits(10);
    gate.add_permits(3);
    assert!(gate.forget_permits(100) < 3);
    waiting.truncate(15);
    waiting.reverse();
    waiting.truncate(10);
    gate.close();
    drop(waiting);
    assert!(gate.is_closed());
}

// === one thread ===

#[test]
fn a_semaphore_for_one_thread_behaves_the_same() {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let held = gate.try_acquire().unwrap();
    let (wakes, waker) = Wakes::new();
    let mut first = Box::pin(gate.acquire_many(2));
    let mut second = pin!(gate.acquire());
    assert!(poll_with(first.as_mut(), &waker).is_pending());
    assert!(poll_with(second.as_mut(), &waker).is_pending());
    drop(held);
    assert_eq!((wakes.count(), gate.available_permits(), gate.waiters()), (0, 1, 2));
    drop(first);
    assert_eq!(wakes.count(), 1);
    assert_eq!(ready(second).unwrap().permits(), 1);
    gate.reduce_permits(2);
    gate.set_limit(1);
    gate.close();
    assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::Closed);
}

// === blocking ===

#[cfg(feature = "std")]
mod blocking {
    use super::*;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn a_free_permit_is_had_without_blocking() {
        let gate = Semaphore::new(3);
        assert_eq!(gate.acquire_blocking().unwrap().permits(), 1);
        assert_eq!(gate.acquire_many_blocking(3).unwrap().permits(), 3);
        assert_eq!(gate.acquire_many_blocking(0).unwrap().permits(), 0);
        gate.close();
        assert_eq!(gate.acquire_blocking().unwrap_err(), Closed);
        assert_eq!(gate.acquire_many_blocking(0).unwrap_err(), Closed);
    }

    #[test]
    fn a_thread_blocks_until_its_permits_come() {
        in_time("blocking", || {
            static GATE: Semaphore = Semaphore::new(0);
            let thread = thread::spawn(|| GATE.acquire_many_blocking(2).map(|permit| permit.permits()));
            while GATE.waiters() == 0 {
                thread::yield_now();
            }
            GATE.add_permits(1);
            thread::sleep(Duration::from_millis(10));
            assert!(!thread.is_finished());
            GATE.add_permits(1);
            assert_eq!(thread.join().unwrap(), Ok(2));
            assert_eq!(GATE.available_permits(), 2);
        });
    }

    #[test]
    fn a_blocked_thread_is_told_of_the_close() {
        in_time("blocking", || {
            static GATE: Semaphore = Semaphore::new(0);
            let thread = thread::spawn(|| GATE.acquire_blocking().map(|permit| permit.permits()));
            while GATE.waiters() == 0 {
                thread::yield_now();
            }
            GATE.close();
            assert_eq!(thread.join().unwrap(), Err(Closed));
        });
    }

    #[test]
    fn stray_unparks_do_not_let_a_blocked_thread_through() {
        in_time("blocking", || {
            static GATE: Semaphore = Semaphore::new(0);
            let thread = thread::spawn(|| {
                thread::current().unpark();
                GATE.acquire_blocking().map(|permit| permit.permits())
            });
            while GATE.waiters() == 0 {
                thread::yield_now();
            }
            for _ in 0..100 {
                thread.thread().unpark();
            }
            assert!(!thread.is_finished());
            GATE.add_permits(1);
            assert_eq!(thread.join().unwrap(), Ok(1));
        });
    }

    #[test]
    fn blocking_threads_and_polled_tasks_share_one_queue() {
        in_time("blocking", || {
            static GATE: Semaphore = Semaphore::new(0);
            let mut first = pin!(GATE.acquire());
            pending(first.as_mut());
            let second = thread::spawn(|| GATE.acquire_blocking().map(|permit| permit.permits()));
            while GATE.waiters() < 2 {
                thread::yield_now();
            }
            let mut third = pin!(GATE.acquire());
            pending(third.as_mut());
            GATE.add_permits(1);
            assert_eq!(granted(first), 1);
            GATE.add_permits(1);
            // The thread gives its permit back, and the third gets it.
            assert_eq!(second.join().unwrap(), Ok(1));
            assert_eq!(granted(third), 1);
        });
    }

    #[test]
    fn blocking_inside_an_executors_thread_leaves_its_waker_alone() {
        in_time("blocking", || {
            let gate = Semaphore::new(1);
            futures_lite::future::block_on(async {
                let one = gate.acquire().await.unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| {
                        thread::sleep(Duration::from_millis(5));
                        drop(one);
                    });
                    assert!(gate.acquire_blocking().is_ok());
                });
                assert!(gate.acquire().await.is_ok());
            });
        });
    }
}

// === owned ===

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned {
    use super::*;
    use std::sync::Arc;
    use tollgate::{AcquireOwned, OwnedPermit};

    fn granted_owned(future: Pin<&mut AcquireOwned>) -> usize {
        let permit = ready(future).expect("open");
        let permits = permit.permits();
        permit.forget();
        permits
    }

    #[test]
    fn sizes_are_as_those_of_the_borrowed_forms() {
        if cfg!(all(target_pointer_width = "64", feature = "std")) {
            assert!(size_of::<AcquireOwned>() <= 64, "{}", size_of::<AcquireOwned>());
            assert!(size_of::<OwnedPermit>() <= 16, "{}", size_of::<OwnedPermit>());
        }
    }

    #[test]
    fn every_form_takes_and_gives_back() {
        let gate = Arc::new(Semaphore::new(5));
        assert_eq!(gate.clone().try_acquire_owned().unwrap().permits(), 1);
        assert_eq!(gate.clone().try_acquire_many_owned(3).unwrap().permits(), 3);
        assert_eq!(gate.clone().try_acquire_up_to_owned(2..=9).unwrap().permits(), 5);
        assert_eq!(ready(pin!(gate.clone().acquire_owned())).unwrap().permits(), 1);
        assert_eq!(ready(pin!(gate.clone().acquire_many_owned(4))).unwrap().permits(), 4);
        assert_eq!(ready(pin!(gate.clone().acquire_up_to_owned(0..=usize::MAX))).unwrap().permits(), 5);
        assert_eq!(gate.clone().try_acquire_many_owned(6).unwrap_err(), TryAcquireError::NoPermits);
        assert_eq!(gate.clone().try_acquire_many_owned(0).unwrap().permits(), 0);
        assert_eq!(gate.available_permits(), 5);
        assert_eq!(Arc::strong_count(&gate), 1);
    }

    #[test]
    fn a_permit_keeps_its_semaphore_alive_and_may_leave_its_thread() {
        let gate = Arc::new(Semaphore::new(1));
        let weak = Arc::downgrade(&gate);
        let permit = gate.try_acquire_owned().unwrap();
        assert!(weak.upgrade().is_some());
        std::thread::spawn(move || drop(permit)).join().unwrap();
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn a_future_keeps_its_semaphore_alive_whatever_becomes_of_it() {
        let gate = Arc::new(Semaphore::new(0));
        let weak = Arc::downgrade(&gate);
        let unpolled = gate.clone().acquire_owned();
        let mut waiting = Box::pin(gate.clone().acquire_owned());
        let mut granted = Box::pin(gate.clone().acquire_owned());
        granted.as_mut().enroll();
        pending(waiting.as_mut());
        gate.add_permits(1);
        drop(gate);
        drop(unpolled);
        drop(granted);
        let permit = ready(waiting.as_mut()).unwrap();
        drop(waiting);
        permit.semaphore().close();
        assert!(weak.upgrade().is_some());
        drop(permit);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn a_completed_future_no_longer_keeps_the_semaphore() {
        let gate = Arc::new(Semaphore::new(1));
        let mut acquire = pin!(gate.clone().acquire_owned());
        let permit = ready(acquire.as_mut()).unwrap();
        assert_eq!(Arc::strong_count(&gate), 2, "the count has moved on into the permit");
        drop(permit);
        assert_eq!(Arc::strong_count(&gate), 1);
    }

    #[test]
    fn the_last_handle_may_be_a_queued_future() {
        let gate = Arc::new(Semaphore::new(0));
        let weak = Arc::downgrade(&gate);
        let mut waiting = Box::pin(gate.clone().acquire_owned());
        pending(waiting.as_mut());
        drop(gate);
        pending(waiting.as_mut());
        drop(waiting);
        assert!(weak.upgrade().is_none());
    }

    #[test]
    fn borrowed_and_owned_forms_share_one_queue() {
        let gate = Arc::new(Semaphore::new(0));
        let mut first = Box::pin(gate.clone().acquire_owned());
        let mut second = pin!(gate.acquire());
        let mut third = Box::pin(gate.clone().acquire_owned());
        pending(first.as_mut());
        pending(second.as_mut());
        pending(third.as_mut());
        gate.add_permits(2);
        assert_eq!((granted_owned(first.as_mut()), granted(second)), (1, 1));
        pending(third.as_mut());
        gate.close();
        assert_eq!(ready(third.as_mut()).unwrap_err(), Closed);
    }

    #[test]
    fn barging_priority_enroll_and_reset_work_alike() {
        let gate = Arc::new(Semaphore::new(1));
        let mut large = Box::pin(gate.clone().acquire_many_owned(2));
        large.as_mut().enroll();
        large.as_mut().enroll();
        assert_eq!(gate.waiters(), 1);
        let barged = ready(pin!(gate.clone().acquire_owned().barging())).unwrap();
        let mut urgent = pin!(gate.clone().acquire_owned().priority(1));
        pending(urgent.as_mut());
        drop(barged);
        assert_eq!(granted_owned(urgent.as_mut()), 1);
        assert!(urgent.is_terminated());
        urgent.as_mut().reset(gate.clone(), 3);
        assert!(!urgent.is_terminated());
        pending(urgent.as_mut());
        gate.add_permits(2);
        pending(large.as_mut());
        gate.add_permits(1);
        assert_eq!(granted_owned(urgent), 3, "priority stays");
    }

    #[test]
    fn resetting_moves_a_queued_future_to_another_semaphore() {
        let ours = Arc::new(Semaphore::new(0));
        let theirs = Arc::new(Semaphore::new(1));
        let mut acquire = pin!(ours.clone().acquire_owned());
        pending(acquire.as_mut());
        acquire.as_mut().reset(theirs.clone(), 1);
        assert_eq!((ours.waiters(), Arc::strong_count(&ours)), (0, 1));
        let permit = ready(acquire).unwrap();
        assert!(Arc::ptr_eq(permit.semaphore(), &theirs));
        assert_eq!(theirs.available_permits(), 0);
    }

    #[test]
    fn resetting_a_granted_future_gives_its_permits_back_to_the_old_semaphore() {
        let ours = Arc::new(Semaphore::new(0));
        let theirs = Arc::new(Semaphore::new(1));
        let mut acquire = pin!(ours.clone().acquire_owned());
        pending(acquire.as_mut());
        ours.add_permits(1);
        acquire.as_mut().reset(theirs, 1);
        assert_eq!(ours.available_permits(), 1);
        assert!(ready(acquire).is_ok());
    }

    #[test]
    fn resetting_beyond_the_maximum_panics_and_leaves_the_counts() {
        let gate = Arc::new(Semaphore::new(1));
        let mut waiting = pin!(gate.clone().acquire_many_owned(2));
        pending(waiting.as_mut());
        assert!(panic_of(|| waiting.as_mut().reset(gate.clone(), MAX + 1)).contains("MAX_PERMITS"));
        assert_eq!(gate.available_permits(), 1);
        waiting.as_mut().reset(gate.clone(), 1);
        assert_eq!(granted_owned(waiting), 1);
    }

    #[test]
    fn splitting_merging_and_forgetting_work_alike() {
        let gate = Arc::new(Semaphore::new(5));
        let mut four = gate.clone().try_acquire_many_owned(4).unwrap();
        assert!(four.split(5).is_none());
        assert_eq!(four.split(0).unwrap().permits(), 0);
        let one = four.split(1).unwrap();
        assert_eq!(Arc::strong_count(&gate), 3);
        four.merge(gate.clone().try_acquire_owned().unwrap());
        assert_eq!((one.permits(), four.permits(), gate.available_permits()), (1, 4, 0));
        drop(one);
        four.forget();
        assert_eq!((gate.available_permits(), Arc::strong_count(&gate)), (1, 1));
    }

    #[test]
    fn merging_a_foreign_permit_panics_and_both_give_back() {
        let ours = Arc::new(Semaphore::new(2));
        let theirs = Arc::new(Semaphore::new(3));
        let mut one = ours.clone().try_acquire_owned().unwrap();
        let three = theirs.clone().try_acquire_many_owned(3).unwrap();
        assert!(panic_of(move || one.merge(three)).contains("merge"));
        assert_eq!((ours.available_permits(), theirs.available_permits()), (2, 3));
        assert_eq!((Arc::strong_count(&ours), Arc::strong_count(&theirs)), (1, 1));
    }

    #[test]
    fn misuse_gives_the_handle_back() {
        let gate = Arc::new(Semaphore::new(2));
        let handle = gate.clone();
        assert!(panic_of(move || handle.acquire_many_owned(MAX + 1)).contains("MAX_PERMITS"));
        let handle = gate.clone();
        assert!(panic_of(move || handle.try_acquire_many_owned(MAX + 1).is_ok()).contains("MAX_PERMITS"));
        assert_eq!((gate.available_permits(), Arc::strong_count(&gate)), (2, 1));
    }

    #[test]
    fn a_closed_semaphore_refuses_owned_requests() {
        let gate = Arc::new(Semaphore::new(2));
        gate.close();
        assert_eq!(gate.clone().try_acquire_owned().unwrap_err(), TryAcquireError::Closed);
        assert_eq!(gate.clone().try_acquire_up_to_owned(0..=1).unwrap_err(), TryAcquireError::Closed);
        assert_eq!(ready(pin!(gate.clone().acquire_many_owned(0))).unwrap_err(), Closed);
        assert_eq!(Arc::strong_count(&gate), 1);
    }

    #[test]
    fn polling_after_completion_panics() {
        let gate = Arc::new(Semaphore::new(2));
        let mut acquire = pin!(gate.clone().acquire_owned());
        drop(ready(acquire.as_mut()).unwrap());
        panic_of(|| poll(acquire.as_mut()).is_ready());
        assert_eq!(gate.available_permits(), 2);
    }

    #[test]
    fn debug_takes_no_lock() {
        let gate = Arc::new(Semaphore::<WatchedLock>::with_lock(1));
        let mut acquire = pin!(gate.clone().acquire_owned());
        let permit = gate.clone().try_acquire_owned().unwrap();
        pending(acquire.as_mut());
        without_lock(|| {
            let shown = format!("{acquire:?} {permit:?}");
            assert!(shown.contains("AcquireOwned") && shown.contains("OwnedPermit"), "{shown}");
        });
        drop(permit);
        drop(ready(acquire.as_mut()));
        assert!(!format!("{acquire:?}").is_empty(), "also when it has completed");
    }
}

#[test]
fn a_future_compiles_in_generic_code_over_any_lock() {
    fn count<L: RawLock>(gate: &Semaphore<L>) -> usize {
        fn is_future<'a, L: RawLock + 'a>(
            future: impl Future<Output = Result<Permit<'a, L>, Closed>>,
        ) -> impl Future<Output = Result<Permit<'a, L>, Closed>> {
            future
        }
        let mut future = pin!(is_future(gate.acquire_many(2)));
        match poll_with(future.as_mut(), Waker::noop()) {
            Poll::Ready(Ok(permit)) => permit.permits(),
            _ => 0,
        }
    }
    assert_eq!(count(&Semaphore::new(2)), 2);
    assert_eq!(count(&Semaphore::<LocalLock>::with_lock(2)), 2);
    assert_eq!(count(&Semaphore::<WatchedLock>::with_lock(2)), 2);
}
