//! Which of those that run have to be finished first: a list of slots, by deadline.
//!
//! All items of a stream have the same time, counted from when they start. So the one that started first is the first one
//! whose time is over, and a list in the order of starts is in the order of deadlines. Items leave it from anywhere, so it
//! is linked both ways. Every step takes the same time, however many items run.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::order::NIL;
use crate::time::Elapsed;

/// Access to what is written down about slots.
pub trait Stamps {
    type Stamp;

    fn stamp<R>(&self, slot: u32, f: impl FnOnce(&Self::Stamp) -> R) -> R;
    fn stamp_mut<R>(&mut self, slot: u32, f: impl FnOnce(&mut Self::Stamp) -> R) -> R;
}

/// The deadlines of all that runs.
pub trait Schedule {
    /// What is written down about a slot.
    type Stamp: Default;
    type At: Copy + Ord;

    const NEW: Self;

    /// What runs in `slot` has to be finished by `at`, which is not before the last one's.
    fn push(&mut self, stamps: &mut impl Stamps<Stamp = Self::Stamp>, slot: u32, at: Self::At);

    /// The slot whose deadline is the first.
    fn first(&self, stamps: &impl Stamps<Stamp = Self::Stamp>) -> Option<(u32, Self::At)>;

    /// Nothing runs in `slot` any more. It may have had no deadline.
    fn remove(&mut self, stamps: &mut impl Stamps<Stamp = Self::Stamp>, slot: u32);
}

/// What knows the time, and for how long items may run.
pub trait Alarm {
    type Schedule: Schedule;

    /// Reads the clock for an item that has just started: by when it has to be finished, if ever.
    fn begin(&self) -> Result<Option<At<Self>>, Elapsed>;

    fn now(&self) -> At<Self>;

    /// Ready when `at` is reached; otherwise the task will be woken then.
    fn poll(self: Pin<&mut Self>, at: At<Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Nothing will run any more.
    fn disarm(self: Pin<&mut Self>);
}

type At<A> = <<A as Alarm>::Schedule as Schedule>::At;

/// Items may run for ever. There is no such alarm.
#[derive(Debug)]
pub enum Unlimited {}

/// Deadlines in the order in which they were set.
#[derive(Debug)]
pub struct InTurn<T> {
    head: u32,
    tail: u32,
    _at: core::marker::PhantomData<fn() -> T>,
}

/// The deadline of what runs in a slot, and its neighbours in the list.
#[derive(Debug)]
pub struct Stamp<T> {
    /// None when it is not in the list.
    at: Option<T>,
    prev: u32,
    next: u32,
}

// === impl Unlimited ===

impl Alarm for Unlimited {
    type Schedule = ();

    fn begin(&self) -> Result<Option<Infallible>, Elapsed> {
        match *self {}
    }

    fn now(&self) -> Infallible {
        match *self {}
    }

    fn poll(self: Pin<&mut Self>, _: Infallible, _: &mut Context<'_>) -> Poll<()> {
        match *self {}
    }

    fn disarm(self: Pin<&mut Self>) {
        match *self {}
    }
}

impl Schedule for () {
    type Stamp = ();
    type At = Infallible;

    const NEW: Self = ();

    fn push(&mut self, _: &mut impl Stamps<Stamp = ()>, _: u32, at: Infallible) {
        match at {}
    }

    #[inline]
    fn first(&self, _: &impl Stamps<Stamp = ()>) -> Option<(u32, Infallible)> {
        None
    }

    #[inline]
    fn remove(&mut self, _: &mut impl Stamps<Stamp = ()>, _: u32) {}
}

// === impl InTurn ===

impl<T> Default for Stamp<T> {
    fn default() -> Self {
        Self { at: None, prev: NIL, next: NIL }
    }
}

impl<T: Copy + Ord> Schedule for InTurn<T> {
    type Stamp = Stamp<T>;
    type At = T;

    const NEW: Self = Self { head: NIL, tail: NIL, _at: core::marker::PhantomData };

    fn push(&mut self, stamps: &mut impl Stamps<Stamp = Stamp<T>>, slot: u32, at: T) {
        stamps.stamp_mut(slot, |stamp| *stamp = Stamp { at: Some(at), prev: self.tail, next: NIL });
        if self.tail == NIL {
            self.head = slot;
        } else {
            stamps.stamp_mut(self.tail, |stamp| stamp.next = slot);
        }
        self.tail = slot;
    }

    fn first(&self, stamps: &impl Stamps<Stamp = Stamp<T>>) -> Option<(u32, T)> {
        if self.head == NIL {
            return None;
        }
        stamps.stamp(self.head, |stamp| stamp.at).map(|at| (self.head, at))
    }

    fn remove(&mut self, stamps: &mut impl Stamps<Stamp = Stamp<T>>, slot: u32) {
        let was = stamps.stamp_mut(slot, |stamp| stamp.at.take().map(|_| (stamp.prev, stamp.next)));
        let Some((prev, next)) = was else { return };
        if prev == NIL {
            self.head = next;
        } else {
            stamps.stamp_mut(prev, |stamp| stamp.next = next);
        }
        if next == NIL {
            self.tail = prev;
        } else {
            stamps.stamp_mut(next, |stamp| stamp.prev = prev);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    impl Stamps for Vec<Stamp<u64>> {
        type Stamp = Stamp<u64>;

        fn stamp<R>(&self, slot: u32, f: impl FnOnce(&Stamp<u64>) -> R) -> R {
            f(&self[slot as usize])
        }

        fn stamp_mut<R>(&mut self, slot: u32, f: impl FnOnce(&mut Stamp<u64>) -> R) -> R {
            f(&mut self[slot as usize])
        }
    }

    #[test]
    fn deadlines_keep_their_order_whatever_leaves() {
        for gone in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut stamps: Vec<_> = (0..4).map(|_| Stamp::default()).collect();
            let mut schedule = InTurn::NEW;
            for slot in 0..3 {
                schedule.push(&mut stamps, slot, u64::from(slot) * 10);
            }
            let mut left = [0, 1, 2].to_vec();
            for slot in gone {
                assert_eq!(schedule.first(&stamps), Some((left[0], u64::from(left[0]) * 10)));
                schedule.remove(&mut stamps, slot);
                schedule.remove(&mut stamps, slot);
                schedule.remove(&mut stamps, 3);
                left.retain(|&other| other != slot);
            }
            assert_eq!(schedule.first(&stamps), None);
            schedule.push(&mut stamps, 3, 7);
            assert_eq!(schedule.first(&stamps), Some((3, 7)));
        }
    }
}
