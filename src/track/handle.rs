//! Ways into a tracker.

use core::fmt;

use super::engine::{End, Engine};
use super::places::{Name, Place, Slot};
use super::word::{MAX_LIVE, Refusal};
use super::{Guard, Tracked, Tracker, TrackerClosed};
use crate::sync::RawLock;

/// What tracked work keeps of its tracker: [`&Tracker`](super::Tracker), or `Arc<Tracker>` where there are `Arc`s.
///
/// Sealed, for it is only there to say both in one.
pub trait Handle: Clone + sealed::Sealed {
    /// The tracker's lock.
    type Lock: RawLock;

    #[doc(hidden)]
    fn tracker(&self) -> &Tracker<Self::Lock>;
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// A way into a tracker: under a name, or for work that keeps the tracker alive.
///
/// Made by [`Tracker::named`] and `Tracker::owned`. It counts for nothing itself, and may be kept, cloned and used again.
///
/// ```
/// use tollgate::Tracker;
///
/// let tracker = Tracker::new();
/// let workers = tracker.named("worker");
/// let (one, two) = (workers.guard(), workers.guard());
/// assert_eq!(tracker.live(), 2);
/// # drop((one, two));
/// ```
#[derive(Clone, Copy)]
#[must_use = "an `Entrance` tracks nothing until it is asked to"]
pub struct Entrance<H> {
    handle: H,
    name: Name,
}

/// One that is counted. Whoever has it has to let it [`leave`](Self::leave), once.
#[derive(Debug)]
pub(super) struct Ticket<H> {
    handle: H,
    slot: Slot,
}

/// Lets a ticket leave when it is dropped, by a panic too.
#[derive(Debug)]
pub(super) struct Leaving<H: Handle> {
    ticket: Ticket<H>,
    end: End,
}

// === impl Handle ===

impl<L: RawLock> sealed::Sealed for &Tracker<L> {}

impl<L: RawLock> Handle for &Tracker<L> {
    type Lock = L;

    #[inline(always)]
    fn tracker(&self) -> &Tracker<L> {
        self
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> sealed::Sealed for alloc::sync::Arc<Tracker<L>> {}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> Handle for alloc::sync::Arc<Tracker<L>> {
    type Lock = L;

    #[inline(always)]
    fn tracker(&self) -> &Tracker<L> {
        self
    }
}

// === impl Entrance ===

impl<H: Handle> Entrance<H> {
    #[inline(always)]
    pub(super) const fn new(handle: H, name: Name) -> Self {
        Self { handle, name }
    }

    /// The same way in, under this name.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let reader = tracker.named("worker").named("reader").guard();
    /// # drop(reader);
    /// ```
    pub fn named(self, name: &'static str) -> Self {
        Self { name: Name::new(name), ..self }
    }

    /// As [`Tracker::track`].
    ///
    /// # Panics
    ///
    /// As there.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let jobs = tracker.named("job");
    /// let (one, two) = (jobs.track(async { 1 }), jobs.track(async { 2 }));
    /// assert_eq!(tracker.live(), 2);
    /// assert_eq!(futures_lite::future::block_on(one) + futures_lite::future::block_on(two), 3);
    /// assert_eq!(tracker.finished(), 2);
    /// ```
    #[track_caller]
    #[inline]
    pub fn track<F: Future>(&self, future: F) -> Tracked<F, H> {
        Tracked::new(future, self.enter(Place::here(self.name)))
    }

    /// As [`Tracker::try_track`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    ///
    /// ```
    /// # use tollgate::Tracker;
    /// let tracker = Tracker::new();
    /// let jobs = tracker.named("job");
    /// tracker.close();
    /// let Err(refused) = jobs.try_track(async { "untracked" }) else { panic!("closed") };
    /// assert_eq!(futures_lite::future::block_on(refused), "untracked");
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_track<F: Future>(&self, future: F) -> Result<Tracked<F, H>, F> {
        match self.try_enter(Place::here(self.name)) {
            Ok(ticket) => Ok(Tracked::new(future, ticket)),
            Err(TrackerClosed) => Err(future),
        }
    }

    /// As [`Tracker::guard`].
    ///
    /// # Panics
    ///
    /// As there.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use tollgate::Tracker;
    /// let threads = Arc::new(Tracker::new());
    /// let alive = threads.owned().guard(); // into a thread, though the tracker is no `static`
    /// std::thread::spawn(move || drop(alive)).join().unwrap();
    /// assert_eq!(threads.finished(), 1);
    /// ```
    #[track_caller]
    #[inline]
    pub fn guard(&self) -> Guard<H> {
        Guard::new(self.enter(Place::here(self.name)))
    }

    /// As [`Tracker::try_guard`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    ///
    /// ```
    /// # use tollgate::track::{Tracker, TrackerClosed};
    /// let tracker = Tracker::new();
    /// let connections = tracker.named("connection");
    /// assert!(connections.try_guard().is_ok());
    /// tracker.close();
    /// assert_eq!(connections.try_guard().unwrap_err(), TrackerClosed);
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_guard(&self) -> Result<Guard<H>, TrackerClosed> {
        self.try_enter(Place::here(self.name)).map(Guard::new)
    }

    #[track_caller]
    #[inline]
    fn enter(&self, place: Place) -> Ticket<H> {
        match self.try_enter(place) {
            Ok(ticket) => ticket,
            Err(TrackerClosed) => refused(Refusal::Closed),
        }
    }

    #[track_caller]
    #[inline]
    fn try_enter(&self, place: Place) -> Result<Ticket<H>, TrackerClosed> {
        match self.handle.tracker().engine.enter(place) {
            Ok(slot) => Ok(Ticket { handle: self.handle.clone(), slot }),
            Err(Refusal::Closed) => Err(TrackerClosed),
            Err(Refusal::Full) => refused(Refusal::Full),
        }
    }
}

#[cold]
#[track_caller]
fn refused(why: Refusal) -> ! {
    match why {
        Refusal::Closed => {
            panic!("the tracker is closed; where work may come after that, use `try_track` or `try_guard`")
        }
        Refusal::Full => panic!("more than {MAX_LIVE} would be alive, which is `Tracker::MAX_LIVE`"),
    }
}

impl<H: Handle> fmt::Debug for Entrance<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("name", &self.name).field("tracker", self.handle.tracker()).finish()
    }
}

// === impl Ticket ===

impl<H: Handle> Ticket<H> {
    #[inline(always)]
    fn engine(&self) -> &Engine<H::Lock> {
        &self.handle.tracker().engine
    }

    #[inline(always)]
    pub(super) fn tracker(&self) -> &Tracker<H::Lock> {
        self.handle.tracker()
    }

    /// Leaves the tracker. Call it once.
    #[inline(always)]
    pub(super) fn leave(&self, end: End) {
        self.engine().leave(self.slot, end);
    }

    /// Leaves when what this makes is dropped.
    #[inline(always)]
    pub(super) fn leaving(self, end: End) -> Leaving<H> {
        Leaving { ticket: self, end }
    }
}

impl<H: Handle> Drop for Leaving<H> {
    #[inline(always)]
    fn drop(&mut self) {
        self.ticket.leave(self.end);
    }
}
