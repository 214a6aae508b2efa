//! Deadlines on a queue that the case drives itself.

use core::future::{pending, poll_fn, ready};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::time::{ManualClock, TimerQueue};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed};

use crate::Outcome;
use crate::help::{Log, ensure, pause};

const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) async fn a_ready_value_wins_over_a_deadline_long_past() -> Outcome {
    let timers = TimerQueue::new();
    timers.advance(1000);
    ensure!(ready(1).deadline(&timers, 10).await == Ok(1));
    ensure!(ready(1).timeout(&timers, Duration::ZERO).await == Ok(1));
    Ok(())
}

pub(crate) async fn nothing_left_means_elapsed_in_the_same_poll() -> Outcome {
    let timers = TimerQueue::new();
    timers.advance(1000);
    ensure!(poll_once(pin!(pending::<()>().timeout(&timers, Duration::ZERO))).await == Some(Err(Elapsed)));
    ensure!(poll_once(pin!(pending::<()>().deadline(&timers, 1000))).await == Some(Err(Elapsed)));
    ensure!(poll_once(pin!(pending::<()>().deadline(&timers, 1001))).await.is_none());
    ensure!(timers.sleepers() == 0);
    Ok(())
}

pub(crate) async fn what_cannot_be_represented_is_never() -> Outcome {
    let timers = TimerQueue::new();
    let mut endless = pin!(pending::<()>().timeout(&timers, Duration::MAX));
    ensure!(poll_once(endless.as_mut()).await.is_none());
    ensure!(timers.next_deadline().is_none());
    timers.advance(u64::MAX);
    ensure!(poll_once(endless.as_mut()).await.is_none());
    Ok(())
}

pub(crate) async fn sleeps_end_in_the_order_of_their_times() -> Outcome {
    let timers = TimerQueue::new();
    let log = Log::new();
    let sleep = async |at: u64| {
        timers.sleep_until(at).await;
        log.note(at as usize);
    };
    let drive = async {
        pause().await;
        for (now, next) in [(9, Some(10)), (10, Some(20)), (25, Some(30)), (30, None)] {
            if timers.advance(now) != next {
                return Err("the next end is another one");
            }
            pause().await;
        }
        Ok(())
    };
    let (((), ()), ((), driven)) = zip(zip(sleep(30), sleep(10)), zip(sleep(20), drive)).await;
    driven?;
    ensure!(log.is(&[10, 20, 30]));
    Ok(())
}

pub(crate) async fn a_task_that_never_rests_meets_its_deadline() -> Outcome {
    let timers = TimerQueue::new();
    let mut ticks = 0;
    let hot = poll_fn(|cx| {
        ticks += 1;
        timers.advance(ticks);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    ensure!(hot.timeout(&timers, MILLISECOND * 50).await == Err(Elapsed));
    // The first poll counts the time, and part of a tick is over then.
    ensure!(ticks == 52);
    Ok(())
}

pub(crate) async fn what_ran_out_of_time_can_be_given_more() -> Outcome {
    let timers = TimerQueue::new();
    let mut steps = 0;
    let work = poll_fn(|_| {
        steps += 1;
        if steps < 4 { Poll::Pending } else { Poll::Ready(steps) }
    });
    let mut work = pin!(work.timeout(&timers, MILLISECOND));
    ensure!(poll_once(work.as_mut()).await.is_none());
    timers.advance(10);
    ensure!(poll_once(work.as_mut()).await == Some(Err(Elapsed)));
    work.as_mut().extend(MILLISECOND * 10);
    ensure!(poll_once(work.as_mut()).await.is_none());
    timers.advance(15);
    ensure!(poll_once(work.as_mut()).await == Some(Ok(4)));
    Ok(())
}

pub(crate) async fn a_signal_ends_a_wait() -> Outcome {
    let timers = TimerQueue::new();
    let (ended, ()) = zip(pending::<()>().until(timers.sleep_until(5)), async {
        pause().await;
        timers.advance(5);
    })
    .await;
    ensure!(ended.is_err());
    ensure!(ready(7).until(ready(())).await == Ok(7));
    Ok(())
}

pub(crate) async fn a_sleep_that_is_dropped_leaves_nothing() -> Outcome {
    let timers = TimerQueue::new();
    let mut kept = pin!(timers.sleep_until(7));
    {
        let mut dropped = pin!(timers.sleep_until(3));
        ensure!(poll_once(dropped.as_mut()).await.is_none());
        ensure!(poll_once(kept.as_mut()).await.is_none());
        ensure!(timers.sleepers() == 2 && timers.next_deadline() == Some(3));
    }
    ensure!(timers.sleepers() == 1 && timers.next_deadline() == Some(7));
    timers.advance(7);
    ensure!(poll_once(kept).await.is_some());
    Ok(())
}

pub(crate) async fn a_deadline_is_moved_and_taken_away() -> Outcome {
    let timers = TimerQueue::new();
    let mut wait = pin!(pending::<()>().deadline(&timers, 10));
    ensure!(poll_once(wait.as_mut()).await.is_none());
    wait.as_mut().reset(20);
    ensure!(poll_once(wait.as_mut()).await.is_none());
    timers.advance(15);
    ensure!(poll_once(wait.as_mut()).await.is_none());
    wait.as_mut().clear();
    timers.advance(30);
    ensure!(poll_once(wait.as_mut()).await.is_none() && timers.sleepers() == 0);
    wait.as_mut().reset(40);
    let (ended, ()) = zip(wait, async {
        pause().await;
        timers.advance(40);
    })
    .await;
    ensure!(ended == Err(Elapsed) && timers.sleepers() == 0);
    Ok(())
}

pub(crate) async fn a_callback_is_for_what_is_not_over_in_time() -> Outcome {
    let timers = TimerQueue::new();
    let log = Log::new();
    let early = pending::<()>().until(timers.sleep_until(5)).on_elapsed(&timers, 9, || log.note(1));
    let late = pending::<()>().until(timers.sleep_until(12)).on_elapsed(&timers, 9, || log.note(2));
    let drive = async {
        for now in [5, 9, 12] {
            pause().await;
            timers.advance(now);
        }
    };
    let ((early, late), ()) = zip(zip(early, late), drive).await;
    ensure!(early.is_err() && late.is_err() && log.is(&[2]));
    ensure!(timers.sleepers() == 0);
    Ok(())
}

pub(crate) async fn each_wait_for_an_item_has_its_own_time() -> Outcome {
    let clock = ManualClock::new();
    let items = stream::unfold(1, |n: u32| {
        let wait = clock.sleep(MILLISECOND * 6 * n);
        async move {
            wait.await;
            Some((n, n + 1))
        }
    });
    let mut items = pin!(items.item_timeout(&clock, MILLISECOND * 15));
    let mut outputs = [None; 3];
    let take = async {
        for output in &mut outputs {
            *output = items.next().await;
        }
    };
    let drive = async {
        for _ in 0..12 {
            pause().await;
            clock.advance(MILLISECOND * 3);
        }
    };
    zip(take, drive).await;
    // 6 and 12, and what takes 18.
    ensure!(outputs == [Some(Ok(1)), Some(Ok(2)), Some(Err(Elapsed))]);
    Ok(())
}
