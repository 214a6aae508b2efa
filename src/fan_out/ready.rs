//! Which of the futures were woken: the protocol between many wakers and the one owner that polls.
//!
//! Two levels of words. A [`Word`] has one bit a future. The [`Hub`] has one word of flags, each of which says "look at the
//! words of this number", and the waker of the task around.
//!
//! ```text
//!   waker (any thread)                       owner (inside poll)
//!   ──────────────────                       ───────────────────
//!   word.fetch_or(bit)                       flags = top.swap(POLLING)         begin a round
//!     was 0? top.fetch_or(flag)              for each flag: bits = word.swap(0)
//!              was 0? wake the task            poll each future once
//!                                            nothing left?
//!                                              register the task's waker
//!                                              top.compare_exchange(POLLING, 0)
//!                                                fails? another round
//!                                                works? Pending
//! ```
//!
//! States of `top`:
//!
//! ```text
//!              owner: begin a round                     waker: first wake
//!   0 ────────────────────────────────► POLLING ─────────────────────────► POLLING + flags
//!   ▲ │        owner: nothing left         │ ▲                                   │
//!   │ │◄────────────────────────────────────┘ └───────── owner: begin a round ────┘
//!   │ └── waker: first wake, wakes the task ──► flags ── owner: begin a round ──► POLLING
//! ```
//!
//! # Invariants
//!
//! * **R1** Whoever changes a word from zero goes on to set its flag; whoever finds it not zero leaves that to the one
//!   before. So a set bit has its flag set, or about to be set by a waker that is under way.
//! * **R2** Whoever changes `top` from zero goes on to wake the task. While `top` is not zero the task is awake, or its
//!   wake is under way.
//! * **R3** The owner makes `top` zero only with the task's waker registered, and returns `Pending` only after that, or
//!   after it woke the task itself.
//!
//! A wake costs one read-modify-write, and two more operations only for the first of a batch. The task is woken with
//! nothing held, so its waker may poll on the spot. Waking twice is waking once; there is no queue to corrupt. A wake for
//! a future that is gone reaches whatever took its place, which is then polled once for nothing.
//!
//! With more words than flags, a flag stands for several: word `n` has flag `n % FLAGS`.

use core::task::Waker;

use crate::sync::{AtomicUsize, AtomicWaker, Ordering, const_fn};

/// Futures a word.
pub const BITS: usize = usize::BITS as usize;
/// Flags in the hub; one bit is the mark [`POLLING`].
pub const FLAGS: usize = BITS - 1;
/// The owner is awake, or will be without being woken.
const POLLING: usize = 1 << FLAGS;

/// What all words of one owner have in common.
#[derive(Debug)]
pub struct Hub {
    top: AtomicUsize,
    task: AtomicWaker,
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
    /// The word that is looked at.
    number: usize,
    /// Whether there are further words of the same flag.
    more: bool,
    /// Its bits that have not come up yet.
    bits: usize,
}

// === impl Hub ===

impl Hub {
    const_fn! {
        /// A hub whose owner is awake.
        pub const fn new() -> Self {
            Self { top: AtomicUsize::new(POLLING), task: AtomicWaker::new() }
        }
    }

    /// The flag of a word.
    pub const fn flag(number: usize) -> usize {
        1 << (number % FLAGS)
    }

    /// Notes that the future behind `bit` was woken, and wakes the task if it does not know yet.
    ///
    /// Anybody may call this at any time.
    #[inline]
    pub fn wake(&self, word: &Word, bit: usize, flag: usize) {
        // ORDERING: Release pairs with the Acquire in `Word::take`: the future sees what happened before its wake. Every
        // wake writes, also one that finds its bit set, so that every wake has such an edge.
        if word.0.fetch_or(bit, Ordering::Release) != 0 {
            return; // R1
        }
        // ORDERING: Release pairs with the Acquire in `take`: who sees the flag finds the bit. Acquire pairs with the
        // Release in `sleep`: who finds zero finds the waker that was registered before. (What the atomic waker orders
        // itself would do for the latter; this does not lean on its insides.)
        if self.top.fetch_or(flag, Ordering::AcqRel) == 0 {
            self.task.wake(); // R2
        }
    }

    /// Takes all flags and marks the owner as awake.
    #[inline]
    fn take(&self) -> usize {
        // ORDERING: Relaxed. A flag that is overlooked here is still there for the exchange in `sleep`.
        if self.top.load(Ordering::Relaxed) == POLLING {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release of the second step in `wake`.
        self.top.swap(POLLING, Ordering::Acquire) & !POLLING
    }

    /// Prepares for `Pending`: true when `waker` will be woken for whatever comes. When false, something came already.
    #[inline]
    pub fn sleep(&self, waker: &Waker) -> bool {
        self.task.register(waker);
        // ORDERING: Release pairs with the Acquire of the second step in `wake`, which thereby finds the waker that was
        // just registered. Relaxed on failure: `take` is next.
        self.top.compare_exchange(POLLING, 0, Ordering::Release, Ordering::Relaxed).is_ok() // R3
    }

    /// Forgets the task's waker: the owner is gone, and nothing of the task should live on in wakers that remain.
    /// The caller drops it.
    pub fn take_task(&self) -> Option<Waker> {
        self.task.take()
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
        // ORDERING: Acquire pairs with the Release of the first step in `Hub::wake`. All changes of a word are
        // read-modify-writes, so this pairs with every wake whose bit it takes.
        self.0.swap(0, Ordering::Acquire)
    }
}

// === impl Round ===

impl Round {
    pub const fn new() -> Self {
        Self { flags: 0, number: 0, more: false, bits: 0 }
    }

    /// The next future that was woken; begins a round if the one under way is over.
    #[inline]
    pub fn next(&mut self, hub: &Hub, words: &impl Words) -> Option<usize> {
        while self.bits == 0 {
            if self.more {
                self.next_of_same_flag(words);
            } else if self.flags != 0 {
                self.number = self.flags.trailing_zeros() as usize;
                self.flags &= self.flags - 1;
                self.look_at_word(words);
            } else {
                self.flags = hub.take();
                if self.flags == 0 {
                    return None;
                }
            }
        }
        let bit = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.number * BITS + bit)
    }

    #[cold]
    fn next_of_same_flag(&mut self, words: &impl Words) {
        self.number += FLAGS;
        self.look_at_word(words);
    }

    #[inline]
    fn look_at_word(&mut self, words: &impl Words) {
        self.bits = words.word(self.number).take();
        self.more = self.number + FLAGS < words.count();
    }
}

#[cfg(test)]
mod model;
