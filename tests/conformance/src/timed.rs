//! Deadlines on a timer of the runner's.

use core::future::{pending, poll_fn, ready};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use tollgate::context::{Context, Interrupted};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed, FanOutExt, Semaphore};

use crate::help::{Gauge, ensure, pauses};
use crate::{AnyTimer, Outcome};

const SHORT: Duration = Duration::from_millis(10);
/// Before this the case has gone wrong, or the machine is very slow.
const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn it_is_never_early<T: AnyTimer>(timer: T) -> Outcome {
    for duration in [Duration::from_nanos(1), Duration::from_millis(1), SHORT, SHORT * 3] {
        let begin = timer.now();
        ensure!(pending::<()>().timeout(timer, duration).await == Err(Elapsed));
        ensure!(timer.saturating_since(timer.now(), begin) >= duration);
    }
    Ok(())
}

pub(crate) async fn a_ready_value_wins<T: AnyTimer>(timer: T) -> Outcome {
    ensure!(ready(1).timeout(timer, Duration::ZERO).await == Ok(1));
    ensure!(ready(1).timeout(timer, LONG).await == Ok(1));
    ensure!(ready(1).timeout(timer, Duration::MAX).await == Ok(1));
    Ok(())
}

pub(crate) async fn zero_and_the_past_are_over_at_once<T: AnyTimer>(timer: T) -> Outcome {
    let begin = timer.now();
    ensure!(poll_once(pin!(pending::<()>().timeout(timer, Duration::ZERO))).await == Some(Err(Elapsed)));
    ensure!(poll_once(pin!(pending::<()>().deadline(timer, begin))).await == Some(Err(Elapsed)));
    Ok(())
}

pub(crate) async fn the_longest_duration_is_never_over<T: AnyTimer>(timer: T) -> Outcome {
    for long in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(u64::from(u32::MAX))] {
        let inner = pending::<()>().timeout(timer, long);
        ensure!(inner.timeout(timer, SHORT).await == Err(Elapsed));
    }
    Ok(())
}

pub(crate) async fn a_task_that_never_rests_is_stopped<T: AnyTimer>(timer: T) -> Outcome {
    let hot = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    ensure!(hot.timeout(timer, SHORT).await == Err(Elapsed));
    Ok(())
}

pub(crate) async fn what_ran_out_of_time_goes_on_with_more<T: AnyTimer>(timer: T) -> Outcome {
    let gate = Semaphore::new(0);
    let mut wait = pin!(gate.acquire().timeout(timer, SHORT));
    ensure!(wait.as_mut().await.is_err());
    ensure!(gate.waiters() == 1);
    wait.as_mut().extend(LONG);
    ensure!(poll_once(wait.as_mut()).await.is_none());
    gate.add_permits(1);
    ensure!(wait.await.is_ok_and(|acquired| acquired.is_ok()));
    Ok(())
}

pub(crate) async fn each_future_of_a_fan_out_has_its_own<T: AnyTimer>(timer: T) -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter([4, 1, 3, 2, 1]).fan_out_inline_with::<3, _, _>(|n| {
        let gauge = &gauge;
        async move {
            let _inside = gauge.enter();
            pending::<()>().await;
        }
        .timeout(timer, SHORT * n)
    });
    let elapsed = pin!(jobs).filter(|output| output.is_err()).count().await;
    ensure!(elapsed == 5);
    ensure!(gauge.peak() == 3 && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn an_item_and_a_whole_stream_have_theirs<T: AnyTimer>(timer: T) -> Outcome {
    let mut stalled = pin!(stream::iter([1, 2]).chain(stream::pending()).item_timeout(timer, SHORT));
    ensure!(stalled.next().await == Some(Ok(1)));
    ensure!(stalled.next().await == Some(Ok(2)));
    ensure!(stalled.next().await == Some(Err(Elapsed)));
    let Some(at) = timer.after(timer.now(), SHORT) else { return Err("10 ms cannot be represented") };
    let mut hot = pin!(stream::repeat(1).stream_deadline(timer, at));
    let last = loop {
        match hot.next().await {
            // For a clock that only moves between polls.
            Some(Ok(n)) => pauses(n).await,
            last => break last,
        }
    };
    ensure!(last == Some(Err(Elapsed)) && hot.next().await.is_none());
    Ok(())
}

pub(crate) async fn a_callback_runs_once_and_the_future_goes_on<T: AnyTimer>(timer: T) -> Outcome {
    let gate = Semaphore::new(0);
    let Some(at) = timer.after(timer.now(), SHORT) else { return Err("10 ms cannot be represented") };
    // The callback is what the future waits for.
    let acquired = gate.acquire().on_elapsed(timer, at, || gate.add_permits(1)).await;
    ensure!(acquired.is_ok());
    ensure!(gate.available_permits() == 0);
    Ok(())
}

pub(crate) async fn permits_that_do_not_come_in_time_are_not_lost<T: AnyTimer>(timer: T) -> Outcome {
    let gate = Semaphore::new(1);
    let permit = gate.try_acquire().map_err(|_| "not free")?;
    for _ in 0..3 {
        ensure!(gate.acquire().timeout(timer, Duration::from_millis(2)).await.is_err());
    }
    drop(permit);
    ensure!(gate.waiters() == 0 && gate.available_permits() == 1);
    Ok(())
}

pub(crate) async fn a_context_runs_out<T: AnyTimer>(timer: T) -> Outcome {
    let root = Context::<T>::new(timer);
    let request = root.with_timeout(SHORT);
    ensure!(request.run(pending::<()>()).await == Err(Interrupted::DeadlineExceeded));
    ensure!(request.check() == Err(Interrupted::DeadlineExceeded) && root.check().is_ok());
    Ok(())
}

pub(crate) async fn what_is_late_in_a_fan_out_is_dropped_alone<T: AnyTimer>(timer: T) -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..6).fan_out_inline_with::<3, _, _>(async |n: usize| {
        let _inside = gauge.enter();
        if n % 2 == 0 {
            pending::<()>().await;
        }
        n
    });
    let mut jobs = pin!(jobs.each_timeout(timer, SHORT).ordered());
    for n in 0..6 {
        ensure!(jobs.next().await == Some(if n % 2 == 0 { Err(Elapsed) } else { Ok(n) }));
    }
    ensure!(jobs.next().await.is_none() && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn a_fan_out_runs_out_with_its_context<T: AnyTimer>(timer: T) -> Outcome {
    let root = Context::<T>::new(timer);
    let gauge = Gauge::new();
    let work = async |_: usize| {
        let _inside = gauge.enter();
        pending::<()>().await;
    };
    let request = root.with_timeout(SHORT);
    let mut jobs = pin!(stream::iter(0..9).fan_out_inline_with::<3, _, _>(work).within(&request));
    ensure!(jobs.next().await == Some(Err(Interrupted::DeadlineExceeded)));
    ensure!(jobs.next().await.is_none() && gauge.peak() <= 3 && gauge.now() == 0);
    // One that is always ready does not outrun it.
    let request = root.with_timeout(SHORT);
    let mut jobs = pin!(stream::repeat(1).fan_out_inline_with::<2, _, _>(ready).within(&request));
    let last = loop {
        match jobs.next().await {
            // For a clock that only moves between polls.
            Some(Ok(n)) => pauses(n).await,
            last => break last,
        }
    };
    ensure!(last == Some(Err(Interrupted::DeadlineExceeded)) && jobs.next().await.is_none());
    Ok(())
}
