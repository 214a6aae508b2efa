//! Streams that run within a context, polled by hand.
#![cfg(all(feature = "std", target_has_atomic = "ptr"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::future::pending;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_lite::stream;
use support::Wakes;
use tollgate::context::{Context, Interrupted, OwnedContext};
use tollgate::fan_out::WakeTable;
use tollgate::time::ManualClock;
use tollgate::{Elapsed, FanOutExt, Semaphore, Tracker, workers};

const SECOND: Duration = Duration::from_secs(1);

fn next<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut TaskContext::from_waker(waker))
}

#[test]
fn results_within_a_context_end_with_it_and_stop_the_workers() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let (workers, results) = workers(stream::iter([1, 2]), 1, |n: u32| async move {
        if n == 2 {
            pending::<()>().await;
        }
        n
    });
    let mut worker = workers.into_iter().map(Box::pin).next().unwrap();
    let (worker_wakes, worker_waker) = Wakes::new();
    let (wakes, waker) = Wakes::new();
    let mut results = Box::pin(results.within(&root));

    assert!(worker.as_mut().poll(&mut TaskContext::from_waker(&worker_waker)).is_pending());
    assert_eq!(next(&mut results, &waker), Poll::Ready(Some(Ok(1))));
    assert!(next(&mut results, &waker).is_pending());
    root.cancel_with("enough");
    assert_eq!(wakes.count(), 1);
    assert!(
        worker.as_mut().poll(&mut TaskContext::from_waker(&worker_waker)).is_pending(),
        "the results are not read yet"
    );
    let before = worker_wakes.count();
    assert_eq!(next(&mut results, &waker), Poll::Ready(Some(Err(Interrupted::Cancelled("enough".into())))));
    assert!(worker_wakes.count() > before);
    assert!(worker.as_mut().poll(&mut TaskContext::from_waker(&worker_waker)).is_ready());
    assert_eq!(next(&mut results, &waker), Poll::Ready(None));
    assert!(results.is_terminated() && results.inner().is_none());
}

#[test]
fn a_stream_that_has_ended_waits_for_its_context_no_more() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let (workers, results) = workers(stream::iter([1]), 1, |n: u32| std::future::ready(n));
    let mut outputs = Box::pin(results.within(&request));
    let waker = Waker::noop();
    assert!(next(&mut outputs, waker).is_pending());
    assert_eq!((clock.sleepers(), root.token().waiters()), (1, 1));
    workers.into_iter().for_each(futures_lite::future::block_on);
    assert_eq!(next(&mut outputs, waker), Poll::Ready(Some(Ok(1))));
    assert_eq!(next(&mut outputs, waker), Poll::Ready(None));
    assert_eq!((clock.sleepers(), root.token().waiters()), (0, 0));
}

#[test]
fn a_stream_that_is_always_ready_cannot_outrun_its_context() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let (workers, results) = workers(stream::repeat(1), 1, |n: u32| std::future::ready(n));
    let mut workers: Vec<_> = workers.into_iter().map(Box::pin).collect();
    let mut results = Box::pin(results.within(&request));
    let waker = Waker::noop();
    for _ in 0..10 {
        assert!(workers[0].as_mut().poll(&mut TaskContext::from_waker(waker)).is_pending());
        assert_eq!(next(&mut results, waker), Poll::Ready(Some(Ok(1))));
    }
    clock.advance(SECOND);
    assert!(workers[0].as_mut().poll(&mut TaskContext::from_waker(waker)).is_pending());
    assert_eq!(next(&mut results, waker), Poll::Ready(Some(Err(Interrupted::DeadlineExceeded))));
    assert_eq!(next(&mut results, waker), Poll::Ready(None));
}

#[test]
fn a_deadline_wakes_who_waits_for_results() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let (_workers, results) = workers(stream::pending::<u32>(), 1, std::future::ready);
    let mut results = Box::pin(results.within(&request));
    let (wakes, waker) = Wakes::new();
    assert!(next(&mut results, &waker).is_pending());
    clock.advance(SECOND);
    assert_eq!(wakes.count(), 1);
    assert_eq!(next(&mut results, &waker), Poll::Ready(Some(Err(Interrupted::DeadlineExceeded))));
}

#[test]
fn a_context_that_was_interrupted_before_lets_nothing_through() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    root.cancel();
    let (workers, results) = workers(stream::repeat(1), 1, |n: u32| std::future::ready(n));
    let mut workers: Vec<_> = workers.into_iter().map(Box::pin).collect();
    assert!(workers[0].as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
    let mut results = Box::pin(results.within(&root));
    assert!(matches!(next(&mut results, Waker::noop()), Poll::Ready(Some(Err(Interrupted::Cancelled(_))))));
    assert!(workers[0].as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready());
}

#[test]
fn an_uninterrupted_stream_ends_as_it_would_without() {
    let context = OwnedContext::new(tollgate::time::ThreadTimer);
    let (workers, results) = workers(stream::iter([1]), 1, |n: u32| std::future::ready(n));
    let mut workers: Vec<_> = workers.into_iter().map(Box::pin).collect();
    assert!(workers[0].as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready());
    let mut results = Box::pin(results.within(&context));
    assert!(format!("{results:?}").contains("Within"));
    assert_eq!(next(&mut results, Waker::noop()), Poll::Ready(Some(Ok(1))));
    assert_eq!(results.size_hint().0, 0);
    assert_eq!(next(&mut results, Waker::noop()), Poll::Ready(None));
    assert_eq!(results.size_hint(), (0, Some(0)));
}

// === fan-out ===

#[test]
fn a_fan_out_within_a_context_drops_what_is_in_flight_when_that_is_interrupted() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let tracker = Tracker::new();
    let outputs = stream::iter(1..).fan_out_with(3, |n: u32| {
        tracker.track(async move {
            if n > 1 {
                pending::<()>().await;
            }
            n
        })
    });
    let mut outputs = Box::pin(outputs.within(&request));
    let (wakes, waker) = Wakes::new();

    assert_eq!(next(&mut outputs, &waker), Poll::Ready(Some(Ok(1))));
    assert!(next(&mut outputs, &waker).is_pending());
    assert_eq!(tracker.live(), 3);
    let before = wakes.count();
    clock.advance(SECOND);
    assert_eq!(wakes.count(), before + 1);
    assert_eq!(next(&mut outputs, &waker), Poll::Ready(Some(Err(Interrupted::DeadlineExceeded))));
    assert_eq!((tracker.live(), tracker.dropped_unfinished()), (0, 3), "with the error, all is gone");
    assert_eq!(next(&mut outputs, &waker), Poll::Ready(None));
    assert!(outputs.is_terminated());
}

#[test]
fn a_fan_out_under_a_context_that_was_interrupted_before_begins_nothing() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    root.cancel();
    let tracker = Tracker::new();
    let outputs = stream::repeat(1).fan_out_with(2, |n: u32| tracker.track(std::future::ready(n))).ordered();
    let mut outputs = Box::pin(outputs.within(&root));
    assert!(matches!(next(&mut outputs, Waker::noop()), Poll::Ready(Some(Err(Interrupted::Cancelled(_))))));
    assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(None));
    assert_eq!(tracker.started(), 0);
}

#[test]
fn a_hot_fan_out_cannot_outrun_its_context() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(SECOND);
    let mut outputs = Box::pin(stream::repeat(1).fan_out_with(2, std::future::ready).within(&request));
    for _ in 0..10 {
        assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(Some(Ok(1))));
    }
    clock.advance(SECOND);
    assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(Some(Err(Interrupted::DeadlineExceeded))));
    assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(None));
}

#[test]
fn a_cancelled_fan_out_gives_back_its_permits_and_its_wake_table() {
    static TABLE: WakeTable<1> = WakeTable::new();
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let connections = Semaphore::new(2);
    let tracker = Tracker::new();
    let outputs = stream::repeat(())
        .fan_out_inline_with::<4, _, _>(|()| tracker.track(pending::<()>()))
        .wake_table(&TABLE)
        .shared(&connections)
        .each_timeout(&clock, 5 * SECOND);
    let mut outputs = Box::pin(outputs.within(&root));
    let (wakes, waker) = Wakes::new();
    assert!(next(&mut outputs, &waker).is_pending());
    assert_eq!((connections.available_permits(), tracker.live(), clock.sleepers()), (0, 2, 1));

    root.cancel();
    assert_eq!(wakes.count(), 1);
    assert!(matches!(next(&mut outputs, &waker), Poll::Ready(Some(Err(Interrupted::Cancelled(_))))));
    assert_eq!((connections.available_permits(), tracker.live(), clock.sleepers()), (2, 0, 0));
    let mut again = Box::pin(stream::iter([7]).fan_out_inline_with::<4, _, _>(std::future::ready).wake_table(&TABLE));
    assert_eq!(next(&mut again, &waker), Poll::Ready(Some(7)), "another stream can have the table");
}

#[test]
fn an_items_deadline_and_that_of_the_context_are_told_apart() {
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request = root.with_timeout(3 * SECOND);
    let outputs = stream::repeat(()).fan_out_with(1, |()| pending::<()>()).each_timeout(&clock, 2 * SECOND);
    let mut outputs = Box::pin(outputs.within(&request));
    assert!(next(&mut outputs, Waker::noop()).is_pending());
    clock.advance(2 * SECOND);
    assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(Some(Ok(Err(Elapsed)))));
    assert!(next(&mut outputs, Waker::noop()).is_pending());
    clock.advance(SECOND);
    assert_eq!(next(&mut outputs, Waker::noop()), Poll::Ready(Some(Err(Interrupted::DeadlineExceeded))));
}
