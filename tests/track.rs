//! The tracker through its public API, polled by hand.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::Cell;
use std::future::{Future, pending as never, poll_fn, ready as now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use futures_core::FusedFuture;
use support::count_allocations::{Counting, allocations_of};
use support::hooked::Hooked;
use support::watched_lock::{WatchedLock, is_held, taken_by, without_lock};
use support::{Wakes, panic_of, pending, poll, poll_with, ready};
use tollgate::time::ManualClock;
use tollgate::track::{Entrance, Guard, Leaks, Snapshot, TrackerClosed, VerifyNone, WaitEmpty};
use tollgate::{LocalLock, Tracked, Tracker};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A future that is ready at its second poll and runs a closure when it is dropped.
struct Second<F: FnMut()>(bool, #[allow(dead_code, reason = "dropped")] OnDrop<F>);

impl<F: FnMut() + Unpin> Future for Second<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// live, peak, started, finished, dropped unfinished
fn numbers(tracker: &Tracker) -> [usize; 5] {
    let counts = tracker.counts();
    let all = [counts.live, counts.peak, counts.started, counts.finished, counts.dropped_unfinished];
    let each = [tracker.live(), tracker.peak(), tracker.started(), tracker.finished(), tracker.dropped_unfinished()];
    assert_eq!(all, each);
    all
}

// === counting ===

#[test]
fn work_counts_before_its_first_poll_and_until_it_is_ready() {
    let tracker = Tracker::new();
    assert_eq!(numbers(&tracker), [0; 5]);
    let mut job = pin!(tracker.track(Second(false, OnDrop(|| ()))));
    assert_eq!(numbers(&tracker), [1, 1, 1, 0, 0]);
    pending(job.as_mut());
    assert_eq!(numbers(&tracker), [1, 1, 1, 0, 0]);
    ready(job.as_mut());
    assert_eq!(numbers(&tracker), [0, 1, 1, 1, 0]);
    assert!(job.is_terminated());
}

#[test]
fn the_output_is_passed_on() {
    let tracker = Tracker::new();
    assert_eq!(ready(pin!(tracker.track(now(42)))), 42);
    assert_eq!(ready(pin!(tracker.named("answer").track(async { String::from("42") }))), "42");
}

#[test]
fn a_future_dropped_before_it_is_ready_is_told_apart_from_one_that_finished() {
    let tracker = Tracker::new();
    drop(tracker.track(now(())));
    {
        let mut begun = pin!(tracker.track(never::<()>()));
        pending(begun.as_mut());
    }
    ready(pin!(tracker.track(now(()))));
    drop(tracker.guard());
    assert_eq!(numbers(&tracker), [0, 1, 4, 2, 2]);
}

#[test]
fn a_tracked_future_may_move_until_it_is_pinned() {
    let tracker = Tracker::new();
    let mut jobs: Vec<_> = (0..100).map(|n| tracker.track(now(n))).collect();
    jobs.reverse();
    assert_eq!(tracker.live(), 100);
    let sum: i32 = jobs.into_iter().map(|job| ready(pin!(job))).sum();
    assert_eq!((sum, tracker.live()), (4950, 0));
}

#[test]
fn a_forgotten_guard_stays_alive() {
    let tracker = Tracker::new();
    std::mem::forget(tracker.guard());
    assert_eq!(tracker.verify_none().unwrap_err().count(), 1);
}

#[test]
fn the_peak_is_the_most_at_once_and_not_the_most_ever() {
    let tracker = Tracker::new();
    for at_once in [1, 3, 2, 5, 4, 1] {
        let guards: Vec<_> = (0..at_once).map(|_| tracker.guard()).collect();
        drop(guards);
    }
    assert_eq!(numbers(&tracker), [0, 5, 16, 16, 0]);
}

#[cfg(feature = "alloc")]
#[test]
fn the_peak_proves_a_limit() {
    use tollgate::FanOutExt;
    let tracker = Tracker::new();
    let work = |n: u64| tracker.track(futures_lite::future::yield_now().then_output(n));
    let results = futures_lite::stream::iter(0..100).fan_out_with(4, work).fold(0, |sum, n| async move { sum + n });
    assert_eq!(futures_lite::future::block_on(results), 4950);
    assert_eq!(numbers(&tracker), [0, 4, 100, 100, 0]);
}

trait ThenOutput: Future + Sized {
    async fn then_output<T>(self, output: T) -> T {
        self.await;
        output
    }
}

impl<F: Future> ThenOutput for F {}

#[test]
fn numbers_are_right_beyond_what_the_word_has_room_for() {
    let tracker = Tracker::new();
    let kept = tracker.guard();
    for _ in 0..200_000 {
        drop(tracker.guard());
    }
    for _ in 0..100_000 {
        drop(tracker.track(now(())));
    }
    assert_eq!(numbers(&tracker), [1, 2, 300_001, 200_000, 100_000]);
    drop(kept);
}

#[test]
fn tracking_allocates_nothing() {
    static TRACKER: Tracker = Tracker::new();
    let count = allocations_of(|| {
        let guard = TRACKER.guard();
        let mut wait = pin!(TRACKER.wait_empty());
        pending(wait.as_mut());
        ready(pin!(TRACKER.named("job").track(now(()))));
        let before = TRACKER.snapshot();
        assert!(before.verify_none().is_ok());
        drop(guard);
        ready(wait);
        assert!(TRACKER.verify_none().is_ok());
        assert_eq!(TRACKER.counts().finished, 2);
    });
    assert_eq!(count, 0);
}

#[test]
#[cfg(all(target_pointer_width = "64", not(feature = "portable-atomic")))]
fn sizes_are_as_promised() {
    let word = size_of::<usize>();
    if cfg!(feature = "locations") {
        assert!(size_of::<Tracker>() <= 1200);
        assert_eq!(size_of::<Tracked<Box<u8>>>(), 3 * word);
        assert_eq!(size_of::<Guard>(), 2 * word);
    } else {
        assert_eq!(size_of::<Tracker>(), if cfg!(feature = "std") { 56 } else { 48 });
        // The future, which has a niche, and the tracker's address.
        assert_eq!(size_of::<Tracked<Box<u8>>>(), 2 * word);
        assert_eq!(size_of::<Guard>(), word);
        assert_eq!(size_of::<Entrance<&'static Tracker>>(), word);
    }
    if cfg!(feature = "alloc") {
        assert!(size_of::<Leaks>() <= 2 * word);
    }
}

#[test]
fn types_go_where_they_should() {
    fn send_and_sync<T: Send + Sync>() {}
    fn send_and_unpin<T: Send + Unpin>() {}
    send_and_sync::<Tracker>();
    send_and_sync::<Guard>();
    send_and_sync::<Entrance<&Tracker>>();
    send_and_sync::<Snapshot<'_>>();
    send_and_sync::<WaitEmpty<'_>>();
    send_and_sync::<VerifyNone<'_, &ManualClock>>();
    send_and_sync::<Leaks>();
    send_and_unpin::<Tracked<std::future::Ready<()>>>();
    #[cfg(feature = "alloc")]
    send_and_sync::<Tracked<std::future::Ready<()>, std::sync::Arc<Tracker>>>();
}

#[test]
fn a_tracker_for_one_thread_does_the_same() {
    let tracker = Tracker::<LocalLock>::with_lock();
    let mut wait = pin!(tracker.wait_empty());
    let guards = [tracker.guard(), tracker.guard()];
    pending(wait.as_mut());
    drop(guards);
    ready(wait);
    drop(tracker.track(now(())));
    let counts = tracker.counts();
    assert_eq!((counts.live, counts.peak, counts.finished, counts.dropped_unfinished), (0, 2, 2, 1));
    tracker.close();
    assert!(tracker.try_guard().is_err());
}

#[test]
fn debug_output_helps_and_takes_no_lock() {
    let tracker = Tracker::<WatchedLock>::with_lock();
    let _guard = tracker.guard();
    let text = without_lock(|| format!("{tracker:?}"));
    assert!(text.contains("live: 1") && text.contains("peak: 1") && text.contains("closed: false"), "{text}");
    let all = format!("{:?} {:?} {:?}", tracker.wait_empty(), tracker.named("n"), tracker.track(now(())));
    assert!(all.contains("WaitEmpty") && all.contains("Entrance") && all.contains("Tracked"), "{all}");
}

#[test]
fn the_usual_way_takes_no_lock() {
    let tracker = Tracker::<WatchedLock>::with_lock();
    let kept = tracker.guard();
    let taken = taken_by(|| {
        for _ in 0..1000 {
            ready(pin!(tracker.track(now(()))));
            drop(tracker.track(now(())));
            let _ = (tracker.live(), tracker.peak(), tracker.is_closed());
        }
    });
    // With places, each coming and each going. Without, as often as the counts in the word are full.
    let most = match usize::BITS {
        _ if cfg!(feature = "locations") => 4000,
        16 => 250,
        32 => 32,
        _ => 0,
    };
    assert!(taken <= most, "{taken}");
    drop(kept);
}

// === destructors, and panics ===

#[test]
fn work_is_alive_while_its_destructor_runs() {
    let tracker = Tracker::new();
    let seen = Cell::new(0);
    let look = || seen.set(seen.get() + tracker.live());
    {
        let mut finishes = pin!(tracker.track(Second(true, OnDrop(look))));
        ready(finishes.as_mut());
        assert_eq!((seen.get(), tracker.live()), (1, 0));
    }
    drop(tracker.track(Second(true, OnDrop(look))));
    assert_eq!((seen.get(), tracker.live()), (2, 0));
    let mut dropped = Box::pin(tracker.track(Second(false, OnDrop(look))));
    pending(dropped.as_mut());
    drop(dropped);
    assert_eq!((seen.get(), tracker.live()), (3, 0));
}

#[test]
fn the_future_is_dropped_where_it_is() {
    struct Pinned(Rc<Cell<*const ()>>, std::marker::PhantomPinned);

    impl Future for Pinned {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.0.set(std::ptr::from_ref(&*self).cast());
            Poll::Ready(())
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            assert_eq!(self.0.get(), std::ptr::from_ref(self).cast());
            self.0.set(std::ptr::null());
        }
    }

    let tracker = Tracker::new();
    let place = Rc::new(Cell::new(std::ptr::null()));
    let mut job = pin!(tracker.track(Pinned(place.clone(), std::marker::PhantomPinned)));
    ready(job.as_mut());
    assert!(place.get().is_null(), "dropped on being ready, not with its wrapper");
}

#[test]
fn a_panic_in_a_poll_leaves_it_alive_until_it_is_dropped() {
    let tracker = Tracker::new();
    let mut job = Box::pin(tracker.track(poll_fn(|_| -> Poll<()> { panic!("in a poll") })));
    assert_eq!(panic_of(|| poll(job.as_mut())), "in a poll");
    assert_eq!(numbers(&tracker), [1, 1, 1, 0, 0]);
    drop(job);
    assert_eq!(numbers(&tracker), [0, 1, 1, 0, 1]);
}

#[test]
fn a_panic_in_a_destructor_does_not_keep_it_alive() {
    let tracker = Tracker::new();
    let mut finishes = Box::pin(tracker.track(Second(true, OnDrop(|| panic!("finishing")))));
    assert_eq!(panic_of(|| poll(finishes.as_mut())), "finishing");
    assert_eq!(numbers(&tracker), [0, 1, 1, 1, 0]);
    assert!(finishes.is_terminated());
    drop(finishes);
    let dropped = tracker.track(Second(true, OnDrop(|| panic!("dropping"))));
    assert_eq!(panic_of(|| drop(dropped)), "dropping");
    assert_eq!(numbers(&tracker), [0, 1, 2, 1, 1]);
}

#[test]
fn a_waker_that_panics_loses_no_count_and_nobody_elses_wake() {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let bad = Hooked::new();
    bad.on_wake(|| panic!("waker"));
    let (wakes, waker) = Wakes::new();
    let mut first = pin!(tracker.wait_empty());
    let mut second = pin!(tracker.wait_empty());
    assert!(poll_with(first.as_mut(), &bad.waker()).is_pending());
    assert!(poll_with(second.as_mut(), &waker).is_pending());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(guard)));
    assert!(dropped.is_err() || !cfg!(feature = "std"));
    assert_eq!((wakes.count(), tracker.live(), tracker.finished()), (1, 0, 1));
    ready(first);
    ready(second);
}

#[test]
fn polling_after_completion_panics_and_says_so() {
    let tracker = Tracker::new();
    let mut job = Box::pin(tracker.track(now(())));
    ready(job.as_mut());
    assert!(panic_of(|| poll(job.as_mut())).contains("after it had completed"));
    let mut wait = Box::pin(tracker.wait_empty());
    ready(wait.as_mut());
    assert!(wait.is_terminated());
    assert!(panic_of(|| poll(wait.as_mut())).contains("after it had completed"));
    assert_eq!(numbers(&tracker), [0, 1, 1, 1, 0]);
}

// === closing ===

#[test]
fn a_closed_tracker_refuses_and_gives_the_future_back() {
    let tracker = Tracker::new();
    let old = tracker.guard();
    assert!(!tracker.is_closed());
    tracker.close();
    tracker.close();
    assert!(tracker.is_closed());
    let Err(back) = tracker.try_track(now(7)) else { panic!("it was taken") };
    assert_eq!(ready(pin!(back)), 7);
    assert_eq!(tracker.try_guard().unwrap_err(), TrackerClosed);
    assert!(tracker.named("late").try_track(now(())).is_err());
    assert_eq!(tracker.named("late").try_guard().unwrap_err().to_string(), "the tracker is closed");
    assert_eq!(numbers(&tracker), [1, 1, 1, 0, 0]);
    drop(old);
    assert_eq!(numbers(&tracker), [0, 1, 1, 1, 0]);
}

#[test]
fn tracking_on_a_closed_tracker_panics_and_changes_nothing() {
    let tracker = Tracker::new();
    tracker.close();
    let dropped = Cell::new(false);
    let future = Second(true, OnDrop(|| dropped.set(true)));
    let text = panic_of(|| drop(tracker.track(future)));
    assert!(text.contains("closed") && text.contains("try_track"), "{text}");
    assert!(dropped.get());
    assert!(panic_of(|| drop(tracker.guard())).contains("closed"));
    assert_eq!(numbers(&tracker), [0; 5]);
}

#[test]
fn closing_an_empty_tracker_leaves_waits_as_they_are() {
    let tracker = Tracker::new();
    tracker.close();
    ready(pin!(tracker.wait_empty()));
    assert!(tracker.verify_none().is_ok());
}

// === waiting ===

#[test]
fn a_wait_is_over_at_once_if_nothing_is_alive() {
    let tracker = Tracker::new();
    ready(pin!(tracker.wait_empty()));
    drop(tracker.guard());
    ready(pin!(tracker.wait_empty()));
}

#[test]
fn the_last_end_wakes_all_waiters_once() {
    let tracker = Tracker::new();
    let guards = [tracker.guard(), tracker.guard()];
    let mut waits: Vec<_> = (0..20).map(|_| (Box::pin(tracker.wait_empty()), Wakes::new())).collect();
    for (wait, (_, waker)) in &mut waits {
        assert!(poll_with(wait.as_mut(), waker).is_pending());
    }
    let [one, two] = guards;
    drop(one);
    assert!(waits.iter().all(|(_, (wakes, _))| wakes.count() == 0));
    drop(two);
    for (wait, (wakes, _)) in &mut waits {
        assert_eq!(wakes.count(), 1);
        ready(wait.as_mut());
    }
}

#[test]
fn a_moment_of_emptiness_is_not_missed_although_new_work_has_come() {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let mut wait = pin!(tracker.wait_empty());
    pending(wait.as_mut());
    drop(guard);
    let _new = tracker.guard();
    ready(wait);
    pending(pin!(tracker.wait_empty()));
}

#[test]
fn the_newest_waker_counts() {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let ((old, old_waker), (new, new_waker)) = (Wakes::new(), Wakes::new());
    let mut wait = pin!(tracker.wait_empty());
    assert!(poll_with(wait.as_mut(), &old_waker).is_pending());
    assert!(poll_with(wait.as_mut(), &new_waker).is_pending());
    drop(guard);
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn a_dropped_wait_is_not_woken_and_keeps_nobody_else_from_it() {
    let tracker = Tracker::new();
    let guard = tracker.guard();
    let hooked = Hooked::new();
    let mut dropped = Box::pin(tracker.wait_empty());
    assert!(poll_with(dropped.as_mut(), &hooked.waker()).is_pending());
    let mut stays = pin!(tracker.wait_empty());
    pending(stays.as_mut());
    drop(dropped);
    assert_eq!(hooked.alive(), 0);
    drop(guard);
    assert_eq!(hooked.wakes(), 0);
    ready(stays);
}

#[test]
fn wakers_are_woken_cloned_and_dropped_without_the_lock_and_may_come_back() {
    static TRACKER: Tracker<WatchedLock> = Tracker::with_lock();
    let hooked = Hooked::new();
    let guard = TRACKER.guard();
    let mut wait = Box::pin(TRACKER.wait_empty());
    let again = || {
        assert!(!is_held());
        drop(TRACKER.guard());
        let _ = TRACKER.counts();
        let _ = TRACKER.verify_none();
        let mut another = pin!(TRACKER.wait_empty());
        let _ = poll(another.as_mut());
    };
    hooked.on_clone(again);
    assert!(poll_with(wait.as_mut(), &hooked.waker()).is_pending());
    hooked.on_drop(again);
    let other = Hooked::new();
    assert!(poll_with(wait.as_mut(), &other.waker()).is_pending());
    other.on_wake(again);
    drop(guard);
    assert!(hooked.has_run() && other.has_run());
    ready(wait.as_mut());
    assert_eq!(TRACKER.live(), 0);
}

#[test]
fn a_destructor_of_tracked_work_may_use_its_tracker() {
    let tracker = Tracker::<WatchedLock>::with_lock();
    let look = || {
        assert!(!is_held());
        drop(tracker.guard());
        assert_eq!(tracker.verify_none().unwrap_err().count(), 1);
    };
    ready(pin!(tracker.track(Second(true, OnDrop(look)))));
    assert_eq!(tracker.counts().finished, 2);
}

// === verifying ===

#[test]
fn verifying_counts_what_is_alive() {
    let tracker = Tracker::new();
    assert_eq!(tracker.verify_none(), Ok(()));
    let guards = [tracker.guard(), tracker.guard()];
    let leaks = tracker.verify_none().unwrap_err();
    assert_eq!(leaks.count(), 2);
    assert!(leaks.to_string().starts_with("2 leaked"), "{leaks}");
    assert_eq!(leaks, leaks.clone());
    let error: Box<dyn std::error::Error + Send + Sync> = leaks.into();
    assert!(error.to_string().starts_with("2 leaked"));
    drop(guards);
    assert_eq!(tracker.verify_none(), Ok(()));
}

#[test]
fn verifying_within_a_time_is_over_as_soon_as_nothing_is_alive() {
    let (clock, tracker) = (ManualClock::new(), Tracker::new());
    ready(pin!(tracker.verify_none_within(&clock, Duration::ZERO))).unwrap();
    let guard = tracker.guard();
    let mut verified = pin!(tracker.verify_none_within(&clock, Duration::from_secs(5)));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(verified.as_mut(), &waker).is_pending());
    clock.advance(Duration::from_secs(4));
    assert!(poll_with(verified.as_mut(), &waker).is_pending());
    assert_eq!(wakes.take(), 0, "no retries");
    drop(guard);
    assert_eq!(wakes.take(), 1);
    assert_eq!(ready(verified.as_mut()), Ok(()));
    assert!(verified.is_terminated());
}

#[test]
fn verifying_within_a_time_tells_what_is_left_at_its_end() {
    let (clock, tracker) = (ManualClock::new(), Tracker::new());
    let guards = [tracker.guard(), tracker.guard()];
    let mut verified = pin!(tracker.verify_none_within(&clock, Duration::from_secs(5)));
    let (wakes, waker) = Wakes::new();
    clock.advance(Duration::from_secs(60));
    assert!(poll_with(verified.as_mut(), &waker).is_pending(), "counts from the first poll");
    clock.advance(Duration::from_secs(5));
    assert_eq!(wakes.take(), 1);
    assert_eq!(ready(verified.as_mut()).unwrap_err().count(), 2);
    drop(guards);
    assert_eq!(ready(verified.as_mut()), Ok(()), "asked again, it looks again");
}

#[test]
fn a_snapshot_forgives_what_was_there() {
    let tracker = Tracker::new();
    let old = [tracker.guard(), tracker.guard()];
    let before = tracker.snapshot();
    assert_eq!(before.verify_none(), Ok(()));
    let new = tracker.track(now(()));
    assert_eq!(before.verify_none().unwrap_err().count(), 1);
    let later = tracker.snapshot();
    assert_eq!(later.verify_none(), Ok(()));
    assert_eq!(before.verify_none().unwrap_err().count(), 1);
    drop(new);
    assert_eq!(before.verify_none(), Ok(()));
    drop(old);
    assert_eq!(before.verify_none(), Ok(()));
    // Unlike the places, the counts alone cannot tell that this one is new.
    let _new = tracker.guard();
    assert_eq!(before.verify_none().is_err(), cfg!(feature = "locations"));
}

// === several threads ===

#[test]
fn numbers_add_up_while_threads_come_and_go() {
    const THREADS: usize = 4;
    const EACH: usize = 20_000;
    let tracker = Tracker::new();
    let watched = tracker.guard();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    for n in 0..EACH {
                        if n % 3 == 0 {
                            drop(tracker.track(now(())));
                        } else {
                            ready(pin!(tracker.track(now(()))));
                        }
                    }
                })
            })
            .collect();
        let (mut finished, mut started, mut peak) = (0, 0, 0);
        while !workers.iter().all(|worker| worker.is_finished()) {
            let counts = tracker.counts();
            assert_eq!(counts.started, counts.live + counts.finished + counts.dropped_unfinished);
            assert!(counts.live <= counts.peak && counts.peak <= THREADS + 1);
            assert!(counts.finished >= finished && counts.started >= started && counts.peak >= peak);
            (finished, started, peak) = (counts.finished, counts.started, counts.peak);
        }
    });
    drop(watched);
    let dropped = THREADS * EACH.div_ceil(3);
    let [live, _, started, finished, unfinished] = numbers(&tracker);
    assert_eq!([live, started, finished, unfinished], [0, THREADS * EACH + 1, THREADS * EACH - dropped + 1, dropped]);
}

#[test]
fn closing_is_final_while_threads_go_on_trying() {
    for _ in 0..50 {
        let tracker = Tracker::new();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| while tracker.try_guard().is_ok() {});
            }
            tracker.close();
            futures_lite::future::block_on(tracker.wait_empty());
            let started = tracker.started();
            assert_eq!((tracker.live(), tracker.verify_none()), (0, Ok(())));
            thread::yield_now();
            assert_eq!((tracker.live(), tracker.started()), (0, started));
        });
    }
}

#[test]
#[cfg(feature = "alloc")]
fn owned_work_keeps_its_tracker() {
    use std::sync::Arc;
    let tracker = Arc::new(Tracker::new());
    let weak = Arc::downgrade(&tracker);
    let (job, guard) = (tracker.owned().track(now(1)), tracker.owned().named("guard").guard());
    drop(tracker);
    assert_eq!(weak.upgrade().unwrap().live(), 2);
    assert_eq!(thread::spawn(|| ready(pin!(job))).join().unwrap(), 1);
    assert_eq!(weak.upgrade().unwrap().live(), 1);
    drop(guard);
    assert!(weak.upgrade().is_none());
}

#[test]
#[cfg(feature = "std")]
fn a_runtime_with_threads_ends_with_nothing_alive() {
    use std::sync::Arc;
    use tokio::runtime::Builder;
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let tracker = Arc::new(Tracker::new());
        let tasks: Vec<_> = (0..2000)
            .map(|n| {
                let task = tokio::spawn(tracker.owned().track(async move {
                    tokio::task::yield_now().await;
                    if n % 5 == 0 {
                        never::<()>().await;
                    }
                    assert_ne!(n % 5, 1, "one in five panics");
                }));
                if n % 5 == 0 {
                    task.abort();
                }
                task
            })
            .collect();
        tracker.close();
        tracker.verify_none_within(tollgate::time::ThreadTimer, Duration::from_secs(20)).await.unwrap();
        assert_eq!(numbers(&tracker)[2..], [2000, 1200, 800]);
        drop(tasks);
    });
}
