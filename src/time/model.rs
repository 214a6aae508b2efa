//! Models of the timer queue: run as they are with real threads, and under loom through every schedule.
//!
//! The batch holds two wakers here, so three sleeps that end together reach the second round.

use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use alloc::boxed::Box;
use alloc::sync::Arc as Shared;
use alloc::task::Wake;
use alloc::vec;
use alloc::vec::Vec;

use super::Lock;
use crate::sync::Ordering;
use crate::sync::model::{Arc, block_on, check, thread};
use crate::time::{Clock, DeadlineExt, Elapsed, FnTimer};

type TimerQueue = crate::time::TimerQueue<Lock>;
type QueueSleep<'q> = crate::time::QueueSleep<'q, Lock>;

fn poll_once(sleep: Pin<&mut QueueSleep<'_>>) -> Poll<()> {
    sleep.poll(&mut Context::from_waker(Waker::noop()))
}

fn spawn(queue: &Arc<TimerQueue>, f: impl FnOnce(&TimerQueue) + Send + 'static) -> thread::JoinHandle<()> {
    let queue = queue.clone();
    thread::spawn(move || f(&queue))
}

/// Counts its wakes with core's atomics, which loom does not see and need not.
#[derive(Default)]
struct Count(core::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Shared<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn new() -> (Shared<Self>, Waker) {
        let count = Shared::new(Self::default());
        (count.clone(), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[test]
fn model_a_sleep_that_begins_as_its_time_comes_ends() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let sleeper = spawn(&queue, |queue| block_on(queue.sleep_until(10)));
        assert!(matches!(queue.advance(10), None | Some(10)));
        sleeper.join().unwrap();
        assert_eq!(queue.sleepers(), 0);
        assert_eq!(queue.next_deadline(), None);
    });
}

#[test]
fn model_sleeps_that_end_together_are_woken_over_several_rounds() {
    check(2, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let sleeper = spawn(&queue, |queue| {
            let (a, b, c) = (queue.sleep_until(3), queue.sleep_until(1), queue.sleep_until(2));
            let (mut a, mut b, mut c) = (pin!(a), pin!(b), pin!(c));
            block_on(core::future::poll_fn(|cx| {
                let polls = [a.as_mut().poll(cx), b.as_mut().poll(cx), c.as_mut().poll(cx)];
                if polls.iter().all(Poll::is_ready) { Poll::Ready(()) } else { Poll::Pending }
            }));
        });
        queue.advance(3);
        sleeper.join().unwrap();
        assert_eq!(queue.sleepers(), 0);
    });
}

/// Says who was woken, in a log that loom does not see and need not.
struct Name {
    name: u64,
    log: Shared<std::sync::Mutex<Vec<u64>>>,
}

impl Wake for Name {
    fn wake(self: Shared<Self>) {
        self.log.lock().unwrap().push(self.name);
    }
}

/// All orders of four.
fn orders() -> impl Iterator<Item = [u64; 4]> {
    (0..24).map(|n| {
        let (mut rest, mut n) = (vec![1, 2, 3, 4], n);
        core::array::from_fn(|taken| {
            let left = 4 - taken;
            let next = rest.remove(n % left);
            n /= left;
            next
        })
    })
}

/// The third and the fourth end together, so that the one that came first goes first.
fn end(name: u64) -> u64 {
    name.min(3)
}

/// Begins with sleeps in this order, drops two, and sees the others end in turn.
fn two_leave(order: [u64; 4], asks: bool, leave: [u64; 2]) {
    let queue = TimerQueue::with_lock();
    let log = Shared::default();
    let mut sleeps: Vec<_> = order
        .iter()
        .map(|name| {
            let waker = Waker::from(Shared::new(Name { name: *name, log: Shared::clone(&log) }));
            let mut sleep = Box::pin(queue.sleep_until(end(*name)));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            Some(sleep)
        })
        .collect();
    assert!(!asks || queue.next_deadline() == Some(1));
    for name in leave {
        let place = order.iter().position(|other| *other == name).unwrap();
        sleeps[place] = None;
    }
    let mut left: Vec<_> = order.into_iter().filter(|name| !leave.contains(name)).collect();
    left.sort_by_key(|name| end(*name));
    queue.advance(2);
    assert_eq!(queue.sleepers(), left.iter().filter(|name| **name > 2).count());
    queue.advance(9);
    assert_eq!(*log.lock().unwrap(), left, "{order:?} without {leave:?}");
}

#[test]
fn model_sleeps_end_in_turn_whoever_leaves() {
    // Whether somebody asks for the first before or not: those who leave are then parents or children, first or last.
    for (order, asks) in orders().flat_map(|order| [(order, false), (order, true)]) {
        check(1, move || {
            for leave in (1..=4).flat_map(|a| (1..=4).map(move |b| [a, b])) {
                two_leave(order, asks, leave);
            }
        });
    }
}

#[test]
fn model_sleeps_come_and_go_while_the_driver_looks_for_the_first() {
    check(2, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        let (mut late, mut soon) = (pin!(queue.sleep_until(9)), pin!(queue.sleep_until(3)));
        let mut leaves = Box::pin(queue.sleep_until(8));
        for sleep in [late.as_mut(), leaves.as_mut(), soon.as_mut()] {
            assert!(sleep.poll(&mut cx).is_pending());
        }
        let driver = spawn(&queue, |queue| {
            queue.advance(5);
        });
        drop(leaves);
        let mut new = pin!(queue.sleep_until(4));
        let in_time = new.as_mut().poll(&mut cx).is_pending();
        driver.join().unwrap();
        assert_eq!(count.get(), 1 + usize::from(in_time), "or else it need not wait");
        assert_eq!((queue.sleepers(), queue.next_deadline()), (1, Some(9)));
        assert!(poll_once(soon).is_ready() && poll_once(new).is_ready() && poll_once(late).is_pending());
    });
}

#[test]
fn model_a_sleep_dropped_as_it_ends_leaves_the_others() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let quitter = spawn(&queue, |queue| {
            let mut sleep = pin!(queue.sleep_until(5));
            let _ = poll_once(sleep.as_mut());
        });
        let sleeper = spawn(&queue, |queue| block_on(queue.sleep_until(5)));
        queue.advance(5);
        quitter.join().unwrap();
        sleeper.join().unwrap();
        assert_eq!(queue.sleepers(), 0);
    });
}

#[test]
fn model_a_sleep_that_is_moved_as_it_ends_ends_at_its_new_time() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let sleeper = spawn(&queue, |queue| {
            let mut sleep = pin!(queue.sleep_until(1));
            let _ = poll_once(sleep.as_mut());
            sleep.as_mut().reset(2);
            block_on(sleep);
            assert!(queue.now() >= 2, "early");
        });
        queue.advance(1);
        queue.advance(2);
        sleeper.join().unwrap();
        assert_eq!(queue.sleepers(), 0);
    });
}

#[test]
fn model_a_sleep_moved_to_a_past_time_wakes_its_task() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let (count, waker) = Count::new();
        let driver = spawn(&queue, |queue| {
            queue.advance(2);
        });
        let mut sleep = pin!(queue.sleep_until(9));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        sleep.as_mut().reset(2);
        driver.join().unwrap();
        assert_eq!(count.get(), 1, "woken by either, once");
        assert!(poll_once(sleep).is_ready());
    });
}

#[test]
fn model_a_sleep_moved_as_it_ends_wakes_its_task_once() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let (count, waker) = Count::new();
        let driver = spawn(&queue, |queue| {
            queue.advance(9);
        });
        let mut sleep = pin!(queue.sleep_until(9));
        let first = sleep.as_mut().poll(&mut Context::from_waker(&waker));
        sleep.as_mut().reset(2);
        driver.join().unwrap();
        assert!(count.get() == 1 || count.get() == 0 && first.is_ready());
        assert!(poll_once(sleep).is_ready());
        drop(waker);
        assert_eq!(Shared::strong_count(&count), 1, "no waker is kept, none is dropped twice");
    });
}

#[test]
fn model_time_and_order_hold_whatever_the_driver_says() {
    check(2, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let driver = spawn(&queue, |queue| {
            queue.advance(4);
            queue.advance(3);
        });
        let (mut late, mut soon) = (pin!(queue.sleep_until(9)), pin!(queue.sleep_until(8)));
        assert!(poll_once(late.as_mut()).is_pending());
        assert!(poll_once(soon.as_mut()).is_pending());
        assert_eq!(queue.next_deadline(), Some(8));
        driver.join().unwrap();
        assert_eq!(queue.now(), 4);
    });
}

#[test]
fn model_the_newest_waker_is_woken() {
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let driver = spawn(&queue, |queue| {
            queue.advance(4);
        });
        let (old, old_waker) = Count::new();
        let (new, new_waker) = Count::new();
        let mut sleep = pin!(queue.sleep_until(4));
        let first = sleep.as_mut().poll(&mut Context::from_waker(&old_waker));
        let second = sleep.as_mut().poll(&mut Context::from_waker(&new_waker));
        driver.join().unwrap();
        assert!(old.get() + new.get() <= 1);
        assert!(second.is_ready() || new.get() == 1, "{first:?} {second:?}");
        assert!(poll_once(sleep).is_ready());
        drop((old_waker, new_waker));
        assert_eq!(Shared::strong_count(&old) + Shared::strong_count(&new), 2, "no waker is kept");
    });
}

#[test]
fn model_no_earlier_end_goes_unheard() {
    std::thread_local! {
        static HEARD: core::cell::Cell<u64> = const { core::cell::Cell::new(u64::MAX) };
    }

    // What a tickless driver does: advance, then stay away until what that returned, unless it hears of less.
    check(3, || {
        let queue = Arc::new(TimerQueue::with_lock().on_earlier(|at| HEARD.set(at)));
        let mut before = pin!(queue.sleep_until(10));
        assert!(poll_once(before.as_mut()).is_pending());
        assert_eq!(HEARD.replace(u64::MAX), 10);
        let driver = thread::spawn({
            let queue = queue.clone();
            move || queue.advance(10)
        });
        let mut after = pin!(queue.sleep_until(20));
        assert!(poll_once(after.as_mut()).is_pending());
        let heard = HEARD.replace(u64::MAX);
        let back = driver.join().unwrap().unwrap_or(u64::MAX);
        assert!(back.min(heard) <= 20, "nobody comes back for the one at 20");
    });
}

#[test]
fn model_a_deadline_wakes_its_task() {
    check(2, || {
        let queue = Arc::new(TimerQueue::with_lock());
        let sleeper = spawn(&queue, |queue| {
            let limited = core::future::pending::<()>().deadline(queue, 7);
            assert_eq!(block_on(limited), Err(Elapsed));
        });
        queue.advance(6);
        queue.advance(7);
        sleeper.join().unwrap();
        assert_eq!(queue.sleepers(), 0);
    });
}

#[test]
fn model_a_deadline_goes_by_the_clock_and_not_by_its_timer() {
    check(1, || {
        let queue = TimerQueue::with_lock();
        // One that never ends, one that ends at once, and one that is right from the second time on.
        let late = FnTimer(&queue, |_| core::future::pending::<()>());
        let early = FnTimer(&queue, |_| core::future::ready(()));
        let slips = core::cell::Cell::new(0);
        let slipping = FnTimer(&queue, |d| {
            slips.set(slips.get() + 1);
            let at = if slips.get() == 1 { 0 } else { queue.checked_add(queue.now(), d).unwrap() };
            queue.sleep_until(at)
        });
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        let mut late = pin!(core::future::pending::<()>().deadline(&late, 5));
        let mut early = pin!(core::future::pending::<()>().deadline(&early, 5));
        let mut slipping = pin!(core::future::pending::<()>().deadline(&slipping, 5));
        assert!(late.as_mut().poll(&mut cx).is_pending());
        assert_eq!(count.get(), 0);
        assert!(early.as_mut().poll(&mut cx).is_pending());
        assert_eq!(count.get(), 1, "its task has to come back");
        assert!(slipping.as_mut().poll(&mut cx).is_pending());
        queue.advance(5);
        assert_eq!(count.get(), 2, "the second sleep has the waker");
        for deadline in [late.poll(&mut cx), early.poll(&mut cx), slipping.poll(&mut cx)] {
            assert_eq!(deadline, Poll::Ready(Err(Elapsed)));
        }
    });
}

#[test]
fn model_a_value_in_time_wins_and_leaves_no_sleep_behind() {
    check(1, || {
        let queue = TimerQueue::with_lock();
        let ready = core::cell::Cell::new(false);
        let value = core::future::poll_fn(|_| if ready.get() { Poll::Ready(()) } else { Poll::Pending });
        let mut limited = pin!(value.deadline(&queue, 5));
        assert!(limited.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(queue.sleepers(), 1);
        ready.set(true);
        queue.advance(4);
        let mut second = pin!(core::future::ready(()).deadline(&queue, 3));
        let second = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(second, Poll::Ready(Ok(())), "ready, if late");
        assert_eq!(limited.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())));
        assert_eq!(queue.sleepers(), 0);
    });
}
