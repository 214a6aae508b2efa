//! Deadlines, polled by hand and through the public API alone.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use futures_lite::future::block_on;
use support::watched_lock::{WatchedLock, taken_by};
use tollgate::time::{
    Clock, Deadline, FnTimer, ManualClock, QueueSleep, StdClock, ThreadTimer, Timer, TimerQueue, Until,
};
use tollgate::{DeadlineExt, Elapsed, LocalLock};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);
const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 3);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (count.clone(), count.into())
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

// === the grid: wrapper x future x limit ===

#[derive(Debug, Clone, Copy, PartialEq)]
enum Inner {
    AtOnce,
    JustBefore,
    ExactlyAt,
    Never,
    /// Pending for ever, and wakes itself in each poll.
    Hot,
}

const INNERS: [Inner; 5] = [Inner::AtOnce, Inner::JustBefore, Inner::ExactlyAt, Inner::Never, Inner::Hot];

#[derive(Debug, Clone, Copy)]
enum Limit {
    Timeout(Duration),
    Deadline(Duration),
    /// A sleep as the signal.
    Until(Duration),
}

/// What has to come of it: when, and whether it is the value.
type Verdict = Option<(Duration, bool)>;

fn verdict(inner: Inner, start: Duration, at: Option<Duration>) -> Verdict {
    let value = match inner {
        Inner::AtOnce => Some(start),
        Inner::JustBefore => at.map(|at| at.saturating_sub(NANO).max(start)),
        Inner::ExactlyAt => at.map(|at| at.max(start)),
        Inner::Never | Inner::Hot => None,
    };
    match (value, at.map(|at| at.max(start))) {
        (Some(value), Some(at)) if value <= at => Some((value, true)),
        (_, Some(at)) => Some((at, false)),
        (value, None) => value.map(|value| (value, true)),
    }
}

fn run_grid_case(inner: Inner, limit: Limit) {
    let start = Duration::from_secs(1000);
    let clock = ManualClock::new();
    clock.advance(start);
    let at = match limit {
        Limit::Timeout(d) => clock.checked_add(start, d),
        Limit::Deadline(at) | Limit::Until(at) => {
            Some(at).filter(|at| u64::try_from(at.as_nanos()).is_ok_and(|at| at < u64::MAX))
        }
    };
    let expected = verdict(inner, start, at);
    let polls = Cell::new(0);
    let mut alarm = pin!(clock.sleep_until(match (inner, at) {
        (Inner::JustBefore, Some(at)) => at.saturating_sub(NANO),
        (Inner::ExactlyAt, Some(at)) => at,
        _ => Duration::MAX,
    }));
    let future = poll_fn(|cx: &mut Context<'_>| {
        polls.set(polls.get() + 1);
        match inner {
            Inner::AtOnce => Poll::Ready(()),
            Inner::Hot => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => alarm.as_mut().poll(cx),
        }
    });
    let clock = &clock;
    let mut limited: Pin<Box<dyn Future<Output = bool>>> = match limit {
        Limit::Timeout(d) => Box::pin(async move { future.timeout(clock, d).await.is_ok() }),
        Limit::Deadline(at) => Box::pin(async move { future.deadline(clock, at).await.is_ok() }),
        Limit::Until(at) => Box::pin(async move { future.until(clock.sleep_until(at)).await.is_ok() }),
    };
    let (woken, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    let mut seen = 0;
    let got = loop {
        if let Poll::Ready(ok) = limited.as_mut().poll(&mut cx) {
            break Some((clock.now(), ok));
        }
        // Woken at once: a hot task gets a few polls more. Else nothing happens before the next sleep's end.
        if woken.get() > seen && polls.get() % 4 != 0 {
            seen = woken.get();
        } else if !clock.step() {
            break None;
        }
    };
    assert_eq!(got, expected, "{inner:?} {limit:?}");
    if expected == Some((start, false)) {
        assert_eq!(polls.get(), 1, "{inner:?} {limit:?}: one poll has to do");
    }
    drop(limited);
    assert_eq!(clock.sleepers(), 0, "{inner:?} {limit:?}: a sleep is left behind");
}

#[test]
fn every_wrapper_keeps_its_promise_for_every_future_and_limit() {
    let durations = [Duration::ZERO, NANO, SECOND, YEARS, Duration::MAX];
    let now = Duration::from_secs(1000);
    let end = Duration::from_nanos(u64::MAX - 1);
    let instants =
        [Duration::ZERO, now - NANO, now, now + NANO, now + SECOND, now + YEARS, end, end + NANO, Duration::MAX];
    for inner in INNERS {
        for d in durations {
            run_grid_case(inner, Limit::Timeout(d));
        }
        for at in instants {
            run_grid_case(inner, Limit::Deadline(at));
            run_grid_case(inner, Limit::Until(at));
        }
    }
}

#[test]
fn the_thread_timer_keeps_the_promise_for_every_future_and_limit() {
    let short = Duration::from_millis(5);
    let start = Instant::now();
    let beyond = [start.checked_add(YEARS), start.checked_add(Duration::from_secs(u64::MAX / 4))];
    for d in [Duration::ZERO, NANO, short, YEARS, Duration::MAX] {
        assert_eq!(block_on(ready(1).timeout(ThreadTimer, d)), Ok(1));
        let comes = d <= short;
        for hot in [false, true] {
            let begun = Instant::now();
            let future = poll_fn(|cx: &mut Context<'_>| {
                if hot {
                    cx.waker().wake_by_ref();
                }
                if comes || begun.elapsed() < 3 * short { Poll::<()>::Pending } else { Poll::Ready(()) }
            });
            let nudge = pending::<()>().timeout(ThreadTimer, 4 * short);
            let mut future = pin!(future.timeout(ThreadTimer, d));
            let mut nudge = pin!(nudge);
            let got = block_on(poll_fn(|cx| {
                let _ = nudge.as_mut().poll(cx);
                future.as_mut().poll(cx)
            }));
            assert_eq!(got.is_err(), comes, "{d:?} {hot}");
            assert!(!comes || begun.elapsed() >= d, "early");
        }
    }
    for at in beyond.into_iter().flatten() {
        assert_eq!(block_on(ready(1).deadline(ThreadTimer, at)), Ok(1));
        let mut never = pin!(pending::<()>().deadline(ThreadTimer, at));
        assert!(poll(never.as_mut()).is_pending());
    }
    let past = start.checked_sub(short).unwrap_or(start);
    for at in [past, start] {
        let mut late = pin!(pending::<()>().deadline(ThreadTimer, at));
        assert_eq!(poll(late.as_mut()), Poll::Ready(Err(Elapsed)));
    }
}

// === bugs that others had ===

#[test]
fn a_task_that_keeps_itself_busy_times_out() {
    // tokio#2542, #6545, #7883: only a parked driver makes a sleep ready. Here nobody drives the timer at all.
    let mut limited = pin!(pending::<()>().timeout(FnTimer(StdClock, |_| pending::<()>()), Duration::from_millis(5)));
    let begun = Instant::now();
    while poll(limited.as_mut()).is_pending() {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert!(begun.elapsed() >= Duration::from_millis(5));
}

#[test]
fn zero_and_past_are_errors_in_the_first_poll_and_make_no_timer() {
    // tokio and embassy say pending first.
    let timer = FnTimer(StdClock, |_| -> std::future::Ready<()> { panic!("no timer is needed") });
    assert_eq!(poll(pin!(pending::<()>().timeout(&timer, Duration::ZERO))), Poll::Ready(Err(Elapsed)));
    assert_eq!(poll(pin!(pending::<()>().deadline(&timer, Instant::now()))), Poll::Ready(Err(Elapsed)));
    assert_eq!(poll(pin!(ready(1).timeout(&timer, SECOND))), Poll::Ready(Ok(1)));
}

#[test]
fn a_value_that_is_ready_as_the_time_comes_is_not_lost() {
    // smol-timeout and stop-token ask the timer first; kotlinx#3504.
    let clock = ManualClock::new();
    let mut value = pin!(clock.sleep_until(SECOND));
    let mut limited = pin!(poll_fn(|cx| value.as_mut().poll(cx)).timeout(&clock, SECOND));
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(10 * SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn three_years_is_an_ordinary_duration() {
    // tokio's DelayQueue, #5536.
    let clock = ManualClock::new();
    let mut limited = pin!(pending::<()>().timeout(&clock, YEARS));
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(YEARS - NANO);
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(NANO);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));
}

#[test]
fn an_endless_timeout_leaves_later_ones_alone() {
    // embassy#5017: a timer at the last instant took the others with it.
    static QUEUE: TimerQueue = TimerQueue::new();
    let mut endless = pin!(pending::<()>().timeout(&QUEUE, Duration::MAX));
    let mut last = pin!(pending::<()>().deadline(&QUEUE, u64::MAX));
    assert!(poll(endless.as_mut()).is_pending());
    assert!(poll(last.as_mut()).is_pending());
    assert_eq!((QUEUE.sleepers(), QUEUE.next_deadline()), (0, None), "never is not kept");
    let mut short = pin!(pending::<()>().deadline(&QUEUE, 5));
    assert!(poll(short.as_mut()).is_pending());
    assert_eq!(QUEUE.next_deadline(), Some(5));
    assert_eq!(QUEUE.advance(u64::MAX), None);
    assert_eq!(poll(short.as_mut()), Poll::Ready(Err(Elapsed)));
    assert!(poll(endless.as_mut()).is_pending());
    assert!(poll(last.as_mut()).is_pending(), "even at the end of time");
}

#[test]
fn the_newest_waker_is_woken() {
    // rtic-time 3.0.0, smol#167, futures-intrusive#19.
    let clock = ManualClock::new();
    let (a, a_waker) = Count::new();
    let (b, b_waker) = Count::new();
    let mut limited = pin!(pending::<()>().timeout(&clock, SECOND));
    assert!(limited.as_mut().poll(&mut Context::from_waker(&a_waker)).is_pending());
    assert!(limited.as_mut().poll(&mut Context::from_waker(&b_waker)).is_pending());
    clock.advance(SECOND);
    assert_eq!((a.get(), b.get()), (0, 1));
}

#[test]
fn the_waker_passed_down_is_the_callers_own() {
    // embassy#829 and others: its integrated timers take none but embassy's wakers.
    let (_, waker) = Count::new();
    let same = |cx: &mut Context<'_>| {
        assert!(cx.waker().will_wake(&waker));
        Poll::<()>::Pending
    };
    let timer = FnTimer(StdClock, |_| poll_fn(same));
    let mut limited = pin!(poll_fn(same).timeout(&timer, SECOND).until(poll_fn(same)));
    assert!(limited.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
}

#[test]
fn dropping_a_deadline_takes_its_sleep_out_of_the_queue() {
    // embassy keeps it and wakes the task for nothing.
    let clock = ManualClock::new();
    let (count, waker) = Count::new();
    {
        let mut limited = pin!(pending::<()>().timeout(&clock, SECOND));
        assert!(limited.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(clock.sleepers(), 1);
    }
    assert_eq!(clock.sleepers(), 0);
    clock.advance(SECOND);
    assert_eq!(count.get(), 0);
}

#[test]
fn a_finished_future_leaves_no_sleep_behind() {
    // Go: time.After in a loop.
    let clock = ManualClock::new();
    let mut polls = 0;
    let second = poll_fn(|_| {
        polls += 1;
        if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut limited = pin!(second.timeout(&clock, SECOND));
    assert!(poll(limited.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 1);
    assert!(poll(limited.as_mut()).is_ready());
    assert_eq!(clock.sleepers(), 0, "while the wrapper is still there");
}

#[test]
fn removing_the_last_sleep_and_sleeping_again_is_heard() {
    // tokio#6751: DelayQueue lost the wake after its last item was removed.
    let clock = ManualClock::new();
    {
        let mut first = pin!(clock.sleep_until(SECOND));
        assert!(poll(first.as_mut()).is_pending());
    }
    let (count, waker) = Count::new();
    let mut second = pin!(clock.sleep_until(2 * SECOND));
    assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(count.get(), 1);
}

#[test]
fn moving_a_sleep_to_a_past_or_earlier_time_wakes_its_task() {
    // tokio PR#8274, #1700.
    let clock = ManualClock::new();
    clock.advance(5 * SECOND);
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    let mut sleep = pin!(clock.sleep_until(100 * SECOND));
    assert!(sleep.as_mut().poll(&mut cx).is_pending());
    (&clock).reset(sleep.as_mut(), 3 * SECOND);
    assert_eq!(count.get(), 1, "at once");
    assert!(sleep.as_mut().poll(&mut cx).is_ready());

    (&clock).reset(sleep.as_mut(), 100 * SECOND);
    assert!(sleep.as_mut().poll(&mut cx).is_pending());
    (&clock).reset(sleep.as_mut(), 6 * SECOND);
    clock.advance(SECOND);
    assert_eq!(count.get(), 2, "at the earlier time, without another poll");
    assert!(sleep.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn the_driver_hears_of_a_sleep_before_it_comes_back_and_of_no_other() {
    // esp-hal#4212, embassy#3758: the next wake-up was overwritten or not set.
    std::thread_local! {
        static HEARD: Cell<Option<u64>> = const { Cell::new(None) };
    }
    let queue = TimerQueue::new().on_earlier(|at| HEARD.set(Some(at)));
    let (mut a, mut b) = (pin!(queue.sleep_until(10)), pin!(queue.sleep_until(20)));
    let (mut c, mut d) = (Box::pin(queue.sleep_until(5)), Box::pin(queue.sleep_until(7)));
    assert!(poll(a.as_mut()).is_pending());
    assert_eq!(HEARD.take(), Some(10));
    assert!(poll(b.as_mut()).is_pending());
    assert_eq!(HEARD.take(), None);
    assert!(poll(c.as_mut()).is_pending());
    assert_eq!(HEARD.take(), Some(5));
    drop(c);
    assert!(poll(d.as_mut()).is_pending());
    assert_eq!(HEARD.take(), None, "the driver comes back at 5 anyway");
    assert_eq!(queue.advance(5), Some(7));
    d.as_mut().reset(6);
    assert_eq!(HEARD.take(), Some(6));
    drop(d);
    assert_eq!(queue.next_deadline(), Some(10));
    let mut e = pin!(queue.sleep_until(8));
    assert!(poll(e.as_mut()).is_pending());
    assert_eq!(HEARD.take(), Some(8), "what was asked last is what the driver goes by");
}

#[test]
fn a_hundred_newcomers_are_put_in_order_in_several_critical_sections() {
    let queue = TimerQueue::<WatchedLock>::with_lock();
    let mut sleeps: Vec<_> = (0..100).map(|n| Box::pin(queue.sleep_until(1000 + n))).collect();
    assert!(sleeps.iter_mut().all(|sleep| poll(sleep.as_mut()).is_pending()));
    let sections = taken_by(|| assert_eq!(queue.advance(1), Some(1000)));
    assert!(sections >= 4, "the first of a hundred takes 99 comparisons, 32 in a section, not {sections} sections");
}

#[test]
fn a_sleep_that_is_already_due_is_ready() {
    // rtic, embassy: programming a compare register that has passed waits for a whole turn.
    let queue = TimerQueue::new();
    queue.advance(100);
    let mut sleep = pin!(queue.sleep_until(100));
    assert!(poll(sleep.as_mut()).is_ready());
    assert!(poll(sleep.as_mut()).is_ready(), "and stays so");
    assert!(sleep.is_terminated());
    assert_eq!(queue.sleepers(), 0);

    let counting = TimerQueue::new().clock(|| 100);
    assert!(poll(pin!(counting.sleep_until(100))).is_ready(), "by the counter, before `advance` says so");
    assert!(poll(pin!(counting.sleep_until(101))).is_pending());
}

#[test]
fn time_does_not_go_back() {
    let queue = TimerQueue::new();
    queue.advance(100);
    queue.advance(50);
    assert_eq!(queue.now(), 100);
    assert!(poll(pin!(queue.sleep_until(70))).is_ready());
}

#[test]
fn durations_are_rounded_up_and_the_tick_under_way_does_not_count() {
    // maitake floors them, and sleeps end early.
    let queue = TimerQueue::new().ticks_per_second(32_768);
    assert_eq!(queue.checked_add(7, NANO), Some(8));
    assert_eq!(queue.checked_add(7, SECOND), Some(7 + 32_768));
    assert_eq!(queue.checked_add(7, SECOND + NANO), Some(7 + 32_769));
    assert_eq!(queue.checked_add(7, Duration::ZERO), Some(7));
    assert_eq!(queue.checked_add(7, Duration::MAX), None);
    assert_eq!(queue.checked_add(u64::MAX - 1, NANO), None, "the last tick is never");
    assert_eq!(queue.after(7, NANO), Some(9));
    assert_eq!(queue.after(7, Duration::ZERO), Some(7));
    assert_eq!(queue.after(u64::MAX - 2, NANO), None);
    assert_eq!(queue.saturating_since(32_768, 0), SECOND);
    assert_eq!(queue.saturating_since(1, 0), Duration::from_nanos(30_518));
    assert_eq!(queue.saturating_since(0, 1), Duration::ZERO);
    for rate in [1, 999, 1000, 32_768, 1_000_000_000, u32::MAX] {
        let queue = TimerQueue::new().ticks_per_second(rate);
        for d in [Duration::ZERO, NANO, Duration::from_micros(1), SECOND - NANO, SECOND, YEARS, Duration::MAX] {
            for at in [0, 1, u64::from(rate), u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                let Some(sum) = queue.checked_add(at, d) else { continue };
                assert!(queue.saturating_since(sum, at) >= d, "{rate} {at} {d:?}");
                let _ = queue.saturating_since(u64::MAX, at);
            }
        }
    }
}

#[test]
fn a_timeout_is_never_early_however_coarse_the_tick() {
    let queue = TimerQueue::new().ticks_per_second(10);
    let mut limited = pin!(pending::<()>().timeout(&queue, Duration::from_millis(100)));
    assert!(poll(limited.as_mut()).is_pending());
    queue.advance(1);
    assert!(poll(limited.as_mut()).is_pending(), "it may have begun at the end of tick 0");
    queue.advance(2);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));
}

#[test]
fn a_timer_that_fires_early_is_armed_again_and_never_believed() {
    let clock = ManualClock::new();
    let armed = Cell::new(0);
    let timer = FnTimer(&clock, |d: Duration| {
        armed.set(armed.get() + 1);
        assert_eq!(d, SECOND);
        ready(())
    });
    let (count, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    let mut limited = pin!(pending::<()>().timeout(&timer, SECOND));
    for turn in 1..=3 {
        assert!(limited.as_mut().poll(&mut cx).is_pending());
        assert_eq!((armed.get(), count.get()), (2 * turn, turn), "twice a poll, then the task is asked back");
    }
    clock.advance(SECOND);
    assert_eq!(limited.as_mut().poll(&mut cx), Poll::Ready(Err(Elapsed)));
    assert_eq!(armed.get(), 6);
}

#[test]
fn a_future_is_never_moved_by_its_deadline() {
    // async-timer moved it onto the stack to poll it.
    let place = Cell::new(0);
    let fixed = async {
        let here = 0_u8;
        loop {
            let at = &raw const here as usize;
            assert!(place.get() == 0 || place.get() == at);
            place.set(at);
            futures_lite::future::yield_now().await;
        }
    };
    let clock = ManualClock::new();
    let mut limited = pin!(fixed.timeout(&clock, Duration::ZERO).until(pending::<()>()));
    let got: Poll<Result<Result<(), Elapsed>, ()>> = poll(limited.as_mut());
    assert_eq!(got, Poll::Ready(Ok(Err(Elapsed))));
    let mut inner = limited.as_mut().inner_pin_mut();
    for _ in 0..3 {
        assert_eq!(poll(inner.as_mut()), Poll::Ready(Err(Elapsed)));
    }
}

#[test]
fn a_future_survives_its_deadline_and_may_be_given_another() {
    // tokio#545, #5368, PR#5947: what a future has done so far is not lost with the time.
    let clock = ManualClock::new();
    let mut value = pin!(clock.sleep_until(10 * SECOND));
    let mut limited = pin!(poll_fn(|cx| value.as_mut().poll(cx)).timeout(&clock, SECOND));
    assert_eq!(limited.expires_at(), None, "not yet begun");
    assert!(poll(limited.as_mut()).is_pending());
    assert_eq!(limited.expires_at(), Some(SECOND));
    clock.advance(SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)), "and again");
    assert!(!limited.is_terminated());

    limited.as_mut().extend(SECOND);
    assert_eq!(limited.expires_at(), Some(2 * SECOND));
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));

    limited.as_mut().reset(9 * SECOND);
    assert!(poll(limited.as_mut()).is_pending());
    limited.as_mut().reset(8 * SECOND);
    clock.advance(6 * SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));

    limited.as_mut().clear();
    assert!(poll(limited.as_mut()).is_pending());
    assert!(poll(limited.as_mut().inner_pin_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Ok(())));
    assert!(limited.is_terminated());
    limited.as_mut().reset(Duration::ZERO);
    limited.as_mut().extend(SECOND);
    limited.as_mut().clear();
    assert!(limited.is_terminated(), "finished is finished");
}

#[test]
fn extending_changes_a_timeout_that_has_not_begun() {
    let clock = ManualClock::new();
    let mut limited = pin!(pending::<()>().timeout(&clock, SECOND));
    limited.as_mut().extend(SECOND);
    assert!(poll(limited.as_mut()).is_pending());
    assert_eq!(limited.expires_at(), Some(2 * SECOND));
    limited.as_mut().extend(Duration::MAX);
    assert_eq!(limited.expires_at(), None, "never");
    assert_eq!(clock.sleepers(), 0);
    limited.as_mut().extend(SECOND);
    assert_eq!(limited.expires_at(), None, "still never");
    let mut endless = pin!(pending::<()>().timeout(&clock, Duration::MAX));
    endless.as_mut().extend(SECOND);
    assert!(poll(endless.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 0);
}

#[test]
fn a_timeout_counts_from_its_first_poll() {
    // tokio#1125, trio#2512.
    let clock = ManualClock::new();
    let mut limited = pin!(pending::<()>().timeout(&clock, 2 * SECOND));
    clock.advance(10 * SECOND);
    assert!(poll(limited.as_mut()).is_pending());
    assert_eq!(limited.expires_at(), Some(12 * SECOND));
}

#[test]
#[should_panic(expected = "polled after it was finished")]
fn polling_a_finished_deadline_panics() {
    let clock = ManualClock::new();
    let mut limited = pin!(ready(()).timeout(&clock, SECOND));
    assert!(poll(limited.as_mut()).is_ready());
    let _ = poll(limited);
}

// === until ===

#[test]
fn until_goes_on_alone_after_its_signal_or_races_a_new_one() {
    let clock = ManualClock::new();
    let mut value = pin!(clock.sleep_until(5 * SECOND));
    let mut raced = pin!(poll_fn(|cx| value.as_mut().poll(cx)).until(clock.sleep_until(SECOND)));
    assert!(poll(raced.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(raced.as_mut()), Poll::Ready(Err(())));
    assert!(poll(raced.as_mut()).is_pending(), "the signal is not polled again");
    raced.as_mut().set_signal(clock.sleep_until(2 * SECOND));
    assert!(poll(raced.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(raced.as_mut()), Poll::Ready(Err(())));
    assert!(!raced.is_terminated());
    clock.advance(3 * SECOND);
    assert_eq!(poll(raced.as_mut()), Poll::Ready(Ok(())));
    assert!(raced.is_terminated());
}

#[test]
fn until_gives_the_value_if_both_are_ready() {
    assert_eq!(block_on(ready(1).until(ready(2))), Ok(1));
    assert_eq!(block_on(pending::<()>().until(ready(2))), Err(2));
    assert!(poll(pin!(ready(1).until(ready(2)).into_inner())).is_ready());
}

// === the queue ===

#[test]
fn sleeps_end_in_the_order_of_their_times_and_then_of_their_polls() {
    struct Name(&'static str);
    static ORDER: std::sync::Mutex<Vec<&'static str>> = std::sync::Mutex::new(Vec::new());
    impl Wake for Name {
        fn wake(self: Arc<Self>) {
            ORDER.lock().unwrap().push(self.0);
        }
    }
    let queue = TimerQueue::new();
    let mut sleeps: Vec<_> = [("c", 7), ("a", 3), ("d", 7), ("b", 5), ("e", 8)]
        .into_iter()
        .map(|(name, at)| (Waker::from(Arc::new(Name(name))), Box::pin(queue.sleep_until(at))))
        .collect();
    for (waker, sleep) in &mut sleeps {
        assert!(sleep.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    assert_eq!(queue.advance(7), Some(8));
    assert_eq!(*ORDER.lock().unwrap(), ["a", "b", "c", "d"]);
}

#[test]
fn a_waker_may_use_the_queue_it_is_woken_by() {
    static QUEUE: TimerQueue = TimerQueue::new();
    struct Again;
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let mut sleep = Box::pin(QUEUE.sleep_until(9));
            assert!(poll(sleep.as_mut()).is_pending());
            // Left in the queue for good.
            std::mem::forget(sleep);
        }
    }
    let waker = Waker::from(Arc::new(Again));
    let mut sleep = pin!(QUEUE.sleep_until(5));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(QUEUE.advance(5), Some(9), "what was begun by the waker counts");
}

#[test]
fn a_panicking_waker_loses_nobody_elses_wake() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("waker panics");
        }
    }
    let queue = TimerQueue::new();
    let (count, good) = Count::new();
    let bad = Waker::from(Arc::new(Bad));
    let mut sleeps: Vec<_> = (0..30).map(|_| Box::pin(queue.sleep_until(5))).collect();
    for (n, sleep) in sleeps.iter_mut().enumerate() {
        let waker = if n % 3 == 0 { &bad } else { &good };
        assert!(sleep.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| queue.advance(5)));
    assert!(outcome.is_err(), "the panic goes on");
    assert_eq!((count.get(), queue.sleepers()), (20, 0));
    assert_eq!(queue.advance(6), None);
}

#[test]
fn one_thread_needs_no_lock() {
    let clock = ManualClock::<LocalLock>::with_lock();
    let mut limited = pin!(pending::<()>().timeout(&clock, SECOND));
    assert!(poll(limited.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));
}

#[test]
fn a_manual_clock_stops_at_each_end_on_its_way() {
    let clock = ManualClock::new();
    // What a task begins as it is woken begins at the time of its wake.
    let ends = std::cell::RefCell::new(Vec::new());
    let mut task = pin!(async {
        for _ in 0..3 {
            let at = clock.checked_add(clock.now(), SECOND).unwrap();
            clock.sleep_until(at).await;
            ends.borrow_mut().push(clock.now());
        }
    });
    assert!(poll(task.as_mut()).is_pending());
    let done = Cell::new(false);
    clock.advance_with(10 * SECOND, || {
        if !done.get() {
            done.set(poll(task.as_mut()).is_ready());
        }
    });
    assert_eq!(*ends.borrow(), [SECOND, 2 * SECOND, 3 * SECOND]);
    assert_eq!(clock.now(), 10 * SECOND);
    assert!(!clock.step());
    clock.advance(Duration::MAX);
    assert!(clock.now() > 100 * YEARS, "as far as it goes");
}

// === the thread ===

#[test]
fn the_thread_survives_a_waker_that_panics() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            // Without the message that a test's reader would take for a failure.
            std::panic::resume_unwind(Box::new("waker panics"));
        }
    }
    let bad = Waker::from(Arc::new(Bad));
    let mut sleep = pin!(ThreadTimer.sleep_until(Instant::now() + Duration::from_millis(3)));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(&bad)).is_pending());
    for _ in 0..3 {
        let limited = pending::<()>().timeout(ThreadTimer, Duration::from_millis(5));
        assert_eq!(block_on(limited), Err(Elapsed));
    }
    assert!(poll(sleep).is_ready());
}

#[test]
fn a_shorter_sleep_wakes_the_thread_out_of_a_longer_one() {
    let mut long = pin!(pending::<()>().timeout(ThreadTimer, YEARS));
    assert!(poll(long.as_mut()).is_pending());
    let begun = Instant::now();
    assert_eq!(block_on(pending::<()>().timeout(ThreadTimer, Duration::from_millis(5))), Err(Elapsed));
    assert!(begun.elapsed() >= Duration::from_millis(5));
    long.as_mut().reset(begun);
    assert_eq!(block_on(long), Err(Elapsed));
}

#[test]
fn a_hundred_thousand_sleeps_end() {
    let (count, waker) = Count::new();
    let at = Instant::now() + Duration::from_millis(300);
    let mut sleeps: Vec<_> = (0..100_000).map(|_| Box::pin(ThreadTimer.sleep_until(at))).collect();
    let mut queued = 0;
    for sleep in &mut sleeps {
        queued += usize::from(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    while count.get() < queued {
        std::thread::sleep(Duration::from_millis(1));
        assert!(at.elapsed() < Duration::from_secs(20));
    }
    assert!(Instant::now() >= at);
    assert!(sleeps.iter_mut().all(|sleep| poll(sleep.as_mut()).is_ready()));
}

#[test]
fn many_threads_share_the_thread() {
    std::thread::scope(|scope| {
        for n in 0..8_u64 {
            scope.spawn(move || {
                for m in 0..20 {
                    let d = Duration::from_micros((n * 7 + m * 13) % 50 * 40);
                    let begun = Instant::now();
                    assert_eq!(block_on(pending::<()>().timeout(ThreadTimer, d)), Err(Elapsed));
                    assert!(begun.elapsed() >= d);
                }
            });
        }
    });
}

#[test]
fn the_process_ends_while_the_thread_sleeps() {
    const CHILD: &str = "TOLLGATE_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let mut long = Box::pin(ThreadTimer.sleep_until(Instant::now() + YEARS));
        assert!(poll(long.as_mut()).is_pending());
        std::mem::forget(long);
        return;
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_ends_while_the_thread_sleeps"])
        .env(CHILD, "1")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it hangs");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success());
}

// === facts ===

#[test]
fn an_error_says_what_it_is() {
    assert_eq!(Elapsed.to_string(), "deadline has elapsed");
    let error: std::io::Error = Elapsed.into();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let _: &dyn std::error::Error = &Elapsed;
}

#[test]
fn everything_can_be_printed() {
    static QUEUE: TimerQueue = TimerQueue::new();
    let clock = ManualClock::new();
    let limited = ready(1).timeout(&clock, SECOND);
    assert!(format!("{limited:?}").contains("1s after the first poll"));
    assert!(format!("{:?}", ready(1).until(ready(2))).contains("Racing"));
    assert!(format!("{QUEUE:?}").contains("sleepers: 0"));
    assert!(format!("{:?}", QUEUE.sleep_until(3)).contains("idle"));
    let _ = format!("{clock:?} {ThreadTimer:?} {StdClock:?} {:?}", FnTimer(StdClock, |_: Duration| ready(())));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_deadline_is_small() {
    type Nothing = std::future::Pending<()>;
    assert!(size_of::<Deadline<Nothing, &TimerQueue>>() <= size_of::<QueueSleep<'_>>() + 24);
    assert!(size_of::<Deadline<Nothing, &ManualClock>>() <= size_of::<QueueSleep<'_>>() + 24);
    assert!(size_of::<Deadline<Nothing, ThreadTimer>>() <= size_of::<QueueSleep<'_>>() + 24);
    assert!(size_of::<Deadline<[u64; 4], ThreadTimer>>() <= 32 + size_of::<QueueSleep<'_>>() + 24);
    assert_eq!(size_of::<QueueSleep<'_>>(), 64);
}

#[test]
fn what_is_send_sync_and_unpin_stays_so() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    fn unpin<T: Unpin>() {}
    type Nothing = std::future::Pending<()>;
    send::<TimerQueue>();
    sync::<TimerQueue>();
    send::<TimerQueue<LocalLock>>();
    sync::<ManualClock>();
    send::<QueueSleep<'_>>();
    sync::<QueueSleep<'_>>();
    send::<Deadline<Nothing, ThreadTimer>>();
    sync::<Deadline<Nothing, ThreadTimer>>();
    unpin::<Deadline<Nothing, FnTimer<StdClock, fn(Duration) -> Nothing>>>();
    send::<Until<Nothing, Nothing>>();
    unpin::<Until<Nothing, Nothing>>();
    unpin::<TimerQueue>();
    send::<Elapsed>();
    sync::<Elapsed>();
}
