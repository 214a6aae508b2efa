//! Consumers of a fan-out that keep what is in flight going: `for_each` and its kin, and what an error does to the rest.
#![cfg(feature = "alloc")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_core::stream::FusedStream;
use futures_core::{FusedFuture, Stream};
use futures_lite::future::{block_on, yield_now};
use futures_lite::{StreamExt, stream};
use futures_util::Sink;
use tollgate::fan_out::{TryPolicy, WakeTable};
use tollgate::{FanOutExt, LocalLock, Semaphore};

#[allow(dead_code, reason = "shared with others")]
#[path = "fan_out_suite/tools.rs"]
mod tools;
use tools::*;

/// Polls a future once.
fn turn<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Polls as long as it is woken, and says what it came to: nothing if it stands still.
fn run<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let (wakes, waker) = Wakes::new();
    loop {
        if let Poll::Ready(output) = turn(future.as_mut(), &waker) {
            return Some(output);
        }
        if wakes.take() == 0 {
            return None;
        }
    }
}

/// Counts how many of it are alive.
struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

// === for_each ===

#[test]
fn each_output_gets_its_body() {
    let seen = RefCell::new(Vec::new());
    let outputs = stream::iter(0..100).fan_out_with(7, |n| async move {
        yields(n % 5).await;
        n
    });
    block_on(outputs.ordered().for_each(|n| {
        let seen = &seen;
        async move {
            yields(n % 3).await;
            seen.borrow_mut().push(n);
        }
    }));
    assert_eq!(seen.into_inner(), (0..100).collect::<Vec<_>>());
}

#[test]
fn bodies_run_one_after_another() {
    let running = Cell::new(0);
    let outputs = stream::iter(0..50).fan_out_with(10, ready);
    block_on(outputs.for_each(|_| async {
        running.set(running.get() + 1);
        assert_eq!(running.get(), 1);
        yields(2).await;
        running.set(running.get() - 1);
    }));
}

#[test]
fn an_empty_source_has_no_bodies() {
    block_on(stream::empty::<usize>().fan_out_with(2, ready).for_each(|_| async { panic!("there is nothing") }));
}

#[test]
fn what_is_in_flight_goes_on_while_the_body_waits() {
    let done = Cell::new(0);
    let door = Gate::default();
    let outputs = stream::iter(0..3).fan_out_with(3, |n: usize| {
        let done = &done;
        async move {
            yields(n * 5).await;
            done.set(done.get() + 1);
        }
    });
    let mut each = pin!(outputs.for_each(|()| door.clone().pass()));
    assert_eq!(run(each.as_mut()), None);
    assert_eq!(done.get(), 3, "all of them are finished, though the first body is not");
    door.open();
    assert_eq!(run(each.as_mut()), Some(()));
}

#[test]
fn what_finishes_beside_a_body_is_bounded_by_the_window() {
    for (limit, window) in [(1, 1), (2, 2), (2, 5), (3, 64), (1, 7)] {
        let (source, given) = Source::new(1000);
        let done = Cell::new(0);
        let outputs = source
            .fan_out_with(limit, |_| {
                done.set(done.get() + 1);
                yields(1)
            })
            .window(window);
        let door = Gate::default();
        let mut each = pin!(outputs.for_each(|()| door.clone().pass()));
        assert_eq!(run(each.as_mut()), None);
        // The one that the body has is handed out, and does not count any more.
        assert_eq!((given.get(), done.get()), (window + 1, window + 1), "limit {limit}, window {window}");
    }
}

#[test]
fn a_free_place_is_filled_while_the_body_waits() {
    let (source, given) = Source::new(10);
    let mut each = pin!(
        source
            .fan_out_with(2, |n| async move {
                if n > 0 {
                    pending().await
                }
            })
            .for_each(|()| pending())
    );
    assert_eq!(run(each.as_mut()), None);
    assert_eq!(given.get(), 3, "one is in the body, two are in flight");
}

#[test]
fn the_source_may_be_late() {
    let arrived = Rc::new(RefCell::new((VecDeque::from([1]), None::<Waker>)));
    let source = stream::poll_fn({
        let arrived = arrived.clone();
        move |cx| match &mut *arrived.borrow_mut() {
            (items, _) if !items.is_empty() => Poll::Ready(items.pop_front()),
            (_, waker) => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    });
    let started = Cell::new(0);
    let outputs = source.fan_out_with(4, |n| {
        started.set(started.get() + 1);
        ready(n)
    });
    let (wakes, waker) = Wakes::new();
    let door = Gate::default();
    let mut each = pin!(outputs.for_each(|_| door.clone().pass()));
    assert!(turn(each.as_mut(), &waker).is_pending());
    assert_eq!((started.get(), wakes.take()), (1, 0));
    // While the body waits.
    arrived.borrow_mut().0.push_back(2);
    arrived.borrow_mut().1.take().expect("the source was asked beside the body").wake();
    assert_eq!(wakes.take(), 1);
    assert!(turn(each.as_mut(), &waker).is_pending());
    assert_eq!(started.get(), 2);
}

#[test]
fn a_million_bodies_that_never_wait_let_their_task_go() {
    const ITEMS: usize = 1_000_000;
    for window in [4, 256] {
        let mut count = 0;
        let outputs = stream::iter(0..ITEMS).fan_out_with(4, ready).window(window);
        let mut each = pin!(outputs.for_each(|_| {
            count += 1;
            ready(())
        }));
        let mut polls = 1;
        let (wakes, waker) = Wakes::new();
        while turn(each.as_mut(), &waker).is_pending() {
            assert_eq!(wakes.take(), 1, "it is not done, and says so");
            polls += 1;
        }
        assert_eq!(count, ITEMS);
        assert!(polls > ITEMS / 1000, "only {polls} polls");
    }
}

#[test]
fn an_endless_body_and_endless_work_starve_neither_each_other_nor_the_task() {
    let endless = |cell: Rc<Cell<usize>>| {
        poll_fn(move |cx: &mut Context<'_>| {
            cell.set(cell.get() + 1);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let (body, work) = <(Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
    let outputs = stream::iter(0..3).fan_out_with(3, |n| {
        let work = work.clone();
        async move {
            if n > 0 {
                endless(work).await
            }
        }
    });
    let mut each = pin!(outputs.for_each(|()| endless(body.clone())));
    for _ in 0..10 {
        assert!(turn(each.as_mut(), Waker::noop()).is_pending());
    }
    assert_eq!(body.get(), 10);
    assert!((20..100_000).contains(&work.get()), "{} polls", work.get());
}

#[test]
fn a_body_that_panics_is_gone_and_the_rest_goes_on() {
    let seen = RefCell::new(Vec::new());
    let outputs = stream::iter(0..4).fan_out_with(2, |n| async move {
        yields(1).await;
        n
    });
    let mut each = pin!(outputs.ordered().for_each(|n| {
        let seen = &seen;
        assert_ne!(n, 1, "the closure");
        async move {
            yields(1).await;
            assert_ne!(n, 2, "the body");
            seen.borrow_mut().push(n);
        }
    }));
    for message in ["the closure", "the body"] {
        let panic = catch_unwind(AssertUnwindSafe(|| run(each.as_mut()))).unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains(message));
    }
    assert_eq!(run(each.as_mut()), Some(()));
    assert_eq!(*seen.borrow(), [0, 3]);
}

#[test]
fn a_future_that_panics_beside_a_body_leaves_the_body_as_it_was() {
    let outputs = stream::iter(0..3).fan_out_with(3, |n| async move {
        yields(n).await;
        assert_ne!(n, 1);
    });
    let (door, ended) = (Gate::default(), Cell::new(0));
    let mut each = pin!(outputs.for_each(|()| async {
        door.clone().pass().await;
        ended.set(ended.get() + 1);
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| run(each.as_mut()))).is_err());
    assert_eq!(run(each.as_mut()), None);
    door.open();
    assert_eq!(run(each.as_mut()), Some(()));
    assert_eq!(ended.get(), 2);
}

#[test]
fn dropping_a_consumer_drops_everything_at_once() {
    let alive = Rc::new(Cell::new(0));
    let outputs = stream::repeat(()).fan_out_with(5, |()| {
        let alive = Alive::new(&alive);
        async move {
            yield_now().await;
            alive
        }
    });
    let mut each = Box::pin(outputs.for_each(|alive| async move {
        pending::<()>().await;
        drop(alive);
    }));
    assert_eq!(run(each.as_mut()), None);
    assert_eq!(alive.get(), 6);
    drop(each);
    assert_eq!(alive.get(), 0);
}

#[test]
fn a_consumer_is_fused_and_panics_when_polled_after_its_end() {
    let mut each = pin!(stream::iter([1]).fan_out_with(1, ready).for_each(|_| ready(())));
    assert!(!each.is_terminated());
    assert_eq!(run(each.as_mut()), Some(()));
    assert!(each.is_terminated());
    let panic = catch_unwind(AssertUnwindSafe(|| run(each.as_mut()))).unwrap_err();
    assert!(panic.downcast_ref::<&str>().unwrap().contains("after it was finished"));
}

#[test]
fn outputs_and_bodies_need_not_be_movable_or_static() {
    let text = String::from("here");
    let outputs = stream::iter([1, 2]).fan_out_with(2, |n| {
        let text = text.as_str();
        async move {
            let pinned = PhantomPinned;
            yield_now().await;
            let _ = pinned;
            &text[..n]
        }
    });
    let mut out = Vec::new();
    block_on(outputs.ordered().for_each(|text| {
        out.push(text);
        async move {
            let pinned = PhantomPinned;
            yield_now().await;
            let _ = pinned;
        }
    }));
    assert_eq!(out, ["h", "he"]);
}

// === snoozing, futurelock ===

/// Futures that take a permit and work, and a consumer that needs a permit for each output.
async fn holds_a_permit(gate: &Semaphore<LocalLock>, n: usize) -> usize {
    let _permit = gate.acquire().await.unwrap();
    yields(n).await;
    n
}

#[test]
fn a_body_that_needs_a_permit_of_what_is_in_flight_deadlocks_a_loop() {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let outputs = stream::iter([1, 3, 3]).fan_out_with(2, |n| holds_a_permit(&gate, n)).window(3);
    let mut outputs = pin!(outputs);
    let mut looping = pin!(async {
        while outputs.next().await.is_some() {
            let _permit = gate.acquire().await.unwrap();
        }
    });
    assert_eq!(run(looping.as_mut()), None, "it stands still");
    assert_eq!(gate.available_permits(), 0, "what is in flight has the permit, and nobody polls it");
}

#[test]
fn the_same_body_in_for_each_does_not() {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let outputs = stream::iter([1, 3, 3]).fan_out_with(2, |n| holds_a_permit(&gate, n)).window(3);
    let each = outputs.for_each(|_| async {
        let _permit = gate.acquire().await.unwrap();
    });
    assert_eq!(run(pin!(each)), Some(()));
}

#[test]
fn the_same_body_in_drive_while_does_not() {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let outputs = stream::iter([1, 3, 3]).fan_out_with(2, |n| holds_a_permit(&gate, n)).window(3);
    let mut outputs = pin!(outputs);
    let looping = async {
        while outputs.next().await.is_some() {
            let body = async { drop(gate.acquire().await.unwrap()) };
            outputs.as_mut().drive_while(body).await;
        }
    };
    assert_eq!(run(pin!(looping)), Some(()));
}

// === try_for_each ===

#[test]
fn the_first_error_drops_the_rest_before_it_is_returned() {
    for in_the_body in [false, true] {
        for ordered in [false, true] {
            let alive = Rc::new(Cell::new(0));
            let source_is_alive = Alive::new(&alive);
            let source = stream::iter(0..).inspect(move |_| {
                let _ = &source_is_alive;
            });
            let work = |n: usize| {
                let alive = Alive::new(&alive);
                async move {
                    yields(n).await;
                    drop(alive);
                    if n == 4 && !in_the_body { Err(n) } else { Ok(n) }
                }
            };
            let seen = Cell::new(0);
            let body = |n: usize| {
                let seen = &seen;
                async move {
                    seen.set(seen.get() + 1);
                    yields(1).await;
                    if n == 4 { Err(n) } else { Ok(()) }
                }
            };
            let outputs = source.fan_out_with(3, work);
            let outcome = if ordered {
                run(watched(outputs.ordered().try_for_each(body), &alive).as_mut())
            } else {
                run(watched(outputs.try_for_each(body), &alive).as_mut())
            };
            assert_eq!(outcome, Some((Err(4), 0)), "in the body: {in_the_body}, ordered: {ordered}");
            assert_eq!(seen.get(), if in_the_body { 5 } else { 4 });
        }
    }
}

/// Adds how many were alive in the moment of return.
fn watched<'a, F: Future + 'a>(
    future: F,
    alive: &Rc<Cell<usize>>,
) -> Pin<Box<dyn Future<Output = (F::Output, usize)> + 'a>> {
    let alive = alive.clone();
    Box::pin(async move {
        let mut future = pin!(future);
        let output = future.as_mut().await;
        (output, alive.get())
    })
}

#[test]
fn without_an_error_try_for_each_is_for_each() {
    let mut seen = Vec::new();
    let outputs = stream::iter(0..9).fan_out_with(2, |n| ready(Ok::<_, ()>(n)));
    let mut each = pin!(outputs.try_for_each(|n| {
        seen.push(n);
        ready(Ok(()))
    }));
    assert_eq!(run(each.as_mut()), Some(Ok(())));
    assert!(each.is_terminated());
    assert_eq!(seen, (0..9).collect::<Vec<_>>());
}

// === fold ===

#[test]
fn a_fold_keeps_what_is_in_flight_going() {
    let done = Cell::new(0);
    let door = Gate::default();
    let outputs = stream::iter(1..=3).fan_out_with(3, |n| {
        let done = &done;
        async move {
            yields(n).await;
            done.set(done.get() + 1);
            n
        }
    });
    let mut sum = pin!(outputs.fold(String::new(), |sum, n| {
        let door = door.clone();
        async move {
            door.pass().await;
            sum + &n.to_string()
        }
    }));
    assert_eq!(run(sum.as_mut()), None);
    assert_eq!(done.get(), 3);
    door.open();
    assert_eq!(run(sum.as_mut()).unwrap(), "123");
    assert!(sum.is_terminated());
}

#[test]
fn a_fold_of_nothing_is_what_it_began_with() {
    assert_eq!(block_on(stream::empty::<i32>().fan_out_with(1, ready).fold(7, |_, n| ready(n))), 7);
}

#[test]
fn a_fold_whose_body_panicked_says_what_is_wrong() {
    let mut sum = pin!(stream::iter([1, 2]).fan_out_with(1, ready).fold(0, |_, _| async { panic!("the body") }));
    assert!(catch_unwind(AssertUnwindSafe(|| run(sum.as_mut()))).is_err());
    let panic = catch_unwind(AssertUnwindSafe(|| run(sum.as_mut()))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("lost in a panic"));
}

// === collect_results ===

#[test]
fn results_are_collected_apart_and_no_error_ends_it() {
    let outcomes = stream::iter(0..10).fan_out_with(3, |n| async move {
        yields(n % 4).await;
        if n % 3 == 0 { Err(n.to_string()) } else { Ok(n) }
    });
    let (worked, failed) = block_on(outcomes.ordered().collect_results());
    assert_eq!(worked, [1, 2, 4, 5, 7, 8]);
    assert_eq!(failed, ["0", "3", "6", "9"]);
}

#[test]
fn a_million_results_let_their_task_go() {
    let mut results = pin!(stream::iter(0..1_000_000).fan_out_with(4, |n| ready(Ok::<_, ()>(n))).collect_results());
    let mut polls = 1;
    let collected = loop {
        match turn(results.as_mut(), Waker::noop()) {
            Poll::Ready(collected) => break collected,
            Poll::Pending => polls += 1,
        }
    };
    assert_eq!((collected.0.len(), collected.1.len()), (1_000_000, 0));
    assert!(polls > 1000);
}

// === drive_while, poll_progress ===

#[test]
fn drive_while_returns_what_its_future_returns_and_keeps_the_outputs() {
    let mut outputs = pin!(stream::iter(0..3).fan_out_with(2, |n| async move {
        yields(n).await;
        n
    }));
    let eight = outputs.as_mut().drive_while(async {
        yields(10).await;
        8
    });
    assert_eq!(block_on(eight), 8);
    assert_eq!((outputs.in_flight(), outputs.finished()), (0, 2));
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [0, 1, 2]);
}

#[test]
fn a_driven_future_that_is_dropped_leaves_the_fan_out_as_it_is() {
    let mut outputs = pin!(stream::iter(0..2).fan_out_with(2, |n| async move {
        yields(n).await;
        n
    }));
    {
        let mut driven = pin!(outputs.as_mut().drive_while(pending::<()>()));
        assert_eq!(run(driven.as_mut()), None);
        assert!(!driven.is_terminated());
    }
    assert_eq!(outputs.finished(), 2);
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [0, 1]);
}

#[test]
fn progress_is_ready_when_nothing_can_be_done_without_handing_out() {
    let gates = gates(3);
    let mut outputs = through(&gates).fan_out(2);
    let (wakes, waker) = Wakes::new();
    let mut progress = || Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(&waker));
    assert!(progress().is_pending());
    gates[0].open();
    assert_eq!(wakes.take(), 1, "a wake beside the consumer reaches the task");
    assert!(progress().is_pending());
    gates[1].open();
    assert!(progress().is_ready(), "both places have an output");
    assert!(progress().is_ready());
    gates[2].open();
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [0, 1, 2]);
}

#[test]
fn progress_of_a_stream_that_has_ended_is_ready() {
    let mut outputs = stream::iter([1]).fan_out_with(2, ready);
    let mut progress = || Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(Waker::noop()));
    assert!(progress().is_ready());
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
    let mut progress = || Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(Waker::noop()));
    assert!(progress().is_ready());
    assert!(outputs.is_terminated());
}

#[test]
fn progress_with_an_endless_supply_of_steps_lets_its_task_go() {
    let (source, given) = Source::new(usize::MAX);
    let mut outputs = source.fan_out_with(usize::MAX, ready);
    let (wakes, waker) = Wakes::new();
    for polls in 1..=3 {
        assert!(Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(wakes.take(), 1);
        assert!(given.get() <= polls * 2048);
    }
}

// === try_policy ===

fn outcomes(outcomes: &[Result<usize, &'static str>]) -> impl Stream<Item = Result<usize, &'static str>> {
    stream::iter(outcomes.to_vec())
}

#[test]
fn cancel_rest_drops_the_rest_before_the_error_is_handed_out() {
    let alive = Rc::new(Cell::new(0));
    let mut outputs = pin!(
        stream::iter(0..)
            .fan_out_with(4, |n| {
                let alive = Alive::new(&alive);
                async move {
                    yields(n).await;
                    drop(alive);
                    if n == 2 { Err(n) } else { Ok(n) }
                }
            })
            .try_policy(TryPolicy::CancelRest)
    );
    assert_eq!(outputs.size_hint(), (1, None));
    block_on(async {
        assert_eq!(outputs.next().await, Some(Ok(0)));
        assert_eq!(outputs.next().await, Some(Ok(1)));
        assert!(!outputs.is_terminated());
        assert!(alive.get() > 0);
        assert_eq!(outputs.next().await, Some(Err(2)));
        assert_eq!(alive.get(), 0);
        assert!(outputs.is_terminated());
        assert!(outputs.get_ref().is_none());
        assert_eq!(outputs.size_hint(), (0, Some(0)));
        assert_eq!(outputs.next().await, None);
        assert_eq!(outputs.next().await, None);
    });
}

#[test]
fn drain_finishes_what_was_taken_and_hands_the_first_error_out_last() {
    let (source, given) = Source::new(1000);
    let mut outputs = pin!(
        source
            .fan_out_with(2, |n| async move {
                yields(1).await;
                if n == 3 || n == 4 { Err(n) } else { Ok(n) }
            })
            .window(4)
            .ordered()
            .try_policy(TryPolicy::Drain)
    );
    block_on(async {
        for n in 0..3 {
            assert_eq!(outputs.next().await, Some(Ok(n)));
        }
        let mut rest = Vec::new();
        while let Some(outcome) = outputs.next().await {
            if outcome.is_ok() {
                assert!(!outputs.is_terminated());
                assert!(outputs.size_hint().0 >= 1);
            }
            rest.push(outcome);
        }
        assert!(outputs.is_terminated());
        let taken = given.get();
        assert!(taken <= 3 + 4 + 1, "{taken} were taken");
        let expected: Vec<_> = (5..taken).map(Ok).chain([Err(3)]).collect();
        assert_eq!(rest, expected, "of two errors the first is kept");
        assert_eq!(outputs.size_hint(), (0, Some(0)));
        assert_eq!(outputs.next().await, None);
        assert_eq!(given.get(), taken);
    });
}

#[test]
fn continue_hands_everything_out() {
    let all = [Ok(1), Err("a"), Ok(2), Err("b")];
    let outputs = outcomes(&all).fan_out_with(2, ready).ordered().try_policy(TryPolicy::Continue);
    assert_eq!(outputs.size_hint(), (4, Some(4)));
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), all);
}

#[test]
fn without_an_error_all_policies_are_the_same() {
    for policy in [TryPolicy::CancelRest, TryPolicy::Drain, TryPolicy::Continue] {
        let outputs = stream::iter(0..10).fan_out_with(2, |n| ready(Ok::<_, ()>(n))).try_policy(policy);
        assert_eq!(outputs.policy(), policy);
        assert_eq!(block_on(outputs.collect::<Vec<_>>()), (0..10).map(Ok).collect::<Vec<_>>());
    }
}

#[test]
fn a_long_run_of_errors_lets_the_task_go() {
    let outputs = stream::iter(0..10_000).fan_out_with(10_000, |n| async move {
        yields(1).await;
        Err::<(), _>(n)
    });
    let mut outputs = pin!(outputs.try_policy(TryPolicy::Drain));
    let mut polls = 0;
    let first = loop {
        polls += 1;
        if let Poll::Ready(outcome) = peek(&mut outputs) {
            break outcome;
        }
    };
    assert!(matches!(first, Some(Err(_))));
    assert!(polls > 2, "{polls} polls");
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn the_consumers_of_a_policy_keep_what_is_in_flight_going() {
    let gate = Semaphore::<LocalLock>::with_lock(1);
    let outputs = stream::iter([1, 3, 3]).fan_out_with(2, |n| {
        let gate = &gate;
        async move { Ok::<_, ()>(holds_a_permit(gate, n).await) }
    });
    let outputs = outputs.window(3).try_policy(TryPolicy::CancelRest);
    let seen = Cell::new(0);
    let each = outputs.for_each(|outcome| {
        seen.set(seen.get() + outcome.unwrap());
        async { drop(gate.acquire().await.unwrap()) }
    });
    assert_eq!(run(pin!(each)), Some(()));
    assert_eq!(seen.get(), 7);
}

// === without an allocation ===

#[test]
fn inline_fan_outs_go_on_beside_a_body_too() {
    fn check(outputs: impl FnOnce(&Cell<usize>, &Gate)) {
        outputs(&Cell::new(0), &Gate::default());
    }
    check(|done, door| {
        let outputs = stream::iter(0..4).fan_out_inline_with::<3, _, _>(|n: usize| async move {
            yields(n * 5).await;
            done.set(done.get() + 1);
        });
        let mut each = pin!(outputs.for_each(|()| door.clone().pass()));
        assert_eq!(run(each.as_mut()), None);
        assert_eq!(done.get(), 4);
        door.open();
        assert_eq!(run(each.as_mut()), Some(()));
    });
    static TABLE: WakeTable<1> = WakeTable::new();
    check(|done, door| {
        let outputs = stream::iter(0..4)
            .fan_out_inline_with::<3, _, _>(|n: usize| async move {
                yields(n * 5).await;
                done.set(done.get() + 1);
            })
            .wake_table(&TABLE);
        let mut each = pin!(outputs.for_each(|()| door.clone().pass()));
        assert_eq!(run(each.as_mut()), None);
        assert_eq!(done.get(), 4);
        door.open();
        assert_eq!(run(each.as_mut()), Some(()));
    });
}

// === sinks ===

/// A stream of nothing that can be written to.
#[derive(Default)]
struct Pipe(Vec<String>);

impl Stream for Pipe {
    type Item = usize;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        Poll::Pending
    }
}

impl Sink<&str> for Pipe {
    type Error = &'static str;

    fn poll_ready(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.push("ready".into());
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: &str) -> Result<(), Self::Error> {
        self.0.push(item.into());
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.push("flush".into());
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.push("close".into());
        Poll::Ready(Err("it does not close"))
    }
}

#[test]
fn a_source_that_is_a_sink_can_be_written_to_through_the_fan_out() {
    let mut outputs = pin!(Pipe::default().fan_out_with(2, ready).stop_when(ready(())));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(outputs.as_mut().poll_next(cx).is_ready(), "it is stopped, which does not concern what is written");
    assert_eq!(outputs.as_mut().poll_ready(cx), Poll::Ready(Ok(())));
    assert_eq!(outputs.as_mut().start_send("item"), Ok(()));
    assert_eq!(Sink::<&str>::poll_flush(outputs.as_mut(), cx), Poll::Ready(Ok(())));
    assert_eq!(Sink::<&str>::poll_close(outputs.as_mut(), cx), Poll::Ready(Err("it does not close")));
    assert_eq!(outputs.get_ref().0, ["ready", "item", "flush", "close"]);
}
