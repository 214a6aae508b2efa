//! Deadlines on a queue that the case drives itself.

use core::future::{pending, poll_fn, ready};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use futures_lite::future::{poll_once, zip};
use tollgate::time::TimerQueue;
use tollgate::{DeadlineExt, Elapsed};

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
