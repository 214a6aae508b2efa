//! The same semaphore behind an `Arc`: permits and futures without a lifetime.

use alloc::sync::Arc;
use core::fmt;
use core::mem;
use core::ops::{Deref, RangeInclusive};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::engine::Engine;
use super::permits::Demand;
use super::{Closed, Semaphore, TryAcquireError, checked, checked_range};
use crate::sync::{DefaultLock, RawLock};
use crate::wait::waiting::Waiting;

/// Permits on loan that keep their semaphore alive; dropping it gives them back.
///
/// As [`Permit`](super::Permit), to be moved into tasks and structures without a lifetime. 16 bytes.
#[must_use = "dropping an `OwnedPermit` gives its permits back at once"]
pub struct OwnedPermit<L: RawLock = DefaultLock> {
    semaphore: Arc<Semaphore<L>>,
    permits: usize,
}

pin_project! {
    /// The future of [`Semaphore::acquire_owned`] and its variants: `Result<OwnedPermit, Closed>`.
    ///
    /// As [`Acquire`](super::Acquire), with the semaphore kept alive by an `Arc` that moves on into the permit.
    #[must_use = "an `AcquireOwned` does nothing unless it is polled"]
    pub struct AcquireOwned<L: RawLock = DefaultLock> {
        #[pin]
        wait: Waiting<Owned<L>, Engine<L>>,
    }
}

/// `None` once the permit has it.
struct Owned<L: RawLock>(Option<Arc<Semaphore<L>>>);

impl<L: RawLock> Semaphore<L> {
    /// Waits for one permit that keeps the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tollgate::Semaphore;
    ///
    /// # futures_lite::future::block_on(async {
    /// let gate = Arc::new(Semaphore::new(1));
    /// let permit = gate.clone().acquire_owned().await?;
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// assert_eq!(gate.available_permits(), 1);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    pub fn acquire_owned(self: Arc<Self>) -> AcquireOwned<L> {
        AcquireOwned::new(self, Demand::exactly(1))
    }

    /// Waits for `n` permits that keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Arc::new(Semaphore::new(3));
    /// assert_eq!(gate.acquire_many_owned(2).await?.permits(), 2);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn acquire_many_owned(self: Arc<Self>, n: usize) -> AcquireOwned<L> {
        AcquireOwned::new(self, checked(n))
    }

    /// Waits for at least the range's start and takes up to its end; the permits keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire_up_to`](Self::acquire_up_to).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let credits = Arc::new(Semaphore::new(5));
    /// let batch = credits.clone().acquire_up_to_owned(1..=3).await?;
    /// let sender = std::thread::spawn(move || batch.permits()); // sends so many, then gives them back
    /// assert_eq!(sender.join().unwrap(), 3);
    /// assert_eq!(credits.available_permits(), 5);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn acquire_up_to_owned(self: Arc<Self>, range: RangeInclusive<usize>) -> AcquireOwned<L> {
        AcquireOwned::new(self, checked_range(&range))
    }

    /// Takes one permit that keeps the semaphore alive, if it can be had now without overtaking anyone.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(1));
    /// let permit = gate.clone().try_acquire_owned()?;
    /// assert!(gate.try_acquire_owned().is_err());
    /// # drop(permit);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedPermit<L>, TryAcquireError> {
        self.try_owned(Demand::exactly(1))
    }

    /// Takes `n` permits that keep the semaphore alive, if they can be had now without overtaking anyone.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let megabytes = Arc::new(Semaphore::new(64));
    /// let job = megabytes.clone().try_acquire_many_owned(48)?;
    /// assert!(megabytes.clone().try_acquire_many_owned(32).is_err());
    /// std::thread::spawn(move || drop(job)).join().unwrap();
    /// assert!(megabytes.try_acquire_many_owned(32).is_ok());
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_many_owned(self: Arc<Self>, n: usize) -> Result<OwnedPermit<L>, TryAcquireError> {
        self.try_owned(checked(n))
    }

    /// Takes what there is, within the range, if that can be had now; the permits keep the semaphore alive.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire_up_to`](Self::acquire_up_to).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let cores = Arc::new(Semaphore::new(4));
    /// let team = cores.clone().try_acquire_up_to_owned(2..=3)?;
    /// assert_eq!(team.permits(), 3);
    /// assert!(cores.try_acquire_up_to_owned(2..=3).is_err(), "one is too few");
    /// # drop(team);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_up_to_owned(
        self: Arc<Self>,
        range: RangeInclusive<usize>,
    ) -> Result<OwnedPermit<L>, TryAcquireError> {
        self.try_owned(checked_range(&range))
    }

    fn try_owned(self: Arc<Self>, demand: Demand) -> Result<OwnedPermit<L>, TryAcquireError> {
        self.engine.take_now(demand).map(|permits| OwnedPermit { semaphore: self, permits })
    }
}

// === impl OwnedPermit ===

impl<L: RawLock> OwnedPermit<L> {
    /// How many permits this holds.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::{OwnedPermit, Semaphore};
    /// struct Buffer {
    ///     room: OwnedPermit, // given back with the buffer
    /// }
    ///
    /// let kilobytes = Arc::new(Semaphore::new(64));
    /// let buffer = Buffer { room: kilobytes.try_acquire_many_owned(16)? };
    /// assert_eq!(buffer.room.permits(), 16);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use]
    pub const fn permits(&self) -> usize {
        self.permits
    }

    /// The semaphore that lent them.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(2));
    /// let permit = gate.try_acquire_owned()?;
    /// let helper = std::thread::spawn(move || permit.semaphore().clone().try_acquire_owned().is_ok());
    /// assert!(helper.join().unwrap(), "a task with a permit can ask for another");
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use]
    pub const fn semaphore(&self) -> &Arc<Semaphore<L>> {
        &self.semaphore
    }

    /// Splits `n` permits off, or returns `None` and leaves all here if there are fewer.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(3));
    /// let mut rest = gate.clone().try_acquire_many_owned(3)?;
    /// let one = rest.split(1).unwrap();
    /// std::thread::spawn(move || drop(one)).join().unwrap(); // a part of the work, with its part of the permits
    /// assert_eq!((rest.permits(), gate.available_permits()), (2, 1));
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use = "what is split off is given back when it is dropped"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self { semaphore: self.semaphore.clone(), permits: n })
    }

    /// Takes another permit's permits into this one.
    ///
    /// # Panics
    ///
    /// If they come from another semaphore; both give back what they hold then.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(2));
    /// let mut mine = gate.clone().try_acquire_owned()?;
    /// let other = std::thread::spawn(|| gate.try_acquire_owned());
    /// mine.merge(other.join().unwrap()?);
    /// assert_eq!(mine.permits(), 2);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(Arc::ptr_eq(&self.semaphore, &other.semaphore), "permits of different semaphores cannot be merged");
        self.permits += mem::take(&mut other.permits);
    }

    /// Takes these permits out of existence instead of giving them back.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let workers = Arc::new(Semaphore::new(2));
    /// let retiring = workers.clone().try_acquire_owned()?;
    /// std::thread::spawn(move || retiring.forget()).join().unwrap();
    /// assert_eq!(workers.available_permits(), 1);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    pub fn forget(mut self) {
        self.semaphore.engine.forget_lent(mem::take(&mut self.permits));
    }
}

impl<L: RawLock> Drop for OwnedPermit<L> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.engine.give(self.permits);
    }
}

impl<L: RawLock> fmt::Debug for OwnedPermit<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("permits", &self.permits).field("semaphore", &self.semaphore).finish()
    }
}

// === impl AcquireOwned ===

impl<L: RawLock> AcquireOwned<L> {
    fn new(semaphore: Arc<Semaphore<L>>, demand: Demand) -> Self {
        Self { wait: Waiting::new(Owned(Some(semaphore)), demand, 0) }
    }

    /// Lets this request overtake, as [`Acquire::barging`](super::Acquire::barging).
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(1));
    /// let mut large = pin!(gate.clone().acquire_many_owned(2));
    /// large.as_mut().enroll();
    /// let small = gate.acquire_owned().barging();
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(small).is_ok());
    /// assert!(thread.join().unwrap(), "it did not wait for the large one");
    /// ```
    pub fn barging(mut self) -> Self {
        self.wait.amend(Demand::barging);
        self
    }

    /// Queues ahead of lower priorities, as [`Acquire::priority`](super::Acquire::priority).
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(0));
    /// let mut usual = pin!(gate.clone().acquire_owned());
    /// usual.as_mut().enroll();
    /// let mut urgent = Box::pin(gate.clone().acquire_owned().priority(1));
    /// urgent.as_mut().enroll();
    /// gate.add_permits(1);
    /// let permit = std::thread::spawn(|| futures_lite::future::block_on(urgent)).join().unwrap()?;
    /// assert_eq!(gate.waiters(), 1, "the usual one came first and still waits");
    /// # drop(permit);
    /// # Ok::<(), tollgate::Closed>(())
    /// ```
    pub fn priority(mut self, priority: u8) -> Self {
        self.wait.set_rank(priority);
        self
    }

    /// Takes the permits or a place in the queue now, as [`Acquire::enroll`](super::Acquire::enroll).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// let gate = Arc::new(Semaphore::new(1));
    /// let mut first = Box::pin(gate.clone().acquire_owned());
    /// first.as_mut().enroll(); // here, and not when the thread gets to run
    /// assert!(gate.try_acquire().is_err());
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(first).is_ok());
    /// assert!(thread.join().unwrap());
    /// ```
    pub fn enroll(self: Pin<&mut Self>) {
        self.project().wait.enroll();
    }

    /// Cancels this request and makes it a new one for `n` permits of `semaphore`, in place and without allocating.
    ///
    /// The semaphore is asked for because the old `Arc` has moved on into the permit.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`].
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use std::sync::Arc;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Arc::new(Semaphore::new(2));
    /// let mut acquire = pin!(gate.clone().acquire_owned());
    /// for n in 1..=2 {
    ///     acquire.as_mut().reset(gate.clone(), n);
    ///     let permit = acquire.as_mut().await?;
    ///     assert_eq!(permit.permits(), n);
    /// }
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn reset(self: Pin<&mut Self>, semaphore: Arc<Semaphore<L>>, n: usize) {
        self.project().wait.restart(Some(Owned(Some(semaphore))), checked(n));
    }
}

impl<L: RawLock> Future for AcquireOwned<L> {
    type Output = Result<OwnedPermit<L>, Closed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut wait = self.project().wait;
        let taken = core::task::ready!(wait.as_mut().poll_acquire(cx.waker()));
        let semaphore = wait.handle_mut().0.take().expect("the semaphore stays until the first outcome");
        Poll::Ready(taken.map(|permits| OwnedPermit { semaphore, permits }))
    }
}

impl<L: RawLock> FusedFuture for AcquireOwned<L> {
    fn is_terminated(&self) -> bool {
        self.wait.is_done()
    }
}

impl<L: RawLock> fmt::Debug for AcquireOwned<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl<L: RawLock> Deref for Owned<L> {
    type Target = Engine<L>;

    #[inline]
    fn deref(&self) -> &Engine<L> {
        &self.0.as_ref().expect("the semaphore of a wait that is not over").engine
    }
}
