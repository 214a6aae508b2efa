//! How an item becomes a future, and what it needs for that.

use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::schedule::{Alarm, Unlimited};
use super::sealed::Sealed;
use super::slots::Weight;

/// How an item becomes a future: it [is one](Direct), or a closure [makes one](With). Around that may be what it needs to
/// start: a [weight](super::Weighted), a [key](super::KeyedBy), a [permit](super::Permitted).
///
/// This trait is sealed: it is only there to name the type of that future. [`Order`](super::Order) shows a function
/// that takes fan-outs of all kinds.
pub trait Launch<Item>: Sealed {
    /// What runs.
    type Future: Future;

    /// What items weigh.
    #[doc(hidden)]
    type Weight: Weight;

    /// What results are kept apart by.
    #[doc(hidden)]
    type Key: Hash + Eq;

    /// What limits the time for which items run.
    #[doc(hidden)]
    type Alarm: Alarm;

    /// Whether something may keep items from being taken for good.
    #[doc(hidden)]
    const STOPS: bool;

    /// Ready when no more items are to be taken. Asked each time before one is, and not after it was ready.
    #[doc(hidden)]
    fn poll_stop(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether an item has to be let in before it starts.
    #[doc(hidden)]
    const ADMITS: bool;

    #[doc(hidden)]
    fn weight(self: Pin<&mut Self>, item: &Item) -> Self::Weight;

    #[doc(hidden)]
    fn key(self: Pin<&mut Self>, item: &Item) -> Self::Key;

    /// Asks to let an item in. When that says yes, the next thing is to [`launch`](Self::launch) it or to
    /// [`rest`](Self::rest). Until then the task is woken when it is worth asking again.
    #[doc(hidden)]
    fn poll_admit(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Never>>;

    /// Whether nobody is let in just now, for as long as it may be or for good, so that nothing should be taken either.
    #[doc(hidden)]
    fn is_paused(&self) -> bool;

    /// Gives back what was asked for and not used. The task is going to do something else.
    #[doc(hidden)]
    fn rest(self: Pin<&mut Self>);

    #[doc(hidden)]
    fn launch(self: Pin<&mut Self>, item: Item) -> Self::Future;

    /// What limits the time, if it is limited.
    #[doc(hidden)]
    fn alarm(self: Pin<&mut Self>) -> Option<Pin<&mut Self::Alarm>>;

    /// The output of an item that ran for too long.
    #[doc(hidden)]
    fn overdue(alarm: &Self::Alarm) -> <Self::Future as Future>::Output;
}

/// Nobody is let in any more.
#[doc(hidden)]
#[derive(Debug)]
pub struct Never;

/// The items are the futures; see [`FanOutExt::fan_out`](super::FanOutExt::fan_out).
pub struct Direct(pub(super) ());

/// A closure makes a future of each item; see [`FanOutExt::fan_out_with`](super::FanOutExt::fan_out_with).
pub struct With<F>(pub(super) F);

/// The part of [`Launch`] that what makes futures has nothing to do with.
macro_rules! anyone_may_start {
    ($Item:ty) => {
        type Weight = ();
        type Key = ();
        type Alarm = Unlimited;

        const STOPS: bool = false;
        const ADMITS: bool = false;

        #[inline]
        fn poll_stop(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }

        #[inline]
        fn weight(self: Pin<&mut Self>, _: &$Item) {}

        #[inline]
        fn key(self: Pin<&mut Self>, _: &$Item) {}

        #[inline]
        fn poll_admit(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Never>> {
            Poll::Ready(Ok(()))
        }

        #[inline]
        fn is_paused(&self) -> bool {
            false
        }

        #[inline]
        fn rest(self: Pin<&mut Self>) {}

        #[inline]
        fn alarm(self: Pin<&mut Self>) -> Option<Pin<&mut Unlimited>> {
            None
        }

        fn overdue(alarm: &Unlimited) -> <Self::Future as Future>::Output {
            match *alarm {}
        }
    };
}

/// The part of [`Launch`] that is the business of what is inside, in field `inner` of a projection.
macro_rules! admit_as_inner {
    ($Item:ty) => {
        const ADMITS: bool = M::ADMITS;

        #[inline]
        fn poll_admit(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Never>> {
            self.project().inner.poll_admit(cx)
        }

        #[inline]
        fn is_paused(&self) -> bool {
            self.inner.is_paused()
        }

        #[inline]
        fn rest(self: Pin<&mut Self>) {
            self.project().inner.rest();
        }
    };
}
pub(super) use admit_as_inner;

/// The part of [`Launch`] that is about stopping, where that is the business of what is inside.
macro_rules! stop_as_inner {
    () => {
        const STOPS: bool = M::STOPS;

        #[inline]
        fn poll_stop(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.project().inner.poll_stop(cx)
        }
    };
}
pub(super) use stop_as_inner;

/// The part of [`Launch`] that is about time, where that is the business of what is inside.
macro_rules! limit_as_inner {
    () => {
        #[inline]
        fn alarm(self: Pin<&mut Self>) -> Option<Pin<&mut M::Alarm>> {
            self.project().inner.alarm()
        }

        fn overdue(alarm: &M::Alarm) -> <Self::Future as core::future::Future>::Output {
            M::overdue(alarm)
        }
    };
}
pub(super) use limit_as_inner;

// === impl Direct ===

impl Sealed for Direct {}

impl<Fut: Future> Launch<Fut> for Direct {
    type Future = Fut;

    anyone_may_start!(Fut);

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Fut) -> Fut {
        item
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Direct")
    }
}

// === impl With ===

impl<F> Sealed for With<F> {}

/// The closure is called, and never pinned.
impl<F> Unpin for With<F> {}

impl<Item, F, Fut> Launch<Item> for With<F>
where
    F: FnMut(Item) -> Fut,
    Fut: Future,
{
    type Future = Fut;

    anyone_may_start!(Item);

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Item) -> Fut {
        (self.get_mut().0)(item)
    }
}

impl<F> fmt::Debug for With<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("With(..)")
    }
}
