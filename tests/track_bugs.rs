//! Bugs that other trackers had or have, one test each.
#![cfg(any(feature = "std", feature = "critical-section"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::Cell;
use std::future::{pending as never, ready as now};
use std::pin::pin;

use support::{pending, ready};
use tollgate::Tracker;

/// tokio-util's `TaskTracker` counts until the wrapper is dropped: a task that is ready but whose wrapper is kept, as in a
/// list of joined futures, counts for ever.
#[test]
fn a_wrapper_that_is_kept_after_its_future_was_ready_does_not_count() {
    let tracker = Tracker::new();
    let mut wait = pin!(tracker.wait_empty());
    let mut kept = Box::pin(tracker.track(now(())));
    pending(wait.as_mut());
    ready(kept.as_mut());
    ready(wait);
    assert_eq!(tracker.live(), 0);
    drop(kept);
    assert_eq!(tracker.finished(), 1, "and counts once");
}

/// A counter that is brought down at the end of the wrapped `async` block says "none" while what the future holds is still
/// there.
#[test]
fn nothing_says_none_while_a_destructor_is_still_to_run() {
    struct File<'a>(&'a Tracker, &'a Cell<bool>);

    impl Drop for File<'_> {
        fn drop(&mut self) {
            assert!(self.0.verify_none().is_err());
            self.1.set(true);
        }
    }

    let (tracker, is_closed) = (Tracker::new(), Cell::new(false));
    let file = File(&tracker, &is_closed);
    let mut job = pin!(tracker.track(async move {
        let _file = file;
    }));
    ready(job.as_mut());
    assert!(is_closed.get());
    assert!(tracker.verify_none().is_ok());
}

/// tokio-util's `TaskTracker` takes new tasks after `close`, so that "closed and empty" may be over again.
#[test]
fn a_closed_tracker_takes_no_new_work() {
    let tracker = Tracker::new();
    tracker.close();
    ready(pin!(tracker.wait_empty()));
    assert!(tracker.try_track(now(())).is_err());
    assert!(tracker.try_guard().is_err());
    assert_eq!((tracker.live(), tracker.started()), (0, 0));
}

/// tokio-util's `TaskTracker` waits for ever on a tracker that is empty but was not closed.
#[test]
fn waiting_needs_no_close() {
    let tracker = Tracker::new();
    ready(pin!(tracker.wait_empty()));
    drop(tracker.guard());
    ready(pin!(tracker.wait_empty()));
}

/// goleak looks at the whole process, so tests that run beside each other accuse each other (goleak#16, #83).
#[test]
fn one_tracker_knows_nothing_of_another() {
    let (mine, theirs) = (Tracker::new(), Tracker::new());
    let work = theirs.track(never::<()>());
    assert!(mine.verify_none().is_ok());
    drop(work);
}

/// Counters at the first poll miss tasks that were made and never run.
#[test]
fn a_future_that_is_never_polled_is_found() {
    let tracker = Tracker::new();
    let queue = vec![tracker.track(never::<()>())];
    assert_eq!(tracker.verify_none().unwrap_err().count(), 1);
    drop(queue);
}
