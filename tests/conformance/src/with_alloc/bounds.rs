//! Fan-out with further bounds: a key, a weight, a limit that moves, and permits.

use alloc::sync::Arc;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::{FanOutExt, Limit, Semaphore};

use super::order::on_each;
use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};

/// Takes a permit out of existence.
async fn consume(gate: &Semaphore) {
    if let Ok(permit) = gate.acquire().await {
        permit.forget();
    }
}

pub(super) async fn items_of_one_key_run_one_after_another() -> Outcome {
    let gauges = [const { Gauge::new() }; 3];
    let work = async |n: usize| {
        let _inside = gauges[n % 3].enter();
        pauses(7 * n % 5).await;
        n
    };
    on_each!(stream::iter(0..30), 6, work, |jobs| {
        let mut jobs = pin!(jobs.keyed(|n| n % 3));
        let mut next = [0, 1, 2];
        while let Some(n) = jobs.next().await {
            ensure!(next[n % 3] == n);
            next[n % 3] += 3;
        }
        ensure!(next == [30, 31, 32]);
        ensure!(gauges.iter().all(|gauge| gauge.peak() == 1 && gauge.now() == 0));
    });
    Ok(())
}

pub(super) async fn keys_run_side_by_side() -> Outcome {
    let gate = Semaphore::new(0);
    let work = async |(key, n): (char, usize)| {
        if key == 'a' {
            consume(&gate).await;
        }
        (key, n)
    };
    let source = [('a', 0), ('a', 1), ('b', 0), ('b', 1), ('a', 2)];
    on_each!(stream::iter(source), 5, work, |jobs| {
        let mut jobs = pin!(jobs.keyed(|item| item.0));
        ensure!(jobs.next().await == Some(('b', 0)));
        ensure!(jobs.next().await == Some(('b', 1)));
        ensure!(poll_once(jobs.next()).await.is_none());
        for n in 0..3 {
            let (output, ()) = zip(jobs.next(), async {
                pause().await;
                gate.add_permits(1);
            })
            .await;
            ensure!(output == Some(('a', n)));
        }
        ensure!(jobs.next().await.is_none());
    });
    Ok(())
}

pub(super) async fn weights_stay_within_the_limit() -> Outcome {
    let (now, peak) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = async |weight: usize| {
        now.fetch_add(weight, Relaxed);
        peak.fetch_max(now.load(Relaxed), Relaxed);
        pauses(weight).await;
        now.fetch_sub(weight, Relaxed);
        weight
    };
    on_each!(stream::iter([1, 3, 2, 2, 4, 1, 1, 3, 2]), 4, work, |jobs| {
        let sum = pin!(jobs.weighted(|weight| *weight)).fold(0, |sum, n| sum + n).await;
        ensure!(sum == 19);
        ensure!(peak.load(Relaxed) == 4 && now.load(Relaxed) == 0);
    });
    Ok(())
}

pub(super) async fn what_is_too_heavy_runs_alone() -> Outcome {
    let gauge = Gauge::new();
    let work = async |weight: usize| {
        let inside = gauge.enter();
        pauses(3).await;
        // Whoever came after it would be seen.
        let alone = gauge.now() == 1;
        drop(inside);
        (weight, alone)
    };
    on_each!(stream::iter([1, 100, 1, 1]), 4, work, |jobs| {
        let mut jobs = pin!(jobs.weighted(|weight| *weight).ordered().window(4));
        ensure!(jobs.next().await.is_some_and(|output| output.0 == 1));
        ensure!(jobs.next().await == Some((100, true)));
        ensure!(jobs.count().await == 2);
    });
    Ok(())
}

pub(super) async fn a_limit_of_nothing_is_a_pause() -> Outcome {
    let gauge = Gauge::new();
    let limit = Arc::new(Limit::new(0));
    let work = async |n: usize| {
        let _inside = gauge.enter();
        pauses(2).await;
        n
    };
    on_each!(stream::iter(0..10), 6, work, |jobs| {
        limit.set(0);
        let mut jobs = pin!(jobs.limit_by(limit.clone()));
        let mut steps = 0;
        let raise = async {
            pauses(5).await;
            if gauge.now() > 0 {
                return Err("something runs");
            }
            limit.set(2);
            Ok(())
        };
        let count = async {
            while jobs.next().await.is_some() {
                steps += 1;
            }
        };
        let ((), raised) = zip(count, raise).await;
        raised?;
        ensure!(steps == 10 && gauge.peak() == 2 && limit.free() == 2);
    });
    Ok(())
}

pub(super) async fn two_streams_stay_within_one_limit() -> Outcome {
    let gauge = Gauge::new();
    let limit = Limit::new(3);
    let work = async |n: usize| {
        let _inside = gauge.enter();
        pauses(n % 4).await;
    };
    on_each!(stream::iter(0..20), 8, work, |jobs| {
        let other = stream::iter(0..20).fan_out_with(8, work).limit_by(&limit);
        let ours = pin!(jobs.limit_by(&limit));
        let (ours, other) = zip(ours.count(), other.count()).await;
        ensure!((ours, other) == (20, 20));
        ensure!(gauge.peak() == 3 && gauge.now() == 0 && limit.free() == 3);
    });
    Ok(())
}

pub(super) async fn a_limit_that_is_lowered_stops_nothing_that_runs() -> Outcome {
    let gate = Semaphore::new(0);
    let gauge = Gauge::new();
    let limit = Limit::new(4);
    let work = async |_: usize| {
        let _inside = gauge.enter();
        consume(&gate).await;
    };
    on_each!(stream::iter(0..8), 8, work, |jobs| {
        limit.set(4);
        let mut jobs = pin!(jobs.limit_by(&limit));
        ensure!(poll_once(jobs.next()).await.is_none());
        ensure!(gauge.now() == 4);
        limit.set(1);
        for running in [3, 2, 1, 1, 1] {
            gate.add_permits(1);
            ensure!(jobs.next().await.is_some());
            ensure!(poll_once(jobs.next()).await.is_none());
            ensure!(gauge.now() == running);
        }
        gate.add_permits(3);
        ensure!(jobs.count().await == 3);
    });
    ensure!(gate.available_permits() == 0);
    Ok(())
}

pub(super) async fn items_hold_permits_while_they_run() -> Outcome {
    let gate = Arc::new(Semaphore::new(2));
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        pauses(n % 3).await;
        gate.available_permits() + gauge.now() <= 2
    };
    on_each!(stream::iter(0..12), 5, work, |jobs| {
        // Somebody else has one of them at first.
        let permit = gate.clone().acquire_owned().await.map_err(|_| "closed")?;
        let held = async {
            pauses(5).await;
            drop(permit);
        };
        let mut jobs = pin!(jobs.shared(gate.clone()));
        let (within, ()) = zip(jobs.all(|within| within), held).await;
        ensure!(within && (1..=2).contains(&gauge.peak()));
        ensure!(gate.available_permits() == 2 && gate.waiters() == 0);
    });
    Ok(())
}

pub(super) async fn no_permit_is_kept_while_the_consumer_is_away() -> Outcome {
    let gate = Semaphore::new(1);
    let work = async |n: usize| {
        pause().await;
        n
    };
    on_each!(stream::iter(0..6), 3, work, |jobs| {
        let mut jobs = pin!(jobs.shared(&gate));
        let mut outputs = 0;
        while jobs.as_mut().next().await.is_some() {
            outputs += 1;
            ensure!(gate.available_permits() + jobs.in_flight() == 1 && gate.waiters() == 0);
            // What runs may have the permit; then it needs to be kept going, and gives it back.
            let permit = jobs.as_mut().drive_while(gate.acquire()).await;
            ensure!(permit.is_ok());
            pause().await;
        }
        ensure!(outputs == 6 && gate.available_permits() == 1);
    });
    Ok(())
}

pub(super) async fn a_stream_without_items_keeps_no_permit() -> Outcome {
    let gate = Semaphore::new(1);
    let more = Semaphore::new(0);
    let source = || {
        let last = stream::once(()).then(|()| async {
            drop(more.acquire().await);
            2
        });
        stream::iter(0..2).chain(last)
    };
    on_each!(source(), 4, async |n: usize| n, |jobs| {
        let mut jobs = pin!(jobs.shared(&gate));
        ensure!(jobs.next().await == Some(0) && jobs.next().await == Some(1));
        ensure!(poll_once(jobs.next()).await.is_none());
        ensure!(gate.available_permits() == 1 && gate.waiters() == 0);
        more.add_permits(1);
        ensure!(jobs.next().await == Some(2) && jobs.next().await.is_none());
        ensure!(more.forget_permits(1) == 1);
    });
    Ok(())
}

pub(super) async fn a_closed_semaphore_ends_the_stream() -> Outcome {
    let work = async |n: usize| {
        pauses(3).await;
        n
    };
    on_each!(stream::repeat(1), 4, work, |jobs| {
        let gate = Semaphore::new(2);
        let mut jobs = pin!(jobs.shared(&gate));
        ensure!(jobs.next().await == Some(1));
        gate.close();
        // Those that run; one of those that wait may have got its permit before.
        ensure!(jobs.count().await <= 2 && gate.available_permits() == 2);
        let gate = Semaphore::new(0);
        let nothing = stream::repeat(1).fan_out_with(4, work).shared(&gate);
        let (count, ()) = zip(nothing.count(), async {
            pause().await;
            gate.close();
        })
        .await;
        ensure!(count == 0);
    });
    Ok(())
}

pub(super) async fn a_limit_of_nothing_stops_nothing_that_runs() -> Outcome {
    let gate = Semaphore::new(0);
    let gauge = Gauge::new();
    let limit = Limit::new(3);
    let work = async |_: usize| {
        let _inside = gauge.enter();
        consume(&gate).await;
    };
    on_each!(stream::iter(0..9), 6, work, |jobs| {
        limit.set(3);
        let mut jobs = pin!(jobs.limit_by(&limit));
        ensure!(poll_once(jobs.next()).await.is_none() && gauge.now() == 3);
        limit.set(0);
        gate.add_permits(9);
        for _ in 0..3 {
            ensure!(jobs.next().await.is_some());
        }
        ensure!(poll_once(jobs.next()).await.is_none() && gauge.now() == 0);
        let (count, ()) = zip(jobs.count(), async {
            pauses(3).await;
            limit.set(2);
        })
        .await;
        ensure!(count == 6 && limit.free() == 2 && gate.available_permits() == 0);
    });
    Ok(())
}
