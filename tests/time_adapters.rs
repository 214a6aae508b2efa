//! The timers of runtimes: the same promises on each of them.
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::fmt::Debug;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use embassy_time::MockDriver;
use futures_lite::future::block_on;
use tollgate::time::{AsyncIoTimer, Clock, EmbassyTimer, FuturesTimer, Timer, TokioTimer};
use tollgate::{DeadlineExt, Elapsed};

const NANO: Duration = Duration::from_nanos(1);
const SHORT: Duration = Duration::from_millis(5);
const YEARS: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Embassy's mock is one for the process.
fn embassy() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    MockDriver::get().reset();
    one
}

/// What can be asked of a timer whose driver runs while `block_on` waits.
async fn keeps_the_promise<T>(timer: T)
where
    T: Timer + Copy,
    T::Instant: Debug,
{
    for d in [Duration::ZERO, NANO, SHORT, YEARS, Duration::MAX] {
        assert_eq!(ready(1).timeout(timer, d).await, Ok(1), "{d:?}");
        let comes = d <= SHORT;
        for hot in [false, true] {
            let begun = timer.now();
            let mut nudge = pin!(pending::<()>().timeout(timer, 4 * SHORT));
            let slow = poll_fn(|cx: &mut Context<'_>| {
                if hot {
                    cx.waker().wake_by_ref();
                }
                let nudged = !comes && nudge.as_mut().poll(cx).is_ready();
                if nudged { Poll::Ready(()) } else { Poll::Pending }
            });
            let got = slow.timeout(timer, d).await;
            assert_eq!(got.is_err(), comes, "{d:?} {hot}");
            assert!(!comes || timer.saturating_since(timer.now(), begun) >= d, "early");
        }
    }
    let now = timer.now();
    for at in [Some(now), timer.checked_add(now, NANO)].into_iter().flatten() {
        while timer.now() < at {}
        assert_eq!(poll(pin!(pending::<()>().deadline(timer, at))), Poll::Ready(Err(Elapsed)));
    }
    for at in last_instants(timer) {
        assert!(poll(pin!(pending::<()>().deadline(timer, at))).is_pending(), "{at:?}");
    }
    assert_eq!(timer.checked_add(now, Duration::MAX), None);
    is_moved_in_place(timer).await;
}

/// As late as the clock goes, which is where `tokio::time::timeout_at` panics.
fn last_instants<C: Clock>(clock: C) -> Vec<C::Instant> {
    let mut at = clock.now();
    let mut step = Duration::MAX;
    let mut all = Vec::new();
    while !step.is_zero() {
        match clock.checked_add(at, step) {
            Some(later) => {
                at = later;
                all.push(at);
                if step == NANO {
                    break;
                }
            }
            None => step /= 2,
        }
    }
    all
}

async fn is_moved_in_place<T: Timer + Copy>(timer: T) {
    let mut limited = pin!(pending::<()>().timeout(timer, YEARS));
    assert!(poll(limited.as_mut()).is_pending());
    let soon = timer.checked_add(timer.now(), SHORT).unwrap();
    limited.as_mut().reset(soon);
    assert_eq!(limited.as_mut().await, Err(Elapsed));
    assert!(timer.now() >= soon);
    limited.as_mut().extend(YEARS);
    assert!(poll(limited.as_mut()).is_pending());
    limited.as_mut().reset(soon);
    assert_eq!(limited.as_mut().await, Err(Elapsed));
    limited.as_mut().extend(SHORT);
    assert_eq!(limited.as_mut().await, Err(Elapsed));
}

#[test]
fn tokio_keeps_the_promise() {
    tokio().block_on(keeps_the_promise(TokioTimer));
}

#[test]
fn async_io_keeps_the_promise() {
    block_on(keeps_the_promise(AsyncIoTimer));
}

#[test]
fn futures_timer_keeps_the_promise() {
    block_on(keeps_the_promise(FuturesTimer));
}

#[test]
fn a_hot_task_times_out_under_tokio() {
    // tokio#2542, #6545, #7883; tokio#4291: what eats the budget does not keep the deadline from being seen.
    tokio().block_on(async {
        let begun = Instant::now();
        let mut greedy = pin!(
            async {
                loop {
                    tokio::task::consume_budget().await;
                }
            }
            .timeout(TokioTimer, SHORT)
        );
        // Polled in a loop, without ever letting the driver run.
        while poll_fn(|cx| Poll::Ready(greedy.as_mut().poll(cx))).await.is_pending() {
            assert!(begun.elapsed() < Duration::from_secs(5), "it never times out");
        }
        assert!(begun.elapsed() >= SHORT);
    });
}

#[test]
fn tokios_paused_clock_is_the_clock() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let begun = Instant::now();
    runtime.block_on(async {
        assert_eq!(pending::<()>().timeout(TokioTimer, YEARS).await, Err(Elapsed));
        let mut limited = pin!(pending::<()>().timeout(TokioTimer, Duration::from_secs(60)));
        assert!(poll_fn(|cx| Poll::Ready(limited.as_mut().poll(cx))).await.is_pending());
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(limited.await, Err(Elapsed));
    });
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn making_a_deadline_needs_no_runtime() {
    // `tokio::time::timeout` panics here.
    let limited = pending::<()>().timeout(TokioTimer, SHORT);
    let at = pending::<()>().deadline(TokioTimer, tokio::time::Instant::now() + SHORT);
    assert_eq!(block_on(ready(1).timeout(TokioTimer, SHORT)), Ok(1), "nor does polling one that is ready");
    assert_eq!(tokio().block_on(limited), Err(Elapsed));
    assert_eq!(tokio().block_on(at), Err(Elapsed));
}

#[test]
fn embassy_neither_panics_nor_is_early() {
    // embassy_time::with_timeout: pending first for zero, and a panic for Duration::MAX.
    let _one = embassy();
    let driver = MockDriver::get();
    assert_eq!(poll(pin!(pending::<()>().timeout(EmbassyTimer, Duration::ZERO))), Poll::Ready(Err(Elapsed)));
    let mut endless = pin!(pending::<()>().timeout(EmbassyTimer, Duration::MAX));
    assert!(poll(endless.as_mut()).is_pending());
    assert_eq!(endless.expires_at(), None);
    let last = embassy_time::Instant::from_ticks(u64::MAX - 1);
    assert!(poll(pin!(pending::<()>().deadline(EmbassyTimer, last))).is_pending());

    let tick = embassy_time::Duration::from_ticks(1);
    let mut limited = pin!(pending::<()>().timeout(EmbassyTimer, NANO));
    assert!(poll(limited.as_mut()).is_pending());
    driver.advance(tick);
    assert!(poll(limited.as_mut()).is_pending(), "the tick under way does not count");
    driver.advance(tick);
    assert_eq!(poll(limited.as_mut()), Poll::Ready(Err(Elapsed)));

    let begun = EmbassyTimer.now();
    let mut long = pin!(pending::<()>().timeout(EmbassyTimer, Duration::from_millis(3)));
    assert!(poll(long.as_mut()).is_pending());
    driver.advance(embassy_time::Duration::from_millis(3));
    assert!(poll(long.as_mut()).is_pending());
    driver.advance(tick);
    assert_eq!(poll(long.as_mut()), Poll::Ready(Err(Elapsed)));
    assert!(EmbassyTimer.saturating_since(EmbassyTimer.now(), begun) >= Duration::from_millis(3));
}

#[test]
fn embassy_wakes_the_task() {
    let _one = embassy();
    let waiting = std::thread::spawn(|| block_on(pending::<()>().timeout(EmbassyTimer, Duration::from_millis(3))));
    while !waiting.is_finished() {
        MockDriver::get().advance(embassy_time::Duration::from_millis(1));
        std::thread::yield_now();
    }
    assert_eq!(waiting.join().unwrap(), Err(Elapsed));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_deadline_adds_at_most_24_bytes_to_the_runtimes_sleep() {
    fn adds<T: Timer>() -> usize {
        size_of::<tollgate::time::Deadline<std::future::Pending<()>, T>>() - size_of::<T::Sleep>()
    }
    assert!(adds::<TokioTimer>() <= 24);
    assert!(adds::<AsyncIoTimer>() <= 24);
    assert!(adds::<FuturesTimer>() <= 24);
    assert!(adds::<EmbassyTimer>() <= 24);
}
