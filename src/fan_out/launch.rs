//! How an item becomes a future, and what it needs for that.

use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::sealed::Sealed;
use super::slots::Weight;

/// How an item becomes a future: it [is one](Direct), or a closure [makes one](With). Around that may be what it needs to
/// start: a [weight](super::Weighted), a [key](super::KeyedBy), a [permit](super::Permitted).
///
/// This trait is sealed: it is only there to name the type of that future.
pub trait Launch<Item>: Sealed {
    /// What runs.
    type Future: Future;

    /// What items weigh.
    #[doc(hidden)]
    type Weight: Weight;

    /// What results are kept apart by.
    #[doc(hidden)]
    type Key: Hash + Eq;

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

    /// Whether nobody is let in just now, for as long as it may be, so that nothing should be taken either.
    #[doc(hidden)]
    fn is_paused(&self) -> bool;

    /// Gives back what was asked for and not used. The task is going to do something else.
    #[doc(hidden)]
    fn rest(self: Pin<&mut Self>);

    #[doc(hidden)]
    fn launch(self: Pin<&mut Self>, item: Item) -> Self::Future;
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

        const ADMITS: bool = false;

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
