//! Workers and their results, all in one task; on several they are in [`super::crew`].

use alloc::vec::Vec;
use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::context::{Context, Interrupted};
use tollgate::time::TimerQueue;
use tollgate::{FutureSet, workers};

use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};

/// Runs all of them to their ends.
pub(crate) async fn all<F: Future<Output = ()>>(workers: Vec<F>) {
    let set = FutureSet::with_capacity(workers.len().max(1));
    for worker in workers {
        let _ = set.try_push(worker);
    }
    while set.next().await.is_some() {}
}

pub(super) async fn all_items_come_out_once() -> Outcome {
    let (hands, results) = workers(stream::iter(0..40), 3, async |n: usize| {
        pauses(n % 4).await;
        n
    });
    let ((), mut outputs) = zip(all(hands), results.collect::<Vec<_>>()).await;
    outputs.sort_unstable();
    ensure!(outputs.into_iter().eq(0..40));
    Ok(())
}

pub(super) async fn results_come_in_the_order_of_the_input() -> Outcome {
    let gauge = Gauge::new();
    let (hands, results) = workers(stream::iter(0..40), 3, async |n: usize| {
        let _inside = gauge.enter();
        pauses(7 * n % 5).await;
        n
    });
    let ((), outputs) = zip(all(hands), results.ordered().collect::<Vec<_>>()).await;
    ensure!(outputs.into_iter().eq(0..40));
    ensure!(gauge.peak() <= 3 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn stopped_workers_finish_what_they_have() -> Outcome {
    let gauge = Gauge::new();
    let (hands, mut results) = workers(stream::repeat(()), 3, async |()| {
        let _inside = gauge.enter();
        pause().await;
    });
    let ((), rest) = zip(all(hands), async {
        let first = results.next().await;
        results.stop();
        first.map(|()| 6)
    })
    .await;
    ensure!(rest == Some(6) && gauge.now() == 0);
    ensure!(results.count().await <= 24);
    Ok(())
}

pub(super) async fn without_results_workers_stop() -> Outcome {
    let gauge = Gauge::new();
    let (hands, results) = workers(stream::iter(0..9), 3, async |_: usize| {
        let _inside = gauge.enter();
        pending::<()>().await;
    });
    let ((), inside) = zip(all(hands), async {
        pauses(3).await;
        let inside = gauge.now();
        drop(results);
        inside
    })
    .await;
    ensure!(inside == 3 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn a_worker_that_is_dropped_strands_nobody() -> Outcome {
    let (mut hands, results) = workers(stream::iter(0..20), 3, async |n: usize| {
        pauses(2).await;
        n
    });
    {
        let Some(lost) = hands.pop() else { return Err("there are three") };
        // It has the first item.
        ensure!(poll_once(pin!(lost)).await.is_none());
    }
    let ((), outputs) = zip(all(hands), results.ordered().collect::<Vec<_>>()).await;
    ensure!(outputs.into_iter().eq(1..20));
    Ok(())
}

pub(super) async fn a_context_stops_the_results() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let request = root.with_timeout(Duration::from_millis(5));
    let (hands, results) = workers(stream::iter(0..9), 2, async |n: usize| {
        if n > 0 {
            pending::<()>().await;
        }
        n
    });
    let drive = async {
        pauses(3).await;
        timers.advance(20);
    };
    let (((), outcomes), ()) = zip(zip(all(hands), results.within(&request).collect::<Vec<_>>()), drive).await;
    ensure!(outcomes == [Ok(0), Err(Interrupted::DeadlineExceeded)]);
    Ok(())
}

pub(super) async fn a_cancelled_context_drops_what_they_run() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let request = root.child();
    let gauge = Gauge::new();
    let (hands, results) = workers(stream::iter(0..9), 3, async |n: usize| {
        let _inside = gauge.enter();
        if n > 0 {
            pending::<()>().await;
        }
        n
    });
    let cancel = async {
        pauses(5).await;
        request.cancel_with("gone");
        gauge.now()
    };
    // The workers come to their ends, although what they ran has none.
    let (((), outcomes), inside) = zip(zip(all(hands), results.within(&request).collect::<Vec<_>>()), cancel).await;
    ensure!(outcomes == [Ok(0), Err(Interrupted::Cancelled("gone".into()))]);
    ensure!(inside == 3 && gauge.now() == 0 && root.check().is_ok());
    Ok(())
}

pub(super) async fn a_context_around_one_worker_is_for_that_one() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let request = root.child();
    let (mut hands, results) = workers(stream::iter(0..20), 3, async |n: usize| {
        pauses(2).await;
        n
    });
    let Some(hand) = hands.pop() else { return Err("there are three") };
    let one = async {
        let (ended, ()) = zip(request.run(hand), async {
            pauses(3).await;
            request.cancel();
        })
        .await;
        ended.is_err()
    };
    let ((interrupted, ()), outputs) = zip(zip(one, all(hands)), results.ordered().collect::<Vec<_>>()).await;
    ensure!(interrupted && outputs.is_sorted() && (19..=20).contains(&outputs.len()));
    Ok(())
}
