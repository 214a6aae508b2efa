//! Fan-out, in the order of completion and in that of the input: on the heap, inline, and inline with a wake table.

use alloc::vec::Vec;
use core::future::{pending, ready};
use core::pin::pin;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_core::{FusedStream, Stream};
use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::{FanOutExt, Semaphore, WakeTable};

use crate::Outcome;
use crate::fan_out::with_one_of;
use crate::help::{Gauge, ensure, pause, pauses};

/// Tables of these cases; what runs at once takes one each.
pub(crate) static TABLES: [WakeTable<1>; 4] = [const { WakeTable::new() }; 4];

/// Does the same with a stream on the heap, with one inline, and with one inline that has a wake table.
macro_rules! on_each {
    ($source:expr, $n:literal, $f:expr, |$jobs:ident| $body:block) => {{
        {
            let $jobs = tollgate::FanOutExt::fan_out_with($source, $n, $f);
            $body
        }
        {
            let $jobs = tollgate::FanOutExt::fan_out_inline_with::<$n, _, _>($source, $f);
            $body
        }
        {
            let jobs = tollgate::FanOutExt::fan_out_inline_with::<$n, _, _>($source, $f);
            let $jobs = $crate::fan_out::with_one_of(&$crate::with_alloc::order::TABLES, jobs).await;
            $body
        }
    }};
}
pub(crate) use on_each;

pub(super) async fn outputs_come_in_the_order_of_their_wakes() -> Outcome {
    let gates = [const { Semaphore::new(0) }; 5];
    let wait = async |n: usize| gates[n].acquire().await.map(|permit| (permit.forget(), n).1);
    on_each!(stream::iter(0..5), 5, wait, |jobs| {
        let mut jobs = pin!(jobs);
        ensure!(poll_once(jobs.next()).await.is_none());
        for n in [3, 0, 4, 2, 1] {
            let (output, ()) = zip(jobs.next(), async {
                pause().await;
                gates[n].add_permits(1);
            })
            .await;
            ensure!(output == Some(Ok(n)));
        }
        ensure!(jobs.next().await.is_none() && jobs.is_terminated());
    });
    Ok(())
}

pub(super) async fn more_run_at_once_than_a_word_has_bits() -> Outcome {
    let gauge = Gauge::new();
    let jobs = stream::iter(0..500).fan_out_with(150, async |n: usize| {
        let _inside = gauge.enter();
        pauses(n % 7).await;
        n
    });
    let mut outputs: Vec<_> = jobs.collect().await;
    outputs.sort_unstable();
    ensure!(outputs.into_iter().eq(0..500));
    ensure!(gauge.peak() <= 150 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn a_table_of_several_words_tells_them_apart() -> Outcome {
    const ALL: usize = 2 * usize::BITS as usize + 2;
    static WIDE: [WakeTable<3>; 4] = [const { WakeTable::new() }; 4];
    let gates = [const { Semaphore::new(0) }; ALL];
    let jobs = stream::iter(0..ALL).fan_out_inline_with::<ALL, _, _>(async |n| {
        drop(gates[n].acquire().await);
        n
    });
    let mut jobs = pin!(with_one_of(&WIDE, jobs).await);
    ensure!(poll_once(jobs.next()).await.is_none());
    // Across the words, each once: 37 has no divisor in common with their number.
    for step in 0..ALL {
        let n = step * 37 % ALL;
        let (output, ()) = zip(jobs.next(), async {
            pause().await;
            gates[n].add_permits(1);
        })
        .await;
        ensure!(output == Some(n));
    }
    ensure!(jobs.next().await.is_none());
    Ok(())
}

pub(super) async fn one_that_never_rests_starves_nobody() -> Outcome {
    let gate = Semaphore::new(0);
    let work = async |n: usize| {
        if n == 0 {
            pauses(usize::MAX).await;
        } else {
            let permit = gate.acquire().await;
            pauses(n).await;
            drop(permit);
        }
        n
    };
    on_each!(stream::iter(0..4), 4, work, |jobs| {
        let mut jobs = pin!(jobs);
        ensure!(poll_once(jobs.next()).await.is_none());
        gate.add_permits(1);
        let mut sum = 0;
        for _ in 0..3 {
            sum += jobs.next().await.unwrap_or(9);
        }
        ensure!(sum == 6 && jobs.in_flight() == 1);
        ensure!(gate.forget_permits(1) == 1);
    });
    Ok(())
}

pub(super) async fn a_stream_of_futures_needs_no_function() -> Outcome {
    let heap = stream::iter([ready(1), ready(2), ready(3)]).fan_out(2).ordered();
    ensure!(heap.size_hint() == (3, Some(3)));
    ensure!(heap.collect::<Vec<_>>().await == [1, 2, 3]);
    let inline = stream::iter([ready(1), ready(2), ready(3)]).fan_out_inline::<2>().ordered();
    ensure!(with_one_of(&TABLES, inline).await.collect::<Vec<_>>().await == [1, 2, 3]);
    Ok(())
}

pub(super) async fn dropping_a_stream_drops_all_of_it() -> Outcome {
    let gauge = Gauge::new();
    let work = async |_: usize| {
        let _inside = gauge.enter();
        pending::<()>().await;
    };
    on_each!(stream::iter(0..9), 4, work, |jobs| {
        let mut jobs = pin!(jobs);
        ensure!(poll_once(jobs.next()).await.is_none());
        ensure!(gauge.now() == 4);
    });
    ensure!(gauge.now() == 0);
    Ok(())
}

pub(super) async fn the_order_of_the_input_survives_any_order_of_wakes() -> Outcome {
    let gates = [const { Semaphore::new(0) }; 6];
    let wait = async |n: usize| gates[n].acquire().await.map(|permit| (permit.forget(), n).1);
    on_each!(stream::iter(0..6), 6, wait, |jobs| {
        let outputs = jobs.ordered().collect::<Vec<_>>();
        let release = async {
            for n in [5, 1, 0, 4, 2, 3] {
                pause().await;
                gates[n].add_permits(1);
            }
        };
        let (outputs, ()) = zip(outputs, release).await;
        ensure!(outputs == [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]);
    });
    Ok(())
}

pub(super) async fn a_slow_first_item_holds_up_no_more_than_the_window() -> Outcome {
    let gate = Semaphore::new(0);
    let begun = AtomicUsize::new(0);
    let work = async |n: usize| {
        begun.fetch_add(1, Relaxed);
        if n == 0 {
            drop(gate.acquire().await);
        }
        n
    };
    on_each!(stream::iter(0..20), 8, work, |jobs| {
        begun.store(0, Relaxed);
        let mut jobs = pin!(jobs.ordered());
        for _ in 0..4 {
            ensure!(poll_once(jobs.next()).await.is_none());
        }
        ensure!(begun.load(Relaxed) == 8 && jobs.in_flight() == 1 && jobs.finished() == 7);
        gate.add_permits(1);
        for n in 0..20 {
            ensure!(jobs.next().await == Some(n));
        }
        ensure!(gate.forget_permits(1) == 1);
    });
    Ok(())
}
