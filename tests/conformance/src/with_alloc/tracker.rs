//! Trackers.

use alloc::string::ToString;
use alloc::sync::Arc;
use core::future::pending;
use core::pin::pin;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use tollgate::Tracker;
use tollgate::time::TimerQueue;

use crate::Outcome;
use crate::help::{ensure, pause, pauses};

pub(super) async fn it_counts_what_lives_and_what_has_ended() -> Outcome {
    let tracker = Tracker::new();
    ensure!(tracker.track(async { 7 }).await == 7);
    {
        let mut unfinished = pin!(tracker.track(pending::<()>()));
        ensure!(poll_once(unfinished.as_mut()).await.is_none());
        let _guard = tracker.named("guard").guard();
        ensure!(tracker.live() == 2 && tracker.peak() == 2);
    }
    ensure!(tracker.started() == 3 && tracker.live() == 0);
    ensure!(tracker.dropped_unfinished() == 1 && tracker.finished() == 2);
    ensure!(tracker.verify_none().is_ok());
    Ok(())
}

pub(super) async fn the_last_one_wakes_whoever_waits() -> Outcome {
    let tracker = Arc::new(Tracker::new());
    let first = tracker.owned().track(pauses(2));
    let last = tracker.owned().named("last").track(pauses(5));
    let mut empty = pin!(tracker.wait_empty());
    ensure!(poll_once(empty.as_mut()).await.is_none());
    let ((), ((), ())) = zip(empty, zip(first, last)).await;
    ensure!(tracker.live() == 0 && tracker.finished() == 2);
    tracker.wait_empty().await;
    Ok(())
}

pub(super) async fn a_closed_tracker_takes_nothing() -> Outcome {
    let tracker = Tracker::new();
    let running = tracker.track(pause());
    tracker.close();
    ensure!(tracker.is_closed());
    ensure!(tracker.try_guard().is_err() && tracker.try_track(async {}).is_err());
    running.await;
    tracker.wait_empty().await;
    ensure!(tracker.started() == 1 && tracker.finished() == 1);
    Ok(())
}

pub(super) async fn leaks_are_told_when_time_is_up() -> Outcome {
    let timers = TimerQueue::new();
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let verify = tracker.verify_none_within(&timers, Duration::from_millis(10));
    let (verdict, ()) = zip(verify, async {
        pause().await;
        timers.advance(100);
    })
    .await;
    let Err(leaks) = verdict else { return Err("there is a leak") };
    ensure!(leaks.count() == 1 && !leaks.to_string().is_empty());
    let verify = tracker.verify_none_within(&timers, Duration::from_millis(10));
    let (verdict, ()) = zip(verify, async {
        pause().await;
        drop(guard);
    })
    .await;
    ensure!(verdict.is_ok());
    Ok(())
}
