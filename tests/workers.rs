//! Workers through the public API: polled by hand, and on real threads and executors.
#![cfg(all(feature = "std", target_has_atomic = "ptr"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use futures_lite::future::{block_on, yield_now, zip};
use futures_lite::{StreamExt, stream};
use support::seeded::{Seeded, steps};
use support::{in_time, panic_of};
use tollgate::workers::{Results, Worker, workers};

/// A gate that its holder opens: a future that is pending until then.
#[derive(Clone, Default)]
struct Gate(Rc<(Cell<bool>, RefCell<Option<Waker>>)>);

impl Gate {
    fn open(&self) {
        self.0.0.set(true);
        if let Some(waker) = self.0.1.take() {
            waker.wake();
        }
    }

    async fn opened(self) {
        poll_fn(|cx| {
            if self.0.0.get() {
                return Poll::Ready(());
            }
            self.0.1.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn next<T>(results: &mut Results<T>) -> Poll<Option<T>> {
    Pin::new(results).poll_next(&mut Context::from_waker(Waker::noop()))
}

fn boxed<F: Future>(futures: Vec<F>) -> Vec<Pin<Box<F>>> {
    futures.into_iter().map(Box::pin).collect()
}

async fn all<F: Future<Output = ()>>(workers: Vec<F>) {
    let mut workers = boxed(workers);
    poll_fn(|cx| {
        workers.retain_mut(|worker| worker.as_mut().poll(cx).is_pending());
        if workers.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Counts those that are alive.
#[derive(Debug, Clone)]
struct Alive(Arc<()>);

impl Alive {
    fn new() -> Self {
        Self(Arc::new(()))
    }

    /// How many there are beside this one.
    fn others(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

#[test]
fn each_item_is_worked_on_once() {
    let (workers, results) = workers(stream::iter(0..1000), 3, |n: u32| async move {
        yield_now().await;
        n
    });
    let mut outputs = block_on(zip(all(workers), results.collect::<Vec<_>>())).1;
    outputs.sort_unstable();
    assert_eq!(outputs, (0..1000).collect::<Vec<_>>());
}

#[test]
fn ordered_results_come_as_the_input_did() {
    let (workers, results) = workers(stream::iter(0..1000_u32), 4, |n| async move {
        for _ in 0..n * 7 % 5 {
            yield_now().await;
        }
        n
    });
    let outputs = block_on(zip(all(workers), results.ordered().collect::<Vec<_>>())).1;
    assert_eq!(outputs, (0..1000).collect::<Vec<_>>());
}

#[test]
fn unordered_results_come_as_they_are_finished() {
    let gates = [Gate::default(), Gate::default()];
    let (workers, mut results) =
        workers(stream::iter(gates.clone().into_iter().enumerate()), 2, |(n, gate): (usize, Gate)| async move {
            gate.opened().await;
            n
        });
    let mut workers = boxed(workers);
    assert!(workers.iter_mut().all(|worker| poll(worker).is_pending()));
    gates[1].open();
    assert!(workers.iter_mut().map(poll).filter(Poll::is_ready).count() <= 1);
    assert_eq!(next(&mut results), Poll::Ready(Some(1)));
    assert!(next(&mut results).is_pending());
    gates[0].open();
    assert!(workers.iter_mut().any(|worker| poll(worker).is_ready()));
    assert_eq!(next(&mut results), Poll::Ready(Some(0)));
    assert_eq!(next(&mut results), Poll::Ready(None));
    assert!(results.is_terminated());
}

#[test]
fn no_more_is_taken_than_the_window_has_room_for() {
    for (n, window) in [(1, 1), (1, 5), (3, 2), (3, 3), (2, 9)] {
        for ordered in [false, true] {
            let taken = Rc::new(Cell::new(0));
            let source = stream::iter(0..100).inspect(|_| taken.set(taken.get() + 1));
            let (workers, results) = workers(source, n, |n: usize| ready(n));
            let mut results = results.window(window);
            if ordered {
                results = results.ordered();
            }
            let mut workers = boxed(workers);
            for handed_out in 0..100 {
                for _ in 0..3 {
                    workers.retain_mut(|worker| poll(worker).is_pending());
                    assert!(taken.get() <= handed_out + window, "{taken:?} taken, {handed_out} out, window {window}");
                }
                assert_eq!(taken.get(), (handed_out + window).min(100), "room is used");
                let Poll::Ready(Some(output)) = next(&mut results) else { panic!("an output is there") };
                assert!(!ordered || output == handed_out);
            }
            workers.retain_mut(|worker| poll(worker).is_pending());
            assert!(workers.is_empty());
            assert_eq!(next(&mut results), Poll::Ready(None));
        }
    }
}

#[test]
fn a_window_can_be_made_smaller_while_outputs_wait() {
    let (workers, results) = workers(stream::iter(0..10), 1, |n: usize| ready(n));
    let mut workers = boxed(workers);
    let mut results = results.window(6);
    assert!(poll(&mut workers[0]).is_pending());
    results = results.window(2).ordered();
    for n in 0..10 {
        let _ = workers.pop_if(|worker| poll(worker).is_ready());
        assert_eq!(next(&mut results), Poll::Ready(Some(n)));
    }
    assert!(workers.pop().is_none_or(|mut worker| poll(&mut worker).is_ready()));
    assert_eq!(next(&mut results), Poll::Ready(None));
}

#[test]
fn dropping_the_results_wakes_workers_wherever_they_wait_and_drops_what_they_run() {
    let alive = Alive::new();
    // One works for ever, one waits for an item, one for its turn.
    let mut items = VecDeque::from([alive.clone()]);
    let source = stream::poll_fn(move |_| items.pop_front().map_or(Poll::Pending, |item| Poll::Ready(Some(item))));
    let (workers, results) = workers(source, 3, |item: Alive| async move {
        pending::<()>().await;
        drop(item);
    });
    let wakes: Vec<_> = (0..3).map(|_| Arc::new(support::Wakes::default())).collect();
    let mut workers = boxed(workers);
    for (worker, wakes) in workers.iter_mut().zip(&wakes) {
        assert!(worker.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    }
    assert_eq!(alive.others(), 1);
    drop(results);
    for (worker, wakes) in workers.iter_mut().zip(&wakes) {
        assert!(wakes.count() > 0, "a worker sleeps on");
        assert!(poll(worker).is_ready());
    }
    assert_eq!(alive.others(), 0);
}

#[test]
fn dropping_the_results_wakes_a_worker_that_waits_for_room() {
    let (mut workers, results) = workers(stream::repeat(1), 1, |n: u32| ready(n));
    let wakes = Arc::new(support::Wakes::default());
    let mut worker = Box::pin(workers.remove(0));
    assert!(worker.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    drop(results);
    assert!(wakes.count() > 0);
    assert!(poll(&mut worker).is_ready());
}

#[test]
fn outputs_that_nobody_reads_are_dropped() {
    let alive = Alive::new();
    let (workers, results) = {
        let alive = alive.clone();
        workers(stream::iter(0..1), 1, move |_| ready(alive.clone()))
    };
    let mut workers = boxed(workers);
    assert!(poll(&mut workers[0]).is_ready());
    assert_eq!(alive.others(), 2, "an output, and the function's own");
    drop(results);
    drop(workers);
    assert_eq!(alive.others(), 0);
}

#[test]
fn a_worker_that_is_dropped_takes_no_more_than_its_item_with_it() {
    for ordered in [false, true] {
        let gate = Gate::default();
        let (workers, mut results) = workers(stream::iter(0..5), 2, |n: usize| {
            let gate = gate.clone();
            async move {
                if n == 1 {
                    gate.opened().await;
                }
                n
            }
        });
        if ordered {
            results = results.ordered();
        }
        let mut workers = boxed(workers);
        let mut first = workers.remove(0);
        assert!(poll(&mut first).is_pending(), "it waits for item 1");
        drop(first);
        let mut outputs = Vec::new();
        loop {
            workers.retain_mut(|worker| poll(worker).is_pending());
            match next(&mut results) {
                Poll::Ready(Some(output)) => outputs.push(output),
                Poll::Ready(None) => break,
                Poll::Pending => assert!(!workers.is_empty()),
            }
        }
        assert_eq!(outputs, [0, 2, 3, 4]);
    }
}

#[test]
fn a_worker_that_is_dropped_at_the_source_lets_the_next_one_go_there() {
    let asked = Rc::new(RefCell::new(None::<Waker>));
    let there = Rc::new(Cell::new(false));
    let (source_asked, source_there) = (asked.clone(), there.clone());
    let source = stream::poll_fn(move |cx| {
        if source_there.take() {
            return Poll::Ready(Some(7));
        }
        source_asked.replace(Some(cx.waker().clone()));
        Poll::Pending
    });
    let (workers, mut results) = workers(source, 2, |n: u32| ready(n));
    let mut workers = boxed(workers);
    let wakes = Arc::new(support::Wakes::default());
    let (mut second, mut first) = (workers.pop().unwrap(), workers.pop().unwrap());
    assert!(poll(&mut first).is_pending(), "at the source");
    assert!(second.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending(), "behind it");
    drop(first);
    assert!(wakes.count() > 0, "it is its turn");
    assert!(second.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    there.set(true);
    let before = wakes.count();
    asked.take().unwrap().wake();
    assert!(wakes.count() > before, "the source has its waker");
    assert!(poll(&mut second).is_pending());
    assert_eq!(next(&mut results), Poll::Ready(Some(7)));
}

/// Two workers, of which the first has taken item 0, woken the second, and not begun to work. `log` has the items that were begun.
#[allow(clippy::type_complexity, reason = "a worker and its results")]
fn before_its_work(
    log: &Rc<RefCell<Vec<usize>>>,
) -> ([Pin<Box<impl Future<Output = ()> + fmt::Debug + use<>>>; 2], Results<usize>) {
    let first = Gate::default();
    let source = stream::once_future(first.clone().opened()).map(|()| 0).chain(stream::iter([1, 2]));
    let log = log.clone();
    let (workers, results) = workers(source, 2, move |n| {
        log.borrow_mut().push(n);
        ready(n)
    });
    let [mut at_the_source, mut behind]: [_; 2] = boxed(workers).try_into().ok().unwrap();
    let [wakes, wakes_behind] = [(); 2].map(|()| Arc::new(support::Wakes::default()));
    assert!(at_the_source.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    assert!(behind.as_mut().poll(&mut Context::from_waker(&wakes_behind.clone().into())).is_pending());
    first.open();
    assert_eq!((wakes.count(), wakes_behind.count()), (1, 0));
    assert!(at_the_source.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    assert_eq!((wakes.count(), wakes_behind.count()), (2, 1), "both are to run");
    ([at_the_source, behind], results)
}

#[test]
fn a_worker_lets_the_one_it_woke_run_before_it_works() {
    let log = Rc::default();
    let ([mut first, mut second], results) = before_its_work(&log);
    assert!(log.borrow().is_empty());
    assert!(poll(&mut second).is_ready());
    assert_eq!(*log.borrow(), [1, 2]);
    assert!(poll(&mut first).is_ready());
    assert_eq!(*log.borrow(), [1, 2, 0]);
    assert_eq!(block_on(results.ordered().collect::<Vec<_>>()), [0, 1, 2]);
}

#[test]
fn an_item_that_was_taken_and_not_begun_is_finished_after_a_stop_and_lost_with_its_worker() {
    let log = Rc::default();
    let ([mut first, mut second], results) = before_its_work(&log);
    results.stop();
    assert!(poll(&mut first).is_ready() && poll(&mut second).is_ready());
    assert_eq!(block_on(results.collect::<Vec<_>>()), [0]);

    let ([first, mut second], results) = before_its_work(&log);
    assert!(format!("{first:?}").contains("working"), "{first:?}");
    drop(first);
    assert!(poll(&mut second).is_ready());
    assert_eq!(block_on(results.collect::<Vec<_>>()), [1, 2]);

    let ([mut first, _second], results) = before_its_work(&log);
    drop(results);
    log.take();
    assert!(poll(&mut first).is_ready() && log.borrow().is_empty(), "nobody wants it");
}

#[test]
fn a_function_that_panics_after_another_worker_went_first_loses_its_item_alone() {
    let log = Rc::default();
    let ([mut first, mut second], results) = before_its_work(&log);
    let in_use = log.borrow();
    assert!(panic_of(|| poll(&mut first)).contains("borrowed"));
    drop(in_use);
    assert!(poll(&mut second).is_ready() && poll(&mut first).is_ready());
    assert_eq!(block_on(results.collect::<Vec<_>>()), [1, 2]);
}

#[test]
fn a_worker_that_panics_strands_nobody_and_can_go_on() {
    for ordered in [false, true] {
        let (workers, mut results) = workers(stream::iter(0..6), 2, |n: usize| async move {
            assert!(n != 1, "one");
            n
        });
        if ordered {
            results = results.ordered();
        }
        let mut workers = boxed(workers);
        assert_eq!(panic_of(|| poll(&mut workers[0])), "one");
        let mut outputs = Vec::new();
        while !results.is_terminated() {
            workers.retain_mut(|worker| poll(worker).is_pending());
            match next(&mut results) {
                Poll::Ready(output) => outputs.extend(output),
                Poll::Pending => assert!(!workers.is_empty()),
            }
        }
        assert_eq!(outputs, [0, 2, 3, 4, 5]);
        assert!(workers.is_empty());
    }
}

#[test]
fn a_function_that_panics_loses_its_item_alone() {
    let (workers, results) = workers(stream::iter(0..3), 1, |n: usize| {
        assert!(n != 0, "zero");
        ready(n)
    });
    let mut results = results.window(2);
    let mut workers = boxed(workers);
    assert_eq!(panic_of(|| poll(&mut workers[0])), "zero");
    assert!(poll(&mut workers[0]).is_pending(), "the place it had is only free when the results were read");
    assert_eq!(next(&mut results), Poll::Ready(Some(1)));
    assert!(poll(&mut workers[0]).is_ready());
    assert_eq!([next(&mut results), next(&mut results)], [Poll::Ready(Some(2)), Poll::Ready(None)]);
}

#[test]
fn after_a_panic_of_the_source_the_results_end() {
    let mut polls = 0;
    let source = stream::poll_fn(move |_| {
        polls += 1;
        match polls {
            1 => Poll::Ready(Some(1)),
            2 => panic!("source"),
            _ => panic!("polled after a panic"),
        }
    });
    let (workers, mut results) = workers(source, 2, |n: u32| ready(n));
    let mut workers = boxed(workers);
    assert_eq!(panic_of(|| poll(&mut workers[0])), "source");
    drop(workers.remove(0));
    assert!(poll(&mut workers[0]).is_ready());
    assert_eq!([next(&mut results), next(&mut results)], [Poll::Ready(Some(1)), Poll::Ready(None)]);
}

#[test]
fn stopping_takes_no_more_and_finishes_what_runs() {
    let gate = Gate::default();
    let (workers, mut results) = workers(stream::repeat(()), 2, |()| gate.clone().opened());
    let mut workers = boxed(workers);
    assert!(workers.iter_mut().all(|worker| poll(worker).is_pending()));
    results.stop();
    assert!(next(&mut results).is_pending());
    assert!(workers.iter_mut().all(|worker| poll(worker).is_pending()), "they are not done");
    gate.open();
    assert!(workers.iter_mut().all(|worker| poll(worker).is_ready()));
    assert_eq!(results.workers(), 0);
    assert_eq!([next(&mut results), next(&mut results)], [Poll::Ready(Some(())); 2]);
    assert_eq!(next(&mut results), Poll::Ready(None));
}

#[test]
fn stopping_needs_no_worker_that_was_never_spawned() {
    let (workers, results) = workers(stream::repeat(1), 3, |n: u32| ready(n));
    let mut results = results.window(6);
    let mut workers = boxed(workers);
    assert!(poll(&mut workers[0]).is_pending());
    results.stop();
    let outputs: Vec<_> = std::iter::from_fn(|| match next(&mut results) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing is in work"),
    })
    .collect();
    assert_eq!(outputs, [1; 6]);
    assert_eq!(workers.len(), 3);
}

#[test]
fn stopping_wakes_a_worker_that_waits_at_the_source() {
    let (workers, mut results) = workers(stream::pending::<u32>(), 2, ready);
    let mut workers = boxed(workers);
    let wakes = Arc::new(support::Wakes::default());
    for worker in &mut workers {
        assert!(worker.as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    }
    assert!(next(&mut results).is_pending());
    results.stop();
    assert!(wakes.count() >= 2);
    assert!(next(&mut results).is_pending(), "they have places still");
    assert!(workers.iter_mut().all(|worker| poll(worker).is_ready()));
    assert_eq!(next(&mut results), Poll::Ready(None));
}

#[test]
fn without_workers_the_results_end() {
    let (workers, results) = workers(stream::repeat(1), 3, |n: u32| ready(n));
    let mut results = results.window(6);
    assert!(next(&mut results).is_pending());
    let mut workers = boxed(workers);
    assert!(poll(&mut workers[0]).is_pending());
    drop(workers);
    assert_eq!(results.workers(), 0);
    let rest = std::iter::from_fn(|| match next(&mut results) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nobody is left to wait for"),
    });
    assert_eq!(rest.count(), 6);
}

#[test]
fn a_future_is_gone_before_its_output_is_there() {
    let alive = Alive::new();
    let (workers, mut results) = workers(stream::iter([alive.clone()]), 1, |item: Alive| async move {
        let _held = item;
        yield_now().await;
    });
    let mut workers = boxed(workers);
    assert!(poll(&mut workers[0]).is_pending());
    assert_eq!(alive.others(), 1);
    assert!(poll(&mut workers[0]).is_ready());
    assert_eq!(alive.others(), 0);
    assert_eq!(next(&mut results), Poll::Ready(Some(())));
}

#[test]
fn the_source_may_be_pinned_and_the_outputs_may_stay_on_their_thread() {
    struct Pinned(u32, PhantomPinned);
    impl Stream for Pinned {
        type Item = Rc<u32>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Rc<u32>>> {
            // SAFETY: nothing is moved.
            let this = unsafe { self.get_unchecked_mut() };
            this.0 += 1;
            Poll::Ready((this.0 <= 3).then(|| Rc::new(this.0)))
        }
    }
    let (workers, results) = workers(Pinned(0, PhantomPinned), 2, |n: Rc<u32>| async move { n });
    let outputs = block_on(zip(all(workers), results.ordered().map(|n| *n).collect::<Vec<_>>())).1;
    assert_eq!(outputs, [1, 2, 3]);
}

#[test]
fn a_worker_whose_futures_are_always_ready_lets_its_task_go_on() {
    let (workers, results) = workers(stream::repeat(1), 1, |n: u32| ready(n));
    let _results = results.window(100_000);
    let wakes = Arc::new(support::Wakes::default());
    let mut workers = boxed(workers);
    assert!(workers[0].as_mut().poll(&mut Context::from_waker(&wakes.clone().into())).is_pending());
    assert_eq!(wakes.count(), 1, "it comes back by itself");
}

#[test]
fn misuse_panics_with_a_message() {
    assert!(panic_of(|| workers(stream::iter([1]), 0, |n: u32| ready(n))).contains("no workers"));
    let made = || workers(stream::iter([1]), 1, |n: u32| ready(n));
    assert!(panic_of(|| made().1.window(0)).contains("window of 0"));
    let (workers, mut results) = made();
    let mut workers = boxed(workers);
    assert!(poll(&mut workers[0]).is_ready());
    assert!(panic_of(|| poll(&mut workers[0])).contains("after it was finished"));
    assert_eq!(next(&mut results), Poll::Ready(Some(1)));
    assert!(panic_of(|| results.ordered()).contains("after outputs were handed out"));
}

#[test]
fn what_can_be_sent_and_shared() {
    fn is_send<T: Send>(_: &T) {}
    fn is_unpin<T: Unpin>(_: &T) {}
    let (workers, results) = workers(stream::iter([1]), 1, |n: u32| ready(n));
    is_send(&workers[0]);
    is_send(&results);
    is_unpin(&results);
    let text = format!("{:?} {results:?}", workers[0]);
    assert!(text.contains("nothing") && text.contains("window"), "{text}");
}

// === more than one core ===

/// Two futures that each block their thread until the other has begun: only two cores, or threads, get through.
fn meet(barrier: &Arc<Barrier>) -> impl Fn(usize) -> std::future::Ready<usize> + Send + Sync + 'static {
    let barrier = barrier.clone();
    move |n| {
        barrier.wait();
        ready(n)
    }
}

#[test]
fn two_workers_on_plain_threads_work_at_the_same_time() {
    in_time("threads", || {
        let (workers, results) = workers(stream::iter(0..100), 2, meet(&Arc::new(Barrier::new(2))));
        let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(|| block_on(worker))).collect();
        assert_eq!(block_on(results.ordered().collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn two_workers_on_tokio_work_at_the_same_time() {
    in_time("tokio", || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let (workers, results) = workers(stream::iter(0..100), 2, meet(&Arc::new(Barrier::new(2))));
        let tasks: Vec<_> = workers.into_iter().map(|worker| runtime.spawn(worker)).collect();
        assert_eq!(block_on(results.ordered().collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
        for task in tasks {
            block_on(task).unwrap();
        }
    });
}

/// Tokio runs the task that was woken last next, on the thread that woke it, and lets no other thread have it: who waits for
/// the source must not be left there by a worker that goes on to block.
#[test]
fn a_worker_that_blocks_does_not_hold_up_the_one_it_gave_its_turn_to() {
    in_time("tokio", || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let slow = stream::iter(0..100).inspect(|_| thread::sleep(Duration::from_millis(1)));
        let (workers, results) = workers(slow, 2, meet(&Arc::new(Barrier::new(2))));
        let tasks: Vec<_> = workers.into_iter().map(|worker| runtime.spawn(worker)).collect();
        assert_eq!(block_on(results.ordered().collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
        for task in tasks {
            block_on(task).unwrap();
        }
    });
}

#[test]
fn two_workers_on_a_smol_executor_work_at_the_same_time() {
    in_time("async-executor", || {
        let executor = Arc::new(async_executor::Executor::new());
        let (workers, results) = workers(stream::iter(0..100), 2, meet(&Arc::new(Barrier::new(2))));
        for worker in workers {
            executor.spawn(worker).detach();
        }
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let executor = executor.clone();
                thread::spawn(move || {
                    block_on(executor.run(async {
                        while !executor.is_empty() {
                            yield_now().await;
                        }
                    }));
                })
            })
            .collect();
        // Not on one of theirs: who blocks a thread must not block the consumer.
        assert_eq!(block_on(results.ordered().collect::<Vec<_>>()), (0..100).collect::<Vec<_>>());
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn workers_that_come_and_go_on_threads_lose_nothing_and_hang_nobody() {
    /// What happened to the items of one run.
    #[derive(Default)]
    struct Ledger {
        taken: AtomicUsize,
        dropped: AtomicUsize,
    }
    struct Item(Arc<Ledger>);
    impl Drop for Item {
        fn drop(&mut self) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    in_time("come and go", || {
        for round in 0..steps(100, 1_000) {
            let mut random = Seeded::new(round);
            let ledger = Arc::new(Ledger::default());
            let total = random.below(200);
            let source = {
                let ledger = ledger.clone();
                let mut random = Seeded::new(round + 1);
                stream::poll_fn(move |cx| {
                    if random.below(4) == 0 {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let taken = ledger.taken.load(Ordering::Relaxed);
                    if taken == total {
                        return Poll::Ready(None);
                    }
                    ledger.taken.store(taken + 1, Ordering::Relaxed);
                    Poll::Ready(Some((taken, Item(ledger.clone()))))
                })
            };
            let (workers, results) = workers(source, 4, move |(n, item): (usize, Item)| async move {
                for _ in 0..n % 3 {
                    yield_now().await;
                }
                assert!(n % 50 != 49, "a panic that is meant");
                drop(item);
                n
            });
            let mut results = results.window(random.below(6) + 1);
            let in_order = random.below(2) == 0;
            if in_order {
                results = results.ordered();
            }
            let threads: Vec<_> = workers
                .into_iter()
                .map(|worker| {
                    let leaves_after = [usize::MAX, random.below(100)][random.below(2)];
                    thread::spawn(move || {
                        let mut worker: Pin<Box<Worker<_, _, _>>> = Box::pin(worker);
                        let mut polls = 0;
                        // A worker that leaves early, or goes on after a panic.
                        let mut live = async || {
                            poll_fn(|cx| {
                                polls += 1;
                                if polls > leaves_after { Poll::Ready(()) } else { worker.as_mut().poll(cx) }
                            })
                            .await;
                        };
                        while catch_unwind(AssertUnwindSafe(|| block_on(live()))).is_err() {}
                    })
                })
                .collect();
            let reads = [usize::MAX, random.below(100)][random.below(2)];
            let outputs: Vec<_> = block_on(results.take(reads).collect());
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(outputs.len() <= total);
            assert!(!in_order || outputs.is_sorted());
            let mut unique = outputs.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), outputs.len(), "an output came twice");
            assert_eq!(
                ledger.dropped.load(Ordering::Relaxed),
                ledger.taken.load(Ordering::Relaxed),
                "each item is dropped once"
            );
        }
    });
}
