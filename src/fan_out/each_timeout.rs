//! A deadline for each item.
//!
//! ```text
//!   item   first poll: pending            finishes, or is dropped at its deadline
//!    0         ├─────────────── d ───────────────┤
//!    1              ├─────── finished
//!    2                        ├─────────────── d ───────────────┤
//!                                                │              │
//!   one sleep  └────────────────────────────────►└─────────────►┘   moved from one deadline to the next
//! ```
//!
//! The sleep is for the deadline that was the first one when it was begun. When it is over, and the first one has become
//! another, it is moved there. Deadlines come in the order of starts, so it is never for too late an instant, and an item
//! that is finished in time costs the timer nothing.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never, admit_as_inner, stop_as_inner};
use super::schedule::{Alarm, InTurn, Unlimited};
use super::storage::Room;
use super::{FanOut, Order, Storage, sealed};
use crate::time::{Elapsed, Stage, Timer};

pin_project! {
    /// Items have a deadline; see [`FanOut::each_timeout`].
    pub struct EachTimeout<M, T, S>
    where
        T: Timer,
        S: Storage,
    {
        #[pin]
        inner: M,
        #[pin]
        alarm: OneSleep<T, S>,
    }
}

pin_project! {
    /// A future whose output is in `Ok`; what runs after [`FanOut::each_timeout`]. Whoever polls it looks after its
    /// deadline.
    pub struct Timed<F> {
        #[pin]
        future: F,
    }
}

pin_project! {
    /// The sleep until the first of all deadlines.
    pub struct OneSleep<T, S>
    where
        T: Timer,
        S: Storage,
    {
        timer: T,
        duration: Duration,
        #[pin]
        stage: S::Cell<Stage<T>>,
        // The sleep is over and has to be moved before it is polled again.
        over: bool,
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Gives each item `duration` to finish, counted from its first poll. Outputs are `Ok`; an item that takes longer is
    /// dropped, and `Err(Elapsed)` comes in its place.
    ///
    /// In place is meant literally: [in order](Self::ordered) the error comes when it is that item's turn. The place to
    /// run in, the [weight](Self::weighted), the [key](Self::keyed) and the [permit](Self::shared) are free from the moment
    /// that the item is dropped.
    ///
    /// The time that an item waits, be it for a place, its key or a permit, is not counted. The time that its output waits
    /// to be handed out is not either. What is counted is the time that the consumer is away while the item runs, but it is
    /// polled before it is judged: an output that was there in time wins, and so does one that is there when somebody comes
    /// to look.
    ///
    /// An item that is pending at its first poll has its error at once if `duration` is zero. One that the clock cannot
    /// represent is never over. The clock is read in every poll, so an item that keeps the task busy runs into its deadline
    /// too, and so does one beside a source that is always ready.
    ///
    /// This bounds an item from its start. To bound how long the *consumer* waits for the next output, there is
    /// [`DeadlineStreamExt::item_timeout`](crate::time::DeadlineStreamExt::item_timeout), and for deadlines that differ,
    /// `fan_out_with(n, |item| work(item).timeout(timer, d))`.
    ///
    /// # Cost
    ///
    /// One of the timer's sleeps for the whole stream, and for an item an instant and 8 bytes in its slot. The clock is read
    /// once when an item turns out not to be ready at its first poll, and once a poll while any such runs. Finding the next
    /// deadline takes the same time however many there are. The timer is asked when the task goes to sleep, and the sleep
    /// is moved when it is over; an item that finishes in time does not touch it. So an earlier item's deadline may wake
    /// the task once, for nothing, after all have finished.
    ///
    /// A stream on the heap allocates a small block for the sleep, when it first has to wait, so that it can still be moved.
    ///
    /// # Panics
    ///
    /// If the stream was polled. Nothing panics for any duration.
    ///
    /// ```
    /// use core::future::pending;
    /// use core::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::time::{Elapsed, ThreadTimer};
    ///
    /// let pages = stream::iter([1, 2, 3]).fan_out_with(3, |page| async move {
    ///     if page == 2 {
    ///         pending::<()>().await; // a server that does not answer
    ///     }
    ///     page
    /// });
    /// let pages = pages.each_timeout(ThreadTimer, Duration::from_millis(20)).ordered();
    /// assert_eq!(block_on(pages.collect::<Vec<_>>()), [Ok(1), Err(Elapsed), Ok(3)]);
    /// ```
    ///
    /// There is one such time for an item:
    ///
    /// ```compile_fail
    /// # use core::time::Duration;
    /// # use futures_lite::stream;
    /// # use tollgate::{FanOutExt, time::ThreadTimer};
    /// let outputs = stream::iter([1]).fan_out_with(1, |n| async move { n });
    /// let _ = outputs.each_timeout(ThreadTimer, Duration::ZERO).each_timeout(ThreadTimer, Duration::ZERO);
    /// ```
    #[track_caller]
    pub fn each_timeout<T>(self, timer: T, duration: Duration) -> FanOut<St, EachTimeout<M, T, S>, O, S>
    where
        M: Launch<St::Item, Alarm = Unlimited>,
        T: Timer,
    {
        self.relaunch(|inner| EachTimeout {
            inner,
            alarm: OneSleep { timer, duration, stage: Room::EMPTY, over: false },
        })
    }
}

// === impl OneSleep ===

impl<T: Timer, S: Storage> Alarm for OneSleep<T, S> {
    type Schedule = InTurn<T::Instant>;

    fn begin(&self) -> Result<Option<T::Instant>, Elapsed> {
        let now = self.timer.now();
        match self.timer.after(now, self.duration) {
            Some(at) if at <= now => Err(Elapsed),
            at => Ok(at),
        }
    }

    fn now(&self) -> T::Instant {
        self.timer.now()
    }

    fn poll(self: Pin<&mut Self>, at: T::Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !this.stage.is_some() {
            this.stage.as_mut().fill(Stage::At { at });
        }
        let Some(mut stage) = this.stage.get() else { unreachable!("it was just filled") };
        if core::mem::take(this.over) {
            stage.as_mut().reset(this.timer, at);
        }
        ready!(stage.poll_sleep(this.timer, at, None, cx));
        *this.over = true;
        Poll::Ready(())
    }

    fn disarm(self: Pin<&mut Self>) {
        let this = self.project();
        this.stage.empty();
        *this.over = false;
    }
}

impl<T: Timer, S: Storage> fmt::Debug for OneSleep<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneSleep").field("duration", &self.duration).finish_non_exhaustive()
    }
}

// === impl EachTimeout ===

impl<M, T: Timer, S: Storage> sealed::Sealed for EachTimeout<M, T, S> {}

impl<Item, M, T, S> Launch<Item> for EachTimeout<M, T, S>
where
    M: Launch<Item>,
    T: Timer,
    S: Storage,
{
    type Future = Timed<M::Future>;
    type Weight = M::Weight;
    type Key = M::Key;
    type Alarm = OneSleep<T, S>;

    stop_as_inner!();
    admit_as_inner!(Item);

    #[inline]
    fn weight(self: Pin<&mut Self>, item: &Item) -> M::Weight {
        self.project().inner.weight(item)
    }

    #[inline]
    fn key(self: Pin<&mut Self>, item: &Item) -> M::Key {
        self.project().inner.key(item)
    }

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Item) -> Self::Future {
        Timed { future: self.project().inner.launch(item) }
    }

    #[inline]
    fn alarm(self: Pin<&mut Self>) -> Option<Pin<&mut Self::Alarm>> {
        Some(self.project().alarm)
    }

    fn overdue(_: &Self::Alarm) -> <Self::Future as Future>::Output {
        Err(Elapsed)
    }
}

impl<M: fmt::Debug, T: Timer, S: Storage> fmt::Debug for EachTimeout<M, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachTimeout")
            .field("inner", &self.inner)
            .field("duration", &self.alarm.duration)
            .finish_non_exhaustive()
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = Result<F::Output, Elapsed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}

impl<F> fmt::Debug for Timed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timed(..)")
    }
}
