//! Which of the futures were woken: the protocol between many wakers and the one owner that polls.
//!
//! Two levels of words. A [`Word`] has one bit a future. The [`Hub`] has one word on top, with a bit for each of the first
//! [`DIRECT`] futures, and flags, each of which says "look at the words of this number"; and the waker of the task around.
//! A few futures thus need one level only.
//!
//! ```text
//!   waker (any thread)                       owner (inside poll)
//!   ──────────────────                       ───────────────────
//!   word.fetch_or(bit)                       marks = top.swap(POLLING)         begin a round
//!     was 0? top.fetch_or(flag)              for each flag: bits = word.swap(0)
//!              was 0? wake the task            poll each future once
//!                                            nothing left?
//!   or at once:                                set the task's waker
//!   top.fetch_or(bit)                          top.compare_exchange(POLLING, 0)
//!     was 0? wake the task                       fails? another round
//!                                                works? Pending
//! ```
//!
//! States of `top`, where marks are bits and flags:
//!
//! ```text
//!              owner: begin a round                     waker: first wake
//!   0 ────────────────────────────────► POLLING ─────────────────────────► POLLING + marks
//!   ▲ │        owner: nothing left         │ ▲                                   │
//!   │ │◄────────────────────────────────────┘ └───────── owner: begin a round ────┘
//!   │ └── waker: first wake, wakes the task ──► marks ── owner: begin a round ──► POLLING
//! ```
//!
//! # Invariants
//!
//! * **R1** Whoever changes a word from zero goes on to set its flag; whoever finds it not zero leaves that to the one
//!   before. So a set bit has its flag set, or about to be set by a waker that is under way.
//! * **R2** Whoever changes `top` from zero goes on to wake the task. While `top` is not zero the task is awake, or its
//!   wake is under way.
//! * **R3** The owner makes `top` zero only with the task's waker set, and returns `Pending` only after that, or after it
//!   woke the task itself.
//!
//! A wake costs one read-modify-write, and for the first of a batch one more beyond the first futures, and the wake of the
//! task. The task is woken with nothing held, so its waker may poll on the spot. Waking twice is waking once; there is no
//! queue to corrupt. A wake for a future that is gone reaches whatever took its place, which is then polled once for
//! nothing.
//!
//! With more words than flags, a flag stands for several: word `n` has flag `n % FLAGS`.

use core::task::Waker;

use crate::sync::{AtomicUsize, Ordering, const_fn};
use crate::wait::bell::{Bell, Tone};

/// Futures a word.
pub const BITS: usize = usize::BITS as usize;
/// Futures whose bits are on top.
pub const DIRECT: usize = BITS / 2;
/// Flags in the hub; one bit is the mark [`POLLING`].
pub const FLAGS: usize = BITS - DIRECT - 1;
/// The owner is awake, or will be without being woken.
const POLLING: usize = 1 << (BITS - 1);

/// What all words of one owner have in common.
#[derive(Debug)]
pub struct Hub {
    top: AtomicUsize,
    task: Bell,
}

/// One bit a future: woken since it was last polled.
#[derive(Debug)]
pub struct Word(AtomicUsize);

/// All words of one owner, by number.
pub trait Words {
    fn count(&self) -> usize;
    fn word(&self, number: usize) -> &Word;
}

/// The owner's side: what was woken and is not yet polled.
///
/// In one round each future comes up at most once. What is woken during a round belongs to the next, so a future that
/// wakes itself cannot keep its siblings from being polled.
#[derive(Debug)]
pub struct Round {
    /// Flags that are not yet looked at.
    flags: usize,
    /// The first future of the word that is looked at.
    base: usize,
    /// Its bits that have not come up yet.
    bits: usize,
    /// The task's waker that the hub has.
    tone: Tone,
}

// === impl Hub ===

impl Hub {
    const_fn! {
        /// A hub whose owner is awake.
        pub const fn new() -> Self {
            Self { top: AtomicUsize::new(POLLING), task: Bell::new() }
        }
    }

    /// The flag of a word.
    pub const fn flag(number: usize) -> usize {
        1 << (DIRECT + number % FLAGS)
    }

    /// Notes that `bit` of a word was woken, whose flag this is. True if the task does not know yet: then [`ring`](Self::ring).
    ///
    /// To be called by anybody at any time.
    #[inline]
    #[must_use]
    pub fn wake(&self, word: &Word, bit: usize, flag: usize) -> bool {
        // ORDERING: Release pairs with the Acquire in `Word::take`: the future sees what happened before its wake. Every
        // wake writes, also one that finds its bit set, so that every wake has such an edge.
        word.0.fetch_or(1 << bit, Ordering::Release) == 0 // R1
            && self.mark(flag)
    }

    /// Notes that one of the first futures was woken, whose number is `bit`. Otherwise as [`wake`](Self::wake).
    #[inline]
    #[must_use]
    pub fn wake_direct(&self, bit: usize) -> bool {
        self.mark(1 << bit)
    }

    #[inline]
    fn mark(&self, mark: usize) -> bool {
        // ORDERING: Release pairs with the Acquire in `take`: who sees the flag finds the bit, and a future whose bit this
        // is sees what happened before its wake. Acquire pairs with the Release in `sleep`: who finds zero finds the waker
        // that was set before. (What the bell orders itself would do for the latter; this does not lean on its insides.)
        self.top.fetch_or(mark, Ordering::AcqRel) == 0 // R2
    }

    /// Wakes the task.
    #[inline]
    pub fn ring(&self) {
        self.task.ring();
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        // ORDERING: Relaxed. A flag that is overlooked here is still there for the exchange in `sleep`.
        self.top.load(Ordering::Relaxed) == POLLING
    }

    /// Takes all marks, and leaves that the owner is awake.
    #[inline]
    fn take(&self) -> usize {
        if self.is_quiet() {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release in `mark`.
        self.top.swap(POLLING, Ordering::Acquire) & !POLLING
    }

    /// Prepares for `Pending`: true when `waker` will be woken for whatever comes. When false, something came already.
    ///
    /// `tone` is what this owner has for the task's waker.
    #[inline]
    fn sleep(&self, waker: &Waker, tone: &mut Tone) -> bool {
        if !self.task.set(waker, tone) {
            // The task that polled before is just being woken. This one comes back for another try.
            waker.wake_by_ref();
            return true;
        }
        // ORDERING: Release pairs with the Acquire in `mark`, which thereby finds the waker that was just set. Relaxed on
        // failure: `take` is next.
        self.top.compare_exchange(POLLING, 0, Ordering::Release, Ordering::Relaxed).is_ok() // R3
    }

    /// Forgets the task's waker: the owner is gone, and nothing of the task should live on in wakers that remain.
    /// The caller drops it.
    pub fn take_task(&self) -> Option<Waker> {
        self.task.clear()
    }
}

// === impl Word ===

impl Word {
    const_fn! {
        pub const fn new() -> Self {
            Self(AtomicUsize::new(0))
        }
    }

    /// Takes all bits.
    #[inline]
    pub fn take(&self) -> usize {
        // ORDERING: Relaxed. The flag was read with Acquire, so the bit that set it is seen here, unless it was taken
        // before. Of a bit set later the flag is yet to come.
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release in `Hub::wake`. All changes of a word are
        // read-modify-writes, so this pairs with every wake whose bit it takes.
        self.0.swap(0, Ordering::Acquire)
    }
}

// === impl Round ===

impl Round {
    pub const fn new() -> Self {
        Self { flags: 0, base: 0, bits: 0, tone: Tone::NONE }
    }

    /// The next future that was woken, in the word that is looked at.
    #[inline]
    pub fn next(&mut self) -> Option<usize> {
        if self.bits == 0 {
            return None;
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.base + bit)
    }

    /// Whether it is time to [look further](Self::find).
    #[inline]
    pub fn is_over(&self) -> bool {
        self.bits == 0
    }

    /// Whether there is nothing to be found at a glance. What comes later has its flag set, which [`Hub::sleep`] sees.
    #[inline]
    pub fn is_quiet(&self, hub: &Hub, words: &impl Words) -> bool {
        self.flags == 0 && hub.is_quiet() && self.bits == 0 && words.count() <= FLAGS
    }

    /// Prepares for `Pending`: true when `waker` will be woken for whatever comes. When false, something came already.
    #[inline]
    pub fn sleep(&mut self, hub: &Hub, waker: &Waker) -> bool {
        hub.sleep(waker, &mut self.tone)
    }

    /// Goes on to the next word that has bits, if there is one; begins a round if the one under way is over.
    #[inline]
    pub fn find(&mut self, hub: &Hub, words: &impl Words) {
        if self.flags == 0 && words.count() <= FLAGS && (!self.begin(hub, words) || self.bits != 0) {
            return;
        }
        self.find_word(hub, words);
    }

    /// Begins a round, with the bits on top and, where they share a word, those of the first word. False if there is
    /// nothing to look at.
    #[inline]
    fn begin(&mut self, hub: &Hub, words: &impl Words) -> bool {
        let marks = hub.take();
        self.base = 0;
        self.bits = marks & ((1 << DIRECT) - 1);
        self.flags = marks >> DIRECT;
        if self.flags & 1 != 0 {
            self.flags &= !1;
            self.bits |= words.word(0).take();
        }
        marks != 0
    }

    #[inline(never)]
    fn find_word(&mut self, hub: &Hub, words: &impl Words) {
        loop {
            if self.bits != 0 || words.count() > FLAGS && self.find_of_same_flag(words) {
                return;
            }
            if self.flags != 0 {
                let number = self.flags.trailing_zeros() as usize;
                self.flags &= self.flags - 1;
                self.base = number * BITS;
                self.bits = words.word(number).take();
            } else if !self.begin(hub, words) {
                return;
            }
        }
    }

    /// Goes on to the next word that has bits among those that share the flag of the one that is looked at.
    #[cold]
    fn find_of_same_flag(&mut self, words: &impl Words) -> bool {
        let mut number = self.base / BITS;
        while self.bits == 0 && number + FLAGS < words.count() {
            number += FLAGS;
            self.base = number * BITS;
            self.bits = words.word(number).take();
        }
        self.bits != 0
    }
}

#[cfg(test)]
mod model;
