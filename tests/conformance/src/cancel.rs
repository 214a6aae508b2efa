//! Cancellation tokens, and contexts.

use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use tollgate::cancel::Cause;
use tollgate::context::{Context, Interrupted};
use tollgate::time::TimerQueue;
use tollgate::{CancellationToken, Semaphore};

use crate::Outcome;
use crate::help::{Gauge, ensure, pause, pauses};

pub(crate) async fn cancelling_wakes_whoever_waits() -> Outcome {
    let token = CancellationToken::new();
    let child = token.child_token();
    let (((), ()), ()) = zip(zip(token.cancelled(), child.cancelled()), async {
        pause().await;
        token.cancel();
    })
    .await;
    token.cancelled().await;
    ensure!(token.waiters() == 0);
    Ok(())
}

pub(crate) async fn the_first_cause_stays() -> Outcome {
    let token = CancellationToken::new();
    ensure!(token.cause().is_none());
    token.cancel_with("brown-out");
    token.cancel();
    ensure!(token.cause() == Some(Cause::new("brown-out")));
    Ok(())
}

pub(crate) async fn a_child_stops_with_its_parent_and_alone() -> Outcome {
    let parent = CancellationToken::new();
    let (one, two) = (parent.child_token(), parent.child_token());
    let grandchild = one.child_token();
    one.cancel();
    ensure!(one.is_cancelled() && grandchild.is_cancelled());
    ensure!(!two.is_cancelled() && !parent.is_cancelled());
    parent.cancel();
    ensure!(two.is_cancelled() && !two.detached().is_cancelled());
    Ok(())
}

pub(crate) async fn nothing_new_is_begun() -> Outcome {
    let token = CancellationToken::new();
    ensure!(token.run_until_cancelled(async { 1 }).await == Some(1));
    token.cancel();
    let begun = core::sync::atomic::AtomicBool::new(false);
    let work = async { begun.store(true, core::sync::atomic::Ordering::Relaxed) };
    ensure!(token.run_until_cancelled(work).await.is_none());
    ensure!(!begun.into_inner());
    Ok(())
}

pub(crate) async fn what_runs_is_dropped_at_once() -> Outcome {
    let token = CancellationToken::new();
    let gauge = Gauge::new();
    let work = token.run_until_cancelled(async {
        let _inside = gauge.enter();
        pending::<()>().await;
    });
    let (ended, inside) = zip(work, async {
        pause().await;
        token.cancel();
        gauge.now()
    })
    .await;
    ensure!(ended.is_none() && inside == 1 && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn a_callback_runs_unless_it_is_stopped() -> Outcome {
    let token = CancellationToken::new();
    let child = token.child_token();
    let mut stopped = pin!(child.on_cancel(|| 1));
    let mut kept = pin!(child.on_cancel(|| 2));
    ensure!(poll_once(stopped.as_mut()).await.is_none());
    ensure!(poll_once(kept.as_mut()).await.is_none());
    ensure!(stopped.as_mut().stop().is_some());
    token.cancel();
    ensure!(kept.await == 2);
    Ok(())
}

pub(crate) async fn a_guard_cancels_however_one_leaves() -> Outcome {
    let token = CancellationToken::new();
    {
        let _ = token.drop_guard().disarm();
    }
    ensure!(!token.is_cancelled());
    {
        let _guard = token.drop_guard().because("left");
    }
    ensure!(token.cause() == Some(Cause::new("left")));
    Ok(())
}

pub(crate) async fn a_context_ends_by_its_token_and_by_its_deadline() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let number = 7_u32;
    let request = root.with_timeout(Duration::from_millis(20));
    let request = request.with_value(&number);
    ensure!(request.get::<u32>() == Some(&7) && request.check().is_ok());
    let (ended, ()) = zip(request.run(pending::<()>()), async {
        pause().await;
        timers.advance(100);
    })
    .await;
    ensure!(ended == Err(Interrupted::DeadlineExceeded));
    ensure!(root.check().is_ok());
    let other = root.child();
    other.cancel_with("gone");
    ensure!(other.run(pending::<()>()).await == Err(Interrupted::Cancelled("gone".into())));
    Ok(())
}

pub(crate) async fn a_callback_is_woken_from_above() -> Outcome {
    let token = CancellationToken::new();
    let child = token.child_token();
    let callback = child.on_cancel(|| token.cause());
    let (cause, ()) = zip(callback, async {
        pause().await;
        token.cancel_with("above");
    })
    .await;
    ensure!(cause == Some(Cause::new("above")) && child.waiters() == 0);
    Ok(())
}

pub(crate) async fn a_ready_value_wins_over_the_end_of_its_context() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let request = root.with_timeout(Duration::from_millis(10));
    let gate = Semaphore::new(0);
    // Both are there when it is polled again.
    let (acquired, ()) = zip(request.run(gate.acquire()), async {
        pause().await;
        request.cancel();
        gate.add_permits(1);
    })
    .await;
    ensure!(acquired.is_ok_and(|acquired| acquired.is_ok()));
    // But nothing is begun after it.
    let gauge = Gauge::new();
    ensure!(request.run(async { drop(gauge.enter()) }).await.is_err() && gauge.peak() == 0);
    Ok(())
}

pub(crate) async fn what_a_context_has_interrupted_can_be_finished() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
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

pub(crate) async fn a_child_ends_with_the_deadline_of_its_parent() -> Outcome {
    let timers = TimerQueue::new();
    let root = Context::new(&timers);
    let request = root.with_timeout(Duration::from_millis(10));
    let child = request.with_timeout(Duration::from_secs(10));
    let apart = request.detached();
    ensure!(child.deadline() == request.deadline());
    let (ended, ()) = zip(child.interrupted(), async {
        pause().await;
        timers.advance(100);
    })
    .await;
    ensure!(ended == Interrupted::DeadlineExceeded);
    ensure!(request.check() == Err(Interrupted::DeadlineExceeded) && root.check().is_ok() && apart.check().is_ok());
    ensure!(timers.sleepers() == 0);
    Ok(())
}
