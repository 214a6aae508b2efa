//! Wakers that panic, between others that do not, each in a task of its own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{poll_fn, ready};
use core::pin::Pin;
use core::task::Context;

use futures_lite::{StreamExt, stream};
use tollgate::time::TimerQueue;
use tollgate::{FanOutExt, FutureSet, Limit, OwnedCancellationToken, Semaphore, Tracker, workers};

use super::futures::bad_waker;
use super::{Thrown, catch, caught, throw};
use crate::Run;
use crate::help::{ensure, pauses};

const OTHERS: usize = 4;

type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Four tasks wait, and before and behind them somebody whose waker panics. One wake is for all.
fn between_bad_ones<T: Send + Sync + 'static>(
    what: T,
    wait: fn(&T) -> Wait<'_>,
    wake: impl FnOnce(&T) + Send + 'static,
) -> Vec<Run> {
    let (what, start, ready) = (Arc::new(what), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let mut crew: Vec<Run> = Vec::new();
    for _ in 0..OTHERS {
        let (what, start, ready) = (what.clone(), start.clone(), ready.clone());
        crew.push(Box::pin(async move {
            start.acquire().await.map_err(|_| "closed")?.forget();
            let mut wait = wait(&what);
            let mut told = false;
            // After it says that it waits, nothing but the one wake leads to its next poll.
            poll_fn(|cx| {
                let polled = wait.as_mut().poll(cx);
                if polled.is_pending() && !core::mem::replace(&mut told, true) {
                    ready.add_permits(1);
                }
                polled
            })
            .await;
            Ok(())
        }));
    }
    crew.push(Box::pin(async move {
        let (mut first, mut last) = (wait(&what), wait(&what));
        ensure!(first.as_mut().poll(&mut Context::from_waker(&bad_waker())).is_pending());
        start.add_permits(OTHERS);
        ready.acquire_many(OTHERS).await.map_err(|_| "closed")?.forget();
        ensure!(last.as_mut().poll(&mut Context::from_waker(&bad_waker())).is_pending());
        ensure!(catch(|| wake(&what)) == Err(Thrown));
        // The panic has not kept these from what they waited for either.
        first.await;
        last.await;
        Ok(())
    }));
    crew
}

pub(super) fn a_waker_that_panics_keeps_no_permit_from_the_others() -> Vec<Run> {
    let consume: fn(&Semaphore) -> Wait<'_> = |gate| {
        Box::pin(async {
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
        })
    };
    between_bad_ones(Semaphore::new(0), consume, |gate| gate.add_permits(OTHERS + 2))
}

pub(super) fn a_waker_that_panics_leaves_the_others_cancelled() -> Vec<Run> {
    let root = OwnedCancellationToken::new();
    between_bad_ones(root, |token| Box::pin(token.child_token().cancelled_owned()), |token| token.cancel())
}

pub(super) fn a_waker_that_panics_leaves_nobody_asleep() -> Vec<Run> {
    between_bad_ones(TimerQueue::new(), |timers| Box::pin(timers.sleep_until(5)), |timers| _ = timers.advance(9))
}

pub(super) fn a_waker_that_panics_hides_no_end_of_work() -> Vec<Run> {
    let tracker = Arc::new(Tracker::new());
    let guard = tracker.owned().guard();
    between_bad_ones(tracker, |tracker| Box::pin(tracker.wait_empty()), |_| drop(guard))
}

pub(super) fn a_waker_that_panics_keeps_no_limit_from_the_others() -> Vec<Run> {
    let stream_of_one: fn(&Limit) -> Wait<'_> = |limit| {
        let jobs = stream::iter([1]).fan_out_with(1, ready).limit_by(limit);
        Box::pin(async { _ = jobs.count().await })
    };
    between_bad_ones(Limit::new(0), stream_of_one, |limit| limit.set(OTHERS + 2))
}

pub(super) fn a_waker_that_panics_keeps_no_room_from_the_others() -> Vec<Run> {
    let set = FutureSet::with_capacity(OTHERS + 2);
    while set.try_push(ready(())).is_ok() {}
    between_bad_ones(set, |set| Box::pin(set.push(ready(()))), |set| set.clear())
}

pub(super) fn a_worker_that_panics_strands_no_other() -> Vec<Run> {
    let (workers, results) = workers(stream::iter(0..100_usize), 4, |n| async move {
        pauses(n % 4).await;
        if n % 25 == 7 {
            throw();
        }
        n
    });
    let mut crew: Vec<Run> = Vec::new();
    for (n, worker) in workers.into_iter().enumerate() {
        crew.push(Box::pin(async move {
            let mut worker = Box::pin(worker);
            // One goes with its first panic, the others go on.
            while caught(|cx| worker.as_mut().poll(cx)).await.is_err() && n > 0 {}
            Ok(())
        }));
    }
    crew.push(Box::pin(async {
        let outputs: Vec<_> = results.ordered().collect().await;
        ensure!(outputs.into_iter().eq((0..100).filter(|n| n % 25 != 7)));
        Ok(())
    }));
    crew
}
