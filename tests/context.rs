//! Contexts, polled by hand and through the public API alone.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::Cell;
use std::future::{pending, poll_fn, ready as at_once};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::FusedFuture;
use futures_lite::future::{block_on, yield_now, zip};
use futures_lite::{StreamExt, stream};
use support::{Wakes, in_time, panic_of, poll, poll_with};
use tollgate::cancel::{CancellationToken, Cause, OwnedCancellationToken};
use tollgate::context::{Context, Interrupted, OwnedContext, Run};
use tollgate::time::{Clock, Elapsed, ManualClock, ThreadTimer, TimerQueue};
use tollgate::{DeadlineExt, LocalLock};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

fn cancelled(reason: &'static str) -> Interrupted {
    Interrupted::Cancelled(Cause::new(reason))
}

#[derive(Debug, PartialEq)]
struct TraceId(u128);

#[derive(Debug, PartialEq)]
struct User(&'static str);

// === deadlines ===

#[test]
fn the_deadline_is_the_earliest_on_the_way_up() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    assert_eq!((root.deadline(), root.remaining()), (None, None));
    let three = root.with_timeout(3 * SECOND);
    let later = three.with_timeout(10 * SECOND);
    let sooner = later.with_deadline(2 * SECOND);
    let below = sooner.child();
    assert_eq!(three.deadline(), Some(3 * SECOND));
    assert_eq!(later.deadline(), Some(3 * SECOND));
    assert_eq!(below.deadline(), Some(2 * SECOND));
    clock.advance(SECOND);
    assert_eq!(below.remaining(), Some(SECOND));
    assert_eq!(later.with_timeout(SECOND).deadline(), Some(2 * SECOND), "it counts from the call");
    clock.advance(4 * SECOND);
    assert_eq!(below.remaining(), Some(Duration::ZERO));
    assert_eq!(root.remaining(), None);
}

#[test]
fn a_timeout_that_cannot_be_represented_adds_no_deadline() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    assert_eq!(root.with_timeout(Duration::MAX).deadline(), None);
    assert_eq!(root.with_timeout(SECOND).with_timeout(Duration::MAX).deadline(), Some(SECOND));
    let threads = Context::new(ThreadTimer);
    assert_eq!(threads.with_timeout(Duration::MAX).deadline(), None);
}

#[test]
fn the_deadline_is_never_early_and_needs_no_timer_behind_it() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    assert_eq!(clock.sleepers(), 0);
    clock.advance(SECOND - NANO);
    assert_eq!(request.check(), Ok(()));
    clock.advance(NANO);
    assert_eq!(request.check(), Err(Interrupted::DeadlineExceeded));
    assert_eq!(root.check(), Ok(()));
    assert_eq!(clock.sleepers(), 0);
}

#[test]
fn a_timeout_of_zero_has_passed() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(Duration::ZERO);
    let begun = Cell::new(false);
    assert_eq!(poll(pin!(request.run(async { begun.set(true) }))), Poll::Ready(Err(Interrupted::DeadlineExceeded)));
    assert!(!begun.get());
    assert_eq!(poll(pin!(request.interrupted())), Poll::Ready(Interrupted::DeadlineExceeded));
}

// === what happened first ===

#[test]
fn what_was_first_stays_and_reaches_the_token() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);

    let late = root.with_timeout(SECOND);
    late.cancel_with("gone");
    clock.advance(2 * SECOND);
    assert_eq!(late.check(), Err(cancelled("gone")));

    let slow = root.with_timeout(SECOND);
    let below = slow.token().child_token();
    let (wakes, waker) = Wakes::new();
    let mut wait = pin!(below.cancelled());
    assert!(poll_with(wait.as_mut(), &waker).is_pending());
    clock.advance(SECOND);
    assert!(!below.is_cancelled(), "nobody has looked");
    assert_eq!(slow.child().check(), Err(Interrupted::DeadlineExceeded));
    assert!(!below.is_cancelled(), "a child does not speak for its parent");
    assert_eq!(slow.check(), Err(Interrupted::DeadlineExceeded));
    assert_eq!((below.cause(), wakes.count()), (Some(Cause::DEADLINE_EXCEEDED), 1));
    slow.cancel_with("too late");
    root.cancel_with("too late");
    assert_eq!(slow.check(), Err(Interrupted::DeadlineExceeded));
    assert_eq!(root.check(), Err(cancelled("too late")));
}

#[test]
fn a_cancel_reaches_all_below_and_nothing_above() {
    let shutdown = CancellationToken::new();
    let root = Context::under(&shutdown, ThreadTimer);
    let (one, two) = (root.child(), root.with_timeout(SECOND));
    one.cancel();
    assert_eq!(one.child().check(), Err(Interrupted::Cancelled(Cause::CANCELLED)));
    assert!(root.check().is_ok() && two.check().is_ok());
    shutdown.cancel_with("terminated");
    assert_eq!(two.check(), Err(cancelled("terminated")));
    assert_eq!(one.check(), Err(Interrupted::Cancelled(Cause::CANCELLED)));
}

#[test]
fn cancelling_a_context_leaves_the_token_that_it_was_made_under() {
    let shutdown = CancellationToken::new();
    let root = Context::under(&shutdown, ThreadTimer);
    root.cancel();
    assert!(!shutdown.is_cancelled());
    let owned = OwnedCancellationToken::new();
    OwnedContext::under(&owned, ThreadTimer).cancel();
    assert!(!owned.is_cancelled());
}

// === values ===

#[test]
fn values_are_found_by_their_types_and_the_nearest_wins() {
    let root = Context::new(ThreadTimer);
    assert_eq!(root.get::<TraceId>(), None);
    let (trace, user, other) = (TraceId(1), User("ada"), TraceId(2));
    let traced = root.with_value(&trace);
    let named = traced.with_value(&user);
    let below = named.child();
    let again = below.with_value(&other);
    assert_eq!(below.get::<TraceId>(), Some(&trace));
    assert_eq!(below.get::<User>(), Some(&user));
    assert_eq!(again.get::<TraceId>(), Some(&other));
    assert_eq!(again.with_timeout(SECOND).get::<User>(), Some(&user));
    assert_eq!(traced.get::<User>(), None);
    assert_eq!(again.get::<u8>(), None);
}

#[test]
fn a_value_may_be_kept_longer_than_the_context_it_was_found_by() {
    let trace = TraceId(3);
    let root = Context::new(ThreadTimer);
    let request = root.with_value(&trace);
    let found = request.child().get::<TraceId>().map(|found| found.0);
    assert_eq!(found, Some(3));
    let kept: &TraceId = {
        let step = request.child();
        step.get().unwrap()
    };
    assert_eq!(kept, &trace);
}

#[test]
fn a_detached_context_keeps_the_values_and_nothing_else() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let trace = TraceId(4);
    let limited = root.with_timeout(SECOND);
    let request = limited.with_value(&trace);
    request.cancel();
    clock.advance(SECOND);
    let detached = request.detached();
    let cleanup = detached.with_timeout(SECOND);
    assert_eq!(cleanup.run(at_once(())).now(), Ok(()));
    assert_eq!(cleanup.get::<TraceId>(), Some(&trace));
    assert_eq!(detached.deadline(), None);
    clock.advance(SECOND);
    assert_eq!(cleanup.check(), Err(Interrupted::DeadlineExceeded), "cleaning up ends too");
}

/// The output of a future that is ready.
trait Now: std::future::IntoFuture + Sized {
    fn now(self) -> Self::Output {
        support::ready(pin!(self.into_future()))
    }
}

impl<F: std::future::IntoFuture> Now for F {}

// === run ===

#[test]
fn a_loop_around_a_hot_stream_ends_by_cancel_and_by_deadline() {
    in_time("a hot stream", || {
        block_on(async {
            let root = Context::new(ThreadTimer);
            let request = root.child();
            let mut hot = stream::repeat(());
            let mut taken = 0;
            while request.run(hot.next()).await.is_ok() {
                taken += 1;
                if taken == 3 {
                    request.cancel();
                }
            }
            assert_eq!(taken, 3);
            let soon = root.with_timeout(Duration::from_millis(5));
            while soon.run(hot.next()).await.is_ok() {}
            assert_eq!(soon.check(), Err(Interrupted::DeadlineExceeded));
        });
    });
}

#[test]
fn a_value_that_is_ready_wins_in_later_polls() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let gate = Cell::new(false);
    let mut run = pin!(request.run(poll_fn(|_| if gate.get() { Poll::Ready("value") } else { Poll::Pending })));
    assert!(poll(run.as_mut()).is_pending());
    gate.set(true);
    request.cancel();
    clock.advance(SECOND);
    assert_eq!(poll(run.as_mut()), Poll::Ready(Ok("value")));
    assert!(run.is_terminated());
}

#[test]
fn a_run_is_woken_by_the_cancel_and_by_the_deadline_once_each() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    for by_deadline in [false, true] {
        let request = root.with_timeout(SECOND);
        let (wakes, waker) = Wakes::new();
        let mut run = Box::pin(request.run(pending::<()>()));
        assert!(poll_with(run.as_mut(), &waker).is_pending());
        assert_eq!((clock.sleepers(), request.token().waiters()), (1, 1));
        if by_deadline {
            clock.advance(SECOND);
        } else {
            request.cancel();
        }
        assert_eq!(wakes.count(), 1);
        let error = if by_deadline { Interrupted::DeadlineExceeded } else { Interrupted::Cancelled(Cause::CANCELLED) };
        assert_eq!(poll_with(run.as_mut(), &waker), Poll::Ready(Err(error)));
        assert_eq!(wakes.count(), 1, "it does not wake itself by what it finds");
        assert_eq!((clock.sleepers(), request.token().waiters()), (0, 0), "though the run is still there");
    }
}

#[test]
fn dropping_a_run_leaves_nothing_behind() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut run = Box::pin(request.run(pending::<()>()));
    assert!(poll(run.as_mut()).is_pending());
    drop(run);
    assert_eq!((clock.sleepers(), root.token().waiters()), (0, 0));
}

#[test]
fn a_finished_run_waits_no_more_while_it_is_kept() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut run = pin!(request.run(yield_now()));
    assert!(poll(run.as_mut()).is_pending());
    assert_eq!((clock.sleepers(), root.token().waiters()), (1, 1));
    assert_eq!(poll(run.as_mut()), Poll::Ready(Ok(())));
    assert_eq!((clock.sleepers(), root.token().waiters()), (0, 0));
    assert!(run.is_terminated());
}

#[test]
fn the_future_of_an_interrupted_run_can_be_finished() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut run = pin!(request.run(async {
        yield_now().await;
        yield_now().await;
        7
    }));
    assert!(poll(run.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(run.as_mut()), Poll::Ready(Err(Interrupted::DeadlineExceeded)));
    assert_eq!(block_on(run.as_mut().inner_pin_mut()), 7);
    assert!(panic_of(|| poll(run)).contains("polled after it was finished"));
}

#[test]
fn an_interruption_stays_and_serves_as_a_signal() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut wait = pin!(request.interrupted());
    let mut work = pin!(pending::<()>().until(request.interrupted()));
    assert!(poll(wait.as_mut()).is_pending() && poll(work.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(work), Poll::Ready(Err(Interrupted::DeadlineExceeded)));
    assert!(!wait.is_terminated());
    for _ in 0..2 {
        assert_eq!(poll(wait.as_mut()), Poll::Ready(Interrupted::DeadlineExceeded));
        assert!(wait.is_terminated());
    }
}

#[test]
fn what_is_ready_at_once_starts_no_timer_and_takes_no_place() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut run = pin!(request.run(at_once(1)));
    assert_eq!(poll(run.as_mut()), Poll::Ready(Ok(1)));
    assert_eq!((clock.sleepers(), root.token().waiters()), (0, 0));
}

// === three layers ===

#[test]
fn three_layers_share_one_deadline_and_one_trace() {
    type Ctx<'a> = Context<'a, &'static ManualClock>;
    static CLOCK: ManualClock = ManualClock::new();
    static ROOT: Ctx<'static> = Context::new(&CLOCK);

    async fn front(ctx: &Ctx<'_>) -> Result<u128, Interrupted> {
        let ctx = ctx.with_timeout(3 * SECOND);
        ctx.run(middle(&ctx)).await?
    }

    async fn middle(ctx: &Ctx<'_>) -> Result<u128, Interrupted> {
        let ctx = ctx.with_timeout(10 * SECOND);
        ctx.check()?;
        ctx.run(back(&ctx)).await?
    }

    async fn back(ctx: &Ctx<'_>) -> Result<u128, Interrupted> {
        assert_eq!(ctx.remaining(), Some(3 * SECOND));
        ctx.run(CLOCK.sleep(4 * SECOND)).await?;
        Ok(ctx.get::<TraceId>().unwrap().0)
    }

    let trace = TraceId(9);
    let request = ROOT.with_value(&trace);
    let advance = async {
        while CLOCK.step() {
            yield_now().await;
        }
    };
    assert_eq!(block_on(zip(front(&request), advance)).0, Err(Interrupted::DeadlineExceeded));
    assert_eq!(CLOCK.now(), 3 * SECOND);
    assert_eq!(request.check(), Ok(()));
}

#[test]
fn an_owned_context_goes_into_tasks() {
    let root = OwnedContext::new(ThreadTimer).with_value(TraceId(5));
    let request = root.with_value(User("eve")).with_timeout(60 * SECOND);
    let task = request.child();
    let thread = std::thread::spawn(move || {
        let ctx = task.borrowed();
        let name = User("bob");
        let inner = ctx.with_value(&name);
        assert_eq!((inner.get::<TraceId>(), inner.get::<User>()), (Some(&TraceId(5)), Some(&User("bob"))));
        assert_eq!(task.get::<User>(), Some(&User("eve")));
        assert!(inner.remaining().is_some_and(|left| left <= 60 * SECOND));
        block_on(inner.run(pending::<()>()))
    });
    request.clone().cancel_with("done");
    assert_eq!(thread.join().unwrap(), Err(cancelled("done")));
    assert!(root.check().is_ok());
    assert_eq!(root.get::<User>(), None);
}

#[test]
fn owned_contexts_do_what_borrowed_ones_do() {
    let clock: &ManualClock = support::forever(ManualClock::new());
    let root = OwnedContext::new(clock);
    let request = root.with_deadline(2 * SECOND).with_value(TraceId(6)).with_deadline(3 * SECOND);
    assert_eq!(request.deadline(), Some(2 * SECOND));
    let mut run = pin!(request.run(pending::<()>()));
    let mut wait = pin!(request.interrupted());
    assert!(poll(run.as_mut()).is_pending() && poll(wait.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(request.check(), Err(Interrupted::DeadlineExceeded));
    assert_eq!(poll(run), Poll::Ready(Err(Interrupted::DeadlineExceeded)));
    assert_eq!(poll(wait), Poll::Ready(Interrupted::DeadlineExceeded));
    let cleanup = request.detached();
    assert_eq!((cleanup.check(), cleanup.get::<TraceId>()), (Ok(()), Some(&TraceId(6))));
    assert_eq!(cleanup.remaining(), None);
    assert!(format!("{request:?}").contains("has_deadline: true"));
}

#[test]
fn long_chains_of_owned_contexts_are_dropped_without_recursion() {
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(|| {
            let mut leaf = OwnedContext::new(ThreadTimer).with_value(TraceId(0));
            for at in 0..100_000_u32 {
                leaf = leaf.with_value(at);
            }
            assert_eq!((leaf.get(), leaf.get::<TraceId>()), (Some(&99_999_u32), Some(&TraceId(0))));
            drop(leaf);
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn one_thread_needs_no_lock() {
    let timers = TimerQueue::<LocalLock>::with_lock();
    let root = Context::<_, LocalLock>::with_lock(&timers);
    let request = root.with_timeout(Duration::from_millis(5));
    let mut run = pin!(request.run(pending::<()>()));
    assert!(poll(run.as_mut()).is_pending());
    timers.advance(100);
    assert_eq!(poll(run), Poll::Ready(Err(Interrupted::DeadlineExceeded)));
}

// === types ===

#[test]
fn the_sizes_are_those_in_the_docs() {
    if cfg!(all(target_os = "linux", target_pointer_width = "64", not(feature = "portable-atomic"))) {
        type Sleep = tollgate::time::QueueSleep<'static>;
        let run = size_of::<Run<'static, (), &'static ManualClock>>() - size_of::<Sleep>();
        assert_eq!(run, 112);
        assert_eq!(size_of::<Context<'static, ThreadTimer>>(), 144);
        assert_eq!(size_of::<OwnedContext<ThreadTimer>>(), 32);
    }
}

#[test]
fn errors_say_what_they_are() {
    assert_eq!(cancelled("gone").to_string(), "cancelled: gone");
    assert_eq!(Interrupted::Cancelled(Cause::CANCELLED).to_string(), "cancelled");
    assert_eq!(Interrupted::DeadlineExceeded.to_string(), "deadline exceeded");
    assert_eq!(Interrupted::from(Elapsed), Interrupted::DeadlineExceeded);
    assert_eq!(io::Error::from(Interrupted::DeadlineExceeded).kind(), io::ErrorKind::TimedOut);
    let error = io::Error::from(cancelled("gone"));
    assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::Other, "cancelled: gone".to_string()));
}

#[test]
fn contexts_and_what_they_give_go_to_other_threads() {
    fn is_send_and_sync<T: Send + Sync>(value: T) -> T {
        value
    }
    let root = is_send_and_sync(Context::new(ThreadTimer));
    let trace = TraceId(8);
    let request = is_send_and_sync(root.with_value(&trace));
    drop(is_send_and_sync(request.interrupted()));
    drop(is_send_and_sync(request.run(at_once(()))));
    let owned = is_send_and_sync(OwnedContext::new(ThreadTimer).with_value(1_u8));
    drop(is_send_and_sync(owned.interrupted()));
    std::thread::scope(|scope| _ = scope.spawn(|| assert_eq!(request.get::<TraceId>(), Some(&trace))));
}
