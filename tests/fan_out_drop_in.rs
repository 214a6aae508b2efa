//! What futures-util documents of `buffered`, `buffer_unordered`, `for_each_concurrent` and `try_for_each_concurrent`,
//! case by case, on both.
//!
//! | futures-util | here |
//! |---|---|
//! | `stream.buffered(n)` | `stream.fan_out(n).ordered()` |
//! | `stream.buffer_unordered(n)` | `stream.fan_out(n)` |
//! | `stream.for_each_concurrent(n, f)` | `stream.fan_out_with(n, f).for_each(\|()\| ready(()))` |
//! | `stream.for_each_concurrent(None, f)` | the same with `usize::MAX` |
//! | `stream.try_for_each_concurrent(n, f)` | `stream.fan_out_with(n, f).try_for_each(\|()\| ready(Ok(())))` |
#![cfg(feature = "alloc")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::FanOutExt;

#[allow(dead_code, reason = "shared with others")]
#[path = "support/seeded.rs"]
mod seeded;
#[allow(dead_code, reason = "shared with others")]
#[path = "fan_out_suite/tools.rs"]
mod tools;
use seeded::Seeded;
use tools::{Gate, Wakes, gates, peek, poll, yields};

type Work = Pin<Box<dyn Future<Output = usize>>>;
type Source = Pin<Box<dyn Stream<Item = Work>>>;
type Outputs = Pin<Box<dyn Stream<Item = usize>>>;
type Outcome = Result<(), usize>;

/// An adapter of either crate.
type Adapter = fn(Source, usize) -> Outputs;

const BUFFERED: [(&str, Adapter); 2] = [
    ("futures-util", |source, n| Box::pin(futures_util::StreamExt::buffered(source, n))),
    ("tollgate", |source, n| Box::pin(source.fan_out(n).ordered())),
];

const UNORDERED: [(&str, Adapter); 2] = [
    ("futures-util", |source, n| Box::pin(futures_util::StreamExt::buffer_unordered(source, n))),
    ("tollgate", |source, n| Box::pin(source.fan_out(n))),
];

const BOTH: [[(&str, Adapter); 2]; 2] = [BUFFERED, UNORDERED];

/// A closure for each item, and the future that runs them.
type Each =
    for<'a> fn(&'a [Gate], Option<usize>, &'a dyn Fn(usize) -> Job<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;
type Job<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

const FOR_EACH: [(&str, Each); 2] = [
    ("futures-util", |gates, limit, f| {
        let items = stream::iter(0..gates.len());
        Box::pin(futures_util::StreamExt::for_each_concurrent(items, limit, f))
    }),
    ("tollgate", |gates, limit, f| {
        let items = stream::iter(0..gates.len());
        Box::pin(items.fan_out_with(limit.unwrap_or(usize::MAX), f).for_each(|()| ready(())))
    }),
];

type TryJob<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;
type Items = Vec<Result<usize, usize>>;
type TryEach = for<'a> fn(Items, usize, &'a dyn Fn(usize) -> TryJob<'a>) -> TryJob<'a>;

const TRY_FOR_EACH: [(&str, TryEach); 2] = [
    ("futures-util", |items, limit, f| {
        Box::pin(futures_util::TryStreamExt::try_for_each_concurrent(stream::iter(items), limit, f))
    }),
    ("tollgate", |items, limit, f| {
        let work = move |item: Result<usize, usize>| async move { f(item?).await };
        Box::pin(stream::iter(items).fan_out_with(limit, work).try_for_each(|()| ready(Ok(()))))
    }),
];

/// The numbers of the gates, each through its gate, and how many are started and not finished.
fn through(gates: &[Gate]) -> (Source, Rc<Cell<usize>>) {
    let running = Rc::new(Cell::new(0));
    let gates = gates.to_vec();
    let count = running.clone();
    let source = stream::iter(gates.into_iter().enumerate()).map(move |(n, gate)| -> Work {
        let count = count.clone();
        Box::pin(async move {
            count.set(count.get() + 1);
            gate.pass().await;
            count.set(count.get() - 1);
            n
        })
    });
    (Box::pin(source), running)
}

fn take_what_is_there(outputs: &mut Outputs, waker: &Waker) -> Vec<usize> {
    let mut out = Vec::new();
    while let Poll::Ready(Some(n)) = poll(outputs, waker) {
        out.push(n);
    }
    out
}

/// Polls, and goes on as long as the task is woken: one of the two gives its turn back now and then.
fn take_while_woken(outputs: &mut Outputs, wakes: &Wakes, waker: &Waker) -> Vec<usize> {
    let mut out = take_what_is_there(outputs, waker);
    while wakes.take() > 0 {
        out.extend(take_what_is_there(outputs, waker));
    }
    out
}

// === buffered, buffer_unordered ===

#[test]
fn buffered_returns_the_outputs_in_the_order_of_the_stream() {
    for (who, buffered) in BUFFERED {
        let gates = gates(4);
        let mut outputs = buffered(through(&gates).0, 3);
        assert!(peek(&mut outputs).is_pending());
        gates[2].open();
        gates[1].open();
        assert!(peek(&mut outputs).is_pending(), "{who}: the first is not there yet");
        gates[0].open();
        assert_eq!(take_what_is_there(&mut outputs, Waker::noop()), [0, 1, 2], "{who}");
        gates[3].open();
        assert_eq!(take_what_is_there(&mut outputs, Waker::noop()), [3], "{who}");
        assert_eq!(peek(&mut outputs), Poll::Ready(None), "{who}");
    }
}

#[test]
fn buffer_unordered_returns_the_outputs_in_the_order_in_which_they_complete() {
    for (who, unordered) in UNORDERED {
        let gates = gates(3);
        let mut outputs = unordered(through(&gates).0, 10);
        for n in [1, 2, 0] {
            assert!(peek(&mut outputs).is_pending(), "{who}");
            gates[n].open();
            assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)), "{who}");
        }
        assert_eq!(peek(&mut outputs), Poll::Ready(None), "{who}");
    }
}

#[test]
fn no_more_than_n_futures_are_buffered_at_any_point_in_time() {
    for (who, adapter) in BOTH.concat() {
        for limit in [1, 2, 5] {
            let gates = gates(12);
            let (source, running) = through(&gates);
            let mut outputs = adapter(source, limit);
            let mut out = Vec::new();
            for gate in &gates {
                assert!(peek(&mut outputs).is_pending());
                assert!(running.get() <= limit, "{who}");
                gate.open();
                out.extend(take_what_is_there(&mut outputs, Waker::noop()));
            }
            assert_eq!(out, (0..12).collect::<Vec<_>>(), "{who}");
        }
    }
}

#[test]
fn up_to_n_futures_are_buffered() {
    for (who, adapter) in BOTH.concat() {
        let (source, running) = through(&gates(12));
        let mut outputs = adapter(source, 5);
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(running.get(), 5, "{who}");
    }
}

#[test]
fn an_early_output_of_buffered_takes_up_room() {
    for (who, buffered) in BUFFERED {
        let gates = gates(9);
        let (source, running) = through(&gates);
        let mut outputs = buffered(source, 3);
        assert!(peek(&mut outputs).is_pending());
        gates[1].open();
        gates[2].open();
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(running.get(), 1, "{who}: less than n may also be buffered, depending on the state of each future");
    }
}

#[test]
fn each_future_is_woken_through_the_stream() {
    for (who, adapter) in BOTH.concat() {
        let gates = gates(2);
        let mut outputs = adapter(through(&gates).0, 2);
        let (wakes, waker) = Wakes::new();
        assert_eq!(take_while_woken(&mut outputs, &wakes, &waker), []);
        for (n, gate) in gates.iter().enumerate() {
            gate.open();
            assert!(wakes.take() > 0, "{who}");
            assert_eq!(take_while_woken(&mut outputs, &wakes, &waker), [n], "{who}");
        }
    }
}

#[test]
fn the_stream_ends_when_its_source_has_ended_and_all_outputs_are_out() {
    for (who, adapter) in BOTH.concat() {
        let mut empty = adapter(Box::pin(stream::empty()), 2);
        assert_eq!(peek(&mut empty), Poll::Ready(None), "{who}");
        assert_eq!(peek(&mut empty), Poll::Ready(None), "{who}");

        let gates = gates(1);
        let mut outputs = adapter(through(&gates).0, 2);
        assert!(peek(&mut outputs).is_pending(), "{who}: the source has ended, the future has not");
        gates[0].open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)), "{who}");
        assert_eq!(peek(&mut outputs), Poll::Ready(None), "{who}");
    }
}

#[test]
fn a_source_that_is_late_delays_nothing_that_is_in_flight() {
    for (who, adapter) in BOTH.concat() {
        let gate = Gate::default();
        let one = through(std::slice::from_ref(&gate)).0;
        let mut outputs = adapter(Box::pin(one.chain(stream::pending())), 2);
        assert!(peek(&mut outputs).is_pending());
        gate.open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)), "{who}");
        assert!(peek(&mut outputs).is_pending(), "{who}");
    }
}

#[test]
fn the_size_hint_counts_what_is_in_flight() {
    for (who, adapter) in BOTH.concat() {
        let gates = gates(5);
        let mut outputs = adapter(through(&gates).0, 2);
        for (n, gate) in gates.iter().enumerate() {
            assert_eq!(outputs.size_hint(), (5 - n, Some(5 - n)), "{who}");
            gate.open();
            assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)), "{who}");
        }
        assert_eq!(outputs.size_hint(), (0, Some(0)), "{who}");
    }
}

#[test]
fn dropping_the_stream_drops_what_is_in_flight() {
    for (who, adapter) in BOTH.concat() {
        let held = Rc::new(());
        let source = stream::repeat(()).map({
            let held = held.clone();
            move |()| -> Work {
                let held = held.clone();
                Box::pin(async move {
                    pending::<()>().await;
                    drop(held);
                    0
                })
            }
        });
        let mut outputs = adapter(Box::pin(source), 3);
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(Rc::strong_count(&held), 5, "{who}");
        drop(outputs);
        assert_eq!(Rc::strong_count(&held), 1, "{who}");
    }
}

#[test]
fn a_thousand_scripts_come_out_the_same() {
    let mut random = Seeded::new(1);
    for script in 0..1000 {
        let (items, limit) = (random.below(16), 1 + random.below(6));
        let mut opens: Vec<_> = (0..items).collect();
        for at in (1..items).rev() {
            opens.swap(at, random.below(at + 1));
        }
        for pair in BOTH {
            let [theirs, ours] = pair.map(|(_, adapter)| {
                let gates = gates(items);
                let (source, running) = through(&gates);
                let mut outputs = adapter(source, limit);
                let (wakes, waker) = Wakes::new();
                let mut trace =
                    vec![(take_while_woken(&mut outputs, &wakes, &waker), running.get(), outputs.size_hint())];
                for &n in &opens {
                    gates[n].open();
                    let out =
                        if wakes.take() > 0 { take_while_woken(&mut outputs, &wakes, &waker) } else { Vec::new() };
                    trace.push((out, running.get(), outputs.size_hint()));
                }
                trace
            });
            assert_eq!(ours, theirs, "script {script}: {items} items, {limit} at once, opened as {opens:?}");
        }
    }
}

/// Where the two differ on purpose.
#[test]
fn a_limit_of_zero_hangs_there_and_panics_here() {
    let mut theirs = futures_util::StreamExt::buffered(stream::iter([ready(1)]), 0);
    assert!(peek(&mut theirs).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| stream::iter([ready(1)]).fan_out(0).ordered())).is_err());
}

// === for_each_concurrent ===

fn turn<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_closure_is_called_for_each_item_and_its_future_runs_to_completion() {
    for (who, for_each) in FOR_EACH {
        for limit in [None, Some(1), Some(3), Some(100)] {
            let seen = RefCell::new(Vec::new());
            let f = |n: usize| -> Job<'_> {
                let seen = &seen;
                Box::pin(async move {
                    yields(n % 3).await;
                    seen.borrow_mut().push(n);
                })
            };
            block_on(for_each(&gates(20), limit, &f));
            let mut seen = seen.borrow().clone();
            if limit == Some(1) {
                assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{who}: one after another");
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..20).collect::<Vec<_>>(), "{who}");
        }
    }
}

#[test]
fn no_more_than_limit_futures_run_concurrently_and_none_is_no_limit() {
    for (who, for_each) in FOR_EACH {
        for (limit, expected) in [(Some(1), 1), (Some(4), 4), (Some(50), 20), (None, 20)] {
            let started = Cell::new(0);
            let f = |_: usize| -> Job<'_> {
                started.set(started.get() + 1);
                Box::pin(pending())
            };
            let gates = gates(20);
            let mut each = for_each(&gates, limit, &f);
            assert!(turn(each.as_mut()).is_pending());
            assert_eq!(started.get(), expected, "{who}");
        }
    }
}

#[test]
fn a_place_is_filled_as_soon_as_it_is_free() {
    for (who, for_each) in FOR_EACH {
        let gates = gates(6);
        let started = Cell::new(0);
        let f = |n: usize| -> Job<'_> {
            started.set(started.get() + 1);
            gates[n].clone().pass()
        };
        let mut each = for_each(&gates, Some(2), &f);
        for (n, gate) in gates.iter().enumerate() {
            assert!(turn(each.as_mut()).is_pending());
            assert_eq!(started.get(), (n + 2).min(6), "{who}");
            gate.open();
        }
        assert!(turn(each.as_mut()).is_ready(), "{who}");
    }
}

// === try_for_each_concurrent ===

#[test]
fn without_an_error_all_of_it_runs() {
    for (who, try_for_each) in TRY_FOR_EACH {
        let sum = Cell::new(0);
        let f = |n: usize| -> TryJob<'_> {
            let sum = &sum;
            Box::pin(async move {
                yields(n % 3).await;
                sum.set(sum.get() + n);
                Ok(())
            })
        };
        assert_eq!(block_on(try_for_each((0..10).map(Ok).collect(), 3, &f)), Ok(()), "{who}");
        assert_eq!(sum.get(), 45, "{who}");
    }
}

#[test]
fn an_error_of_the_closure_ends_it_as_soon_as_it_occurs() {
    for (who, try_for_each) in TRY_FOR_EACH {
        let gates = gates(5);
        let started = Cell::new(0);
        let f = |n: usize| -> TryJob<'_> {
            started.set(started.get() + 1);
            let gate = gates[n].clone();
            Box::pin(async move {
                gate.pass().await;
                if n == 1 { Err(n) } else { Ok(()) }
            })
        };
        let mut each = try_for_each((0..5).map(Ok).collect(), 2, &f);
        assert!(turn(each.as_mut()).is_pending());
        gates[1].open();
        assert_eq!(turn(each.as_mut()), Poll::Ready(Err(1)), "{who}: though the first is still running");
        assert_eq!(started.get(), 2, "{who}");
    }
}

#[test]
fn an_error_of_the_stream_ends_it_as_soon_as_it_occurs() {
    for (who, try_for_each) in TRY_FOR_EACH {
        let f = |_: usize| -> TryJob<'_> { Box::pin(pending()) };
        let mut each = try_for_each(vec![Ok(0), Err(7), Ok(1)], 3, &f);
        assert_eq!(turn(each.as_mut()), Poll::Ready(Err(7)), "{who}");
    }
}

#[test]
fn an_error_drops_what_is_in_flight_before_it_is_there() {
    for (who, try_for_each) in TRY_FOR_EACH {
        let held = Rc::new(());
        let gates = gates(3);
        let f = |n: usize| -> TryJob<'_> {
            let (gate, held) = (gates[n].clone(), held.clone());
            Box::pin(async move {
                gate.pass().await;
                drop(held);
                Err(n)
            })
        };
        let mut each = try_for_each((0..3).map(Ok).collect(), 3, &f);
        assert!(turn(each.as_mut()).is_pending());
        assert_eq!(Rc::strong_count(&held), 4);
        gates[2].open();
        assert_eq!(turn(each.as_mut()), Poll::Ready(Err(2)), "{who}");
        assert_eq!(Rc::strong_count(&held), 1, "{who}");
        drop(each);
    }
}

#[test]
fn no_more_than_limit_futures_of_a_fallible_closure_run_concurrently() {
    for (who, try_for_each) in TRY_FOR_EACH {
        let running = Cell::new(0);
        let f = |_: usize| -> TryJob<'_> {
            let running = &running;
            Box::pin(async move {
                running.set(running.get() + 1);
                assert!(running.get() <= 3);
                yields(2).await;
                running.set(running.get() - 1);
                Ok(())
            })
        };
        assert_eq!(block_on(pin!(try_for_each((0..20).map(Ok).collect(), 3, &f))), Ok(()), "{who}");
    }
}
