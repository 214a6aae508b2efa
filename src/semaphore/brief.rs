//! The engine's work where the lock is cheap: one way for all cases, always with the lock held.
//!
//! Where a critical section costs no more than a compare-and-swap, which on small machines is one, the ways around the lock
//! save nothing and take two thirds of the code. Here a request looks and queues in one critical section, and a release
//! serves one waiter in each. The rules are those of the [`engine`](super::engine), but that nobody has to be told of a
//! queue by a flag: who looks at the word looks at the queue too (S6).

use core::task::Waker;

use super::engine::{CLOSED, Engine, GRANTED};
use super::permits::{Demand, Word};
use crate::sync::{Ordering, RawLock};
use crate::wait::batch::wake_each;
use crate::wait::queue::List;
use crate::wait::waiting::Admission;

impl<L: RawLock> Engine<L> {
    /// The word, and whether somebody waits. The lock is held.
    #[inline]
    fn look(&self, list: &List<'_, Demand>) -> Word {
        // ORDERING: Relaxed, here and below: the lock orders all who look and write (S6).
        Word::from_bits(self.word.load(Ordering::Relaxed)).with_waiters(!list.is_empty())
    }

    /// Writes the word. The lock is held.
    #[inline]
    fn put(&self, word: Word) {
        self.word.store(word.with_waiters(false).bits(), Ordering::Relaxed);
    }

    pub(super) fn brief_word(&self) -> Word {
        self.queue.with(|list| self.look(list))
    }

    /// As `update`, with the lock not held yet.
    #[inline]
    pub(super) fn brief_update(&self, change: impl FnOnce(Word) -> Option<Word>) -> Result<Word, Word> {
        self.queue.with(|list| {
            let word = self.look(list);
            self.put(change(word).ok_or(word)?);
            Ok(word)
        })
    }

    /// Decides about a newcomer with the lock held.
    #[inline]
    pub(super) fn brief_admit(&self, list: &mut List<'_, Demand>, demand: &mut Demand, rank: u8) -> Admission {
        let word = self.look(list);
        if word.is_closed() {
            return Admission::Now(CLOSED);
        }
        let first = list.front_rank().is_none_or(|front| rank > front) || demand.is_barging();
        // Who may not overtake may still have nothing, if that is enough.
        let Some(got) = demand.fit(if first { word.available() } else { 0 }) else { return Admission::Queue };
        self.put(word.minus(got));
        *demand = Demand::exactly(got);
        Admission::Now(GRANTED)
    }

    /// Adds `incoming` permits and serves whoever fits.
    #[inline(never)]
    pub(super) fn brief_serve(&self, incoming: usize) {
        let mut incoming = incoming;
        wake_each(|| self.queue.with(|list| self.serve_first(list, core::mem::take(&mut incoming))));
    }

    /// Adds `incoming` permits and gives the first waiter what it asks for, if that is there. Hands out its waker, if it has
    /// one, or `None` if nobody can be served.
    #[inline]
    fn serve_first(&self, list: &mut List<'_, Demand>, incoming: usize) -> Option<Option<Waker>> {
        let word = self.look(list).plus(incoming);
        let got = list.front().filter(|_| !word.is_closed()).and_then(|demand| demand.fit(word.available()));
        self.put(word.minus(got.unwrap_or(0)));
        got.map(|got| list.take_front(Demand::exactly(got), GRANTED))
    }
}
