//! Bugs that fan-outs had or have elsewhere, each as a test that would have found it.
//!
//! | | elsewhere | here, and what else looks after it |
//! |---|---|---|
//! | 1 | use after free when the drop of a future panics (futures-rs#2863, #2886) | `b01`; AddressSanitizer over all of these |
//! | 2 | a panic in `clear` leaves a queue behind that wakers still know (futures-rs#2529, #2535, #2809) | `b02` |
//! | 3 | "future still here when dropping", leaks of what was taken in part (futures-rs#2278, #2573, #3004) | `b03`; `dropping_the_stream_drops_everything_in_it_at_once` |
//! | 4 | `Sync` or `Send` that the parts are not (futures-rs#2050, #2786) | `b04`; no `unsafe impl` on the streams at all |
//! | 5 | a waker's pointer made from a narrower reference (futures-rs#2548, unicycle#28) | `b05` walks the way, invariants B1 and B6 of `block.rs` argue it |
//! | 6 | a wake during the poll is lost (futures-buffered 17d7ed0) | `b06`; the models of `ready` |
//! | 7 | what was woken already is queued twice (futures-buffered b58a4c5) | `b07`; there is no queue |
//! | 8 | the task is woken under a lock (futures-concurrency; ngx-rust#294) | `b08`; `a_waker_may_poll_on_the_spot` |
//! | 9 | endless wakes while all are pending (unicycle#5, futures-rs#57) | `b09` |
//! | 10 | the waker of a finished future and the next tenant of its slot (unicycle#27) | `b10`; models of `table` and `future_set` |
//! | 11 | a panic in a poll leaves the slot stuck (futures-buffered, unicycle, FutureGroup) | `b11`; `a_panic_frees_its_place_and_goes_on_and_so_do_the_others` |
//! | 12 | a panic in a drop strands the others (unicycle, futures-rs#2886) | `b12`; `a_future_that_panics_when_dropped_after_it_finished_keeps_its_output` |
//! | 13 | outputs without bound behind a slow first one (futures-buffered) | `b13`; `the_window_is_never_exceeded_in_any_order` |
//! | 14 | a size hint that overflows, or is wrong after the end, or for errors (futures-buffered, futures-util) | `b14`; the simulator asks at each step |
//! | 15 | an index that wraps in the ordered queue (futures-rs#2663, #2689) | `b15`; there is no index |
//! | 16 | terminated too early or never; a source that is polled after its end (futures-rs#2205, #2676) | `b16`; the simulator |
//! | 17 | an item that waits is never started (nextest-rs/future-queue#603) | `b17`; the simulator |
//! | 18 | the source's waker is not registered (future-queue 0.4.1) | `b18` |
//! | 19 | an item that finishes while others are looked at makes one be skipped (apache/pekko#2899) | `b19` |
//! | 20 | a wake is missed in nested streams across threads (futures-rs#2566, #2726) | `b20`; the models of `ready` |
//! | 21 | futures move when the storage grows (futures-concurrency#218) | `b21` |
//! | 22 | no items at all (futures-concurrency#220) | `b22` |
//! | 23 | limits of 0, above the number of items, and of `usize::MAX` (futures-rs#2348, #504) | `b23`; `no_limit_allocates_nothing_ahead_and_doubles_as_it_grows` |
//! | 24 | a consumer that ignores the limit (futures-concurrency) | `b24` |
//! | 25 | whoever is always ready, or wakes itself, starves the rest (futures-rs#2047, FutureGroup) | `b25`; the simulator |
//! | 26 | an item, a permit or a wake is lost with a `next()` that is dropped (futures-rs 8a75b980) | `b26`; the simulator |
//! | 27 | a limit or a weight of 0 that means "no limit" (future-queue) | `b27` |
//!
//! Tests that are named without a number are in `fan_out_suite`, and run on the heap, inline, and inline with a wake table.
//! The simulator is `fan_out_simulated.rs`; the models are beside the code.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
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
use futures_lite::future::{block_on, yield_now};
use futures_lite::{StreamExt, stream};
use tollgate::fan_out::{Direct, Limit, Ordered, TryPolicy};
use tollgate::{FanOut, FanOutExt, FutureSet, Semaphore};

#[allow(dead_code, reason = "the suite uses all of it")]
#[path = "fan_out_suite/tools.rs"]
mod tools;
use tools::*;

fn panics<R>(f: impl FnOnce() -> R) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "there should have been a panic");
}

/// Waits for its gate, and panics when it is dropped if it is told to.
struct Job {
    pass: Pin<Box<dyn Future<Output = ()> + Send>>,
    drops: Arc<AtomicUsize>,
    panics: bool,
}

impl Job {
    fn new(gate: &Gate, drops: &Arc<AtomicUsize>, panics: bool) -> Self {
        Self { pass: gate.clone().pass(), drops: drops.clone(), panics }
    }
}

impl Future for Job {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.pass.as_mut().poll(cx)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics, "the drop panics");
    }
}

/// Uses wakers in every way there is, on another thread.
fn use_elsewhere(wakers: Vec<Waker>) {
    let user = thread::spawn(move || {
        for waker in wakers {
            waker.wake_by_ref();
            let clone = waker.clone();
            drop(waker);
            clone.wake();
        }
    });
    user.join().unwrap();
}

#[test]
fn b01_wakers_outlive_a_stream_whose_futures_panic_when_they_are_dropped() {
    for bad in [0, 1, 2] {
        let (gates, drops) = (gates(3), Arc::default());
        let jobs: Vec<_> = gates.iter().enumerate().map(|(n, gate)| Job::new(gate, &drops, n == bad)).collect();
        let mut outputs = stream::iter(jobs).fan_out(3);
        assert!(peek(&mut outputs).is_pending());
        let wakers: Vec<_> = gates.iter().map(Gate::waker).collect();
        panics(|| drop(outputs));
        assert_eq!(drops.load(Ordering::Relaxed), 3);
        use_elsewhere(wakers);
    }
}

#[test]
fn b02_a_set_is_as_new_after_a_clear_that_panicked_and_old_wakers_do_no_harm() {
    let (gates, drops) = (gates(3), Arc::default());
    let set = FutureSet::with_capacity(3);
    for (n, gate) in gates.iter().enumerate() {
        assert!(set.try_push(Job::new(gate, &drops, n == 1)).is_ok());
    }
    assert!(set.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    let wakers: Vec<_> = gates.iter().map(Gate::waker).collect();
    panics(|| set.clear());
    assert_eq!((drops.load(Ordering::Relaxed), set.len()), (3, 0));

    let again = self::gates(3);
    for gate in &again {
        assert!(set.try_push(Job::new(gate, &drops, false)).is_ok());
    }
    use_elsewhere(wakers);
    assert!(set.poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
    again.iter().for_each(Gate::open);
    for _ in 0..3 {
        assert_eq!(set.poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(())));
    }
}

#[test]
fn b03_what_was_taken_in_part_is_dropped_once_whichever_way_the_stream_goes() {
    type Jobs = FanOut<stream::Iter<std::vec::IntoIter<Job>>, Direct, Ordered>;
    let goes: [fn(Jobs); 3] = [
        drop,
        |outputs| drop(outputs.into_inner()),
        |outputs| std::mem::drop(Box::pin(outputs.for_each(|()| ready(())))),
    ];
    for go in goes {
        let (gates, drops) = (gates(7), Arc::default());
        let jobs: Vec<_> = gates.iter().map(|gate| Job::new(gate, &drops, false)).collect();
        let mut outputs = stream::iter(jobs).fan_out(2).window(5).ordered();
        gates[1].open();
        // One runs, three wait, one is finished, two are not taken.
        assert!(peek(&mut outputs).is_pending());
        assert_eq!((outputs.in_flight(), outputs.waiting(), outputs.finished()), (2, 2, 1));
        go(outputs);
        assert_eq!(drops.load(Ordering::Relaxed), 7);
    }
}

#[test]
fn b04_a_stream_is_send_and_sync_only_if_its_parts_are() {
    trait Otherwise {
        const SEND: bool = false;
        const SYNC: bool = false;
    }
    impl<T> Otherwise for T {}
    struct Is<T>(std::marker::PhantomData<T>);
    impl<T: Send> Is<T> {
        const SEND: bool = true;
    }
    struct IsSync<T>(std::marker::PhantomData<T>);
    impl<T: Sync> IsSync<T> {
        const SYNC: bool = true;
    }
    macro_rules! auto_traits {
        ($type:ty) => {
            (<Is<$type>>::SEND, <IsSync<$type>>::SYNC)
        };
    }
    type Of<F> = FanOut<stream::Iter<std::vec::IntoIter<F>>, Direct>;
    assert_eq!(auto_traits!(Of<std::future::Ready<u8>>), (true, true));
    assert_eq!(auto_traits!(Of<std::future::Ready<Rc<u8>>>), (false, false));
    assert_eq!(auto_traits!(Of<std::future::Ready<Cell<u8>>>), (true, false));
    assert_eq!(auto_traits!(Of<Pin<Box<dyn Future<Output = u8> + Send>>>), (true, false));
    assert_eq!(auto_traits!(FutureSet<std::future::Ready<Rc<u8>>>), (false, false));
}

#[test]
fn b05_the_last_waker_frees_the_memory_wherever_it_was_cloned_from() {
    // Each number is in another place of a word, the last ones in another word.
    let gates = gates(130);
    let pass = |gate: Gate| gate.pass();
    let mut outputs = Box::new(stream::iter(gates.clone()).fan_out_with(130, pass));
    assert!(peek(&mut *outputs).is_pending());
    let wakers: Vec<_> = gates.iter().map(|gate| gate.waker().clone()).collect();
    let mut outputs = *outputs;
    use_elsewhere(wakers.iter().step_by(7).cloned().collect());
    gates[129].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(())));
    drop(outputs);
    drop(gates);
    use_elsewhere(wakers);
}

#[test]
fn b06_a_wake_that_comes_from_elsewhere_during_the_poll_is_not_lost() {
    let mut polls = 0;
    let late = poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        // All of the wake happens between the beginning and the end of this poll.
        use_elsewhere([cx.waker().clone()].into());
        Poll::Pending
    });
    block_on(async {
        assert_eq!(stream::iter([late]).fan_out(1).count().await, 1);
    });
}

#[test]
fn b07_waking_what_is_woken_already_changes_nothing() {
    let gates = gates(4);
    let mut outputs = through(&gates).fan_out(2);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    let old = [gates[0].waker(), gates[1].waker()];
    gates[0].open();
    old.iter().for_each(Waker::wake_by_ref);
    gates[1].open();
    assert_eq!(wakes.take(), 1);
    // The places are taken again, woken already, and woken once more.
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    old.iter().for_each(Waker::wake_by_ref);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(1)));
    old.iter().for_each(Waker::wake_by_ref);
    assert!(poll(&mut outputs, &waker).is_pending());
    gates[2..].iter().for_each(Gate::open);
    old.iter().for_each(Waker::wake_by_ref);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(2)));
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(3)));
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(None));
}

#[test]
fn b08_the_task_is_woken_with_nothing_held() {
    /// Polls the whole stream within the wake, clones and drops wakers there, and takes outputs.
    struct Within(Mutex<Option<Pin<Box<dyn Stream<Item = usize> + Send>>>>, AtomicUsize);
    impl Wake for Within {
        fn wake(self: Arc<Self>) {
            let mut stream = self.0.try_lock().expect("nobody polls now");
            let Some(outputs) = stream.as_mut() else { return };
            let waker = Waker::from(self.clone());
            while let Poll::Ready(Some(_)) = outputs.as_mut().poll_next(&mut Context::from_waker(&waker.clone())) {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let gates = gates(70);
    let jobs: Vec<_> = gates.clone();
    let outputs = stream::iter(0..70).fan_out_with(65, move |n: usize| {
        let pass = jobs[n].clone().pass();
        async move {
            pass.await;
            n
        }
    });
    let task = Arc::new(Within(Mutex::new(Some(Box::pin(outputs))), AtomicUsize::new(0)));
    task.clone().wake();
    for (n, gate) in gates.iter().enumerate() {
        gate.open();
        assert_eq!(task.1.load(Ordering::Relaxed), n + 1);
    }
    drop(task.0.lock().unwrap().take());
}

#[test]
fn b09_a_stream_whose_futures_are_all_pending_is_quiet() {
    let gates = gates(100);
    let mut outputs = through(&gates).fan_out(50).window(100);
    let (wakes, waker) = Wakes::new();
    for _ in 0..10 {
        assert!(poll(&mut outputs, &waker).is_pending());
    }
    assert_eq!(wakes.take(), 0);
    assert!(gates[..50].iter().all(|gate| gate.polls() == 1));
}

#[test]
fn b10_the_waker_of_a_finished_future_costs_the_next_tenant_a_poll_and_nothing_else() {
    let gates = gates(2);
    let mut outputs = through(&gates).fan_out(1);
    assert!(peek(&mut outputs).is_pending());
    let stale = gates[0].waker();
    gates[0].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(0)));
    assert!(peek(&mut outputs).is_pending());
    for polls in 2..5 {
        stale.wake_by_ref();
        assert!(peek(&mut outputs).is_pending());
        assert_eq!(gates[1].polls(), polls);
    }
    gates[1].open();
    assert_eq!(peek(&mut outputs), Poll::Ready(Some(1)));
    stale.wake_by_ref();
    assert_eq!(peek(&mut outputs), Poll::Ready(None));
}

#[test]
fn b11_a_panic_in_a_poll_frees_the_place_and_the_stream_comes_to_its_end() {
    let jobs = stream::iter(0..6).fan_out_with(2, |n| async move {
        yield_now().await;
        assert!(n % 2 == 0, "odd");
        n
    });
    let mut outputs = Box::pin(jobs.ordered());
    let mut out = Vec::new();
    let mut panicked = 0;
    loop {
        match catch_unwind(AssertUnwindSafe(|| block_on(outputs.next()))) {
            Ok(Some(n)) => out.push(n),
            Ok(None) => break,
            Err(_) => panicked += 1,
        }
    }
    assert_eq!((out, panicked, outputs.in_flight()), (vec![0, 2, 4], 3, 0));
}

#[test]
fn b12_a_finished_future_that_panics_when_it_is_dropped_strands_nobody() {
    let (gates, drops) = (gates(4), Arc::default());
    let jobs: Vec<_> = gates.iter().enumerate().map(|(n, gate)| Job::new(gate, &drops, n == 1)).collect();
    let mut outputs = stream::iter(jobs).fan_out(4);
    assert!(peek(&mut outputs).is_pending());
    gates.iter().for_each(Gate::open);
    let mut out = 0;
    let mut panicked = 0;
    while let Ok(Some(())) | Err(_) = catch_unwind(AssertUnwindSafe(|| block_on(outputs.next())))
        .inspect(|output| out += usize::from(output.is_some()))
        .inspect_err(|_| panicked += 1)
    {}
    assert_eq!((out, panicked, drops.load(Ordering::Relaxed)), (4, 1, 4));
}

#[test]
fn b13_a_slow_first_item_bounds_what_is_kept_behind_it() {
    let (source, given) = Source::new(1_000_000);
    let jobs = source.fan_out_with(8, |n| async move { if n == 0 { pending().await } else { n } });
    let mut outputs = Box::pin(jobs.ordered().window(20));
    for _ in 0..100 {
        assert!(peek(&mut outputs).is_pending());
    }
    assert_eq!((given.get(), outputs.finished()), (20, 19));
}

#[test]
fn b14_size_hints_neither_overflow_nor_promise_what_does_not_come() {
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
    let mut outputs = Huge.fan_out_with(2, |()| pending::<Result<(), ()>>());
    assert!(peek(&mut outputs).is_pending());
    assert_eq!(outputs.size_hint(), (usize::MAX, None));

    let jobs = || stream::iter([Ok(1), Err("no"), Ok(2), Ok(3)]).fan_out_with(4, ready::<Result<i32, &str>>).ordered();
    for policy in [TryPolicy::CancelRest, TryPolicy::Drain, TryPolicy::Continue] {
        let mut outputs = jobs().try_policy(policy);
        let hints = RefCell::new(Vec::new());
        loop {
            hints.borrow_mut().push(outputs.size_hint());
            if block_on(outputs.next()).is_none() {
                break;
            }
        }
        let came = hints.borrow().len() - 1;
        for (before, (lower, upper)) in hints.borrow().iter().enumerate() {
            let left = came - before;
            assert!(*lower <= left && upper.is_none_or(|upper| upper >= left), "{policy:?}: {:?}", hints.borrow());
        }
        assert_eq!(outputs.size_hint(), (0, Some(0)), "{policy:?}");
    }
}

#[test]
fn b15_order_is_kept_however_many_items_have_passed() {
    // Through three places, finishing in every order that three can.
    let outputs = stream::iter(0..200_000_u32).fan_out_with(3, |n| async move {
        for _ in 0..n.wrapping_mul(2_654_435_761) >> 30 {
            yield_now().await;
        }
        n
    });
    let mut outputs = pin!(outputs.ordered());
    block_on(async {
        for expected in 0..200_000 {
            assert_eq!(outputs.next().await, Some(expected));
        }
        assert_eq!(outputs.next().await, None);
    });
}

#[test]
fn b16_it_is_terminated_with_the_last_output_and_its_source_is_left_alone_after_its_end() {
    // The source panics when it is polled after its end.
    let (source, _) = Source::new(3);
    let mut outputs = Box::pin(source.fan_out_with(2, |n| async move { yields(n).await }).window(3));
    for _ in 0..3 {
        assert!(!outputs.is_terminated());
        assert!(block_on(outputs.next()).is_some());
    }
    assert_eq!(block_on(outputs.next()), None);
    assert!(outputs.is_terminated());
    assert_eq!(block_on(outputs.next()), None);
}

#[test]
fn b17_items_that_wait_are_started_also_after_the_source_has_ended() {
    let job = |n: usize| async move {
        yield_now().await;
        n
    };
    let all = (0..20).collect::<Vec<_>>();
    let sorted = |mut out: Vec<usize>| {
        out.sort_unstable();
        out
    };
    let jobs = || stream::iter(0..20).fan_out_with(2, job);
    assert_eq!(sorted(block_on(jobs().window(20).collect())), all);
    assert_eq!(sorted(block_on(jobs().weighted(|n| n % 3).window(20).collect())), all);
    assert_eq!(sorted(block_on(jobs().keyed(|n| n % 2).window(20).collect())), all);
    assert_eq!(sorted(block_on(jobs().keyed(|_| ()).weighted(|_| 2).window(20).collect())), all);
    assert_eq!(sorted(block_on(jobs().shared(&Semaphore::new(1)).window(20).collect())), all);
}

#[test]
fn b18_a_source_that_is_pending_wakes_the_task_whatever_else_goes_on() {
    let (arrives, gate) = (Gate::default(), Gate::default());
    let first = gate.clone();
    let second = arrives.clone().pass();
    let source = stream::once(first).chain(stream::once_future(async move {
        second.await;
        Gate::default()
    }));
    let mut outputs = Box::pin(source.fan_out_with(4, Gate::pass));
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    // A poll that ends early, with an output.
    gate.open();
    assert!(poll(&mut outputs, &waker).is_ready());
    wakes.take();
    assert!(poll(&mut outputs, &waker).is_pending());
    arrives.open();
    assert_eq!(wakes.take(), 1);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(outputs.in_flight(), 1);
}

#[test]
fn b19_nobody_is_skipped_when_one_finishes_others_while_it_is_polled() {
    // The first one that is polled opens all gates; some before it in the round, some behind it.
    for opener in [0, 3, 6] {
        let gates = gates(7);
        let jobs = gates.clone();
        let outputs = stream::iter(0..7).fan_out_with(7, move |n: usize| {
            let all = jobs.clone();
            async move {
                if n == opener {
                    yield_now().await;
                    all.iter().for_each(Gate::open);
                } else {
                    all[n].clone().pass().await;
                }
                n
            }
        });
        assert_eq!(block_on(outputs.count()), 7);
    }
    // A key's next item starts, and finishes at once, because the one before has finished.
    let outputs = stream::iter(0..100).fan_out_with(2, |n| async move {
        if n % 10 == 0 {
            yield_now().await;
        }
        n
    });
    assert_eq!(block_on(outputs.keyed(|_| "one").window(40).collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
}

#[test]
fn b20_no_wake_is_missed_in_nested_fan_outs_across_threads() {
    for round in 0..50 {
        let gates = gates(24);
        let list = gates.clone();
        let opener = thread::spawn(move || {
            for n in 0..24 {
                list[(n * 7 + round) % 24].open();
            }
        });
        let outputs = stream::iter(gates.chunks(6).map(<[Gate]>::to_vec)).fan_out_with(4, |gates| {
            let inner = stream::iter(gates).fan_out_with(2 + round % 4, Gate::pass);
            async move { inner.count().await }
        });
        assert_eq!(
            block_on(outputs.for_each(|count| {
                assert_eq!(count, 6);
                ready(())
            })),
            ()
        );
        opener.join().unwrap();
    }
}

#[test]
fn b21_futures_stay_where_they_are_when_the_storage_grows() {
    struct Fixed(Cell<*const ()>, Gate, PhantomPinned);
    impl Future for Fixed {
        type Output = ();
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let here = (&raw const *self).cast();
            let before = self.0.replace(here);
            assert!(before.is_null() || before == here, "it moved");
            pin!(self.1.clone().pass()).poll(cx)
        }
    }
    // 500 are not known beforehand, so that room is made in several steps.
    let gates = gates(500);
    let arrived = Rc::new(Cell::new(10));
    let (list, limit) = (gates.clone(), arrived.clone());
    let mut next = 0;
    let source = stream::poll_fn(move |_| {
        if next == list.len() || next == limit.get() {
            return if next == list.len() { Poll::Ready(None) } else { Poll::Pending };
        }
        next += 1;
        Poll::Ready(Some(Fixed(Cell::new(std::ptr::null()), list[next - 1].clone(), PhantomPinned)))
    });
    let mut outputs = source.fan_out(usize::MAX);
    for n in [10, 100, 300, 500] {
        arrived.set(n);
        assert!(peek(&mut outputs).is_pending());
        gates[..n].iter().for_each(|gate| gate.waker().wake());
        assert!(peek(&mut outputs).is_pending());
    }
    let mut moved = Box::new(outputs);
    gates.iter().for_each(Gate::open);
    assert_eq!(block_on((&mut *moved).count()), 500);
}

#[test]
fn b22_no_items_are_no_problem() {
    let none = || stream::empty::<std::future::Ready<Result<(), ()>>>();
    assert_eq!(block_on(none().fan_out(2).count()), 0);
    assert_eq!(block_on(none().fan_out(2).ordered().count()), 0);
    assert_eq!(block_on(none().fan_out_inline::<2>().count()), 0);
    assert_eq!(block_on(none().fan_out(2).collect_results()), (vec![], vec![]));
    assert_eq!(block_on(none().fan_out(2).try_for_each(|()| ready(Ok(())))), Ok(()));
    let set = FutureSet::<std::future::Ready<()>>::with_capacity(1);
    assert_eq!(set.poll_next(&mut Context::from_waker(Waker::noop())), Poll::Ready(None));
}

#[test]
fn b23_any_limit_works_but_zero_which_says_so() {
    panics(|| stream::iter([ready(1)]).fan_out(0));
    for limit in [1, 2, 3, 4, 1000, usize::MAX / 2, usize::MAX - 1, usize::MAX] {
        let jobs = || {
            stream::iter(0..3).fan_out_with(limit, |n| async move {
                yield_now().await;
                n
            })
        };
        assert_eq!(block_on(jobs().count()), 3);
        assert_eq!(block_on(jobs().ordered().collect::<Vec<_>>()), [0, 1, 2]);
        assert_eq!(block_on(jobs().weighted(|_| usize::MAX).collect::<Vec<_>>()), [0, 1, 2]);
    }
}

#[test]
fn b24_every_consumer_keeps_the_limit() {
    let (running, peak) = (&Cell::new(0), &Cell::new(0));
    let jobs = || {
        stream::iter(0..50_usize).fan_out_with(4, |n| async move {
            running.set(running.get() + 1);
            peak.set(peak.get().max(running.get()));
            yields(1 + n % 3).await;
            running.set(running.get() - 1);
            Ok::<usize, ()>(n)
        })
    };
    let slowly = || yields(2);
    let used = |what| {
        assert_eq!((peak.take(), running.get()), (4, 0), "{what}");
    };
    block_on(async {
        let _ = jobs().collect::<Vec<_>>().await;
        used("collect");
        let _ = jobs().ordered().window(9).count().await;
        used("count, in order");
        jobs().for_each(|_| slowly()).await;
        used("for_each");
        jobs().window(20).for_each(|_| slowly()).await;
        used("for_each with a window");
        jobs()
            .try_for_each(|_| async move {
                slowly().await;
                Ok(())
            })
            .await
            .unwrap();
        used("try_for_each");
        jobs().fold((), |(), _| slowly()).await;
        used("fold");
        assert_eq!(jobs().collect_results().await.0.len(), 50);
        used("collect_results");
        let mut outputs = pin!(jobs().window(9));
        while outputs.next().await.is_some() {
            outputs.as_mut().drive_while(slowly()).await;
        }
        used("drive_while");
        let _ = jobs().try_policy(TryPolicy::Drain).collect::<Vec<_>>().await;
        used("try_policy");
    });
}

#[test]
fn b25_whoever_is_always_ready_or_wakes_itself_takes_no_more_than_its_turn() {
    let turns = Rc::new(RefCell::new([0; 3]));
    let counts = turns.clone();
    let gate = Gate::default();
    let last = gate.clone();
    let spin = move |n: usize| -> Pin<Box<dyn Future<Output = ()>>> {
        if n == 3 {
            return last.clone().pass();
        }
        let turns = counts.clone();
        Box::pin(poll_fn(move |cx| {
            turns.borrow_mut()[n] += 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    };
    let mut outputs = stream::iter(0..4).fan_out_with(4, spin);
    for _ in 0..100 {
        assert!(peek(&mut outputs).is_pending(), "and the task has its turn");
    }
    let [a, b, c] = *turns.borrow();
    assert!(a.max(b).max(c) - a.min(b).min(c) <= 1, "{a}, {b}, {c}");
    gate.open();
    assert!(peek(&mut outputs).is_ready());
}

#[test]
fn b26_nothing_is_lost_with_a_next_that_is_dropped() {
    let semaphore = Semaphore::new(1);
    let gates = gates(6);
    let jobs = gates.clone();
    let mut outputs = Box::pin(
        stream::iter(0..6)
            .fan_out_with(3, |n: usize| {
                let pass = jobs[n].clone().pass();
                async move {
                    pass.await;
                    n
                }
            })
            .shared(&semaphore)
            .ordered(),
    );
    let mut out = Vec::new();
    for round in 0..60 {
        let (wakes, waker) = Wakes::new();
        {
            // Given up after one poll, each time.
            let mut next = pin!(outputs.next());
            if let Poll::Ready(output) = next.as_mut().poll(&mut Context::from_waker(&waker)) {
                out.extend(output);
                continue;
            }
        }
        if let Some(gate) = gates.get(round / 3) {
            gate.open();
            assert!(wakes.take() <= 1);
        }
    }
    assert_eq!(out, [0, 1, 2, 3, 4, 5]);
    assert_eq!((semaphore.available_permits(), semaphore.waiters()), (1, 0));
}

#[test]
fn b27_nothing_is_a_limit_or_a_weight_like_any_other() {
    // A weight of nothing takes up a place: an endless source of such items is not taken without end.
    let (source, given) = Source::new(1_000_000);
    let mut outputs = source.fan_out_with(5, |_| pending::<()>()).weighted(|_| 0);
    assert!(peek(&mut outputs).is_pending());
    assert_eq!((given.get(), outputs.in_flight()), (5, 5));

    // A limit of 0 that is set at run time is a pause.
    let limit = Limit::new(0);
    let (source, given) = Source::new(1_000_000);
    let mut outputs = source.fan_out_with(5, ready).limit_by(&limit);
    let (wakes, waker) = Wakes::new();
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(given.get(), 0);
    limit.set(1);
    assert_eq!(wakes.take(), 1);
    assert_eq!(poll(&mut outputs, &waker), Poll::Ready(Some(0)));
    limit.set(0);
    assert!(poll(&mut outputs, &waker).is_pending());
    assert_eq!(given.get(), 1);
}
