//! Streams with deadlines, and what runs when a future takes long; polled by hand and through the public API alone.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::{FusedFuture, FusedStream, Stream};
use futures_lite::{StreamExt, future::block_on, stream};
use tollgate::time::{Clock, FnTimer, ItemTimeout, ManualClock, OnElapsed, StdClock, StreamDeadline, ThreadTimer};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed};

const NANO: Duration = Duration::from_nanos(1);
const SECOND: Duration = Duration::from_secs(1);

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn next<S: Stream + ?Sized>(stream: Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.poll_next(&mut Context::from_waker(Waker::noop()))
}

/// Gives out the number of each item once the clock has reached its time, and then ends.
fn timed<'c>(clock: &'c ManualClock, times: &[u64]) -> impl Stream<Item = u64> + 'c {
    stream::iter(times.to_vec()).then(move |at| async move {
        clock.sleep_until(Duration::from_secs(at)).await;
        at
    })
}

/// A timer whose sleeps may be moved, and so may what contains them.
fn movable(clock: &ManualClock) -> FnTimer<&ManualClock, fn(Duration) -> std::future::Pending<()>> {
    FnTimer(clock, |_| pending())
}

// === item_timeout ===

#[test]
fn a_wait_begins_when_the_stream_is_pending_and_not_when_the_item_before_is_given_out() {
    // tokio-stream and futures-time charge the consumer's own time to the stream.
    let clock = ManualClock::new();
    let mut items = pin!(timed(&clock, &[0, 11, 13]).item_timeout(&clock, 2 * SECOND));
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(0))));
    assert_eq!((clock.sleepers(), items.expires_at()), (0, None), "no timer without a wait");
    clock.advance(10 * SECOND);
    assert!(next(items.as_mut()).is_pending(), "the consumer was away for 10 seconds");
    assert_eq!(items.expires_at(), Some(12 * SECOND));
    clock.advance(SECOND);
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(11))));
    assert_eq!((clock.sleepers(), items.expires_at()), (0, None), "the wait is over");
    assert!(next(items.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(13))), "ready exactly at the time: the item wins");
    assert_eq!(next(items.as_mut()), Poll::Ready(None));
    assert_eq!(next(items.as_mut()), Poll::Ready(None));
    assert!(items.is_terminated());
}

#[test]
fn a_wait_goes_on_under_another_future_for_the_same_item() {
    let clock = ManualClock::new();
    let mut items = pin!(stream::pending::<()>().item_timeout(&clock, 2 * SECOND));
    for _ in 0..2 {
        assert!(poll(pin!(items.next())).is_pending());
        clock.advance(SECOND);
    }
    assert_eq!(poll(pin!(items.next())), Poll::Ready(Some(Err(Elapsed))));
}

#[test]
fn one_error_ends_the_stream_and_keeps_what_is_inside() {
    // tokio#2566: one error, then silence for ever.
    let clock = ManualClock::new();
    let mut items = Box::pin(timed(&clock, &[5])).item_timeout(movable(&clock), SECOND);
    assert!(next(pin!(&mut items)).is_pending());
    clock.advance(SECOND);
    assert_eq!(next(pin!(&mut items)), Poll::Ready(Some(Err(Elapsed))));
    assert!(items.is_terminated());
    assert_eq!(next(pin!(&mut items)), Poll::Ready(None));
    assert_eq!(items.size_hint(), (0, Some(0)));
    clock.advance(4 * SECOND);
    assert_eq!(next(pin!(&mut items)), Poll::Ready(None), "over is over");
    let mut rest = items.into_inner();
    assert_eq!(next(rest.as_mut()), Poll::Ready(Some(5)), "and nothing is lost");
}

#[test]
fn a_repeating_timeout_begins_a_fresh_wait_after_each_error() {
    let clock = ManualClock::new();
    let mut items = pin!(timed(&clock, &[5, 6]).item_timeout(&clock, 2 * SECOND).repeating());
    assert!(next(items.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Err(Elapsed))));
    assert_eq!(clock.sleepers(), 1, "that of the item alone");
    clock.advance(SECOND);
    assert!(next(items.as_mut()).is_pending(), "counted from here");
    assert_eq!(items.expires_at(), Some(5 * SECOND));
    clock.advance(2 * SECOND);
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(5))));
    assert!(next(items.as_mut()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(6))));
    assert_eq!(next(items.as_mut()), Poll::Ready(None));
    assert!(items.is_terminated());
}

#[test]
fn a_timeout_that_is_never_over_makes_no_timer() {
    let timer = FnTimer(StdClock, |_| -> std::future::Ready<()> { panic!("no timer is needed") });
    let mut items = pin!(stream::pending::<()>().item_timeout(&timer, Duration::MAX));
    for _ in 0..3 {
        assert!(next(items.as_mut()).is_pending());
    }
    let mut hot = pin!(stream::iter(0..100).item_timeout(&timer, Duration::ZERO));
    for n in 0..100 {
        assert_eq!(next(hot.as_mut()), Poll::Ready(Some(Ok(n))), "a ready item always wins");
    }
    assert_eq!(next(hot.as_mut()), Poll::Ready(None));
}

// === stream_deadline ===

#[test]
fn a_hot_stream_cannot_outrun_its_deadline() {
    // tokio: take_until(sleep) gave 341 370 items in 300 ms instead of ending after 5.
    let begun = std::time::Instant::now();
    let at = begun + Duration::from_millis(5);
    let timer = FnTimer(StdClock, |_| pending::<()>());
    let mut hot = pin!(stream::repeat(1).stream_deadline(timer, at));
    let last = loop {
        match next(hot.as_mut()) {
            Poll::Ready(Some(Ok(1))) => assert!(begun.elapsed() < 100 * SECOND),
            other => break other,
        }
    };
    assert_eq!(last, Poll::Ready(Some(Err(Elapsed))));
    assert!(begun.elapsed() >= Duration::from_millis(5));
    assert_eq!(next(hot.as_mut()), Poll::Ready(None));
}

#[test]
fn the_deadline_of_a_stream_is_seen_before_the_stream_is_polled() {
    let clock = ManualClock::new();
    let polls = Cell::new(0);
    let counted = stream::poll_fn(|_| {
        polls.set(polls.get() + 1);
        Poll::Ready(Some(polls.get()))
    });
    let mut limited = counted.stream_deadline(movable(&clock), SECOND);
    assert_eq!(next(pin!(&mut limited)), Poll::Ready(Some(Ok(1))));
    clock.advance(SECOND - NANO);
    assert_eq!(next(pin!(&mut limited)), Poll::Ready(Some(Ok(2))));
    clock.advance(NANO);
    assert_eq!(next(pin!(&mut limited)), Poll::Ready(Some(Err(Elapsed))));
    assert_eq!(next(pin!(&mut limited)), Poll::Ready(None));
    assert_eq!(polls.get(), 2, "what comes later stays in the stream");
    assert!(limited.is_terminated());
    assert_eq!(next(pin!(limited.into_inner())), Poll::Ready(Some(3)));
}

#[test]
fn a_deadline_in_the_past_gives_one_error_and_polls_nothing() {
    // stop-token: on tokio no error at all, on async-io one in every poll and never the end.
    let clock = ManualClock::new();
    clock.advance(5 * SECOND);
    for at in [Duration::ZERO, 5 * SECOND] {
        let untouched = stream::poll_fn(|_| -> Poll<Option<()>> { panic!("too late for that") });
        let mut late = pin!(untouched.stream_deadline(&clock, at));
        assert_eq!(next(late.as_mut()), Poll::Ready(Some(Err(Elapsed))));
        for _ in 0..3 {
            assert_eq!(next(late.as_mut()), Poll::Ready(None));
        }
    }
}

#[test]
fn the_deadline_of_a_stream_wakes_its_task_and_may_be_moved() {
    let clock = ManualClock::new();
    let mut idle = pin!(stream::pending::<()>().stream_deadline(&clock, SECOND));
    assert!(next(idle.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 1);
    idle.as_mut().reset(2 * SECOND);
    clock.advance(SECOND);
    assert!(next(idle.as_mut()).is_pending());
    idle.as_mut().extend(SECOND);
    assert_eq!(idle.expires_at(), Some(3 * SECOND));
    idle.as_mut().clear();
    assert_eq!(clock.sleepers(), 0);
    clock.advance(10 * SECOND);
    assert!(next(idle.as_mut()).is_pending());
    idle.as_mut().reset(12 * SECOND);
    assert!(next(idle.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(next(idle.as_mut()), Poll::Ready(Some(Err(Elapsed))));
    assert_eq!(clock.sleepers(), 0);
    idle.as_mut().reset(20 * SECOND);
    assert_eq!(next(idle.as_mut()), Poll::Ready(None), "over is over");
    assert_eq!(idle.expires_at(), None);
}

#[test]
fn a_stream_that_ends_in_time_has_no_error() {
    let clock = ManualClock::new();
    let limited = timed(&clock, &[0, 0]).stream_deadline(&clock, SECOND);
    assert_eq!(block_on(limited.collect::<Vec<_>>()), [Ok(0), Ok(0)]);
    let both = stream::iter([1]).item_timeout(ThreadTimer, SECOND).stream_deadline(&clock, SECOND);
    assert_eq!(block_on(both.collect::<Vec<_>>()), [Ok(Ok(1))]);
}

#[test]
fn a_size_hint_counts_the_error() {
    let clock = ManualClock::new();
    let items = || stream::iter([1, 2, 3]);
    assert_eq!(items().item_timeout(&clock, SECOND).size_hint(), (1, Some(4)));
    assert_eq!(items().item_timeout(&clock, SECOND).repeating().size_hint(), (3, None));
    assert_eq!(stream::empty::<()>().item_timeout(&clock, SECOND).size_hint(), (0, Some(1)));
    assert_eq!(stream::repeat(1).item_timeout(&clock, SECOND).size_hint(), (1, None), "no overflow");
    assert_eq!(items().stream_deadline(&clock, SECOND).size_hint(), (1, Some(4)));
    let mut cleared = pin!(items().stream_deadline(&clock, SECOND));
    cleared.as_mut().clear();
    assert_eq!(cleared.size_hint(), (3, Some(3)));
    let mut ended = pin!(items().stream_deadline(&clock, Duration::ZERO));
    assert!(next(ended.as_mut()).is_ready());
    assert_eq!(ended.size_hint(), (0, Some(0)));
}

#[test]
fn a_stream_that_panics_leaves_the_rest_usable() {
    let clock = ManualClock::new();
    let turn = Cell::new(0);
    let bad = stream::poll_fn(|_| {
        turn.set(turn.get() + 1);
        if turn.get() == 2 { panic!("once") } else { Poll::Ready(Some(turn.get())) }
    });
    let mut items = pin!(bad.item_timeout(&clock, SECOND).stream_deadline(&clock, SECOND));
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(Ok(1)))));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| next(items.as_mut())));
    assert!(panic.is_err());
    assert_eq!(next(items.as_mut()), Poll::Ready(Some(Ok(Ok(3)))));
}

// === on_elapsed ===

#[test]
fn what_takes_long_runs_its_function_once_and_goes_on() {
    let clock = ManualClock::new();
    let log = RefCell::new(Vec::new());
    let slow = clock.sleep_until(3 * SECOND);
    let mut slow = pin!(slow.on_elapsed(&clock, SECOND, || log.borrow_mut().push(clock.now())));
    assert!(poll(slow.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 2);
    clock.advance(SECOND - NANO);
    assert!(poll(slow.as_mut()).is_pending());
    assert!(log.borrow().is_empty(), "not early");
    clock.advance(NANO);
    for _ in 0..3 {
        assert!(poll(slow.as_mut()).is_pending());
    }
    assert_eq!((log.borrow().as_slice(), slow.expires_at()), ([SECOND].as_slice(), None));
    assert_eq!(clock.sleepers(), 1, "that of the future alone");
    clock.advance(2 * SECOND);
    assert!(poll(slow.as_mut()).is_ready());
    assert!(slow.is_terminated());
    assert_eq!(log.borrow().len(), 1);
}

#[test]
fn what_is_past_already_runs_in_the_first_poll() {
    let timer = FnTimer(StdClock, |_| -> std::future::Ready<()> { panic!("no timer is needed") });
    let runs = Cell::new(0);
    let mut slow = pin!(pending::<()>().on_elapsed(timer, std::time::Instant::now(), || runs.set(runs.get() + 1)));
    assert!(poll(slow.as_mut()).is_pending());
    assert!(poll(slow.as_mut()).is_pending());
    assert_eq!(runs.get(), 1);
}

#[test]
fn finishing_stopping_or_dropping_keeps_the_function_from_running() {
    // Go: AfterFunc and Stop.
    let clock = ManualClock::new();
    let kept = std::rc::Rc::new(());
    let function = || {
        let kept = kept.clone();
        move || unreachable!("{kept:?}")
    };
    let mut done = pin!(clock.sleep_until(SECOND).on_elapsed(&clock, SECOND, function()));
    assert!(poll(done.as_mut()).is_pending());
    let mut stopped = pin!(clock.sleep_until(2 * SECOND).on_elapsed(&clock, SECOND, function()));
    assert!(poll(stopped.as_mut()).is_pending());
    let mut dropped = Box::pin(pending::<()>().on_elapsed(&clock, SECOND, function()));
    assert!(poll(dropped.as_mut()).is_pending());
    assert_eq!(clock.sleepers(), 5);

    drop(dropped);
    assert!(stopped.as_mut().stop().is_some());
    assert!(stopped.as_mut().stop().is_none());
    assert_eq!((clock.sleepers(), std::rc::Rc::strong_count(&kept)), (3, 2));
    clock.advance(SECOND);
    assert!(poll(done.as_mut()).is_ready(), "ready exactly at the time");
    assert!(poll(stopped.as_mut()).is_pending());
    clock.advance(SECOND);
    assert!(poll(stopped.as_mut()).is_ready());
}

#[test]
fn a_function_that_panics_leaves_the_future_usable() {
    let clock = ManualClock::new();
    let value = clock.sleep_until(SECOND);
    let mut slow = pin!(value.on_elapsed(&clock, Duration::ZERO, || panic!("once")));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(slow.as_mut())));
    assert!(panic.is_err());
    assert!(poll(slow.as_mut()).is_pending());
    clock.advance(SECOND);
    assert!(poll(slow.as_mut()).is_ready());
}

#[test]
#[should_panic(expected = "polled after it was finished")]
fn polling_a_finished_one_panics() {
    let clock = ManualClock::new();
    let mut done = pin!(ready(()).on_elapsed(&clock, SECOND, || {}));
    assert!(poll(done.as_mut()).is_ready());
    let _ = poll(done);
}

// === nested ===

#[test]
fn of_two_deadlines_the_earlier_one_comes_and_the_error_says_whose() {
    let clock = ManualClock::new();
    let mut inner = pin!(pending::<()>().timeout(&clock, SECOND).timeout(&clock, 2 * SECOND));
    let mut outer = pin!(pending::<()>().timeout(&clock, 2 * SECOND).timeout(&clock, SECOND));
    assert!(poll(inner.as_mut()).is_pending());
    assert!(poll(outer.as_mut()).is_pending());
    clock.advance(SECOND);
    assert_eq!(poll(inner.as_mut()), Poll::Ready(Ok(Err(Elapsed))));
    assert_eq!(poll(outer.as_mut()), Poll::Ready(Err(Elapsed)));
}

// === facts ===

#[test]
fn everything_can_be_printed() {
    let clock = ManualClock::new();
    let items = stream::iter([1]).item_timeout(&clock, SECOND).repeating();
    let text = format!("{items:?} {:?}", items.inner().clone().stream_deadline(&clock, SECOND));
    assert!(text.contains("repeats: true") && text.contains("StreamDeadline"), "{text}");
    assert!(format!("{:?}", ready(1).on_elapsed(&clock, SECOND, || {})).contains("not armed"));
}

#[test]
fn what_is_send_sync_and_unpin_stays_so() {
    fn all<T: Send + Sync>() {}
    fn unpin<T: Unpin>() {}
    type Nothing = stream::Pending<()>;
    type Still = FnTimer<StdClock, fn(Duration) -> std::future::Ready<()>>;
    all::<ItemTimeout<Nothing, ThreadTimer>>();
    all::<StreamDeadline<Nothing, ThreadTimer>>();
    all::<OnElapsed<std::future::Ready<()>, ThreadTimer, fn()>>();
    unpin::<ItemTimeout<Nothing, Still>>();
    unpin::<StreamDeadline<Nothing, Still>>();
    unpin::<OnElapsed<std::future::Ready<()>, Still, fn()>>();
}

#[test]
fn the_wakers_passed_down_are_the_callers_own() {
    let waker = Waker::from(std::sync::Arc::new(Nobody));
    let same = |cx: &mut Context<'_>| {
        assert!(cx.waker().will_wake(&waker));
        Poll::<()>::Pending
    };
    let timer = FnTimer(StdClock, |_| poll_fn(same));
    let items = stream::poll_fn(|cx| same(cx).map(Some));
    let mut items =
        pin!(items.item_timeout(&timer, SECOND).stream_deadline(&timer, std::time::Instant::now() + SECOND));
    assert!(items.as_mut().poll_next(&mut Context::from_waker(&waker)).is_pending());
}

struct Nobody;

impl std::task::Wake for Nobody {
    fn wake(self: std::sync::Arc<Self>) {}
}
