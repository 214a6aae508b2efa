//! Fan-out without an allocator.

use core::convert::Infallible;
use core::future::{Future, pending, poll_fn, ready};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use futures_core::{FusedStream, Stream};
use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use futures_sink::Sink;
use tollgate::context::{self, Interrupted};
use tollgate::fan_out::{FanOut, Inline, Launch, Limit, Order, Tabled, TryPolicy, WakeTable};
use tollgate::time::TimerQueue;
use tollgate::{Elapsed, FanOutExt, Semaphore};

use crate::Outcome;
use crate::help::{Gauge, Log, ensure, pause, pauses};

pub(crate) async fn outputs_come_as_they_complete() -> Outcome {
    let log = Log::new();
    let jobs = stream::iter([3, 1, 2]).fan_out_inline_with::<3, _, _>(async |steps| {
        pauses(steps).await;
        steps
    });
    let mut jobs = pin!(jobs);
    while let Some(steps) = jobs.next().await {
        log.note(steps);
    }
    ensure!(log.is(&[1, 2, 3]));
    Ok(())
}

pub(crate) async fn ordered_outputs_come_in_the_order_of_the_input() -> Outcome {
    let log = Log::new();
    let jobs = stream::iter([5, 0, 3, 1, 4, 2]).fan_out_inline_with::<3, _, _>(async |steps| {
        pauses(steps).await;
        steps
    });
    let mut jobs = pin!(jobs.ordered());
    while let Some(steps) = jobs.next().await {
        log.note(steps);
    }
    ensure!(log.is(&[5, 0, 3, 1, 4, 2]));
    Ok(())
}

pub(crate) async fn no_more_run_than_the_limit() -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..20).fan_out_inline_with::<8, _, _>(async |n: usize| {
        let _inside = gauge.enter();
        pauses(n % 4).await;
        n
    });
    let sum = pin!(jobs.limit(3)).fold(0, |sum, n| sum + n).await;
    ensure!(sum == 190);
    ensure!(gauge.peak() == 3 && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn the_window_is_never_exceeded() -> Outcome {
    let taken = AtomicUsize::new(0);
    let source = stream::iter(0..12).map(|n| {
        taken.store(taken.load(Relaxed) + 1, Relaxed);
        n
    });
    let jobs = source.fan_out_inline_with::<4, _, _>(async |n: usize| {
        pauses(if n % 4 == 0 { 6 } else { 0 }).await;
        n
    });
    let mut jobs = pin!(jobs.limit(2).ordered());
    let mut given = 0;
    while let Some(n) = jobs.next().await {
        ensure!(n == given);
        ensure!(taken.load(Relaxed) - given <= 4);
        given += 1;
    }
    ensure!(given == 12);
    Ok(())
}

pub(crate) async fn without_a_table_futures_see_the_tasks_own_waker() -> Outcome {
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let jobs = stream::iter(0..4).fan_out_inline_with::<2, _, _>(|_: usize| {
        poll_fn(|cx: &mut Context<'_>| Poll::Ready(cx.waker().will_wake(&task)))
    });
    ensure!(pin!(jobs).all(|same| same).await);
    Ok(())
}

/// Other runs of the suite may be under way on other threads, and a table serves one stream at a time.
async fn with_a_table<St, M, O, const N: usize>(
    jobs: FanOut<St, M, O, Inline<N>>,
) -> FanOut<St, M, O, Inline<N, Tabled<1>>>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
{
    // None of their streams is dropped while something in it is woken: that would be polled for nothing in the next one.
    static TABLES: [WakeTable<1>; 4] = [const { WakeTable::new() }; 4];
    with_one_of(&TABLES, jobs).await
}

/// The first table that is free.
pub(crate) async fn with_one_of<St, M, O, const N: usize, const W: usize>(
    tables: &'static [WakeTable<W>],
    mut jobs: FanOut<St, M, O, Inline<N>>,
) -> FanOut<St, M, O, Inline<N, Tabled<W>>>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
{
    loop {
        for table in tables {
            match jobs.try_wake_table(table) {
                Ok(jobs) => return jobs,
                Err(same) => jobs = same,
            }
        }
        pause().await;
    }
}

/// Counts how often a future is polled.
struct Counted<'a, F>(&'a AtomicUsize, F);

impl<F: Future + Unpin> Future for Counted<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
        Pin::new(&mut self.1).poll(cx)
    }
}

pub(crate) async fn with_a_table_only_what_was_woken_is_polled() -> Outcome {
    let polls = AtomicUsize::new(0);
    let gates = [const { Semaphore::new(0) }; 6];
    let jobs = stream::iter(&gates)
        .fan_out_inline_with::<6, _, _>(async |gate: &Semaphore| Counted(&polls, pin!(gate.acquire())).await.is_ok());
    let mut jobs = pin!(with_a_table(jobs).await);
    let outputs = async {
        let mut outputs = 0;
        while let Some(true) = jobs.next().await {
            outputs += 1;
        }
        outputs
    };
    let releases = async {
        for gate in gates.iter().rev() {
            pause().await;
            gate.add_permits(1);
        }
    };
    let (outputs, ()) = zip(outputs, releases).await;
    ensure!(outputs == 6);
    ensure!(polls.load(Relaxed) == 12); // to begin, and when it was woken
    Ok(())
}

pub(crate) async fn a_table_serves_one_stream_after_the_other() -> Outcome {
    for _ in 0..3 {
        let jobs = stream::iter(0..9).fan_out_inline_with::<5, _, _>(async |n: usize| {
            pauses(n % 3).await;
            n
        });
        let jobs = with_a_table(jobs).await;
        ensure!(pin!(jobs.ordered()).fold(0, |sum, n| sum * 9 + n).await == 6_053_444);
    }
    Ok(())
}

pub(crate) async fn a_future_that_never_rests_starves_nobody() -> Outcome {
    let gate = Semaphore::new(0);
    let jobs = stream::iter(0..3).fan_out_inline_with::<3, _, _>(async |n| {
        if n == 0 {
            pauses(usize::MAX).await;
        } else {
            // Nobody but a brother wakes it.
            gate.add_permits(1);
            pauses(n).await;
        }
        n
    });
    let mut jobs = pin!(jobs);
    let (one, two) = (jobs.next().await, jobs.next().await);
    ensure!((one, two) == (Some(1), Some(2)));
    ensure!(jobs.in_flight() == 1);
    Ok(())
}

pub(crate) async fn dropping_the_stream_drops_what_runs() -> Outcome {
    let gauge = Gauge::new();
    {
        let jobs = stream::iter(0..9).fan_out_inline_with::<4, _, _>(async |_: usize| {
            let _inside = gauge.enter();
            pending::<()>().await;
        });
        let mut jobs = pin!(jobs);
        ensure!(poll_once(jobs.next()).await.is_none());
        ensure!(gauge.now() == 4 && jobs.in_flight() == 4);
    }
    ensure!(gauge.now() == 0);
    Ok(())
}

pub(crate) async fn stopping_finishes_what_runs_and_takes_no_more() -> Outcome {
    let jobs = stream::repeat(1).fan_out_inline_with::<3, _, _>(async |n| {
        pause().await;
        n
    });
    let mut jobs = pin!(jobs);
    ensure!(jobs.next().await == Some(1));
    let left = jobs.in_flight() + jobs.finished() + jobs.waiting();
    jobs.stop();
    ensure!(jobs.as_mut().count().await == left && left <= 3);
    ensure!(jobs.is_terminated() && jobs.next().await.is_none());
    Ok(())
}

pub(crate) async fn a_signal_stops_it_too() -> Outcome {
    let gate = Semaphore::new(1);
    let stop = async { drop(gate.acquire_many(3).await) };
    let jobs = stream::repeat(()).fan_out_inline_with::<2, _, _>(async |()| {
        gate.add_permits(1);
        pause().await;
    });
    // The signal comes from the work itself.
    let done = pin!(jobs.stop_when(stop)).count().await;
    ensure!((2..=6).contains(&done));
    Ok(())
}

pub(crate) async fn what_is_left_is_told_exactly() -> Outcome {
    let mut jobs = stream::iter([ready(1), ready(2), ready(3)]).fan_out_inline::<2>().ordered();
    for left in (0..3).rev() {
        ensure!(jobs.size_hint() == (left + 1, Some(left + 1)));
        ensure!(jobs.next().await == Some(3 - left));
    }
    ensure!(jobs.size_hint() == (0, Some(0)));
    Ok(())
}

pub(crate) async fn futures_in_it_wait_for_permits_in_turn() -> Outcome {
    let gate = Semaphore::new(2);
    let gauge = Gauge::new();
    let log = Log::new();
    let jobs = stream::iter(0..10).fan_out_inline_with::<6, _, _>(async |n| {
        let permit = gate.acquire().await;
        let _inside = gauge.enter();
        log.note(n);
        pauses(2).await;
        permit.is_ok()
    });
    ensure!(pin!(jobs).all(|ok| ok).await);
    ensure!(log.is(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    ensure!(gauge.peak() == 2 && gate.available_permits() == 2);
    Ok(())
}

pub(crate) async fn one_at_a_time_runs_of_each_key() -> Outcome {
    let gauges = [Gauge::new(), Gauge::new(), Gauge::new()];
    let logs = [Log::new(), Log::new(), Log::new()];
    let jobs = stream::iter([3, 0, 1, 6, 4, 9, 2, 7]).fan_out_inline_with::<8, _, _>(async |n: usize| {
        let _inside = gauges[n % 3].enter();
        pauses(n % 4).await;
        n
    });
    let mut jobs = pin!(jobs.limit(3).keyed(|n| n % 3));
    while let Some(n) = jobs.next().await {
        logs[n % 3].note(n);
    }
    ensure!(gauges.iter().all(|gauge| gauge.peak() == 1));
    ensure!(logs[0].is(&[3, 0, 6, 9]) && logs[1].is(&[1, 4, 7]) && logs[2].is(&[2]));
    Ok(())
}

pub(crate) async fn weights_count_against_the_limit() -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter([3, 1, 2, 9, 1, 1, 1]).fan_out_inline_with::<4, _, _>(async |weight: usize| {
        let mut inside = [const { None }; 4];
        inside[..weight.min(4)].fill_with(|| Some(gauge.enter()));
        pauses(weight).await;
        weight
    });
    let sum = pin!(jobs.weighted(|weight| *weight)).fold(0, |sum, weight| sum + weight).await;
    ensure!(sum == 18);
    ensure!(gauge.peak() == 4 && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn a_semaphore_is_shared_with_others() -> Outcome {
    let gate = Semaphore::new(2);
    let gauge = Gauge::new();
    let outside = gate.try_acquire().map_err(|_| "not free")?;
    let jobs = stream::iter(0..6).fan_out_inline_with::<4, _, _>(async |n| {
        let _inside = gauge.enter();
        pauses(n).await;
    });
    let count = async { pin!(jobs.shared(&gate)).count().await };
    let (count, peak) = zip(count, async {
        pauses(6).await;
        let peak = gauge.peak();
        drop(outside);
        peak
    })
    .await;
    ensure!(count == 6 && peak == 1);
    ensure!(gauge.peak() == 2 && gate.available_permits() == 2 && gate.waiters() == 0);
    Ok(())
}

pub(crate) async fn a_limit_that_is_raised_wakes_the_stream() -> Outcome {
    let limit = Limit::new(0);
    let gauge = Gauge::new();
    let jobs = stream::iter(0..6).fan_out_inline_with::<4, _, _>(async |_: usize| {
        let _inside = gauge.enter();
        pause().await;
    });
    let count = async { pin!(jobs.limit_by(&limit)).count().await };
    let (count, before) = zip(count, async {
        pause().await;
        let before = gauge.peak();
        limit.set(2);
        before
    })
    .await;
    ensure!(count == 6 && before == 0 && gauge.peak() == 2);
    Ok(())
}

pub(crate) async fn consumers_keep_what_runs_running() -> Outcome {
    let log = Log::new();
    let jobs = stream::iter([2, 1, 3]).fan_out_inline_with::<3, _, _>(async |steps: usize| {
        pauses(steps).await;
        log.note(steps);
        steps
    });
    // The body takes longer than all the jobs.
    let bodies = Log::new();
    let body = async |steps| {
        pauses(9).await;
        bodies.note(steps);
    };
    pin!(jobs.for_each(body)).await;
    ensure!(log.is(&[1, 2, 3]) && bodies.is(&[1, 2, 3]));
    Ok(())
}

pub(crate) async fn a_limit_of_nothing_stops_nothing_that_runs() -> Outcome {
    let limit = Limit::new(2);
    let gauge = Gauge::new();
    let jobs = stream::iter(0..6).fan_out_inline_with::<4, _, _>(async |_: usize| {
        let _inside = gauge.enter();
        pause().await;
    });
    let mut jobs = pin!(jobs.limit_by(&limit));
    ensure!(poll_once(jobs.next()).await.is_none() && gauge.now() == 2);
    limit.set(0);
    ensure!(jobs.next().await.is_some() && jobs.next().await.is_some());
    ensure!(poll_once(jobs.next()).await.is_none() && gauge.now() == 0);
    let (output, ()) = zip(jobs.next(), async {
        pause().await;
        limit.set(1);
    })
    .await;
    ensure!(output.is_some() && jobs.count().await == 3);
    ensure!(gauge.peak() == 2 && limit.free() == 1);
    Ok(())
}

pub(crate) async fn a_loop_of_ones_own_keeps_what_runs_running() -> Outcome {
    let gate = Semaphore::new(0);
    let jobs = stream::iter(0..3).fan_out_inline_with::<3, _, _>(async |n: usize| {
        pauses(n).await;
        gate.add_permits(n);
    });
    let mut jobs = pin!(jobs);
    ensure!(jobs.next().await.is_some());
    // Only what is in flight can make this ready.
    ensure!(jobs.as_mut().drive_while(gate.acquire_many(3)).await.is_ok());
    ensure!(jobs.finished() == 2 && jobs.count().await == 2);
    Ok(())
}

pub(crate) async fn the_first_error_does_what_was_asked_for() -> Outcome {
    use TryPolicy::{CancelRest, Continue, Drain};
    for (policy, outputs) in [(CancelRest, &[0, 11][..]), (Drain, &[0, 3, 2, 11]), (Continue, &[0, 11, 3, 2])] {
        let log = Log::new();
        let gauge = Gauge::new();
        let jobs = stream::iter([0, 1, 3, 2]).fan_out_inline_with::<4, _, _>(async |n: usize| {
            let _inside = gauge.enter();
            pauses(n).await;
            if n == 1 { Err(n) } else { Ok(n) }
        });
        let mut jobs = pin!(jobs.ordered().try_policy(policy));
        while let Some(output) = jobs.next().await {
            log.note(output.unwrap_or_else(|n| n + 10));
        }
        ensure!(log.is(outputs) && gauge.now() == 0 && jobs.is_terminated());
    }
    Ok(())
}

pub(crate) async fn each_item_has_its_time_from_its_own_start() -> Outcome {
    let timers = TimerQueue::new();
    let gauge = Gauge::new();
    let jobs = stream::iter(0..3).fan_out_inline_with::<1, _, _>(async |n: usize| {
        let _inside = gauge.enter();
        if n < 2 {
            pending::<()>().await;
        }
        n
    });
    let mut jobs = pin!(jobs.each_timeout(&timers, Duration::from_millis(10)));
    let mut now = 0;
    // The second has waited as long as the first has run. Part of a tick is over at a start, and counts for none.
    for end in [10, 20] {
        let output = loop {
            match poll_once(jobs.next()).await {
                Some(output) => break output,
                None => now += 1,
            }
            timers.advance(now);
        };
        ensure!(output == Some(Err(Elapsed)) && (end..=end + 2).contains(&now));
    }
    ensure!(jobs.next().await == Some(Ok(2)));
    ensure!(jobs.next().await.is_none() && gauge.peak() == 1 && gauge.now() == 0);
    Ok(())
}

pub(crate) async fn the_end_of_its_context_drops_what_runs() -> Outcome {
    let timers = TimerQueue::new();
    let root = context::Context::new(&timers);
    for because in [Interrupted::Cancelled("gone".into()), Interrupted::DeadlineExceeded] {
        let gauge = Gauge::new();
        let request = root.with_timeout(Duration::from_millis(10));
        let jobs = stream::iter(0..9).fan_out_inline_with::<3, _, _>(async |n: usize| {
            let _inside = gauge.enter();
            if n > 0 {
                pending::<()>().await;
            }
            n
        });
        let mut jobs = pin!(jobs.within(&request));
        ensure!(jobs.next().await == Some(Ok(0)));
        let (ended, inside) = zip(jobs.next(), async {
            pause().await;
            match because {
                Interrupted::DeadlineExceeded => _ = timers.advance(100),
                _ => request.cancel_with("gone"),
            }
            gauge.now()
        })
        .await;
        ensure!(ended == Some(Err(because)) && inside == 3 && gauge.now() == 0);
        ensure!(jobs.next().await.is_none() && jobs.is_terminated());
    }
    ensure!(root.check().is_ok() && timers.sleepers() == 0);
    Ok(())
}

/// A source of what is written to it, with room for one.
#[derive(Default)]
pub(crate) struct Pipe {
    kept: Option<usize>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Stream for Pipe {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        if let Some(n) = self.kept.take() {
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Some(n));
        }
        if self.closed {
            return Poll::Ready(None);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Sink<usize> for Pipe {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, n: usize) -> Result<(), Infallible> {
        self.kept = Some(n);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.kept.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let flushed = self.as_mut().poll_flush(cx);
        if flushed.is_ready() {
            self.closed = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        flushed
    }
}

/// Writes the numbers below `end` to a fan-out of a [`Pipe`], as there is room, and reads them from it, in order.
pub(crate) async fn through<J>(mut jobs: Pin<&mut J>, end: usize) -> Outcome
where
    J: Stream<Item = usize> + Sink<usize, Error = Infallible>,
{
    let (mut written, mut read) = (0, 0);
    poll_fn(|cx| {
        while written < end && jobs.as_mut().poll_ready(cx).is_ready() {
            let Ok(()) = jobs.as_mut().start_send(written);
            written += 1;
        }
        if written == end && jobs.as_mut().poll_close(cx).is_ready() {
            written += 1;
        }
        loop {
            match jobs.as_mut().poll_next(cx) {
                Poll::Ready(Some(n)) if n == read => read += 1,
                Poll::Ready(Some(_)) => return Poll::Ready(Err("something else was written")),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await?;
    ensure!(written == end + 1 && read == end);
    Ok(())
}

pub(crate) async fn what_is_written_goes_to_the_source() -> Outcome {
    let jobs = Pipe::default().fan_out_inline_with::<3, _, _>(async |n| {
        pauses(n % 3).await;
        n
    });
    through(pin!(jobs.ordered()), 7).await
}
