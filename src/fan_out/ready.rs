//! Which of the futures were woken: the protocol between many wakers and the one owner that polls.
//!
//! Two levels of words. A [`Word`] has one bit a future. The [`Hub`] has one word on top, with a bit for each of the first
//! [`DIRECT`] futures, and flags, each of which says "look at the word of this number"; and the waker of the task around.
//! A few futures thus need one level only. Many need three: beyond the first [`NEAR`] words, a flag is that of a group, which
//! is a word again, with a bit for each of [`BITS`] words.
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
//!   or far off:                                  works? Pending
//!   word.fetch_or(bit)
//!     was 0? group.fetch_or(member)            and to look at a group:
//!              was 0? top.fetch_or(flag)         members = group.swap(0)
//!                       was 0? wake the task     for each member: bits = word.swap(0)
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
//! * **R1** Whoever changes a word from zero goes on to set its flag, or its bit in its group and, if that changes the
//!   group from zero, the flag of that; whoever finds a word not zero leaves that to the one before. So a set bit has what
//!   leads to it set, or about to be set by a waker that is under way. It is taken from the top down.
//! * **R2** Whoever changes `top` from zero goes on to wake the task. While `top` is not zero the task is awake, or its
//!   wake is under way.
//! * **R3** The owner makes `top` zero only with the task's waker set, and returns `Pending` only after that, or after it
//!   woke the task itself.
//!
//! A wake costs one read-modify-write, and for the first of a batch one more beyond the first futures, or two far off, and
//! the wake of the task. The task is woken with nothing held, so its waker may poll on the spot. Waking twice is waking once; there is no
//! queue to corrupt. A wake for a future that is gone reaches whatever took its place, which is then polled once for
//! nothing.
//!
//! With more groups than there are flags for, a flag stands for several groups, at equal distances. On 64 bits that begins at
//! some 60 000 futures, and costs a look at one more group for each further 60 000. Groups lie side by side, so that is cheap.
//! With more words than [`MOST_GROUPS`] have bits, a bit of a group in turn stands for several words: from some 260 000 futures.

use core::task::Waker;

use crate::sync::{AtomicUsize, Ordering, const_fn};
use crate::wait::bell::{Bell, Tone};

/// Futures a word.
pub const BITS: usize = usize::BITS as usize;
/// Futures whose bits are on top.
pub const DIRECT: usize = BITS / 2;
/// Words with a flag of their own.
pub const NEAR: usize = BITS / 4;
/// Flags of groups. What is left of the hub's bits is the mark [`POLLING`].
pub const GROUPS: usize = BITS - DIRECT - NEAR - 1;
/// Groups, at most. Who may want very many futures has all of them, however few it has.
const MOST_GROUPS: usize = BITS;
/// The owner is awake, or will be without being woken.
const POLLING: usize = 1 << (BITS - 1);

/// What all words of one owner have in common.
#[derive(Debug)]
pub struct Hub {
    top: AtomicUsize,
    task: Bell,
}

/// One bit a future: woken since it was last polled. Or, in a group, one bit a word.
#[derive(Debug)]
pub struct Word(AtomicUsize);

/// What leads to a word.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// The flag of the word, or of its group and of those at a distance of [`GROUPS`].
    pub flag: usize,
    /// The number of its group, and its bit in there.
    pub far: Option<(usize, usize)>,
}

/// All words of one owner, by number.
pub trait Words {
    fn count(&self) -> usize;
    fn word(&self, number: usize) -> &Word;

    /// How many groups there are: [`groups_for`] so many words, or more.
    fn groups(&self) -> usize;
    fn group(&self, number: usize) -> &Word;
}

/// The owner's side: what was woken and is not yet polled.
///
/// In one round each future comes up at most once. What is woken during a round belongs to the next, so a future that
/// wakes itself cannot keep its siblings from being polled.
#[derive(Debug)]
pub struct Round {
    /// Flags that are not yet looked at. That of groups stays until all of them are looked at.
    flags: usize,
    /// The group that is looked at, which is one of the lowest flag.
    group: Option<Opened>,
    /// The first future of the word that is looked at.
    base: usize,
    /// Its bits that have not come up yet.
    bits: usize,
    /// The task's waker that the hub has.
    tone: Tone,
}

/// A group that is looked at.
#[derive(Debug)]
struct Opened {
    number: usize,
    /// Bits that are not yet looked at.
    members: usize,
    /// The next word of the bit that is, if there is a word of that number.
    next: usize,
}

// === impl Path ===

impl Path {
    /// To the word of that number.
    #[inline]
    pub const fn to(number: usize) -> Self {
        match number.checked_sub(NEAR) {
            None => Self { flag: 1 << (DIRECT + number), far: None },
            Some(far) => {
                let group = far / BITS % MOST_GROUPS;
                Self { flag: 1 << (DIRECT + NEAR + group % GROUPS), far: Some((group, far % BITS)) }
            }
        }
    }
}

/// How many groups it takes for that many words.
pub const fn groups_for(words: usize) -> usize {
    let groups = words.saturating_sub(NEAR).div_ceil(BITS);
    if groups < MOST_GROUPS { groups } else { MOST_GROUPS }
}

// === impl Hub ===

impl Hub {
    const_fn! {
        /// A hub whose owner is awake.
        pub const fn new() -> Self {
            Self { top: AtomicUsize::new(POLLING), task: Bell::new() }
        }
    }

    /// Notes that `bit` of a word was woken. `flag` leads to the word, or to its group, of which it is the other bit. True
    /// if the task does not know yet: then [`ring`](Self::ring).
    ///
    /// To be called by anybody at any time.
    #[inline]
    #[must_use]
    pub fn wake(&self, word: &Word, bit: usize, flag: usize, group: Option<(&Word, usize)>) -> bool {
        word.set(bit) && group.is_none_or(|(group, member)| group.set(member)) && self.mark(flag)
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

    /// Sets a bit. True if there was none.
    #[inline]
    fn set(&self, bit: usize) -> bool {
        // ORDERING: Release pairs with the Acquire in `take`: the future sees what happened before its wake, and who finds
        // the bit of a group finds that of the word. Every wake writes, also one that finds its bit set, so that every wake
        // has such an edge.
        self.0.fetch_or(1 << bit, Ordering::Release) == 0 // R1
    }

    /// Takes all bits.
    #[inline]
    pub fn take(&self) -> usize {
        // ORDERING: Relaxed. What leads here was read with Acquire, so the bit for which that was set is seen here, unless
        // it was taken before. Of a bit set later that is yet to come.
        if self.0.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        // ORDERING: Acquire pairs with the Release in `set`. All changes of a word are read-modify-writes, so this pairs
        // with every wake whose bit it takes.
        self.0.swap(0, Ordering::Acquire)
    }
}

// === impl Round ===

impl Round {
    pub const fn new() -> Self {
        Self { flags: 0, group: None, base: 0, bits: 0, tone: Tone::NONE }
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

    /// Whether there is nothing to be found. What comes later has its flag set, which [`Hub::sleep`] sees.
    #[inline]
    pub fn is_quiet(&self, hub: &Hub) -> bool {
        self.flags == 0 && hub.is_quiet() && self.bits == 0
    }

    /// Prepares for `Pending`: true when `waker` will be woken for whatever comes. When false, something came already.
    #[inline]
    pub fn sleep(&mut self, hub: &Hub, waker: &Waker) -> bool {
        hub.sleep(waker, &mut self.tone)
    }

    /// Goes on to the next word that has bits, if there is one; begins a round if the one under way is over.
    #[inline]
    pub fn find(&mut self, hub: &Hub, words: &impl Words) {
        if self.flags == 0 && (!self.begin(hub, words) || self.bits != 0) {
            return;
        }
        self.find_word(hub, words);
    }

    /// Begins a round, with the bits on top and, where they share a word, those of the first word. False if there is
    /// nothing to look at.
    #[inline]
    fn begin(&mut self, hub: &Hub, words: &impl Words) -> bool {
        if hub.is_quiet() {
            return false;
        }
        let marks = hub.take();
        self.base = 0;
        self.bits = marks & ((1 << DIRECT) - 1);
        self.flags = marks >> DIRECT;
        if self.flags & 1 != 0 {
            self.flags &= !1;
            self.bits |= words.word(0).take();
        }
        true
    }

    #[inline(never)]
    fn find_word(&mut self, hub: &Hub, words: &impl Words) {
        while self.bits == 0 {
            if self.flags == 0 {
                if !self.begin(hub, words) {
                    return;
                }
                continue;
            }
            let flag = self.flags.trailing_zeros() as usize;
            if flag < NEAR {
                self.flags &= self.flags - 1;
                self.base = flag * BITS;
                self.bits = words.word(flag).take();
            } else {
                self.find_in_groups(flag - NEAR, words);
            }
        }
    }

    /// Goes on to the next word that has bits in the groups that flag is that of, from group `first` on. Takes the flag off
    /// when nothing else is left of them.
    #[inline]
    fn find_in_groups(&mut self, first: usize, words: &impl Words) {
        let count = words.count();
        let opened = self.group.take();
        let Opened { mut number, mut members, mut next } =
            opened.unwrap_or_else(|| Opened { number: first, members: words.group(first).take(), next: count });
        loop {
            if next >= count && members == 0 {
                number += GROUPS;
                if number >= words.groups() {
                    break;
                }
                members = words.group(number).take();
            } else if self.bits == 0 {
                if next >= count {
                    next = NEAR + number * BITS + members.trailing_zeros() as usize;
                    members &= members - 1;
                }
                self.base = next * BITS;
                self.bits = words.word(next).take();
                next += MOST_GROUPS * BITS;
            } else {
                self.group = Some(Opened { number, members, next });
                return;
            }
        }
        self.flags &= self.flags - 1;
    }
}

#[cfg(test)]
mod model;
