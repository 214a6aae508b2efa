//! Trackers.

use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::time::TimerQueue;
use tollgate::{FanOutExt, Tracker};

use crate::Outcome;
use crate::help::{ensure, pause, pauses};

pub(crate) async fn what_is_alive_is_counted_until_it_is_gone() -> Outcome {
    let tracker = Tracker::new();
    let jobs = stream::iter(0..9).fan_out_inline_with::<4, _, _>(|n| tracker.track(pauses(n % 3)));
    ensure!(pin!(jobs).count().await == 9);
    ensure!(tracker.live() == 0 && tracker.peak() == 4);
    {
        let mut endless = pin!(tracker.track(pending::<()>()));
        ensure!(poll_once(endless.as_mut()).await.is_none() && tracker.live() == 1);
    }
    ensure!(tracker.live() == 0 && tracker.started() == 10);
    ensure!(tracker.finished() == 9 && tracker.dropped_unfinished() == 1);
    Ok(())
}

pub(crate) async fn the_last_to_go_wakes_whoever_waits_for_none() -> Outcome {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let ((), ()) = zip(tracker.wait_empty(), async {
        pause().await;
        drop(guard);
    })
    .await;
    ensure!(tracker.verify_none().is_ok());
    Ok(())
}

pub(crate) async fn a_closed_tracker_takes_nothing_new() -> Outcome {
    let tracker = Tracker::new();
    let job = tracker.track(pause());
    tracker.close();
    ensure!(tracker.is_closed() && tracker.try_guard().is_err() && tracker.try_track(pause()).is_err());
    job.await;
    tracker.wait_empty().await;
    ensure!(tracker.live() == 0);
    Ok(())
}

pub(crate) async fn what_is_left_is_told() -> Outcome {
    let tracker = Tracker::new();
    let guard = tracker.named("forgotten").guard();
    ensure!(tracker.verify_none().is_err());
    drop(guard);
    ensure!(tracker.verify_none().is_ok());
    Ok(())
}

pub(crate) async fn all_who_wait_for_none_are_woken() -> Outcome {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let (((), ()), ()) = zip(zip(tracker.wait_empty(), tracker.wait_empty()), async {
        pause().await;
        drop(guard);
    })
    .await;
    tracker.wait_empty().await;
    Ok(())
}

pub(crate) async fn what_ends_in_time_is_no_leak() -> Outcome {
    let timers = TimerQueue::new();
    let tracker = Tracker::new();
    for (time, leaks) in [(9, 0), (100, 1)] {
        let guard = tracker.guard();
        let verify = tracker.verify_none_within(&timers, Duration::from_millis(10));
        let (verdict, ()) = zip(verify, async {
            pause().await;
            timers.advance(time);
            if leaks == 0 {
                drop(guard);
            } else {
                pause().await;
            }
        })
        .await;
        ensure!(verdict.map_or_else(|left| left.count(), |()| 0) == leaks);
    }
    ensure!(tracker.live() == 0 && timers.sleepers() == 0);
    Ok(())
}
