//! A deadline for each item of a fan-out, in every storage; polled by hand and through the public API alone.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Limit, WakeTable};
use tollgate::time::{Clock, FnTimer, ManualClock, QueueSleep, ThreadTimer, Timer};
use tollgate::{Elapsed, FanOutExt, Semaphore};

const SECOND: Duration = Duration::from_secs(1);

/// Does the same on the heap, inline, and inline with a wake table, each with a clock of its own.
macro_rules! everywhere {
    (|$clock:ident| $source:expr, $n:literal, $f:expr, [$($chain:tt)*], |$outputs:ident| $body:block) => {{
        {
            let $clock = &ManualClock::new();
            let mut $outputs = pin!($source.fan_out_with($n, $f)$($chain)*);
            $body
        }
        {
            let $clock = &ManualClock::new();
            let mut $outputs = pin!($source.fan_out_inline_with::<$n, _, _>($f)$($chain)*);
            $body
        }
        {
            let $clock = &ManualClock::new();
            let table: &'static WakeTable<1> = support::forever(WakeTable::new());
            let mut $outputs = pin!($source.fan_out_inline_with::<$n, _, _>($f).wake_table(table)$($chain)*);
            $body
        }
    }};
}

fn next<S: Stream>(stream: &mut Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
}

/// All that there is to be had by now.
fn drain<S: Stream>(stream: &mut Pin<&mut S>) -> Vec<S::Item> {
    let mut items = Vec::new();
    while let Poll::Ready(Some(item)) = next(stream) {
        items.push(item);
    }
    items
}

struct Wakes(AtomicUsize);

impl Wakes {
    fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self(AtomicUsize::new(0)));
        (wakes.clone(), wakes.into())
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sleeps for so many seconds and gives their number.
async fn takes(clock: &ManualClock, seconds: u64) -> u64 {
    clock.sleep(Duration::from_secs(seconds)).await;
    seconds
}

// === what comes out, and when ===

#[test]
fn an_item_that_takes_too_long_is_dropped_and_its_error_comes_as_soon_as_its_time_is_over() {
    everywhere!(
        |clock| stream::iter([1, 9, 3, 9, 2]),
        5,
        |n| takes(clock, n),
        [.each_timeout(clock, 4 * SECOND)],
        |outputs| {
            let mut seen = Vec::new();
            seen.extend(drain(&mut outputs));
            clock.advance_with(20 * SECOND, || {
                let now = drain(&mut outputs);
                assert!(now.is_empty() || clock.now() <= 4 * SECOND);
                seen.extend(now);
            });
            assert_eq!(seen, [Ok(1), Ok(2), Ok(3), Err(Elapsed), Err(Elapsed)]);
        }
    );
}

#[test]
fn in_order_the_error_comes_when_it_is_that_items_turn() {
    everywhere!(
        |clock| stream::iter([3, 9, 1, 9, 2]),
        5,
        |n| takes(clock, n),
        [.each_timeout(clock, 4 * SECOND).ordered()],
        |outputs| {
            assert!(next(&mut outputs).is_pending());
            clock.advance(3 * SECOND);
            assert_eq!(drain(&mut outputs), [Ok(3)]);
            clock.advance(SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed), Ok(1), Err(Elapsed), Ok(2)]);
            assert_eq!(next(&mut outputs), Poll::Ready(None));
        }
    );
    everywhere!(
        |clock| stream::iter([6, 9, 1]),
        3,
        |n| async move {
            if n != 6 {
                takes(clock, n).await;
            }
        },
        [.ordered().each_timeout(clock, 4 * SECOND)],
        |outputs| {
            assert_eq!(drain(&mut outputs), [Ok(())], "may be set before or after the order");
            clock.advance(4 * SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed), Ok(())]);
        }
    );
}

#[test]
fn time_counts_from_an_items_own_start() {
    // Two at once: the third one starts when the first is over.
    everywhere!(
        |clock| stream::iter([3, 3, 3, 5, 5]),
        2,
        |n| takes(clock, n),
        [.each_timeout(clock, 4 * SECOND)],
        |outputs| {
            assert!(next(&mut outputs).is_pending());
            clock.advance(3 * SECOND);
            assert_eq!(drain(&mut outputs), [Ok(3), Ok(3)]);
            clock.advance(3 * SECOND);
            assert_eq!(drain(&mut outputs), [Ok(3)]);
            clock.advance(SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed)], "started at 3");
            clock.advance(2 * SECOND);
            assert_eq!(drain(&mut outputs), []);
            clock.advance(SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed)], "started at 6");
            assert_eq!(next(&mut outputs), Poll::Ready(None));
        }
    );
}

#[test]
fn items_that_were_taken_and_wait_lose_no_time() {
    let clock = &ManualClock::new();
    let mut outputs =
        pin!(stream::iter([3, 3, 3]).fan_out_with(1, |n| takes(clock, n)).window(3).each_timeout(clock, 4 * SECOND));
    let mut seen = drain(&mut outputs);
    assert_eq!((outputs.in_flight(), outputs.waiting()), (1, 2));
    clock.advance_with(9 * SECOND, || seen.extend(drain(&mut outputs)));
    assert_eq!(seen, [Ok(3), Ok(3), Ok(3)]);
}

#[test]
fn a_duration_of_zero_is_one_poll() {
    let polls = Cell::new(0);
    everywhere!(
        |clock| stream::iter([false, true, false, true]),
        2,
        |is_ready| {
            let polls = &polls;
            poll_fn(move |_| {
                polls.set(polls.get() + 1);
                if is_ready { Poll::Ready(()) } else { Poll::Pending }
            })
        },
        [.each_timeout(clock, Duration::ZERO).ordered()],
        |outputs| {
            polls.set(0);
            assert_eq!(drain(&mut outputs), [Err(Elapsed), Ok(()), Err(Elapsed), Ok(())]);
            assert_eq!((polls.get(), clock.sleepers()), (4, 0));
            assert_eq!(next(&mut outputs), Poll::Ready(None));
        }
    );
}

#[test]
fn what_the_clock_cannot_represent_is_never_over() {
    for duration in [Duration::MAX, Duration::from_secs(1 << 60)] {
        everywhere!(
            |clock| stream::iter([1, 3]),
            2,
            |n| takes(clock, n * 1_000_000_000),
            [.each_timeout(clock, duration)],
            |outputs| {
                assert!(next(&mut outputs).is_pending());
                assert_eq!(clock.sleepers(), 2, "only the items'");
                clock.advance(SECOND * 3_000_000_000);
                assert_eq!(drain(&mut outputs), [Ok(1_000_000_000), Ok(3_000_000_000)]);
            }
        );
    }
}

#[test]
fn a_value_that_is_ready_wins_however_late_anybody_comes_to_look() {
    for late in [4, 100] {
        everywhere!(
            |clock| stream::iter([4, 2]),
            2,
            |n| takes(clock, n),
            [.each_timeout(clock, 4 * SECOND).ordered()],
            |outputs| {
                assert!(next(&mut outputs).is_pending());
                clock.advance(late * SECOND);
                assert_eq!(drain(&mut outputs), [Ok(4), Ok(2)]);
            }
        );
    }
}

// === keeping the task busy ===

#[test]
fn an_item_that_always_wakes_itself_runs_into_its_deadline() {
    everywhere!(
        |clock| stream::iter([0, 1]),
        2,
        |_| poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }),
        [.each_timeout(clock, 4 * SECOND)],
        |outputs| {
            for _ in 0..4 {
                assert!(next(&mut outputs).is_pending());
                clock.advance(SECOND);
            }
            assert_eq!(drain(&mut outputs), [Err(Elapsed), Err(Elapsed)]);
        }
    );
}

#[test]
fn a_source_that_is_always_ready_does_not_outrun_a_deadline() {
    everywhere!(
        |clock| stream::iter(0_u64..),
        2,
        |n| async move { if n == 0 { pending().await } else { n } },
        [.each_timeout(clock, 4 * SECOND)],
        |outputs| {
            for _ in 0..4 {
                assert!(matches!(next(&mut outputs), Poll::Ready(Some(Ok(_)))));
                clock.advance(SECOND);
            }
            let soon = (0..4).any(|_| next(&mut outputs) == Poll::Ready(Some(Err(Elapsed))));
            assert!(soon, "the error is out within a few polls");
        }
    );
}

// === one sleep ===

/// Counts what is asked of it.
struct Counting<'c> {
    clock: &'c ManualClock,
    made: &'c Cell<usize>,
    reset: &'c Cell<usize>,
    reads: &'c Cell<usize>,
}

impl Clock for Counting<'_> {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.reads.set(self.reads.get() + 1);
        self.clock.now()
    }

    fn checked_add(&self, at: Duration, duration: Duration) -> Option<Duration> {
        self.clock.checked_add(at, duration)
    }

    fn saturating_since(&self, later: Duration, earlier: Duration) -> Duration {
        self.clock.saturating_since(later, earlier)
    }
}

impl<'c> Timer for Counting<'c> {
    type Sleep = QueueSleep<'c>;

    fn sleep_until(&self, at: Duration) -> QueueSleep<'c> {
        self.made.set(self.made.get() + 1);
        self.clock.sleep_until(at)
    }

    fn reset(&self, sleep: Pin<&mut QueueSleep<'c>>, at: Duration) {
        self.reset.set(self.reset.get() + 1);
        Timer::reset(&self.clock, sleep, at);
    }
}

#[test]
fn one_sleep_serves_all_items_and_is_moved_only_when_it_is_over() {
    let clock = &ManualClock::new();
    let (made, reset, reads) = (&Cell::new(0), &Cell::new(0), &Cell::new(0));
    let timer = Counting { clock, made, reset, reads };
    let jobs = stream::iter(0..2000).fan_out_with(50, |n| async move {
        clock.sleep(Duration::from_millis(10 + n % 7)).await;
    });
    let mut outputs = pin!(jobs.each_timeout(timer, SECOND));
    let mut out = drain(&mut outputs).len();
    assert_eq!((made.get(), clock.sleepers()), (1, 51), "one beside those of the items");
    while out < 2000 {
        assert!(clock.step());
        out += drain(&mut outputs).len();
    }
    assert!(clock.now() < SECOND, "none of them was late");
    assert_eq!((made.get(), reset.get()), (1, 0));
    assert_eq!(next(&mut outputs), Poll::Ready(None));
    assert_eq!(clock.sleepers(), 0, "nothing is left when the stream is over");
}

#[test]
fn the_sleep_goes_from_one_deadline_to_the_next() {
    let clock = &ManualClock::new();
    let (made, reset, reads) = (&Cell::new(0), &Cell::new(0), &Cell::new(0));
    let timer = Counting { clock, made, reset, reads };
    // One starts each second, and none of them finishes.
    let source = stream::iter(0..10).then(|n| async move {
        clock.sleep_until(SECOND * n).await;
        n
    });
    let mut outputs = pin!(source.fan_out_with(10, |_| pending::<()>()).each_timeout(timer, SECOND * 20));
    let mut times = Vec::new();
    assert!(next(&mut outputs).is_pending());
    clock.advance_with(60 * SECOND, || {
        for item in drain(&mut outputs) {
            assert_eq!(item, Err(Elapsed));
            times.push(clock.now().as_secs());
        }
    });
    assert_eq!(times, (20..30).collect::<Vec<_>>());
    assert_eq!((made.get(), reset.get()), (1, 9));
}

#[test]
fn the_task_is_woken_at_the_first_deadline_and_not_polled_in_vain_before() {
    let clock = &ManualClock::new();
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    let mut outputs = pin!(stream::iter(0..3).fan_out_with(3, |_| pending::<()>()).each_timeout(clock, 4 * SECOND));
    assert!(outputs.as_mut().poll_next(cx).is_pending());
    clock.advance(3 * SECOND);
    assert_eq!(wakes.take(), 0);
    clock.advance(SECOND);
    assert_eq!(wakes.take(), 1);
    for _ in 0..3 {
        assert_eq!(outputs.as_mut().poll_next(cx), Poll::Ready(Some(Err(Elapsed))));
    }
}

#[test]
fn items_that_are_ready_at_once_touch_neither_clock_nor_timer() {
    let clock = &ManualClock::new();
    let (made, reset, reads) = (&Cell::new(0), &Cell::new(0), &Cell::new(0));
    let timer = Counting { clock, made, reset, reads };
    let outputs = stream::iter(0..1000).fan_out_with(8, ready).each_timeout(timer, SECOND);
    assert_eq!(block_on(outputs.count()), 1000);
    assert_eq!((made.get(), reset.get(), reads.get()), (0, 0, 0));
}

#[test]
fn the_clock_is_read_once_a_start_and_once_a_poll() {
    let clock = &ManualClock::new();
    let (made, reset, reads) = (&Cell::new(0), &Cell::new(0), &Cell::new(0));
    let timer = Counting { clock, made, reset, reads };
    let mut outputs = pin!(stream::iter(0..40).fan_out_with(40, |_| pending::<()>()).each_timeout(timer, SECOND));
    assert!(next(&mut outputs).is_pending());
    assert_eq!(reads.take(), 40);
    assert!(next(&mut outputs).is_pending());
    assert_eq!(reads.take(), 1);
}

#[test]
fn a_timer_that_is_early_makes_nothing_early() {
    let clock = &ManualClock::new();
    // Its sleeps are over after half the time, and panic when they are polled after that.
    let timer = FnTimer(clock, |duration: Duration| async move { clock.sleep(duration / 2).await });
    let mut outputs = pin!(stream::iter(0..3).fan_out_with(3, |_| pending::<()>()).each_timeout(timer, 8 * SECOND));
    let mut out = drain(&mut outputs).len();
    clock.advance_with(8 * SECOND - Duration::from_nanos(1), || out += drain(&mut outputs).len());
    assert_eq!(out, 0);
    clock.advance_with(Duration::from_nanos(1), || out += drain(&mut outputs).len());
    assert_eq!(out, 3);
}

#[test]
fn a_timer_that_never_waits_keeps_the_task_awake_and_makes_nothing_early() {
    let clock = &ManualClock::new();
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    let timer = FnTimer(clock, |_| async {});
    let mut outputs = pin!(stream::iter(0..3).fan_out_with(3, |_| pending::<()>()).each_timeout(timer, 8 * SECOND));
    for _ in 0..8 {
        assert!(outputs.as_mut().poll_next(cx).is_pending());
        assert!(wakes.take() > 0);
        clock.advance(SECOND);
    }
    assert_eq!(drain(&mut outputs).len(), 3);
}

#[test]
fn a_stream_on_the_heap_can_be_moved_though_the_sleep_cannot() {
    let clock = &ManualClock::new();
    let mut outputs = stream::iter(0..3).fan_out_with(3, |_| pending::<()>()).each_timeout(clock, SECOND);
    assert!(block_on(futures_lite::future::poll_once(outputs.next())).is_none());
    assert_eq!(clock.sleepers(), 1);
    let mut moved = outputs;
    clock.advance(SECOND);
    assert_eq!(block_on(moved.next()), Some(Err(Elapsed)));
}

// === what an item had is free when it is dropped ===

#[test]
fn the_permit_of_a_late_item_goes_to_the_next() {
    let connections = &Semaphore::new(1);
    everywhere!(
        |clock| stream::iter([9, 1, 9]),
        3,
        |n| takes(clock, n),
        [.shared(connections).each_timeout(clock, 4 * SECOND)],
        |outputs| {
            let mut times = Vec::new();
            let mut note = || times.extend(drain(&mut outputs).into_iter().map(|item| (clock.now().as_secs(), item)));
            note();
            clock.advance_with(20 * SECOND, note);
            assert_eq!(times, [(4, Err(Elapsed)), (5, Ok(1)), (9, Err(Elapsed))]);
            assert_eq!(connections.available_permits(), 1);
        }
    );
}

#[test]
fn the_place_of_a_late_item_under_a_limit_goes_to_the_next() {
    let limit = &Limit::new(1);
    everywhere!(
        |clock| stream::iter([9, 1, 9]),
        3,
        |n| takes(clock, n),
        [.each_timeout(clock, 4 * SECOND).limit_by(limit)],
        |outputs| {
            let mut times = Vec::new();
            let mut note = || times.extend(drain(&mut outputs).into_iter().map(|item| (clock.now().as_secs(), item)));
            note();
            clock.advance_with(20 * SECOND, note);
            assert_eq!(times, [(4, Err(Elapsed)), (5, Ok(1)), (9, Err(Elapsed))]);
        }
    );
}

#[test]
fn the_weight_of_a_late_item_is_free_for_the_next() {
    everywhere!(
        |clock| stream::iter([9, 2, 1]),
        3,
        |n| takes(clock, n),
        [.each_timeout(clock, 4 * SECOND).weighted(|&n| if n == 9 { 3 } else { 1 })],
        |outputs| {
            assert!(next(&mut outputs).is_pending());
            assert_eq!(outputs.in_flight(), 1);
            clock.advance(4 * SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed)]);
            assert_eq!(outputs.in_flight(), 2);
            clock.advance(4 * SECOND);
            assert_eq!(drain(&mut outputs).len(), 2);
        }
    );
}

#[test]
fn the_next_of_the_same_key_starts_when_a_late_one_is_dropped() {
    everywhere!(
        |clock| stream::iter([("a", 9), ("a", 1), ("b", 2)]),
        3,
        |(_, n)| takes(clock, n),
        [.keyed(|(key, _)| *key).each_timeout(clock, 4 * SECOND)],
        |outputs| {
            let mut times = Vec::new();
            let mut note = || times.extend(drain(&mut outputs).into_iter().map(|item| (clock.now().as_secs(), item)));
            note();
            clock.advance_with(20 * SECOND, note);
            assert_eq!(times, [(2, Ok(2)), (4, Err(Elapsed)), (5, Ok(1))]);
        }
    );
}

#[test]
fn a_late_item_is_dropped_before_its_error_is_handed_out_and_once() {
    struct Dropped(Rc<Cell<usize>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    everywhere!(
        |clock| stream::iter(0..6),
        3,
        |_| {
            let held = Dropped(drops.clone());
            async move {
                pending::<()>().await;
                drop(held);
            }
        },
        [.each_timeout(clock, SECOND)],
        |outputs| {
            drops.set(0);
            assert!(next(&mut outputs).is_pending());
            clock.advance(SECOND);
            assert_eq!(next(&mut outputs), Poll::Ready(Some(Err(Elapsed))));
            assert!(drops.get() >= 1);
            clock.advance(SECOND);
            clock.advance(SECOND);
            let mut out = 1;
            while out < 6 {
                out += drain(&mut outputs).len();
                clock.advance(SECOND);
            }
            assert_eq!(drops.get(), 6);
        }
    );
}

// === consumers ===

#[test]
fn deadlines_come_while_a_consumer_keeps_the_work_going() {
    let clock = &ManualClock::new();
    let outputs = stream::iter([1, 9]).fan_out_with(2, |n| takes(clock, n)).each_timeout(clock, 4 * SECOND);
    let dropped_at = Cell::new(Duration::ZERO);
    let seen = RefCell::new(Vec::new());
    let mut all = pin!(outputs.for_each(|item| {
        seen.borrow_mut().push(item);
        let dropped_at = &dropped_at;
        async move {
            if item.is_ok() {
                clock.sleep(10 * SECOND).await;
                dropped_at.set(clock.now());
            }
        }
    }));
    let poll = |all: Pin<&mut dyn Future<Output = ()>>| all.poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll(all.as_mut()).is_pending());
    let mut done = false;
    clock.advance_with(20 * SECOND, || {
        if !done {
            done = poll(all.as_mut()).is_ready();
            if clock.now() == 4 * SECOND {
                assert_eq!(clock.sleepers(), 1, "the late one was dropped beside the body: only the body sleeps");
            }
        }
    });
    assert!(done);
    assert_eq!(*seen.borrow(), [Ok(1), Err(Elapsed)]);
    assert_eq!(dropped_at.get(), 11 * SECOND);
}

#[test]
fn it_works_with_no_runtime_at_all() {
    let outputs = stream::iter(0..20_u64).fan_out_with(10, |n| async move {
        if n % 4 == 0 {
            pending::<()>().await;
        }
        yield_now().await;
        n
    });
    let outputs = outputs.each_timeout(ThreadTimer, Duration::from_millis(5)).ordered();
    let outputs: Vec<_> = block_on(outputs.collect());
    let late = outputs.iter().step_by(4).all(|item| *item == Err(Elapsed));
    assert!(late && outputs.len() == 20, "{outputs:?}");
}

// === panics ===

#[test]
fn a_panic_of_an_item_leaves_the_deadlines_of_the_others_alone() {
    everywhere!(
        |clock| stream::iter(0..3),
        3,
        |n| {
            let mut polls = 0;
            poll_fn(move |cx| {
                polls += 1;
                assert!(n != 1 || polls < 2, "as expected");
                if n == 1 {
                    cx.waker().wake_by_ref();
                }
                Poll::<()>::Pending
            })
        },
        [.each_timeout(clock, SECOND)],
        |outputs| {
            let panicked = catch_unwind(AssertUnwindSafe(|| (0..2).for_each(|_| _ = next(&mut outputs))));
            assert!(panicked.is_err());
            assert!(next(&mut outputs).is_pending());
            assert_eq!(outputs.in_flight(), 2);
            clock.advance(SECOND);
            assert_eq!(drain(&mut outputs), [Err(Elapsed), Err(Elapsed)]);
            assert_eq!(next(&mut outputs), Poll::Ready(None));
        }
    );
}

#[test]
fn a_late_item_whose_drop_panics_leaves_its_error_and_the_others() {
    struct Grenade(bool);
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(!self.0 || std::thread::panicking(), "as expected");
        }
    }
    everywhere!(
        |clock| stream::iter(0..3),
        3,
        |n| {
            let held = Grenade(n == 1);
            async move {
                pending::<()>().await;
                drop(held);
            }
        },
        [.each_timeout(clock, SECOND).ordered()],
        |outputs| {
            assert!(next(&mut outputs).is_pending());
            clock.advance(SECOND);
            assert!(catch_unwind(AssertUnwindSafe(|| next(&mut outputs))).is_err());
            assert_eq!(drain(&mut outputs), [Err(Elapsed); 3]);
            assert_eq!(next(&mut outputs), Poll::Ready(None));
        }
    );
}

// === at random ===

/// Gives its number after so many seconds, and counts how many run.
async fn counted(running: &Cell<usize>, clock: &ManualClock, (n, seconds): (usize, u64)) -> usize {
    struct Running<'a>(&'a Cell<usize>);
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() - 1);
        }
    }
    running.set(running.get() + 1);
    let _running = Running(running);
    assert!(running.get() <= 6);
    clock.sleep(Duration::from_secs(seconds)).await;
    n
}

/// What is known beforehand: an item that takes no longer than the time gives its number, any other an error, each at the
/// very instant.
#[test]
fn whatever_the_items_take_each_has_its_result_at_its_time_and_in_its_order() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    for round in 0..200 {
        let time = random(12);
        let items: Vec<(usize, u64)> = (0..40).map(|n| (n, random(16))).collect();
        let expect =
            |(n, takes): (usize, u64)| if takes == 0 || takes <= time && time > 0 { Ok(n) } else { Err(Elapsed) };
        let check = |out: Vec<(u64, Result<usize, Elapsed>)>, is_ordered: bool| {
            if is_ordered {
                let items: Vec<_> = items.iter().copied().map(expect).collect();
                assert_eq!(out.iter().map(|(_, item)| *item).collect::<Vec<_>>(), items, "round {round}");
                return;
            }
            // As many at once as can be: the same by hand.
            let mut free_at = [0; 6];
            let mut expected: Vec<_> = items
                .iter()
                .map(|&(n, takes)| {
                    let first = free_at.iter_mut().min().unwrap();
                    *first += takes.min(time);
                    (*first, expect((n, takes)))
                })
                .collect();
            let mut out = out;
            let by_time = |(at, item): &(u64, Result<usize, Elapsed>)| (*at, item.unwrap_or(usize::MAX));
            expected.sort_by_key(by_time);
            out.sort_by_key(by_time);
            assert_eq!(out, expected, "round {round}, {time} seconds each");
        };
        let running = Cell::new(0);
        everywhere!(
            |clock| stream::iter(items.clone()),
            6,
            |item| counted(&running, clock, item),
            [.each_timeout(clock, SECOND * time as u32)],
            |outputs| {
                let mut out = Vec::new();
                let mut note = || out.extend(drain(&mut outputs).into_iter().map(|item| (clock.now().as_secs(), item)));
                note();
                clock.advance_with(1000 * SECOND, note);
                check(out, false);
            }
        );
        everywhere!(
            |clock| stream::iter(items.clone()),
            6,
            |item| counted(&running, clock, item),
            [.ordered().each_timeout(clock, SECOND * time as u32)],
            |outputs| {
                let mut out = Vec::new();
                let mut note = || out.extend(drain(&mut outputs).into_iter().map(|item| (clock.now().as_secs(), item)));
                note();
                clock.advance_with(1000 * SECOND, note);
                check(out, true);
            }
        );
    }
}
