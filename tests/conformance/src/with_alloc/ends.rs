//! Fan-out that ends before its source does, or whose items end before they are done.

use alloc::vec::Vec;
use core::future::{pending, ready};
use core::pin::pin;
use core::time::Duration;

use futures_core::{FusedStream, Stream};
use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::context::{Interrupted, OwnedContext};
use tollgate::time::{Clock, TimerQueue};
use tollgate::{Elapsed, Semaphore};

use super::order::on_each;
use crate::Outcome;
use crate::fan_out::{Pipe, through};
use crate::help::{Gauge, Log, ensure, pause, pauses};

const MILLISECOND: Duration = Duration::from_millis(1);

pub(super) async fn what_runs_is_finished_and_no_more_taken() -> Outcome {
    let work = async |n: usize| {
        pauses(n % 3).await;
        n
    };
    on_each!(stream::iter(0..), 4, work, |jobs| {
        let mut jobs = pin!(jobs.ordered());
        for n in 0..3 {
            ensure!(jobs.next().await == Some(n));
        }
        let left = jobs.in_flight() + jobs.finished() + jobs.waiting();
        jobs.stop();
        ensure!(jobs.as_mut().count().await == left && left <= 4 && jobs.is_terminated());
    });
    Ok(())
}

pub(super) async fn a_signal_from_elsewhere_wakes_and_ends_it() -> Outcome {
    let stop = Semaphore::new(0);
    let gate = Semaphore::new(0);
    let work = async |n: usize| gate.acquire().await.map(|permit| (permit.forget(), n).1);
    on_each!(stream::iter(0..2).chain(stream::pending()), 4, work, |jobs| {
        let jobs = jobs.stop_when(async { drop(stop.acquire().await) });
        // Nothing but the signal and the gate wakes it.
        let (count, ()) = zip(jobs.count(), async {
            pause().await;
            stop.add_permits(1);
            pause().await;
            gate.add_permits(2);
        })
        .await;
        ensure!(count == 2 && stop.forget_permits(1) == 1);
    });
    Ok(())
}

pub(super) async fn what_is_left_is_told() -> Outcome {
    let gate = Semaphore::new(0);
    let work = async |n: usize| gate.acquire().await.map(|permit| (permit.forget(), n).1);
    on_each!(stream::iter(0..5), 3, work, |jobs| {
        let mut jobs = pin!(jobs.ordered());
        ensure!(poll_once(jobs.next()).await.is_none());
        for left in (1..=5).rev() {
            ensure!(jobs.size_hint() == (left, Some(left)));
            ensure!(jobs.in_flight() + jobs.waiting() + jobs.finished() <= 3);
            gate.add_permits(1);
            ensure!(jobs.next().await == Some(Ok(5 - left)));
        }
        ensure!(jobs.size_hint() == (0, Some(0)) && jobs.next().await.is_none());
    });
    Ok(())
}

pub(super) async fn a_cancelled_context_drops_what_runs() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        if n > 1 {
            pending::<()>().await;
        }
        n
    };
    on_each!(stream::iter(0..9), 4, work, |jobs| {
        let request = root.child();
        let mut jobs = pin!(jobs.ordered().within(&request));
        ensure!(jobs.next().await == Some(Ok(0)) && jobs.next().await == Some(Ok(1)));
        let (ended, inside) = zip(jobs.next(), async {
            pause().await;
            request.cancel_with("gone");
            gauge.now()
        })
        .await;
        ensure!(ended == Some(Err(Interrupted::Cancelled("gone".into()))) && inside == 4);
        ensure!(gauge.now() == 0 && jobs.next().await.is_none() && jobs.is_terminated());
    });
    ensure!(root.check().is_ok());
    Ok(())
}

pub(super) async fn a_deadline_of_a_context_wakes_who_waits() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    let gauge = Gauge::new();
    let work = async |_: usize| {
        let _inside = gauge.enter();
        pending::<()>().await;
    };
    on_each!(stream::iter(0..9), 4, work, |jobs| {
        let request = root.with_timeout(MILLISECOND * 10);
        let now = timers.now();
        let (outputs, inside) = zip(jobs.within(&request).collect::<Vec<_>>(), async {
            pause().await;
            timers.advance(now + 100);
            gauge.now()
        })
        .await;
        ensure!(outputs == [Err(Interrupted::DeadlineExceeded)] && inside == 4 && gauge.now() == 0);
    });
    ensure!(root.check().is_ok() && timers.sleepers() == 0);
    Ok(())
}

pub(super) async fn one_that_never_rests_does_not_outrun_its_context() -> Outcome {
    let timers = TimerQueue::new();
    let root = OwnedContext::new(&timers);
    on_each!(stream::repeat(1), 4, ready, |jobs| {
        let request = root.child();
        let mut jobs = pin!(jobs.within(&request));
        for _ in 0..20 {
            ensure!(jobs.next().await == Some(Ok(1)));
        }
        request.cancel();
        ensure!(jobs.next().await.is_some_and(|output| output.is_err()) && jobs.next().await.is_none());
    });
    Ok(())
}

pub(super) async fn what_is_late_has_an_error_in_its_place() -> Outcome {
    let timers = TimerQueue::new();
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        if n % 3 == 1 {
            pending::<()>().await;
        }
        n
    };
    on_each!(stream::iter(0..6), 2, work, |jobs| {
        let log = Log::new();
        let mut jobs = pin!(jobs.each_timeout(&timers, MILLISECOND * 5).ordered());
        let take = async {
            while let Some(output) = jobs.next().await {
                log.note(output.unwrap_or(9));
            }
        };
        let drive = async {
            let now = timers.now();
            for tick in 1..30 {
                pause().await;
                timers.advance(now + tick);
            }
        };
        zip(take, drive).await;
        ensure!(log.is(&[0, 9, 2, 3, 9, 5]) && gauge.now() == 0 && gauge.peak() <= 2);
    });
    ensure!(timers.sleepers() == 0);
    Ok(())
}

pub(super) async fn what_is_late_makes_room_for_its_key() -> Outcome {
    let timers = TimerQueue::new();
    let gauge = Gauge::new();
    let work = async |n: usize| {
        let _inside = gauge.enter();
        if n < 2 {
            pending::<()>().await;
        }
        n
    };
    on_each!(stream::iter(0..3), 3, work, |jobs| {
        let mut jobs = pin!(jobs.keyed(|_| 'a').each_timeout(&timers, MILLISECOND * 5));
        // They wait for one another, and that time is not counted.
        for output in [Err(Elapsed), Err(Elapsed)] {
            ensure!(poll_once(jobs.next()).await.is_none() && gauge.now() == 1);
            let now = timers.now();
            let (next, ()) = zip(jobs.next(), async {
                pause().await;
                timers.advance(now + 6);
            })
            .await;
            ensure!(next == Some(output));
        }
        ensure!(jobs.next().await == Some(Ok(2)) && jobs.next().await.is_none() && gauge.now() == 0);
    });
    Ok(())
}

pub(super) async fn what_is_written_goes_to_the_source() -> Outcome {
    let work = async |n: usize| {
        pauses(n % 3).await;
        n
    };
    on_each!(Pipe::default(), 3, work, |jobs| {
        through(pin!(jobs.ordered()), 12).await?;
    });
    Ok(())
}
