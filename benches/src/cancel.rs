//! Cancellation tokens: asking, running under one, making children, waiting, being told.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::Context;

use futures_util::future::{AbortHandle, Abortable, abortable};
use stop_token::{StopSource, future::FutureExt as _};
use tokio_util::sync::CancellationToken as Theirs;
use tollgate::{CancellationToken, OwnedCancellationToken};

use crate::harness::Scenario;
use crate::polling::{Slots, leak, polling, waker, wakes};

/// Borrowed tokens: no allocation, no reference count.
const OURS: &str = "tollgate";
/// The twin in an `Arc`, as all of tokio-util's are.
const OWNED: &str = "tollgate owned";
/// The only peer whose tokens have children, so it is what goals are about.
const TOKIO_UTIL: &str = "tokio-util";
/// A flag and a waker for one future.
const ABORTABLE: &str = "futures-util Abortable";
/// A channel that nothing is sent through; dropping the source closes it. It cannot be asked.
const STOP_TOKEN: &str = "stop-token";

static ROOT: CancellationToken = CancellationToken::new();
static ONE_DOWN: CancellationToken = ROOT.child_token();
static TWO_DOWN: CancellationToken = ONE_DOWN.child_token();
static THREE_DOWN: CancellationToken = TWO_DOWN.child_token();

pub fn scenarios() -> Vec<Scenario> {
    let mut all = vec![is_cancelled(), is_cancelled_deep(), run_until()];
    all.extend([0, 1000, 100_000].map(child));
    all.push(wait());
    all.extend([1, 16, 1000].map(cancel));
    all
}

fn is_cancelled() -> Scenario {
    Scenario::new("cancel/is-cancelled", "ask a token without a parent")
        .goal_against(TOKIO_UTIL, 0.5)
        .peer(OURS, || asking(&ROOT, |token| token.is_cancelled()))
        .peer(OWNED, || asking(OwnedCancellationToken::new(), |token| token.is_cancelled()))
        .peer(TOKIO_UTIL, || asking(Theirs::new(), |token| token.is_cancelled()))
        .peer(ABORTABLE, || asking(AbortHandle::new_pair().0, |handle| handle.is_aborted()))
}

/// The price of links that only go up.
fn is_cancelled_deep() -> Scenario {
    let owned = || (0..3).fold(OwnedCancellationToken::new(), |parent, _| parent.child_token());
    // A token whose parents are gone is a root to tokio-util, so they are kept.
    let theirs = || {
        let mut line = vec![Theirs::new()];
        for _ in 0..3 {
            line.push(line[line.len() - 1].child_token());
        }
        line
    };
    Scenario::new("cancel/is-cancelled-3-down", "ask a token that has a parent, a grandparent and a great-grandparent")
        .goal_against(TOKIO_UTIL, 0.5)
        .peer(OURS, || asking(&THREE_DOWN, |token| token.is_cancelled()))
        .peer(OWNED, move || asking(owned(), |token| token.is_cancelled()))
        .peer(TOKIO_UTIL, move || asking(theirs(), |line| line[3].is_cancelled()))
}

fn asking<T>(token: T, ask: impl Fn(&T) -> bool) -> impl FnMut(u64) {
    move |iters| {
        for _ in 0..iters {
            assert!(!black_box(ask(black_box(&token))));
        }
    }
}

fn run_until() -> Scenario {
    Scenario::new("cancel/run-until-ready", "run_until_cancelled() around a future that is ready at once, poll, drop")
        .goal_against(TOKIO_UTIL, 0.5)
        .peer(OURS, || polling(&ROOT, true, |token| token.run_until_cancelled(ready(1))))
        .peer(OWNED, || polling(leak(OwnedCancellationToken::new()), true, |token| token.run_until_cancelled(ready(1))))
        .peer(TOKIO_UTIL, || polling(leak(Theirs::new()), true, |token| token.run_until_cancelled(ready(1))))
        .peer(ABORTABLE, || aborting)
        .peer(STOP_TOKEN, || polling(leak(StopSource::new()), true, |source| ready(1).timeout_at(source.token())))
}

/// A pair for each future, as a registration is good for one.
fn aborting(iters: u64) {
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    for _ in 0..iters {
        let (future, handle) = abortable(black_box(ready(1)));
        let handle = black_box(handle);
        let future = pin!(future);
        assert!(black_box(future.poll(&mut context)).is_ready());
        drop(handle);
    }
}

fn wait() -> Scenario {
    Scenario::new("cancel/wait", "cancelled(): poll pending, drop")
        .peer(OURS, || polling(&ROOT, false, |token| token.cancelled()))
        .peer(OWNED, || polling(leak(OwnedCancellationToken::new()), false, |token| token.cancelled()))
        .peer(TOKIO_UTIL, || polling(leak(Theirs::new()), false, |token| token.cancelled()))
        .peer(STOP_TOKEN, || polling(leak(StopSource::new()), false, |source| source.token()))
}

fn child(siblings: usize) -> Scenario {
    let name = format!("cancel/child-{siblings}");
    Scenario::new(name, "make a child and drop it; its parent has so many others")
        .goal_against(TOKIO_UTIL, 0.5)
        .peer(OURS, move || {
            let parent: &'static CancellationToken = leak(CancellationToken::new());
            begetting(parent, siblings, |parent| parent.child_token())
        })
        .peer(OWNED, move || begetting(leak(OwnedCancellationToken::new()), siblings, |parent| parent.child_token()))
        .peer(TOKIO_UTIL, move || begetting(leak(Theirs::new()), siblings, |parent| parent.child_token()))
}

fn begetting<T: 'static, C>(parent: &'static T, siblings: usize, beget: impl Fn(&'static T) -> C) -> impl FnMut(u64) {
    let others: Vec<C> = (0..siblings).map(|_| beget(parent)).collect();
    move |iters| {
        let _others = &others;
        for _ in 0..iters {
            drop(black_box(beget(black_box(parent))));
        }
    }
}

fn cancel(waiters: usize) -> Scenario {
    let name = format!("cancel/cancel-{waiters}");
    let scenario =
        Scenario::new(name, "make a token, so many wait for it, cancel, each is polled ready; a waiter's share")
            .operations(waiters as u64)
            .peer(OURS, move || {
                telling::<CancellationToken, _>(
                    waiters,
                    CancellationToken::new,
                    |token| token.cancelled(),
                    |token| token.cancel(),
                )
            })
            .peer(OWNED, move || {
                telling(waiters, OwnedCancellationToken::new, |token| token.cancelled(), |token| token.cancel())
            })
            .peer(TOKIO_UTIL, move || telling(waiters, Theirs::new, |token| token.cancelled(), |token| token.cancel()))
            .peer(STOP_TOKEN, move || {
                telling(
                    waiters,
                    || RefCell::new(Some(StopSource::new())),
                    |source| source.borrow().as_ref().expect("not stopped yet").token(),
                    |source| drop(source.take()),
                )
            });
    // One of its handles is of one future.
    if waiters > 1 {
        return scenario;
    }
    scenario.peer(ABORTABLE, || {
        let make = || {
            let (handle, registration) = AbortHandle::new_pair();
            (handle, Cell::new(Some(registration)))
        };
        let wait = |registration: Option<_>| Abortable::new(pending::<()>(), registration.expect("one waits"));
        telling(1, make, move |pair| wait(pair.1.take()), |pair| pair.0.abort())
    })
}

fn telling<T: 'static, F: Future>(
    waiters: usize,
    make: impl Fn() -> T,
    wait: impl Fn(&'static T) -> F,
    cancel: impl Fn(&T),
) -> impl FnMut(u64) {
    let mut slots = Slots::new(waiters);
    // On the heap, so that it stays where it is when the work is moved.
    let mut place = Box::new(None);
    move |iters| {
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let token: &T = place.insert(make());
            // SAFETY: all futures that borrow it are dropped below, before the place is written to again.
            let token: &'static T = unsafe { &*std::ptr::from_ref(token) };
            for slot in 0..waiters {
                slots.at(slot).set(Some(wait(token)));
                assert!(slots.poll(slot, &mut context).is_pending());
            }
            let before = wakes();
            cancel(token);
            assert_eq!(wakes() - before, waiters as u64, "each is woken once");
            for slot in 0..waiters {
                assert!(slots.poll(slot, &mut context).is_ready());
                slots.at(slot).set(None);
            }
        }
    }
}
