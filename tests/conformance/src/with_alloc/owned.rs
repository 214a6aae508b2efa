//! Permits and tokens that own what they come from.

use alloc::sync::Arc;
use core::pin::pin;

use futures_lite::future::{poll_once, zip};
use tollgate::cancel::Cause;
use tollgate::{OwnedCancellationToken, Semaphore, TryAcquireError};

use crate::Outcome;
use crate::help::{Log, ensure, pause};

pub(super) async fn permits_outlive_what_acquired_them() -> Outcome {
    let gate = Arc::new(Semaphore::new(1));
    let permit = gate.clone().acquire_owned().await.map_err(|_| "closed")?;
    ensure!(gate.clone().try_acquire_owned().err() == Some(TryAcquireError::NoPermits));
    let (next, ()) = zip(gate.clone().acquire_owned(), async {
        pause().await;
        drop(permit);
    })
    .await;
    let next = next.map_err(|_| "closed")?;
    ensure!(Arc::strong_count(&gate) == 2);
    drop(next);
    ensure!(gate.available_permits() == 1 && Arc::strong_count(&gate) == 1);
    Ok(())
}

pub(super) async fn permits_are_split_and_merged() -> Outcome {
    let gate = Arc::new(Semaphore::new(5));
    let mut four = gate.clone().acquire_many_owned(4).await.map_err(|_| "closed")?;
    let Some(one) = four.split(1) else { return Err("four are more than one") };
    ensure!(four.split(4).is_none() && four.permits() == 3);
    drop(one);
    ensure!(gate.available_permits() == 2);
    four.merge(gate.clone().try_acquire_many_owned(2).map_err(|_| "not free")?);
    ensure!(four.permits() == 5 && gate.available_permits() == 0);
    four.forget();
    ensure!(gate.available_permits() == 0 && Arc::strong_count(&gate) == 1);
    Ok(())
}

pub(super) async fn closing_ends_owned_waits() -> Outcome {
    let gate = Arc::new(Semaphore::new(0));
    let mut left = pin!(gate.clone().acquire_owned());
    ensure!(poll_once(left.as_mut()).await.is_none());
    let ((one, two), ()) = zip(zip(left, gate.clone().acquire_many_owned(3)), async {
        pause().await;
        gate.close();
    })
    .await;
    ensure!(one.is_err() && two.is_err() && gate.waiters() == 0);
    Ok(())
}

pub(super) async fn a_tree_of_tokens_is_cancelled_from_the_top() -> Outcome {
    let root = OwnedCancellationToken::new();
    let (one, two) = (root.child_token(), root.child_token());
    let leaf = one.child_token();
    // What is between may go.
    drop(one);
    let run = leaf.clone().run_until_cancelled_owned(core::future::pending::<()>());
    let ((ran, ()), ()) = zip(zip(run, two.cancelled()), async {
        pause().await;
        root.cancel_with("enough");
    })
    .await;
    ensure!(ran.is_none() && leaf.cause() == Some(Cause::new("enough")));
    ensure!(root.child_token().is_cancelled() && !root.detached().is_cancelled());
    Ok(())
}

pub(super) async fn a_token_that_is_dropped_leaves_its_parent_alone() -> Outcome {
    let root = OwnedCancellationToken::new();
    for _ in 0..100 {
        let child = root.child_token();
        ensure!(poll_once(pin!(child.clone().cancelled_owned())).await.is_none());
    }
    {
        let _guard = root.child_token().drop_guard().because("left");
    }
    ensure!(!root.is_cancelled() && root.waiters() == 0);
    root.cancel();
    Ok(())
}

pub(super) async fn a_callback_runs_or_is_stopped() -> Outcome {
    let root = OwnedCancellationToken::new();
    let mut stopped = pin!(root.child_token().on_cancel_owned(|| 1));
    let mut kept = pin!(root.child_token().on_cancel_owned(|| 2));
    ensure!(poll_once(stopped.as_mut()).await.is_none() && poll_once(kept.as_mut()).await.is_none());
    ensure!(stopped.as_mut().stop().is_some());
    let (kept, ()) = zip(kept, async {
        pause().await;
        root.cancel();
    })
    .await;
    ensure!(kept == 2);
    Ok(())
}

pub(super) async fn a_child_is_cancelled_alone() -> Outcome {
    let root = OwnedCancellationToken::new();
    let (one, two) = (root.child_token(), root.child_token());
    let leaf = one.child_token();
    let mut others = pin!(zip(two.cancelled(), root.cancelled()));
    ensure!(poll_once(others.as_mut()).await.is_none());
    let ((), ()) = zip(leaf.cancelled(), async {
        pause().await;
        one.cancel_with("this one");
    })
    .await;
    ensure!(leaf.cause() == Some(Cause::new("this one")));
    ensure!(poll_once(others.as_mut()).await.is_none() && !two.is_cancelled() && !root.is_cancelled());
    root.cancel();
    others.await;
    ensure!(one.cause() == Some(Cause::new("this one")));
    Ok(())
}

pub(super) async fn some_owned_waits_come_before_others() -> Outcome {
    let gate = Arc::new(Semaphore::new(1));
    let log = Log::new();
    let mut large = pin!(gate.clone().acquire_many_owned(2));
    large.as_mut().enroll();
    ensure!(gate.clone().try_acquire_owned().is_err());
    ensure!(gate.clone().acquire_owned().barging().await.is_ok());
    let turn = async |priority: u8| {
        let permit = gate.clone().acquire_many_owned(3).priority(priority).await;
        log.note(priority.into());
        pause().await;
        drop(permit);
    };
    let (((), ()), ()) = zip(zip(turn(0), turn(7)), async {
        pause().await;
        gate.add_permits(2);
        let permit = large.await;
        log.note(2);
        drop(permit);
    })
    .await;
    ensure!(log.is(&[7, 2, 0]) && gate.available_permits() == 3);
    Ok(())
}
