//! The places of a set: futures that are put in by anybody and polled by one task.
//!
//! ```text
//!            pusher: take a place          pusher: write the future, mark, wake        task: finished, drop it
//!   free ─────────────────────────► taken ─────────────────────────────────────► full ────────────────────────► free
//!   mark = next free place          mark = any                                   mark = FULL
//! ```
//!
//! To put a future in is to wake it: the bit of its place says to the task that there is something to poll, and the first
//! bit wakes the task.
//!
//! # Invariants
//!
//! * **P1** A place that is not marked [`FULL`] and that is not on the list of the free ones belongs to who took it from
//!   there. Nobody else touches its future.
//! * **P2** The future in a place that is marked `FULL` belongs to who has the [`Turn`]. There is one at a time.
//! * **P3** A future that was put in stays where it is until it is dropped there. Only who has the turn, or the set itself,
//!   drops it, and then takes the mark off.
//!
//! Wakers of futures that are gone may set bits of any place at any time. So a bit means nothing but "look at the mark".

use core::future::Future;
use core::mem::MaybeUninit;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::fan_out::block::Shelf;
use crate::fan_out::ready::Round;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, RawLock, UnsafeCell, new_lock};

/// There is a future in the place.
const FULL: usize = usize::MAX;
/// No place.
const NIL: usize = usize::MAX - 1;

pub struct Places<F, L> {
    shelf: Shelf<Place<F>>,
    capacity: usize,
    /// Places that are full or about to be.
    len: AtomicUsize,
    /// For the list of the free places.
    lock: L,
    free: AtomicUsize,
    seat: Seat,
}

struct Place<F> {
    mark: AtomicUsize,
    future: UnsafeCell<MaybeUninit<F>>,
}

// SAFETY: one at a time has the future (P1, P2), in turn on different threads, which is sending it.
unsafe impl<F: Send> Sync for Place<F> {}

/// Where the one sits who polls.
struct Seat {
    taken: AtomicBool,
    round: UnsafeCell<Round>,
}

// SAFETY: the round belongs to who has the turn, as futures do (P2).
unsafe impl Sync for Seat {}

/// The turn to poll, which one at a time has.
pub struct Turn<'a, F, L>(&'a Places<F, L>);

impl<F, L: RawLock> Places<F, L> {
    pub fn new(capacity: usize) -> Self {
        let next = |number| if number + 1 < capacity { number + 1 } else { NIL };
        let place =
            |number| Place { mark: AtomicUsize::new(next(number)), future: UnsafeCell::new(MaybeUninit::uninit()) };
        Self {
            shelf: Shelf::new(capacity, place),
            capacity,
            len: AtomicUsize::new(0),
            lock: new_lock!(L),
            free: AtomicUsize::new(0),
            seat: Seat { taken: AtomicBool::new(false), round: UnsafeCell::new(Round::new()) },
        }
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn len(&self) -> usize {
        // ORDERING: Relaxed. A number; see `Turn::sleep` for what is concluded from it.
        self.len.load(Ordering::Relaxed)
    }

    /// Counts a future that is about to be put in.
    pub fn announce(&self) {
        // ORDERING: Relaxed. Whoever finds the number too small to wait for this future is woken by the wake in `insert`.
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a future in that was announced, and wakes the task that waits. There has to be a free place, which nobody else
    /// counts on.
    pub fn insert(&self, future: F) {
        let number = self.take_place();
        let place = self.shelf.get(number);
        // SAFETY: the place is ours (P1). No future is in it (P3).
        place.future.with_mut(|cell| unsafe { (*cell).write(future) });
        // ORDERING: Release pairs with the Acquire in `Turn::full`: who sees the mark sees the future.
        place.mark.store(FULL, Ordering::Release);
        self.shelf.with_waker(number, Waker::wake_by_ref);
    }

    /// Wakes the task that waits, as a waker does that has nothing to tell.
    pub fn nudge(&self) {
        self.shelf.with_waker(0, Waker::wake_by_ref);
    }

    fn take_place(&self) -> usize {
        // ORDERING: Relaxed, all of it: the lock orders what happens to the list, and to a place before it was on it.
        self.lock.with(|| {
            let number = self.free.load(Ordering::Relaxed);
            assert!(number != NIL, "there is a place for everybody who was let in");
            self.free.store(self.shelf.get(number).mark.load(Ordering::Relaxed), Ordering::Relaxed);
            number
        })
    }

    fn free_place(&self, number: usize) {
        // ORDERING: Relaxed, as in `take_place`.
        self.lock.with(|| {
            self.shelf.get(number).mark.store(self.free.load(Ordering::Relaxed), Ordering::Relaxed);
            self.free.store(number, Ordering::Relaxed);
        });
        // ORDERING: Relaxed. A number.
        self.len.fetch_sub(1, Ordering::Relaxed);
    }

    /// None if somebody has the turn.
    pub fn turn(&self) -> Option<Turn<'_, F, L>> {
        // ORDERING: Acquire pairs with the Release at the end of the turn before.
        (!self.seat.taken.swap(true, Ordering::Acquire)).then(|| Turn(self))
    }
}

impl<F, L: RawLock> Turn<'_, F, L> {
    /// The next place that was woken.
    #[inline]
    pub fn next_woken(&mut self) -> Option<usize> {
        // SAFETY: the round is ours (P2), and `self` is borrowed for as long as we use it.
        self.0.seat.round.with_mut(|round| self.0.shelf.next_woken(unsafe { &mut *round }))
    }

    /// Prepares for `Pending`; false if something was woken already.
    ///
    /// When this has been called and [`len`](Places::len) says 0, then whatever is put in later wakes `task`.
    #[inline]
    pub fn sleep(&mut self, task: &Waker) -> bool {
        // SAFETY: as in `next_woken`.
        self.0.seat.round.with_mut(|round| self.0.shelf.sleep(unsafe { &mut *round }, task))
    }

    /// Polls the future in a place, if there is one. When it has finished or panics, it is dropped, and the place is free.
    /// `freed` counts that.
    pub fn poll(&mut self, number: usize, freed: &mut usize) -> Option<F::Output>
    where
        F: Future,
    {
        let place = self.full(number)?;
        let vacate = Vacate { places: self.0, number, freed };
        let polled = self.0.shelf.with_waker(number, |waker| {
            place.future.with_mut(|cell| {
                // SAFETY: full, so ours (P2) and initialised. It does not move before it is dropped (P3).
                let future = unsafe { Pin::new_unchecked((*cell).assume_init_mut()) };
                future.poll(&mut Context::from_waker(waker))
            })
        });
        match polled {
            Poll::Ready(output) => {
                drop(vacate);
                Some(output)
            }
            Poll::Pending => {
                core::mem::forget(vacate);
                None
            }
        }
    }

    /// Drops the future in a place, if there is one.
    pub fn clear(&mut self, number: usize, freed: &mut usize) {
        if self.full(number).is_some() {
            drop(Vacate { places: self.0, number, freed });
        }
    }

    #[inline]
    fn full(&self, number: usize) -> Option<&Place<F>> {
        let place = self.0.shelf.get(number);
        // ORDERING: Acquire pairs with the Release in `insert`.
        (place.mark.load(Ordering::Acquire) == FULL).then_some(place)
    }
}

impl<F, L> Drop for Turn<'_, F, L> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `turn`.
        self.0.seat.taken.store(false, Ordering::Release);
    }
}

/// Drops the future in a full place, by who has the turn, and frees the place.
struct Vacate<'a, F, L: RawLock> {
    places: &'a Places<F, L>,
    number: usize,
    freed: &'a mut usize,
}

impl<F, L: RawLock> Drop for Vacate<'_, F, L> {
    fn drop(&mut self) {
        /// Also when the future panics while it is dropped.
        struct Free<'a, 'b, F, L: RawLock>(&'a mut Vacate<'b, F, L>);

        impl<F, L: RawLock> Drop for Free<'_, '_, F, L> {
            fn drop(&mut self) {
                self.0.places.free_place(self.0.number);
                *self.0.freed += 1;
            }
        }

        let free = Free(self);
        let place = free.0.places.shelf.get(free.0.number);
        // SAFETY: full and ours, says who made this (P2), and not used after it (P3).
        place.future.with_mut(|cell| unsafe { (*cell).assume_init_drop() });
    }
}

impl<F> Drop for Place<F> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. Whoever has the place alone has been told of all that happened to it.
        if self.mark.load(Ordering::Relaxed) == FULL {
            // SAFETY: full, and nobody else has it (P3).
            self.future.with_mut(|cell| unsafe { (*cell).assume_init_drop() });
        }
    }
}
