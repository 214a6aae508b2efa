//! A limit that is set at run time, and that several streams share.

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use alloc::sync::Arc;
use core::fmt;

use futures_core::Stream;

use super::permitted::Permitted;
use super::{FanOut, Launch, Order, Storage};
use crate::semaphore::Semaphore;
use crate::semaphore::loan::{Lender, MOST, total};
use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};

/// How many futures may run at once, set at run time; for one stream, or for several together.
///
/// Give it to a stream with [`FanOut::limit_by`]. Make it a `static`, put it in an `Arc`, or keep it where the streams can
/// borrow it.
///
/// What all streams that share it run together is at most the limit. [Raising](Self::set) it wakes as many streams as can
/// start something now. Lowering it stops nothing that runs: no more is started until enough has finished. At 0 the streams
/// are paused: they finish what runs, start nothing and take nothing from their sources.
///
/// # Fairness
///
/// Streams that wait for room get it in turn, one future at a time. A stream whose consumer is away does not wait.
///
/// # Cost
///
/// One atomic read-modify-write when a future starts, and one when it has finished. Waiting for room allocates nothing, but
/// for a stream on the heap a small block the first time. 32 bytes on a 64-bit machine.
///
/// ```
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use tollgate::FanOutExt;
/// use tollgate::fan_out::Limit;
///
/// static UPLOADS: Limit = Limit::new(4);
///
/// let mut uploads = stream::iter(0..100).fan_out_with(16, |n| async move { n }).limit_by(&UPLOADS);
/// assert_eq!(block_on(uploads.next()), Some(0));
/// UPLOADS.set(1); // from anywhere, at any time
/// assert_eq!(block_on(uploads.count()), 99);
/// ```
pub struct Limit<L: RawLock = DefaultLock> {
    /// The limit is how many permits exist here, and is in no word beside that: with two, of two calls of [`Limit::set`]
    /// at once each could come last in one.
    room: Semaphore<L>,
}

if_default_lock! {
    impl Limit {
        const_fn! {
            /// A limit of `n` at first, with the default lock. 0 is a pause.
            ///
            /// [`Semaphore::MAX_PERMITS`] and anything above are as good as no limit.
            ///
            /// ```
            /// use tollgate::Limit;
            ///
            /// static UPLOADS: Limit = Limit::new(4);
            ///
            /// assert_eq!(UPLOADS.get(), 4);
            /// assert_eq!(Limit::new(usize::MAX).get(), usize::MAX); // none, until one is set
            /// ```
            #[must_use]
            pub const fn new(n: usize) -> Self {
                Self::with_lock(n)
            }
        }
    }
}

impl<L: RawLock> Limit<L> {
    const_fn! {
        /// A limit of `n` at first, with the lock that its type names.
        ///
        /// A constructor of its own because `Limit::new(3)` has to know its lock without being told.
        ///
        /// ```
        /// use core::future::ready;
        /// use futures_lite::{StreamExt, future::block_on, stream};
        /// use tollgate::{FanOutExt, Limit, LocalLock};
        ///
        /// let limit = Limit::<LocalLock>::with_lock(2); // for streams on one thread
        /// assert_eq!(block_on(stream::iter(0..10).fan_out_with(8, ready).limit_by(&limit).count()), 10);
        /// ```
        #[must_use]
        pub const fn with_lock(n: usize) -> Self {
            Self { room: Semaphore::with_lock(if n < MOST { n } else { MOST }) }
        }
    }

    /// Sets the limit, and wakes streams that can start something now.
    ///
    /// May be called from anywhere, an interrupt handler included if the lock and the wakers of the streams' tasks can be
    /// used there. Of two calls at the same time, either may come last.
    ///
    /// ```
    /// use core::task::{Context, Poll, Waker};
    /// use futures_core::Stream;
    /// use futures_lite::stream;
    /// use tollgate::FanOutExt;
    /// use tollgate::fan_out::Limit;
    ///
    /// let limit = Limit::new(0);
    /// let mut outputs = stream::iter([core::future::ready(1)]).fan_out(8).limit_by(&limit);
    /// let mut poll = || std::pin::Pin::new(&mut outputs).poll_next(&mut Context::from_waker(Waker::noop()));
    /// assert_eq!(poll(), Poll::Pending); // paused
    /// limit.set(8);
    /// assert_eq!(poll(), Poll::Ready(Some(1)));
    /// ```
    pub fn set(&self, n: usize) {
        self.room.set_limit(n.min(MOST));
    }

    /// The limit as it was set last, which is the one that streams hold to. No limit, from [`Semaphore::MAX_PERMITS`] on, is
    /// `usize::MAX`.
    ///
    /// ```
    /// use tollgate::Limit;
    ///
    /// let limit = Limit::new(8);
    /// limit.set(limit.get() / 2); // the server says that it is busy
    /// assert_eq!(limit.get(), 4);
    /// ```
    #[must_use]
    pub fn get(&self) -> usize {
        let limit = total(&self.room);
        if limit < MOST { limit } else { usize::MAX }
    }

    /// How many more futures could start now. The number may be old as soon as it is there.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::{FanOutExt, Limit};
    ///
    /// let limit = Limit::new(4);
    /// let mut jobs = stream::iter(0..10).fan_out_with(3, |_| yield_now()).limit_by(&limit);
    /// block_on(jobs.next());
    /// assert_eq!((jobs.in_flight(), limit.free()), (2, 2));
    /// ```
    #[must_use]
    pub fn free(&self) -> usize {
        self.room.available_permits()
    }
}

impl<L: RawLock> fmt::Debug for Limit<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit").field("limit", &self.get()).field("free", &self.free()).finish_non_exhaustive()
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Runs no more futures than `limit` allows, which can be set at any time and be shared with other streams.
    ///
    /// The stream's own limit holds as well. So give the stream as much as it may ever have, and say with the [`Limit`] how
    /// much that is now. Each item counts for one, whatever its [weight](Self::weighted).
    ///
    /// `limit` is a `&Limit`, or an `Arc<Limit>` where the stream is to keep it alive.
    ///
    /// Unless there is a [window](Self::window) above the stream's own limit, one item is taken ahead when there is no
    /// room, and none while the limit is 0.
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::fan_out::Limit;
    ///
    /// let both = Limit::new(3);
    /// let numbers = stream::iter(0..10).fan_out_with(8, |n| async move { n }).limit_by(&both);
    /// let squares = stream::iter(0..10).fan_out_with(8, |n| async move { n * n }).limit_by(&both);
    /// let sums = numbers.zip(squares).map(|(n, square)| square - n);
    /// assert_eq!(block_on(sums.last()), Some(72));
    /// ```
    #[track_caller]
    pub fn limit_by<P: LimitHandle>(self, limit: P) -> FanOut<St, Permitted<M, P, S>, O, S> {
        self.relaunch(|inner| Permitted::new(inner, limit))
    }
}

/// What leads to a [`Limit`] and keeps it there: a reference, an `Arc`.
///
/// ```
/// use core::future::ready;
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use std::sync::Arc;
/// use tollgate::{FanOutExt, Limit, fan_out::LimitHandle};
///
/// fn run(limit: impl LimitHandle) -> usize {
///     block_on(stream::iter(0..10).fan_out_with(8, ready).limit_by(limit).count())
/// }
///
/// assert_eq!(run(&Limit::new(2)), 10);
/// assert_eq!(run(Arc::new(Limit::new(2))), 10);
/// ```
pub trait LimitHandle: Lender {}

// === handles ===

impl<L: RawLock> LimitHandle for &Limit<L> {}

impl<L: RawLock> Lender for &Limit<L> {
    type Lock = L;

    #[inline]
    fn semaphore(&self) -> &Semaphore<L> {
        &self.room
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.get() == 0
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> LimitHandle for Arc<Limit<L>> {}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> Lender for Arc<Limit<L>> {
    type Lock = L;

    #[inline]
    fn semaphore(&self) -> &Semaphore<L> {
        &self.room
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.get() == 0
    }
}

impl<P: LimitHandle> LimitHandle for &P {}
