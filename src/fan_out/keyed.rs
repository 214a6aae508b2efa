//! One at a time for each key.
//!
//! Of the items that were taken and have the same key, the first one that has not finished is the key's *head*. Heads start
//! and run like items without keys; those behind them are chained to their head and come up when it is done.
//!
//! Heads are found by key in a digital search tree: a node is a head's slot, and at each node the next two bits of the hash say
//! which way to go. A tree needs four links a slot and no table whose size depends on the window, so there is nothing to
//! allocate, and nothing to move when the window is large.
//!
//! ```text
//!             head of a ── chained ── chained          hash of a = ..01 10
//!            00 /       \ 11                            hash of b = ..11 00
//!     head of b         head of c                       hash of c = ..10 11      (bits from the right)
//! ```
//!
//! # Invariants
//!
//! * **K1** A head with links in the tree has its key; those that are chained have none.
//! * **K2** A node lies on the way that the bits of its hash lead from the root. Hence so does all below it, and any node
//!   without children may take the place of one above it.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never, admit_as_inner, limit_as_inner, stop_as_inner};
use super::order::{Links, List, NIL, Policy};
use super::{FanOut, Order, Storage, sealed};

/// One at a time for each key, results as they complete; see [`FanOut::keyed`].
#[derive(Debug, Clone, Copy)]
pub struct Keyed(());

pin_project! {
    /// Items have keys; see [`FanOut::keyed`].
    pub struct KeyedBy<M, F> {
        #[pin]
        inner: M,
        key: F,
    }
}

/// Results as they complete, and one at a time for each key.
#[derive(Debug)]
pub struct ByKey<K> {
    waiting: List,
    finished: List,
    root: u32,
    _key: core::marker::PhantomData<fn() -> K>,
}

/// Children of a node, a power of two. More would make the walks shorter still, and each slot larger.
const SIDES: usize = 4;

/// What is written down about a slot.
#[derive(Debug)]
pub struct Note<K> {
    key: Option<K>,
    hash: u32,
    children: [u32; SIDES],
    /// Those behind this head.
    chain: List,
}

/// Where a key is in the tree, or would be.
#[derive(Debug)]
pub struct Place<K> {
    key: K,
    hash: u32,
    /// The head with this key.
    head: u32,
    /// What its node is, or would be, a child of, and which one. [`NIL`] for the root.
    parent: u32,
    side: usize,
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Runs at most one item at a time of those for which `key` gives the same, and items with different keys side by side.
    ///
    /// So the results of each key come in the order of its items in the input. Those of different keys come as they
    /// complete.
    ///
    /// Items whose key is busy wait, and count against the [window](Self::window), whose default is the limit: a window
    /// full of one key keeps other keys from being taken. Choose a wide one where keys come in runs.
    ///
    /// `key` is called once an item, when it is taken.
    ///
    /// # Fairness
    ///
    /// Of the items whose keys are free, those start first whose turn came first. A key that comes often does not keep
    /// others waiting, as long as the window has room for them.
    ///
    /// # Cost
    ///
    /// An item whose key is busy or free is found by a walk down a tree of the keys in the window, as deep as the logarithm
    /// of their number. There is no allocation. Keys whose hashes are the same by design make the walk as long as there are
    /// such keys: the hash is quick and has no secret, so with keys that an enemy chooses, keep the window small.
    ///
    /// # Panics
    ///
    /// If the stream was polled. If `key` or the comparison of keys panics, the item is gone.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let payments = [("ann", 5), ("ann", 1), ("bob", 2), ("ann", 0), ("bob", 0)];
    /// let booked = stream::iter(payments).fan_out_with(3, |(who, steps)| async move {
    ///     for _ in 0..steps {
    ///         yield_now().await;
    ///     }
    ///     (who, steps)
    /// });
    /// let booked: Vec<_> = block_on(booked.keyed(|(who, _)| *who).window(5).collect());
    /// let of = |name| booked.iter().filter(|(who, _)| *who == name).map(|(_, steps)| *steps).collect::<Vec<_>>();
    /// assert_eq!(of("ann"), [5, 1, 0]);
    /// assert_eq!(of("bob"), [2, 0]);
    /// ```
    #[track_caller]
    pub fn keyed<K, F>(self, key: F) -> FanOut<St, KeyedBy<M, F>, Keyed, S>
    where
        K: Hash + Eq,
        F: FnMut(&St::Item) -> K,
    {
        self.relaunch(|inner| KeyedBy { inner, key })
    }
}

impl Order for Keyed {}

impl sealed::Order for Keyed {
    type Policy<K: Hash + Eq> = ByKey<K>;
}

// === impl KeyedBy ===

impl<M, F> sealed::Sealed for KeyedBy<M, F> {}

impl<Item, M, F, K> Launch<Item> for KeyedBy<M, F>
where
    M: Launch<Item>,
    F: FnMut(&Item) -> K,
    K: Hash + Eq,
{
    type Future = M::Future;
    type Weight = M::Weight;
    type Key = K;
    type Alarm = M::Alarm;

    stop_as_inner!();
    admit_as_inner!(Item);
    limit_as_inner!();

    #[inline]
    fn weight(self: Pin<&mut Self>, item: &Item) -> M::Weight {
        self.project().inner.weight(item)
    }

    #[inline]
    fn key(self: Pin<&mut Self>, item: &Item) -> K {
        (self.project().key)(item)
    }

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Item) -> M::Future {
        self.project().inner.launch(item)
    }
}

impl<M: fmt::Debug, F> fmt::Debug for KeyedBy<M, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedBy").field("inner", &self.inner).finish_non_exhaustive()
    }
}

// === impl ByKey ===

impl<K> Default for Note<K> {
    fn default() -> Self {
        Self { key: None, hash: 0, children: [NIL; SIDES], chain: List::new() }
    }
}

/// The child to go to next, by the rest of the hash, which that takes a bit off. Below the last bit all keys go the same way,
/// and are a list.
#[inline]
fn side(rest: &mut u32) -> usize {
    let side = *rest as usize % SIDES;
    *rest >>= SIDES.ilog2();
    side
}

impl<K: Hash + Eq> ByKey<K> {
    fn find(&self, links: &impl Links<Note = Note<K>>, key: K) -> Place<K> {
        let hash = hash_of(&key);
        let mut place = Place { key, hash, head: self.root, parent: NIL, side: 0 };
        let mut rest = hash;
        while place.head != NIL {
            let side = side(&mut rest);
            let below = links.read(place.head, |node| {
                let found = node.hash == hash && node.key.as_ref() == Some(&place.key);
                (!found).then(|| node.children[side])
            });
            let Some(below) = below else { break };
            (place.parent, place.side) = (place.head, side);
            place.head = below;
        }
        place
    }

    /// What leads to the node `slot`: its parent, and which child it is.
    fn parent(&self, links: &impl Links<Note = Note<K>>, slot: u32) -> (u32, usize) {
        let mut rest = links.read(slot, |note| note.hash);
        let (mut at, mut parent, mut last) = (self.root, NIL, 0);
        while at != slot {
            assert!(at != NIL, "slot {slot} is no head");
            last = side(&mut rest);
            parent = at;
            at = links.read(at, |note| note.children[last]);
        }
        (parent, last)
    }

    fn set_child(&mut self, links: &mut impl Links<Note = Note<K>>, (parent, side): (u32, usize), child: u32) {
        if parent == NIL {
            self.root = child;
        } else {
            links.write(parent, |note| note.children[side] = child);
        }
    }

    /// Takes `slot` out of the tree, and puts a node from below it, which has no children, in its place.
    fn remove(&mut self, links: &mut impl Links<Note = Note<K>>, slot: u32) {
        let parent = self.parent(links, slot);
        let (mut leaf, mut above) = (slot, parent);
        loop {
            let child = links.read(leaf, |note| {
                let side = (0..SIDES).find(|&side| note.children[side] != NIL)?;
                Some((side, note.children[side]))
            });
            let Some((side, child)) = child else { break };
            above = (leaf, side);
            leaf = child;
        }
        self.set_child(links, above, NIL);
        if leaf != slot {
            // K2
            let children = links.write(slot, |note| core::mem::replace(&mut note.children, [NIL; SIDES]));
            links.write(leaf, |note| note.children = children);
            self.set_child(links, parent, leaf);
        }
    }

    /// The head `slot` is done: the next one of its key comes up, if there is one.
    fn leave(&mut self, links: &mut impl Links<Note = Note<K>>, slot: u32) {
        let mut chain = links.write(slot, |note| core::mem::replace(&mut note.chain, List::new()));
        let next = chain.head();
        if next == NIL {
            self.remove(links, slot);
            // Not before, for it may panic as it goes.
            drop(links.write(slot, |note| note.key.take()));
            return;
        }
        chain.pop_front(links);
        let parent = self.parent(links, slot);
        let mut head = links.write(slot, core::mem::take);
        head.chain = chain;
        links.write(next, |note| *note = head);
        self.set_child(links, parent, next);
        self.waiting.push_back(links, next);
    }
}

impl<K: Hash + Eq> Policy for ByKey<K> {
    type Key = K;
    type Note = Note<K>;
    type Place = Place<K>;

    fn new() -> Self {
        Self { waiting: List::new(), finished: List::new(), root: NIL, _key: core::marker::PhantomData }
    }

    fn place<L: Links<Note = Note<K>>>(&self, links: &L, key: impl FnOnce() -> K) -> Place<K> {
        self.find(links, key())
    }

    #[inline]
    fn is_free(place: &Place<K>) -> bool {
        place.head == NIL
    }

    fn taken<L: Links<Note = Note<K>>>(&mut self, links: &mut L, slot: u32, place: Place<K>, starts: bool) {
        if place.head != NIL {
            let mut chain = links.read(place.head, |note| note.chain);
            chain.push_back(links, slot);
            links.write(place.head, |note| note.chain = chain);
            return;
        }
        let Place { key, hash, parent, side, .. } = place;
        links.write(slot, |note| *note = Note { key: Some(key), hash, ..Note::default() });
        self.set_child(links, (parent, side), slot);
        if !starts {
            self.waiting.push_back(links, slot);
        }
    }

    #[inline]
    fn waiting(&self) -> u32 {
        self.waiting.head()
    }

    fn started(&mut self, links: &mut impl Links<Note = Note<K>>) {
        self.waiting.pop_front(links);
    }

    fn finished(&mut self, links: &mut impl Links<Note = Note<K>>, slot: u32) {
        self.finished.push_back(links, slot);
        self.leave(links, slot);
    }

    #[inline]
    fn front(&self) -> u32 {
        self.finished.head()
    }

    #[inline]
    fn given(&mut self, links: &mut impl Links<Note = Note<K>>) {
        self.finished.pop_front(links);
    }

    /// Never: what comes up behind it is to start first.
    #[inline]
    fn may_pass(_: u32, _: u32) -> bool {
        false
    }

    fn passed(&mut self, _: u32, _: u32) {
        unreachable!("nothing may pass")
    }

    fn gone(&mut self, links: &mut impl Links<Note = Note<K>>, slot: u32) {
        self.leave(links, slot);
    }
}

// === hashing ===

/// Multiplies and rotates. Quick, the same everywhere, and without a secret.
struct Mix(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn hash_of<K: Hash>(key: &K) -> u32 {
    let mut mix = Mix(0);
    key.hash(&mut mix);
    (mix.finish() >> 32) as u32
}

impl Mix {
    #[inline]
    fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }

    #[inline]
    fn write_u8(&mut self, n: u8) {
        self.word(n.into());
    }

    #[inline]
    fn write_u32(&mut self, n: u32) {
        self.word(n.into());
    }

    #[inline]
    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }

    #[inline]
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }

    fn finish(&self) -> u64 {
        // The high half has seen all bits of the low one; fold it once more, so that each bit depends on every word.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The most of those keys that are left together after so many steps down the tree.
    fn crowd<K: Hash>(steps: u32, keys: impl Iterator<Item = K>) -> usize {
        let mut below = vec![0; SIDES.pow(steps)];
        for key in keys {
            let mut rest = hash_of(&key);
            let end = (0..steps).fold(0, |end, _| end * SIDES + side(&mut rest));
            below[end] += 1;
        }
        below.into_iter().max().unwrap()
    }

    #[test]
    fn the_tree_looks_at_two_bits_after_two_bits() {
        let mut rest = 0b11_01_10_00;
        assert_eq!([(); 5].map(|()| side(&mut rest)), [0, 2, 1, 3, 0]);
    }

    #[test]
    fn keys_of_every_usual_kind_spread_over_the_tree() {
        // Of as many balls as boxes, even in boxes drawn at random one has about six.
        const FEW: usize = 12;
        assert!(crowd(4, 0..=u8::MAX) <= FEW);
        for shift in [0, 4, 16] {
            assert!(crowd(5, (0..1024_u32).map(|n| n << shift)) <= FEW, "32 bits, shifted by {shift}");
        }
        for shift in [0, 8, 32, 48] {
            assert!(crowd(5, (0..1024_u64).map(|n| n << shift)) <= FEW, "64 bits, shifted by {shift}");
        }
        assert!(crowd(5, 0..1024_usize) <= FEW);
        assert!(crowd(5, (0..1024_u64).map(|n| (n, 7_u8))) <= FEW);
        assert!(crowd(5, (0..1024_u64).map(|n| (7_u8, n))) <= FEW);
        assert!(crowd(5, (0..1024_u64).map(u64::to_be_bytes)) <= FEW);
        assert!(crowd(5, (0..1024).map(|n| alloc::format!("https://a.example/{n}"))) <= FEW);
    }
}
