//! The board between workers and the reader of their results, plain and under loom.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::future::{pending, poll_fn, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::board::Board;
use super::{Results, workers};
use crate::sync::model::{Arc, block_on, check, thread};
use crate::sync::{AtomicUsize, Ordering};

/// Takes a place and reports an item, unless the board is closed.
fn produce<T>(board: &Board<T>, item: usize, output: T) {
    if board.try_place() {
        board.report(item, Some(output));
    }
}

/// Reads to the end, and says how many outputs there were.
fn read<T>(board: &Board<T>, window: usize) -> usize {
    let mut reports = VecDeque::with_capacity(window);
    let mut outputs = 0;
    block_on(poll_fn(|cx| {
        loop {
            match board.poll(cx, &mut reports, window, None) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(false) => return Poll::Ready(()),
                Poll::Ready(true) => {}
            }
            for (_, output) in reports.drain(..) {
                board.handed_out();
                outputs += usize::from(output.is_some());
            }
        }
    }));
    outputs
}

/// Yields so many items, one after another.
struct Items(usize);

impl Stream for Items {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        Poll::Ready(left)
    }
}

/// Yields items, but not before the poll of this number.
struct Late(usize, Items);

impl Stream for Late {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        self.0 = self.0.saturating_sub(1);
        if self.0 > 0 { Poll::Pending } else { Pin::new(&mut self.1).poll_next(cx) }
    }
}

/// Never yields an item.
struct Silence;

impl Stream for Silence {
    type Item = usize;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        Poll::Pending
    }
}

fn next<T>(results: &mut Results<T>) -> Option<T> {
    block_on(poll_fn(|cx| Pin::new(&mut *results).poll_next(cx)))
}

// === whole workers ===

#[test]
fn model_two_workers_take_turns_at_the_source() {
    check(2, || {
        let (mut workers, mut results) = workers(Items(2), 2, ready);
        let worker = Box::pin(workers.remove(0));
        let thread = thread::spawn(|| block_on(worker));
        block_on(Box::pin(workers.remove(0)));
        thread.join().unwrap();
        assert_eq!(next(&mut results).unwrap() + next(&mut results).unwrap(), 1);
        assert_eq!(next(&mut results), None);
    });
}

#[test]
fn model_a_worker_works_after_the_one_it_woke_may_run() {
    check(3, || {
        let begun = Arc::new(AtomicUsize::new(0));
        let (mut workers, mut results) = workers(Late(2, Items(2)), 2, {
            let begun = begun.clone();
            // ORDERING: Relaxed; it is read by the thread that counts.
            move |n| ready((begun.fetch_add(1, Ordering::Relaxed), n).1)
        });
        let mut workers = [Box::pin(workers.remove(0)), Box::pin(workers.remove(0))];
        for polled in [0, 1, 0] {
            assert!(workers[polled].as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(begun.load(Ordering::Relaxed), 0);
        let [first, second] = workers;
        let thread = thread::spawn(|| block_on(second));
        block_on(first);
        thread.join().unwrap();
        assert_eq!(next(&mut results).unwrap() + next(&mut results).unwrap(), 1);
    });
}

#[test]
fn model_a_worker_that_works_hears_that_the_results_are_gone() {
    check(3, || {
        let (mut workers, results) = workers(Items(1), 1, |_| pending::<()>());
        let worker = Box::pin(workers.remove(0));
        let thread = thread::spawn(|| block_on(worker));
        drop(results);
        thread.join().unwrap();
    });
}

#[test]
fn model_workers_at_the_source_hear_that_it_is_over() {
    check(2, || {
        let (mut workers, mut results) = workers(Silence, 2, ready);
        let (mut other, worker) = (Box::pin(workers.remove(0)), Box::pin(workers.remove(0)));
        let thread = thread::spawn(|| block_on(worker));
        assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        results.stop();
        block_on(other);
        thread.join().unwrap();
        assert_eq!(next(&mut results), None);
    });
}

#[test]
fn model_a_worker_that_is_dropped_at_the_source_gives_its_turn_away() {
    check(3, || {
        let (mut workers, results) = workers(Late(2, Items(0)), 2, ready);
        let (mut first, mut second) = (Box::pin(workers.remove(0)), Box::pin(workers.remove(0)));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let thread = thread::spawn(|| drop(first));
        block_on(&mut second);
        thread.join().unwrap();
        drop(results);
    });
}

// === the board ===

#[test]
fn model_the_end_of_the_source_races_the_reader() {
    check(3, || {
        let board = Arc::new(Board::new(1, 2));
        let worker = board.clone();
        let worker = thread::spawn(move || {
            produce(&worker, 0, 'a');
            worker.close();
        });
        assert_eq!(read(&board, 2), 1);
        worker.join().unwrap();
    });
}

#[test]
fn model_the_last_worker_that_leaves_ends_the_results() {
    check(2, || {
        let board = Arc::new(Board::new(2, 2));
        let workers = [0, 1].map(|item| {
            let board = board.clone();
            thread::spawn(move || {
                produce(&board, item, 'a');
                board.leave();
            })
        });
        assert_eq!(read(&board, 2), 2);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn model_a_place_that_comes_back_unused_ends_the_results() {
    check(3, || {
        let board = Arc::new(Board::<char>::new(2, 1));
        assert!(board.try_place());
        let (worker, source) = (board.clone(), board.clone());
        let worker = thread::spawn(move || worker.unused());
        let source = thread::spawn(move || source.close());
        assert_eq!(read(&board, 1), 0);
        worker.join().unwrap();
        source.join().unwrap();
    });
}

#[test]
fn model_a_place_that_was_granted_and_not_taken_ends_the_results() {
    check(3, || {
        let board = Arc::new(Board::new(2, 1));
        assert!(board.try_place());
        let worker = board.clone();
        let worker = thread::spawn(move || {
            {
                let mut place = pin!(worker.place());
                assert!(place.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                worker.report(0, Some('a')); // so that the reader gives the place to that wait
            }
            worker.leave();
        });
        // The reader wants no more as soon as it has seen one.
        let mut reports = VecDeque::with_capacity(1);
        assert!(block_on(poll_fn(|cx| board.poll(cx, &mut reports, 1, None))));
        board.handed_out();
        board.close();
        reports.clear();
        assert_eq!(read(&board, 1), 0);
        worker.join().unwrap();
    });
}

#[test]
fn model_a_lost_item_gives_its_place_back() {
    check(3, || {
        let board = Arc::new(Board::<char>::new(1, 1));
        let worker = board.clone();
        let worker = thread::spawn(move || {
            assert!(worker.try_place());
            worker.report(0, None);
            let mut place = pin!(worker.place());
            block_on(place.as_mut()).unwrap().forget();
            worker.report(1, Some('b'));
            worker.leave();
        });
        assert_eq!(read(&board, 1), 1);
        worker.join().unwrap();
    });
}

#[test]
fn model_a_reader_in_order_is_woken_for_the_item_that_is_next() {
    check(3, || {
        let board = Arc::new(Board::new(2, 2));
        let workers = [1, 0].map(|item| {
            let board = board.clone();
            thread::spawn(move || produce(&board, item, 'a'))
        });
        let mut reports = VecDeque::with_capacity(2);
        let mut seen = [false; 2];
        for awaited in 0..2 {
            while !seen[awaited] {
                assert!(block_on(poll_fn(|cx| board.poll(cx, &mut reports, 2, Some(awaited)))));
                for (item, _) in reports.drain(..) {
                    seen[item] = true;
                }
            }
        }
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn model_nothing_stays_on_a_board_that_nobody_reads() {
    /// Counts itself off when it is dropped.
    struct Output(Arc<AtomicUsize>);
    impl Drop for Output {
        fn drop(&mut self) {
            // ORDERING: Relaxed; it is read after the thread was joined.
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    check(3, || {
        let board = Arc::new(Board::new(1, 2));
        let alive = Arc::new(AtomicUsize::new(2));
        let (worker, outputs) = (board.clone(), [0, 1].map(|_| Box::new(Output(alive.clone()))));
        let worker = thread::spawn(move || {
            for (item, output) in outputs.into_iter().enumerate() {
                produce(&worker, item, output);
            }
        });
        drop(board.abandon());
        worker.join().unwrap();
        assert!(board.is_abandoned() && board.is_closed());
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    });
}
