//! Bugs that other semaphores had or have, one test each.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread;

use support::count_allocations::{Counting, allocations_of};
use support::hooked::Hooked;
use support::watched_lock::{WatchedLock, is_held};
use support::{Wakes, forever, in_time, panic_of, pending, poll, poll_with, ready};
use tollgate::{Acquire, Closed, RawLock, Semaphore, TryAcquireError};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MAX: usize = <Semaphore>::MAX_PERMITS;

type Waiting<'a, L> = (Pin<Box<Acquire<'a, L>>>, Arc<Wakes>);

type Slots = Rc<RefCell<Vec<Option<Pin<Box<Acquire<'static>>>>>>>;

type Change = (&'static str, fn(&Semaphore));

/// Queues an acquire of `n`, with a waker that counts.
#[track_caller]
fn queued<L: RawLock>(gate: &Semaphore<L>, n: usize) -> Waiting<'_, L> {
    let (wakes, waker) = Wakes::new();
    let mut acquire = Box::pin(gate.acquire_many(n));
    assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    (acquire, wakes)
}

/// async-lock#18: the second notice went to the waiter that had been woken already.
#[test]
fn b01_two_releases_before_the_woken_task_runs_wake_two_waiters() {
    let gate = Semaphore::new(2);
    let (one, two) = (gate.try_acquire().unwrap(), gate.try_acquire().unwrap());
    let (mut first, first_wakes) = queued(&gate, 1);
    let (mut second, second_wakes) = queued(&gate, 1);
    drop(one);
    drop(two);
    assert_eq!((first_wakes.count(), second_wakes.count()), (1, 1));
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 0), "no free permit beside a sleeping waiter");
    ready(second.as_mut()).unwrap().forget();
    ready(first.as_mut()).unwrap().forget();

    let (_third, third_wakes) = queued(&gate, 2);
    let (_fourth, fourth_wakes) = queued(&gate, 2);
    gate.add_permits(2);
    gate.add_permits(2);
    assert_eq!((third_wakes.count(), fourth_wakes.count()), (1, 1));
}

/// golang/sync#10, embassy#6964, futures-intrusive#61, shuttle#167: those behind a cancelled head slept on.
#[test]
fn b02_cancelling_a_head_that_did_not_fit_wakes_those_behind_that_do() {
    let gate = Semaphore::new(1);
    let (head, _) = queued(&gate, 3);
    let (mut small, wakes) = queued(&gate, 1);
    drop(head);
    assert_eq!(wakes.count(), 1);
    assert!(ready(small.as_mut()).is_ok());
}

/// The same when the head waited by priority, was a range, or was reset instead of dropped.
#[test]
fn b02_every_way_for_a_head_to_leave_wakes_those_behind() {
    for way in ["priority", "range", "reset", "enrolled"] {
        let gate = Semaphore::new(2);
        let mut head = Box::pin(match way {
            "priority" => gate.acquire_many(3).priority(200),
            "range" => gate.acquire_up_to(3..=9),
            _ => gate.acquire_many(3),
        });
        head.as_mut().enroll();
        let (mut small, first_wakes) = queued(&gate, 1);
        let (_other, second_wakes) = queued(&gate, 1);
        match way {
            "reset" => head.as_mut().reset(1),
            _ => drop(head),
        }
        assert_eq!((first_wakes.count(), second_wakes.count()), (1, 1), "{way}");
        assert!(ready(small.as_mut()).is_ok());
    }
}

/// moonbitlang/async#160, asyncio#270: the permit of a waiter that was woken and then cancelled was lost.
#[test]
fn b03_a_granted_waiter_that_is_dropped_unpolled_passes_its_permits_on() {
    let gate = Semaphore::new(0);
    let (first, _) = queued(&gate, 1);
    let (second, second_wakes) = queued(&gate, 1);
    let (third, third_wakes) = queued(&gate, 1);
    gate.add_permits(1);
    drop(first);
    assert_eq!(second_wakes.count(), 1);
    drop(second);
    assert_eq!(third_wakes.count(), 1);
    drop(third);
    assert_eq!(gate.available_permits(), 1, "nobody is left: it is free");
}

#[test]
fn b03_all_granted_at_once_and_dropped_in_any_order_lose_nothing() {
    for turn in 0..3 {
        let gate = Semaphore::new(0);
        let mut granted: Vec<_> = [2, 3, 4].map(|n| queued(&gate, n).0).into();
        gate.add_permits(9);
        let (_, wakes) = queued(&gate, 9);
        granted.rotate_left(turn);
        granted.swap(0, 1);
        drop(granted);
        assert_eq!(gate.available_permits(), 9);
        assert_eq!(wakes.count(), 0, "it was dropped before");
    }
}

/// maitake-sync 0.3.0: a waiter that was still linked learnt of the close from the state word, was freed, and was popped.
#[test]
fn b04_waiters_that_are_polled_and_freed_in_the_middle_of_a_close_are_not_touched_again() {
    let gate = forever(Semaphore::new(0));
    // More than any batch of wakers, so that some are still linked when the first is woken.
    let waiting: Slots = Rc::default();
    let first = Hooked::new();
    for place in 0..70 {
        let mut acquire = Box::pin(gate.acquire());
        let waker = if place == 0 { first.waker() } else { Waker::noop().clone() };
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        waiting.borrow_mut().push(Some(acquire));
    }
    first.on_wake({
        let waiting = waiting.clone();
        move || {
            for place in (1..70).rev() {
                let mut acquire = waiting.borrow_mut()[place].take().unwrap();
                if place % 2 == 0 {
                    match poll(acquire.as_mut()) {
                        Poll::Ready(closed) => assert_eq!(closed.unwrap_err(), Closed),
                        Poll::Pending => {}
                    }
                }
                drop(acquire); // frees the node
            }
        }
    });
    gate.close();
    assert!(first.has_run());
    let mut acquire = waiting.borrow_mut()[0].take().unwrap();
    assert_eq!(ready(acquire.as_mut()).unwrap_err(), Closed);
    assert_eq!(gate.waiters(), 0);
}

/// The same for a release that has more to serve than one batch.
#[test]
fn b04_waiters_that_are_freed_in_the_middle_of_a_release_are_not_touched_again() {
    let gate = forever(Semaphore::new(0));
    let waiting: Slots = Rc::default();
    let first = Hooked::new();
    for place in 0..70 {
        let mut acquire = Box::pin(gate.acquire());
        let waker = if place == 0 { first.waker() } else { Waker::noop().clone() };
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        waiting.borrow_mut().push(Some(acquire));
    }
    first.on_wake({
        let waiting = waiting.clone();
        move || (1..70).for_each(|place| drop(waiting.borrow_mut()[place].take()))
    });
    gate.add_permits(70);
    waiting.borrow_mut().clear();
    assert_eq!((gate.available_permits(), gate.waiters()), (70, 0));
}

/// tokio#2340: threads that drop their waiters while another closes or releases.
#[test]
fn b04_waiters_that_other_threads_drop_during_a_close_are_not_touched_again() {
    in_time("close against drop", || {
        for _ in 0..200 {
            let gate = Semaphore::new(0);
            thread::scope(|scope| {
                for _ in 0..2 {
                    let gate = &gate;
                    scope.spawn(move || {
                        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(gate.acquire())).collect();
                        let all_queued = waiting.iter_mut().all(|acquire| poll(acquire.as_mut()).is_pending());
                        if all_queued {
                            thread::yield_now();
                        }
                        drop(waiting);
                    });
                }
                thread::yield_now();
                gate.close();
            });
            assert_eq!((gate.waiters(), gate.available_permits()), (0, 0));
        }
    });
}

/// tokio#5429, #5475, #8529 and most of the others: wakers were woken, cloned or dropped with the lock held.
#[test]
fn b05_wakers_are_woken_cloned_and_dropped_with_no_lock_held() {
    let gate = Semaphore::<WatchedLock>::with_lock(0);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let watch = |hooked: &Hooked, event: &'static str| {
        let seen = seen.clone();
        let hook = move || {
            assert!(!is_held(), "{event} with the lock held");
            seen.borrow_mut().push(event);
        };
        match event.split(' ').next().unwrap() {
            "wake" => hooked.on_wake(hook),
            "clone" => hooked.on_clone(hook),
            _ => hooked.on_drop(hook),
        }
    };
    let hooked = [(); 3].map(|()| Hooked::new());
    let wakers = hooked.each_ref().map(Hooked::waker);
    let mut head = Box::pin(gate.acquire_many(2));
    watch(&hooked[0], "clone at the first poll");
    assert!(poll_with(head.as_mut(), &wakers[0]).is_pending());
    watch(&hooked[0], "drop of the replaced one");
    watch(&hooked[1], "clone at a later poll");
    assert!(poll_with(head.as_mut(), &wakers[1]).is_pending());
    let mut next = Box::pin(gate.acquire());
    assert!(poll_with(next.as_mut(), &wakers[2]).is_pending());
    watch(&hooked[1], "drop at the cancel");
    watch(&hooked[2], "wake by the cancel");
    gate.add_permits(1);
    drop(head);
    for event in ["wake by add", "wake by limit", "wake by close"] {
        gate.set_limit(0);
        let mut acquire = Box::pin(gate.acquire_many(5));
        assert!(poll_with(acquire.as_mut(), &wakers[0]).is_pending());
        watch(&hooked[0], event);
        match event {
            "wake by add" => gate.add_permits(6),
            "wake by limit" => gate.set_limit(6),
            _ => gate.close(),
        }
    }
    drop(next);
    assert!(hooked.iter().all(|hooked| hooked.has_run()));
    assert_eq!(seen.borrow().len(), 8, "{:?}", seen.borrow());
}

/// tokio#8020: `forget_permits` wrote the permit word without its closed bit.
#[test]
fn b06_no_arithmetic_reopens_a_closed_semaphore() {
    let changes: [Change; 9] = [
        ("forget some", |gate| assert_eq!(gate.forget_permits(1), 1)),
        ("forget all", |gate| assert_eq!(gate.forget_permits(usize::MAX), 3)),
        ("reduce", |gate| gate.reduce_permits(1)),
        ("reduce to a debt", |gate| gate.reduce_permits(MAX)),
        ("add", |gate| gate.add_permits(1)),
        ("add to the maximum", |gate| gate.add_permits(MAX - 5)),
        ("limit to nothing", |gate| gate.set_limit(0)),
        ("limit to the maximum", |gate| gate.set_limit(MAX)),
        ("add too many", |gate| assert!(panic_of(|| gate.add_permits(MAX)).contains("MAX_PERMITS"))),
    ];
    for (what, change) in changes {
        let gate = Semaphore::new(5);
        let mut lent = gate.try_acquire_many(2).unwrap();
        gate.close();
        change(&gate);
        assert!(gate.is_closed(), "{what}");
        lent.split(1).unwrap().forget();
        drop(lent);
        assert!(gate.is_closed(), "{what}");
        assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::Closed, "{what}");
        assert_eq!(gate.try_acquire_barging().unwrap_err(), TryAcquireError::Closed, "{what}");
        assert_eq!(ready(pin!(gate.acquire())).unwrap_err(), Closed, "{what}");
    }
}

/// maitake-sync: `add_permits` did not look at the closed bit again between its batches.
#[test]
fn b06_a_close_in_the_middle_of_a_release_leaves_nobody_waiting() {
    let gate = forever(Semaphore::new(0));
    let first = Hooked::new();
    let mut waiting: Vec<_> = (0..70).map(|_| Box::pin(gate.acquire())).collect();
    assert!(poll_with(waiting[0].as_mut(), &first.waker()).is_pending());
    for acquire in &mut waiting[1..] {
        pending(acquire.as_mut());
    }
    first.on_wake(|| gate.close());
    gate.add_permits(70);
    assert_eq!(gate.waiters(), 0);
    let granted = waiting.iter_mut().filter_map(|acquire| ready(acquire.as_mut()).ok()).map(|permit| permit.forget());
    let granted = granted.count();
    assert_eq!(granted + gate.available_permits(), 70, "each permit went to somebody or is free");
    assert!(granted >= 1);
}

/// local-sync 0.1.1 panicked there, tokio#1699 leaked.
#[test]
fn b07_dropping_a_large_request_that_saw_some_of_its_permits_loses_none() {
    let gate = Semaphore::new(2);
    let (large, _) = queued(&gate, 4);
    gate.add_permits(1);
    assert_eq!(gate.available_permits(), 3);
    drop(large);
    assert_eq!((gate.available_permits(), gate.waiters()), (3, 0));
    assert_eq!(gate.try_acquire_many(3).unwrap().permits(), 3);

    let (large, _) = queued(&gate, 5);
    let (mut small, wakes) = queued(&gate, 1);
    gate.add_permits(1);
    drop(large);
    assert_eq!(wakes.count(), 1);
    drop(ready(small.as_mut()));
    assert_eq!(gate.available_permits(), 4);
}

/// tokio#3188, #3644, asyncband#144; unchecked additions elsewhere.
#[test]
fn b08_an_overflow_panics_and_leaves_a_semaphore_that_works() {
    for lent in [0, 1, MAX - 1, MAX] {
        let gate = Semaphore::new(MAX);
        let out = gate.try_acquire_many(lent).unwrap();
        for n in [1, 2, MAX, MAX + 1, usize::MAX / 2, usize::MAX] {
            assert!(panic_of(|| gate.add_permits(n)).contains("MAX_PERMITS"));
            assert_eq!((gate.available_permits(), gate.is_closed(), gate.waiters()), (MAX - lent, false, 0));
        }
        drop(out);
        assert_eq!(gate.available_permits(), MAX);
        assert_eq!(gate.try_acquire_many(MAX).unwrap().permits(), MAX);
    }
}

#[test]
fn b08_an_overflow_with_waiters_keeps_them_queued_and_served_later() {
    let gate = Semaphore::new(MAX - 1);
    let lent = gate.try_acquire_many(MAX - 1).unwrap();
    let (mut waiting, wakes) = queued(&gate, 2);
    panic_of(|| gate.add_permits(2));
    assert_eq!((gate.available_permits(), gate.waiters(), wakes.count()), (0, 1, 0));
    gate.add_permits(1);
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 1));
    drop(lent);
    assert_eq!(ready(waiting.as_mut()).unwrap().permits(), 2);
    assert_eq!(gate.available_permits(), MAX);
}

/// embassy#2766: permits that were left after the first waiter's part woke nobody.
#[test]
fn b09_one_release_of_many_wakes_all_that_it_serves() {
    let gate = Semaphore::new(0);
    let waiting = [1, 2, 1, 5].map(|n| queued(&gate, n));
    gate.add_permits(5);
    assert_eq!(waiting.each_ref().map(|(_, wakes)| wakes.count()), [1, 1, 1, 0]);
    assert_eq!((gate.available_permits(), gate.waiters()), (1, 1));
}

#[test]
fn b09_a_range_that_leaves_permits_wakes_the_next() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let mut range = Box::pin(gate.acquire_up_to(1..=2));
    assert!(poll_with(range.as_mut(), &waker).is_pending());
    let (_next, next_wakes) = queued(&gate, 1);
    gate.add_permits(3);
    assert_eq!((wakes.count(), next_wakes.count()), (1, 1));
}

/// mea#41, mea#39, mea#28: a waiter dropped by one thread while another wakes it; parallel `try_acquire`.
#[test]
fn b10_a_drop_that_races_with_the_wake_returns_the_permit() {
    in_time("drop against wake", || {
        let gate = Semaphore::new(1);
        thread::scope(|scope| {
            for worker in 0..3 {
                let gate = &gate;
                scope.spawn(move || {
                    for round in 0..2000 {
                        if (round + worker) % 3 == 0 {
                            drop(gate.try_acquire());
                        } else {
                            let mut acquire = Box::pin(gate.acquire());
                            let _ = poll(acquire.as_mut());
                        }
                    }
                });
            }
        });
        assert_eq!((gate.available_permits(), gate.waiters()), (1, 0));
    });
}

#[test]
fn b10_parallel_try_acquires_never_lend_more_than_there_is() {
    in_time("parallel try_acquire", || {
        let gate = Semaphore::new(2);
        let out = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        if let Ok(permit) = gate.try_acquire() {
                            assert!(out.fetch_add(1, Ordering::Relaxed) < 2);
                            out.fetch_sub(1, Ordering::Relaxed);
                            drop(permit);
                        }
                    }
                });
            }
        });
        assert_eq!(gate.available_permits(), 2);
    });
}

/// tokio#6450: futurelock. It belongs to FIFO hand-over; barging is the way round, and dropping is the cure.
#[test]
fn b11_a_granted_future_that_nobody_polls_can_be_passed_by_barging_or_dropped() {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().unwrap();
    let (idle, _) = queued(&gate, 1);
    let (mut stuck, wakes) = queued(&gate, 2);
    drop(held);
    assert_eq!((gate.available_permits(), wakes.count()), (0, 0), "the idle future sits on the permit");
    gate.add_permits(1);
    assert!(gate.try_acquire().is_err());
    drop(gate.try_acquire_barging().expect("barging gets by"));
    assert!(ready(pin!(gate.acquire().barging())).is_ok());
    drop(idle);
    assert_eq!(wakes.count(), 1);
    assert!(ready(stuck.as_mut()).is_ok());
}

/// embassy's fair one kept cancelled slots until they reached the front.
#[test]
fn b12_cancelled_waiters_leave_nothing_behind() {
    let gate = Semaphore::new(0);
    let (mut first, wakes) = queued(&gate, 1);
    for _ in 0..10_000 {
        let (middle, _) = queued(&gate, 1);
        let (last, _) = queued(&gate, 1);
        drop(middle);
        drop(last);
        assert_eq!(gate.waiters(), 1);
    }
    gate.add_permits(1);
    assert_eq!(wakes.count(), 1);
    assert!(ready(first.as_mut()).is_ok());
}

/// embassy's greedy one: two waiters woke each other for ever.
#[test]
fn b12_waiters_that_poll_in_vain_wake_nobody() {
    let gate = Semaphore::new(0);
    let (wakes, waker) = Wakes::new();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(gate.acquire())).collect();
    for _ in 0..10 {
        for acquire in &mut waiting {
            assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        }
    }
    assert_eq!(wakes.count(), 0);
}

/// asyncband#129: each release allocated a list of wakers.
#[test]
fn b13_neither_waiting_nor_releasing_allocates() {
    let gate = Semaphore::new(0);
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(gate.acquire())).collect();
    let (wakes, waker) = Wakes::new();
    let allocations = allocations_of(|| {
        for acquire in &mut waiting {
            assert!(poll_with(acquire.as_mut(), &waker).is_pending());
        }
        gate.add_permits(99);
        for acquire in &mut waiting {
            drop(poll(acquire.as_mut()));
        }
    });
    assert_eq!((allocations, wakes.count()), (0, 100));
}

/// A waker that panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics");
    }
}

/// tokio's list of wakers dropped the rest, asyncband's forgot them.
#[test]
fn b14_a_panicking_waker_does_not_lose_the_wakes_of_the_others() {
    let gate = Semaphore::new(0);
    let mut broken = Box::pin(gate.acquire());
    assert!(poll_with(broken.as_mut(), &Waker::from(Arc::new(Panics))).is_pending());
    let waiting: Vec<_> = (0..40).map(|_| queued(&gate, 1)).collect();
    assert_eq!(panic_of(|| gate.add_permits(41)), "this waker panics");
    assert!(waiting.iter().all(|(_, wakes)| wakes.count() == 1));
    assert!(ready(broken.as_mut()).is_ok(), "it was granted all the same");
    drop((broken, waiting));
    assert_eq!((gate.available_permits(), gate.waiters()), (41, 0));
}

/// no-std-async: a woken waiter that found too few went to the tail, and newcomers took what was released.
#[test]
fn b15_a_waiter_keeps_its_place_however_often_it_is_polled_and_newcomers_cannot_take_from_it() {
    let gate = Semaphore::new(3);
    let mut lent: Vec<_> = (0..3).map(|_| gate.try_acquire().unwrap()).collect();
    let (mut large, wakes) = queued(&gate, 3);
    let (_behind, behind_wakes) = queued(&gate, 1);
    while let Some(permit) = lent.pop() {
        drop(permit);
        if !lent.is_empty() {
            pending(large.as_mut());
            assert!(gate.try_acquire().is_err());
            let mut newcomer = Box::pin(gate.acquire());
            pending(newcomer.as_mut());
            assert!(poll_with(large.as_mut(), &Waker::from(wakes.clone())).is_pending());
        }
    }
    assert_eq!((wakes.count(), behind_wakes.count()), (1, 0));
    assert_eq!(ready(large.as_mut()).unwrap().permits(), 3);
}

/// async-lock#42: `acquire_arc` woke itself in a loop; async-lock#20, #21: its future kept a lifetime.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[test]
fn b16_an_owned_acquire_does_not_wake_itself_and_borrows_nothing() {
    fn is_static<F: Future + Send + 'static>(future: F) -> F {
        future
    }
    let gate = Arc::new(Semaphore::new(0));
    let (wakes, waker) = Wakes::new();
    let mut acquire = Box::pin(is_static(gate.clone().acquire_owned()));
    for _ in 0..100 {
        assert!(poll_with(acquire.as_mut(), &waker).is_pending());
    }
    assert_eq!(wakes.count(), 0);
    gate.add_permits(1);
    drop(gate);
    assert_eq!(wakes.count(), 1);
    assert!(ready(acquire.as_mut()).is_ok());
}

/// stateless-validator#188: a debt kept beside the semaphore raced with the releases.
#[test]
fn b17_resizing_that_races_with_releases_is_exact() {
    in_time("resizing", || {
        let gate = Semaphore::new(8);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        drop(gate.try_acquire_many(3));
                        drop(poll(pin!(gate.acquire())));
                    }
                });
            }
            for round in 0..2000 {
                gate.set_limit(round % 9);
                gate.reduce_permits(round % 4);
                gate.add_permits(round % 4);
            }
            gate.set_limit(5);
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!((gate.available_permits(), gate.waiters()), (5, 0));
    });
}

#[test]
fn b17_limits_set_by_two_threads_add_up_to_the_last_one() {
    in_time("two resizers", || {
        for _ in 0..50 {
            let gate = Semaphore::new(4);
            thread::scope(|scope| {
                for limit in [3, 7] {
                    let gate = &gate;
                    scope.spawn(move || (0..50).for_each(|_| gate.set_limit(limit)));
                }
            });
            assert!([3, 7].contains(&gate.available_permits()), "{}", gate.available_permits());
        }
    });
}

/// Tokio#6331 and Materialize#38509: forgetting only free permits never shrinks a busy semaphore.
#[test]
fn b17_a_busy_semaphore_can_be_shrunk() {
    let gate = Semaphore::new(3);
    let lent: Vec<_> = (0..3).map(|_| gate.try_acquire().unwrap()).collect();
    let (_queued, _) = queued(&gate, 1);
    assert_eq!(gate.forget_permits(2), 0, "nothing is free");
    gate.reduce_permits(2);
    drop(lent);
    assert_eq!((gate.available_permits(), gate.waiters()), (0, 0), "one is left, and the waiter has it");
}

/// Go's corner cases: closed, nothing asked for, more asked for than there is.
#[test]
fn b18_closed_zero_and_never_satisfiable_requests() {
    let gate = Semaphore::new(2);
    let (mut never, _) = queued(&gate, 3);
    let (mut behind, _) = queued(&gate, 1);
    assert_eq!(ready(pin!(gate.acquire_many(0))).unwrap().permits(), 0);
    assert_eq!(gate.try_acquire_many(3).unwrap_err(), TryAcquireError::NoPermits);
    pending(never.as_mut());
    pending(behind.as_mut());
    drop(gate.try_acquire_barging().expect("it does not block who does not care for turns"));
    drop(never);
    assert!(ready(behind.as_mut()).is_ok());
    drop(behind);

    let (mut never, wakes) = queued(&gate, MAX);
    gate.close();
    assert_eq!(wakes.count(), 1);
    assert_eq!(ready(never.as_mut()).unwrap_err(), Closed);
    assert_eq!(ready(pin!(gate.acquire_many(0))).unwrap_err(), Closed);
    assert_eq!(gate.try_acquire_many(MAX).unwrap_err(), TryAcquireError::Closed);
}
