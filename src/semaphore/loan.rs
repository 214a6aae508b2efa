//! Permits for the crate's own use, by any handle of a semaphore.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Poll, Waker};

use pin_project_lite::pin_project;

use super::engine::Engine;
use super::permits::Demand;
use super::{Closed, Semaphore, TryAcquireError};
use crate::sync::RawLock;
use crate::wait::waiting::Waiting;

/// Permits in one semaphore.
pub(crate) const MOST: usize = super::permits::MAX;

/// How many permits exist in a semaphore, lent ones included. Of one that is never [reduced](Semaphore::reduce_permits).
pub(crate) fn total<L: RawLock>(semaphore: &Semaphore<L>) -> usize {
    semaphore.engine.total()
}

/// What leads to a [`Semaphore`], or to a [`Limit`](crate::fan_out::Limit), and keeps it there: a reference, an `Arc`.
pub trait Lender: Clone {
    /// The semaphore's lock.
    type Lock: RawLock;

    #[doc(hidden)]
    fn semaphore(&self) -> &Semaphore<Self::Lock>;

    /// Whether there are to be no permits at all, for the time being or for good.
    #[doc(hidden)]
    fn is_paused(&self) -> bool;
}

impl<L: RawLock> Lender for &Semaphore<L> {
    type Lock = L;

    #[inline]
    fn semaphore(&self) -> &Semaphore<L> {
        self
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.is_closed()
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> Lender for Arc<Semaphore<L>> {
    type Lock = L;

    #[inline]
    fn semaphore(&self) -> &Semaphore<L> {
        self
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.is_closed()
    }
}

/// A reference to what leads there leads there: `&Arc<Semaphore>`, `&Arc<Limit>`.
impl<P: Lender> Lender for &P {
    type Lock = P::Lock;

    #[inline]
    fn semaphore(&self) -> &Semaphore<P::Lock> {
        (**self).semaphore()
    }

    #[inline]
    fn is_paused(&self) -> bool {
        (**self).is_paused()
    }
}

/// One permit; dropping it gives it back.
pub struct Loan<P: Lender>(P);

/// What [`Waiting`] wants of a handle; `None` once the loan has it.
struct ToEngine<P>(Option<P>);

pin_project! {
    /// A wait for a [`Loan`]. Dropping it gives up the place, and what was granted.
    pub struct Claim<P: Lender> {
        #[pin]
        wait: Waiting<ToEngine<P>, Engine<P::Lock>>,
    }
}

// === impl Loan ===

impl<P: Lender> Loan<P> {
    /// One permit, if it can be had without waiting.
    #[inline]
    pub(crate) fn try_new(lender: &P) -> Result<Self, TryAcquireError> {
        lender.semaphore().engine.try_take(Demand::exactly(1))?;
        Ok(Self(lender.clone()))
    }

    /// Whether more is lent than there should be: permits were taken out of existence meanwhile.
    #[inline]
    pub(crate) fn is_overdue(&self) -> bool {
        self.0.semaphore().engine.word().balance() < 0
    }
}

impl<P: Lender> Drop for Loan<P> {
    #[inline]
    fn drop(&mut self) {
        self.0.semaphore().engine.give(1);
    }
}

impl<P: Lender> fmt::Debug for Loan<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loan")
    }
}

// === impl Claim ===

impl<P> Deref for ToEngine<P>
where
    P: Lender,
{
    type Target = Engine<P::Lock>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.as_ref().expect("the lender of a wait that is not over").semaphore().engine
    }
}

impl<P: Lender> Claim<P> {
    pub(crate) fn new(lender: P) -> Self {
        Self { wait: Waiting::new(ToEngine(Some(lender)), Demand::exactly(1), 0) }
    }

    /// Takes the permit, or a place in the queue.
    ///
    /// # Panics
    ///
    /// After it was ready.
    pub(crate) fn poll(self: Pin<&mut Self>, waker: &Waker) -> Poll<Result<Loan<P>, Closed>> {
        let mut wait = self.project().wait;
        wait.as_mut().poll_acquire(waker).map(|taken| {
            taken?;
            Ok(Loan(wait.handle_mut().0.take().expect("the lender stays until the first outcome")))
        })
    }
}

impl<P: Lender> fmt::Debug for Claim<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.wait).finish()
    }
}
