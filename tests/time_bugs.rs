//! Bugs that timers, timeouts and cancellation had elsewhere, each as a test that would have found it. Where a runtime is to
//! blame, a timer that behaves like that runtime's stands for it.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_lite::{StreamExt, future::block_on, stream};
use support::{Wakes, poll, poll_with};
use tollgate::time::{Clock, FnTimer, ManualClock, StdClock, ThreadTimer, Timer, TimerQueue};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 3);

fn next<S: Stream>(stream: std::pin::Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(std::task::Waker::noop()))
}

/// tokio#4291: the inner future uses up the task's budget, and the sleep, which pays from the same, is never polled.
#[test]
fn bug_1_a_future_that_uses_up_the_budget_cannot_keep_the_deadline_away() {
    let clock = ManualClock::new();
    let budget = Cell::new(0);
    let timer = FnTimer(&clock, |d: Duration| {
        let mut sleep = Box::pin(clock.sleep(d));
        let budget = &budget;
        poll_fn(move |cx| if budget.get() == 0 { Poll::Pending } else { sleep.as_mut().poll(cx) })
    });
    let greedy = poll_fn(|cx| {
        budget.set(0);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let mut limited = pin!(greedy.timeout(&timer, SECOND));
    for _ in 0..100 {
        budget.set(128);
        assert!(poll(limited.as_mut()).is_pending());
    }
    clock.advance(SECOND);
    assert_eq!(poll(limited), Poll::Ready(Err(Elapsed)));
}

/// tokio#2542, #6545, #7883: a sleep ends only once its driver was parked, and a busy task does not let it.
#[test]
fn bug_2_a_task_that_is_never_idle_times_out() {
    let undriven = || FnTimer(StdClock, |_| pending::<()>());
    let d = Duration::from_millis(5);
    let begun = Instant::now();
    let mut future = pin!(pending::<()>().timeout(undriven(), d));
    while poll(future.as_mut()).is_pending() {
        assert!(begun.elapsed() < 100 * SECOND);
    }
    assert!(begun.elapsed() >= d);
    let mut items = pin!(stream::repeat(1).stream_deadline(undriven(), Instant::now() + d));
    while next(items.as_mut()) == Poll::Ready(Some(Ok(1))) {
        assert!(begun.elapsed() < 100 * SECOND);
    }
    assert_eq!(next(items), Poll::Ready(None), "after its error");
    let mut idle = pin!(stream::pending::<()>().item_timeout(undriven(), d));
    while next(idle.as_mut()).is_pending() {
        assert!(begun.elapsed() < 100 * SECOND);
    }
}

/// tokio#3551, #6634, #8497, async-io#86, async-std#979, embassy#3204 and many more: a panic for a long duration.
#[test]
fn bug_3_no_duration_and_no_instant_panics() {
    fn try_all<T: Timer + Copy>(timer: T, instants: &[T::Instant]) {
        for d in [Duration::MAX, Duration::MAX - NANO, Duration::from_secs(u64::MAX), Duration::from_secs(u64::MAX / 2)]
        {
            let mut limited = pin!(pending::<()>().timeout(timer, d));
            assert!(poll(limited.as_mut()).is_pending());
            limited.as_mut().extend(d);
            assert!(poll(limited).is_pending());
            assert!(next(pin!(stream::pending::<()>().item_timeout(timer, d))).is_pending());
            let _ = timer.checked_add(timer.now(), d);
        }
        for at in instants {
            let mut limited = pin!(pending::<()>().deadline(timer, *at));
            let first = poll(limited.as_mut());
            limited.as_mut().extend(Duration::MAX);
            assert!(poll(limited.as_mut()).is_pending());
            limited.as_mut().reset(*at);
            assert_eq!(poll(limited), first);
            let _ = poll(pin!(pending::<()>().on_elapsed(timer, *at, || {})));
            let _ = next(pin!(stream::pending::<()>().stream_deadline(timer, *at)));
            let _ = timer.saturating_since(*at, timer.now());
        }
    }
    let clock = ManualClock::new();
    try_all(&clock, &[Duration::ZERO, Duration::from_nanos(u64::MAX), Duration::MAX]);
    let queue = TimerQueue::new().ticks_per_second(u32::MAX);
    try_all(&queue, &[0, u64::MAX - 1, u64::MAX]);
    let now = Instant::now();
    let far = (0..64).rev().filter_map(|bit| now.checked_add(Duration::from_secs(1 << bit))).next().unwrap();
    try_all(ThreadTimer, &[now, far]);
    try_all(&FnTimer(StdClock, |_| pending::<()>()), &[now, far]);
}

/// tokio's DelayQueue: panics for three years (#5536) and on reset and remove (#868, #2473), and loses the wake after the last
/// item was removed (#6751), after a reset to the past (PR#8274), after `clear` (PR#8320), and for an earlier insert (#1700).
#[test]
fn bug_4_a_queue_that_is_changed_wakes_whoever_is_due() {
    let clock = ManualClock::new();
    let (wakes, waker) = Wakes::new();
    let begin = |at| {
        let mut sleep = Box::pin(clock.sleep_until(at));
        assert!(poll_with(sleep.as_mut(), &waker).is_pending());
        sleep
    };
    // The last is removed, and another comes.
    drop(begin(SECOND));
    let another = begin(2 * SECOND);
    clock.advance(2 * SECOND);
    assert_eq!(wakes.take(), 1);
    // A reset of what has fired, of what has not, to the past and to years.
    let mut sleep = another;
    for at in [SECOND, YEARS, 9 * SECOND] {
        (&clock).reset(sleep.as_mut(), at);
        assert_eq!(poll_with(sleep.as_mut(), &waker).is_ready(), at == SECOND);
    }
    (&clock).reset(sleep.as_mut(), SECOND);
    assert_eq!(wakes.take(), 1, "a reset to the past wakes");
    // An earlier one before a later one, and all the others leave.
    let (late, early) = (begin(20 * SECOND), begin(3 * SECOND));
    clock.advance(SECOND);
    assert_eq!(wakes.take(), 1);
    drop((late, early));
    let after = begin(5 * SECOND);
    clock.advance(2 * SECOND);
    assert_eq!((wakes.take(), clock.sleepers()), (1, 0));
    drop(after);
}

/// tokio-util's CancellationToken (#4639, PR#7462, PR#6618): something stays behind, a loop over a hot stream never leaves, the
/// signal is not listened to.
#[test]
fn bug_5_a_signal_is_listened_to_from_the_first_poll_and_leaves_nothing_behind() {
    let clock = ManualClock::new();
    let (wakes, waker) = Wakes::new();
    for _ in 0..100 {
        let mut raced = pin!(pending::<()>().until(clock.sleep_until(YEARS)));
        assert!(poll_with(raced.as_mut(), &waker).is_pending());
        assert_eq!(clock.sleepers(), 1);
    }
    assert_eq!(clock.sleepers(), 0);
    let mut raced = pin!(pending::<()>().until(clock.sleep_until(SECOND)));
    assert!(poll_with(raced.as_mut(), &waker).is_pending());
    clock.advance(SECOND);
    assert_eq!(wakes.count(), 1, "after a single poll");
    assert_eq!(poll(raced), Poll::Ready(Err(())));
    // A loop over a hot stream leaves, if it is the stream that has the deadline.
    let hot = stream::repeat(()).stream_deadline(&clock, 2 * SECOND);
    let mut hot = pin!(hot);
    let mut turns = 0;
    while let Some(Ok(())) = block_on(hot.next()) {
        turns += 1;
        clock.advance(SECOND / 10);
    }
    assert_eq!(turns, 10);
}

/// smol#167, futures-intrusive#18, rtic-time 3.0.0: the first waker stays, and the task that polls now is not woken.
#[test]
fn bug_6_whoever_polled_last_is_woken() {
    let clock = ManualClock::new();
    let (old, old_waker) = Wakes::new();
    let (new, new_waker) = Wakes::new();
    let mut future = pin!(pending::<()>().timeout(&clock, SECOND));
    let mut items = pin!(stream::pending::<()>().item_timeout(&clock, SECOND));
    let mut whole = pin!(stream::pending::<()>().stream_deadline(&clock, SECOND));
    let mut watched = pin!(pending::<()>().on_elapsed(&clock, SECOND, || {}));
    for waker in [&old_waker, &new_waker] {
        let mut cx = Context::from_waker(waker);
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert!(items.as_mut().poll_next(&mut cx).is_pending());
        assert!(whole.as_mut().poll_next(&mut cx).is_pending());
        assert!(watched.as_mut().poll(&mut cx).is_pending());
    }
    clock.advance(SECOND);
    assert_eq!((old.count(), new.count()), (0, 4));
}

/// embassy#5017: one timer at the end of time kept all later ones of its task from firing.
#[test]
fn bug_7_a_timer_at_the_end_of_time_keeps_no_other_from_firing() {
    static QUEUE: TimerQueue = TimerQueue::new();
    let mut last = pin!(QUEUE.sleep_until(u64::MAX));
    let mut almost = pin!(QUEUE.sleep_until(u64::MAX - 1));
    let mut soon = pin!(QUEUE.sleep_until(7));
    for sleep in [last.as_mut(), almost.as_mut(), soon.as_mut()] {
        assert!(poll(sleep).is_pending());
    }
    assert_eq!(QUEUE.next_deadline(), Some(7));
    assert_eq!(QUEUE.advance(7), Some(u64::MAX - 1));
    assert!(poll(soon).is_ready());
    assert_eq!(QUEUE.advance(u64::MAX), None);
    assert!(poll(almost).is_ready());
    assert!(poll(last).is_pending());
}

/// embassy#829, #2100, #2202, #2830, #4489: its integrated timers panic when they are polled with a waker of a combinator.
#[test]
fn bug_8_every_part_is_polled_with_the_waker_of_the_task() {
    let (_, waker) = Wakes::new();
    let own = |cx: &mut Context<'_>| {
        assert!(cx.waker().will_wake(&waker), "a foreign waker");
        Poll::<()>::Pending
    };
    let timer = FnTimer(StdClock, |_| poll_fn(own));
    let at = Instant::now() + SECOND;
    let future =
        poll_fn(own).on_elapsed(&timer, at, || {}).timeout(&timer, SECOND).deadline(&timer, at).until(poll_fn(own));
    assert!(poll_with(pin!(future), &waker).is_pending());
    let items = stream::poll_fn(|cx| own(cx).map(Some)).item_timeout(&timer, SECOND).stream_deadline(&timer, at);
    assert!(pin!(items).poll_next(&mut Context::from_waker(&waker)).is_pending());
}

/// embassy#3758, esp-hal#4212, rtic#851: the counter passes the compare value while that is being set, or a later end
/// overwrites an earlier one, and the interrupt does not come for a whole turn.
#[test]
fn bug_9_a_tickless_driver_that_follows_the_rules_misses_nothing() {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static PENDING: AtomicU64 = AtomicU64::new(0);
    static QUEUE: TimerQueue = TimerQueue::new().clock(count).on_earlier(|_| PENDING.store(1, Ordering::Relaxed));

    static COMPARE: AtomicU64 = AtomicU64::new(u64::MAX);

    /// Reading the counter takes time. The interrupt comes at equality alone, or when it was made pending.
    fn count() -> u64 {
        let now = COUNTER.fetch_add(1, Ordering::Relaxed);
        if now + 1 == COMPARE.load(Ordering::Relaxed) {
            PENDING.store(1, Ordering::Relaxed);
        }
        now
    }

    fn handler() {
        loop {
            let next = QUEUE.advance(count()).unwrap_or(u64::MAX);
            // Until here the counter may have passed `next`, whose interrupt would come a whole turn later.
            let _ = count();
            COMPARE.store(next, Ordering::Relaxed);
            if next > count() {
                return;
            }
        }
    }

    let (wakes, waker) = Wakes::new();
    for n in 0..1000_u64 {
        let start = COUNTER.load(Ordering::Relaxed);
        let mut sleeps: Vec<_> = (0..4).map(|m| Box::pin(QUEUE.sleep_until(start + (n * 7 + m * 5) % 23))).collect();
        let mut waiting = 0;
        for sleep in &mut sleeps {
            waiting += usize::from(poll_with(sleep.as_mut(), &waker).is_pending());
        }
        while count() < start + 60 {
            if PENDING.swap(0, Ordering::Relaxed) == 1 {
                handler();
            }
        }
        assert_eq!((wakes.take(), QUEUE.sleepers()), (waiting, 0), "turn {n}");
    }
}

/// tokio#2566: a stream with a timeout gives one error and is then silent for ever.
#[test]
fn bug_10_after_its_error_a_stream_ends_or_goes_on_with_its_timeout() {
    let clock = ManualClock::new();
    let mut ends = pin!(stream::pending::<()>().item_timeout(&clock, SECOND));
    let mut repeats = pin!(stream::pending::<()>().item_timeout(&clock, SECOND).repeating());
    assert!(next(ends.as_mut()).is_pending());
    for _ in 0..3 {
        assert!(next(repeats.as_mut()).is_pending());
        clock.advance(SECOND);
        assert_eq!(next(repeats.as_mut()), Poll::Ready(Some(Err(Elapsed))));
    }
    assert_eq!(next(ends.as_mut()), Poll::Ready(Some(Err(Elapsed))));
    assert_eq!(next(ends), Poll::Ready(None));
}

/// tokio PR#5947, rust-mqtt#38, Xline#339: a timeout drops a future that was half way, and what it had is lost.
#[test]
fn bug_11_what_was_half_way_at_the_deadline_can_go_on() {
    let clock = ManualClock::new();
    let sent = Cell::new(0);
    let send_two = async {
        for _ in 0..2 {
            clock.sleep(SECOND).await;
            sent.set(sent.get() + 1);
        }
        "sent"
    };
    let mut limited = pin!(send_two.timeout(&clock, SECOND * 3 / 2));
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(SECOND);
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(SECOND / 2);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));
    assert_eq!(sent.get(), 1);
    limited.as_mut().extend(SECOND);
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(SECOND / 2);
    assert_eq!(poll(limited), Poll::Ready(Ok("sent")));
    assert_eq!(sent.get(), 2, "none twice, none not at all");
}

/// async-timer: a safe function moved a pinned future to the stack to poll it.
#[test]
fn bug_12_what_is_inside_never_moves() {
    let place = Cell::new(0);
    let here = |at: usize| assert!(place.replace(at) == 0 || place.get() == at, "it was moved");
    let fixed = async {
        let on_its_frame = 0_u8;
        loop {
            here(&raw const on_its_frame as usize);
            futures_lite::future::yield_now().await;
        }
    };
    let clock = ManualClock::new();
    let slow = fixed.on_elapsed(&clock, SECOND, || {}).timeout(&clock, Duration::ZERO);
    let mut slow = pin!(slow.until(pending::<()>()));
    clock.advance(SECOND);
    let got: Poll<Result<Result<(), Elapsed>, ()>> = poll(slow.as_mut());
    assert_eq!(got, Poll::Ready(Ok(Err(Elapsed))));
    let mut again = slow.as_mut().inner_pin_mut();
    for _ in 0..3 {
        assert_eq!(poll(again.as_mut()), Poll::Ready(Err(Elapsed)));
        again.as_mut().clear();
        assert!(poll(again.as_mut()).is_pending());
        again.as_mut().reset(SECOND);
    }
}

/// stop-token: with tokio no error ever on a stream that is always ready, with async-io an error in each poll and never the end.
#[test]
fn bug_13_a_past_deadline_gives_a_hot_stream_one_error_and_the_end() {
    let late = stream::repeat(1).stream_deadline(FnTimer(StdClock, |_| pending::<()>()), Instant::now());
    assert_eq!(block_on(late.collect::<Vec<_>>()), [Err(Elapsed)]);
    let late = stream::repeat(1).stream_deadline(ThreadTimer, Instant::now());
    assert_eq!(block_on(late.collect::<Vec<_>>()), [Err(Elapsed)]);
}

/// maitake: what passed since an instant was what passed since the start, and durations were rounded down.
#[test]
fn bug_14_time_is_counted_from_the_instant_and_rounded_up() {
    let queue = TimerQueue::new().ticks_per_second(100);
    queue.advance(1000);
    assert_eq!(queue.saturating_since(queue.now(), 990), SECOND / 10);
    assert_eq!(queue.checked_add(1000, Duration::from_millis(11)), Some(1002));
    // From the end of tick 1000, say: 15 ms are not over before tick 1003.
    assert_eq!(queue.after(1000, Duration::from_millis(15)), Some(1003));
    let mut sleep = pin!(queue.sleep(Duration::from_millis(15)));
    assert!(poll(sleep.as_mut()).is_pending());
    queue.advance(1002);
    assert!(poll(sleep.as_mut()).is_pending());
    queue.advance(1003);
    assert!(poll(sleep).is_ready());
}

/// Go (golang#29316, vault#14814, pgx#456): timers of a loop, and contexts not cancelled, stay until their time.
#[test]
fn bug_15_a_loop_of_timeouts_leaves_no_timer_behind() {
    static QUEUE: TimerQueue = TimerQueue::new();
    for n in 0..1000 {
        let mut polls = 0;
        let second_time = poll_fn(|_| {
            polls += 1;
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        let mut limited = pin!(second_time.timeout(&QUEUE, YEARS));
        assert!(poll(limited.as_mut()).is_pending());
        assert_eq!(QUEUE.sleepers(), 1);
        if n % 2 == 0 {
            assert_eq!(poll(limited.as_mut()), Poll::Ready(Ok(())));
            assert_eq!(QUEUE.sleepers(), 0, "as soon as it is finished");
        }
    }
    assert_eq!(QUEUE.sleepers(), 0);
    let mut watched = pin!(ready(()).on_elapsed(&QUEUE, 5, || unreachable!("it has finished")));
    assert!(poll(watched.as_mut()).is_ready());
    assert_eq!(QUEUE.advance(10), None);
}
