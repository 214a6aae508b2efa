//! Fan-out, with what consumes it.

use alloc::vec::Vec;
use core::future::ready;
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_lite::{StreamExt, stream};
use tollgate::Semaphore;
use tollgate::fan_out::TryPolicy;

use super::order::on_each;
use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};

pub(super) async fn a_body_runs_beside_what_is_in_flight() -> Outcome {
    let gate = Semaphore::new(1);
    let work = async |n: usize| {
        let _permit = gate.acquire().await;
        pause().await;
        n
    };
    on_each!(stream::iter(0..6), 3, work, |jobs| {
        let sum = AtomicUsize::new(0);
        // What is in flight may have the one permit, and gives it back only if it is polled.
        let body = |n| {
            let (gate, sum) = (&gate, &sum);
            async move {
                let _permit = gate.acquire().await;
                sum.fetch_add(n, Relaxed);
            }
        };
        jobs.for_each(body).await;
        ensure!(sum.load(Relaxed) == 15 && gate.available_permits() == 1);
    });
    Ok(())
}

pub(super) async fn the_first_error_drops_the_rest() -> Outcome {
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        pauses(n).await;
        if n == 2 { Err(n) } else { Ok(n) }
    };
    on_each!(stream::iter([1, 9, 2, 9, 9]), 3, work, |jobs| {
        let mut seen = 0;
        let outcome = jobs
            .try_for_each(|n| {
                seen += n;
                ready(Ok(()))
            })
            .await;
        ensure!(outcome == Err(2) && seen == 1 && gauge.now() == 0);
    });
    Ok(())
}

pub(super) async fn outputs_are_folded_in_turn() -> Outcome {
    let work = async |n: usize| {
        pauses(5 - n).await;
        n
    };
    on_each!(stream::iter(0..6), 4, work, |jobs| {
        let folded = jobs.ordered().fold(0, async |sum, n| {
            pause().await;
            sum * 10 + n
        });
        ensure!(folded.await == 12345);
    });
    Ok(())
}

pub(super) async fn what_worked_is_told_from_what_failed() -> Outcome {
    let work = async |n: usize| {
        pauses(n).await;
        if n % 2 == 0 { Ok(n) } else { Err(n) }
    };
    on_each!(stream::iter(0..6), 3, work, |jobs| {
        ensure!(jobs.ordered().collect_results().await == (Vec::from([0, 2, 4]), Vec::from([1, 3, 5])));
    });
    Ok(())
}

pub(super) async fn a_loop_of_ones_own_keeps_it_going() -> Outcome {
    let gate = Semaphore::new(0);
    let work = async |n: usize| {
        if n > 0 {
            pause().await;
            gate.add_permits(1);
        }
        n
    };
    on_each!(stream::iter(0..4), 4, work, |jobs| {
        let mut jobs = pin!(jobs);
        ensure!(jobs.next().await == Some(0));
        // Only what is in flight can make this ready.
        ensure!(jobs.as_mut().drive_while(gate.acquire_many(3)).await.is_ok_and(|permits| permits.permits() == 3));
        ensure!(jobs.finished() == 3 && jobs.count().await == 3);
        ensure!(gate.forget_permits(3) == 3);
    });
    Ok(())
}

pub(super) async fn what_becomes_of_the_rest_is_a_choice() -> Outcome {
    let work = async |n: usize| {
        pauses(n).await;
        if n == 1 { Err(n) } else { Ok(n) }
    };
    on_each!(stream::iter([0, 1, 3, 2]), 4, work, |jobs| {
        let outputs: Vec<_> = jobs.ordered().try_policy(TryPolicy::CancelRest).collect().await;
        ensure!(outputs == [Ok(0), Err(1)]);
    });
    on_each!(stream::iter([0, 1, 3, 2]), 4, work, |jobs| {
        let outputs: Vec<_> = jobs.ordered().try_policy(TryPolicy::Drain).collect().await;
        ensure!(outputs == [Ok(0), Ok(3), Ok(2), Err(1)]);
    });
    on_each!(stream::iter([0, 1, 3, 2]), 4, work, |jobs| {
        let outputs: Vec<_> = jobs.ordered().try_policy(TryPolicy::Continue).collect().await;
        ensure!(outputs == [Ok(0), Err(1), Ok(3), Ok(2)]);
    });
    Ok(())
}
