//! The engine of contexts, borrowed or owned: a token and a deadline.

use core::fmt;
use core::time::Duration;

use super::Interrupted;
use crate::cancel::{CancellationToken, Cancelled, Cause};
use crate::sync::RawLock;
use crate::time::Timer;

/// A timer, and the instant beyond which nothing goes on.
pub(super) struct Limits<T: Timer> {
    timer: T,
    deadline: Option<T::Instant>,
}

/// What decides whether a context goes on.
pub(super) struct View<'a, T: Timer, L: RawLock> {
    token: &'a CancellationToken<'a, L>,
    limits: &'a Limits<T>,
}

// === impl Limits ===

impl<T: Timer> Limits<T> {
    pub(super) const fn none(timer: T) -> Self {
        Self { timer, deadline: None }
    }

    /// The same timer, and another deadline.
    pub(super) fn replaced(&self, deadline: Option<T::Instant>) -> Self
    where
        T: Clone,
    {
        Self { timer: self.timer.clone(), deadline }
    }

    pub(super) const fn timer(&self) -> &T {
        &self.timer
    }

    pub(super) const fn deadline(&self) -> Option<T::Instant> {
        self.deadline
    }

    /// The deadline, or `at` if that is earlier.
    pub(super) fn at(&self, at: T::Instant) -> Option<T::Instant> {
        Some(self.deadline.map_or(at, |deadline| deadline.min(at)))
    }

    /// The deadline, or what is `timeout` from now if that is earlier.
    pub(super) fn after(&self, timeout: Duration) -> Option<T::Instant> {
        match self.timer.after(self.timer.now(), timeout) {
            Some(at) => self.at(at),
            None => self.deadline,
        }
    }

    pub(super) fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|at| self.timer.saturating_since(at, self.timer.now()))
    }

    fn is_past(&self) -> bool {
        self.deadline.is_some_and(|at| self.timer.now() >= at)
    }
}

// === impl View ===

impl<'a, T: Timer, L: RawLock> View<'a, T, L> {
    pub(super) const fn new(token: &'a CancellationToken<'a, L>, limits: &'a Limits<T>) -> Self {
        Self { token, limits }
    }

    pub(super) const fn limits(&self) -> &'a Limits<T> {
        self.limits
    }

    pub(super) fn cancelled(&self) -> Cancelled<'a, L> {
        self.token.cancelled()
    }

    pub(super) fn check(&self) -> Result<(), Interrupted> {
        if self.token.is_cancelled() {
            return Err(self.why());
        }
        if self.limits.is_past() {
            return Err(self.exceeded());
        }
        Ok(())
    }

    /// Notes that the deadline has passed, and says what was first.
    pub(super) fn exceeded(&self) -> Interrupted {
        self.token.cancel_with(Cause::DEADLINE_EXCEEDED);
        self.why()
    }

    /// What a token says that is cancelled.
    pub(super) fn why(&self) -> Interrupted {
        Interrupted::by(self.token.cause().unwrap_or(Cause::DEADLINE_EXCEEDED))
    }

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("token", self.token)
            .field("has_deadline", &self.limits.deadline.is_some())
            .finish_non_exhaustive()
    }
}

impl<T: Timer, L: RawLock> Clone for View<'_, T, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Timer, L: RawLock> Copy for View<'_, T, L> {}
