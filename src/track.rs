//! What is still alive, how much was at once, and where it was started: [`Tracker`].
//!
//! ```
//! use tollgate::Tracker;
//!
//! static JOBS: Tracker = Tracker::new(); // const, no allocation
//!
//! # futures_lite::future::block_on(async {
//! let job = JOBS.named("sum").track(async { 1 + 1 }); // give this to any executor
//! assert_eq!(JOBS.live(), 1);
//! assert!(JOBS.verify_none().is_err());
//! assert_eq!(job.await, 2);
//! assert!(JOBS.verify_none().is_ok());
//! # });
//! ```
//!
//! # In a test
//!
//! One tracker a test, and tests run side by side without seeing each other:
//!
//! ```
//! use core::time::Duration;
//! use tollgate::Tracker;
//! use tollgate::time::ThreadTimer;
//!
//! # futures_lite::future::block_on(async {
//! let tracker = Tracker::new();
//! // ... run what is to be tested with work in `tracker.track(..)`, then:
//! let leaks = tracker.verify_none_within(ThreadTimer, Duration::from_secs(1)).await;
//! assert_eq!(leaks, Ok(())); // or it says which, as in: 2 leaked: src/pool.rs:31:17 x2 "worker"
//! # });
//! ```

mod empty;
mod engine;
mod handle;
mod leaks;
#[cfg(all(test, feature = "alloc", target_has_atomic = "ptr"))]
mod model;
#[cfg_attr(not(feature = "locations"), path = "track/no_places.rs")]
mod places;
mod tracked;
mod word;

use core::fmt;
use core::time::Duration;

use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};
use crate::time::{DeadlineExt, Timer};
use engine::{Baseline, Engine};
use places::Name;

pub use empty::{VerifyNone, WaitEmpty};
pub use handle::{Entrance, Handle};
pub use leaks::{Leak, Leaks};
pub use tracked::{Guard, Tracked};

/// Counts what is alive: futures on any executor, threads, connections, whatever begins and ends.
///
/// It can be a `static`, or there may be one a test, a request or a subsystem; trackers know nothing of each other.
///
/// Work counts from the moment it is given to the tracker, polled or not, until its destructor has run. So when
/// nothing is alive any more, nothing of it is left: no borrowed buffer, no open file, no permit.
///
/// ```
/// use tollgate::Tracker;
///
/// let tracker = Tracker::new();
/// let job = tracker.track(async { "done" });
/// assert_eq!(tracker.live(), 1, "it counts before it is polled");
/// assert_eq!(futures_lite::future::block_on(job), "done");
/// assert_eq!((tracker.live(), tracker.finished()), (0, 1));
/// ```
///
/// # Closing
///
/// [`close`](Self::close) refuses new work for ever. `tracker.close(); tracker.wait_empty().await` is a shutdown after
/// which the tracker stays empty. Code that may run after that uses [`try_track`](Self::try_track), which hands the refused
/// future back; [`track`](Self::track) panics, for work that silently was not run, or not tracked, would be worse.
///
/// # Places
///
/// With the feature `locations`, each piece of work is counted at the line that tracked it, and under the name that it was
/// given by [`named`](Self::named), and [`Leaks`] tell both. The table has 32 lines. A line is taken while something from
/// its place is alive, so that many places can have live work at once; whatever comes from further places is told as being
/// elsewhere. Without the feature, places and names take no time and no space.
///
/// # Memory ordering
///
/// What tracked work did, and what its destructor did, happens before an end of [`wait_empty`](Self::wait_empty), a
/// [`live`](Self::live) of 0 or a [`verify_none`](Self::verify_none) that is `Ok`.
///
/// # Size and cost
///
/// 56 bytes on a 64-bit machine with `std`; with `locations`, 1 KB more (32 bytes a line; 20 on 32-bit).
///
/// Without `locations`, coming and going are one atomic read-modify-write each (compare-and-swap, so more when several
/// collide). All numbers come out of the word that they change; there are no counters beside it, but for the peak, which is
/// noted by the first that leaves it. The lock is taken by the last to leave while somebody waits, and once in 65536 ends
/// (64 on 32-bit), when a short count in the word is full. With `locations`, coming and going take the lock and
/// search the table.
///
/// No 64-bit atomics are needed. Up to [`MAX_LIVE`](Self::MAX_LIVE) may be alive.
pub struct Tracker<L: RawLock = DefaultLock> {
    engine: Engine<L>,
}

/// The numbers of a [`Tracker`] at one moment: `started == live + finished + dropped_unfinished`.
///
/// ```
/// use tollgate::track::{Counts, Tracker};
///
/// let tracker = Tracker::new();
/// futures_lite::future::block_on(tracker.track(async {}));
/// drop(tracker.track(async {}));
/// let Counts { started, finished, dropped_unfinished, .. } = tracker.counts();
/// assert_eq!((started, finished, dropped_unfinished), (2, 1, 1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Counts {
    /// How many are alive.
    pub live: usize,
    /// The most that were alive at once.
    pub peak: usize,
    /// How many were ever tracked. It wraps after `usize::MAX`, as those below.
    pub started: usize,
    /// How many of them were ready, or were guards that were dropped.
    pub finished: usize,
    /// How many of them were futures that were dropped before they were ready.
    pub dropped_unfinished: usize,
}

/// A moment in a tracker's life, from [`Tracker::snapshot`].
///
/// What was alive then is forgiven: only what has been tracked since is a leak.
///
/// ```
/// use tollgate::Tracker;
///
/// static JOBS: Tracker = Tracker::new();
/// let of_others = JOBS.guard();
/// let before = JOBS.snapshot();
/// futures_lite::future::block_on(JOBS.track(async {})); // what is to leave nothing behind
/// assert!(JOBS.verify_none().is_err());
/// assert!(before.verify_none().is_ok());
/// # drop(of_others);
/// ```
///
/// # Precision
///
/// With the feature `locations` old and new are told apart one by one, as far as the table of places has room. Without it,
/// and beyond that room, there are only counts: there is a leak if more are alive than were then. That never accuses wrongly,
/// but misses a leak for each old one that has ended. One tracker a test misses none.
#[derive(Clone, Copy)]
#[must_use = "a `Snapshot` is there to verify against"]
pub struct Snapshot<'t, L: RawLock = DefaultLock> {
    tracker: &'t Tracker<L>,
    baseline: Baseline,
}

/// The tracker was closed and takes no new work.
///
/// ```
/// use tollgate::track::{Tracker, TrackerClosed};
///
/// fn accept(connections: &Tracker) -> Result<(), TrackerClosed> {
///     let _alive = connections.try_guard()?;
///     Ok(()) // ... or rather serve it
/// }
///
/// let connections = Tracker::new();
/// assert_eq!(accept(&connections), Ok(()));
/// connections.close();
/// assert_eq!(accept(&connections), Err(TrackerClosed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrackerClosed;

// === impl Tracker ===

if_default_lock! {
    impl Tracker<DefaultLock> {
        const_fn! {
            /// A tracker of nothing yet, with the default lock.
            ///
            /// ```
            /// use tollgate::Tracker;
            ///
            /// static CONNECTIONS: Tracker = Tracker::new();
            /// assert_eq!(CONNECTIONS.live(), 0);
            /// ```
            #[must_use]
            pub const fn new() -> Self {
                Self::with_lock()
            }
        }
    }

    impl Default for Tracker<DefaultLock> {
        fn default() -> Self {
            Self::new()
        }
    }
}

impl<L: RawLock> Tracker<L> {
    /// The most that may be alive at once: 2^30 - 1 on 64-bit machines, 2^18 - 1 on 32-bit, 2^8 - 1 on 16-bit.
    pub const MAX_LIVE: usize = word::MAX_LIVE;

    const_fn! {
        /// A tracker of nothing yet, with the lock that its type names.
        ///
        /// ```
        /// use tollgate::{LocalLock, Tracker};
        ///
        /// let tracker = Tracker::<LocalLock>::with_lock();
        /// assert_eq!(tracker.live(), 0);
        /// ```
        #[must_use]
        pub const fn with_lock() -> Self {
            Self { engine: Engine::new() }
        }
    }

    // === taking work ===

    /// Counts `future` as alive from now until it is gone, and gives back one that does the same.
    ///
    /// It counts before it is polled, so a task that was never started is found as well.
    ///
    /// # Panics
    ///
    /// If the tracker is closed, or more than [`MAX_LIVE`](Self::MAX_LIVE) would be alive. Nothing has changed then.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let job = tracker.track(async { 6 * 7 });
    /// assert_eq!(tracker.live(), 1);
    /// assert_eq!(futures_lite::future::block_on(job), 42);
    /// assert_eq!(tracker.live(), 0);
    /// ```
    #[track_caller]
    #[inline]
    pub fn track<F: Future>(&self, future: F) -> Tracked<F, &Self> {
        self.entrance().track(future)
    }

    /// As [`track`](Self::track), where the tracker may be closed.
    ///
    /// # Errors
    ///
    /// The future itself, if the tracker is closed.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_LIVE`](Self::MAX_LIVE) would be alive. Nothing has changed then.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// tracker.close();
    /// let Err(refused) = tracker.try_track(async { 42 }) else { panic!("closed") };
    /// assert_eq!(futures_lite::future::block_on(refused), 42, "it can still be run, untracked");
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_track<F: Future>(&self, future: F) -> Result<Tracked<F, &Self>, F> {
        self.entrance().try_track(future)
    }

    /// Counts something that is no future as alive until the guard is dropped.
    ///
    /// # Panics
    ///
    /// As [`track`](Self::track).
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// static THREADS: Tracker = Tracker::new();
    /// let guard = THREADS.guard();
    /// let thread = std::thread::spawn(move || {
    ///     let _alive = guard;
    ///     // ... work ...
    /// });
    /// # thread.join().unwrap();
    /// assert_eq!(THREADS.finished(), 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn guard(&self) -> Guard<&Self> {
        self.entrance().guard()
    }

    /// As [`guard`](Self::guard), where the tracker may be closed.
    ///
    /// # Errors
    ///
    /// [`TrackerClosed`] if the tracker is closed.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_LIVE`](Self::MAX_LIVE) would be alive. Nothing has changed then.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// # use tollgate::track::TrackerClosed;
    /// let tracker = Tracker::new();
    /// tracker.close();
    /// assert_eq!(tracker.try_guard().unwrap_err(), TrackerClosed);
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_guard(&self) -> Result<Guard<&Self>, TrackerClosed> {
        self.entrance().try_guard()
    }

    /// A way in under a name, which [`Leaks`] tell beside the place.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let worker = tracker.named("worker").track(async {});
    /// # #[cfg(feature = "locations")]
    /// assert!(tracker.verify_none().unwrap_err().to_string().ends_with(r#" x1 "worker""#));
    /// # drop(worker);
    /// ```
    #[inline]
    pub fn named(&self, name: &'static str) -> Entrance<&Self> {
        Entrance::new(self, Name::new(name))
    }

    /// A way in for work that keeps the tracker alive and borrows nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Tracker;
    /// let tracker = Arc::new(Tracker::new());
    /// let job = tracker.owned().named("job").track(async { 42 });
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(job));
    /// assert_eq!(thread.join().unwrap(), 42);
    /// assert_eq!(tracker.finished(), 1);
    /// ```
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    pub fn owned(self: &alloc::sync::Arc<Self>) -> Entrance<alloc::sync::Arc<Self>> {
        Entrance::new(self.clone(), Name::NONE)
    }

    #[inline(always)]
    fn entrance(&self) -> Entrance<&Self> {
        Entrance::new(self, Name::NONE)
    }

    /// Takes no new work from now on, for ever. What is alive goes on.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let job = tracker.track(async {});
    /// tracker.close();
    /// futures_lite::future::block_on(job);
    /// assert!(tracker.try_guard().is_err());
    /// ```
    pub fn close(&self) {
        self.engine.close();
    }

    /// Whether it was closed.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let mut accepted = 0;
    /// while !tracker.is_closed() {
    ///     accepted += 1;
    ///     if accepted == 3 {
    ///         tracker.close();
    ///     }
    /// }
    /// assert_eq!(accepted, 3);
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.engine.word().is_closed()
    }

    // === numbers ===

    /// How many are alive. One load.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let one = tracker.guard();
    /// let two = tracker.track(async {}); // polled or not
    /// assert_eq!(tracker.live(), 2);
    /// drop((one, two));
    /// assert_eq!(tracker.live(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub fn live(&self) -> usize {
        self.engine.word().live()
    }

    /// The most that were alive at once, exactly. Two loads.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// drop((tracker.guard(), tracker.guard()));
    /// drop(tracker.guard());
    /// assert_eq!(tracker.peak(), 2);
    /// ```
    #[must_use]
    pub fn peak(&self) -> usize {
        self.engine.peak()
    }

    /// How many were ever tracked. Takes the lock for a moment, as those below.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// drop(tracker.guard());
    /// let alive = tracker.guard();
    /// assert_eq!((tracker.started(), tracker.live()), (2, 1));
    /// # drop(alive);
    /// ```
    #[must_use]
    pub fn started(&self) -> usize {
        self.counts().started
    }

    /// How many of them ended by themselves: futures that were ready, guards that were dropped.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// futures_lite::future::block_on(tracker.track(async {}));
    /// drop(tracker.guard());
    /// drop(tracker.track(async {})); // was not ready
    /// assert_eq!((tracker.finished(), tracker.started()), (2, 3));
    /// ```
    #[must_use]
    pub fn finished(&self) -> usize {
        self.counts().finished
    }

    /// How many futures were dropped before they were ready, by a cancellation or after a panic.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// drop(tracker.track(async {}));
    /// assert_eq!((tracker.finished(), tracker.dropped_unfinished()), (0, 1));
    /// ```
    #[must_use]
    pub fn dropped_unfinished(&self) -> usize {
        self.counts().dropped_unfinished
    }

    /// All numbers at one moment, so that they add up while work comes and goes.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let alive = tracker.guard();
    /// drop(tracker.guard());
    /// let counts = tracker.counts();
    /// assert_eq!((counts.started, counts.live, counts.finished, counts.peak), (2, 1, 1, 2));
    /// # drop(alive);
    /// ```
    #[must_use]
    pub fn counts(&self) -> Counts {
        let engine::Numbers { live, finished, dropped } = self.engine.numbers();
        Counts {
            live,
            // After the others: it is no less than what was alive then.
            peak: self.engine.peak(),
            started: live.wrapping_add(finished).wrapping_add(dropped),
            finished,
            dropped_unfinished: dropped,
        }
    }

    // === the end ===

    /// Waits for a moment at which nothing is alive. It may be now.
    ///
    /// New work may come as long as the tracker is not [closed](Self::close), before and after that moment. No such moment
    /// is missed, however short it is. Work that waits for its own tracker waits for itself, for ever.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// static JOBS: Tracker = Tracker::new();
    /// let job = JOBS.track(async {});
    /// let thread = std::thread::spawn(|| futures_lite::future::block_on(job));
    /// futures_lite::future::block_on(JOBS.wait_empty());
    /// assert_eq!(JOBS.live(), 0);
    /// # thread.join().unwrap();
    /// ```
    pub fn wait_empty(&self) -> WaitEmpty<'_, L> {
        WaitEmpty::new(self)
    }

    /// Whether nothing is alive now.
    ///
    /// # Errors
    ///
    /// What is alive.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let forgotten = tracker.guard();
    /// let leaks = tracker.verify_none().unwrap_err();
    /// assert_eq!(leaks.count(), 1);
    /// # drop(forgotten);
    /// ```
    #[cfg_attr(not(feature = "alloc"), allow(clippy::result_large_err, reason = "there is no box to keep it in"))]
    pub fn verify_none(&self) -> Result<(), Leaks> {
        self.engine.alive(None).map(Leaks::new).map_or(Ok(()), Err)
    }

    /// Waits for nothing to be alive, for at most `duration`, which counts from the first poll.
    ///
    /// It ends as soon as that is so; there are no sleeps and no retries.
    ///
    /// # Errors
    ///
    /// What is still alive then.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use tollgate::Tracker;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let tracker = Tracker::new();
    /// let forgotten = tracker.guard();
    /// let verified = tracker.verify_none_within(&clock, Duration::ZERO);
    /// assert!(futures_lite::future::block_on(verified).is_err());
    /// # drop(forgotten);
    /// ```
    pub fn verify_none_within<T: Timer>(&self, timer: T, duration: Duration) -> VerifyNone<'_, T, L> {
        VerifyNone::new(self, self.wait_empty().timeout(timer, duration))
    }

    /// Remembers what is alive now, to [verify](Snapshot::verify_none) later that nothing of what came since is.
    ///
    /// For a tracker that outlives a test or a request, such as a `static` one.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let old = tracker.guard();
    /// let before = tracker.snapshot();
    /// let new = tracker.guard();
    /// assert_eq!(before.verify_none().unwrap_err().count(), 1);
    /// drop(new);
    /// assert!(before.verify_none().is_ok());
    /// # drop(old);
    /// ```
    pub fn snapshot(&self) -> Snapshot<'_, L> {
        Snapshot { tracker: self, baseline: self.engine.baseline() }
    }
}

impl<L: RawLock> fmt::Debug for Tracker<L> {
    /// Takes no lock, so not all numbers are there; see [`Tracker::counts`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker")
            .field("live", &self.live())
            .field("peak", &self.peak())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

// === impl Snapshot ===

impl<L: RawLock> Snapshot<'_, L> {
    /// Whether nothing is alive now that was tracked since.
    ///
    /// # Errors
    ///
    /// What of it is alive.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let before = tracker.snapshot();
    /// let job = tracker.track(async {});
    /// assert_eq!(before.verify_none().unwrap_err().count(), 1);
    /// futures_lite::future::block_on(job);
    /// assert_eq!(before.verify_none(), Ok(()));
    /// ```
    #[cfg_attr(not(feature = "alloc"), allow(clippy::result_large_err, reason = "there is no box to keep it in"))]
    pub fn verify_none(&self) -> Result<(), Leaks> {
        self.tracker.engine.alive(Some(self.baseline)).map(Leaks::new).map_or(Ok(()), Err)
    }
}

impl<L: RawLock> fmt::Debug for Snapshot<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("tracker", self.tracker).finish_non_exhaustive()
    }
}

// === impl TrackerClosed ===

impl fmt::Display for TrackerClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("the tracker is closed")
    }
}

impl core::error::Error for TrackerClosed {}
