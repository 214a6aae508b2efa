//! The semaphore allocates nothing: neither to wait, nor to wake, nor to give up.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::pin::{Pin, pin};
use std::task::Waker;

use support::count_allocations::{Counting, allocations_of};
use support::{Wakes, pending, poll, poll_with, ready};
use tollgate::{Acquire, LocalLock, RawLock, Semaphore};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CROWDS: [usize; 8] = [1, 2, 7, 8, 9, 64, 65, 1000];

#[track_caller]
fn allocates_nothing(what: &str, f: impl FnOnce()) {
    let allocations = allocations_of(f);
    assert_eq!(allocations, 0, "{what} allocated {allocations} times");
}

/// Waiters whose boxes were allocated before.
fn crowd<L: RawLock>(gate: &Semaphore<L>, n: usize) -> Vec<Pin<Box<Acquire<'_, L>>>> {
    (0..n).map(|_| Box::pin(gate.acquire())).collect()
}

fn queue<L: RawLock>(crowd: &mut [Pin<Box<Acquire<'_, L>>>], waker: &Waker) {
    for acquire in crowd {
        assert!(poll_with(acquire.as_mut(), waker).is_pending());
    }
}

fn cancel_one_by_one<L: RawLock>(crowd: Vec<Pin<Box<Acquire<'_, L>>>>) {
    for acquire in crowd {
        allocates_nothing("a cancel", || drop(acquire));
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(Box::new(1))), 1);
}

#[test]
fn making_and_using_a_semaphore_with_nobody_waiting() {
    allocates_nothing("use without waiting", || {
        let gate = Semaphore::new(4);
        drop(gate.try_acquire().unwrap());
        drop(gate.try_acquire_many(4).unwrap());
        drop(gate.try_acquire_up_to(1..=9).unwrap());
        drop(gate.try_acquire_barging().unwrap());
        drop(ready(pin!(gate.acquire())).unwrap());
        drop(ready(pin!(gate.acquire_up_to(1..=2).priority(3).barging())).unwrap());
        let mut permit = gate.try_acquire_many(3).unwrap();
        let part = permit.split(1).unwrap();
        permit.merge(part);
        permit.forget();
        gate.add_permits(5);
        gate.reduce_permits(1);
        gate.set_limit(3);
        assert_eq!(gate.forget_permits(1), 1);
        assert_eq!((gate.available_permits(), gate.waiters()), (2, 0));
        gate.close();
    });
}

#[test]
fn waiting_and_polling_again() {
    for n in CROWDS {
        let gate = Semaphore::new(0);
        let mut crowd = crowd(&gate, n);
        let (_, waker) = Wakes::new();
        let (_, other) = Wakes::new();
        allocates_nothing("queueing", || queue(&mut crowd, &waker));
        allocates_nothing("polling again", || queue(&mut crowd, &waker));
        allocates_nothing("polling with another waker", || queue(&mut crowd, &other));
        assert_eq!(gate.waiters(), n);
    }
}

#[test]
fn waking_by_every_way_of_giving() {
    type Give = fn(&Semaphore, usize);
    let ways: [(&str, Give); 3] = [
        ("adding", |gate, n| gate.add_permits(n)),
        ("a limit", |gate, n| gate.set_limit(2 * n)),
        ("a release", |gate, _| drop(gate.try_acquire_barging())),
    ];
    for (way, give) in ways {
        for n in CROWDS {
            let gate = Semaphore::new(n);
            let held = gate.try_acquire_many(n).unwrap();
            let mut crowd = crowd(&gate, n);
            let (wakes, waker) = Wakes::new();
            queue(&mut crowd, &waker);
            allocates_nothing(way, || {
                give(&gate, n);
                drop(held);
            });
            assert_eq!(wakes.count(), n);
            allocates_nothing("polling what was granted", || {
                for acquire in &mut crowd {
                    ready(acquire.as_mut()).unwrap().forget();
                }
            });
        }
    }
}

#[test]
fn cancelling_the_queued_and_the_granted() {
    for n in CROWDS {
        let gate = Semaphore::new(0);
        let mut queued = crowd(&gate, n);
        let (_, waker) = Wakes::new();
        queue(&mut queued, &waker);
        cancel_one_by_one(queued);
        let mut granted = crowd(&gate, n);
        queue(&mut granted, &waker);
        gate.add_permits(n / 2);
        cancel_one_by_one(granted);
        assert_eq!((gate.waiters(), gate.available_permits()), (0, n / 2));
    }
}

#[test]
fn cancelling_a_head_that_everybody_waited_for() {
    for n in CROWDS {
        let gate = Semaphore::new(n);
        let mut head = Box::pin(gate.acquire_many(n + 1));
        pending(head.as_mut());
        let mut crowd = crowd(&gate, n);
        let (wakes, waker) = Wakes::new();
        queue(&mut crowd, &waker);
        allocates_nothing("a head's cancel", || drop(head));
        assert_eq!(wakes.count(), n);
    }
}

#[test]
fn closing_over_a_crowd() {
    for n in CROWDS {
        let gate = Semaphore::new(0);
        let mut crowd = crowd(&gate, n);
        let (wakes, waker) = Wakes::new();
        queue(&mut crowd, &waker);
        allocates_nothing("closing", || gate.close());
        assert_eq!(wakes.count(), n);
        allocates_nothing("polling what was closed", || {
            for acquire in &mut crowd {
                assert!(ready(acquire.as_mut()).is_err());
            }
        });
    }
}

#[test]
fn enrolling_resetting_and_priorities() {
    let gate = Semaphore::new(0);
    let mut crowd: Vec<_> = (0..200u8).map(|i| Box::pin(gate.acquire().priority(i.wrapping_mul(37)))).collect();
    allocates_nothing("enrolling by priority", || crowd.iter_mut().for_each(|acquire| acquire.as_mut().enroll()));
    allocates_nothing("resetting", || crowd.iter_mut().for_each(|acquire| acquire.as_mut().reset(2)));
    allocates_nothing("queueing again", || crowd.iter_mut().for_each(|acquire| pending(acquire.as_mut())));
    allocates_nothing("a debt", || gate.reduce_permits(10));
    allocates_nothing("serving", || gate.add_permits(110));
    assert_eq!(gate.waiters(), 150);
}

#[test]
fn a_semaphore_for_one_thread() {
    let gate = Semaphore::<LocalLock>::with_lock(0);
    let mut crowd = crowd(&gate, 100);
    let (wakes, waker) = Wakes::new();
    allocates_nothing("all of it", || {
        queue(&mut crowd, &waker);
        gate.add_permits(50);
        for acquire in &mut crowd {
            drop(poll(acquire.as_mut()));
        }
        gate.close();
    });
    assert_eq!(wakes.count(), 100);
}

#[cfg(feature = "std")]
#[test]
fn blocking_allocates_at_most_once_a_thread() {
    let gate = Semaphore::new(1);
    drop(gate.acquire_blocking().unwrap()); // the thread's own waker
    allocates_nothing("a blocking call", || {
        drop(gate.acquire_blocking().unwrap());
        drop(gate.acquire_many_blocking(1).unwrap());
    });
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[test]
fn owned_forms_allocate_nothing_beyond_the_arc() {
    use std::sync::Arc;
    for n in CROWDS {
        let gate = Arc::new(Semaphore::new(0));
        let (wakes, waker) = Wakes::new();
        let mut crowd = Vec::with_capacity(n);
        for _ in 0..n {
            crowd.push(Box::pin(gate.clone().acquire_owned()));
        }
        allocates_nothing("owned forms", || {
            for acquire in &mut crowd {
                assert!(poll_with(acquire.as_mut(), &waker).is_pending());
            }
            gate.add_permits(n);
            for acquire in &mut crowd {
                let mut permit = ready(acquire.as_mut()).unwrap();
                let part = permit.split(1).unwrap();
                permit.merge(part);
                drop(permit);
                acquire.as_mut().reset(gate.clone(), 1);
                acquire.as_mut().enroll();
            }
            drop(gate.clone().try_acquire_owned());
            gate.close();
        });
        assert_eq!(wakes.count(), n);
        for acquire in crowd {
            allocates_nothing("an owned cancel", || drop(acquire));
        }
    }
}

#[test]
fn debug_allocates_nothing_of_its_own() {
    use std::fmt::{self, Write};
    struct Nowhere;
    impl Write for Nowhere {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            Ok(())
        }
    }
    let gate = Semaphore::new(1);
    let permit = gate.try_acquire().unwrap();
    let acquire = gate.acquire();
    allocates_nothing("Debug", || write!(Nowhere, "{gate:?} {permit:?} {acquire:?}").unwrap());
}
