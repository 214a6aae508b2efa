//! A chunk that several may use at a time: all its entries are there from the beginning, and only lent.

use core::mem::ManuallyDrop;
use core::task::Waker;

use super::{Chunk, Hub, Round, VTABLE, Word, Words};

/// Entries on the heap, each with a waker, for anybody who has a reference.
pub struct Shelf<T> {
    chunk: Chunk<T>,
}

/// The entries are not where the shelf is, so they do not care if it moves.
impl<T> Unpin for Shelf<T> {}

impl<T> Shelf<T> {
    /// One allocation for `capacity` entries, which is not 0.
    pub fn new(capacity: usize, mut make: impl FnMut(usize) -> T) -> Self {
        let mut chunk = Chunk::root(capacity, capacity);
        (0..capacity).for_each(|number| {
            chunk.push(make(number));
        });
        Self { chunk }
    }

    /// # Panics
    ///
    /// If there is no such entry, here and below.
    #[inline]
    pub fn get(&self, number: usize) -> &T {
        let (entry, _) = self.chunk.entry(number).expect("an entry of this shelf");
        // SAFETY: the chunk's, which is borrowed as long; only shared references to entries are made (B4).
        unsafe { entry.as_ref() }
    }

    /// Lends the waker of an entry.
    #[inline]
    pub fn with_waker<R>(&self, number: usize, f: impl FnOnce(&Waker) -> R) -> R {
        let (_, data) = self.chunk.entry(number).expect("an entry of this shelf");
        // SAFETY: the data is as in B6, by way of B1. The functions of the table do what wakers should: they touch atomics
        // only, and a clone has a share. This one has none, and is gone when we return, until when the chunk is borrowed.
        let waker = unsafe { ManuallyDrop::new(Waker::new(data, &VTABLE)) };
        f(&waker)
    }

    /// The next entry that was woken. `round` is that of the one task that polls.
    #[inline]
    pub fn next_woken(&self, round: &mut Round) -> Option<usize> {
        if round.is_over() {
            round.find(self.chunk.hub()?, &self.chunk);
        }
        round.next()
    }

    /// Prepares for `Pending`; false if something was woken already. `round` is as above.
    #[inline]
    pub fn sleep(&self, round: &mut Round, task: &Waker) -> bool {
        self.chunk.hub().is_none_or(|hub| round.sleep(hub, task))
    }
}

impl<T> Words for Chunk<T> {
    #[inline]
    fn count(&self) -> usize {
        self.blocks.end
    }

    #[inline]
    fn word(&self, number: usize) -> &Word {
        self.word(number).expect("a block of this chunk")
    }

    #[inline]
    fn groups(&self) -> usize {
        self.groups.count
    }

    #[inline]
    fn group(&self, number: usize) -> &Word {
        self.group(number)
    }
}

impl<T> Drop for Shelf<T> {
    fn drop(&mut self) {
        drop(self.chunk.hub().and_then(Hub::take_task));
    }
}
