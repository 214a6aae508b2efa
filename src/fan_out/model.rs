//! Models of the whole: a stream, its wakers on other threads, and the end of either.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::{FanOut, FanOutExt, Limit, With};
use crate::Semaphore;
use crate::sync::model::{Arc, block_on, check, thread};
use crate::sync::{AtomicBool, AtomicWaker, Ordering, UnsafeCell};

/// What a future waits for, with a value that is written before it opens.
struct Gate {
    open: AtomicBool,
    waker: AtomicWaker,
    value: UnsafeCell<usize>,
}

// SAFETY: the value is written before the gate opens, and read after it was seen open.
unsafe impl Sync for Gate {}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self { open: AtomicBool::new(false), waker: AtomicWaker::new(), value: UnsafeCell::new(0) })
    }

    fn open(&self, value: usize) {
        // SAFETY: see `Sync`.
        self.value.with_mut(|place| unsafe { *place = value });
        // ORDERING: Release pairs with the Acquire in `poll`.
        self.open.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn poll(&self, waker: &Waker) -> Poll<usize> {
        self.waker.register(waker);
        // ORDERING: Acquire pairs with the Release in `open`.
        if self.open.load(Ordering::Acquire) {
            // SAFETY: see `Sync`.
            Poll::Ready(self.value.with(|place| unsafe { *place }))
        } else {
            Poll::Pending
        }
    }
}

/// Yields the gates, one a poll.
struct Gates(Vec<Arc<Gate>>);

impl Stream for Gates {
    type Item = Arc<Gate>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Arc<Gate>>> {
        Poll::Ready(self.0.pop())
    }
}

type Passing = Pin<Box<dyn Future<Output = usize>>>;
type ThroughGates = FanOut<Gates, With<fn(Arc<Gate>) -> Passing>>;

fn pass(gate: Arc<Gate>) -> Passing {
    Box::pin(poll_fn(move |cx| gate.poll(cx.waker())))
}

fn fan_out(gates: &[Arc<Gate>], limit: usize) -> ThroughGates {
    Gates(gates.to_vec()).fan_out_with(limit, pass as fn(_) -> _)
}

fn sum(stream: impl Stream<Item = usize>) -> usize {
    let mut stream = pin!(stream);
    let mut sum = 0;
    block_on(poll_fn(|cx| {
        loop {
            match stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(n)) => sum += n,
                Poll::Ready(None) => return Poll::Ready(sum),
                Poll::Pending => return Poll::Pending,
            }
        }
    }))
}

fn open_on_threads(gates: &[Arc<Gate>]) -> Vec<thread::JoinHandle<()>> {
    let openers = gates.iter().cloned().enumerate();
    openers.map(|(n, gate)| thread::spawn(move || gate.open(n + 1))).collect()
}

fn all_come_out(limit: usize, ordered: bool, preemptions: usize) {
    check(preemptions, move || {
        let gates = [Gate::new(), Gate::new()];
        let outputs = fan_out(&gates, limit);
        let threads = open_on_threads(&gates);
        let sum = if ordered { sum(outputs.ordered()) } else { sum(outputs) };
        assert_eq!(sum, 3);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn side_by_side_both_come_out() {
    all_come_out(2, false, 2);
}

#[test]
fn one_after_the_other_both_come_out() {
    all_come_out(1, false, 2);
}

#[test]
fn in_order_both_come_out() {
    all_come_out(2, true, 2);
}

#[test]
fn a_stream_that_is_dropped_while_its_wakers_wake_leaves_nothing_behind() {
    check(3, || {
        let gates = [Gate::new(), Gate::new()];
        let mut outputs = Box::pin(fan_out(&gates, 2));
        let threads = open_on_threads(&gates);
        let _ = outputs.as_mut().poll_next(&mut Context::from_waker(Waker::noop()));
        drop(outputs);
        for thread in threads {
            thread.join().unwrap();
        }
        for gate in gates {
            assert_eq!(Arc::strong_count(&gate), 1, "the futures are gone");
        }
    });
}

/// A stream of so many numbers.
struct Numbers(usize);

impl Stream for Numbers {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        let n = self.0;
        self.0 = n.saturating_sub(1);
        Poll::Ready((n > 0).then_some(n))
    }
}

#[test]
fn a_limit_raised_on_another_thread_lets_a_paused_stream_go_on() {
    check(3, || {
        let limit = Arc::new(Limit::new(0));
        let thread = {
            let limit = limit.clone();
            thread::spawn(move || limit.set(1))
        };
        assert_eq!(sum(Numbers(2).fan_out_with(2, core::future::ready).limit_by(&*limit)), 3);
        thread.join().unwrap();
        assert_eq!(limit.free(), 1);
    });
}

#[test]
fn a_limit_set_by_two_at_once_says_what_streams_hold_to() {
    check(3, || {
        let limit = Arc::new(Limit::new(1));
        let other = {
            let limit = limit.clone();
            thread::spawn(move || limit.set(3))
        };
        limit.set(2);
        other.join().unwrap();
        assert_eq!(limit.get(), limit.free());
    });
}

#[test]
fn two_streams_with_room_for_one_future_both_come_to_their_end() {
    check(2, || {
        let limit = Arc::new(Limit::new(1));
        let other = {
            let limit = limit.clone();
            thread::spawn(move || sum(Numbers(1).fan_out_with(1, core::future::ready).limit_by(&*limit)))
        };
        let gate = Gate::new();
        let opener = open_on_threads(core::slice::from_ref(&gate));
        assert_eq!(sum(fan_out(&[gate], 1).limit_by(&*limit)), 1);
        assert_eq!(other.join().unwrap(), 1);
        for thread in opener {
            thread.join().unwrap();
        }
        assert_eq!(limit.free(), 1);
    });
}

#[test]
fn room_that_an_idle_stream_has_no_use_for_reaches_the_other() {
    /// A source that has nothing yet.
    struct Quiet;

    impl Stream for Quiet {
        type Item = usize;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
            Poll::Pending
        }
    }

    check(2, || {
        let limit = Arc::new(Limit::new(0));
        let thread = {
            let limit = limit.clone();
            thread::spawn(move || limit.set(1))
        };
        let mut idle = Box::pin(Quiet.fan_out_with(1, core::future::ready).limit_by(&*limit));
        let mut busy = Box::pin(Numbers(1).fan_out_with(1, core::future::ready).limit_by(&*limit));
        // One task polls both, whoever was woken.
        let output = block_on(poll_fn(|cx| {
            assert!(idle.as_mut().poll_next(cx).is_pending());
            busy.as_mut().poll_next(cx)
        }));
        assert_eq!(output, Some(1));
        thread.join().unwrap();
    });
}

#[test]
fn a_stream_whose_consumer_is_away_is_not_in_the_queue() {
    check(2, || {
        let semaphore = Arc::new(Semaphore::new(1));
        let gate = Gate::new();
        let opener = open_on_threads(core::slice::from_ref(&gate));
        let mut stream = Box::pin(fan_out(&[Gate::new(), Gate::new(), gate], 3).shared(&*semaphore));
        assert_eq!(block_on(poll_fn(|cx| stream.as_mut().poll_next(cx))), Some(1));
        // The second runs by now, unless the first was ready when it started. The third waits.
        assert_eq!((semaphore.waiters(), semaphore.available_permits()), (0, 1 - stream.in_flight()));
        drop(stream);
        assert_eq!(semaphore.available_permits(), 1);
        for thread in opener {
            thread.join().unwrap();
        }
    });
}

#[test]
fn streams_that_ask_for_two_permits_in_opposite_order_do_not_lock_each_other_out() {
    check(2, || {
        let (one, two) = (Arc::new(Limit::new(1)), Arc::new(Limit::new(1)));
        let other = {
            let (one, two) = (one.clone(), two.clone());
            thread::spawn(move || {
                let stream = Numbers(1).fan_out_with(1, core::future::ready);
                sum(stream.limit_by(&*two).limit_by(&*one))
            })
        };
        let stream = Numbers(1).fan_out_with(1, core::future::ready);
        assert_eq!(sum(stream.limit_by(&*one).limit_by(&*two)), 1);
        assert_eq!(other.join().unwrap(), 1);
        assert_eq!((one.free(), two.free()), (1, 1));
    });
}
