//! Models of the tracker: run as they are with real threads, and under loom through every schedule.
//!
//! The counts of ends have two bits here, so four ends of a kind reach the ledger; the batch holds two wakers, so three
//! waiters reach the second round. With the feature `locations` the same models run with places.

use core::future::{pending, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Waker};

use super::handle::Entrance;
use super::places::Name;
use super::{Guard, Tracker};
use crate::sync::UnsafeCell;
use crate::sync::model::{Arc, block_on, check, thread};

type Shared = Arc<Tracker>;

#[cfg(tollgate_loom)]
impl super::handle::sealed::Sealed for Shared {}
#[cfg(tollgate_loom)]
impl super::Handle for Shared {
    type Lock = crate::DefaultLock;

    fn tracker(&self) -> &Tracker {
        self
    }
}

fn owned(tracker: &Shared) -> Entrance<Shared> {
    Entrance::new(tracker.clone(), Name::NONE)
}

fn guard(tracker: &Shared) -> Guard<Shared> {
    owned(tracker).guard()
}

fn spawn(tracker: &Shared, f: impl FnOnce(&Tracker) + Send + 'static) -> thread::JoinHandle<()> {
    let tracker = tracker.clone();
    thread::spawn(move || f(&tracker))
}

/// A thread that ends one piece of work.
fn ends(guard: Guard<Shared>) -> thread::JoinHandle<()> {
    thread::spawn(move || drop(guard))
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What two destructors write. Loom reports a read that does not come after a write.
struct Traces([UnsafeCell<bool>; 2]);

// SAFETY: each cell is written by one destructor, and read after the tracker has said that nothing is alive.
unsafe impl Sync for Traces {}

/// Leaves its trace when it is dropped.
struct Noted(Arc<Traces>, usize);

impl Drop for Noted {
    fn drop(&mut self) {
        // SAFETY: nobody reads before the tracker has said that this is over.
        self.0.0[self.1].with_mut(|trace| unsafe { *trace = true });
    }
}

impl Traces {
    fn new() -> Arc<Self> {
        Arc::new(Self([UnsafeCell::new(false), UnsafeCell::new(false)]))
    }

    fn all(&self) -> bool {
        // SAFETY: the caller has seen that nothing is alive.
        self.0.iter().all(|trace| trace.with(|trace| unsafe { *trace }))
    }

    /// Two threads with a piece of work each: one finishes, the other is dropped.
    fn two_at_work(this: &Arc<Self>, tracker: &Shared) -> [thread::JoinHandle<()>; 2] {
        [0, 1].map(|index| {
            let noted = Noted(this.clone(), index);
            let work = owned(tracker).track(async move {
                let _noted = noted;
                if index == 1 {
                    pending::<()>().await;
                }
            });
            thread::spawn(move || {
                let mut work = alloc::boxed::Box::pin(work);
                assert_eq!(poll_once(work.as_mut()), index == 0);
            })
        })
    }
}

#[test]
fn model_the_last_end_releases_a_waiter() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let threads = [(); 2].map(|()| guard(&tracker)).map(ends);
        block_on(tracker.wait_empty());
        assert_eq!(tracker.live(), 0);
        join(threads);
        assert!(!tracker.engine.word().has_waiters(), "no flag is left behind");
    });
}

#[test]
fn model_a_waiter_comes_after_all_destructors() {
    check(3, || {
        let (tracker, traces) = (Shared::new(Tracker::new()), Traces::new());
        let threads = Traces::two_at_work(&traces, &tracker);
        block_on(tracker.wait_empty());
        assert!(traces.all());
        let counts = tracker.counts();
        assert_eq!((counts.started, counts.finished, counts.dropped_unfinished, counts.live), (2, 1, 1, 0));
        join(threads);
    });
}

#[test]
fn model_a_look_that_finds_nothing_comes_after_all_destructors() {
    check(3, || {
        let (tracker, traces) = (Shared::new(Tracker::new()), Traces::new());
        let threads = Traces::two_at_work(&traces, &tracker);
        if tracker.live() == 0 {
            assert!(traces.all());
        }
        join(threads);
        assert!(tracker.verify_none().is_ok());
    });
}

#[test]
fn model_three_waiters_take_two_rounds() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let alive = guard(&tracker);
        let mut first = pin!(tracker.wait_empty());
        let mut second = pin!(tracker.wait_empty());
        assert!(!poll_once(first.as_mut()) && !poll_once(second.as_mut()));
        let third = spawn(&tracker, |tracker| block_on(tracker.wait_empty()));
        drop(alive);
        block_on(first);
        block_on(second);
        third.join().unwrap();
    });
}

#[test]
fn model_no_moment_of_emptiness_is_missed() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let alive = guard(&tracker);
        let mut early = alloc::boxed::Box::pin(tracker.wait_empty());
        assert!(!poll_once(early.as_mut()));
        let busy = spawn(&tracker, |tracker| core::mem::forget(tracker.guard()));
        let leaves = ends(alive);
        leaves.join().unwrap();
        busy.join().unwrap();
        // Either it was empty in between, and the waiter knows, or the newcomer came first.
        assert_eq!(tracker.live(), 1);
        let newcomer_first = tracker.peak() == 2;
        assert_eq!(poll_once(early.as_mut()), !newcomer_first);
    });
}

#[test]
fn model_a_waiter_that_joins_after_the_moment_waits_for_the_next() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let alive = guard(&tracker);
        let mut early = [(); 3].map(|()| alloc::boxed::Box::pin(tracker.wait_empty()));
        for wait in &mut early {
            assert!(!poll_once(wait.as_mut()));
        }
        let leaves = ends(alive);
        // It does not end, so whoever joins beside it waits, also between the two rounds for the early ones.
        let stays = guard(&tracker);
        let mut late = alloc::boxed::Box::pin(tracker.wait_empty());
        assert!(!poll_once(late.as_mut()));
        leaves.join().unwrap();
        assert!(!poll_once(late.as_mut()));
        drop(stays);
        assert!(poll_once(late.as_mut()));
        for mut wait in early {
            assert!(poll_once(wait.as_mut()));
        }
    });
}

#[test]
fn model_cancelling_a_wait_races_the_last_end() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let ending = ends(guard(&tracker));
        let other = spawn(&tracker, |tracker| block_on(tracker.wait_empty()));
        poll_once(pin!(tracker.wait_empty()));
        ending.join().unwrap();
        other.join().unwrap();
        assert!(!tracker.engine.word().has_waiters(), "no flag is left behind");
    });
}

#[test]
fn model_the_last_of_those_who_give_up_takes_the_flag_down() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let alive = tracker.guard();
        let other = spawn(&tracker, |tracker| assert!(!poll_once(pin!(tracker.wait_empty()))));
        assert!(!poll_once(pin!(tracker.wait_empty())));
        other.join().unwrap();
        assert!(!tracker.engine.word().has_waiters(), "or those who leave would take the lock for nobody");
        drop(alive);
    });
}

#[test]
fn model_close_races_entering() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let enters = spawn(&tracker, |tracker| {
            if let Ok(guard) = tracker.try_guard() {
                drop(guard);
            }
        });
        tracker.close();
        block_on(tracker.wait_empty());
        let started = tracker.started();
        assert_eq!(tracker.live(), 0);
        enters.join().unwrap();
        assert_eq!(tracker.started(), started, "closed and empty stays empty");
    });
}

#[test]
fn model_the_peak_is_exact() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let threads = [(); 2].map(|()| spawn(&tracker, |tracker| drop(tracker.guard())));
        let (seen, peak) = (tracker.live(), tracker.peak());
        assert!(seen <= peak && peak <= 2);
        join(threads);
        assert!((1..=2).contains(&tracker.peak()));
        assert!(peak <= tracker.peak());
        let alive = [(); 3].map(|()| tracker.guard());
        assert_eq!(tracker.peak(), 3);
        drop(alive);
        assert_eq!(tracker.peak(), 3);
    });
}

#[test]
fn model_the_peak_does_not_go_back() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let threads = [(); 2].map(|()| guard(&tracker)).map(ends);
        assert_eq!(tracker.peak(), 2, "two were alive before, whatever has ended since");
        join(threads);
        assert_eq!(tracker.peak(), 2);
    });
}

#[test]
fn model_a_peak_is_noted_by_one_that_needs_the_lock() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        for _ in 0..3 {
            drop(tracker.guard());
        }
        // It makes the count wrap, and may find one more alive than when it set out.
        let wraps = ends(guard(&tracker));
        let other = tracker.guard();
        let alive = tracker.live();
        drop(other);
        wraps.join().unwrap();
        assert!(tracker.peak() >= alive);
    });
}

#[test]
fn model_numbers_add_up_while_counts_wrap() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        // One less than it takes to wrap.
        for _ in 0..3 {
            drop(tracker.guard());
            drop(tracker.track(ready(())));
        }
        let finishes = [(); 2].map(|()| guard(&tracker)).map(ends);
        let counts = tracker.counts();
        assert_eq!(counts.started, 8);
        assert_eq!(counts.live + counts.finished, 5);
        assert_eq!(counts.dropped_unfinished, 3);
        drop(tracker.track(ready(())));
        join(finishes);
        let counts = tracker.counts();
        assert_eq!((counts.started, counts.finished, counts.dropped_unfinished), (9, 5, 4));
    });
}

#[test]
fn model_a_count_wraps_at_the_end_that_is_waited_for() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        for _ in 0..3 {
            drop(tracker.guard());
        }
        let ending = ends(guard(&tracker));
        block_on(tracker.wait_empty());
        ending.join().unwrap();
        assert_eq!(tracker.finished(), 4);
    });
}

#[test]
fn model_what_a_snapshot_forgives_may_end_meanwhile() {
    check(3, || {
        let tracker = Shared::new(Tracker::new());
        let ending = ends(guard(&tracker));
        let before = tracker.snapshot();
        assert!(before.verify_none().is_ok());
        let new = tracker.guard();
        let found = before.verify_none().map_err(|leaks| leaks.count());
        // Without places, an old one that ends hides a new one. Nothing is ever found that is not there.
        assert!(found == Err(1) || cfg!(not(feature = "locations")) && found == Ok(()));
        drop(new);
        assert!(before.verify_none().is_ok());
        ending.join().unwrap();
    });
}
