//! Permit accounting: one word, one demand, one plan. Pure, so that it is tested without atomics and futures around it.
//!
//! ```text
//! word  = available << 2 | WAITERS | CLOSED
//! ```
//!
//! `available` is signed. Below zero it is a debt: permits that were taken out of existence while they were lent, and that
//! coming releases pay off. The flags sit below the count, so no arithmetic on the count can touch them.

/// Nothing is granted any more.
const CLOSED: usize = 1;
/// Somebody is queued, so whoever gives permits has to look at the queue, and newcomers have to join it.
const WAITERS: usize = 2;
const SHIFT: u32 = 2;

/// The most permits that may exist. It leaves room for the flags, the sign, and a debt on top of a full count.
pub(super) const MAX: usize = usize::MAX >> 4;

/// The state of a semaphore but for its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(usize);

/// How many permits a waiter asks for: from `min` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    min: usize,
    /// `max << 1 | barging`, to keep a future at 64 bytes.
    max_and_barging: usize,
}

/// What becomes of the word and the first waiters when permits come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// How many waiters, from the front, get what they ask for.
    pub(super) grants: usize,
    /// The word afterwards.
    pub(super) word: Word,
    /// Permits to hand out, the ones that stay included; each grant takes its part.
    pub(super) budget: usize,
}

// === impl Word ===

impl Word {
    pub(super) const fn new(permits: usize) -> Self {
        Self(permits << SHIFT)
    }

    pub(super) const fn from_bits(bits: usize) -> Self {
        Self(bits)
    }

    pub(super) const fn bits(self) -> usize {
        self.0
    }

    /// What adding `permits` adds to the bits.
    pub(super) const fn step(permits: usize) -> usize {
        permits << SHIFT
    }

    /// The count, negative while there is a debt.
    pub(super) const fn balance(self) -> isize {
        self.0 as isize >> SHIFT
    }

    pub(super) const fn available(self) -> usize {
        let balance = self.balance();
        if balance > 0 { balance as usize } else { 0 }
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

    /// The word after `permits` were taken, if nothing stands against it: no flag, no debt, enough there.
    pub(super) const fn take(self, permits: usize) -> Option<Self> {
        if self.0 & (CLOSED | WAITERS) == 0 && self.0 as isize >= Self::step(permits) as isize {
            Some(self.minus(permits))
        } else {
            None
        }
    }

    pub(super) const fn closed(self) -> Self {
        Self(self.0 | CLOSED)
    }

    pub(super) const fn plus(self, permits: usize) -> Self {
        Self(self.0.wrapping_add(Self::step(permits)))
    }

    pub(super) const fn minus(self, permits: usize) -> Self {
        Self(self.0.wrapping_sub(Self::step(permits)))
    }
}

// === impl Demand ===

impl Demand {
    pub(super) const fn exactly(permits: usize) -> Self {
        Self::between(permits, permits)
    }

    /// From `min` to `max`, neither above [`MAX`].
    pub(super) const fn between(min: usize, max: usize) -> Self {
        Self { min, max_and_barging: max << 1 }
    }

    pub(super) const fn barging(self) -> Self {
        Self { max_and_barging: self.max_and_barging | 1, ..self }
    }

    pub(super) const fn is_barging(self) -> bool {
        self.max_and_barging & 1 != 0
    }

    /// Whether it may have something at once although its maximum is not there or somebody waits.
    pub(super) const fn is_special(self) -> bool {
        self.max_and_barging != self.min << 1 || self.min == 0
    }

    pub(super) const fn min(self) -> usize {
        self.min
    }

    pub(super) const fn max(self) -> usize {
        self.max_and_barging >> 1
    }

    /// What it takes out of `available` permits, if that is enough.
    pub(super) const fn fit(self, available: usize) -> Option<usize> {
        if available < self.min {
            None
        } else if available < self.max() {
            Some(available)
        } else {
            Some(self.max())
        }
    }
}

// === impl Plan ===

impl Plan {
    /// Plans what happens when `incoming` permits come to `word`, with `queue` waiting and room for `room` grants.
    ///
    /// Permits pay the debt first. Then waiters are served from the front; the first that does not fit stops it, however
    /// little those behind ask for, or it would starve. A closed semaphore grants nothing: its closer is about to resolve
    /// the queue.
    pub(super) fn new(word: Word, incoming: usize, queue: impl Iterator<Item = Demand>, room: usize) -> Self {
        let given = word.plus(incoming);
        let budget = given.available();
        let mut queue = queue.peekable();
        let mut left = budget;
        let mut grants = 0;
        while grants < room && !word.is_closed() {
            let Some(taken) = queue.peek().and_then(|demand| demand.fit(left)) else { break };
            left -= taken;
            grants += 1;
            queue.next();
        }
        let word = given.minus(budget - left).with_waiters(queue.peek().is_some());
        Self { grants, word, budget }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_demand_needs_all_it_asks_for_and_an_empty_queue() {
        assert!(!Demand::exactly(1).is_special() && !Demand::exactly(MAX).is_special());
        assert!(Demand::exactly(0).is_special() && Demand::between(0, 2).is_special());
        assert!(Demand::between(1, 2).is_special() && Demand::exactly(1).barging().is_special());
    }

    #[test]
    fn flags_survive_any_arithmetic_on_the_count() {
        let word = Word::new(3).with_waiters(true).closed();
        let debt = word.minus(MAX);
        assert_eq!(debt.balance(), 3 - MAX as isize);
        assert_eq!(debt.available(), 0);
        assert!(debt.is_closed() && debt.has_waiters());
        assert_eq!(debt.minus(MAX).plus(MAX).plus(MAX), word, "twice the maximum in debt is still exact");
    }

    #[test]
    fn taking_wants_enough_permits_and_no_flag_and_no_debt() {
        assert_eq!(Word::new(3).take(2), Some(Word::new(1)));
        assert_eq!(Word::new(MAX).take(MAX), Some(Word::new(0)));
        assert_eq!(Word::new(3).take(4), None);
        assert_eq!(Word::new(3).with_waiters(true).take(1), None);
        assert_eq!(Word::new(3).closed().take(0), None);
        assert_eq!(Word::new(0).minus(1).take(0), None);
    }

    #[test]
    fn the_debt_is_paid_before_anyone_is_served() {
        let word = Word::new(0).minus(2).with_waiters(true);
        let plan = Plan::new(word, 2, [Demand::exactly(1)].into_iter(), 8);
        assert_eq!(plan.grants, 0);
        assert_eq!(plan.word, Word::new(0).with_waiters(true));
        let plan = Plan::new(word, 4, [Demand::exactly(1)].into_iter(), 8);
        assert_eq!((plan.grants, plan.word, plan.budget), (1, Word::new(1), 2));
    }

    #[test]
    fn a_large_request_at_the_front_stops_smaller_ones_behind_it() {
        let queue = [Demand::exactly(1), Demand::exactly(3), Demand::exactly(1)];
        let word = Word::new(0).with_waiters(true);
        let plan = Plan::new(word, 3, queue.into_iter(), 8);
        assert_eq!((plan.grants, plan.word), (1, Word::new(2).with_waiters(true)));
    }

    #[test]
    fn a_range_takes_what_there_is_up_to_its_maximum() {
        let range = Demand::between(2, 5);
        assert_eq!([range.fit(1), range.fit(3), range.fit(9)], [None, Some(3), Some(5)]);
        assert_eq!(range.barging().max(), 5);
        let queue = [range, Demand::exactly(1)];
        let plan = Plan::new(Word::new(0).with_waiters(true), 6, queue.into_iter(), 8);
        assert_eq!((plan.grants, plan.word), (2, Word::new(0)));
    }

    #[test]
    fn room_bounds_the_grants_and_the_rest_stays_flagged() {
        let queue = [Demand::exactly(1); 5];
        let plan = Plan::new(Word::new(0).with_waiters(true), 5, queue.into_iter(), 2);
        assert_eq!((plan.grants, plan.word), (2, Word::new(3).with_waiters(true)));
    }

    #[test]
    fn a_closed_semaphore_grants_nothing() {
        let word = Word::new(0).with_waiters(true).closed();
        let plan = Plan::new(word, 1, [Demand::exactly(1)].into_iter(), 8);
        assert_eq!((plan.grants, plan.word), (0, word.plus(1)));
    }

    /// Every small word, queue and income: permits are conserved, the flag is right, and the order holds.
    #[test]
    fn every_small_plan_conserves_permits() {
        for (balance, incoming, room) in itertools(-3..5, 0..5, 0..4) {
            let word = if balance < 0 { Word::new(0).minus(-balance as usize) } else { Word::new(balance as usize) };
            for (a, b, c) in itertools(0..4, 0..4, 0..4) {
                let queue = [(0, a), (b / 2, b), (c, c)].map(|(min, max)| Demand::between(min as usize, max as usize));
                for len in 0..=3 {
                    let queue = &queue[..len];
                    let word = word.with_waiters(len > 0);
                    let plan = Plan::new(word, incoming as usize, queue.iter().copied(), room as usize);
                    let mut left = plan.budget;
                    for demand in &queue[..plan.grants] {
                        let got = demand.fit(left).expect("only what fits is granted");
                        assert!((demand.min()..=demand.max()).contains(&got));
                        left -= got;
                    }
                    let granted = (plan.budget - left) as isize;
                    assert_eq!(plan.word.balance(), balance + incoming - granted);
                    assert_eq!(plan.word.has_waiters(), plan.grants < len);
                    let stopped_early = plan.grants < len && plan.grants < room as usize;
                    assert!(!stopped_early || queue[plan.grants].fit(left).is_none(), "nobody waits in vain");
                }
            }
        }
    }

    fn itertools(
        a: core::ops::Range<isize>,
        b: core::ops::Range<isize>,
        c: core::ops::Range<isize>,
    ) -> impl Iterator<Item = (isize, isize, isize)> {
        a.flat_map(move |a| {
            let c = c.clone();
            b.clone().flat_map(move |b| c.clone().map(move |c| (a, b, c)))
        })
    }
}
