//! Items that hold a permit while they run.
//!
//! ```text
//!               an item is there, and could start                permit        launched
//!   nothing ────────────────────────────────────► in the queue ────────► held ──────────► the future has it
//!      ▲                                               │                   │
//!      └───────────────────────────────────────────────┴───────────────────┘
//!         the stream hands out an output, or panics: its task may be away for long
//! ```

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never, limit_as_inner, stop_as_inner};
use super::storage::Room;
use super::{FanOut, Order, Storage, sealed};
use crate::TryAcquireError;
use crate::semaphore::loan::{Claim, Lender, Loan};

pin_project! {
    /// Items hold permits while they run; see [`FanOut::shared`] and [`FanOut::limit_by`].
    pub struct Permitted<M, P, S>
    where
        P: Lender,
        S: Storage,
    {
        #[pin]
        inner: M,
        lender: P,
        // What the next item will start with.
        held: Option<Loan<P>>,
        // The wait for that.
        #[pin]
        claim: S::Cell<Claim<P>>,
    }
}

pin_project! {
    /// A future that gives a permit back when it is over; what runs after [`FanOut::shared`] and [`FanOut::limit_by`].
    pub struct Holding<F, P>
    where
        P: Lender,
    {
        #[pin]
        future: F,
        // After the future: what it has done is done before the next one begins.
        _permit: Loan<P>,
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Starts an item only when there is a permit of `semaphore` for it, which it holds until it has finished.
    ///
    /// So streams, and whatever else takes permits, have one bound together. Each item takes one permit, whatever its
    /// [weight](Self::weighted). An output that waits to be handed out holds none.
    ///
    /// `semaphore` is a `&Semaphore`, or an `Arc<Semaphore>` where the stream is to keep it alive.
    ///
    /// When the semaphore is closed, the stream takes no more from its source, as after [`stop`](Self::stop), and drops
    /// the items that wait. What runs is finished. A stream that waits for its source alone sees it with its next poll.
    ///
    /// # Fairness
    ///
    /// The stream has one place in the queue at a time, for the item that starts next.
    ///
    /// It has that place only while its task waits. When it hands out an output, it leaves the queue, and gives back a
    /// permit that it was granted meanwhile; it comes back, at the end of the queue, with the next poll that finds nothing
    /// to hand out. Otherwise a consumer that is busy with an output would sit on a permit that it does not know of, and
    /// if it waits for one itself, for ever. What *runs* keeps its permit while the consumer is away. If the consumer needs
    /// one of the same permits, it has to [keep it going](Self::drive_while).
    ///
    /// # Cost
    ///
    /// One atomic read-modify-write to take a permit and one to give it back, while nobody waits. A stream on the heap
    /// allocates a small block the first time that it waits, so that it can still be moved.
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::{FanOutExt, Semaphore};
    ///
    /// static CONNECTIONS: Semaphore = Semaphore::new(2);
    ///
    /// let pages = stream::iter(0..10).fan_out_with(8, |n| async move {
    ///     assert!(CONNECTIONS.available_permits() < 2);
    ///     yield_now().await;
    ///     n
    /// });
    /// assert_eq!(block_on(pages.shared(&CONNECTIONS).count()), 10);
    /// assert_eq!(CONNECTIONS.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn shared<P: Lender>(self, semaphore: P) -> FanOut<St, Permitted<M, P, S>, O, S> {
        self.relaunch(|inner| Permitted::new(inner, semaphore))
    }
}

impl<M, P: Lender, S: Storage> Permitted<M, P, S> {
    pub(super) fn new(inner: M, lender: P) -> Self {
        Self { inner, lender, held: None, claim: Room::EMPTY }
    }

    /// Gets the permit of this one, regardless of what is inside.
    fn poll_own(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Never>> {
        let mut this = self.project();
        loop {
            if let Some(loan) = this.held {
                if !loan.is_overdue() {
                    return Poll::Ready(Ok(()));
                }
                // Granted, and then the limit was lowered: nothing has started with it, so it goes back.
                *this.held = None;
            }
            if !this.claim.is_some() {
                match Loan::try_new(this.lender) {
                    Ok(loan) => {
                        *this.held = Some(loan);
                        return Poll::Ready(Ok(()));
                    }
                    Err(TryAcquireError::Closed) => return Poll::Ready(Err(Never)),
                    Err(TryAcquireError::NoPermits) => this.claim.as_mut().fill(Claim::new(this.lender.clone())),
                }
            }
            let Some(claim) = this.claim.as_mut().get() else { unreachable!("it was just filled") };
            let Poll::Ready(taken) = claim.poll(cx.waker()) else { return Poll::Pending };
            this.claim.as_mut().empty();
            match taken {
                Ok(loan) => *this.held = Some(loan),
                Err(_) => return Poll::Ready(Err(Never)),
            }
        }
    }

    /// Gives back the permit of this one, or its place.
    fn rest_outer(self: Pin<&mut Self>) {
        let mut this = self.project();
        if this.claim.is_some() {
            this.claim.as_mut().empty();
        }
        drop(this.held.take());
    }
}

impl<M, P: Lender, S: Storage> sealed::Sealed for Permitted<M, P, S> {}

impl<Item, M, P, S> Launch<Item> for Permitted<M, P, S>
where
    M: Launch<Item>,
    P: Lender,
    S: Storage,
{
    type Future = Holding<M::Future, P>;
    type Weight = M::Weight;
    type Key = M::Key;
    type Alarm = M::Alarm;

    const ADMITS: bool = true;

    stop_as_inner!();
    limit_as_inner!();

    #[inline]
    fn weight(self: Pin<&mut Self>, item: &Item) -> M::Weight {
        self.project().inner.weight(item)
    }

    #[inline]
    fn key(self: Pin<&mut Self>, item: &Item) -> M::Key {
        self.project().inner.key(item)
    }

    /// Of several permits that an item needs, nothing is held while another one is waited for. Two streams that ask in
    /// opposite order could wait for each other for ever.
    fn poll_admit(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Never>> {
        // A pause is waited for before what else is missing. Its end is to be seen although that still is: the source may
        // have ended meanwhile.
        if self.lender.is_paused() && !self.inner.is_paused() {
            let own = self.as_mut().poll_own(cx);
            if !matches!(own, Poll::Ready(Ok(()))) {
                self.project().inner.rest();
                return own;
            }
        }
        match self.as_mut().project().inner.poll_admit(cx) {
            Poll::Ready(Ok(())) => {}
            other => {
                self.rest_outer();
                return other;
            }
        }
        let own = self.as_mut().poll_own(cx);
        if !matches!(own, Poll::Ready(Ok(()))) {
            self.project().inner.rest();
        }
        own
    }

    #[inline]
    fn is_paused(&self) -> bool {
        self.lender.is_paused() || self.inner.is_paused()
    }

    fn rest(mut self: Pin<&mut Self>) {
        self.as_mut().rest_outer();
        self.project().inner.rest();
    }

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Item) -> Self::Future {
        let this = self.project();
        let _permit = this.held.take().expect("what is launched was let in");
        Holding { future: this.inner.launch(item), _permit }
    }
}

impl<M: fmt::Debug, P: Lender, S: Storage> fmt::Debug for Permitted<M, P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permitted").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<F: Future, P: Lender> Future for Holding<F, P> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F, P: Lender> fmt::Debug for Holding<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holding(..)")
    }
}
