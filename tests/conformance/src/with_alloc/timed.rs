//! Deadlines on a timer of the runner's, of what needs an allocator.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::zip;
use futures_lite::{StreamExt, stream};
use tollgate::context::{Interrupted, OwnedContext};
use tollgate::{
    DeadlineExt, DeadlineStreamExt, Elapsed, FanOutExt, OwnedCancellationToken, Semaphore, Tracker, workers,
};

use super::workers::all;
use crate::help::{Gauge, ensure, pauses};
use crate::{AnyTimer, Outcome};

const SHORT: Duration = Duration::from_millis(10);

pub(super) async fn each_future_of_many_has_its_own<T: AnyTimer>(timer: T) -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..20).fan_out_with(8, |n| {
        let gauge = &gauge;
        async move {
            let _inside = gauge.enter();
            let never = pending::<()>().timeout(timer, SHORT * (n % 3 + 1));
            (n, never.await)
        }
    });
    let outputs: Vec<_> = jobs.ordered().collect().await;
    ensure!(outputs.into_iter().eq((0..20).map(|n| (n, Err(Elapsed)))));
    ensure!(gauge.peak() == 8 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn a_stream_that_is_cut_off_drops_what_runs<T: AnyTimer>(timer: T) -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..9).fan_out_with(4, async |n: usize| {
        let _inside = gauge.enter();
        if n > 0 {
            pending::<()>().await;
        }
        n
    });
    let Some(at) = timer.after(timer.now(), SHORT) else { return Err("10 ms cannot be represented") };
    {
        let mut jobs = pin!(jobs.stream_deadline(timer, at));
        let mut last = jobs.next().await;
        // On a slow machine the time is up before anything has come.
        if last == Some(Ok(0)) {
            last = jobs.next().await;
        }
        ensure!(last == Some(Err(Elapsed)));
        ensure!(jobs.next().await.is_none());
    }
    ensure!(gauge.peak() <= 4 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn results_end_with_their_context<T: AnyTimer>(timer: T) -> Outcome {
    let request = OwnedContext::<T>::new(timer).with_timeout(SHORT * 2);
    let (hands, results) = workers(stream::iter(0..9), 3, async |n: usize| {
        if n % 3 == 2 {
            pending::<()>().await;
        }
        pauses(n).await;
    });
    let ((), outcomes) = zip(all(hands), results.within(&request).collect::<Vec<_>>()).await;
    ensure!(outcomes.last() == Some(&Err(Interrupted::DeadlineExceeded)));
    ensure!(request.check() == Err(Interrupted::DeadlineExceeded));
    Ok(())
}

pub(super) async fn leaks_are_told_in_time<T: AnyTimer>(timer: T) -> Outcome {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let begin = timer.now();
    ensure!(tracker.verify_none_within(timer, SHORT).await.is_err_and(|leaks| leaks.count() == 1));
    ensure!(timer.saturating_since(timer.now(), begin) >= SHORT);
    let late = async {
        let _ = pending::<()>().timeout(timer, SHORT).await;
        drop(guard);
    };
    ensure!(zip(tracker.verify_none_within(timer, Duration::from_secs(600)), late).await.0.is_ok());
    Ok(())
}

pub(super) async fn owned_permits_that_do_not_come_in_time_are_not_lost<T: AnyTimer>(timer: T) -> Outcome {
    let gate = Arc::new(Semaphore::new(1));
    let permit = gate.clone().try_acquire_owned().map_err(|_| "not free")?;
    for _ in 0..3 {
        ensure!(gate.clone().acquire_owned().timeout(timer, Duration::from_millis(2)).await.is_err());
    }
    drop(permit);
    ensure!(gate.waiters() == 0 && gate.available_permits() == 1 && Arc::strong_count(&gate) == 1);
    Ok(())
}

pub(super) async fn a_token_is_cancelled_when_it_takes_too_long<T: AnyTimer>(timer: T) -> Outcome {
    let token = OwnedCancellationToken::new();
    let child = token.child_token();
    let Some(at) = timer.after(timer.now(), SHORT) else { return Err("10 ms cannot be represented") };
    let work = child.run_until_cancelled_owned(pending::<()>()).on_elapsed(timer, at, || token.cancel_with("slow"));
    ensure!(work.await.is_none());
    ensure!(token.cause() == Some("slow".into()));
    Ok(())
}

pub(super) async fn late_items_of_many_are_dropped_alone<T: AnyTimer>(timer: T) -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..40).fan_out_with(16, async |n: usize| {
        let _inside = gauge.enter();
        if n % 4 == 3 {
            pending::<()>().await;
        }
        n
    });
    let outputs: Vec<_> = jobs.each_timeout(timer, SHORT).ordered().collect().await;
    ensure!(outputs.into_iter().eq((0..40).map(|n| if n % 4 == 3 { Err(Elapsed) } else { Ok(n) })));
    ensure!(gauge.peak() <= 16 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn a_fan_out_ends_with_its_context<T: AnyTimer>(timer: T) -> Outcome {
    let request = OwnedContext::<T>::new(timer).with_timeout(SHORT);
    let gauge = Gauge::new();
    let jobs = stream::iter(0..9).fan_out_with(4, async |_: usize| {
        let _inside = gauge.enter();
        pending::<()>().await;
    });
    let outputs: Vec<_> = jobs.within(&request).collect().await;
    ensure!(outputs == [Err(Interrupted::DeadlineExceeded)] && gauge.peak() <= 4 && gauge.now() == 0);
    Ok(())
}
