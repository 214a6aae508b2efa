//! Where a fan-out keeps its futures: in an allocation of its own, or in itself.

use core::fmt;
use core::pin::Pin;

use pin_project_lite::pin_project;

use super::inline::{PollAll, Wakes};
use super::sealed;

/// Where a [`FanOut`](super::FanOut) keeps its futures: [`Heap`] or [`Inline`].
///
/// This trait is sealed: a storage has to keep futures in place and their wakers alive.
///
/// ```
/// use core::future::{Ready, ready};
/// use futures_lite::{Stream, StreamExt, future::block_on, stream};
/// use tollgate::fan_out::{Direct, FanOut, FanOutExt, Ordered, Storage};
///
/// fn sum<St: Stream<Item = Ready<u32>>>(numbers: FanOut<St, Direct, Ordered, impl Storage>) -> u32 {
///     block_on(numbers.fold(0, |sum, n| ready(sum + n)))
/// }
///
/// assert_eq!(sum(stream::iter([ready(1), ready(2)]).fan_out(2).ordered()), 3);
/// assert_eq!(sum(stream::iter([ready(1), ready(2)]).fan_out_inline::<2>().ordered()), 3);
/// ```
pub trait Storage: sealed::Storage {}

/// In one allocation a stream, together with what their wakers write to. Needs feature `alloc`.
///
/// ```
/// use core::future::{Ready, ready};
/// use futures_lite::{Stream, StreamExt, future::block_on, stream};
/// use tollgate::fan_out::{Direct, FanOut, FanOutExt, Ordered};
///
/// // It is the default, and so need not be named.
/// fn numbers() -> FanOut<impl Stream<Item = Ready<u32>>, Direct, Ordered> {
///     stream::iter([ready(1), ready(2)]).fan_out(2).ordered()
/// }
///
/// assert_eq!(block_on(numbers().collect::<Vec<_>>()), [1, 2]);
/// ```
pub struct Heap(());

/// In `N` slots inside the stream itself, woken as `K` says: by [polling all](PollAll), or by the words of a
/// [wake table](super::Tabled).
///
/// ```
/// use core::future::{Ready, ready};
/// use futures_lite::{Stream, StreamExt, future::block_on, stream};
/// use tollgate::fan_out::{Direct, FanOut, FanOutExt, Inline, Unordered};
///
/// fn numbers() -> FanOut<impl Stream<Item = Ready<u32>>, Direct, Unordered, Inline<2>> {
///     stream::iter([ready(1), ready(2)]).fan_out_inline()
/// }
///
/// assert_eq!(block_on(numbers().collect::<Vec<_>>()), [1, 2]);
/// ```
pub struct Inline<const N: usize, K = PollAll> {
    pub(super) wakes: K,
}

/// A pinned place for one thing beside the futures, which comes and goes.
pub trait Room<A> {
    const EMPTY: Self;

    fn is_some(&self) -> bool;
    fn get(self: Pin<&mut Self>) -> Option<Pin<&mut A>>;
    fn fill(self: Pin<&mut Self>, value: A);
    fn empty(self: Pin<&mut Self>);
}

pin_project! {
    /// A room in the stream itself.
    #[derive(Debug)]
    pub struct InPlace<A> {
        #[pin]
        value: Option<A>,
    }
}

impl<A> Room<A> for InPlace<A> {
    const EMPTY: Self = Self { value: None };

    #[inline]
    fn is_some(&self) -> bool {
        self.value.is_some()
    }

    fn get(self: Pin<&mut Self>) -> Option<Pin<&mut A>> {
        self.project().value.as_pin_mut()
    }

    fn fill(self: Pin<&mut Self>, value: A) {
        self.project().value.set(Some(value));
    }

    fn empty(self: Pin<&mut Self>) {
        self.project().value.set(None);
    }
}

#[cfg(feature = "alloc")]
mod heap {
    use alloc::boxed::Box;
    use core::pin::Pin;

    pub use super::super::block::Heap as Bed;
    use super::Room;

    /// A room of its own on the heap, made when it is used first, so that the stream can be moved.
    #[derive(Debug)]
    pub struct Cell<A>(Option<Pin<Box<Option<A>>>>);

    impl<A> Room<A> for Cell<A> {
        const EMPTY: Self = Self(None);

        #[inline]
        fn is_some(&self) -> bool {
            self.0.as_ref().is_some_and(|room| room.is_some())
        }

        fn get(self: Pin<&mut Self>) -> Option<Pin<&mut A>> {
            self.get_mut().0.as_mut().and_then(|room| room.as_mut().as_pin_mut())
        }

        fn fill(self: Pin<&mut Self>, value: A) {
            self.get_mut().0.get_or_insert_with(|| Box::pin(None)).set(Some(value));
        }

        fn empty(self: Pin<&mut Self>) {
            if let Some(room) = &mut self.get_mut().0 {
                room.set(None);
            }
        }
    }

    pub fn bed<T>() -> Bed<T> {
        Bed::new()
    }

    impl super::Heap {
        pub(in super::super) const NEW: Self = Self(());
    }
}

/// Without an allocator nobody can have a [`Heap`], but it is still the default of a type's parameter.
#[cfg(not(feature = "alloc"))]
mod heap {
    use super::super::inline;
    use super::PollAll;

    pub type Bed<T> = inline::Bed<inline::Places<T, 0>, PollAll>;
    pub use super::InPlace as Cell;

    pub fn bed<T>() -> Bed<T> {
        Bed::new(PollAll::NEW)
    }
}

impl Storage for Heap {}

impl sealed::Storage for Heap {
    type Bed<T> = heap::Bed<T>;
    type Cell<A> = heap::Cell<A>;

    const SLOTS: usize = usize::MAX;

    fn bed<T>(self) -> heap::Bed<T> {
        heap::bed()
    }

    fn take_back<T>(_: heap::Bed<T>) -> Self {
        Self(())
    }
}

impl<const N: usize> Inline<N> {
    pub(super) const NEW: Self = Self { wakes: PollAll::NEW };
}

impl<const N: usize, K: Wakes> Storage for Inline<N, K> {}

impl<const N: usize, K: Wakes> sealed::Storage for Inline<N, K> {
    type Bed<T> = super::inline::Bed<super::inline::Places<T, N>, K>;
    type Cell<A> = InPlace<A>;

    const SLOTS: usize = N;

    fn bed<T>(self) -> Self::Bed<T> {
        super::inline::Bed::new(self.wakes)
    }

    fn take_back<T>(bed: Self::Bed<T>) -> Self {
        Self { wakes: bed.into_wakes() }
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heap")
    }
}

impl<const N: usize, K: fmt::Debug> fmt::Debug for Inline<N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline").field("slots", &N).field("wakes", &self.wakes).finish()
    }
}
