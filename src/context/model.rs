//! Models of contexts: run as they are with real threads, and under loom through every schedule.

use alloc::boxed::Box;
use core::future::pending;
use core::time::Duration;

use super::{Interrupted, OwnedContext};
use crate::cancel::Cause;
use crate::sync::model::{block_on, check, thread};
use crate::time::{Clock, ManualClock, QueueSleep, Timer};

const SECOND: Duration = Duration::from_secs(1);
const GONE: Interrupted = Interrupted::Cancelled(Cause::new("gone"));

/// A clock for several threads, whose sleeps have no lifetime.
#[derive(Clone, Copy)]
struct Shared(&'static ManualClock);

impl Shared {
    /// The clock lives as long as what comes with it.
    fn new() -> (Self, Kept) {
        let clock = Box::into_raw(Box::new(ManualClock::new()));
        // SAFETY: just made, and freed by `Kept`, which each model drops last.
        (Self(unsafe { &*clock }), Kept(clock))
    }
}

struct Kept(*mut ManualClock);

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: made by `Shared::new`, and nobody has a context any more.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

impl Clock for Shared {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn checked_add(&self, at: Duration, duration: Duration) -> Option<Duration> {
        self.0.checked_add(at, duration)
    }

    fn saturating_since(&self, later: Duration, earlier: Duration) -> Duration {
        self.0.saturating_since(later, earlier)
    }
}

impl Timer for Shared {
    type Sleep = QueueSleep<'static>;

    fn sleep_until(&self, at: Duration) -> QueueSleep<'static> {
        self.0.sleep_until(at)
    }
}

#[test]
fn model_a_run_ends_by_the_cancel_or_the_deadline_and_that_stays() {
    check(2, || {
        let (clock, kept) = Shared::new();
        let context = OwnedContext::new(clock).with_timeout(SECOND);
        let cancels = thread::spawn({
            let context = context.clone();
            move || context.cancel_with("gone")
        });
        let advances = thread::spawn(move || clock.0.advance(SECOND));
        let interrupted = block_on(context.run(pending::<()>())).unwrap_err();
        assert!(matches!(interrupted, GONE | Interrupted::DeadlineExceeded));
        cancels.join().unwrap();
        advances.join().unwrap();
        assert_eq!(context.check(), Err(interrupted));
        assert_eq!(context.token().waiters(), 0);
        assert_eq!(clock.0.sleepers(), 0);
        drop((context, kept));
    });
}

#[test]
fn model_two_who_are_interrupted_at_once_are_told_the_same() {
    check(2, || {
        let (clock, kept) = Shared::new();
        let context = OwnedContext::new(clock).with_timeout(SECOND);
        let other = thread::spawn({
            let context = context.clone();
            move || block_on(context.interrupted())
        });
        let cancels = thread::spawn({
            let context = context.clone();
            move || context.cancel_with("gone")
        });
        clock.0.advance(SECOND);
        let here = context.check().unwrap_err();
        assert_eq!(other.join().unwrap(), here);
        cancels.join().unwrap();
        drop((context, kept));
    });
}

#[test]
fn model_whoever_finds_the_deadline_tells_those_who_wait_for_the_token() {
    check(2, || {
        let (clock, kept) = Shared::new();
        let context = OwnedContext::new(clock).with_timeout(SECOND);
        let waits = thread::spawn({
            let below = context.token().child_token();
            move || {
                block_on(below.cancelled());
                assert_eq!(below.cause(), Some(Cause::DEADLINE_EXCEEDED));
            }
        });
        let advances = thread::spawn(move || clock.0.advance(SECOND));
        assert_eq!(block_on(context.interrupted()), Interrupted::DeadlineExceeded);
        advances.join().unwrap();
        waits.join().unwrap();
        drop((context, kept));
    });
}
