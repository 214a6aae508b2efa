//! The tracker's one idea: a word that counts, and beside it a lock for what does not fit into it.
//!
//! ```text
//!  enter ──► live ── leave ──► finished | dropped
//!                      │
//!                      └─ the last, while somebody waits; or a count of ends wraps: with the lock held
//! ```
//!
//! * A waiter joins with the lock held, by a change of the word from one that shows something alive to one with the
//!   `WAITERS` flag. So the last to leave either came before, and the change fails, or it sees the flag.
//! * With the flag, the last leaves with the lock held and stamps that moment. Whoever joined before it is released,
//!   whatever enters meanwhile: no moment of emptiness is missed.
//! * Where places are kept, everybody enters and leaves with the lock held, so the table and the word agree.

use core::fmt;

use super::places::{Mark, Place, Report, Slot, Table};
use super::word::{ENDS_A_WRAP, Refusal, Word};
use crate::sync::{AtomicUsize, Ordering, RawLock, const_fn, peek};
use crate::wait::batch::{Batch, wake_rounds};
use crate::wait::line::Line;
use crate::wait::queue::{List, Outcome, Queue};
use crate::wait::waiting::{Admission, Waitable};

pub(super) const EMPTY: Outcome = Outcome::new(0);

/// How work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Dropped,
}

pub(super) struct Engine<L> {
    word: AtomicUsize,
    /// The most that were alive, as far as somebody has left since.
    peak: AtomicUsize,
    queue: Queue<usize, L, Ledger>,
}

/// What the lock protects beside the queue.
pub(crate) struct Ledger {
    /// How often the word's counts of ends have wrapped.
    finished_wraps: usize,
    dropped_wraps: usize,
    /// How many moments of emptiness somebody has waited for. A waiter's entry is the number when it joined.
    empties: usize,
    table: Table,
}

type Awaited<'a> = List<'a, usize, Ledger>;

/// What was alive at some moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Baseline {
    live: usize,
    mark: Mark,
}

/// The numbers of one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    pub(super) live: usize,
    pub(super) finished: usize,
    pub(super) dropped: usize,
}

impl<L: RawLock> Engine<L> {
    const_fn! {
        pub(super) const fn new() -> Self {
            Self {
                word: AtomicUsize::new(Word::EMPTY.bits()),
                peak: AtomicUsize::new(0),
                queue: Queue::with_state(Ledger::new()),
            }
        }
    }

    /// A look at the word.
    #[inline]
    pub(super) fn word(&self) -> Word {
        // ORDERING: Acquire pairs with the AcqRel of `update`: who sees that something ended or that the tracker is closed
        // also sees what happened before.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// The most that were ever alive at once.
    pub(super) fn peak(&self) -> usize {
        // The word first. If the count has gone down since its peak, then who brought it down had noted it before, and the
        // Acquire of this look makes that seen below.
        let live = self.word().live();
        // ORDERING: Relaxed, see above.
        live.max(self.peak.load(Ordering::Relaxed))
    }

    /// Changes the word until `change` says no; hands out the word that was replaced, or the one it refused.
    #[inline(always)]
    fn update(&self, mut change: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        let mut current = Word::from_bits(peek(&self.word));
        loop {
            let Some(new) = change(current) else { return Err(current) };
            if L::EXCLUSIVE {
                // ORDERING: Relaxed. One thread, no interrupt.
                self.word.store(new.bits(), Ordering::Relaxed);
                return Ok(current);
            }
            // ORDERING: AcqRel pairs with itself and with `word`: the last to leave has seen all others leave, and hands
            // that on to whoever waits. Relaxed on failure, for we look again.
            match self.word.compare_exchange_weak(current.bits(), new.bits(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(current),
                Err(now) => current = Word::from_bits(now),
            }
        }
    }

    // === coming and going ===

    #[inline]
    pub(super) fn enter(&self, place: Place) -> Result<Slot, Refusal> {
        if Table::KEPT {
            return self.queue.with(|list| self.count_in().map(|()| list.state.table.add(place)));
        }
        self.count_in().map(|()| Slot::NONE)
    }

    #[inline(always)]
    fn count_in(&self) -> Result<(), Refusal> {
        // Refused means that `entered` gave a reason, which it gives again.
        self.update(|word| word.entered().ok()).map(drop).map_err(|word| match word.entered() {
            Err(refusal) => refusal,
            Ok(_) => Refusal::Closed,
        })
    }

    #[inline]
    pub(super) fn leave(&self, slot: Slot, end: End) {
        if Table::KEPT || self.update(|word| self.left(word, end)).is_err() {
            self.leave_locked(slot, end);
        }
    }

    /// The word after leaving, if the lock is not needed for it.
    #[inline(always)]
    fn left(&self, word: Word, end: End) -> Option<Word> {
        self.note_peak(word);
        (!word.is_awaited() && !word.wraps(end)).then(|| word.left(end))
    }

    /// Notes how many are alive before one leaves. So a peak is noted by the first to leave it, once, and entering costs
    /// nothing for it.
    #[inline(always)]
    fn note_peak(&self, word: Word) {
        let noted = peek(&self.peak);
        if word.live() <= noted {
            return;
        }
        if L::EXCLUSIVE {
            // ORDERING: Relaxed. One thread, no interrupt.
            self.peak.store(word.live(), Ordering::Relaxed);
        } else {
            // ORDERING: Relaxed. The change of the word that follows publishes it.
            self.peak.fetch_max(word.live(), Ordering::Relaxed);
        }
    }

    #[inline(never)]
    fn leave_locked(&self, slot: Slot, end: End) {
        let mut leaves = true;
        wake_rounds(|batch| {
            self.queue.with(|list| {
                if core::mem::take(&mut leaves) {
                    list.state.table.remove(slot);
                    self.count_out(list.state, end);
                }
                self.release(list, batch)
            })
        });
    }

    /// Leaves, with the lock held: nobody joins meanwhile, and no count but ours wraps.
    fn count_out(&self, ledger: &mut Ledger, end: End) {
        let before = self.update(|word| {
            self.note_peak(word);
            Some(word.left(end))
        });
        let (Ok(before) | Err(before)) = before;
        if before.wraps(end) {
            let wraps = ledger.wraps_mut(end);
            *wraps = wraps.wrapping_add(1);
        }
        if before.is_awaited() {
            ledger.empties = ledger.empties.wrapping_add(1);
        }
    }

    /// Releases those who joined before the last moment of emptiness, and says whether there are more of them.
    fn release(&self, list: &mut Awaited<'_>, batch: &mut Batch) -> bool {
        while let Some(joined) = list.front().filter(|joined| *joined != list.state.empties) {
            if batch.room() == 0 {
                return true;
            }
            list.resolve_front(joined, EMPTY, batch);
        }
        self.lower_flag(list);
        false
    }

    /// Takes the flag down if nobody waits any more.
    fn lower_flag(&self, list: &Awaited<'_>) {
        if list.is_empty() {
            let _ = self.update(|word| word.has_waiters().then(|| word.with_waiters(false)));
        }
    }

    pub(super) fn close(&self) {
        let _ = self.update(|word| (!word.is_closed()).then(|| word.closed()));
    }

    // === waiting ===

    /// Decides about a newcomer with the lock held.
    pub(super) fn admit(&self, list: &mut Awaited<'_>, joined: &mut usize) -> Admission {
        match self.update(|word| (word.live() > 0).then(|| word.with_waiters(true))) {
            Ok(_) => {
                *joined = list.state.empties;
                Admission::Queue
            }
            Err(_) => {
                // The change was refused after a relaxed look. This one acquires what the last to leave has done.
                let _ = self.word();
                Admission::Now(EMPTY)
            }
        }
    }

    // === what is there ===

    /// All numbers at one moment. Takes the lock, which keeps the counts of ends from wrapping.
    pub(super) fn numbers(&self) -> Numbers {
        self.queue.with(|list| {
            let word = self.word();
            let total = |end, wraps: usize| wraps.wrapping_mul(ENDS_A_WRAP).wrapping_add(word.ended(end));
            Numbers {
                live: word.live(),
                finished: total(End::Finished, list.state.finished_wraps),
                dropped: total(End::Dropped, list.state.dropped_wraps),
            }
        })
    }

    pub(super) fn baseline(&self) -> Baseline {
        self.queue.with(|list| Baseline { mark: list.state.table.mark(), live: self.word().live() })
    }

    /// What is alive now, or what of it has come since: how many, and where they were tracked.
    pub(super) fn alive(&self, since: Option<Baseline>) -> Option<(usize, Report)> {
        if self.word().live() == 0 {
            return None;
        }
        let (live, places) = self.queue.with(|list| (self.word().live(), list.state.table.clone()));
        let report = places.report(since.map(|baseline| baseline.mark));
        let count = match since {
            None => live,
            // What found no room in the table has come since, if more are alive.
            Some(baseline) => report.sum().max(live.saturating_sub(baseline.live)),
        };
        (count > 0).then_some((count, report))
    }
}

impl<L: RawLock> Waitable for Engine<L> {
    type Lock = L;
    type Entry = usize;
    type State = Ledger;
    type Form = Line;

    fn queue(&self) -> &Queue<usize, L, Ledger> {
        &self.queue
    }

    fn overtakes(_: (usize, u8), _: (usize, u8)) -> bool {
        false
    }

    fn left(&self, list: &mut Awaited<'_>) -> bool {
        self.lower_flag(list);
        false
    }

    fn serve_on(&self) {}

    fn unclaimed(&self, _: Outcome, _: usize) {}
}

impl<L: RawLock> fmt::Debug for Engine<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word();
        f.debug_struct("Engine").field("word", &word).finish_non_exhaustive()
    }
}

impl Ledger {
    const fn new() -> Self {
        Self { finished_wraps: 0, dropped_wraps: 0, empties: 0, table: Table::new() }
    }

    fn wraps_mut(&mut self, end: End) -> &mut usize {
        match end {
            End::Finished => &mut self.finished_wraps,
            End::Dropped => &mut self.dropped_wraps,
        }
    }
}
