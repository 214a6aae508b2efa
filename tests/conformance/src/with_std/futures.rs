//! Futures, functions and bodies that panic.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::future::{pending, poll_fn, ready};
use core::mem::take;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use futures_core::Stream;
use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::context::{Context as Request, Interrupted};
use tollgate::time::{Clock, TimerQueue};
use tollgate::{DeadlineExt, Elapsed, FutureSet, Limit, Semaphore, Tracker, workers};

use super::{Thrown, catch, caught, throw};
use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};
use crate::with_alloc::order::on_each;
use crate::with_alloc::workers::all;

/// All outputs, in the order of numbers, and how many panics there were between them.
async fn all_of(mut jobs: Pin<&mut impl Stream<Item = usize>>) -> (Vec<usize>, usize) {
    let (mut outputs, mut panics) = (Vec::new(), 0);
    loop {
        match caught(|cx| jobs.as_mut().poll_next(cx)).await {
            Ok(Some(output)) => outputs.push(output),
            Ok(None) => break,
            Err(Thrown) => panics += 1,
        }
    }
    outputs.sort_unstable();
    (outputs, panics)
}

pub(super) async fn a_future_that_panics_frees_its_place() -> Outcome {
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        pauses(n % 4).await;
        if n % 3 == 1 {
            throw();
        }
        n
    };
    on_each!(stream::iter(0..9), 2, work, |jobs| {
        let mut jobs = pin!(jobs);
        ensure!(all_of(jobs.as_mut()).await == (Vec::from([0, 2, 3, 5, 6, 8]), 3));
        ensure!(jobs.in_flight() == 0);
    });
    on_each!(stream::iter(0..9), 2, work, |jobs| {
        ensure!(all_of(pin!(jobs.ordered())).await == (Vec::from([0, 2, 3, 5, 6, 8]), 3));
    });
    ensure!(gauge.now() == 0 && gauge.peak() == 2);
    Ok(())
}

pub(super) async fn a_future_that_panics_gives_back_what_it_held() -> Outcome {
    let work = async |n: usize| {
        pauses(n % 3).await;
        if n < 6 {
            throw();
        }
        n
    };
    on_each!(stream::iter(0..8), 4, work, |jobs| {
        let gate = Semaphore::new(2);
        ensure!(all_of(pin!(jobs.shared(&gate))).await == (Vec::from([6, 7]), 6));
        ensure!(gate.available_permits() == 2 && gate.waiters() == 0);
    });
    on_each!(stream::iter(0..8), 4, work, |jobs| {
        let limit = Limit::new(2);
        ensure!(all_of(pin!(jobs.limit_by(&limit))).await == (Vec::from([6, 7]), 6));
        ensure!(limit.free() == 2);
    });
    on_each!(stream::iter(0..8), 4, work, |jobs| {
        ensure!(all_of(pin!(jobs.keyed(|n| n % 2))).await == (Vec::from([6, 7]), 6));
    });
    on_each!(stream::iter(0..8), 4, work, |jobs| {
        ensure!(all_of(pin!(jobs.weighted(|_| 3))).await == (Vec::from([6, 7]), 6));
    });
    Ok(())
}

pub(super) async fn a_function_that_panics_loses_its_item_alone() -> Outcome {
    let work = |n: usize| {
        if n % 3 == 1 {
            throw();
        }
        ready(n)
    };
    on_each!(stream::iter(0..6), 2, work, |jobs| {
        ensure!(all_of(pin!(jobs)).await == (Vec::from([0, 2, 3, 5]), 2));
    });
    Ok(())
}

pub(super) async fn a_future_that_panics_in_a_set_makes_room() -> Outcome {
    let job = async |n: usize| {
        pause().await;
        if n < 2 {
            throw();
        }
        n
    };
    let set = FutureSet::with_capacity(2);
    ensure!(set.try_push(job(0)).is_ok() && set.try_push(job(1)).is_ok());
    let take = async {
        // Two panics, and then what was added meanwhile.
        let mut seen = (0, 0);
        loop {
            match caught(|cx| set.poll_next(cx)).await {
                Ok(Some(n)) => seen.1 += n,
                Ok(None) => break seen,
                Err(Thrown) => seen.0 += 1,
            }
        }
    };
    let (((), ()), seen) = zip(zip(set.push(job(2)), set.push(job(3))), take).await;
    ensure!(seen == (2, 5) && set.is_empty());
    Ok(())
}

pub(super) async fn a_body_that_panics_is_gone_and_the_rest_goes_on() -> Outcome {
    let work = async |n: usize| {
        pauses(n % 3).await;
        n
    };
    on_each!(stream::iter(0..6), 3, work, |jobs| {
        let gauge = Gauge::new();
        let mut consumed = pin!(jobs.for_each(async |n| {
            let _inside = gauge.enter();
            pause().await;
            if n % 2 == 0 {
                throw();
            }
        }));
        for _ in 0..3 {
            ensure!(caught(|cx| consumed.as_mut().poll(cx)).await == Err(Thrown) && gauge.now() == 0);
        }
        ensure!(caught(|cx| consumed.as_mut().poll(cx)).await == Ok(()));
    });
    Ok(())
}

pub(super) async fn a_worker_that_panics_strands_nobody() -> Outcome {
    for again in [false, true] {
        let (hands, results) = workers(stream::iter(0..12), 3, async |n: usize| {
            pauses(n % 4).await;
            if n == 3 {
                throw();
            }
            n
        });
        let panics = Gauge::new();
        let hands = hands.into_iter().map(|hand| async {
            let mut hand = Box::pin(hand);
            while caught(|cx| hand.as_mut().poll(cx)).await.is_err() {
                drop(panics.enter());
                if !again {
                    break;
                }
            }
        });
        let ((), outputs) = zip(all(hands.collect()), results.ordered().collect::<Vec<_>>()).await;
        ensure!(outputs == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11] && panics.peak() == 1);
    }
    Ok(())
}

pub(super) async fn a_deadline_outlives_a_panic() -> Outcome {
    let timers = TimerQueue::new();
    let root = Request::new(&timers);
    let work = async |n: usize| match n {
        0 => throw(),
        1 => n,
        _ => pending().await,
    };
    on_each!(stream::iter(0..3), 3, work, |jobs| {
        let request = root.with_timeout(Duration::from_millis(20));
        let mut jobs = pin!(jobs.each_timeout(&timers, Duration::from_millis(10)).within(&request));
        ensure!(caught(|cx| jobs.as_mut().poll_next(cx)).await == Err(Thrown));
        ensure!(jobs.next().await == Some(Ok(Ok(1))));
        let now = timers.now();
        let (late, ()) = zip(jobs.next(), async {
            pause().await;
            timers.advance(now + 12);
        })
        .await;
        ensure!(late == Some(Ok(Err(Elapsed))) && jobs.next().await.is_none());
    });
    // One future, with a time of its own and one of its request.
    let request = root.with_timeout(Duration::from_millis(20));
    let mut first = true;
    let again = poll_fn(|_| if take(&mut first) { throw() } else { Poll::<()>::Pending });
    let mut again = pin!(request.run(again.timeout(&timers, Duration::from_secs(1))));
    ensure!(caught(|cx| again.as_mut().poll(cx)).await == Err(Thrown));
    let now = timers.now();
    let (ended, _) = zip(again, async {
        pause().await;
        timers.advance(now + 100)
    })
    .await;
    ensure!(ended == Err(Interrupted::DeadlineExceeded));
    Ok(())
}

pub(super) async fn a_tracker_sees_what_has_panicked_go() -> Outcome {
    let tracker = Tracker::new();
    {
        let mut work = pin!(tracker.track(async { throw() }));
        ensure!(caught(|cx| work.as_mut().poll(cx)).await == Err::<(), _>(Thrown));
    }
    tracker.wait_empty().await;
    ensure!(tracker.live() == 0 && tracker.started() == 1 && tracker.finished() == 0);
    Ok(())
}

/// Panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        throw()
    }
}

/// A waker that panics when it is used.
pub(super) fn bad_waker() -> Waker {
    Arc::new(Bad).into()
}

pub(super) async fn a_task_whose_waker_panics_finds_what_was_woken() -> Outcome {
    let gate = Semaphore::new(0);
    let work = async |n: usize| gate.acquire().await.map(|permit| (permit.forget(), n).1);
    on_each!(stream::iter(0..3), 3, work, |jobs| {
        let mut jobs = pin!(jobs);
        for n in 0..3 {
            ensure!(jobs.as_mut().poll_next(&mut Context::from_waker(&bad_waker())).is_pending());
            ensure!(catch(|| gate.add_permits(1)) == Err(Thrown));
            ensure!(jobs.next().await == Some(Ok(n)));
        }
    });
    let set = FutureSet::with_capacity(2);
    ensure!(set.poll_next(&mut Context::from_waker(&bad_waker())).is_ready());
    ensure!(catch(|| set.try_push(ready(1)).is_ok()) == Err(Thrown));
    ensure!(poll_once(set.next()).await == Some(Some(1)));
    Ok(())
}
