//! Futures inside the stream itself, and the way to do without knowing which of them was woken.
//!
//! A waker may outlive the stream, so nothing that it points to can be in here. Futures can: no waker touches them, and
//! they are dropped with the stream. What their wakers are is up to [`Wakes`]:
//!
//! * [`PollAll`]: the task's own. Whoever is woken, the task is, and polls all that runs.
//! * [`Tabled`](super::Tabled): a word in a table that lives for ever.
//!
//! # Rounds of `PollAll`
//!
//! A poll of the stream that returns `Pending` has polled everything that runs: a future that was woken before the poll
//! began may have nobody else who will come back to it. So each poll begins a round of its own, over the slots that were
//! in use by then. What starts later is polled when it starts.
//!
//! ```text
//!   slots    0  1  2  3  4          first poll:   2  3 ►ready, the poll ends
//!                  ▲                second poll:  4  0  1  2  3   all are pending, the poll ends
//!                  └ next           third poll:   4  ...
//! ```
//!
//! The next round goes on behind the slot where the last one ended, so a future that is always ready is not the first one
//! to be asked every time.
//!
//! # Invariants
//!
//! * **I1** A place is pinned as the array is: an array is `Unpin` only if its elements are, drops them where they are, and
//!   nothing here moves one out of an array that was pinned.

use core::fmt;
use core::pin::Pin;
use core::task::Waker;

use pin_project_lite::pin_project;

use super::ready::BITS;
use super::slots::{self, Plan};

/// Room for `N` entries.
pub type Places<T, const N: usize> = [Option<T>; N];

pin_project! {
    /// Entries in place. The first `len` places have one.
    pub struct Bed<P, K> {
        // Before what wakes them, so that they are gone when a table is given back.
        #[pin]
        places: P,
        len: usize,
        wakes: K,
    }
}

/// How futures in place are woken: [`PollAll`] or [`Tabled`](super::Tabled), the latter made by
/// [`FanOut::wake_table`](super::FanOut::wake_table).
///
/// This trait is sealed: it is only there to tell the two ways apart.
pub trait Wakes: super::sealed::Sealed {
    /// A poll of the stream begins, with `len` places in use.
    #[doc(hidden)]
    fn begin_poll(&mut self, len: usize);

    /// A place whose future is to be polled.
    #[doc(hidden)]
    fn next(&mut self) -> Option<usize>;

    /// Hands out the waker for the future in a place.
    #[doc(hidden)]
    fn with_waker<R>(&mut self, number: usize, task: &Waker, f: impl FnOnce(&Waker) -> R) -> R;

    /// Whether [`next`](Self::next) would find nothing, for those who can tell quickly.
    #[doc(hidden)]
    #[inline]
    fn is_quiet(&self) -> bool {
        false
    }

    /// Prepares for `Pending`; false if something was woken already.
    #[doc(hidden)]
    fn sleep(&mut self, task: &Waker) -> bool;
}

/// Futures are polled with the waker of the task around, and all of them whenever it is woken.
///
/// Works on executors that accept only their own wakers. See [`fan_out_inline`](super::FanOutExt::fan_out_inline).
#[derive(Debug)]
pub struct PollAll {
    /// Where the round goes on.
    next: usize,
    /// How many places were in use when the round began.
    end: usize,
    /// How many of them are left in the round.
    left: usize,
    /// A bit for each of the first places that was polled in this round, by its turn or because it started.
    polled: usize,
}

#[inline]
fn place<T, const N: usize>(places: Pin<&mut Places<T, N>>, number: usize) -> Pin<&mut Option<T>> {
    // SAFETY: an element does not move before the array does (I1).
    unsafe { places.map_unchecked_mut(|places| &mut places[number]) }
}

// === impl Bed ===

impl<T, const N: usize, K> Bed<Places<T, N>, K> {
    pub fn new(wakes: K) -> Self {
        Self { places: [const { None }; N], len: 0, wakes }
    }

    pub fn into_wakes(self) -> K {
        self.wakes
    }
}

impl<T, const N: usize, K: Wakes> slots::Bed for Bed<Places<T, N>, K> {
    type Entry = T;

    fn push(self: Pin<&mut Self>, entry: T, _: impl FnOnce() -> Plan) -> u32 {
        let this = self.project();
        let number = *this.len;
        place(this.places, number).set(Some(entry));
        *this.len += 1;
        number as u32
    }

    #[inline]
    fn get(&self, number: u32) -> &T {
        self.places[number as usize].as_ref().expect("an entry that was made")
    }

    #[inline]
    fn get_pin(self: Pin<&mut Self>, number: u32) -> Pin<&mut T> {
        place(self.project().places, number as usize).as_pin_mut().expect("an entry that was made")
    }

    #[inline]
    fn with_waker<R>(self: Pin<&mut Self>, number: u32, task: &Waker, f: impl FnOnce(Pin<&mut T>, &Waker) -> R) -> R {
        let this = self.project();
        let entry = place(this.places, number as usize).as_pin_mut().expect("an entry that was made");
        this.wakes.with_waker(number as usize, task, |waker| f(entry, waker))
    }

    #[inline]
    fn next_woken(self: Pin<&mut Self>) -> Option<u32> {
        let this = self.project();
        loop {
            let number = this.wakes.next()?;
            // A table may have been written to by a waker of its last user.
            if number < *this.len {
                return Some(number as u32);
            }
        }
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.wakes.is_quiet()
    }

    #[inline]
    fn sleep(self: Pin<&mut Self>, task: &Waker) -> bool {
        self.project().wakes.sleep(task)
    }

    #[inline]
    fn begin_poll(self: Pin<&mut Self>) {
        let this = self.project();
        this.wakes.begin_poll(*this.len);
    }
}

impl<P, K: fmt::Debug> fmt::Debug for Bed<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bed").field("len", &self.len).field("wakes", &self.wakes).finish_non_exhaustive()
    }
}

// === impl PollAll ===

impl PollAll {
    pub(super) const NEW: Self = Self { next: 0, end: 0, left: 0, polled: 0 };
}

impl super::sealed::Sealed for PollAll {}

impl Wakes for PollAll {
    #[inline]
    fn begin_poll(&mut self, len: usize) {
        if self.next >= len {
            self.next = 0;
        }
        (self.end, self.left, self.polled) = (len, len, 0);
    }

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left > 0 {
            self.left -= 1;
            let number = self.next;
            self.next = if number + 1 == self.end { 0 } else { number + 1 };
            // What started in this round was polled then. Beyond the first places it is polled once more, for nothing:
            // a round that long is slow anyway, and does not get more bits.
            if number >= BITS || self.polled & 1 << number == 0 {
                return Some(number);
            }
        }
        None
    }

    #[inline]
    fn with_waker<R>(&mut self, number: usize, task: &Waker, f: impl FnOnce(&Waker) -> R) -> R {
        if number < BITS {
            self.polled |= 1 << number;
        }
        f(task)
    }

    /// Always: everything that runs was polled with this task's waker since the poll began.
    #[inline]
    fn sleep(&mut self, _: &Waker) -> bool {
        true
    }
}
