//! Which item starts next and which is handed out next: lists of slot numbers, and nothing else.
//!
//! A slot has one link, and is in at most one list at a time. So a list costs no memory of its own, any free slot serves
//! for any item, and growing means nothing to a list. A ring by sequence number would be smaller still, but it needs the
//! slot of exactly that number to be free, and to move when the ring grows; pinned futures cannot.

use core::marker::PhantomData;

/// No slot.
pub const NIL: u32 = u32::MAX;

/// The links between slots: one a slot, and a note.
pub trait Links {
    /// What an order writes down about a slot beside the link.
    type Note;

    fn next(&self, slot: u32) -> u32;
    fn set_next(&mut self, slot: u32, next: u32);
    fn read<R>(&self, slot: u32, f: impl FnOnce(&Self::Note) -> R) -> R;
    fn write<R>(&mut self, slot: u32, f: impl FnOnce(&mut Self::Note) -> R) -> R;
}

/// First in, first out. The link of the last one means nothing.
#[derive(Debug, Clone, Copy)]
pub struct List {
    head: u32,
    tail: u32,
}

/// Decides about order. Told of every step in a slot's life, in this sequence:
///
/// ```text
///   taken(starts = false) ── started ──┐
///   taken(starts = true) ──────────────┼──► finished ── given
///                                      ├──► passed
///                                      └──► gone
/// ```
///
/// An item that starts, finishes and is handed out in one go, with nothing before it, is not told of at all.
pub trait Policy {
    /// What results are kept apart by.
    type Key;
    /// What is written down about a slot.
    type Note: Default;
    /// Where an item belongs, found out before it has a slot.
    type Place;

    fn new() -> Self;

    /// Where an item with `key` belongs; good until the next call that changes anything.
    fn place<L>(&self, links: &L, key: impl FnOnce() -> Self::Key) -> Self::Place
    where
        L: Links<Note = Self::Note>;

    /// Whether what belongs there may start at once.
    fn is_free(place: &Self::Place) -> bool;

    /// An item was taken and sits in `slot`. If it `starts` at once, its place is free.
    fn taken<L>(&mut self, links: &mut L, slot: u32, place: Self::Place, starts: bool)
    where
        L: Links<Note = Self::Note>;

    /// The slot that is to start next, or [`NIL`].
    fn waiting(&self) -> u32;

    /// What [`waiting`](Self::waiting) named was started.
    fn started(&mut self, links: &mut impl Links<Note = Self::Note>);

    /// The output of `slot` is there.
    fn finished(&mut self, links: &mut impl Links<Note = Self::Note>, slot: u32);

    /// The slot whose output is to be handed out next, whether it is there yet or not, or [`NIL`].
    fn front(&self) -> u32;

    /// The output of [`front`](Self::front) was handed out.
    fn given(&mut self, links: &mut impl Links<Note = Self::Note>);

    /// Whether the output of `slot`, which runs, may be handed out the moment that it is there. `front` is what
    /// [`front`](Self::front) says; as long as nothing finishes, starts or is handed out, that is the same.
    fn may_pass(front: u32, slot: u32) -> bool;

    /// The output of `slot` was handed out at once, as [`may_pass`](Self::may_pass) said. Its link was `link`.
    fn passed(&mut self, slot: u32, link: u32);

    /// What was started in `slot` is gone and leaves no output.
    fn gone(&mut self, links: &mut impl Links<Note = Self::Note>, slot: u32);
}

/// Results as they complete.
///
/// What runs is in no list: it is found by its wake.
#[derive(Debug)]
pub struct AsCompleted<K> {
    waiting: List,
    finished: List,
    _key: PhantomData<fn() -> K>,
}

/// Results in the order of the input.
///
/// One list of everything taken. Items start in that order too, so those that wait are its tail.
#[derive(Debug)]
pub struct AsTaken<K> {
    all: List,
    waiting: u32,
    _key: PhantomData<fn() -> K>,
}

// === impl List ===

impl List {
    pub const fn new() -> Self {
        Self { head: NIL, tail: NIL }
    }

    #[inline]
    pub fn head(&self) -> u32 {
        self.head
    }

    #[inline]
    pub fn push_back(&mut self, links: &mut impl Links, slot: u32) {
        if self.head == NIL {
            self.head = slot;
        } else {
            links.set_next(self.tail, slot);
        }
        self.tail = slot;
    }

    #[inline]
    pub fn pop_front(&mut self, links: &impl Links) {
        self.head = self.after(links, self.head);
    }

    /// Takes the first one out, whose link is known.
    #[inline]
    pub fn pop_linked(&mut self, link: u32) {
        self.head = if self.head == self.tail { NIL } else { link };
    }

    /// The slot behind `slot`, which is in this list, or [`NIL`].
    #[inline]
    pub fn after(&self, links: &impl Links, slot: u32) -> u32 {
        if slot == self.tail { NIL } else { links.next(slot) }
    }

    /// Takes `slot`, which is in this list, out of it, by walking there.
    pub fn remove(&mut self, links: &mut impl Links, slot: u32) {
        if self.head == slot {
            return self.pop_front(links);
        }
        let mut prev = self.head;
        loop {
            let next = self.after(links, prev);
            assert!(next != NIL, "slot {slot} is not in the list");
            if next == slot {
                break;
            }
            prev = next;
        }
        if self.tail == slot {
            self.tail = prev;
        } else {
            links.set_next(prev, links.next(slot));
        }
    }
}

// === impl AsCompleted ===

impl<K> Policy for AsCompleted<K> {
    type Key = K;
    type Note = ();
    type Place = ();

    fn new() -> Self {
        Self { waiting: List::new(), finished: List::new(), _key: PhantomData }
    }

    #[inline]
    fn place<L: Links<Note = ()>>(&self, _: &L, _: impl FnOnce() -> K) {}

    #[inline]
    fn is_free((): &()) -> bool {
        true
    }

    #[inline]
    fn taken<L: Links<Note = ()>>(&mut self, links: &mut L, slot: u32, (): (), starts: bool) {
        if !starts {
            self.waiting.push_back(links, slot);
        }
    }

    #[inline]
    fn waiting(&self) -> u32 {
        self.waiting.head()
    }

    fn started(&mut self, links: &mut impl Links<Note = ()>) {
        self.waiting.pop_front(links);
    }

    #[inline]
    fn finished(&mut self, links: &mut impl Links<Note = ()>, slot: u32) {
        self.finished.push_back(links, slot);
    }

    #[inline]
    fn front(&self) -> u32 {
        self.finished.head()
    }

    #[inline]
    fn given(&mut self, links: &mut impl Links<Note = ()>) {
        self.finished.pop_front(links);
    }

    #[inline]
    fn may_pass(front: u32, _: u32) -> bool {
        front == NIL
    }

    #[inline]
    fn passed(&mut self, _: u32, _: u32) {}

    fn gone(&mut self, _: &mut impl Links<Note = ()>, _: u32) {}
}

// === impl AsTaken ===

impl<K> Policy for AsTaken<K> {
    type Key = K;
    type Note = ();
    type Place = ();

    fn new() -> Self {
        Self { all: List::new(), waiting: NIL, _key: PhantomData }
    }

    #[inline]
    fn place<L: Links<Note = ()>>(&self, _: &L, _: impl FnOnce() -> K) {}

    #[inline]
    fn is_free((): &()) -> bool {
        true
    }

    #[inline]
    fn taken<L: Links<Note = ()>>(&mut self, links: &mut L, slot: u32, (): (), starts: bool) {
        self.all.push_back(links, slot);
        if !starts && self.waiting == NIL {
            self.waiting = slot;
        }
    }

    #[inline]
    fn waiting(&self) -> u32 {
        self.waiting
    }

    fn started(&mut self, links: &mut impl Links<Note = ()>) {
        self.waiting = self.all.after(links, self.waiting);
    }

    #[inline]
    fn finished(&mut self, _: &mut impl Links<Note = ()>, _: u32) {}

    #[inline]
    fn front(&self) -> u32 {
        self.all.head()
    }

    #[inline]
    fn given(&mut self, links: &mut impl Links<Note = ()>) {
        self.all.pop_front(links);
    }

    #[inline]
    fn may_pass(front: u32, slot: u32) -> bool {
        front == slot
    }

    #[inline]
    fn passed(&mut self, _: u32, link: u32) {
        self.all.pop_linked(link);
    }

    /// Walks the list; only a panic leads here.
    fn gone(&mut self, links: &mut impl Links<Note = ()>, slot: u32) {
        self.all.remove(links, slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    impl Links for Vec<u32> {
        type Note = ();

        fn read<R>(&self, _: u32, f: impl FnOnce(&()) -> R) -> R {
            f(&())
        }

        fn write<R>(&mut self, _: u32, f: impl FnOnce(&mut ()) -> R) -> R {
            f(&mut ())
        }

        fn next(&self, slot: u32) -> u32 {
            self[slot as usize]
        }

        fn set_next(&mut self, slot: u32, next: u32) {
            self[slot as usize] = next;
        }
    }

    fn contents(list: &List, links: &Vec<u32>) -> Vec<u32> {
        let mut found = Vec::new();
        let mut at = list.head();
        while at != NIL {
            found.push(at);
            at = list.after(links, at);
        }
        found
    }

    #[test]
    fn a_list_keeps_its_order_whatever_is_removed_from_it() {
        for removed in 0..4 {
            let mut links = vec![NIL; 8];
            let mut list = List::new();
            for slot in [3, 1, 5, 2] {
                list.push_back(&mut links, slot);
            }
            list.remove(&mut links, [3, 1, 5, 2][removed]);
            list.push_back(&mut links, 7);
            let mut expected = vec![3, 1, 5, 2];
            expected.remove(removed);
            expected.push(7);
            assert_eq!(contents(&list, &links), expected);
        }
    }

    #[test]
    fn a_list_that_was_emptied_begins_anew() {
        let mut links = vec![NIL; 8];
        let mut list = List::new();
        for slots in [[1, 2], [2, 1]] {
            for slot in slots {
                list.push_back(&mut links, slot);
            }
            assert_eq!(contents(&list, &links), slots);
            list.remove(&mut links, slots[1]);
            list.pop_front(&links);
            assert_eq!(list.head(), NIL);
        }
    }

    #[test]
    fn as_completed_hands_out_in_the_order_of_completion() {
        let mut links = vec![NIL; 8];
        let mut order = AsCompleted::<()>::new();
        for slot in 0..2 {
            order.taken(&mut links, slot, (), true);
        }
        order.taken(&mut links, 2, (), false);
        order.taken(&mut links, 3, (), false);
        assert_eq!((order.front(), order.waiting()), (NIL, 2));
        order.finished(&mut links, 1);
        order.started(&mut links);
        order.finished(&mut links, 0);
        assert_eq!((order.front(), order.waiting()), (1, 3));
        order.given(&mut links);
        assert_eq!(order.front(), 0);
        order.given(&mut links);
        assert_eq!(order.front(), NIL);
    }

    #[test]
    fn as_taken_hands_out_in_the_order_of_the_input_and_skips_what_is_gone() {
        let mut links = vec![NIL; 8];
        let mut order = AsTaken::<()>::new();
        for slot in [4, 1, 0] {
            order.taken(&mut links, slot, (), true);
        }
        order.taken(&mut links, 7, (), false);
        order.taken(&mut links, 6, (), false);
        assert_eq!((order.front(), order.waiting()), (4, 7));
        order.gone(&mut links, 1);
        order.started(&mut links);
        assert_eq!(order.waiting(), 6);
        order.started(&mut links);
        assert_eq!(order.waiting(), NIL);
        let mut out = Vec::new();
        while order.front() != NIL {
            out.push(order.front());
            order.given(&mut links);
        }
        assert_eq!(out, [4, 0, 7, 6]);
        order.taken(&mut links, 2, (), false);
        assert_eq!((order.front(), order.waiting()), (2, 2));
    }
}
