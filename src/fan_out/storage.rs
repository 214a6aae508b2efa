//! Where a fan-out keeps its futures: in an allocation of its own, or in itself.

use core::fmt;

use super::inline::{PollAll, Wakes};
use super::sealed;

/// Where a [`FanOut`](super::FanOut) keeps its futures: [`Heap`] or [`Inline`].
///
/// This trait is sealed: a storage has to keep futures in place and their wakers alive.
pub trait Storage: sealed::Storage {}

/// In one allocation a stream, together with what their wakers write to. Needs feature `alloc`.
pub struct Heap(());

/// In `N` slots inside the stream itself, woken as `K` says: by [polling all](PollAll), or by the words of a
/// [wake table](super::Tabled).
pub struct Inline<const N: usize, K = PollAll> {
    pub(super) wakes: K,
}

#[cfg(feature = "alloc")]
mod heap {
    pub use super::super::block::Heap as Bed;

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

    pub fn bed<T>() -> Bed<T> {
        Bed::new(PollAll::NEW)
    }
}

impl Storage for Heap {}

impl sealed::Storage for Heap {
    type Bed<T> = heap::Bed<T>;

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
