//! The engine without a stream: a set of futures that anybody may add to.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::stream::FusedStream;
use futures_core::{FusedFuture, Stream};
use pin_project_lite::pin_project;

use crate::semaphore::{Acquire, Semaphore};
use crate::sync::{AtomicBool, AtomicUsize, DefaultLock, Ordering, RawLock, if_default_lock};
use places::{Places, Turn};

#[cfg(test)]
mod model;
mod places;

/// Polls of futures in one poll of the set: at most this often, and no more than a few times a place.
const MOST_STEPS: usize = 2048;
const STEPS_A_PLACE: usize = 4;
/// More cannot be numbered.
const MOST: usize = (u32::MAX >> 1) as usize;

/// A bounded set of futures that run side by side; a stream of their outputs, as they complete.
///
/// What a [`FanOut`](super::FanOut) is without its source. One task polls, and futures come from wherever: every method
/// takes `&self`, so a set is shared by reference, in an `Rc` or in an `Arc`, between several tasks, or between several
/// parts of one. Adding a future wakes the task that waits for an output, which then polls it for the first time.
///
/// Room is bounded: [`try_push`](Self::try_push) gives the future back when there is none, and [`push`](Self::push) waits
/// for some. A future takes up room until its output is handed out, which is at once.
///
/// # Why `&self`
///
/// With `&mut self` nobody could add while the consumer waits, since the consumer has the set; and whoever waits for
/// room would keep it from ever coming. A pair of handles, one to add and one to poll, could be had, but not
/// without a count of its own, and an `Arc` of this is such a pair. What is lost is that the compiler sees to it that one
/// task polls at a time. Two may take turns. Then the one that polled last is woken.
///
/// # Fairness
///
/// In a round each future that was woken is polled once. A poll that makes many of them without an output wakes its task
/// and returns `Pending`. Who waits for room is served in turn, and `try_push` overtakes nobody.
///
/// # Cancel safety
///
/// Futures and outputs are in the set and not in what waits for them: dropping a [`Next`] loses nothing, and dropping a
/// [`Push`] drops the future that was not added yet, and nothing else. Dropping the set drops all futures at once, on this
/// thread.
///
/// # Memory ordering
///
/// What happened before a future was added happens before its first poll.
///
/// # Panics
///
/// A panic of a future goes through to whoever polls. The future is gone, its place is free, and later polls go on with the
/// others. Polling a set while it is being polled, from one of its own futures or on another thread, panics and changes
/// nothing.
///
/// # Cost
///
/// One allocation, when the set is made, for all places: the size of a future and 8 bytes for each, and for 64 of them
/// 64 bytes more (half of all that on 32-bit targets). To add a future costs an atomic operation for the room, the lock `L` for a
/// few instructions, and a wake; to finish one costs the same.
///
/// ```
/// use core::future::ready;
/// use futures_lite::future::{block_on, zip};
/// use tollgate::FutureSet;
///
/// let set = FutureSet::with_capacity(2);
/// set.try_push(ready(1)).unwrap();
/// set.try_push(ready(2)).unwrap();
/// assert!(set.try_push(ready(3)).is_err(), "it is full");
///
/// // Two parts of one task: the first waits for the room that the second makes.
/// let (_, sum) = block_on(zip(set.push(ready(3)), async {
///     let mut sum = 0;
///     while let Some(n) = set.next().await {
///         sum += n;
///     }
///     sum
/// }));
/// assert_eq!(sum, 6);
/// ```
///
/// A set says `None` when no future is in it and nobody waits to add one, and goes on when something is added. A consumer
/// that shall wait for that instead, for ever, takes `None` for `Pending`: the task is woken all the same.
///
/// ```
/// use core::future::poll_fn;
/// use core::task::Poll;
/// # use futures_lite::future::{block_on, or, yield_now};
/// # use tollgate::FutureSet;
///
/// let set = FutureSet::with_capacity(8);
/// let consumer = async {
///     loop {
///         let output = poll_fn(|cx| match set.poll_next(cx) {
///             Poll::Ready(Some(output)) => Poll::Ready(output),
///             _ => Poll::Pending,
///         });
///         println!("{}", output.await);
///     }
/// };
/// # block_on(or(async { yield_now().await; set.push(async { 1 }).await; yield_now().await }, consumer));
/// ```
#[must_use = "futures in a set do nothing unless it is polled"]
pub struct FutureSet<F, L: RawLock = DefaultLock> {
    places: Places<F, L>,
    /// One permit for each place that is free.
    room: Semaphore<L>,
    /// Those who wait for room. While there are any, the set is not at its end.
    waiting: AtomicUsize,
    /// It was at its end when it was polled last, and nothing was added since.
    ended: AtomicBool,
}

pin_project! {
    /// Waits for room and adds a future; made by [`FutureSet::push`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives its place in the queue up, and drops the future.
    #[must_use = "futures do nothing unless polled"]
    pub struct Push<'a, F, L: RawLock = DefaultLock> {
        set: &'a FutureSet<F, L>,
        // None when it is over, here and below.
        #[pin]
        room: Option<Acquire<'a, L>>,
        future: Option<F>,
        // It was polled, and counts among those who wait.
        waits: bool,
    }

    impl<F, L> PinnedDrop for Push<'_, F, L>
    where
        L: RawLock,
    {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

/// Waits for an output; made by [`FutureSet::next`].
#[must_use = "futures do nothing unless polled"]
pub struct Next<'a, F, L: RawLock = DefaultLock> {
    set: &'a FutureSet<F, L>,
}

// === impl FutureSet ===

if_default_lock! {
    impl<F> FutureSet<F, DefaultLock> {
        /// A set with room for `capacity` futures, and the default lock.
        ///
        /// # Panics
        ///
        /// If `capacity` is zero, for nothing would ever run, or if there is no memory for so many.
        ///
        /// ```
        /// use core::future::Ready;
        /// use tollgate::FutureSet;
        ///
        /// let set = FutureSet::<Ready<()>>::with_capacity(10);
        /// assert_eq!((set.len(), set.capacity()), (0, 10));
        /// ```
        #[track_caller]
        pub fn with_capacity(capacity: usize) -> Self {
            Self::with_lock(capacity)
        }
    }
}

impl<F, L: RawLock> FutureSet<F, L> {
    /// A set with room for `capacity` futures, and the lock that its type names.
    ///
    /// # Panics
    ///
    /// As [`with_capacity`](FutureSet::with_capacity).
    ///
    /// ```
    /// use core::future::Ready;
    /// use tollgate::{FutureSet, LocalLock};
    ///
    /// let set = FutureSet::<Ready<()>, LocalLock>::with_lock(10);
    /// assert!(set.is_empty());
    /// ```
    #[track_caller]
    pub fn with_lock(capacity: usize) -> Self {
        assert!(capacity > 0, "a set with a capacity of 0 would never run anything");
        assert!(capacity <= MOST, "a set of {capacity} futures is too large: {MOST} is the most");
        Self {
            places: Places::new(capacity),
            room: Semaphore::with_lock(capacity),
            waiting: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    /// How many futures there is room for in all.
    ///
    /// ```
    /// use core::future::ready;
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(4);
    /// for n in 0..set.capacity() {
    ///     assert!(set.try_push(ready(n)).is_ok());
    /// }
    /// assert_eq!(set.len(), set.capacity());
    /// ```
    pub fn capacity(&self) -> usize {
        self.places.capacity()
    }

    /// How many futures are in the set. The number may be old as soon as it is there.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::future::block_on;
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(4);
    /// set.try_push(ready(1)).unwrap();
    /// set.try_push(ready(2)).unwrap();
    /// block_on(set.next());
    /// assert_eq!(set.len(), 1, "what was handed out is not in it");
    /// ```
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no future is in the set.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::future::block_on;
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(4);
    /// set.try_push(ready(1)).unwrap();
    /// while !set.is_empty() {
    ///     assert_eq!(block_on(set.next()), Some(1));
    /// }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a future, if there is room and nobody waits for it, and wakes the task that polls this set.
    ///
    /// # Errors
    ///
    /// The future, when there is no room.
    ///
    /// ```
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(1);
    /// assert!(set.try_push(async { 1 }).is_ok());
    /// assert_eq!(set.len(), 1);
    /// ```
    pub fn try_push(&self, future: F) -> Result<(), F> {
        match self.room.try_acquire() {
            Ok(permit) => {
                permit.forget();
                self.insert(future, false);
                Ok(())
            }
            Err(_) => Err(future),
        }
    }

    /// Waits for room, adds a future, and wakes the task that polls this set.
    ///
    /// Room comes when somebody polls the set. So this is for another task than that, or for another part of it: to wait
    /// for room and poll only after that is to wait for ever.
    ///
    /// ```
    /// use tollgate::FutureSet;
    ///
    /// # futures_lite::future::block_on(async {
    /// let set = FutureSet::with_capacity(1);
    /// set.push(async { 1 }).await;
    /// assert_eq!(set.next().await, Some(1));
    /// # });
    /// ```
    pub fn push(&self, future: F) -> Push<'_, F, L> {
        Push { set: self, room: Some(self.room.acquire()), future: Some(future), waits: false }
    }

    /// One fewer waits for room.
    fn end_wait(&self) {
        // ORDERING: Release pairs with the Acquire in `poll_turn`.
        self.waiting.fetch_sub(1, Ordering::Release);
    }

    fn insert(&self, future: F, waited: bool) {
        // ORDERING: Relaxed. A hint for who polls; see `is_terminated`.
        self.ended.store(false, Ordering::Relaxed);
        self.places.announce();
        if waited {
            // After it counts as one that is in, so that at no time it does not count; before the wake, so that nobody waits
            // for a second one.
            self.end_wait();
        }
        self.places.insert(future);
    }

    /// Drops all futures that are in the set.
    ///
    /// Those who wait for room get it, and what they add stays.
    ///
    /// # Panics
    ///
    /// If the set is being polled.
    ///
    /// ```
    /// use core::future::pending;
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(1);
    /// set.try_push(pending::<()>()).unwrap();
    /// set.clear();
    /// assert!(set.is_empty());
    /// ```
    #[track_caller]
    pub fn clear(&self) {
        /// Goes on with the others when one panics.
        struct Clear<'a, 'b, F, L: RawLock> {
            turn: Turn<'a, F, L>,
            rest: core::ops::Range<usize>,
            room: &'b mut Room<'a, L>,
        }

        impl<F, L: RawLock> Drop for Clear<'_, '_, F, L> {
            fn drop(&mut self) {
                for number in self.rest.by_ref() {
                    self.turn.clear(number, &mut self.room.freed);
                }
            }
        }

        let mut room = Room { semaphore: &self.room, freed: 0 };
        let mut clear = Clear { turn: self.turn(), rest: 0..self.capacity(), room: &mut room };
        for number in clear.rest.by_ref() {
            clear.turn.clear(number, &mut clear.room.freed);
        }
    }

    #[track_caller]
    fn turn(&self) -> Turn<'_, F, L> {
        match self.places.turn() {
            Some(turn) => turn,
            None => panic!("a `FutureSet` was polled while it was being polled"),
        }
    }
}

impl<F: Future, L: RawLock> FutureSet<F, L> {
    /// Polls the futures that were woken or added, and hands out an output; `None` when there are no futures, and nobody
    /// waits to add one.
    ///
    /// After `None` as after `Pending`, the task is woken when there is something to poll.
    ///
    /// # Panics
    ///
    /// If the set is being polled, and when a future does.
    ///
    /// ```
    /// use core::future::pending;
    /// use core::task::{Context, Poll, Waker};
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(1);
    /// let cx = &mut Context::from_waker(Waker::noop());
    /// assert_eq!(set.poll_next(cx), Poll::Ready(None));
    /// set.try_push(pending::<()>()).unwrap();
    /// assert_eq!(set.poll_next(cx), Poll::Pending);
    /// ```
    #[track_caller]
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        // Dropped after the turn, so that those who wait for room may poll the set when they are woken.
        let mut room = Room { semaphore: &self.room, freed: 0 };
        let polled = self.poll_turn(&mut self.turn(), &mut room.freed, cx);
        match polled {
            Some(polled) => polled,
            None => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// None when there is more to do than one poll may.
    fn poll_turn(
        &self,
        turn: &mut Turn<'_, F, L>,
        freed: &mut usize,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Option<F::Output>>> {
        let mut steps = self.capacity().saturating_mul(STEPS_A_PLACE).min(MOST_STEPS);
        loop {
            if let Some(number) = turn.next_woken() {
                if let Some(output) = turn.poll(number, freed) {
                    return Some(Poll::Ready(Some(output)));
                }
                steps -= 1;
                if steps == 0 {
                    return None;
                }
            } else if turn.sleep(cx.waker()) {
                // ORDERING: Acquire pairs with the Release in `end_wait`: who waits no more is seen to be in.
                if self.waiting.load(Ordering::Acquire) > 0 || !self.is_empty() {
                    return Some(Poll::Pending);
                }
                // ORDERING: Relaxed, as in `insert`.
                self.ended.store(true, Ordering::Relaxed);
                return Some(Poll::Ready(None));
            }
        }
    }

    /// Waits for an output; `None` when there are no futures, and nobody waits to add one.
    ///
    /// As `StreamExt::next`, and it borrows the set as all methods do.
    ///
    /// ```
    /// use tollgate::FutureSet;
    ///
    /// # futures_lite::future::block_on(async {
    /// let set = FutureSet::with_capacity(1);
    /// assert_eq!(set.next().await, None);
    /// set.try_push(async { 1 }).ok();
    /// assert_eq!(set.next().await, Some(1));
    /// # });
    /// ```
    pub fn next(&self) -> Next<'_, F, L> {
        Next { set: self }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }

    fn is_terminated(&self) -> bool {
        // ORDERING: Relaxed. With others who add, this may be old as soon as it is there.
        self.ended.load(Ordering::Relaxed)
    }
}

impl<F: Future, L: RawLock> Stream for FutureSet<F, L> {
    type Item = F::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        FutureSet::poll_next(self.as_ref().get_ref(), cx)
    }

    /// How many futures there are now.
    fn size_hint(&self) -> (usize, Option<usize>) {
        FutureSet::size_hint(self)
    }
}

/// For several parts of a program that share a set.
impl<F: Future, L: RawLock> Stream for &FutureSet<F, L> {
    type Item = F::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        FutureSet::poll_next(*self, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        FutureSet::size_hint(self)
    }
}

/// Terminated from `None` until something is added, as futures-util's `FuturesUnordered`.
impl<F: Future, L: RawLock> FusedStream for FutureSet<F, L> {
    fn is_terminated(&self) -> bool {
        FutureSet::is_terminated(self)
    }
}

/// As for the set itself.
impl<F: Future, L: RawLock> FusedStream for &FutureSet<F, L> {
    fn is_terminated(&self) -> bool {
        FutureSet::is_terminated(self)
    }
}

impl<F, L: RawLock> fmt::Debug for FutureSet<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FutureSet")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Gives the room back that places made.
struct Room<'a, L: RawLock> {
    semaphore: &'a Semaphore<L>,
    freed: usize,
}

impl<L: RawLock> Drop for Room<'_, L> {
    fn drop(&mut self) {
        if self.freed > 0 {
            self.semaphore.add_permits(self.freed);
        }
    }
}

// === impl Push ===

impl<F, L: RawLock> Push<'_, F, L> {
    /// Takes the future back, if it was not added yet. After that, this must not be polled.
    ///
    /// ```
    /// use core::pin::pin;
    /// use tollgate::FutureSet;
    ///
    /// let set = FutureSet::with_capacity(1);
    /// let mut push = pin!(set.push(async {}));
    /// assert!(push.as_mut().take().is_some());
    /// assert!(push.as_mut().take().is_none());
    /// ```
    pub fn take(mut self: Pin<&mut Self>) -> Option<F> {
        self.as_mut().leave();
        self.project().future.take()
    }

    /// Gives up, if it is not over yet.
    fn leave(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.room.set(None);
        if core::mem::take(this.waits) {
            this.set.end_wait();
            // The set may be at its end without us, and whoever polls it is to see that.
            this.set.places.nudge();
        }
    }
}

impl<F, L: RawLock> Future for Push<'_, F, L> {
    type Output = ();

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(room) = this.room.as_mut().as_pin_mut() else { panic!("`Push` was polled after it was finished") };
        if !core::mem::replace(this.waits, true) {
            // ORDERING: Relaxed. Whoever polls the set after this poll has been told of it by other means.
            this.set.waiting.fetch_add(1, Ordering::Relaxed);
        }
        let permit = ready!(room.poll(cx)).expect("nobody closes it");
        permit.forget();
        this.room.set(None);
        *this.waits = false;
        this.set.insert(this.future.take().expect("it was not taken back"), true);
        Poll::Ready(())
    }
}

impl<F, L: RawLock> FusedFuture for Push<'_, F, L> {
    fn is_terminated(&self) -> bool {
        self.future.is_none()
    }
}

impl<F, L: RawLock> fmt::Debug for Push<'_, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("set", &self.set).field("is_over", &self.future.is_none()).finish_non_exhaustive()
    }
}

// === impl Next ===

impl<F: Future, L: RawLock> Future for Next<'_, F, L> {
    type Output = Option<F::Output>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.set.poll_next(cx)
    }
}

impl<F: Future, L: RawLock> FusedFuture for Next<'_, F, L> {
    fn is_terminated(&self) -> bool {
        self.set.is_terminated()
    }
}

impl<F, L: RawLock> fmt::Debug for Next<'_, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("set", &self.set).finish()
    }
}
