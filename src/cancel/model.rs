//! Models of tokens: run as they are with real threads, and under loom through every schedule.
//!
//! In model builds a round looks at two waiters and a search has room for one name, so that three waiters reach the second
//! round and two searches at once reach everybody.

use alloc::boxed::Box;
use alloc::sync::Arc as StdArc;
use alloc::task::Wake;
use core::future::{Future, pending};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use super::{Cause, OwnedCancellationToken};
use crate::sync::UnsafeCell;
use crate::sync::model::{Arc, block_on, check, thread};

const FIRST: Cause = Cause::new("first");
const SECOND: Cause = Cause::new("second");

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn spawn<T: Send + 'static>(
    token: &OwnedCancellationToken,
    f: impl FnOnce(OwnedCancellationToken) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let token = token.clone();
    thread::spawn(move || f(token))
}

/// A waker that notes it. Loom needs not know: it is only asked when all is over.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: StdArc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Woken {
    fn new() -> StdArc<Self> {
        StdArc::new(Self(AtomicBool::new(false)))
    }

    fn poll<F: Future>(self: &StdArc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.clone().into()))
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn model_cancel_races_a_wait_that_begins() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let waits = spawn(&token, |token| block_on(token.cancelled()));
        token.cancel();
        waits.join().unwrap();
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_cancel_races_a_wait_two_levels_below() {
    check(3, || {
        let root = OwnedCancellationToken::new();
        let middle = root.child_token();
        let waits = spawn(&middle, |middle| {
            let child = middle.child_token();
            block_on(child.cancelled());
            assert_eq!(child.cause(), Some(FIRST));
        });
        middle.cancel_with(FIRST);
        waits.join().unwrap();
        assert_eq!((root.waiters(), middle.waiters(), root.is_cancelled()), (0, 0, false));
    });
}

#[test]
fn model_cancel_races_a_child_that_is_made_and_dropped() {
    check(3, || {
        let parent = OwnedCancellationToken::new();
        let makes = spawn(&parent, |parent| {
            let before = parent.is_cancelled();
            let child = (*parent).child_token();
            let seen = child.is_cancelled();
            assert!(seen || !before);
            drop(child);
            block_on(parent.child_token().cancelled());
        });
        parent.cancel();
        makes.join().unwrap();
        assert_eq!(parent.waiters(), 0);
    });
}

#[test]
fn model_cancel_races_a_wait_that_is_dropped() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let drops = spawn(&token, |token| {
            let child = token.child_token();
            let polled = poll(pin!(child.cancelled()));
            assert!(polled.is_pending() || token.is_cancelled());
        });
        token.cancel();
        drops.join().unwrap();
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_a_wait_that_is_dropped_leaves_the_others_in() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let waits = spawn(&token, |token| block_on(token.cancelled()));
        let drops = spawn(&token, |token| _ = poll(pin!(token.cancelled())));
        token.cancel();
        waits.join().unwrap();
        drops.join().unwrap();
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_a_waker_replaced_while_the_cancel_comes_is_not_lost() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let cancels = spawn(&token, |token| token.cancel());
        let mut cancelled = Box::pin(token.cancelled());
        // The first waker leads nowhere; only that of `block_on` can end the wait.
        let _ = poll(cancelled.as_mut());
        block_on(cancelled);
        cancels.join().unwrap();
    });
}

#[test]
fn model_more_waiters_than_one_round_holds_are_all_woken() {
    check(3, || {
        let root = OwnedCancellationToken::new();
        let child = root.child_token();
        // A stranger between, and one at the front, to be passed by.
        let mut strangers = [Box::pin(root.cancelled()), Box::pin(root.cancelled())];
        let mut kin = [Box::pin(child.cancelled()), Box::pin(child.cancelled())];
        assert!(poll(strangers[0].as_mut()).is_pending());
        assert!(poll(kin[0].as_mut()).is_pending());
        assert!(poll(strangers[1].as_mut()).is_pending());
        assert!(poll(kin[1].as_mut()).is_pending());
        let waits = spawn(&child, |child| block_on(child.cancelled()));
        child.cancel();
        waits.join().unwrap();
        assert!(kin.iter_mut().all(|wait| poll(wait.as_mut()).is_ready()));
        assert!(strangers.iter_mut().all(|wait| poll(wait.as_mut()).is_pending()));
        assert_eq!((root.waiters(), child.waiters()), (2, 0));
    });
}

#[test]
fn model_two_cancels_at_once_make_one_search_for_both() {
    check(2, || {
        let root = OwnedCancellationToken::new();
        let (left, right) = (root.child_token(), root.child_token());
        let mut others = [Box::pin(root.cancelled()), Box::pin(left.cancelled())];
        assert!(others.iter_mut().all(|wait| poll(wait.as_mut()).is_pending()));
        let waits = spawn(&right, |right| block_on(right.cancelled()));
        let cancels = spawn(&left, |left| left.cancel());
        right.cancel();
        cancels.join().unwrap();
        waits.join().unwrap();
        assert!(poll(others[0].as_mut()).is_pending());
        assert!(poll(others[1].as_mut()).is_ready());
        assert_eq!((root.waiters(), left.waiters(), right.waiters()), (1, 0, 0));
    });
}

#[test]
fn model_a_search_begins_again_when_another_joins_it() {
    check(3, || {
        let root = OwnedCancellationToken::new();
        let (left, right) = (root.child_token(), root.child_token());
        // The search for the left one passes by the right one in its first round.
        let (right_woken, left_woken) = (Woken::new(), Woken::new());
        let mut waits = [&right, &root, &root, &left].map(|token| Box::pin(token.cancelled()));
        assert!(right_woken.poll(waits[0].as_mut()).is_pending());
        assert!(poll(waits[1].as_mut()).is_pending());
        assert!(poll(waits[2].as_mut()).is_pending());
        assert!(left_woken.poll(waits[3].as_mut()).is_pending());
        let cancels = spawn(&left, |left| left.cancel());
        right.cancel();
        cancels.join().unwrap();
        assert!(right_woken.get() && left_woken.get());
    });
}

#[test]
fn model_whoever_is_woken_for_another_waits_on() {
    check(2, || {
        let root = OwnedCancellationToken::new();
        let tokens = [root.child_token(), root.child_token(), root.child_token()];
        let waits = spawn(&tokens[2], |token| block_on(token.cancelled()));
        let mut own = Box::pin(tokens[0].cancelled());
        assert!(poll(own.as_mut()).is_pending());
        let cancels = spawn(&tokens[1], |token| token.cancel());
        tokens[0].cancel();
        cancels.join().unwrap();
        assert!(poll(own.as_mut()).is_ready());
        tokens[2].cancel();
        waits.join().unwrap();
        drop(own);
        assert_eq!(root.waiters(), 0);
    });
}

#[test]
fn model_parent_and_child_are_cancelled_at_once() {
    check(3, || {
        let parent = OwnedCancellationToken::new();
        let child = parent.child_token();
        let waits = spawn(&child, |child| {
            block_on(child.cancelled());
            child.cause()
        });
        let cancels = spawn(&parent, |parent| parent.cancel_with(FIRST));
        child.cancel_with(SECOND);
        cancels.join().unwrap();
        let seen = waits.join().unwrap();
        assert!(seen.is_some());
        assert_eq!(child.cause(), seen, "the cause stays");
        assert_eq!(parent.cause(), Some(FIRST));
    });
}

#[test]
fn model_of_two_causes_one_wins() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let cancels = spawn(&token, |token| {
            token.cancel_with(FIRST);
            token.cause()
        });
        token.cancel_with(SECOND);
        let here = token.cause();
        assert!(here.is_some());
        assert_eq!(cancels.join().unwrap(), here);
    });
}

#[test]
fn model_a_cause_that_was_first_is_not_hidden_by_one_above() {
    check(3, || {
        let root = OwnedCancellationToken::new();
        let middle = root.child_token();
        let child = middle.child_token();
        let cancels = spawn(&middle, move |middle| {
            middle.cancel_with(FIRST);
            root.cancel_with(SECOND);
        });
        if let Some(cause) = child.cause() {
            assert_eq!(cause, FIRST);
        }
        cancels.join().unwrap();
        assert_eq!(child.cause(), Some(FIRST));
    });
}

/// What was written before a cancel. Loom reports a read that does not see it.
struct Before(UnsafeCell<usize>);

// SAFETY: in these models it is written before the cancel, and read after it was seen.
unsafe impl Sync for Before {}
// SAFETY: as above.
unsafe impl Send for Before {}

#[test]
fn model_whoever_sees_the_cancel_sees_what_came_before() {
    check(3, || {
        let (token, before) = (OwnedCancellationToken::new(), Arc::new(Before(UnsafeCell::new(0))));
        let cancels = spawn(&token, {
            let before = before.clone();
            move |token| {
                // SAFETY: nobody reads before the cancel.
                before.0.with_mut(|value| unsafe { *value = 1 });
                token.cancel();
            }
        });
        // SAFETY: the cancel was seen.
        let look = || assert_eq!(before.0.with(|value| unsafe { *value }), 1);
        let child = (*token).child_token();
        if child.is_cancelled() {
            look();
        }
        block_on(child.cancelled());
        look();
        cancels.join().unwrap();
    });
}

#[test]
fn model_a_mark_under_later_counts_still_carries_what_came_before() {
    check(3, || {
        let (token, before) = (OwnedCancellationToken::new(), Arc::new(Before(UnsafeCell::new(0))));
        let mut wait = Box::pin(token.clone().cancelled_owned());
        assert!(poll(wait.as_mut()).is_pending());
        let cancels = spawn(&token, {
            let before = before.clone();
            move |token| {
                // SAFETY: nobody reads before the cancel.
                before.0.with_mut(|value| unsafe { *value = 1 });
                token.cancel();
            }
        });
        let leaves = thread::spawn(move || drop(wait));
        if token.is_cancelled() {
            // SAFETY: the cancel was seen.
            assert_eq!(before.0.with(|value| unsafe { *value }), 1);
        }
        leaves.join().unwrap();
        cancels.join().unwrap();
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_a_run_ends_by_its_value_or_by_the_cancel() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let runs = spawn(&token, |token| {
            assert_eq!(block_on(token.run_until_cancelled(pending::<()>())), None);
            assert_eq!(block_on(token.run_until_cancelled(async {})), None, "nothing is begun");
        });
        if let Some(value) = block_on(token.run_until_cancelled(async { 1 })) {
            assert_eq!(value, 1);
        }
        token.cancel();
        runs.join().unwrap();
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_a_callback_is_called_or_stopped_and_never_both() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let cancels = spawn(&token, |token| token.cancel());
        let mut calls = 0;
        let stopped = {
            let mut callback = pin!(token.on_cancel(|| calls += 1));
            let _ = poll(callback.as_mut());
            callback.as_mut().stop().is_some()
        };
        cancels.join().unwrap();
        assert_eq!(calls, usize::from(!stopped));
        assert_eq!(token.waiters(), 0);
    });
}

#[test]
fn model_a_guard_dropped_by_one_wakes_another() {
    check(3, || {
        let token = OwnedCancellationToken::new();
        let waits = spawn(&token, |token| block_on(token.cancelled_owned()));
        drop(token.clone().drop_guard());
        waits.join().unwrap();
        assert_eq!(token.cause(), Some(Cause::GUARD_DROPPED));
    });
}
