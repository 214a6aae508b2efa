//! Cancelling by leaving.

use core::fmt;
use core::mem;

use super::{CancellationToken, Cause};
use crate::sync::{DefaultLock, RawLock};

/// Cancels its token when it is dropped: see [`CancellationToken::drop_guard`].
///
/// # Panics
///
/// Dropping it panics if a waker does, after all others were woken.
#[must_use = "a guard that is dropped at once cancels at once"]
pub struct DropGuard<'a, L: RawLock = DefaultLock> {
    token: &'a CancellationToken<'a, L>,
    cause: Cause,
}

// === impl DropGuard ===

impl<'a, L: RawLock> DropGuard<'a, L> {
    pub(super) fn new(token: &'a CancellationToken<'a, L>) -> Self {
        Self { token, cause: Cause::GUARD_DROPPED }
    }

    /// Sets what it gives as the cause instead of [`Cause::GUARD_DROPPED`].
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// drop(token.drop_guard().because("the caller went away"));
    /// assert_eq!(token.cause().unwrap().reason(), "the caller went away");
    /// ```
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = cause.into();
        self
    }

    /// The token.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let guard = token.drop_guard();
    /// let part = guard.token().child_token(); // the guard is all that is at hand
    /// drop(guard);
    /// assert!(part.is_cancelled());
    /// ```
    #[must_use]
    pub const fn token(&self) -> &'a CancellationToken<'a, L> {
        self.token
    }

    /// Lets the token be, and returns it.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let guard = token.drop_guard();
    /// // ... what could fail did not fail:
    /// let token = guard.disarm();
    /// assert!(!token.is_cancelled());
    /// ```
    pub fn disarm(self) -> &'a CancellationToken<'a, L> {
        let token = self.token;
        mem::forget(self);
        token
    }
}

impl<L: RawLock> Drop for DropGuard<'_, L> {
    fn drop(&mut self) {
        self.token.cancel_with(self.cause);
    }
}

impl<L: RawLock> fmt::Debug for DropGuard<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DropGuard").field("token", self.token).field("cause", &self.cause).finish()
    }
}
