//! Cancellation tokens, polled by hand and through the public API alone.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, ready as at_once};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

use futures_core::FusedFuture;
use futures_lite::future::{block_on, yield_now};
use futures_lite::{StreamExt, stream};
use support::hooked::Hooked;
use support::seeded::{Seeded, steps};
use support::watched_lock::{WatchedLock, is_held, taken_by, without_lock};
use support::{Wakes, forever, in_time, panic_of, poll, poll_with};
use tollgate::cancel::{Cancelled, Cause, OwnedCancellationToken};
use tollgate::{CancellationToken, DeadlineExt, LocalLock, RawLock};

type Wait<'a, L = tollgate::DefaultLock> = Pin<Box<Cancelled<'a, L>>>;

/// A wait that has begun, and its wakes.
#[track_caller]
fn begun<'a, L: RawLock>(token: &'a CancellationToken<'a, L>) -> (Wait<'a, L>, Arc<Wakes>) {
    let (wakes, waker) = Wakes::new();
    let mut wait = Box::pin(token.cancelled());
    assert!(poll_with(wait.as_mut(), &waker).is_pending());
    (wait, wakes)
}

// === what a token is ===

#[test]
fn a_cancel_reaches_all_below_and_nothing_above_or_beside() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let below = left.child_token();
    left.cancel();
    assert!(left.is_cancelled() && below.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    root.cancel();
    assert!(right.is_cancelled());
}

#[test]
fn the_first_cause_wins_and_stays_for_each_token() {
    let root = CancellationToken::new();
    let middle = root.child_token();
    let below = middle.child_token();
    assert_eq!(below.cause(), None);
    middle.cancel_with("first");
    middle.cancel_with("second");
    below.cancel_with("third");
    root.cancel_with("fourth");
    assert_eq!(below.cause(), Some(Cause::new("first")));
    assert_eq!(middle.cause(), Some("first".into()));
    assert_eq!(root.cause(), Some("fourth".into()));
    assert_eq!(root.child_token().cause(), Some("fourth".into()), "those who come later have it too");
    middle.cancel();
    assert_eq!(middle.cause(), Some("first".into()));
}

#[test]
fn a_cause_says_what_it_is() {
    const FULL: Cause = Cause::with_code("disk full", 28);
    let token = CancellationToken::new();
    token.cancel_with(FULL);
    assert!(matches!(token.cause(), Some(FULL)));
    assert_eq!(FULL.to_string(), "disk full (code 28)");
    assert_eq!(format!("{:>10}", Cause::new("short")), "     short");
    assert_eq!(Cause::CANCELLED.to_string(), "cancelled");
    let error: Box<dyn std::error::Error + Send + Sync> = FULL.into();
    assert!(error.source().is_none());
}

#[test]
fn tokens_can_be_statics_with_static_children() {
    static ROOT: CancellationToken = CancellationToken::new();
    static CHILD: CancellationToken = ROOT.child_token();
    let task = std::thread::spawn(|| block_on(CHILD.cancelled()));
    let owned = CHILD.child_token_owned();
    let local = owned.as_ref().child_token();
    ROOT.cancel();
    task.join().unwrap();
    assert!(owned.is_cancelled() && local.is_cancelled());
}

#[test]
fn a_detached_token_is_out_of_reach() {
    let token = CancellationToken::new();
    let cleanup = token.detached();
    token.cancel();
    assert!(!cleanup.is_cancelled() && !cleanup.child_token().is_cancelled());
    let owned = OwnedCancellationToken::new();
    let cleanup = owned.detached();
    owned.cancel();
    assert!(!cleanup.is_cancelled());
}

#[test]
fn clones_are_the_same_token_and_dropping_cancels_nothing() {
    let token = OwnedCancellationToken::new();
    let child = token.clone().child_token();
    drop(token.clone());
    assert!(!token.is_cancelled());
    let (wait, wakes) = begun(&child);
    drop(token);
    assert!(!child.is_cancelled() && wakes.count() == 0);
    drop(wait);
}

#[test]
fn the_sizes_are_those_in_the_docs() {
    if cfg!(all(target_os = "linux", target_pointer_width = "64", not(feature = "portable-atomic"))) {
        assert_eq!(size_of::<CancellationToken>(), 96);
        assert_eq!(size_of::<OwnedCancellationToken>(), 8);
        assert_eq!(size_of::<Cancelled<'_>>(), 64);
        assert_eq!(size_of::<Cause>(), 24);
    }
}

#[test]
fn debug_says_why_and_how_many_without_the_lock() {
    let token = forever(CancellationToken::<WatchedLock>::with_lock());
    let (wait, _) = begun(token);
    let shown = without_lock(|| format!("{token:?} {wait:?}"));
    assert!(shown.contains("cause: None, waiters: 1") && shown.contains("queued"), "{shown}");
    token.cancel_with("done");
    assert!(format!("{token:?}").contains("done"));
}

// === waiting ===

#[test]
fn waiting_ends_with_a_wake_and_stays_ended() {
    let token = CancellationToken::new();
    let (mut wait, wakes) = begun(&token);
    assert!(!wait.is_terminated());
    token.cancel();
    assert_eq!(wakes.count(), 1);
    assert!(poll(wait.as_mut()).is_ready());
    assert!(wait.is_terminated());
    assert!(poll(wait.as_mut()).is_ready(), "once ready, always ready");
    assert_eq!(token.waiters(), 0);
    assert!(poll(pin!(token.cancelled())).is_ready());
}

#[test]
fn the_newest_waker_is_the_one_that_is_woken() {
    // smol#167, futures-intrusive#18, rtic-time 3.0.0.
    let token = CancellationToken::new();
    let (mut wait, old) = begun(&token);
    let (new, waker) = Wakes::new();
    assert!(poll_with(wait.as_mut(), &waker).is_pending());
    token.cancel();
    assert_eq!((old.count(), new.count()), (0, 1));
}

#[test]
fn a_dropped_wait_is_gone_before_and_after_it_was_found() {
    let token = CancellationToken::new();
    let child = token.child_token();
    let (first, wakes) = begun(&child);
    let (second, _) = begun(&child);
    assert_eq!((token.waiters(), child.waiters()), (2, 2));
    drop(first);
    assert_eq!((token.waiters(), child.waiters()), (1, 1));
    child.cancel();
    assert_eq!(wakes.count(), 0);
    drop(second);
    assert_eq!((token.waiters(), child.waiters()), (0, 0));
}

#[test]
fn of_many_who_wait_those_of_the_cancelled_token_are_woken() {
    let root = CancellationToken::new();
    let children: Vec<_> = (0..100).map(|_| root.child_token()).collect();
    let mut waits: Vec<_> = (0..10).flat_map(|_| children.iter().map(begun)).collect();
    children[42].cancel();
    for (at, (wait, wakes)) in waits.iter_mut().enumerate() {
        let cancelled = at % 100 == 42;
        assert_eq!(wakes.take(), usize::from(cancelled));
        assert!(!cancelled || poll(wait.as_mut()).is_ready());
    }
    assert_eq!(root.waiters(), 990);
    root.cancel();
    assert_eq!(waits.iter().map(|(_, wakes)| wakes.take()).sum::<usize>(), 990);
}

#[test]
fn a_wait_deep_below_is_woken_by_each_token_above_it() {
    for cancelled in 0..40 {
        let mut chain = vec![OwnedCancellationToken::new()];
        for at in 0..40 {
            chain.push(chain[at].child_token());
        }
        let (mut wait, wakes) = begun(&chain[40]);
        chain[cancelled].cancel();
        assert_eq!(wakes.count(), 1, "{cancelled} of 40");
        assert!(poll(wait.as_mut()).is_ready());
    }
}

#[test]
fn a_wait_that_is_leaked_is_harmless_when_its_token_moves() {
    let root = forever(CancellationToken::<WatchedLock>::with_lock());
    let child = Box::new(root.child_token());
    forever_pinned(begun(&*child).0);
    let moved = *child; // the leaked wait is in the queue under the old address
    moved.cancel();
    drop(moved);
    let (mut wait, wakes) = begun(root);
    root.cancel();
    assert!(poll(wait.as_mut()).is_ready() && wakes.count() == 1);

    fn forever_pinned<T>(pinned: Pin<Box<T>>) {
        // SAFETY: it is leaked, so it stays where it is. Its address is kept for leak checkers.
        let leaked = Box::into_raw(unsafe { Pin::into_inner_unchecked(pinned) });
        forever(leaked.expose_provenance());
    }
}

// === the lock ===

#[test]
fn what_is_done_often_takes_no_lock() {
    let root = CancellationToken::<WatchedLock>::with_lock();
    without_lock(|| {
        let child = root.child_token();
        assert!(!child.is_cancelled());
        assert_eq!(child.cause(), None);
        assert_eq!(block_on(child.run_until_cancelled(at_once(1))), Some(1));
        drop((child.cancelled(), child.on_cancel(|| ())));
        child.drop_guard().disarm();
    });
    root.cancel();
    without_lock(|| {
        let child = root.child_token();
        assert!(child.is_cancelled() && child.cause().is_some());
        root.cancel();
        child.cancel();
        assert!(poll(pin!(child.cancelled())).is_ready());
        assert_eq!(block_on(child.run_until_cancelled(at_once(1))), None);
    });
}

#[test]
fn cancelling_where_nobody_waits_searches_nothing() {
    let root = CancellationToken::<WatchedLock>::with_lock();
    let (busy, idle) = (root.child_token(), root.child_token());
    let waits: Vec<_> = (0..1000).map(|_| begun(&busy)).collect();
    assert_eq!(taken_by(|| idle.cancel()), 1);
    drop(waits);
    assert_eq!(taken_by(|| busy.cancel()), 1);
}

#[test]
fn a_search_lets_go_of_the_lock_again_and_again() {
    let root = CancellationToken::<WatchedLock>::with_lock();
    let (busy, few) = (root.child_token(), root.child_token());
    let strangers: Vec<_> = (0..1000).map(|_| begun(&busy)).collect();
    let kin = begun(&few);
    let taken = taken_by(|| few.cancel());
    assert!((31..=34).contains(&taken), "{taken} times for 1001 waiters");
    assert_eq!(kin.1.count(), 1);
    assert!(strangers.iter().all(|(_, wakes)| wakes.count() == 0));
}

// === run_until_cancelled ===

#[test]
fn a_loop_around_a_hot_stream_ends() {
    // tokio PR#7462.
    let token = CancellationToken::new();
    let taken = in_time("a hot stream", move || {
        block_on(async {
            let (mut hot, mut taken) = (stream::repeat(()), 0);
            while token.run_until_cancelled(hot.next()).await.is_some() {
                taken += 1;
                if taken == 3 {
                    token.cancel();
                }
            }
            taken
        })
    });
    assert_eq!(taken, 3);
}

#[test]
fn the_token_is_looked_at_when_polled_first_and_not_when_made() {
    // tokio-util's `with_cancellation_token`.
    let token = CancellationToken::new();
    let begun = Cell::new(false);
    let mut run = pin!(token.run_until_cancelled(async { begun.set(true) }));
    token.cancel();
    assert_eq!(poll(run.as_mut()), Poll::Ready(None));
    assert!(!begun.get(), "nothing is begun");
    assert!(run.is_terminated());
}

#[test]
fn a_run_registers_for_the_wake() {
    // The first version of tokio PR#6618.
    let token = CancellationToken::new();
    let mut run = pin!(token.run_until_cancelled(pending::<()>()));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(run.as_mut(), &waker).is_pending());
    assert_eq!(token.waiters(), 1);
    token.cancel();
    assert_eq!(wakes.count(), 1);
    assert_eq!(poll(run.as_mut()), Poll::Ready(None));
    assert_eq!(token.waiters(), 0);
}

#[test]
fn a_value_that_is_ready_wins_in_later_polls() {
    let token = CancellationToken::new();
    let gate = Cell::new(false);
    let value = std::future::poll_fn(|_| if gate.get() { Poll::Ready("value") } else { Poll::Pending });
    let mut run = pin!(token.run_until_cancelled(value));
    assert!(poll(run.as_mut()).is_pending());
    gate.set(true);
    token.cancel();
    assert_eq!(poll(run.as_mut()), Poll::Ready(Some("value")));
}

#[test]
fn the_future_of_a_run_that_was_cancelled_can_be_finished() {
    // tokio PR#5947, rust-mqtt#38: futures that must not be dropped half way.
    let token = CancellationToken::new();
    let mut run = pin!(token.run_until_cancelled(async {
        yield_now().await;
        yield_now().await;
        7
    }));
    assert!(poll(run.as_mut()).is_pending());
    token.cancel();
    assert_eq!(poll(run.as_mut()), Poll::Ready(None));
    assert_eq!(block_on(run.as_mut().inner_pin_mut()), 7);
    assert!(panic_of(|| poll(run)).contains("polled after it was finished"));
}

#[test]
fn dropping_a_run_drops_the_future_and_leaves_nothing_behind() {
    struct Sees<'a>(&'a CancellationToken<'a>, &'a Cell<usize>);
    impl Drop for Sees<'_> {
        fn drop(&mut self) {
            self.1.set(self.0.waiters());
        }
    }
    let token = CancellationToken::new();
    let seen = Cell::new(0);
    let sees = Sees(&token, &seen);
    let mut run = Box::pin(token.run_until_cancelled(async move {
        let _sees = sees;
        pending::<()>().await;
    }));
    assert!(poll(run.as_mut()).is_pending());
    drop(run);
    assert_eq!((seen.get(), token.waiters()), (1, 0), "the future goes first");
}

#[test]
fn a_stopped_callback_waits_no_more_while_it_is_kept() {
    let token = CancellationToken::new();
    let mut callback = pin!(token.on_cancel(|| ()));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(callback.as_mut(), &waker).is_pending());
    assert_eq!(token.waiters(), 1);
    assert!(callback.as_mut().stop().is_some());
    assert_eq!(token.waiters(), 0);
    token.cancel();
    assert_eq!(wakes.count(), 0);
    assert!(poll_with(callback, &waker).is_pending());
}

#[test]
fn owned_forms_go_into_tasks() {
    let token = OwnedCancellationToken::new();
    let threads = [
        std::thread::spawn({
            let token = token.child_token();
            move || assert_eq!(block_on(token.run_until_cancelled_owned(pending::<()>())), None)
        }),
        std::thread::spawn({
            let token = token.child_token();
            move || block_on(token.cancelled_owned())
        }),
        std::thread::spawn({
            let token = token.child_token();
            move || assert_eq!(block_on(token.on_cancel_owned(|| 5)), 5)
        }),
        std::thread::spawn({
            let token = token.child_token();
            move || assert_eq!(block_on(pending::<()>().until(token.cancelled())), Err(()))
        }),
    ];
    token.cancel();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(token.waiters(), 0);
}

// === on_cancel ===

#[test]
fn a_callback_is_called_once_by_whoever_polls_it() {
    let token = CancellationToken::new();
    let calls = Cell::new(0); // not `Send`, and borrowed
    let mut callback = pin!(token.on_cancel(|| calls.set(calls.get() + 1)));
    let (wakes, waker) = Wakes::new();
    assert!(poll_with(callback.as_mut(), &waker).is_pending());
    token.cancel();
    assert_eq!((wakes.count(), calls.get()), (1, 0), "not inside of `cancel`");
    assert!(poll(callback.as_mut()).is_ready());
    assert_eq!(calls.get(), 1);
    assert!(callback.is_terminated());
    assert!(poll(callback.as_mut()).is_pending());
    assert!(callback.as_mut().stop().is_none());
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_callback_that_is_stopped_or_dropped_is_not_called() {
    let token = CancellationToken::new();
    let mut stopped = pin!(token.on_cancel(|| "called"));
    assert!(poll(stopped.as_mut()).is_pending());
    let mut dropped = Box::pin(token.on_cancel(|| unreachable!()));
    assert!(poll::<_>(dropped.as_mut()).is_pending());
    drop(dropped);
    token.cancel();
    let f = stopped.as_mut().stop().expect("it was not called, though it was cancelled");
    assert!(poll(stopped.as_mut()).is_pending() && !stopped.is_armed());
    assert_eq!(f(), "called");
}

#[test]
fn a_callback_under_a_cancelled_token_is_called_at_the_first_poll() {
    let token = CancellationToken::new();
    token.cancel();
    assert_eq!(block_on(token.on_cancel(|| 1)), 1);
    assert_eq!(token.on_cancel(|| 2).into_inner().map(|f| f()), Some(2));
}

// === guards ===

#[test]
fn a_guard_cancels_when_it_goes_unless_disarmed() {
    let token = CancellationToken::new();
    assert!(!token.drop_guard().disarm().is_cancelled());
    let child = token.child_token();
    drop(child.drop_guard());
    assert_eq!(child.cause(), Some(Cause::GUARD_DROPPED));
    assert!(!token.is_cancelled());
    let guard = token.drop_guard().because(Cause::with_code("gone", 3));
    assert!(!guard.token().is_cancelled());
    drop(guard);
    assert_eq!(token.cause(), Some(Cause::with_code("gone", 3)));
}

#[test]
fn an_owned_guard_does_the_same() {
    let token = OwnedCancellationToken::new();
    let guard = token.clone().drop_guard().because("gone");
    assert!(!guard.token().is_cancelled());
    let again = guard.disarm();
    assert!(!again.is_cancelled());
    drop(again.drop_guard());
    assert!(token.is_cancelled());
}

#[test]
fn a_guard_cancels_while_a_panic_goes_by() {
    let token = CancellationToken::new();
    let (_wait, wakes) = begun(&token);
    panic_of(|| {
        let _guard = token.drop_guard();
        panic!("half way");
    });
    assert!(token.is_cancelled() && wakes.count() == 1);
}

// === what is left behind ===

#[test]
fn a_million_children_leave_a_static_parent_as_it_was() {
    // tokio#4639, #7026.
    static PARENT: CancellationToken = CancellationToken::new();
    let before = format!("{PARENT:?}");
    for _ in 0..1_000_000 {
        let child = PARENT.child_token();
        assert!(!child.is_cancelled());
    }
    assert_eq!(format!("{PARENT:?}"), before);
    assert_eq!(PARENT.waiters(), 0);
}

#[test]
fn grandchildren_of_a_dropped_child_are_still_cancelled() {
    // tokio#4639, #4645.
    let parent = OwnedCancellationToken::new();
    let child = parent.child_token();
    let grandchild = child.child_token();
    drop(child);
    let (_wait, wakes) = begun(&grandchild);
    parent.cancel_with("root");
    assert!(grandchild.is_cancelled() && wakes.count() == 1);
    assert_eq!(grandchild.cause(), Some("root".into()));
}

#[test]
fn a_chain_of_a_hundred_thousand_is_dropped_without_recursion() {
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(|| {
            let root = OwnedCancellationToken::new();
            let mut leaf = root.clone();
            for _ in 0..100_000 {
                leaf = leaf.child_token();
            }
            assert!(!leaf.is_cancelled());
            let (mut wait, wakes) = begun(&leaf);
            root.cancel();
            assert!(leaf.is_cancelled() && wakes.count() == 1 && poll(wait.as_mut()).is_ready());
            drop(wait);
            drop(root);
            drop(leaf);
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn a_chain_let_go_by_two_at_once_is_dropped_once() {
    for _ in 0..200 {
        let mut middle = OwnedCancellationToken::new();
        for _ in 0..20 {
            middle = middle.child_token();
        }
        let (left, right) = (middle.child_token(), middle.child_token());
        drop(middle);
        let thread = std::thread::spawn(move || drop(left));
        drop(right);
        thread.join().unwrap();
    }
}

// === wakers ===

#[test]
fn a_waker_may_come_back_to_the_tree_while_it_is_woken() {
    let root = forever(CancellationToken::<WatchedLock>::with_lock());
    // More tokens at once than a search has room for names.
    let tokens: &'static Vec<_> = forever((0..8).map(|_| root.child_token()).collect::<Vec<_>>());
    let parked = Rc::new(RefCell::new(tokens.iter().map(begun).collect::<Vec<_>>()));
    let hooked: Vec<_> = (0..8).map(|_| Hooked::new()).collect();
    let mut waits: Vec<_> = tokens.iter().map(|token| Box::pin(token.cancelled())).collect();
    for (at, (wait, hooked)) in waits.iter_mut().zip(&hooked).enumerate() {
        assert!(poll_with(wait.as_mut(), &hooked.waker()).is_pending());
        let parked = parked.clone();
        hooked.on_wake(move || {
            assert!(!is_held());
            let wait = parked.borrow_mut().pop();
            drop(wait); // one that may be found already, or not yet
            let _ = begun(root);
            tokens[at].cancel();
            if let Some(next) = tokens.get(at + 1) {
                next.cancel();
                assert!(poll(pin!(next.cancelled())).is_ready());
            }
        });
    }
    tokens[0].cancel();
    assert!(hooked.iter().all(|hooked| hooked.wakes() == 1 && hooked.has_run()));
    assert!(waits.iter_mut().all(|wait| poll(wait.as_mut()).is_ready()));
    assert!(!root.is_cancelled());
    drop((waits, parked.take()));
    assert_eq!(root.waiters(), 0);
    assert!(hooked.iter().all(|hooked| hooked.alive() == 0), "nobody keeps a waker");
}

#[test]
fn wakers_are_cloned_and_dropped_with_no_lock_held() {
    let token = forever(CancellationToken::<WatchedLock>::with_lock());
    let (one, two) = (Hooked::new(), Hooked::new());
    for hooked in [&one, &two] {
        hooked.on_clone(|| {
            assert!(!is_held());
            assert!(!token.is_cancelled());
            let _ = begun(token);
        });
        hooked.on_drop(|| {
            assert!(!is_held());
            let _ = begun(token);
        });
    }
    let mut wait = Box::pin(token.cancelled());
    assert!(poll_with(wait.as_mut(), &one.waker()).is_pending());
    assert!(poll_with(wait.as_mut(), &two.waker()).is_pending());
    drop(wait);
    assert!(one.has_run() && two.has_run());
    assert_eq!((one.alive(), two.alive(), token.waiters()), (0, 0, 0));
}

#[test]
fn panicking_wakers_lose_nobody_elses_wake() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker panics");
        }
    }
    let root = CancellationToken::new();
    let child = root.child_token();
    let strangers: Vec<_> = (0..20).map(|_| begun(&root)).collect();
    let bad = Waker::from(Arc::new(Panics));
    let mut waits = Vec::new();
    for at in 0..60 {
        let (mut wait, wakes) = begun(&child);
        if at % 7 == 0 {
            assert!(poll_with(wait.as_mut(), &bad).is_pending());
        }
        waits.push((wait, wakes, at % 7 == 0));
    }
    assert_eq!(panic_of(|| child.cancel()), "this waker panics");
    for (wait, wakes, panics) in &mut waits {
        assert_eq!(wakes.count(), usize::from(!*panics));
        assert!(poll(wait.as_mut()).is_ready());
    }
    assert!(strangers.iter().all(|(_, wakes)| wakes.count() == 0));
    child.cancel();
    root.cancel();
    assert!(strangers.iter().all(|(_, wakes)| wakes.count() == 1));
}

#[test]
fn a_guard_dropped_by_a_panic_survives_a_panicking_waker() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("this waker panics");
        }
    }
    let token = CancellationToken::new();
    let mut wait = Box::pin(token.cancelled());
    assert!(poll_with(wait.as_mut(), &Waker::from(Arc::new(Panics))).is_pending());
    let (_other, wakes) = begun(&token);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _guard = token.drop_guard();
        panic!("first");
    }));
    assert_eq!(support::text_of(&*outcome.unwrap_err()), "first");
    assert!(token.is_cancelled() && wakes.count() == 1);
}

// === against a naive model ===

/// What there should be.
#[derive(Clone, Copy, Default)]
struct Naive {
    parent: Option<usize>,
    cause: Option<Cause>,
}

fn naive_cause(all: &[Naive], at: usize) -> Option<Cause> {
    std::iter::successors(Some(at), |at| all[*at].parent).find_map(|at| all[at].cause)
}

fn random_trees<L: RawLock>(seed: u64) {
    let mut random = Seeded::new(seed);
    for _ in 0..steps(20, 200) {
        let mut tokens = vec![OwnedCancellationToken::<L>::with_lock()];
        let mut naive = vec![Naive::default()];
        let mut waits: Vec<(usize, Pin<Box<_>>, Arc<Wakes>, Waker)> = Vec::new();
        for step in 0..200 {
            let at = random.below(tokens.len());
            match random.below(12) {
                0..=2 => {
                    tokens.push(tokens[at].child_token());
                    naive.push(Naive { parent: Some(at), cause: None });
                }
                3 if at > 0 || random.once_in(8) => {
                    let cause = Cause::with_code("random", step);
                    if naive_cause(&naive, at).is_none() {
                        naive[at].cause = Some(cause);
                    }
                    tokens[at].cancel_with(cause);
                }
                4..=7 => {
                    let (wakes, waker) = Wakes::new();
                    waits.push((at, Box::pin(tokens[at].clone().cancelled_owned()), wakes, waker));
                }
                8 if !waits.is_empty() => drop(waits.swap_remove(random.below(waits.len()))),
                _ => {
                    for (at, wait, wakes, waker) in &mut waits {
                        let cancelled = naive_cause(&naive, *at).is_some();
                        wakes.take();
                        assert_eq!(poll_with(wait.as_mut(), waker).is_ready(), cancelled);
                    }
                }
            }
            for (at, token) in tokens.iter().enumerate() {
                assert_eq!(token.cause(), naive_cause(&naive, at));
                assert_eq!(token.is_cancelled(), naive_cause(&naive, at).is_some());
            }
        }
        for (_, wait, wakes, waker) in &mut waits {
            wakes.take();
            if poll_with(wait.as_mut(), waker).is_pending() {
                assert_eq!(wakes.count(), 0);
            }
        }
        let pending: Vec<_> = waits.iter().filter(|(at, ..)| naive_cause(&naive, *at).is_none()).collect();
        assert_eq!(tokens[0].waiters(), pending.len());
        tokens[0].cancel();
        assert!(pending.iter().all(|(_, _, wakes, _)| wakes.count() == 1));
        drop(pending);
        drop(waits);
        assert!(tokens.iter().all(|token| token.waiters() == 0));
    }
}

#[test]
fn random_trees_are_as_a_naive_model_says() {
    random_trees::<tollgate::DefaultLock>(1);
    random_trees::<WatchedLock>(2);
    random_trees::<LocalLock>(3);
}

#[test]
fn many_threads_wait_and_cancel_in_one_tree_and_all_come_home() {
    static ROOT: CancellationToken = CancellationToken::new();
    let rounds = steps(200, 5_000);
    in_time("many threads", move || {
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || {
                    let mut random = Seeded::new(seed);
                    for _ in 0..rounds {
                        let request = ROOT.child_token();
                        let step = request.child_token();
                        let by_parent = random.once_in(2);
                        std::thread::scope(|scope| {
                            let wait = scope.spawn(|| block_on(step.cancelled()));
                            drop(Box::pin(step.run_until_cancelled(pending::<()>())));
                            if by_parent {
                                request.cancel()
                            } else {
                                step.cancel()
                            }
                            wait.join().unwrap();
                        });
                    }
                });
            }
        });
        assert_eq!(ROOT.waiters(), 0);
    });
}
