//! A lock that notices what the crate promises not to do with it.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use tollgate::RawLock;

thread_local! {
    static HELD: Cell<bool> = const { Cell::new(false) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// A mutex that counts, per thread, how often it is taken, and panics when it is taken recursively.
#[derive(Debug)]
pub struct WatchedLock(Mutex<()>);

struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

// SAFETY: the mutex is held while the closure runs.
unsafe impl RawLock for WatchedLock {
    const INIT: Self = Self(Mutex::new(()));

    fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        assert!(!FORBIDDEN.get(), "the lock is taken where it should not be");
        assert!(!HELD.replace(true), "a lock is taken with a lock held");
        TAKEN.set(TAKEN.get() + 1);
        let _held = Held;
        let _guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f()
    }
}

/// Whether this thread is inside a lock now.
pub fn is_held() -> bool {
    HELD.get()
}

/// How often this thread takes the lock in `f`.
pub fn taken_by(f: impl FnOnce()) -> usize {
    let before = TAKEN.get();
    f();
    TAKEN.get() - before
}

/// Runs `f`; taking the lock in it is a panic.
pub fn without_lock<R>(f: impl FnOnce() -> R) -> R {
    struct Allow;
    impl Drop for Allow {
        fn drop(&mut self) {
            FORBIDDEN.set(false);
        }
    }
    FORBIDDEN.set(true);
    let _allow = Allow;
    f()
}
