//! The engine: nodes with links upward only, and one queue of waiters at the root.
//!
//! ```text
//!   root ── word, cause, queue of all who wait below ── lock
//!    ▲  ▲
//!    │  └── node ── word, cause        word = [ waiters here and below | cancelled ]
//!    │        ▲
//!   node    node ◄── a waiter is in the root's queue, under the name of the node that it waits on
//! ```
//!
//! A node knows its parent and nobody below. So making and dropping one touches nothing that is shared, and nothing can pile
//! up in a parent. The price is paid by `cancel`, which is rare: it searches the root's queue (see
//! [`walk`](super::walk)), unless its own count says that nobody waits below it.
//!
//! # Who was first
//!
//! A node is only cancelled if neither it nor a node above is, which is decided with the root's lock held. So of the
//! cancelled nodes on a way up the lowest was the first, and nothing below it will follow. That is the one whose cause
//! counts.
//!
//! # Invariants
//!
//! * **C1** `cancelled` is set once, with the root's lock held, and never cleared.
//! * **C2** `cause` is written with the root's lock held before `cancelled` is set, and not after. It is read by whoever has
//!   seen `cancelled` set.
//! * **C3** A waiter that is in the queue, or was found and has not looked, is counted in its node and in all above. It is
//!   counted in with the lock held and out by its owner, without.

use core::fmt;
use core::iter;
use core::panic::RefUnwindSafe;

use super::Cause;
use super::lineage::{Lineage, Name};
use super::walk::Walk;
use crate::sync::{AtomicUsize, Ordering, RawLock, UnsafeCell, const_fn, peek};
use crate::wait::batch::wake_rounds;
use crate::wait::line::Line;
use crate::wait::queue::{List, Outcome, Queue};
use crate::wait::waiting::{Admission, Waitable};

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
use super::owned::Upward;

/// The bit of the word that says so.
const CANCELLED: usize = 1;
/// One waiter in the word.
const WAITER: usize = 2;

/// What becomes of a waiter that comes too late to wait.
pub(super) const TOO_LATE: Outcome = Outcome::new(1);

/// A token's place in its tree.
pub(super) struct Node<'p, L: RawLock> {
    word: AtomicUsize,
    cause: CauseCell,
    place: Place<'p, L>,
}

enum Place<'p, L: RawLock> {
    Root(Queue<Lineage, L, Walk>),
    Under(&'p Node<'p, L>),
    #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
    UnderOwned(Upward<L>),
}

struct CauseCell(UnsafeCell<Cause>);

// SAFETY: it is written once, before anyone reads it (C2).
unsafe impl Sync for CauseCell {}

// What was written stays as it is.
impl RefUnwindSafe for CauseCell {}

// === impl Node ===

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<L: RawLock> Node<'static, L> {
    pub(super) fn under_owned(parent: Upward<L>) -> Self {
        Self::at(Place::UnderOwned(parent))
    }

    /// The link to an owned parent, for whoever takes a long chain apart.
    pub(super) fn upward(&mut self) -> Option<&mut Upward<L>> {
        match &mut self.place {
            Place::UnderOwned(upward) => Some(upward),
            Place::Root(_) | Place::Under(_) => None,
        }
    }
}

impl<'p, L: RawLock> Node<'p, L> {
    const_fn! {
        pub(super) const fn root() -> Self {
            Self::at(Place::Root(Queue::with_state(Walk::new())))
        }
    }

    const_fn! {
        pub(super) const fn under(parent: &'p Self) -> Self {
            Self::at(Place::Under(parent))
        }
    }

    const_fn! {
        const fn at(place: Place<'p, L>) -> Self {
            Self { word: AtomicUsize::new(0), cause: CauseCell(UnsafeCell::new(Cause::CANCELLED)), place }
        }
    }

    #[inline]
    fn parent(&self) -> Option<&Self> {
        match &self.place {
            Place::Root(_) => None,
            Place::Under(parent) => Some(parent),
            #[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
            Place::UnderOwned(upward) => Some(upward.node()),
        }
    }

    /// This one and all above, in this order.
    #[inline]
    fn chain(&self) -> impl Iterator<Item = &Self> {
        iter::successors(Some(self), |node| node.parent())
    }

    #[inline]
    fn is_marked(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `cancel`: who sees the mark sees the cause, and all that happened
        // before.
        self.word.load(Ordering::Acquire) & CANCELLED != 0
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.chain().any(Self::is_marked)
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        let marked = |node: &&Self| node.is_marked();
        self.chain().find(marked)?;
        // Below that one another may have been marked since we passed it, but before it; the mark that we have seen shows us
        // that one too. Now nothing below can change any more, so the second look finds the first that was marked.
        let first = self.chain().find(marked)?;
        // SAFETY: the mark was seen (C2).
        Some(first.cause.0.with(|cause| unsafe { *cause }))
    }

    pub(super) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Loads alone: a debugger's print must not block.
        f.debug_struct(name).field("cause", &self.cause()).field("waiters", &self.waiters()).finish_non_exhaustive()
    }

    /// How many wait here or below.
    pub(super) fn waiters(&self) -> usize {
        // ORDERING: Relaxed. The number is for people.
        self.word.load(Ordering::Relaxed) / WAITER
    }

    /// Cancels this and all below, unless that has happened.
    pub(super) fn cancel(&self, cause: Cause) {
        if self.is_too_late() {
            return;
        }
        let name = self.parent().map(|_| Name::of(self));
        let mut begins = true;
        wake_rounds(|batch| {
            self.queue().with(|list| {
                if core::mem::take(&mut begins) {
                    if self.mark(cause) == 0 {
                        return false;
                    }
                    Walk::begin(list, name);
                }
                Walk::round(list, batch)
            })
        });
    }

    /// As [`is_cancelled`](Self::is_cancelled), for one who will change the word next.
    fn is_too_late(&self) -> bool {
        peek(&self.word) & CANCELLED != 0 || self.parent().is_some_and(Self::is_cancelled)
    }

    /// Marks the node if it was not cancelled, and returns how many have to be told. The root's lock is held.
    fn mark(&self, cause: Cause) -> usize {
        if self.is_too_late() {
            return 0;
        }
        // SAFETY: the lock is held and the mark is not set, so nobody reads or writes (C2).
        self.cause.0.with_mut(|cell| unsafe { *cell = cause });
        let before = if L::EXCLUSIVE {
            let before = self.word.load(Ordering::Relaxed);
            self.word.store(before | CANCELLED, Ordering::Relaxed);
            before
        } else {
            // ORDERING: Release pairs with the Acquire in `is_marked`. Counts that others add later keep it up, for they are
            // read-modify-writes.
            self.word.fetch_or(CANCELLED, Ordering::Release)
        };
        before / WAITER
    }

    /// Lets a waiter in, unless it is too late. The root's lock is held.
    pub(super) fn admit(&self, lineage: &mut Lineage) -> Admission {
        if self.is_cancelled() {
            return Admission::Now(TOO_LATE);
        }
        // Between this node and the root: who cancels the root tells everyone.
        let between = self.chain().skip(1).filter(|node| node.parent().is_some());
        *lineage = Lineage::new(Name::of(self), between.map(Name::of));
        for node in self.chain() {
            node.count(|word| word + WAITER, |word| _ = word.fetch_add(WAITER, Ordering::Relaxed));
        }
        Admission::Queue
    }

    /// Counts a waiter out that was let in.
    pub(super) fn let_out(&self) {
        for node in self.chain() {
            node.count(|word| word - WAITER, |word| _ = word.fetch_sub(WAITER, Ordering::Relaxed));
        }
    }

    /// ORDERING: Relaxed. Whoever counts itself in holds the lock, and so does whoever needs the count, in `mark`. Who is
    /// counted out needs not be told any more.
    #[inline]
    fn count(&self, exclusive: impl FnOnce(usize) -> usize, shared: impl FnOnce(&AtomicUsize)) {
        if L::EXCLUSIVE {
            self.word.store(exclusive(self.word.load(Ordering::Relaxed)), Ordering::Relaxed);
        } else {
            shared(&self.word);
        }
    }
}

impl<L: RawLock> Waitable for Node<'_, L> {
    type Lock = L;
    type Entry = Lineage;
    type State = Walk;
    type Form = Line;

    /// The root's.
    fn queue(&self) -> &Queue<Lineage, L, Walk> {
        let mut node = self;
        loop {
            match (&node.place, node.parent()) {
                (Place::Root(queue), _) => return queue,
                (_, Some(parent)) => node = parent,
                (_, None) => unreachable!("only the root has no parent"),
            }
        }
    }

    fn overtakes(_: (Lineage, u8), _: (Lineage, u8)) -> bool {
        false
    }

    fn left(&self, _: &mut List<'_, Lineage, Walk>) -> bool {
        false
    }

    fn serve_on(&self) {}

    fn unclaimed(&self, _: Outcome, _: Lineage) {}
}
