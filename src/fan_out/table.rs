//! What wakers write to when nothing may be allocated: a table that lives for ever.
//!
//! ```text
//!            Header              Block 0        Block 1
//!   ┌───────────────────────┬──────────────┬──────────────┬───┐
//!   │ claimed  hub          │ word  back 0 │ word  back 1 │ … │   data of a waker = address of its block
//!   └───────────────────────┴──────────────┴──────────────┴───┘                     + number of its bit
//! ```
//!
//! A waker may be copied, kept and leaked, and cannot be called back, so what it points to has to outlive it. A `'static`
//! table does. So cloning a waker copies two words, dropping it does nothing, and no waker frees anything: all of it may
//! happen in an interrupt handler, as far as the waker of the task around may be woken there.
//!
//! ```text
//!                claim: false ─► true                          release: true ─► false
//!   free ────────────────────────────────────► one stream's ──────────────────────────► free
//!           then take all bits off the words      │                 before: take the task's waker out
//!                                                 └ claim: true ─► true, no
//! ```
//!
//! Wakers of a stream that is gone go on to write to the table. So whoever claims it finds it in any state that the
//! protocol of [`ready`](super::ready) has, and this one besides: bits whose flags, or bits in groups, the last owner has taken, and
//! not the bits. A waker that finds such a bit would leave the rest to somebody who has done it long ago. Taking all bits
//! off mends that, from the top down. Other bits that are left, and those that stale wakers still set, cost a poll for nothing, or none if there
//! is no future in that place yet.
//!
//! # Invariants
//!
//! * **T1** A waker's data is the address of a block of a table plus a number below [`BITS`], which is within that block. The
//!   pointer comes from the reference to the whole table, by offsets, so from it there is a way to all of the table.
//! * **T2** The table is borrowed for `'static`: it is there, and where it is, for ever.
//! * **T3** `back` is written when the table is made, before it can be borrowed. All else is atomic. So shared references
//!   are all that is ever made of its parts.
//! * **T4** Between claim and release the table has one owner, who alone takes bits and flags and registers a waker.

use core::fmt;
use core::mem::offset_of;
use core::task::{RawWaker, RawWakerVTable, Waker};

use super::inline::Wakes;
use super::ready::{BITS, DIRECT, Hub, Path, Round, Word, Words, groups_for};
use crate::sync::{AtomicBool, Ordering, const_fn, new_array};

/// What the wakers of one fan-out write to, where nothing may be allocated.
///
/// Meant to be a static. `W` words are enough for `W * usize::BITS` futures: one word for 64, or 32 where pointers have 32
/// bits. Given to an inline fan-out by [`wake_table`](super::FanOut::wake_table).
///
/// A table serves one stream at a time, which claims it when it is built and gives it back when it is dropped. Wakers of a
/// stream that is gone do no harm: at worst a future of the next one is polled for nothing.
///
/// # Size and cost
///
/// 64 bytes and another 64 for each word; 32 and 32 where pointers have 32 bits. A wake is one atomic operation, and three
/// and the wake of the task for the first of several. Cloning a waker copies it, dropping it does nothing, and neither
/// frees memory; so wakers may be kept, woken and dropped in an interrupt handler, if that holds for the task's waker,
/// which is woken there.
///
/// Wakers are of this crate's making. An executor or timer that accepts only its own, as embassy's integrated timer queue
/// does, needs the form without a table.
///
/// ```
/// use core::future::ready;
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use tollgate::FanOutExt;
/// use tollgate::fan_out::WakeTable;
///
/// static TABLE: WakeTable<2> = WakeTable::new();
///
/// // One after the other; side by side they would need two tables.
/// for _ in 0..2 {
///     let sum = stream::iter(1..=100).map(ready).fan_out_inline::<100>().wake_table(&TABLE);
///     assert_eq!(block_on(sum.fold(0, |sum, n| ready(sum + n))), 5050);
/// }
/// ```
#[repr(C)]
pub struct WakeTable<const W: usize> {
    header: Header,
    blocks: [Block; W],
}

#[cfg_attr(target_pointer_width = "64", repr(C, align(64)))]
#[cfg_attr(target_pointer_width = "32", repr(C, align(32)))]
#[cfg_attr(target_pointer_width = "16", repr(C, align(16)))]
struct Header {
    claimed: AtomicBool,
    hub: Hub,
}

#[cfg_attr(target_pointer_width = "64", repr(C, align(64)))]
#[cfg_attr(target_pointer_width = "32", repr(C, align(32)))]
#[cfg_attr(target_pointer_width = "16", repr(C, align(16)))]
struct Block {
    word: Word,
    /// How many blocks come before this one.
    back: usize,
    /// That of the group with the same number, in as many blocks as there are groups.
    group: Word,
}

const _: () = assert!(align_of::<Block>() >= BITS && offset_of!(WakeTable<1>, blocks) == size_of::<Header>());

/// Futures are polled when they were woken, by way of a [`WakeTable`] that the stream has for itself; see
/// [`FanOut::wake_table`](super::FanOut::wake_table).
pub struct Tabled<const W: usize> {
    table: &'static WakeTable<W>,
    round: Round,
}

// === wakers ===

/// A static, so that all wakers have the same address of it, which `will_wake` compares.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, forget);

unsafe fn clone(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    let bit = data.addr() % BITS;
    // SAFETY: the data is that of a waker made in `with_waker` (T1), the table is there (T2), and what is borrowed of it
    // is atomic or does not change (T3). The header is right before the first block.
    let (header, first, block) = unsafe {
        let block = data.byte_sub(bit).cast::<Block>();
        let first = block.sub((*block).back);
        (&*first.cast::<Header>().sub(1), first, &*block)
    };
    let hub = &header.hub;
    let is_news = if block.back == 0 && bit < DIRECT {
        hub.wake_direct(bit)
    } else {
        let Path { flag, far } = Path::to(block.back);
        // SAFETY: as above; a word that is far off has more blocks before it than its group has groups before it.
        let group = far.map(|(group, member)| unsafe { (&(*first.add(group)).group, member) });
        hub.wake(&block.word, bit, flag, group)
    };
    if is_news {
        hub.ring();
    }
}

unsafe fn forget(_: *const ()) {}

// === impl WakeTable ===

impl<const W: usize> WakeTable<W> {
    /// How many futures it has room for.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::{FanOutExt, WakeTable};
    ///
    /// static TABLE: WakeTable<2> = WakeTable::new();
    ///
    /// // As many at once as the table has room for, whatever the width of a pointer.
    /// let outputs = stream::iter(0..1000).map(ready).fan_out_inline::<{ WakeTable::<2>::SLOTS }>().wake_table(&TABLE);
    /// assert_eq!(block_on(outputs.count()), 1000);
    /// ```
    pub const SLOTS: usize = W * BITS;

    const_fn! {
        /// A table that nobody has claimed.
        ///
        /// ```
        /// use tollgate::WakeTable;
        ///
        /// static TABLE: WakeTable<1> = WakeTable::new();
        /// assert!(!TABLE.is_claimed());
        /// ```
        pub const fn new() -> Self {
            let mut blocks = new_array!(Block { word: Word::new(), back: 0, group: Word::new() }; W);
            let mut back = 0;
            while back < W {
                blocks[back].back = back;
                back += 1;
            }
            Self { header: Header { claimed: AtomicBool::new(false), hub: Hub::new() }, blocks }
        }
    }

    /// Whether a stream has it.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::stream;
    /// use tollgate::{FanOutExt, WakeTable};
    ///
    /// static TABLE: WakeTable<1> = WakeTable::new();
    ///
    /// let outputs = stream::iter([ready(1)]).fan_out_inline::<4>().wake_table(&TABLE);
    /// assert!(TABLE.is_claimed());
    /// drop(outputs);
    /// assert!(!TABLE.is_claimed());
    /// ```
    pub fn is_claimed(&self) -> bool {
        // ORDERING: Relaxed. It is news only, and may be old when it is read.
        self.header.claimed.load(Ordering::Relaxed)
    }

    /// Takes the table, if it is free, until what is returned is dropped.
    pub(super) fn claim(&'static self) -> Option<Tabled<W>> {
        // ORDERING: Acquire pairs with the Release in `drop`: the new owner finds the table as the last one left it.
        // Relaxed on failure: it is somebody else's.
        self.header.claimed.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // The last owner saw the bits whose flags it took, and so does this one. Of other bits the flag is there, or to come.
        // Groups first, so that a waker under way that set its bit in one before has set that of the word before, too.
        for block in &self.blocks {
            block.group.take();
        }
        for block in &self.blocks {
            block.word.take();
        }
        Some(Tabled { table: self, round: Round::new() })
    }

    /// The data of the waker with this number.
    #[inline]
    fn waker_data(&'static self, number: usize) -> *const () {
        assert!(number < Self::SLOTS);
        let blocks = (&raw const *self).cast::<Header>().wrapping_add(1).cast::<Block>();
        blocks.wrapping_add(number / BITS).wrapping_byte_add(number % BITS).cast()
    }
}

impl<const W: usize> Words for WakeTable<W> {
    #[inline]
    fn count(&self) -> usize {
        W
    }

    #[inline]
    fn word(&self, number: usize) -> &Word {
        &self.blocks[number].word
    }

    #[inline]
    fn groups(&self) -> usize {
        groups_for(W)
    }

    #[inline]
    fn group(&self, number: usize) -> &Word {
        &self.blocks[number].group
    }
}

impl<const W: usize> Default for WakeTable<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const W: usize> fmt::Debug for WakeTable<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeTable").field("slots", &Self::SLOTS).field("claimed", &self.is_claimed()).finish()
    }
}

// === impl Tabled ===

impl<const W: usize> super::sealed::Sealed for Tabled<W> {}

impl<const W: usize> Wakes for Tabled<W> {
    #[inline]
    fn begin_poll(&mut self, _: usize) {}

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.round.is_over() {
            self.round.find(&self.table.header.hub, self.table);
        }
        self.round.next()
    }

    #[inline]
    fn with_waker<R>(&mut self, number: usize, _: &Waker, f: impl FnOnce(&Waker) -> R) -> R {
        // SAFETY: the data is as T1 has it, and good for ever (T2). The functions of the table do what wakers should:
        // they touch what is atomic or does not change (T3), on any thread.
        let waker = unsafe { Waker::new(self.table.waker_data(number), &VTABLE) };
        f(&waker)
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.round.is_quiet(&self.table.header.hub)
    }

    #[inline]
    fn sleep(&mut self, task: &Waker) -> bool {
        self.round.sleep(&self.table.header.hub, task)
    }
}

impl<const W: usize> Drop for Tabled<W> {
    /// The waker of the task goes last, because whatever its drop leads to may want the table.
    fn drop(&mut self) {
        let _task = self.table.header.hub.take_task();
        // ORDERING: Release pairs with the Acquire in `claim`.
        self.table.header.claimed.store(false, Ordering::Release);
    }
}

impl<const W: usize> fmt::Debug for Tabled<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tabled").field("table", self.table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod model;
