//! The semaphore's engine: one state word and a FIFO queue, with hand-over of whole requests.
//!
//! # The rules
//!
//! * **S1** With the queue's lock held, the word's `WAITERS` flag is set exactly while the queue is not empty or is about
//!   to become so in the same critical section.
//! * **S2** A newcomer sets the flag by compare-and-swap from the very value that showed too few permits. The count and the
//!   flag are one word, so a release either comes before (then the swap fails and the newcomer looks again) or after (then
//!   the release sees the flag and comes to the queue). A blind "or" would let a release slip between.
//! * **S3** Permits that exist = lent + balance (the word's count, negative for a debt). `total` is that sum, so
//!   `-MAX <= total <= MAX` keeps every count in range, and dropping a permit can never overflow.
//! * **S4** A waiter gets its whole request at once. Nothing is held back for a waiter that does not fit yet, so the count
//!   is true at any moment, and a waiter that was served is polled or dropped without the lock. The price: when a waiter
//!   leaves, those behind it may fit, so leaving has to look ([`Waitable::left`]).
//! * **S5** That a semaphore is closed is learnt by a queued waiter from its own outcome only, never from the word: from
//!   the word it could leave while it is still linked.
//!
//! * **S6** Where the lock is cheap ([`RawLock::CHEAP`]) the word is read and changed with the lock held and not otherwise,
//!   and the queue itself says whether somebody waits. S1 and S2 are for the others; see [`brief`](super::brief).
//!
//! # Memory ordering
//!
//! Every successful take, give and hand-over is one read-modify-write of the word with `AcqRel`, so they all lie in one
//! total order, and each sees what happened before all earlier ones. A hand-over that leaves the word's value as it was
//! still writes it, for that reason.

use core::ops::Deref;
use core::pin::Pin;
use core::task::{Poll, Waker};

use crate::sync::{AtomicUsize, Ordering, RawLock, const_fn, peek};
use crate::wait::batch::{Batch, wake_one, wake_rounds};
use crate::wait::line::Line;
use crate::wait::queue::{List, Outcome, Queue};
use crate::wait::waiting::{Admission, Waitable, Waiting};

use super::permits::{Demand, MAX, Plan, Word};
use super::{Closed, TryAcquireError};

/// A waiter got its permits; its entry says how many.
pub(super) const GRANTED: Outcome = Outcome::new(0);
/// The semaphore was closed while it waited.
pub(super) const CLOSED: Outcome = Outcome::new(1);

pub(crate) struct Engine<L> {
    pub(super) word: AtomicUsize,
    /// Permits that exist, as a signed number (S3).
    total: AtomicUsize,
    pub(super) queue: Queue<Demand, L>,
}

impl<L: RawLock> Engine<L> {
    const_fn! {
        #[track_caller]
        pub(super) const fn new(permits: usize) -> Self {
            assert!(permits <= MAX, "a semaphore holds at most `Semaphore::MAX_PERMITS` permits");
            Self {
                word: AtomicUsize::new(Word::new(permits).bits()),
                total: AtomicUsize::new(permits),
                queue: Queue::new(),
            }
        }
    }

    /// A look at the word, for numbers that may be old as soon as they are there.
    #[inline]
    pub(super) fn word(&self) -> Word {
        if L::CHEAP {
            return self.brief_word();
        }
        // ORDERING: Acquire pairs with the AcqRel of `update` and `give`, so that one who sees "closed" or a count also
        // sees what happened before.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(super) fn waiters(&self) -> usize {
        self.queue.with(|list| list.len())
    }

    /// As [`update`](Self::update), where the lock is not held.
    #[inline(always)]
    fn update_unlocked(&self, change: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        if L::CHEAP { self.brief_update(change) } else { self.update(change) }
    }

    /// Changes the word until `change` says no; hands out the word that was replaced, or the one it refused.
    #[inline(always)]
    fn update(&self, mut change: impl FnMut(Word) -> Option<Word>) -> Result<Word, Word> {
        // Where `change` refuses, nothing was handed over, so a relaxed look is enough.
        let mut current = Word::from_bits(peek(&self.word));
        loop {
            let Some(new) = change(current) else { return Err(current) };
            if L::EXCLUSIVE || L::CHEAP {
                // ORDERING: Relaxed. One thread and no interrupt, or the lock is held, as it is by whoever looks (S6).
                self.word.store(new.bits(), Ordering::Relaxed);
                return Ok(current);
            }
            // ORDERING: AcqRel pairs with itself and with `give`: a take sees what came before the give it takes from;
            // both directions put all of them into one order. Relaxed on failure, for we look again.
            match self.word.compare_exchange_weak(current.bits(), new.bits(), Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Ok(current),
                Err(now) => current = Word::from_bits(now),
            }
        }
    }

    /// Takes what `demand` asks for, if it can be had without waiting.
    #[inline(always)]
    pub(super) fn try_take(&self, demand: Demand) -> Result<usize, TryAcquireError> {
        self.take_all(demand).map_or_else(|| self.try_take_any(demand), Ok)
    }

    /// The usual case: nobody waits, and all that is asked for is there.
    #[inline(always)]
    fn take_all(&self, demand: Demand) -> Option<usize> {
        self.update_unlocked(|word| word.take(demand.max())).ok().map(|_| demand.max())
    }

    /// All cases.
    #[inline(never)]
    fn try_take_any(&self, demand: Demand) -> Result<usize, TryAcquireError> {
        if demand.max() == 0 {
            return if self.word().is_closed() { Err(TryAcquireError::Closed) } else { Ok(0) };
        }
        let mut taken = 0;
        let before = self.update_unlocked(|word| {
            let free_to_take = !word.is_closed() && (!word.has_waiters() || demand.is_barging());
            taken = demand.fit(word.available()).filter(|_| free_to_take)?;
            Some(word.minus(taken))
        });
        match before {
            Ok(_) => Ok(taken),
            Err(word) if word.is_closed() => Err(TryAcquireError::Closed),
            Err(_) => Err(TryAcquireError::NoPermits),
        }
    }

    /// As [`try_take`](Self::try_take), for those who will not wait: a range from zero is content with nothing, and
    /// overtakes nobody by that.
    #[inline]
    pub(super) fn take_now(&self, demand: Demand) -> Result<usize, TryAcquireError> {
        match self.try_take(demand) {
            Err(TryAcquireError::NoPermits) if demand.min() == 0 => Ok(0),
            taken => taken,
        }
    }

    /// Decides about a newcomer with the lock held.
    fn admit(&self, list: &mut List<'_, Demand>, demand: &mut Demand, rank: u8) -> Admission {
        if L::CHEAP {
            return self.brief_admit(list, demand, rank);
        }
        let first = list.front_rank().is_none_or(|front| rank > front) || demand.is_barging();
        let mut admission = Admission::Queue;
        let mut taken = 0;
        // A refusal means that the flag is set already: whoever gives permits is on its way to the lock that we hold.
        let _ = self.update(|word| {
            if word.is_closed() {
                admission = Admission::Now(CLOSED);
                return None;
            }
            // Who may not overtake may still have nothing, if that is enough.
            if let Some(fits) = demand.fit(if first { word.available() } else { 0 }) {
                admission = Admission::Now(GRANTED);
                taken = fits;
                return Some(word.minus(fits));
            }
            admission = Admission::Queue;
            (!word.has_waiters()).then(|| word.with_waiters(true))
        });
        if matches!(admission, Admission::Now(GRANTED)) {
            *demand = Demand::exactly(taken);
        }
        admission
    }

    /// Gives permits back that were lent.
    #[inline]
    pub(super) fn give(&self, permits: usize) {
        if L::CHEAP {
            return self.brief_serve(permits);
        }
        if permits == 0 {
            return;
        }
        if L::EXCLUSIVE {
            if self.update(|word| (!word.has_waiters()).then(|| word.plus(permits))).is_err() {
                self.serve(permits);
            }
            return;
        }
        // Only chooses the way; a flag set after this is seen in what `fetch_add` returns.
        if Word::from_bits(peek(&self.word)).has_waiters() {
            return self.serve(permits);
        }
        // ORDERING: AcqRel, as in `update`.
        let before = Word::from_bits(self.word.fetch_add(Word::step(permits), Ordering::AcqRel));
        if before.has_waiters() {
            self.serve(0);
        }
    }

    /// Takes `incoming` permits to the queue and serves whoever fits.
    #[inline(never)]
    fn serve(&self, incoming: usize) {
        match self.queue.with(|list| self.hand_over(list, incoming)) {
            Some(Some(waker)) => wake_one(waker),
            Some(None) => {}
            None => self.serve_many(incoming),
        }
    }

    /// The usual case, without a plan and a batch: there is neither count nor debt, and the first waiter takes all that comes
    /// in. Hands out its waker, if it has one, or `None` if the case is another.
    #[inline(always)]
    fn hand_over(&self, list: &mut List<'_, Demand>, incoming: usize) -> Option<Option<Waker>> {
        let demand = list.front()?;
        let takes_all = incoming > 0 && demand.fit(incoming) == Some(incoming);
        let stays = !list.is_single();
        let usual = |word: Word| takes_all && word.balance() == 0 && !word.is_closed();
        self.update(|word| usual(word).then(|| word.with_waiters(stays))).ok()?;
        Some(list.take_front(Demand::exactly(incoming), GRANTED))
    }

    /// All cases.
    #[cold]
    #[inline(never)]
    fn serve_many(&self, incoming: usize) {
        let mut incoming = incoming;
        wake_rounds(|batch| self.queue.with(|list| self.settle(list, batch, core::mem::take(&mut incoming))));
    }

    /// Plans, swaps the word, then resolves the waiters that the plan serves. Returns whether another round is needed.
    #[inline]
    fn settle(&self, list: &mut List<'_, Demand>, batch: &mut Batch, incoming: usize) -> bool {
        let room = batch.room();
        let mut plan = None;
        let changed = self.update(|word| {
            let new = Plan::new(word, incoming, list.entries(), room);
            plan = Some(new);
            (incoming > 0 || new.word != word).then_some(new.word)
        });
        let (Ok(_), Some(plan)) = (changed, plan) else { return false };
        let mut budget = plan.budget;
        for _ in 0..plan.grants {
            let Some(got) = list.front().and_then(|demand| demand.fit(budget)) else { break };
            budget -= got;
            list.resolve_front(Demand::exactly(got), GRANTED, batch);
        }
        plan.grants == room && plan.word.has_waiters()
    }

    pub(super) fn close(&self) {
        let mut closing = true;
        wake_rounds(|batch| {
            self.queue.with(|list| {
                if core::mem::take(&mut closing) {
                    let _ = self.update(|word| Some(word.closed()));
                }
                while batch.room() > 0 {
                    let Some(demand) = list.front() else { break };
                    list.resolve_front(demand, CLOSED, batch);
                }
                if list.is_empty() {
                    let _ = self.update(|word| Some(word.with_waiters(false)));
                }
                !list.is_empty()
            })
        });
    }

    // === how many permits exist ===

    /// The total, negative for a debt.
    pub(super) fn total(&self) -> usize {
        peek(&self.total)
    }

    /// Adds `change` to the total, or panics and leaves it.
    #[track_caller]
    fn change_total(&self, change: isize) {
        // The total guards a sum and hands nothing over; the word does that.
        let mut current = peek(&self.total);
        loop {
            let new = (current as isize).saturating_add(change);
            assert!(new <= MAX as isize, "more permits would exist than `Semaphore::MAX_PERMITS`");
            assert!(new >= -(MAX as isize), "the debt would exceed `Semaphore::MAX_PERMITS`");
            if L::EXCLUSIVE {
                self.total.store(new as usize, Ordering::Relaxed);
                return;
            }
            // ORDERING: Relaxed, as above.
            match self.total.compare_exchange_weak(current, new as usize, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => current = now,
            }
        }
    }

    #[track_caller]
    pub(super) fn add(&self, permits: usize) {
        assert!(permits <= MAX, "more permits would exist than `Semaphore::MAX_PERMITS`");
        self.change_total(permits as isize);
        self.give(permits);
    }

    /// Takes permits that were lent, or taken out of the word, out of the total. No check: what was lent has existed, and
    /// a debt is limited where it is made.
    fn shrink_total(&self, permits: usize) {
        if L::EXCLUSIVE {
            // ORDERING: Relaxed. One thread, no interrupt.
            self.total.store(self.total.load(Ordering::Relaxed).wrapping_sub(permits), Ordering::Relaxed);
        } else {
            // ORDERING: Relaxed, as in `change_total`.
            self.total.fetch_sub(permits, Ordering::Relaxed);
        }
    }

    /// Lent permits cease to exist.
    pub(super) fn forget_lent(&self, permits: usize) {
        self.shrink_total(permits);
    }

    pub(super) fn forget_free(&self, permits: usize) -> usize {
        let mut taken = 0;
        let changed = self.update_unlocked(|word| {
            taken = word.available().min(permits);
            (taken > 0).then(|| word.minus(taken))
        });
        if changed.is_err() {
            return 0;
        }
        self.shrink_total(taken);
        taken
    }

    #[track_caller]
    pub(super) fn reduce(&self, permits: usize) {
        assert!(permits <= MAX, "the debt would exceed `Semaphore::MAX_PERMITS`");
        self.change_total(-(permits as isize));
        let _ = self.update_unlocked(|word| Some(word.minus(permits)));
    }

    #[track_caller]
    pub(super) fn set_total(&self, permits: usize) {
        assert!(permits <= MAX, "a semaphore holds at most `Semaphore::MAX_PERMITS` permits");
        let before = if L::EXCLUSIVE {
            let before = self.total.load(Ordering::Relaxed);
            self.total.store(permits, Ordering::Relaxed);
            before
        } else {
            // ORDERING: Relaxed, as in `change_total`. Differences telescope: whatever the order of several calls, the
            // word ends up changed by the last total less the first.
            self.total.swap(permits, Ordering::Relaxed)
        };
        match (permits as isize) - (before as isize) {
            0 => {}
            more @ 1.. => self.give(more as usize),
            less => {
                let _ = self.update_unlocked(|word| Some(word.minus(less.unsigned_abs())));
            }
        }
    }
}

impl<L: RawLock> Waitable for Engine<L> {
    type Lock = L;
    type Entry = Demand;
    type State = ();
    type Form = Line;

    fn queue(&self) -> &Queue<Demand, L> {
        &self.queue
    }

    fn overtakes(newcomer: (Demand, u8), queued: (Demand, u8)) -> bool {
        newcomer.1 > queued.1
    }

    #[inline]
    fn left(&self, list: &mut List<'_, Demand>) -> bool {
        if L::CHEAP {
            return true;
        }
        // The flag says that somebody waits (S1), and permits that are there may be enough for who is first now (S4).
        let Some(next) = list.front() else {
            let _ = self.update(|word| Some(word.with_waiters(false)));
            return false;
        };
        let word = Word::from_bits(peek(&self.word));
        next.fit(word.available()).is_some() && !word.is_closed()
    }

    fn serve_on(&self) {
        if L::CHEAP { self.brief_serve(0) } else { self.serve_many(0) }
    }

    fn unclaimed(&self, outcome: Outcome, entry: Demand) {
        if outcome == GRANTED {
            self.give(entry.min());
        }
    }
}

impl<H: Deref<Target = Engine<L>>, L: RawLock> Waiting<H, Engine<L>> {
    /// Takes the permits, or a place in the queue.
    #[inline(always)]
    pub(super) fn poll_acquire(mut self: Pin<&mut Self>, waker: &Waker) -> Poll<Result<usize, Closed>> {
        if L::CHEAP {
            return self.poll_queue(waker);
        }
        if let Some(demand) = self.idle_entry() {
            if let Some(taken) = self.handle().take_all(demand) {
                self.as_mut().skip();
                return Poll::Ready(Ok(taken));
            }
            return self.poll_queue(waker);
        }
        match self.as_mut().claim(GRANTED) {
            Some(got) => Poll::Ready(Ok(got.min())),
            None => self.poll_queue(waker),
        }
    }

    /// What is left when the permits are not there for the taking.
    #[inline(never)]
    fn poll_queue(mut self: Pin<&mut Self>, waker: &Waker) -> Poll<Result<usize, Closed>> {
        assert!(!self.is_done(), "an acquire future was polled after it had completed");
        // Others learn the same with the lock held, where they have to go anyway.
        if let Some(demand) = self.idle_entry().filter(|demand| demand.is_special() && !L::CHEAP) {
            match self.handle().try_take_any(demand) {
                Err(TryAcquireError::NoPermits) => {}
                taken => {
                    self.as_mut().skip();
                    return Poll::Ready(taken.map_err(|_| Closed));
                }
            }
        }
        let rank = self.rank();
        self.poll(waker, |engine, list, demand| engine.admit(list, demand, rank))
            .map(|(outcome, got)| if outcome == GRANTED { Ok(got.min()) } else { Err(Closed) })
    }

    /// Takes the permits or a place in the queue now; the next poll tells.
    pub(super) fn enroll(self: Pin<&mut Self>) {
        let rank = self.rank();
        self.join(None, |engine, list, demand| engine.admit(list, demand, rank));
    }
}
