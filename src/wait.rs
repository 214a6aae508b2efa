//! How waiting works here, once for the whole crate.
//!
//! * Many wait for one thing: a [`Queue`](queue::Queue) under a lock, whose waiters live in the waiting futures
//!   ([`Waiting`](waiting::Waiting)); no allocation.
//! * One waits, once: the [`AtomicWaker`](crate::sync::AtomicWaker). One waits again and again: a [`Bell`](bell::Bell).
//! * Somebody resolves them: wakers are taken under the lock into a [`Batch`](batch::Batch) and woken after it.
//!
//! The rule under all of it: **a waker is never woken, cloned or dropped while a lock is held**, for each of these three
//! runs code that we do not know, and that may come straight back to the same object.

pub(crate) mod batch;
pub(crate) mod bell;
pub(crate) mod forest;
pub(crate) mod line;
pub(crate) mod queue;
pub(crate) mod waiting;
