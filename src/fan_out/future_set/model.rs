//! Models of a set: those who add, those who wake, and the one who polls.

use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::FutureSet;
use crate::sync::model::{Arc, block_on, check, thread};
use crate::sync::{AtomicBool, AtomicWaker, DefaultLock, Ordering, UnsafeCell};

/// Ready with what was in the cell, which only who added it has touched.
struct Written(UnsafeCell<usize>);

// SAFETY: made on one thread and sent on to the next.
unsafe impl Sync for Written {}

impl Written {
    fn new(value: usize) -> Self {
        Self(UnsafeCell::new(value))
    }
}

impl Future for Written {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<usize> {
        // SAFETY: see `Sync`.
        Poll::Ready(self.0.with(|value| unsafe { *value }))
    }
}

/// The sum of so many outputs. An empty set is waited for.
fn sum<F: Future<Output = usize>>(set: &FutureSet<F, DefaultLock>, count: usize) -> usize {
    let (mut sum, mut left) = (0, count);
    block_on(poll_fn(|cx| poll_sum(set, &mut sum, &mut left, cx)))
}

fn poll_sum<F: Future<Output = usize>>(
    set: &FutureSet<F, DefaultLock>,
    sum: &mut usize,
    left: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<usize> {
    while *left > 0 {
        match set.poll_next(cx) {
            Poll::Ready(Some(n)) => *sum += n,
            _ => return Poll::Pending,
        }
        *left -= 1;
    }
    Poll::Ready(*sum)
}

fn sum_to_the_end<F: Future<Output = usize>>(set: &FutureSet<F, DefaultLock>) -> usize {
    let mut sum = 0;
    block_on(poll_fn(|cx| {
        while let Poll::Ready(next) = set.poll_next(cx) {
            let Some(n) = next else { return Poll::Ready(sum) };
            sum += n;
        }
        Poll::Pending
    }))
}

#[test]
fn what_is_added_from_elsewhere_wakes_the_one_who_waits() {
    check(3, || {
        let set = Arc::new(FutureSet::with_capacity(1));
        let pusher = thread::spawn({
            let set = set.clone();
            move || set.try_push(Written::new(1)).is_ok()
        });
        assert_eq!(sum(&set, 1), 1);
        assert!(pusher.join().unwrap());
        assert!(set.is_empty());
    });
}

#[test]
fn two_who_add_at_once_get_a_place_each() {
    check(2, || {
        let set = Arc::new(FutureSet::with_capacity(2));
        let pushers = [1, 2].map(|n| {
            let set = set.clone();
            thread::spawn(move || assert!(set.try_push(Written::new(n)).is_ok()))
        });
        assert_eq!(sum(&set, 2), 3);
        for pusher in pushers {
            pusher.join().unwrap();
        }
    });
}

#[test]
fn a_place_that_becomes_free_goes_to_who_waits_for_it() {
    check(2, || {
        let set = Arc::new(FutureSet::with_capacity(1));
        assert!(set.try_push(Written::new(1)).is_ok());
        let pusher = thread::spawn({
            let set = set.clone();
            move || block_on(set.push(Written::new(2)))
        });
        assert_eq!(sum(&set, 2), 3);
        pusher.join().unwrap();
    });
}

/// Ready once it is open; leaves its waker to whoever opens it.
struct Gate {
    open: AtomicBool,
    waker: AtomicWaker,
}

struct Pass(Option<Arc<Gate>>);

impl Future for Pass {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let Some(gate) = &self.0 else { return Poll::Ready(1) };
        gate.waker.register(cx.waker());
        // ORDERING: Acquire pairs with the Release in the test.
        if gate.open.load(Ordering::Acquire) { Poll::Ready(2) } else { Poll::Pending }
    }
}

#[test]
fn a_waker_of_one_who_is_gone_does_no_harm_to_one_who_comes() {
    check(2, || {
        let set = Arc::new(FutureSet::<Pass>::with_capacity(1));
        let gate = Arc::new(Gate { open: AtomicBool::new(false), waker: AtomicWaker::new() });
        assert!(set.try_push(Pass(Some(gate.clone()))).is_ok());

        // All in one, so that the task has one waker.
        let mut threads = Vec::new();
        let (mut sum, mut left) = (0, 1);
        let sum = block_on(poll_fn(|cx| {
            if threads.is_empty() {
                assert!(set.poll_next(cx).is_pending());
                let stale = gate.waker.take().expect("it was polled");
                set.clear();
                threads.push(thread::spawn(move || stale.wake()));
                let set = set.clone();
                threads.push(thread::spawn(move || assert!(set.try_push(Pass(None)).is_ok())));
            }
            poll_sum(&set, &mut sum, &mut left, cx)
        }));
        assert_eq!(sum, 1);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn one_who_is_woken_from_elsewhere_comes_out() {
    check(2, || {
        let set = FutureSet::<Pass>::with_capacity(2);
        let gates = [(); 2].map(|()| Arc::new(Gate { open: AtomicBool::new(false), waker: AtomicWaker::new() }));
        for gate in &gates {
            assert!(set.try_push(Pass(Some(gate.clone()))).is_ok());
        }
        let openers: Vec<_> = gates
            .iter()
            .cloned()
            .map(|gate| {
                thread::spawn(move || {
                    // ORDERING: Release pairs with the Acquire in `poll`.
                    gate.open.store(true, Ordering::Release);
                    gate.waker.wake();
                })
            })
            .collect();
        assert_eq!(sum(&set, 2), 4);
        for opener in openers {
            opener.join().unwrap();
        }
    });
}

#[test]
fn one_who_gives_up_waiting_for_room_lets_the_set_come_to_its_end() {
    check(2, || {
        let set = Arc::new(FutureSet::with_capacity(1));
        assert!(set.try_push(Written::new(1)).is_ok());
        let pusher = thread::spawn({
            let set = set.clone();
            move || {
                let mut push = core::pin::pin!(set.push(Written::new(2)));
                let added = push.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
                if added { 2 } else { 0 }
            }
        });
        let mut sum = sum_to_the_end(&set);
        let added = pusher.join().unwrap();
        if let Poll::Ready(Some(late)) = set.poll_next(&mut Context::from_waker(Waker::noop())) {
            sum += late;
        }
        assert_eq!(sum, 1 + added);
    });
}

#[test]
fn a_set_that_somebody_waits_to_add_to_is_not_at_its_end() {
    check(2, || {
        let set = Arc::new(FutureSet::with_capacity(1));
        assert!(set.try_push(Written::new(1)).is_ok());
        let mut push = core::pin::pin!(set.push(Written::new(2)));
        assert!(push.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let consumer = thread::spawn({
            let set = set.clone();
            move || sum_to_the_end(&set)
        });
        block_on(push);
        assert_eq!(consumer.join().unwrap(), 3);
    });
}

#[test]
fn one_after_another_has_the_turn() {
    check(3, || {
        let set = Arc::new(FutureSet::with_capacity(1));
        assert!(set.try_push(Written::new(1)).is_ok());
        let poll = |set: &FutureSet<Written, DefaultLock>| {
            let mut freed = 0;
            let mut turn = set.places.turn()?;
            let number = turn.next_woken()?;
            turn.poll(number, &mut freed)
        };
        let other = thread::spawn({
            let set = set.clone();
            move || poll(&set)
        });
        let found = [poll(&set), other.join().unwrap()];
        assert!(found == [Some(1), None] || found == [None, Some(1)], "{found:?}");
    });
}
