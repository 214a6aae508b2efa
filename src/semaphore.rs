//! A counting semaphore: [`Semaphore`], the [`Permit`]s it lends, and the futures that wait for them.
//!
//! ```
//! use tollgate::Semaphore;
//!
//! static CONNECTIONS: Semaphore = Semaphore::new(2); // const, no allocation
//!
//! # futures_lite::future::block_on(async {
//! let one = CONNECTIONS.acquire().await?;
//! let two = CONNECTIONS.acquire().await?;
//! assert!(CONNECTIONS.try_acquire().is_err());
//! drop(one); // goes to the longest waiting, or back to the count
//! assert_eq!(CONNECTIONS.available_permits(), 1);
//! # drop(two);
//! # Ok::<(), tollgate::Closed>(())
//! # }).unwrap();
//! ```

mod brief;
mod engine;
pub(crate) mod loan;
#[cfg(test)]
mod models;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
mod owned;
mod permits;

use core::fmt;
use core::mem;
use core::ops::{Deref, RangeInclusive};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};
use crate::wait::waiting::Waiting;
use engine::Engine;
use permits::Demand;

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use owned::{AcquireOwned, OwnedPermit};

/// A counting semaphore: at most so many permits are out at once, and who has to wait is served in turn.
///
/// Waiters live in the waiting futures, so waiting allocates nothing; `new` is `const`, so a semaphore can be a `static`;
/// nothing here knows a runtime.
///
/// ```
/// use tollgate::Semaphore;
///
/// static SESSIONS: Semaphore = Semaphore::new(1);
///
/// # futures_lite::future::block_on(async {
/// let session = SESSIONS.acquire().await?;
/// assert!(SESSIONS.try_acquire().is_err(), "one at a time");
/// drop(session);
/// assert!(SESSIONS.try_acquire().is_ok());
/// # Ok::<(), tollgate::Closed>(())
/// # }).unwrap();
/// ```
///
/// # Fairness
///
/// First in, first out. Nobody overtakes a queued waiter, [`try_acquire`](Self::try_acquire) neither, and a large request
/// at the front is waited for, however small those behind it are. Two calls opt out, one call at a time:
/// [`Acquire::barging`] may overtake, and [`Acquire::priority`] queues ahead of lower priorities.
///
/// The price of fairness is *futurelock*: a permit is handed to the first waiter, whether or not anyone polls it. A future
/// that has queued and is then neither polled nor dropped (kept alive beside a `select!` loop, or in a stream that nobody
/// reads) gets the permit and sits on it, and everyone behind it waits. It shows as a program that stands still with
/// [`available_permits`](Self::available_permits) at 0 and nobody holding a permit. The ways out: drop a future that lost
/// a race instead of keeping it, poll it along with whatever its task waits for, or make it a `barging` one that is polled
/// from its own task.
///
/// # Cancel safety
///
/// Dropping an [`Acquire`] at any moment gives up its place, and gives back what it was already granted. Those behind it
/// that can go on now are woken.
///
/// # Memory ordering
///
/// All successful operations on one semaphore lie in a single total order, and each happens after all earlier ones. What
/// a task did before it gave a permit back is visible to whoever takes a permit later.
///
/// # Size and cost
///
/// 32 bytes, and 64 for a waiting future, on a 64-bit machine with `std`. With nobody waiting, taking is one atomic
/// read-modify-write and giving back is one. With waiters, giving back takes the lock, and wakes after letting go of it.
/// A future that was granted its permits is polled or dropped without the lock.
///
/// With a lock that is [`CHEAP`](RawLock::CHEAP), as the default one is where it is a critical section, each of these takes the
/// lock instead, for a few dozen instructions, and there is a third of the code: 12 and 36 bytes where words have 32 bits.
///
/// Under the lock, at most 8 waiters are served at a time; [`priority`](Acquire::priority) walks past the waiters that it
/// overtakes.
///
/// # Other locks
///
/// `Semaphore<LocalLock>`, made by [`with_lock`](Self::with_lock), stays on one thread and uses no atomic
/// read-modify-writes. Any [`RawLock`] will do.
pub struct Semaphore<L: RawLock = DefaultLock> {
    engine: Engine<L>,
}

/// Permits on loan; dropping it gives them back.
///
/// ```
/// # use tollgate::Semaphore;
/// let gate = Semaphore::new(1);
/// {
///     let _permit = gate.try_acquire()?; // `_` alone would give it back at once
///     assert_eq!(gate.available_permits(), 0);
/// }
/// assert_eq!(gate.available_permits(), 1);
/// # Ok::<(), tollgate::TryAcquireError>(())
/// ```
#[must_use = "dropping a `Permit` gives its permits back at once"]
pub struct Permit<'a, L: RawLock = DefaultLock> {
    semaphore: &'a Semaphore<L>,
    permits: usize,
}

pin_project! {
    /// The future of [`Semaphore::acquire`] and its variants: `Result<Permit, Closed>`.
    ///
    /// It takes its place in the queue at its first poll, or at [`enroll`](Self::enroll). It may be polled by one task
    /// after another; the newest waker counts.
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(0);
    /// {
    ///     let mut impatient = pin!(gate.acquire());
    ///     impatient.as_mut().enroll();
    ///     assert_eq!(gate.waiters(), 1);
    /// }
    /// assert_eq!(gate.waiters(), 0, "its place is given up");
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Drop it at any moment: a place is given up, a grant goes on to the next.
    ///
    /// # Panics
    ///
    /// When polled after it has completed. [`reset`](Self::reset) makes it ready for another round.
    #[must_use = "an `Acquire` does nothing unless it is polled"]
    pub struct Acquire<'a, L: RawLock = DefaultLock> {
        #[pin]
        wait: Waiting<Borrowed<'a, L>, Engine<L>>,
    }
}

/// The semaphore was closed: no permits any more.
///
/// ```
/// use core::pin::pin;
/// use tollgate::{Closed, Semaphore};
///
/// let gate = Semaphore::new(0);
/// let mut waiting = pin!(gate.acquire());
/// waiting.as_mut().enroll();
/// gate.close();
/// assert_eq!(futures_lite::future::block_on(waiting).unwrap_err(), Closed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Closed;

/// Why permits could not be had at once.
///
/// ```
/// use tollgate::{Semaphore, TryAcquireError};
///
/// fn status(gate: &Semaphore) -> u16 {
///     match gate.try_acquire() {
///         Ok(_permit) => 200,
///         Err(TryAcquireError::NoPermits) => 429, // try again later
///         Err(TryAcquireError::Closed) => 503,
///     }
/// }
///
/// assert_eq!(status(&Semaphore::new(0)), 429);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryAcquireError {
    /// Too few are free, or somebody is queued for them.
    NoPermits,
    /// The semaphore was closed.
    Closed,
}

struct Borrowed<'a, L: RawLock>(&'a Semaphore<L>);

// === impl Semaphore ===

if_default_lock! {
    impl Semaphore<DefaultLock> {
        const_fn! {
            /// A semaphore with `permits` permits and the default lock.
            ///
            /// # Panics
            ///
            /// If `permits` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS); in a `static`, at compile time.
            ///
            /// ```
            /// use tollgate::Semaphore;
            ///
            /// static UPLOADS: Semaphore = Semaphore::new(4);
            /// assert_eq!(UPLOADS.available_permits(), 4);
            /// ```
            #[must_use]
            #[track_caller]
            pub const fn new(permits: usize) -> Self {
                Self::with_lock(permits)
            }
        }
    }
}

impl Semaphore<DefaultLock> {
    /// The most permits that may exist in one semaphore, whatever its lock: `usize::MAX >> 4`.
    ///
    /// Here and not for every lock, so that `Semaphore::MAX_PERMITS` needs no type arguments.
    pub const MAX_PERMITS: usize = permits::MAX;
}

impl<L: RawLock> Semaphore<L> {
    const_fn! {
        /// A semaphore with `permits` permits and the lock that its type names.
        ///
        /// A constructor of its own because `Semaphore::new(3)` has to know its lock without being told.
        ///
        /// # Panics
        ///
        /// If `permits` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
        ///
        /// ```
        /// use tollgate::{LocalLock, Semaphore};
        ///
        /// let gate = Semaphore::<LocalLock>::with_lock(2);
        /// assert_eq!(gate.available_permits(), 2);
        /// ```
        #[must_use]
        #[track_caller]
        pub const fn with_lock(permits: usize) -> Self {
            Self { engine: Engine::new(permits) }
        }
    }

    /// How many permits are free now; 0 while there is a debt. The number may be old as soon as it is there.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// let two = gate.try_acquire_many(2)?;
    /// assert_eq!(gate.available_permits(), 1);
    /// # drop(two);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.engine.word().available()
    }

    /// How many futures are queued now. Takes the lock for one read.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(0);
    /// let mut waiting = pin!(gate.acquire());
    /// waiting.as_mut().enroll();
    /// assert_eq!(gate.waiters(), 1);
    /// ```
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.engine.waiters()
    }

    /// Waits for one permit.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the semaphore is closed, or is closed while this waits.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Semaphore::new(1);
    /// let permit = gate.acquire().await?;
    /// assert_eq!(permit.permits(), 1);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[inline]
    pub fn acquire(&self) -> Acquire<'_, L> {
        self.acquire_demand(Demand::exactly(1))
    }

    /// Waits for `n` permits, all at once. Zero is granted at once.
    ///
    /// More than there are is waited for until enough are [added](Self::add_permits), and everyone behind waits too.
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
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let megabytes = Semaphore::new(64);
    /// let large = megabytes.acquire_many(48).await?;
    /// assert_eq!(megabytes.available_permits(), 16);
    /// # drop(large);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    #[inline]
    pub fn acquire_many(&self, n: usize) -> Acquire<'_, L> {
        self.acquire_demand(checked(n))
    }

    /// Waits for at least the range's start and takes up to its end: what there is when its turn comes.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// If the range is empty or its start exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS). An end above that means all.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let credits = Semaphore::new(5);
    /// let batch = credits.acquire_up_to(1..=usize::MAX).await?;
    /// assert_eq!(batch.permits(), 5);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    #[inline]
    pub fn acquire_up_to(&self, range: RangeInclusive<usize>) -> Acquire<'_, L> {
        self.acquire_demand(checked_range(&range))
    }

    /// Takes one permit if it can be had now without overtaking anyone.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError::NoPermits`] if none is free or somebody is queued, [`TryAcquireError::Closed`] if the semaphore
    /// is closed.
    ///
    /// ```
    /// # use tollgate::{Semaphore, TryAcquireError};
    /// let gate = Semaphore::new(1);
    /// let permit = gate.try_acquire()?;
    /// assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    /// # drop(permit);
    /// # Ok::<(), TryAcquireError>(())
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit<'_, L>, TryAcquireError> {
        self.try_demand(Demand::exactly(1))
    }

    /// Takes `n` permits if they can be had now without overtaking anyone. Zero is granted unless closed.
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
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// assert!(gate.try_acquire_many(4).is_err());
    /// assert!(gate.try_acquire_many(3).is_ok());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_acquire_many(&self, n: usize) -> Result<Permit<'_, L>, TryAcquireError> {
        self.try_demand(checked(n))
    }

    /// Takes what there is, from the range's start up to its end, if that can be had now without overtaking anyone.
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
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// assert_eq!(gate.try_acquire_up_to(2..=8)?.permits(), 3);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn try_acquire_up_to(&self, range: RangeInclusive<usize>) -> Result<Permit<'_, L>, TryAcquireError> {
        self.try_demand(checked_range(&range))
    }

    /// Takes one permit if one is free, ahead of whoever is queued.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire), but that somebody is queued is no reason.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(1);
    /// let mut large = pin!(gate.acquire_many(2));
    /// large.as_mut().enroll();
    /// assert!(gate.try_acquire().is_err(), "somebody is queued");
    /// assert!(gate.try_acquire_barging().is_ok());
    /// ```
    pub fn try_acquire_barging(&self) -> Result<Permit<'_, L>, TryAcquireError> {
        self.try_demand(Demand::exactly(1).barging())
    }

    /// Waits for one permit and blocks the thread meanwhile.
    ///
    /// For threads that run no tasks: a task that blocks its thread keeps others from giving permits back.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// static GATE: Semaphore = Semaphore::new(1);
    /// let permit = GATE.acquire_blocking()?;
    /// let other = std::thread::spawn(|| GATE.acquire_blocking().map(|permit| permit.permits()));
    /// drop(permit);
    /// assert_eq!(other.join().unwrap(), Ok(1));
    /// # Ok::<(), tollgate::Closed>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn acquire_blocking(&self) -> Result<Permit<'_, L>, Closed>
    where
        L: Sync,
    {
        crate::sync::block_on(core::pin::pin!(self.acquire()))
    }

    /// Waits for `n` permits and blocks the thread meanwhile.
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
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// assert_eq!(gate.acquire_many_blocking(2)?.permits(), 2);
    /// # Ok::<(), tollgate::Closed>(())
    /// ```
    #[cfg(feature = "std")]
    #[track_caller]
    pub fn acquire_many_blocking(&self, n: usize) -> Result<Permit<'_, L>, Closed>
    where
        L: Sync,
    {
        crate::sync::block_on(core::pin::pin!(self.acquire_many(n)))
    }

    /// Adds `n` permits to those that exist, and serves whoever waits for them.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) would exist, lent ones included; nothing has changed then.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(0);
    /// gate.add_permits(2);
    /// assert_eq!(gate.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        self.engine.add(n);
    }

    /// Takes up to `n` free permits out of existence and says how many. Lent ones are left alone: see
    /// [`reduce_permits`](Self::reduce_permits) for an exact form.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// let lent = gate.try_acquire()?;
    /// assert_eq!(gate.forget_permits(5), 2);
    /// drop(lent);
    /// assert_eq!(gate.available_permits(), 1);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    pub fn forget_permits(&self, n: usize) -> usize {
        self.engine.forget_free(n)
    }

    /// Takes exactly `n` permits out of existence. If too few are free, the rest is a debt that coming releases pay off
    /// before anyone is served.
    ///
    /// # Panics
    ///
    /// If, with all lent permits back, more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) would still be owed; nothing has
    /// changed then.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(2);
    /// let both = gate.try_acquire_many(2)?;
    /// gate.reduce_permits(1);
    /// drop(both); // one pays the debt, one is free
    /// assert_eq!(gate.available_permits(), 1);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn reduce_permits(&self, n: usize) {
        self.engine.reduce(n);
    }

    /// Makes `n` permits exist in all, lent ones included, whatever is lent now.
    ///
    /// Growing serves whoever waits. Shrinking below what is lent leaves a debt, as
    /// [`reduce_permits`](Self::reduce_permits) does. Calls may race with each other and with everything else: the
    /// last one stands.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(8);
    /// let lent = gate.try_acquire_many(5)?;
    /// gate.set_limit(4);
    /// assert_eq!(gate.available_permits(), 0);
    /// drop(lent);
    /// assert_eq!(gate.available_permits(), 4);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn set_limit(&self, n: usize) {
        self.engine.set_total(n);
    }

    /// Closes for good: whoever waits gets [`Closed`], and so does whoever comes. Permits on loan stay valid.
    ///
    /// ```
    /// # use tollgate::{Semaphore, TryAcquireError};
    /// let gate = Semaphore::new(1);
    /// gate.close();
    /// assert_eq!(gate.try_acquire().unwrap_err(), TryAcquireError::Closed);
    /// ```
    pub fn close(&self) {
        self.engine.close();
    }

    /// Whether [`close`](Self::close) was called.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(1);
    /// assert!(!gate.is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.word().is_closed()
    }

    #[inline]
    fn acquire_demand(&self, demand: Demand) -> Acquire<'_, L> {
        Acquire { wait: Waiting::new(Borrowed(self), demand, 0) }
    }

    #[inline]
    fn try_demand(&self, demand: Demand) -> Result<Permit<'_, L>, TryAcquireError> {
        self.engine.take_now(demand).map(|permits| Permit { semaphore: self, permits })
    }
}

#[track_caller]
fn checked(n: usize) -> Demand {
    assert!(n <= permits::MAX, "more permits asked for than `Semaphore::MAX_PERMITS`");
    Demand::exactly(n)
}

#[track_caller]
fn checked_range(range: &RangeInclusive<usize>) -> Demand {
    assert!(!range.is_empty(), "an empty range of permits");
    let (min, max) = (*range.start(), *range.end());
    assert!(min <= permits::MAX, "more permits asked for than `Semaphore::MAX_PERMITS`");
    Demand::between(min, max.min(permits::MAX))
}

impl<L: RawLock> fmt::Debug for Semaphore<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One load, no lock: a debugger's print must not block.
        let word = self.engine.word();
        f.debug_struct("Semaphore")
            .field("balance", &word.balance())
            .field("has_waiters", &word.has_waiters())
            .field("closed", &word.is_closed())
            .finish()
    }
}

// === impl Permit ===

impl<'a, L: RawLock> Permit<'a, L> {
    /// How many permits this holds.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let rows = Semaphore::new(8);
    /// let batch = rows.try_acquire_up_to(1..=32)?;
    /// assert_eq!(batch.permits(), 8, "so many rows may be written");
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use]
    pub const fn permits(&self) -> usize {
        self.permits
    }

    /// The semaphore that lent them.
    ///
    /// ```
    /// # use tollgate::{Permit, Semaphore};
    /// fn helpers(permit: &Permit<'_>) -> usize {
    ///     permit.semaphore().available_permits() // the permit is all that is handed on
    /// }
    ///
    /// let gate = Semaphore::new(3);
    /// assert_eq!(helpers(&gate.try_acquire()?), 2);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use]
    pub const fn semaphore(&self) -> &'a Semaphore<L> {
        self.semaphore
    }

    /// Splits `n` permits off, or returns `None` and leaves all here if there are fewer.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(3);
    /// let mut three = gate.try_acquire_many(3)?;
    /// let one = three.split(1).unwrap();
    /// drop(three);
    /// assert_eq!((one.permits(), gate.available_permits()), (1, 2));
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[must_use = "what is split off is given back when it is dropped"]
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Self { semaphore: self.semaphore, permits: n })
    }

    /// Takes another permit's permits into this one.
    ///
    /// # Panics
    ///
    /// If they come from another semaphore; both give back what they hold then.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(2);
    /// let mut one = gate.try_acquire()?;
    /// one.merge(gate.try_acquire()?);
    /// assert_eq!(one.permits(), 2);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(core::ptr::eq(self.semaphore, other.semaphore), "permits of different semaphores cannot be merged");
        self.permits += mem::take(&mut other.permits);
    }

    /// Takes these permits out of existence instead of giving them back.
    ///
    /// ```
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(2);
    /// gate.try_acquire()?.forget();
    /// assert_eq!(gate.available_permits(), 1);
    /// # Ok::<(), tollgate::TryAcquireError>(())
    /// ```
    pub fn forget(mut self) {
        self.semaphore.engine.forget_lent(mem::take(&mut self.permits));
    }
}

impl<L: RawLock> Drop for Permit<'_, L> {
    #[inline]
    fn drop(&mut self) {
        self.semaphore.engine.give(self.permits);
    }
}

impl<L: RawLock> fmt::Debug for Permit<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("permits", &self.permits).field("semaphore", self.semaphore).finish()
    }
}

// === impl Acquire ===

impl<L: RawLock> Acquire<'_, L> {
    /// Lets this request overtake: it takes permits that are free at its first poll although others are queued. If there
    /// are too few it queues like everyone else.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Semaphore::new(1);
    /// let mut large = pin!(gate.acquire_many(2));
    /// large.as_mut().enroll();
    /// assert!(gate.acquire().barging().await.is_ok());
    /// # });
    /// ```
    pub fn barging(mut self) -> Self {
        self.wait.amend(Demand::barging);
        self
    }

    /// Queues ahead of requests of lower priority, and behind those of its own. The default is 0, the lowest.
    ///
    /// # Size and cost
    ///
    /// Nothing to allocate. Queueing walks past the waiters that it overtakes with the lock held.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # use tollgate::Semaphore;
    /// let gate = Semaphore::new(0);
    /// let mut usual = pin!(gate.acquire());
    /// usual.as_mut().enroll();
    /// let mut urgent = pin!(gate.acquire().priority(1));
    /// urgent.as_mut().enroll();
    /// gate.add_permits(1);
    /// let mut context = Context::from_waker(Waker::noop());
    /// let served = urgent.poll(&mut context);
    /// assert!(served.is_ready());
    /// assert!(usual.poll(&mut context).is_pending());
    /// ```
    pub fn priority(mut self, priority: u8) -> Self {
        self.wait.set_rank(priority);
        self
    }

    /// Takes the permits or a place in the queue now, before anybody polls. Does nothing if it has either, or had.
    ///
    /// Whoever enrols and then neither polls nor drops keeps everyone behind it waiting.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Semaphore::new(1);
    /// let mut first = pin!(gate.acquire());
    /// first.as_mut().enroll();
    /// assert!(gate.try_acquire().is_err());
    /// let permit = first.await?;
    /// # drop(permit);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    pub fn enroll(self: Pin<&mut Self>) {
        self.project().wait.enroll();
    }

    /// Cancels this request, as dropping it does, and makes it a new one for `n` permits, in place.
    ///
    /// So one pinned future serves any number of rounds; priority stays, barging does not.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`Semaphore::MAX_PERMITS`].
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use tollgate::Semaphore;
    /// # futures_lite::future::block_on(async {
    /// let gate = Semaphore::new(2);
    /// let mut acquire = pin!(gate.acquire());
    /// drop(acquire.as_mut().await?);
    /// acquire.as_mut().reset(2);
    /// assert_eq!(acquire.await?.permits(), 2);
    /// # Ok::<(), tollgate::Closed>(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn reset(self: Pin<&mut Self>, n: usize) {
        self.project().wait.restart(None, checked(n));
    }
}

impl<'a, L: RawLock> Future for Acquire<'a, L> {
    type Output = Result<Permit<'a, L>, Closed>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut wait = self.project().wait;
        let taken = core::task::ready!(wait.as_mut().poll_acquire(cx.waker()));
        let semaphore = wait.handle().0;
        Poll::Ready(taken.map(|permits| Permit { semaphore, permits }))
    }
}

impl<L: RawLock> FusedFuture for Acquire<'_, L> {
    fn is_terminated(&self) -> bool {
        self.wait.is_done()
    }
}

impl<L: RawLock> fmt::Debug for Acquire<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl<L: RawLock> Deref for Borrowed<'_, L> {
    type Target = Engine<L>;

    #[inline]
    fn deref(&self) -> &Engine<L> {
        &self.0.engine
    }
}

// === impl errors ===

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("the semaphore is closed")
    }
}

impl core::error::Error for Closed {}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPermits => f.pad("no permits are free"),
            Self::Closed => fmt::Display::fmt(&Closed, f),
        }
    }
}

impl core::error::Error for TryAcquireError {}

impl From<Closed> for TryAcquireError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}
