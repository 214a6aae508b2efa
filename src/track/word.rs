//! What a tracker counts, in one word. Pure, so that it is tested without atomics and futures around it.
//!
//! ```text
//! word  = dropped | finished | live | WAITERS | CLOSED
//! bits       E         E        the rest   1        1
//! ```
//!
//! Work that ends moves one from `live` to `finished` or to `dropped`, in one change of one word. So each of the numbers is
//! exact at any moment, they add up at any moment, and an end costs one read-modify-write whichever way it went.
//!
//! The two counts of ends are short and wrap; whoever makes one wrap counts that in the ledger, under its lock.

use super::engine::End;

/// No new work is taken.
const CLOSED: usize = 1;
/// Somebody waits for the last to end, which has to look at the queue then.
const WAITERS: usize = 2;
const LIVE_SHIFT: u32 = 2;

/// Bits of each count of ends. Every `1 << ENDED_BITS` ends of a kind, one takes the lock.
///
/// Two in model builds, so that the models see them wrap.
const ENDED_BITS: u32 = if cfg!(any(test, tollgate_loom)) {
    2
} else {
    match usize::BITS {
        16 => 3,
        32 => 6,
        _ => 16,
    }
};
const ENDED: usize = (1 << ENDED_BITS) - 1;
const LIVE_BITS: u32 = usize::BITS - LIVE_SHIFT - 2 * ENDED_BITS;
const LIVE: usize = (1 << LIVE_BITS) - 1;
const FINISHED_SHIFT: u32 = LIVE_SHIFT + LIVE_BITS;
const DROPPED_SHIFT: u32 = FINISHED_SHIFT + ENDED_BITS;

/// The most that may be alive at once.
pub(super) const MAX_LIVE: usize = LIVE;

/// How many ends it takes for a count of them to wrap.
pub(super) const ENDS_A_WRAP: usize = ENDED + 1;

/// The state of a tracker but for what its lock protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(usize);

/// Why something is not tracked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Closed,
    Full,
}

impl Word {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) const fn from_bits(bits: usize) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> usize {
        self.0
    }

    pub(super) const fn live(self) -> usize {
        self.0 >> LIVE_SHIFT & LIVE
    }

    /// How many ended this way since their count wrapped.
    pub(super) const fn ended(self, end: End) -> usize {
        self.0 >> shift_of(end) & ENDED
    }

    pub(super) const fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    pub(super) const fn has_waiters(self) -> bool {
        self.0 & WAITERS != 0
    }

    pub(super) const fn with_waiters(self, waiters: bool) -> Self {
        Self(if waiters { self.0 | WAITERS } else { self.0 & !WAITERS })
    }

    pub(super) const fn closed(self) -> Self {
        Self(self.0 | CLOSED)
    }

    /// One more is alive.
    pub(super) const fn entered(self) -> Result<Self, Refusal> {
        if self.is_closed() {
            Err(Refusal::Closed)
        } else if self.live() == MAX_LIVE {
            Err(Refusal::Full)
        } else {
            Ok(Self(self.0 + (1 << LIVE_SHIFT)))
        }
    }

    /// One less is alive, and ended like this. The count of such ends may wrap.
    pub(super) const fn left(self, end: End) -> Self {
        let shift = shift_of(end);
        let ended = (self.ended(end) + 1) & ENDED;
        Self((self.0 & !(ENDED << shift) | ended << shift) - (1 << LIVE_SHIFT))
    }

    /// Whether leaving like this makes the count wrap.
    pub(super) const fn wraps(self, end: End) -> bool {
        self.ended(end) == ENDED
    }

    /// Whether leaving ends a wait.
    pub(super) const fn is_awaited(self) -> bool {
        self.live() == 1 && self.has_waiters()
    }
}

const fn shift_of(end: End) -> u32 {
    match end {
        End::Finished => FINISHED_SHIFT,
        End::Dropped => DROPPED_SHIFT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_fill_the_word_and_do_not_overlap() {
        let fields = [CLOSED, WAITERS, LIVE << LIVE_SHIFT, ENDED << FINISHED_SHIFT, ENDED << DROPPED_SHIFT];
        assert_eq!(fields.iter().fold(0, |all, field| all | field), usize::MAX);
        assert_eq!(fields.iter().map(|field| field.count_ones()).sum::<u32>(), usize::BITS);
    }

    #[test]
    fn ends_of_one_kind_touch_neither_flags_nor_the_other_kind() {
        for end in [End::Finished, End::Dropped] {
            let other = if end == End::Finished { End::Dropped } else { End::Finished };
            let mut word = Word(ENDED << shift_of(other) | CLOSED | WAITERS | 20 << LIVE_SHIFT);
            for ended in 1..=20 {
                assert_eq!(word.wraps(end), ended % ENDS_A_WRAP == 0);
                word = word.left(end);
                assert_eq!(word.ended(end), ended % ENDS_A_WRAP);
                assert_eq!(word.live(), 20 - ended);
                assert_eq!(word.ended(other), ENDED);
                assert!(word.is_closed() && word.has_waiters());
            }
        }
    }

    #[test]
    fn the_last_place_is_taken_and_the_next_refused() {
        let word = Word((MAX_LIVE - 1) << LIVE_SHIFT);
        let full = word.entered().unwrap();
        assert_eq!(full.live(), MAX_LIVE);
        assert_eq!(full.entered(), Err(Refusal::Full));
        assert_eq!(full.closed().entered(), Err(Refusal::Closed));
        assert_eq!(full.left(End::Finished).live(), MAX_LIVE - 1);
    }

    #[test]
    fn only_the_last_ends_a_wait() {
        let one = Word::EMPTY.entered().unwrap();
        assert!(!one.is_awaited());
        assert!(one.with_waiters(true).is_awaited());
        assert!(!one.entered().unwrap().with_waiters(true).is_awaited());
    }
}
