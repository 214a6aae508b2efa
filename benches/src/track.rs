//! Trackers: tracking futures, guards, waiting until nothing is left.

use std::future::{Future, pending, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::Context;

use tokio_util::task::TaskTracker;
use tollgate::Tracker;
use tollgate::track::Entrance;

use crate::harness::Scenario;
use crate::polling::{leak, polling, waker, wakes};

/// A static tracker: no allocation, no reference count.
const OURS: &str = "tollgate";
/// What tasks that outlive the scope take: a reference count, as tokio-util's always has.
const OWNED: &str = "tollgate owned";
const TOKIO_UTIL: &str = "tokio-util";

pub fn scenarios() -> Vec<Scenario> {
    vec![track_ready(), track_pending(), guard(), wait_empty()]
}

fn ours() -> &'static Tracker {
    leak(Tracker::new())
}

fn owned() -> &'static Entrance<Arc<Tracker>> {
    leak(leak(Arc::new(Tracker::new())).owned())
}

fn theirs() -> &'static TaskTracker {
    leak(TaskTracker::new())
}

fn track_ready() -> Scenario {
    Scenario::new("track/ready", "track() around a future that is ready at once, poll, drop")
        .peer(OURS, || polling(ours(), true, |tracker| tracker.track(ready(1))))
        .peer(OWNED, || polling(owned(), true, |tracker| tracker.track(ready(1))))
        .peer(TOKIO_UTIL, || polling(theirs(), true, |tracker| tracker.track_future(ready(1))))
}

fn track_pending() -> Scenario {
    Scenario::new("track/pending", "track() around a future that is pending, poll, drop")
        .peer(OURS, || polling(ours(), false, |tracker| tracker.track(pending::<()>())))
        .peer(OWNED, || polling(owned(), false, |tracker| tracker.track(pending::<()>())))
        .peer(TOKIO_UTIL, || polling(theirs(), false, |tracker| tracker.track_future(pending::<()>())))
}

fn guard() -> Scenario {
    Scenario::new("track/guard", "guard(), drop")
        .peer(OURS, || holding(ours(), |tracker| tracker.guard()))
        .peer(OWNED, || holding(owned(), |tracker| tracker.guard()))
        .peer(TOKIO_UTIL, || holding(theirs(), |tracker| tracker.token()))
}

fn holding<T: 'static, G>(tracker: &'static T, hold: impl Fn(&'static T) -> G) -> impl FnMut(u64) {
    move |iters| {
        for _ in 0..iters {
            drop(black_box(hold(black_box(tracker))));
        }
    }
}

fn wait_empty() -> Scenario {
    Scenario::new("track/wait-empty", "guard(), wait_empty(): poll pending, drop the guard, poll ready")
        .peer(OURS, || emptying(ours(), |tracker| tracker.guard(), |tracker| tracker.wait_empty()))
        .peer(TOKIO_UTIL, || {
            let tracker = theirs();
            // Theirs waits for that too.
            tracker.close();
            emptying(tracker, |tracker| tracker.token(), |tracker| tracker.wait())
        })
}

fn emptying<T: 'static, G, F: Future>(
    tracker: &'static T,
    hold: impl Fn(&'static T) -> G,
    wait: impl Fn(&'static T) -> F,
) -> impl FnMut(u64) {
    move |iters| {
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let guard = hold(black_box(tracker));
            let mut empty = pin!(wait(tracker));
            assert!(empty.as_mut().poll(&mut context).is_pending());
            let before = wakes();
            drop(guard);
            assert_eq!(wakes() - before, 1);
            assert!(empty.as_mut().poll(&mut context).is_ready());
        }
    }
}
