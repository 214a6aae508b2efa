//! The semaphore.

use core::pin::pin;
use core::task::{Context, Waker};

use futures_lite::future::{poll_once, zip};
use tollgate::{Closed, LocalLock, Semaphore, TryAcquireError};

use crate::Outcome;
use crate::help::{Log, ensure, pause};

pub(crate) async fn waiters_are_served_in_the_order_in_which_they_came() -> Outcome {
    let gate = Semaphore::new(0);
    let log = Log::new();
    let [mut first, mut second, mut third] = [pin!(gate.acquire()), pin!(gate.acquire()), pin!(gate.acquire())];
    // Not in the order in which they will be polled.
    third.as_mut().enroll();
    first.as_mut().enroll();
    second.as_mut().enroll();
    ensure!(gate.waiters() == 3);
    let turn = async |acquire: core::pin::Pin<&mut tollgate::Acquire<'_>>, who| {
        let permit = acquire.await?;
        log.note(who);
        pause().await;
        drop(permit);
        Ok::<(), Closed>(())
    };
    let release = async {
        pause().await;
        gate.add_permits(1);
    };
    let ((one, two), (three, ())) = zip(zip(turn(first, 1), turn(second, 2)), zip(turn(third, 3), release)).await;
    ensure!(one.and(two).and(three).is_ok());
    ensure!(log.is(&[3, 1, 2]));
    ensure!(gate.available_permits() == 1 && gate.waiters() == 0);
    Ok(())
}

pub(crate) async fn a_release_wakes_the_task_that_waits() -> Outcome {
    let gate = Semaphore::new(0);
    for _ in 0..10 {
        // The waiter is polled first, so after the release nothing but its own wake leads to it.
        let (got, ()) = zip(gate.acquire_many(2), async {
            pause().await;
            gate.add_permits(2);
        })
        .await;
        got.map_err(|_| "closed")?.forget();
    }
    ensure!(gate.available_permits() == 0);
    Ok(())
}

pub(crate) async fn a_large_request_is_not_overtaken() -> Outcome {
    let gate = Semaphore::new(2);
    let mut large = pin!(gate.acquire_many(3));
    ensure!(poll_once(large.as_mut()).await.is_none());
    ensure!(gate.try_acquire().err() == Some(TryAcquireError::NoPermits));
    let mut small = pin!(gate.acquire());
    ensure!(poll_once(small.as_mut()).await.is_none());
    gate.add_permits(1);
    ensure!(poll_once(small.as_mut()).await.is_none());
    let permits = large.await.map_err(|_| "closed")?;
    ensure!(permits.permits() == 3);
    drop(permits);
    ensure!(small.await.is_ok());
    ensure!(gate.available_permits() == 3);
    Ok(())
}

pub(crate) async fn who_may_overtake_does() -> Outcome {
    let gate = Semaphore::new(1);
    let mut large = pin!(gate.acquire_many(2));
    large.as_mut().enroll();
    ensure!(gate.try_acquire().is_err());
    let barged = gate.try_acquire_barging();
    ensure!(barged.is_ok());
    drop(barged);
    ensure!(gate.acquire().barging().await.is_ok());
    gate.add_permits(1);
    ensure!(large.await.is_ok());
    Ok(())
}

pub(crate) async fn a_higher_priority_is_served_first() -> Outcome {
    let gate = Semaphore::new(0);
    let log = Log::new();
    let [mut a, mut b] = [pin!(gate.acquire()), pin!(gate.acquire())];
    let [mut c, mut d] = [pin!(gate.acquire().priority(2)), pin!(gate.acquire().priority(2))];
    for waiter in [&mut a, &mut c, &mut b, &mut d] {
        waiter.as_mut().enroll();
    }
    for _ in 0..4 {
        gate.add_permits(1);
        for (who, waiter) in [(1, &mut a), (2, &mut b), (3, &mut c), (4, &mut d)] {
            use futures_core::FusedFuture;
            if !waiter.is_terminated() {
                if let Some(permit) = poll_once(waiter.as_mut()).await {
                    permit.map_err(|_| "closed")?.forget();
                    log.note(who);
                }
            }
        }
    }
    ensure!(log.is(&[3, 4, 1, 2]));
    Ok(())
}

pub(crate) async fn a_waiter_that_leaves_lets_the_next_go_on() -> Outcome {
    let gate = Semaphore::new(1);
    let mut small = pin!(gate.acquire());
    {
        let mut large = pin!(gate.acquire_many(2));
        ensure!(poll_once(large.as_mut()).await.is_none());
        ensure!(poll_once(small.as_mut()).await.is_none());
    }
    // Its wake has come already, if this is to end.
    ensure!(small.await.is_ok());
    ensure!(gate.available_permits() == 1);
    Ok(())
}

pub(crate) async fn a_grant_that_nobody_looks_at_goes_on() -> Outcome {
    let gate = Semaphore::new(0);
    let mut next = pin!(gate.acquire());
    {
        let mut granted = pin!(gate.acquire());
        ensure!(poll_once(granted.as_mut()).await.is_none());
        ensure!(poll_once(next.as_mut()).await.is_none());
        gate.add_permits(1);
        ensure!(poll_once(next.as_mut()).await.is_none());
    }
    ensure!(next.await.is_ok());
    Ok(())
}

pub(crate) async fn closing_ends_all_waits_and_no_permit() -> Outcome {
    let gate = Semaphore::new(1);
    let permit = gate.try_acquire().map_err(|_| "not free")?;
    let ((one, two), ()) = zip(zip(gate.acquire(), gate.acquire_many(2)), async {
        pause().await;
        gate.close();
    })
    .await;
    ensure!(one.is_err() && two.is_err());
    ensure!(gate.is_closed() && gate.acquire().await.err() == Some(Closed));
    ensure!(gate.try_acquire().err() == Some(TryAcquireError::Closed));
    ensure!(permit.permits() == 1);
    Ok(())
}

pub(crate) async fn a_debt_is_paid_before_anyone_is_served() -> Outcome {
    let gate = Semaphore::new(2);
    let both = gate.try_acquire_many(2).map_err(|_| "not free")?;
    gate.reduce_permits(1);
    let mut waiter = pin!(gate.acquire());
    ensure!(poll_once(waiter.as_mut()).await.is_none());
    drop(both);
    let permit = waiter.await.map_err(|_| "closed")?;
    ensure!(gate.available_permits() == 0);
    gate.set_limit(3);
    ensure!(gate.available_permits() == 2);
    drop(permit);
    ensure!(gate.available_permits() == 3 && gate.forget_permits(9) == 3);
    Ok(())
}

pub(crate) async fn a_range_takes_what_there_is() -> Outcome {
    let gate = Semaphore::new(3);
    let three = gate.acquire_up_to(1..=8).await.map_err(|_| "closed")?;
    ensure!(three.permits() == 3);
    ensure!(gate.try_acquire_up_to(0..=4).is_ok_and(|none| none.permits() == 0));
    let (two, ()) = zip(gate.acquire_up_to(2..=9), async {
        pause().await;
        gate.add_permits(1);
        gate.add_permits(1);
    })
    .await;
    ensure!(two.is_ok_and(|two| two.permits() == 2));
    drop(three);
    ensure!(gate.acquire_many(0).await.is_ok());
    Ok(())
}

pub(crate) async fn permits_are_split_merged_and_forgotten() -> Outcome {
    let gate = Semaphore::new(4);
    let mut all = gate.acquire_many(4).await.map_err(|_| "closed")?;
    let one = all.split(1);
    ensure!(all.split(4).is_none() && all.permits() == 3);
    drop(one);
    ensure!(gate.available_permits() == 1);
    all.merge(gate.try_acquire().map_err(|_| "not free")?);
    ensure!(all.permits() == 4);
    all.forget();
    ensure!(gate.available_permits() == 0);
    Ok(())
}

pub(crate) async fn one_pinned_future_serves_many_rounds() -> Outcome {
    let gate = Semaphore::new(1);
    let mut acquire = pin!(gate.acquire());
    for n in [1, 0, 1] {
        ensure!(acquire.as_mut().await.is_ok());
        acquire.as_mut().reset(n);
    }
    ensure!(acquire.await.is_ok());
    Ok(())
}

pub(crate) async fn one_thread_needs_no_lock() -> Outcome {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let mut context = Context::from_waker(Waker::noop());
    let permit = gate.try_acquire().map_err(|_| "not free")?;
    let mut waiter = pin!(gate.acquire());
    ensure!(waiter.as_mut().poll(&mut context).is_pending());
    drop(permit);
    ensure!(waiter.as_mut().poll(&mut context).is_ready());
    ensure!(gate.available_permits() == 1);
    Ok(())
}

pub(crate) async fn a_limit_that_is_raised_serves_who_waits() -> Outcome {
    let gate = Semaphore::new(1);
    let held = gate.try_acquire().map_err(|_| "not free")?;
    let ((one, two), ()) = zip(zip(gate.acquire(), gate.acquire_many(2)), async {
        pause().await;
        gate.set_limit(4);
    })
    .await;
    ensure!(one.is_ok() && two.is_ok() && gate.available_permits() == 0);
    gate.set_limit(1);
    drop((one, two));
    ensure!(gate.available_permits() == 0);
    drop(held);
    ensure!(gate.available_permits() == 1);
    Ok(())
}
