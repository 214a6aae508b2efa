//! Contexts that own what they have.

use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::context::{Interrupted, OwnedContext};
use tollgate::time::TimerQueue;
use tollgate::{FanOutExt, Semaphore};

use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};

pub(super) async fn owned_contexts_share_values_and_end_apart() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let request = root.with_value(7_u32);
    let other = root.child();
    ensure!(request.get::<u32>() == Some(&7) && other.get::<u32>().is_none());
    let kept = request.detached();
    request.cancel_with("gone");
    ensure!(request.run(pending::<()>()).await == Err(Interrupted::Cancelled("gone".into())));
    ensure!(root.check().is_ok() && other.check().is_ok());
    drop(root);
    ensure!(kept.check().is_ok() && kept.get::<u32>() == Some(&7));
    ensure!(other.run(async { 1 }).await == Ok(1));
    Ok(())
}

pub(super) async fn a_deadline_goes_down_the_tree() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let request = root.with_timeout(Duration::from_millis(10));
    let longer = request.with_timeout(Duration::from_millis(500)).child();
    ensure!(longer.deadline() == request.deadline() && root.deadline().is_none());
    let (ended, ()) = zip(longer.run(pending::<()>()), async {
        pause().await;
        timers.advance(100);
    })
    .await;
    ensure!(ended == Err(Interrupted::DeadlineExceeded));
    ensure!(root.check().is_ok() && timers.sleepers() == 0);
    Ok(())
}

pub(super) async fn what_runs_in_it_is_dropped_with_it() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let gauge = Gauge::new();
    let request = root.child();
    let jobs = stream::iter(0..9).fan_out_with(4, |_: usize| {
        let child = request.child();
        let gauge = &gauge;
        async move {
            child
                .run(async {
                    let _inside = gauge.enter();
                    pending::<()>().await;
                })
                .await
        }
    });
    let mut jobs = pin!(jobs);
    ensure!(poll_once(jobs.next()).await.is_none());
    ensure!(gauge.now() == 4);
    let (outputs, ()) = zip(jobs.filter(Result::is_err).count(), async {
        pause().await;
        root.cancel();
    })
    .await;
    ensure!(outputs == 9 && gauge.now() == 0 && gauge.peak() == 4);
    Ok(())
}

pub(super) async fn a_ready_value_wins_over_its_end() -> Outcome {
    let timers = TimerQueue::new();
    let request = OwnedContext::new(&timers).with_timeout(Duration::from_millis(10));
    let gate = Semaphore::new(0);
    // Both are there when it is polled again.
    let (acquired, _) = zip(request.run(gate.acquire()), async {
        pause().await;
        gate.add_permits(1);
        timers.advance(100)
    })
    .await;
    ensure!(acquired.is_ok_and(|acquired| acquired.is_ok()));
    ensure!(request.check() == Err(Interrupted::DeadlineExceeded));
    let gauge = Gauge::new();
    ensure!(request.run(async { drop(gauge.enter()) }).await.is_err() && gauge.peak() == 0);
    Ok(())
}

pub(super) async fn what_it_has_interrupted_can_be_finished() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let request = root.child();
    let gauge = Gauge::new();
    let mut work = pin!(request.run(async {
        let _inside = gauge.enter();
        pauses(9).await;
        7
    }));
    let (ended, ()) = zip(work.as_mut(), async {
        pause().await;
        root.cancel_with("enough");
    })
    .await;
    ensure!(ended == Err(Interrupted::Cancelled("enough".into())) && gauge.now() == 1);
    ensure!(work.as_mut().inner_pin_mut().await == 7 && gauge.now() == 0);
    Ok(())
}
