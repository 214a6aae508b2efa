//! What every fan-out does, wherever it keeps its futures.
//!
//! Whoever includes this says where: by a trait [`Form`](crate::Form) with the methods of `FanOutExt`, and the type
//! [`Store`](crate::Store). There are [`SLOTS`](crate::SLOTS) at least.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::FanOut;
use tollgate::fan_out::{Order, Unordered, With};

use crate::{Form, Store};

pub mod tools;
use tools::*;

// === limits ===

#[test]
#[should_panic(expected = "limit of 0")]
fn a_limit_of_zero_panics_instead_of_hanging() {
    let _ = stream::iter([ready(1)]).fan_out(0);
}

#[test]
#[should_panic(expected = "limit of 0")]
fn a_limit_of_zero_panics_with_a_closure_too() {
    let _ = stream::iter([1]).fan_out_with(0, ready);
}

#[test]
#[should_panic(expected = "a window of 3 is too narrow for a limit of 4")]
fn a_window_below_the_limit_panics() {
    let _ = stream::iter([ready(1)]).fan_out(4).window(3);
}

#[test]
#[should_panic(expected = "no more settings once it was polled")]
fn settings_after_the_first_poll_panic() {
    let mut outputs = stream::iter([ready(1)]).fan_out(4);
    let _ = peek(&mut outputs);
    let _ = outputs.ordered();
}

#[test]
fn at_most_limit_futures_run_at_once_in_every_order() {
    fn check<S: Stream<Item = usize>>(make: impl Fn(Rc<Cell<usize>>, Rc<Cell<usize>>) -> S) {
        let running = Rc::new(Cell::new(0));
        let peak = Rc::new(Cell::new(0));
        let outputs: Vec<_> = block_on(make(running.clone(), peak.clone()).collect());
        assert_eq!(outputs.len(), 100);
        assert_eq!((running.get(), peak.get()), (0, 7));
    }
    let job = |running: Rc<Cell<usize>>, peak: Rc<Cell<usize>>| {
        move |n: usize| {
            let (running, peak) = (running.clone(), peak.clone());
            async move {
                running.set(running.get() + 1);
                peak.set(peak.get().max(running.get()));
                yields(1 + n % 5).await;
                running.set(running.get() - 1);
                n
            }
        }
    };
    check(|running, peak| stream::iter(0..100).fan_out_with(7, job(running, peak)));
    check(|running, peak| stream::iter(0..100).fan_out_with(7, job(running, peak)).window(30));
    check(|running, peak| stream::iter(0..100).fan_out_with(7, job(running, peak)).ordered());
    check(|running, peak| stream::iter(0..100).fan_out_with(7, job(running, peak)).ordered().window(30));
}

#[test]
fn the_first_poll_fills_all_places() {
    let gates = gates(5);
    let mut outputs = through(&gates).fan_out(3);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting(), outputs.finished()), (3, 0, 0));
    assert_eq!(gates.iter().map(Gate::polls).collect::<Vec<_>>(), [1, 1, 1, 0, 0]);
}

// === window ===

type Job = Pin<Box<dyn Future<Output = usize>>>;
type Boxed<O> = FanOut<Pin<Box<dyn Stream<Item = usize>>>, With<fn(usize) -> Job>, O, Store>;

/// Checks the window from inside the source: what was given and has not come out must never exceed it.
fn window_is_kept<O: Order>(limit: usize, window: usize, order: impl FnOnce(Boxed<Unordered>) -> Boxed<O>) {
    let (given, received, peak) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let source: Pin<Box<dyn Stream<Item = usize>>> = {
        let (given, received, peak) = (given.clone(), received.clone(), peak.clone());
        Box::pin(stream::iter(0..200).inspect(move |_| {
            given.set(given.get() + 1);
            let held: usize = given.get() - received.get();
            assert!(held <= window, "{held} items in a window of {window}");
            peak.set(peak.get().max(held));
        }))
    };
    let job: fn(usize) -> Job = |n| {
        Box::pin(async move {
            yields(if n % 10 == 0 { 40 } else { n % 3 }).await;
            n
        })
    };
    let mut outputs = order(source.fan_out_with(limit, job).window(window));
    while block_on(outputs.next()).is_some() {
        received.set(received.get() + 1);
        let held = outputs.in_flight() + outputs.waiting() + outputs.finished();
        assert!(held <= window && outputs.in_flight() <= limit);
    }
    assert_eq!((received.get(), peak.get()), (200, window), "the window is used, and kept");
}

#[test]
fn the_window_is_never_exceeded_in_any_order() {
    for (limit, window) in [(1, 1), (1, 2), (3, 3), (3, 4), (3, 17), (64, 65), (65, 130)] {
        window_is_kept(limit, window, FanOut::unordered);
        window_is_kept(limit, window, FanOut::ordered);
    }
}

#[test]
fn outputs_behind_a_blocked_head_are_bounded_by_the_window() {
    let head = Gate::default();
    let (source, given) = Source::new(10_000);
    let first = head.clone();
    let mut outputs = source
        .fan_out_with(4, move |n| {
            let head = first.clone();
            Box::pin(async move {
                if n == 0 {
                    head.pass().await;
                }
                n
            })
        })
        .ordered()
        .window(12);
    for _ in 0..1000 {
        assert!(peek(&mut outputs).is_pending());
    }
    assert_eq!(given.get(), 12);
    assert_eq!((outputs.in_flight(), outputs.finished()), (1, 11));
    head.open();
    for n in 0..10_000 {
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn items_beyond_the_limit_are_taken_ahead_and_wait() {
    let gates = gates(10);
    let mut outputs = through(&gates).fan_out(2).window(5);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((outputs.in_flight(), outputs.waiting(), outputs.finished()), (2, 3, 0));
    assert_eq!(gates[2].polls(), 0);
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!((outputs.in_flight(), outputs.waiting()), (2, 2));
    assert_eq!(gates[2].polls(), 1, "the next one started before the output was handed out");
}

#[test]
fn a_closure_is_called_when_its_item_starts_and_not_before() {
    let called = Rc::new(Cell::new(0));
    let calls = called.clone();
    let mut outputs = stream::iter(0..10)
        .fan_out_with(2, move |_| {
            calls.set(calls.get() + 1);
            pending::<()>()
        })
        .window(6);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((called.get(), outputs.waiting()), (2, 4));
}

#[test]
fn a_place_that_became_free_is_filled_before_the_output_is_handed_out_where_the_window_allows() {
    let gates = gates(10);
    // As wide as the limit: the output counts until it is handed out.
    let mut outputs = through(&gates).fan_out(2);
    assert!(peek(&mut outputs).is_pending());
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(outputs.in_flight(), 1);

    // One wider: the next one is running while the consumer works.
    let gates = self::gates(10);
    let mut outputs = through(&gates).fan_out(2).window(3);
    assert!(peek(&mut outputs).is_pending());
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!((outputs.in_flight(), gates[2].polls()), (2, 1));
}

#[test]
fn what_is_ready_when_it_starts_is_handed_out_before_anything_more_is_taken() {
    let (source, given) = Source::new(10);
    let mut outputs = source.fan_out_with(4, ready);
    for n in 0..10 {
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
        assert_eq!(given.get(), n + 1);
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn all_places_are_filled_before_a_future_that_was_woken_hands_out() {
    // All are woken at once: each poll hands out one and starts one, so none of the places stays empty.
    let gates = gates(40);
    let mut outputs = through(&gates).fan_out(8);
    assert!(peek(&mut outputs).is_pending());
    gates.iter().take(8).for_each(Gate::open);
    for n in 0..8 {
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
        let started = gates.iter().filter(|gate| gate.polls() > 0).count();
        assert_eq!(started, 8 + n, "the place of the one before is filled");
    }
}

#[test]
fn waiting_items_all_get_their_turn_also_after_the_source_has_ended() {
    for limit in 1..4 {
        let outputs = stream::iter(0..50).fan_out_with(limit, |n| async move {
            yields(n % 4).await;
            n
        });
        let mut out: Vec<_> = block_on(outputs.window(50).collect());
        out.sort_unstable();
        assert_eq!(out, (0..50).collect::<Vec<_>>());
    }
}

// === order ===

#[test]
fn unordered_hands_out_in_the_order_of_completion() {
    let gates = gates(4);
    let mut outputs = through(&gates).fan_out(4).unordered();
    assert!(peek(&mut outputs).is_pending());
    for n in [2, 0, 3, 1] {
        gates[n].open();
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn ordered_hands_out_in_the_order_of_the_input() {
    let gates = gates(4);
    let mut outputs = through(&gates).fan_out(4).ordered();
    assert!(peek(&mut outputs).is_pending());
    for n in [2, 1] {
        gates[n].open();
        assert!(peek(&mut outputs).is_pending());
    }
    assert_eq!((outputs.in_flight(), outputs.finished()), (2, 2));
    gates[0].open();
    gates[3].open();
    for n in 0..4 {
        assert_eq!(peek(&mut outputs), Poll::Ready(Some(n)));
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn items_start_in_the_order_of_the_input() {
    let started = Rc::new(RefCell::new(Vec::new()));
    let log = started.clone();
    let outputs = stream::iter(0..40).fan_out_with(3, move |n| {
        log.borrow_mut().push(n);
        async move { yields(n % 7).await }
    });
    block_on(outputs.window(9).count());
    assert_eq!(*started.borrow(), (0..40).collect::<Vec<_>>());
}

// === wakes ===

#[test]
fn a_wake_during_the_poll_is_not_lost() {
    // Wakes itself in the middle of its own poll, and is ready the next time.
    let mut first = true;
    let job = poll_fn(move |cx| {
        cx.waker().wake_by_ref();
        if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
    });
    let mut outputs = stream::iter([job]).fan_out(1);
    let (wakes, waker) = Wakes::new();
    while poll(&mut outputs, &waker).is_pending() {
        assert_eq!(wakes.take(), 1);
    }
}

#[test]
fn the_task_that_polled_last_is_the_one_that_is_woken() {
    let gates = gates(1);
    let mut outputs = through(&gates).fan_out(1);
    let (old, old_waker) = Wakes::new();
    let (new, new_waker) = Wakes::new();
    assert!(poll(&mut outputs, &old_waker).is_pending());
    assert!(poll(&mut outputs, &new_waker).is_pending());
    gates[0].open();
    assert_eq!((old.take(), new.take()), (0, 1));
}

#[test]
fn the_waker_of_a_finished_future_does_no_harm_to_the_next_in_its_slot() {
    let gates = gates(2);
    let mut outputs = through(&gates).fan_out(1);
    assert!(peek(&mut outputs).is_pending());
    let stale = gates[0].waker();
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    stale.wake_by_ref();
    assert!(peek(&mut outputs).is_pending());
    stale.wake_by_ref();
    assert!(peek(&mut outputs).is_pending());
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    stale.wake_by_ref();
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
    drop(outputs);
    stale.wake_by_ref();
    drop(stale.clone());
    stale.wake();
}

/// A task whose waker polls on the spot, as some executors do.
struct Inline<S> {
    stream: Mutex<Option<S>>,
    polls: AtomicUsize,
}

impl<S: Stream<Item = usize> + Unpin + Send + 'static> Inline<S> {
    fn poll(self: &Arc<Self>) {
        self.polls.fetch_add(1, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        let mut stream = self.stream.try_lock().expect("nobody polls while waking");
        let _ = poll(stream.as_mut().expect("the task is not over"), &waker);
    }
}

impl<S: Stream<Item = usize> + Unpin + Send + 'static> Wake for Inline<S> {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}

#[test]
fn a_waker_may_poll_on_the_spot() {
    let gates = gates(3);
    let list: Vec<_> = gates.iter().cloned().enumerate().collect();
    let outputs = stream::iter(list).fan_out_with(3, |(n, gate)| {
        Box::pin(async move {
            gate.pass().await;
            n
        })
    });
    let task = Arc::new(Inline { stream: Mutex::new(Some(outputs)), polls: AtomicUsize::new(0) });
    task.poll();
    gates[1].open();
    assert_eq!(task.polls.load(Ordering::Relaxed), 2);
    let stream = task.stream.lock().unwrap().take().unwrap();
    assert_eq!(stream.in_flight(), 2);
    // Gone with its waker, or the two would keep each other alive.
    drop(stream);
}

#[test]
fn a_source_that_is_pending_can_wake_the_task_while_futures_are_in_flight() {
    let source_gate = Gate::default();
    let gate = source_gate.clone();
    let source = Box::pin(stream::once(Gate::default()).chain(stream::once_future(async move {
        gate.pass().await;
        Gate::default()
    })));
    let mut outputs = source.fan_out_with(4, Gate::pass);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(outputs.in_flight(), 1);
    source_gate.open();
    assert_eq!(wakes.take(), 1);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(outputs.in_flight(), 2);
}

// === fairness ===

#[test]
fn a_future_that_wakes_itself_starves_neither_siblings_nor_the_task() {
    let polls = Rc::new(Cell::new(0));
    let (count, sibling) = (polls.clone(), Gate::default());
    let gate = sibling.clone();
    let spin = poll_fn(move |cx| {
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    let jobs: [Pin<Box<dyn Future<Output = ()>>>; 2] = [Box::pin(spin), Box::pin(sibling.pass())];
    let mut outputs = stream::iter(jobs).fan_out(2);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(wakes.take(), 1, "not done, but the task has its turn");
    assert!(polls.get() <= 8, "polled {} times in one go", polls.get());
    gate.open();
    wakes.take();
    let before = polls.get();
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(())));
    assert!(polls.get() - before <= 1, "the sibling was not kept waiting");
}

#[test]
fn a_task_has_its_turn_while_all_futures_wake_themselves() {
    let polls = Rc::new(Cell::new(0));
    let spin = |_| {
        let polls = polls.clone();
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    };
    let mut outputs = stream::repeat(()).fan_out_with(100, spin);
    let (wakes, waker) = Wakes::new();
    for _ in 0..3 {
        polls.set(0);
        assert!(poll(&mut outputs, &waker).is_pending());
        assert!(wakes.take() >= 1);
        assert!(polls.get() >= 100 && polls.get() <= 400, "{} polls", polls.get());
    }
}

#[test]
fn always_ready_items_do_not_starve_a_woken_future() {
    let gate = Gate::default();
    let slow = gate.clone();
    let jobs = stream::iter(0..).map(move |n: usize| -> Pin<Box<dyn Future<Output = usize>>> {
        if n == 3 {
            let slow = slow.clone();
            Box::pin(async move {
                slow.pass().await;
                n
            })
        } else {
            Box::pin(ready(n))
        }
    });
    let mut outputs = jobs.fan_out(4);
    for _ in 0..50 {
        assert!(peek(&mut outputs).is_ready());
    }
    gate.open();
    let soon: Vec<_> = (0..5).map(|_| peek(&mut outputs)).collect();
    assert!(soon.contains(&Poll::Ready(Some(3))), "{soon:?}");
}

#[test]
fn members_that_are_always_ready_share_evenly() {
    // Four producers that always have something: each step of one is an item.
    let turns = Rc::new(RefCell::new([0; 4]));
    let log = turns.clone();
    let mut outputs = stream::iter(0..4).fan_out_with(4, move |n: usize| {
        let turns = log.clone();
        poll_fn(move |cx| {
            turns.borrow_mut()[n] += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        })
    });
    for _ in 0..50 {
        let _ = peek(&mut outputs);
        let turns = turns.borrow();
        assert!(turns.iter().max().unwrap() - turns.iter().min().unwrap() <= 1, "{turns:?}");
    }
}

#[test]
fn each_woken_future_is_polled_once_a_round() {
    let gates = gates(130);
    let mut outputs = through(&gates).fan_out(130);
    assert!(peek(&mut outputs).is_pending());
    let wakers: Vec<_> = gates.iter().map(Gate::waker).collect();
    wakers.iter().for_each(Waker::wake_by_ref);
    wakers.iter().for_each(Waker::wake_by_ref);
    assert!(peek(&mut outputs).is_pending());
    assert!(gates.iter().all(|gate| gate.polls() == 2));
}

// === ends ===

#[test]
fn an_empty_source_ends_at_once() {
    let mut outputs = stream::empty::<std::future::Ready<()>>().fan_out(3);
    assert!(!outputs.is_terminated());
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
    assert!(outputs.is_terminated());
    let mut outputs = stream::empty::<std::future::Ready<()>>().fan_out(3).ordered().window(9);
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn the_source_is_never_polled_after_its_end() {
    for window in [2, 8] {
        let (source, _) = Source::new(5);
        let mut outputs = source.fan_out_with(2, |n| Box::pin(async move { yields(n).await })).window(window);
        assert_eq!(block_on(async { (&mut outputs).count().await }), 5);
        for _ in 0..3 {
            assert_eq!(peek(&mut outputs), Poll::Ready(None));
        }
        assert!(outputs.is_terminated());
    }
}

#[test]
fn it_is_terminated_only_when_the_last_output_is_handed_out() {
    let gates = gates(2);
    let mut outputs = through(&gates).fan_out(4).ordered();
    assert!(peek(&mut outputs).is_pending());
    assert!(!outputs.is_terminated());
    gates[1].open();
    gates[0].open();
    assert!(peek(&mut outputs).is_ready());
    assert!(!outputs.is_terminated());
    assert!(peek(&mut outputs).is_ready());
    assert!(outputs.is_terminated());
}

#[test]
fn the_size_hint_counts_everything_that_is_inside() {
    let gates = gates(10);
    let mut outputs = through(&gates).fan_out(2).window(5);
    assert_eq!(outputs.size_hint(), (10, Some(10)));
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.size_hint(), (10, Some(10)));
    gates.iter().for_each(Gate::open);
    for left in (0..10).rev() {
        assert!(peek(&mut outputs).is_ready());
        assert_eq!(outputs.size_hint(), (left, Some(left)));
    }
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
    assert_eq!(outputs.size_hint(), (0, Some(0)));
}

#[test]
fn the_size_hint_saturates() {
    struct Huge;
    impl Stream for Huge {
        type Item = ();
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
            Poll::Ready(Some(()))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, Some(usize::MAX))
        }
    }
    let mut outputs = Huge.fan_out_with(3, |()| pending::<()>());
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.size_hint(), (usize::MAX, None));
}

#[test]
fn a_source_that_yields_more_than_it_said_is_fanned_out_all_the_same() {
    struct Liar(usize);
    impl Stream for Liar {
        type Item = usize;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
            self.0 += 1;
            Poll::Ready((self.0 <= 300).then_some(self.0))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (0, Some(1))
        }
    }
    let outputs = Liar(0).fan_out_with(200, |n| async move {
        yields(1).await;
        n
    });
    assert_eq!(block_on(outputs.ordered().collect::<Vec<_>>()), (1..=300).collect::<Vec<_>>());
}

#[test]
fn stop_takes_no_more_and_finishes_what_was_taken() {
    let gates = gates(10);
    let mut outputs = through(&gates).fan_out(2).window(3);
    assert!(peek(&mut outputs).is_pending());
    outputs.stop();
    assert_eq!(outputs.size_hint(), (3, Some(3)));
    gates.iter().for_each(Gate::open);
    let mut out: Vec<_> = std::iter::from_fn(|| match peek(&mut outputs) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing to wait for"),
    })
    .collect();
    out.sort_unstable();
    assert_eq!(out, [0, 1, 2]);
    assert!(outputs.is_terminated());
}

#[test]
fn a_pinned_stream_can_be_stopped() {
    let jobs = stream::unfold(0, |n| async move { Some((yields(1), n + 1)) });
    let mut outputs = pin!(jobs.fan_out(2));
    assert_eq!(block_on(outputs.next()), Some(()));
    outputs.stop();
    assert_eq!(block_on(outputs.count()), 1);
}

#[test]
fn stop_when_ends_the_source_once_its_future_completes() {
    let stop = Gate::default();
    let (source, given) = Source::new(usize::MAX);
    let work = gates(100);
    let jobs = work.clone();
    let mut outputs = Box::pin(
        source
            .fan_out_with(2, move |n| {
                let gate = jobs[n].clone();
                async move {
                    gate.pass().await;
                    n
                }
            })
            .stop_when(stop.clone().pass())
            .ordered(),
    );
    assert!(peek(&mut outputs).is_pending());
    work[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(given.get(), 3);
    stop.open();
    work[1].open();
    work[2].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(2)));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
    assert_eq!(given.get(), 3);
}

#[test]
fn stop_when_ends_a_stream_that_waits_for_its_source() {
    let stop = Gate::default();
    let mut outputs = Box::pin(stream::pending::<()>().fan_out_with(2, ready).stop_when(stop.clone().pass()));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    stop.open();
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));
}

// === drops ===

/// Counts its drops.
#[derive(Clone, Default)]
struct Dropped(Rc<Cell<usize>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn dropping_the_stream_drops_everything_in_it_at_once() {
    let drops = Rc::new(Cell::new(0));
    let counted = drops.clone();
    let gate = Gate::default();
    let kept = gate.clone();
    let mut outputs = stream::iter(0..20)
        .map(move |n| (n, Dropped(counted.clone())))
        .fan_out_with(4, move |(n, dropped)| {
            let gate = kept.clone();
            async move {
                if n < 2 {
                    gate.pass().await;
                }
                dropped
            }
        })
        .ordered()
        .window(6)
        .boxed_local();
    assert!(peek(&mut outputs).is_pending());
    let waker = gate.waker();
    assert_eq!(drops.get(), 0);
    drop(outputs);
    // Six were taken, and the source had fourteen more that do not exist yet.
    assert_eq!(drops.get(), 6, "although a waker of theirs is still there");
    waker.wake();
}

#[test]
fn finished_futures_are_dropped_when_they_finish() {
    struct Job(Gate, #[allow(dead_code)] Dropped);
    impl Future for Job {
        type Output = ();
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            pin!(self.0.clone().pass()).poll(cx)
        }
    }
    let drops = Dropped::default();
    let count = drops.0.clone();
    let gates = gates(2);
    let jobs: Vec<_> = gates.iter().map(|gate| Job(gate.clone(), Dropped(count.clone()))).collect();
    let mut outputs = stream::iter(jobs).fan_out(2).ordered();
    assert!(peek(&mut outputs).is_pending());
    gates[1].open();
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(count.get(), 1, "its output waits, it does not");
}

#[test]
fn dropping_next_loses_nothing() {
    let gates = gates(3);
    let mut outputs = through(&gates).fan_out(2);
    for _ in 0..3 {
        let mut next = outputs.next();
        assert!(Pin::new(&mut next).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    gates.iter().for_each(Gate::open);
    let mut out = block_on(outputs.collect::<Vec<_>>());
    out.sort_unstable();
    assert_eq!(out, [0, 1, 2]);
}

#[test]
fn into_inner_gives_the_rest_of_the_source() {
    let mut outputs = stream::iter(0..6).fan_out_with(2, ready);
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert_eq!(outputs.get_ref().size_hint(), (5, Some(5)));
    assert_eq!(block_on(outputs.get_mut().next()), Some(1));
    assert_eq!(block_on(outputs.into_inner().collect::<Vec<_>>()), [2, 3, 4, 5]);
}

// === panics ===

/// Runs `f`, which must panic.
fn panics<R>(f: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "there should have been a panic");
}

type Numbers<O> = FanOut<stream::Iter<std::ops::Range<usize>>, With<fn(usize) -> Job>, O, Store>;

fn panicking_jobs<O: Order>(outputs: Numbers<O>, expected: &[usize]) {
    let mut outputs = outputs;
    let mut out = Vec::new();
    let mut panics = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| block_on(outputs.next()))) {
            Ok(Some(n)) => out.push(n),
            Ok(None) => break,
            Err(_) => panics += 1,
        }
    }
    out.sort_unstable();
    assert_eq!((out.as_slice(), panics), (expected, 6));
    assert_eq!((outputs.in_flight(), outputs.waiting(), outputs.finished()), (0, 0, 0));
}

fn sometimes_panics(n: usize) -> Pin<Box<dyn Future<Output = usize>>> {
    assert!(n % 20 != 3, "the closure panics");
    Box::pin(async move {
        assert!(n % 20 != 5, "panics when it starts");
        yields(n % 4).await;
        assert!(n % 20 != 7, "panics later");
        n
    })
}

#[test]
fn a_panic_frees_its_place_and_goes_on_and_so_do_the_others() {
    let expected: Vec<_> = (0..40).filter(|n| ![3, 5, 7].contains(&(n % 20))).collect();
    let make = |limit| stream::iter(0..40).fan_out_with(limit, sometimes_panics as fn(_) -> _);
    for limit in [1, 2, 5, 64] {
        panicking_jobs(make(limit), &expected);
        panicking_jobs(make(limit).ordered(), &expected);
        panicking_jobs(make(limit).window(limit + 3), &expected);
        panicking_jobs(make(limit).ordered().window(limit + 3), &expected);
    }
}

#[test]
fn an_ordered_stream_skips_what_panicked() {
    let gates = gates(3);
    let list: Vec<_> = gates.iter().cloned().enumerate().collect();
    let mut outputs = stream::iter(list)
        .fan_out_with(3, |(n, gate)| {
            Box::pin(async move {
                gate.pass().await;
                assert!(n != 0);
                n
            })
        })
        .ordered();
    assert!(peek(&mut outputs).is_pending());
    gates[1].open();
    gates[0].open();
    panics(|| while peek(&mut outputs).is_pending() {});
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    gates[2].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(2)));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn an_output_that_is_there_survives_a_panic_of_another() {
    let gate = Gate::default();
    let first = gate.clone();
    let first = async move {
        first.pass().await;
        1
    };
    let jobs: [Pin<Box<dyn Future<Output = usize>>>; 3] =
        [Box::pin(first), Box::pin(ready(2)), Box::pin(async { panic!("on purpose") })];
    let mut outputs = stream::iter(jobs).fan_out(3).ordered();
    panics(|| peek(&mut outputs));
    assert_eq!((outputs.in_flight(), outputs.finished()), (1, 1));
    gate.open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(2)));
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn a_panic_of_the_source_loses_nothing_that_was_taken() {
    let mut polls = 0;
    let source = stream::poll_fn(move |_| {
        polls += 1;
        assert!(polls != 3, "the source panics once");
        Poll::Ready((polls < 6).then_some(polls))
    });
    let mut outputs = source.fan_out_with(10, |n| {
        Box::pin(async move {
            yields(1).await;
            n
        })
    });
    panics(|| peek(&mut outputs));
    assert_eq!(outputs.in_flight(), 2);
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [1, 2, 4, 5]);
}

/// A future whose drop panics if told so.
struct Grenade {
    drops: Rc<Cell<usize>>,
    live: bool,
    polls_left: usize,
}

impl Future for Grenade {
    type Output = usize;
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<usize> {
        if self.polls_left == 0 {
            return Poll::Ready(7);
        }
        self.polls_left -= 1;
        Poll::Pending
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
        assert!(!self.live, "the drop panics");
    }
}

#[test]
fn a_panicking_drop_does_not_keep_the_others_from_being_dropped() {
    for n in [3, 64, 200] {
        for live in [0, n / 2, n - 1] {
            let drops = Rc::new(Cell::new(0));
            let jobs: Vec<_> =
                (0..n).map(|i| Grenade { drops: drops.clone(), live: i == live, polls_left: 5 }).collect();
            let mut outputs = stream::iter(jobs).fan_out(n);
            assert!(peek(&mut outputs).is_pending());
            panics(|| drop(outputs));
            assert_eq!(drops.get(), n);
        }
    }
}

#[test]
fn a_future_that_panics_when_dropped_after_it_finished_keeps_its_output() {
    let drops = Rc::new(Cell::new(0));
    let jobs: Vec<_> = (0..3).map(|i| Grenade { drops: drops.clone(), live: i == 1, polls_left: 0 }).collect();
    let mut outputs = stream::iter(jobs).fan_out(3).ordered();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(7)));
    panics(|| peek(&mut outputs));
    assert_eq!(outputs.finished(), 1);
    assert_eq!(block_on(outputs.collect::<Vec<_>>()), [7, 7]);
    assert_eq!(drops.get(), 3);

    // The same when it was woken, and when it has to wait for its turn.
    for ordered in [false, true] {
        let drops = Rc::new(Cell::new(0));
        let gates = gates(2);
        let jobs: Vec<_> = (0..2)
            .map(|i| {
                let (mut grenade, gate) =
                    (Grenade { drops: drops.clone(), live: i == 1, polls_left: 0 }, gates[i].clone());
                let mut pass = Box::pin(gate.pass());
                poll_fn(move |cx| match pass.as_mut().poll(cx) {
                    Poll::Ready(()) => Pin::new(&mut grenade).poll(cx),
                    Poll::Pending => Poll::Pending,
                })
            })
            .collect();
        let outputs = stream::iter(jobs).fan_out(2);
        let mut outputs: Pin<Box<dyn Stream<Item = usize>>> =
            if ordered { Box::pin(outputs.ordered()) } else { Box::pin(outputs) };
        assert!(peek(&mut outputs).is_pending());
        gates[1].open();
        panics(|| peek(&mut outputs));
        gates[0].open();
        assert_eq!(block_on(outputs.collect::<Vec<_>>()), [7, 7]);
        assert_eq!(drops.get(), 2);
    }
}

// === what futures may be ===

#[test]
fn futures_may_be_neither_unpin_nor_send_nor_static() {
    struct Fixed<'a> {
        at: Cell<*const ()>,
        log: &'a RefCell<Vec<usize>>,
        n: usize,
        _pinned: PhantomPinned,
    }
    impl Future for Fixed<'_> {
        type Output = Rc<usize>;
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Rc<usize>> {
            let here = (&raw const *self).cast();
            if self.at.replace(here).is_null() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            assert_eq!(self.at.get(), here, "a pinned future does not move");
            self.log.borrow_mut().push(self.n);
            Poll::Ready(Rc::new(self.n))
        }
    }
    let log = RefCell::new(Vec::new());
    let jobs = stream::iter(0..30).fan_out_with(4, |n| Fixed {
        at: Cell::new(std::ptr::null()),
        log: &log,
        n,
        _pinned: PhantomPinned,
    });
    assert_eq!(block_on(jobs.count()), 30);
    assert_eq!(log.borrow().len(), 30);
}

#[test]
fn debug_tells_what_is_where() {
    let mut outputs = stream::iter(0..5).fan_out_with(2, |_| pending::<()>()).window(3);
    assert!(peek(&mut outputs).is_pending());
    let text = format!("{outputs:?}");
    for part in ["limit: 2", "window: 3", "waiting: 1", "in_flight: 2", "finished: 0"] {
        assert!(text.contains(part), "{text}");
    }
}

// === threads ===

/// Wakes what it is sent after a little while, on another thread.
fn elsewhere(wakers: Vec<Waker>, mut seed: u64) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for waker in wakers {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            match seed >> 61 {
                0 => drop(waker),
                1 => {
                    let clone = waker.clone();
                    clone.wake();
                }
                2 => waker.wake_by_ref(),
                3 => thread::yield_now(),
                _ => waker.wake(),
            }
        }
    })
}

#[test]
fn wakers_may_outlive_the_stream_on_other_threads() {
    wakers_outlive_the_stream(100);
}

pub fn wakers_outlive_the_stream(limit: usize) {
    for round in 0..20 {
        let gates = gates(100);
        let mut outputs = through(&gates).fan_out(limit);
        assert!(peek(&mut outputs).is_pending());
        let wakers = || gates.iter().map(Gate::waker).collect();
        let threads = [elsewhere(wakers(), round as u64), elsewhere(wakers(), round as u64 + 1000)];
        if round % 2 == 0 {
            assert!(peek(&mut outputs).is_pending());
        }
        drop(outputs);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn wakes_from_other_threads_finish_everything() {
    let (send, receive) = std::sync::mpsc::channel::<Gate>();
    let opener = thread::spawn(move || {
        let mut opened = 0;
        for gate in receive {
            gate.open();
            opened += 1;
        }
        opened
    });
    let jobs = stream::iter(0..3000).fan_out_with(150, move |n: usize| {
        let gate = Gate::default();
        send.send(gate.clone()).unwrap();
        async move {
            gate.pass().await;
            n
        }
    });
    assert_eq!(block_on(jobs.ordered().collect::<Vec<_>>()), (0..3000).collect::<Vec<_>>());
    assert_eq!(opener.join().unwrap(), 3000);
}

// === against a model ===

/// Opens gates at random and compares all that can be seen with what it should be.
fn run_at_random(seed: u64, ordered: bool) {
    let mut random = Random(seed);
    let count = random.below(120);
    let limit = 1 + random.below(10);
    let window = limit + random.below(2) * random.below(20);
    let gates = gates(count);
    let source: VecDeque<_> = gates.iter().cloned().enumerate().collect();
    let outputs = stream::iter(source)
        .fan_out_with(limit, |(n, gate)| {
            Box::pin(async move {
                gate.pass().await;
                n
            })
        })
        .window(window);
    let mut outputs: Pin<Box<dyn Stream<Item = usize>>> =
        if ordered { Box::pin(outputs.ordered()) } else { Box::pin(outputs) };

    let (mut given, mut out) = (0, Vec::new());
    let (wakes, waker) = Wakes::new();
    let mut pending = false;
    while out.len() < count {
        for _ in 0..random.below(4) {
            gates[random.below(count)].open();
        }
        if pending && wakes.take() == 0 {
            // Nothing was due, so polling must change nothing.
            assert!(poll(&mut outputs, &waker).is_pending());
            assert_eq!(wakes.take(), 0);
            continue;
        }
        match poll(&mut outputs, &waker) {
            Poll::Ready(Some(n)) => {
                assert!(gates[n].is_open());
                out.push(n);
                given += 1;
                pending = false;
            }
            Poll::Ready(None) => panic!("ended after {given} of {count}"),
            Poll::Pending => pending = true,
        }
        let started = gates.iter().filter(|gate| gate.polls() > 0).count();
        assert!(started - given <= window, "{started} started, {given} given, window {window}");
    }
    assert!(matches!(poll(&mut outputs, &waker), Poll::Ready(None)));
    if ordered {
        assert!(out.is_sorted());
    }
    out.sort_unstable();
    assert_eq!(out, (0..count).collect::<Vec<_>>());
}

#[test]
fn random_runs_agree_with_the_model() {
    for seed in 1..150 {
        run_at_random(seed, false);
        run_at_random(seed, true);
    }
}
