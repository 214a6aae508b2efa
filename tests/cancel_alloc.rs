//! What tokens allocate: the borrowed ones nothing, an owned one itself.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::future::{pending, ready as at_once};
use std::pin::pin;

use support::count_allocations::{Counting, allocations_of};
use support::{Wakes, poll, poll_with};
use tollgate::cancel::OwnedCancellationToken;
use tollgate::{CancellationToken, LocalLock};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn borrowed_tokens_allocate_nothing() {
    let (_, waker) = Wakes::new();
    let allocations = allocations_of(|| {
        let root = CancellationToken::<LocalLock>::with_lock();
        let child = root.child_token();
        let mut wait = pin!(child.cancelled());
        let mut run = pin!(child.run_until_cancelled(pending::<()>()));
        let mut callback = pin!(root.on_cancel(|| ()));
        assert!(poll_with(wait.as_mut(), &waker).is_pending());
        assert!(poll_with(run.as_mut(), &waker).is_pending());
        assert!(poll_with(callback.as_mut(), &waker).is_pending());
        assert!(poll(pin!(child.run_until_cancelled(at_once(1)))).is_ready());
        drop(child.drop_guard().because("test"));
        assert!(poll(wait).is_ready() && poll(run).is_ready() && poll(callback.as_mut()).is_pending());
        root.cancel();
        assert!(poll(callback).is_ready());
    });
    assert_eq!(allocations, 0);
}

#[test]
fn an_owned_child_allocates_itself_and_nothing_in_its_parent() {
    // tokio#4639, #7026: the parent's list of children.
    let parent = OwnedCancellationToken::new();
    for _ in 0..3 {
        let children = 10_000;
        let mut kept = Vec::with_capacity(children);
        assert_eq!(allocations_of(|| kept.extend((0..children).map(|_| parent.child_token()))), children);
        assert_eq!(allocations_of(|| drop(kept.drain(..))), 0);
        let borrowed = allocations_of(|| {
            for _ in 0..children {
                assert!(!(*parent).child_token().is_cancelled());
            }
        });
        assert_eq!(borrowed, 0);
    }
}

#[test]
fn cancelling_allocates_nothing_whatever_waits() {
    let root = OwnedCancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let (wakes, waker) = Wakes::new();
    let mut waits: Vec<_> = (0..500).flat_map(|_| [left.cancelled(), right.cancelled()]).map(Box::pin).collect();
    let begin = allocations_of(|| {
        for wait in &mut waits {
            assert!(poll_with(wait.as_mut(), &waker).is_pending());
        }
    });
    assert_eq!(begin, 0);
    assert_eq!(allocations_of(|| left.cancel()), 0);
    assert_eq!(wakes.take(), 500);
    assert_eq!(allocations_of(|| root.cancel()), 0);
    assert_eq!(wakes.take(), 500);
    assert_eq!(allocations_of(|| drop(waits)), 0);
}
