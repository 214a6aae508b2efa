//! The queue of waiters, whose links live in the waiting futures.
//!
//! How the waiters hang together is the queue's [`Form`]: a [`Line`] where they are served in turn and few are queued out
//! of it, a [`Forest`](super::forest::Forest) where they come in any order and by the thousand. What a waiter is, how it
//! is resolved, and who may touch what is the same for all forms, and is here.
//!
//! # Invariants
//!
//! * **Q1** `root`, `state`, `links` and `note` are only touched with the queue's lock held.
//! * **Q2** A waiter is linked exactly while its stage is [`Stage::Waiting`] and its phase is [`QUEUED`], but within a
//!   critical section. The phase goes to and from `QUEUED` only with the lock held; in the other stages it means nothing.
//! * **Q3** A linked waiter is pinned and alive. Only [`Waiting`](super::waiting::Waiting) links waiters, always with the
//!   queue of its own handle, and unlinks them before they go.
//! * **Q4** `waker` is written by its owner only: without the lock while not linked, with it while linked. Whoever
//!   resolves a waiter moves the waker out with the lock held, by a read that leaves the bits in place. So the owner may
//!   compare those bits at any time without the lock, and must not use or drop them once the waiter is resolved. A
//!   cell whose waiter is not linked owns nothing.
//! * **Q5** Storing an outcome is the last touch of a waiter by anyone but its owner, who may free it from then on.
//! * **Q6** `entry` is written by the owner while not linked, or by the resolver, with the lock held, before the outcome
//!   is stored.
//!
//! * **Q7** `stage` is read and written by the owner only.
//!
//! # Stages and phases of a waiter
//!
//! ```text
//!   Idle ── join ──► Waiting ─────────────────────────────── claimed ──► Done
//!    ▲                  │  QUEUED ── resolve (lock, Release) ──► outcome  │
//!    └───── cancel ─────┘     └─ an outcome at once ──────────────▲       │
//!    └───────────────────────────── restart ◄─────────────────────────────┘
//! ```

use core::cell::Cell;
use core::marker::PhantomPinned;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use core::task::Waker;

use super::batch::Batch;
use super::line::Line;
use crate::sync::{AtomicU8, Ordering, RawLock, UnsafeCell, const_fn, new_lock};

/// In the queue.
pub(super) const QUEUED: u8 = 0;
const FIRST_OUTCOME: u8 = 1;

/// Where a wait is, as its owner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was asked of the queue yet.
    Idle,
    /// It was; the phase says what came of it.
    Waiting,
    /// The owner has seen the outcome, or needs none.
    Done,
}

/// How a wait ended; what each value means is its owner's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome(u8);

/// A queue of waiters with entries of type `T`, and beside it a state of type `S`, under a lock of type `L`.
pub(crate) struct Queue<T, L, S = (), F: Form<T> = Line> {
    root: UnsafeCell<F::Root>,
    state: UnsafeCell<S>,
    lock: L,
}

/// Where a form keeps another waiter.
pub(super) type Link<T, F> = Option<NonNull<Waiter<T, F>>>;

/// The queue while its lock is held.
pub(crate) struct List<'a, T, S = (), F: Form<T> = Line> {
    pub(super) root: &'a mut F::Root,
    /// What the lock protects beside the queue.
    pub(crate) state: &'a mut S,
}

/// What a future that waits has in the queue.
pub(crate) struct Waiter<T, F: Form<T> = Line> {
    links: UnsafeCell<MaybeUninit<F::Links>>,
    waker: UnsafeCell<ManuallyDrop<Option<Waker>>>,
    entry: UnsafeCell<T>,
    /// Whatever the form has to note, in what would be padding.
    note: UnsafeCell<MaybeUninit<u32>>,
    phase: AtomicU8,
    stage: Cell<Stage>,
    /// Higher ranks may be queued ahead of lower ones.
    rank: u8,
    _pinned: PhantomPinned,
}

/// How the waiters of a queue hang together.
pub(crate) trait Form<T>: Sized {
    /// What the queue has of it.
    type Root;
    /// What each waiter has of it.
    type Links;

    /// No waiters.
    const EMPTY: Self::Root;

    /// The first waiter, unless there is none or it takes more than a look to find it.
    fn first(root: &Self::Root) -> Link<T, Self>;

    /// Links `waiter`, whose place `overtakes` tells: whether it comes before one that is there.
    ///
    /// # Safety
    ///
    /// The queue's lock is held. `waiter` is pinned, not linked, and stays alive until it is unlinked from this queue (Q3).
    unsafe fn link(
        root: &mut Self::Root,
        waiter: NonNull<Waiter<T, Self>>,
        overtakes: impl Fn(&Waiter<T, Self>) -> bool,
    );

    /// Unlinks `waiter`.
    ///
    /// # Safety
    ///
    /// The queue's lock is held, and `waiter` is linked in it.
    unsafe fn unlink(root: &mut Self::Root, waiter: NonNull<Waiter<T, Self>>);
}

// === impl Outcome ===

impl Outcome {
    /// The `n`th kind of outcome.
    pub(crate) const fn new(n: u8) -> Self {
        assert!(n < u8::MAX - FIRST_OUTCOME);
        Self(FIRST_OUTCOME + n)
    }

    pub(super) fn from_phase(phase: u8) -> Option<Self> {
        (phase >= FIRST_OUTCOME).then_some(Self(phase))
    }

    pub(super) fn phase(self) -> u8 {
        self.0
    }
}

// === impl Queue ===

// SAFETY: what the pointers lead to is only touched under the lock (Q1, Q2, Q6), and entries move between threads.
unsafe impl<T: Send, L: Send, S: Send, F: Form<T>> Send for Queue<T, L, S, F> {}
// SAFETY: as above; the lock itself is shared, so it has to be `Sync`.
unsafe impl<T: Send, L: Sync, S: Send, F: Form<T>> Sync for Queue<T, L, S, F> {}

// A panic passes no point at which a queue is half changed: nothing under the lock is code that we do not know.
impl<T, L, S, F: Form<T>> UnwindSafe for Queue<T, L, S, F> {}
impl<T, L, S, F: Form<T>> RefUnwindSafe for Queue<T, L, S, F> {}
// Nor a point at which a waiter is.
impl<T, F: Form<T>> UnwindSafe for Waiter<T, F> {}
impl<T, F: Form<T>> RefUnwindSafe for Waiter<T, F> {}

impl<T, L: RawLock, F: Form<T>> Queue<T, L, (), F> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self::with_state(())
        }
    }
}

impl<T, L: RawLock, S, F: Form<T>> Queue<T, L, S, F> {
    const_fn! {
        pub(crate) const fn with_state(state: S) -> Self {
            Self { root: UnsafeCell::new(F::EMPTY), state: UnsafeCell::new(state), lock: new_lock!(L) }
        }
    }

    /// Runs `f` on the queue with the lock held. `f` must not run code that we do not know.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut List<'_, T, S, F>) -> R) -> R {
        self.lock.with(|| {
            self.root.with_mut(|root| {
                self.state.with_mut(|state| {
                    // SAFETY: the lock makes these the only references (Q1).
                    let (root, state) = unsafe { (&mut *root, &mut *state) };
                    f(&mut List { root, state })
                })
            })
        })
    }
}

// === impl List ===

impl<T: Copy, S, F: Form<T>> List<'_, T, S, F> {
    /// The first waiter's entry, if the form knows the first.
    #[inline]
    pub(crate) fn front(&self) -> Option<T> {
        // SAFETY: the first is linked, hence alive (Q3); the lock is held (Q6).
        F::first(self.root).map(|first| unsafe { first.as_ref().entry() })
    }

    /// Whether `waiter` is the first, and is known to be.
    #[inline]
    pub(super) fn is_front(&self, waiter: NonNull<Waiter<T, F>>) -> bool {
        F::first(self.root) == Some(waiter)
    }

    /// Takes the first waiter out, gives it `entry` and `outcome`, and puts its waker into `batch`.
    ///
    /// # Panics
    ///
    /// If there is no [`front`](Self::front) or the batch is full, which callers rule out.
    #[inline]
    pub(crate) fn resolve_front(&mut self, entry: T, outcome: Outcome, batch: &mut Batch) {
        batch.push(self.take_front(entry, outcome));
    }

    /// As [`resolve_front`](Self::resolve_front), and hands the waker out, to be woken once the lock is let go.
    #[must_use = "a waiter that is resolved has to be woken"]
    #[inline]
    pub(crate) fn take_front(&mut self, entry: T, outcome: Outcome) -> Option<Waker> {
        let first = F::first(self.root).expect("a waiter to resolve");
        // SAFETY: `first` is linked here (Q2), and we hold the lock (Q1).
        unsafe { self.unlink(first) };
        // SAFETY: it was linked, so it is alive until the outcome is stored (Q3, Q5). Only the bits of the waker are
        // read (Q4), so this is the one place that owns it from here on.
        let waker = unsafe {
            let waiter = first.as_ref();
            waiter.entry.with_mut(|slot| *slot = entry);
            waiter.waker.with(|waker| ManuallyDrop::into_inner(waker.read()))
        };
        // SAFETY: still alive, see above. The field is reached through the pointer, so that no reference to the whole
        // waiter outlives the store (Q5).
        let phase = unsafe { &(*first.as_ptr()).phase };
        // ORDERING: Release pairs with the Acquire in `Waiter::phase`: who sees the outcome sees the entry, and all
        // that happened before the resolver resolved it.
        phase.store(outcome.phase(), Ordering::Release);
        waker
    }

    /// Links `waiter` where `overtakes` and the form say.
    ///
    /// # Safety
    ///
    /// `waiter` is pinned, not linked, stays alive until it is unlinked, and belongs to this queue (Q3).
    #[inline]
    pub(super) unsafe fn link(&mut self, waiter: NonNull<Waiter<T, F>>, overtakes: impl Fn(&Waiter<T, F>) -> bool) {
        // SAFETY: the caller vouches for `waiter`.
        let phase = unsafe { &waiter.as_ref().phase };
        // ORDERING: Relaxed. Only the owner, who is calling, looks without the lock.
        phase.store(QUEUED, Ordering::Relaxed);
        // SAFETY: as the caller promises; we hold the lock.
        unsafe { F::link(self.root, waiter, overtakes) };
    }

    /// Unlinks `waiter`; its phase is the caller's to set.
    ///
    /// # Safety
    ///
    /// `waiter` is linked in this queue.
    #[inline]
    pub(super) unsafe fn unlink(&mut self, waiter: NonNull<Waiter<T, F>>) {
        // SAFETY: as the caller promises; we hold the lock.
        unsafe { F::unlink(self.root, waiter) };
    }
}

// === impl Waiter ===

// SAFETY: a waiter that is not linked is plain data; a linked one is only touched under its queue's lock, but for the
// atomic phase and for what Q4 allows.
unsafe impl<T: Send, F: Form<T>> Send for Waiter<T, F> {}
// SAFETY: through a shared reference anyone but the queue sees the phase alone (Q4, Q6); the rest is as above.
unsafe impl<T: Send, F: Form<T>> Sync for Waiter<T, F> {}

impl<T: Copy, F: Form<T>> Waiter<T, F> {
    const_fn! {
        pub(super) const fn new(entry: T, rank: u8) -> Self {
            Self {
                links: UnsafeCell::new(MaybeUninit::uninit()),
                waker: UnsafeCell::new(ManuallyDrop::new(None)),
                entry: UnsafeCell::new(entry),
                note: UnsafeCell::new(MaybeUninit::uninit()),
                phase: AtomicU8::new(QUEUED),
                stage: Cell::new(Stage::Idle),
                rank,
                _pinned: PhantomPinned,
            }
        }
    }

    #[inline]
    pub(super) fn phase(&self) -> u8 {
        // ORDERING: Acquire pairs with the Release in `resolve_front`.
        self.phase.load(Ordering::Acquire)
    }

    /// The phase, with the lock held.
    #[inline]
    pub(super) fn phase_locked(&self) -> u8 {
        // ORDERING: Relaxed. Whoever resolved it held the lock that we hold.
        self.phase.load(Ordering::Relaxed)
    }

    /// Sets the phase from the owner's side.
    #[inline]
    pub(super) fn set_phase(&self, phase: u8) {
        // ORDERING: Relaxed. Either the waiter is not linked and nobody else looks, or the lock is held.
        self.phase.store(phase, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn stage(&self) -> Stage {
        self.stage.get()
    }

    #[inline]
    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.set(stage);
    }

    pub(super) fn rank(&self) -> u8 {
        self.rank
    }

    /// Sets the rank of a waiter that was never linked, as the exclusive reference to something not pinned proves.
    pub(super) fn set_rank(&mut self, rank: u8) {
        self.rank = rank;
    }

    /// Reads the entry.
    ///
    /// # Safety
    ///
    /// Either not linked and the caller is the owner, or the lock is held (Q6).
    #[inline]
    pub(super) unsafe fn entry(&self) -> T {
        // SAFETY: as the caller promises.
        self.entry.with(|entry| unsafe { *entry })
    }

    /// Writes the entry.
    ///
    /// # Safety
    ///
    /// The caller is the owner and the waiter is not linked (Q6).
    #[inline]
    pub(super) unsafe fn set_entry(&self, new: T) {
        // SAFETY: as the caller promises.
        self.entry.with_mut(|entry| unsafe { *entry = new });
    }

    /// Whether waking the stored waker wakes the task of `waker`.
    ///
    /// # Safety
    ///
    /// The caller is the owner (Q4).
    #[inline]
    pub(super) unsafe fn wakes_same(&self, waker: &Waker) -> bool {
        self.waker.with(|stored| {
            // SAFETY: only the owner writes the cell (Q4). The waker may have been moved out meanwhile; comparing looks
            // at its two words and at nothing they point to.
            unsafe { &**stored }.as_ref().is_some_and(|stored| stored.will_wake(waker))
        })
    }

    /// Puts a waker in over a cell that owns nothing.
    ///
    /// # Safety
    ///
    /// The caller is the owner and the waiter is not linked (Q4).
    #[inline]
    pub(super) unsafe fn put_waker(&self, new: Option<Waker>) {
        // SAFETY: as the caller promises. What is overwritten is `None` or the bits of a waker that was moved out.
        self.waker.with_mut(|stored| unsafe { *stored = ManuallyDrop::new(new) });
    }

    /// Puts a waker in and hands the old one out, to be dropped once no lock is held.
    ///
    /// # Safety
    ///
    /// The caller is the owner, the waiter is not resolved, and if it is linked the lock is held (Q4).
    #[must_use = "drop the replaced waker after letting go of the lock"]
    #[inline]
    pub(super) unsafe fn replace_waker(&self, new: Option<Waker>) -> Option<Waker> {
        self.waker.with_mut(|stored| {
            // SAFETY: as the caller promises; not resolved means that nobody has moved the old one out.
            unsafe { core::mem::replace(&mut **stored, new) }
        })
    }

    /// The note that the form has set.
    ///
    /// # Safety
    ///
    /// The waiter is linked, the lock is held (Q1), and the note was set.
    #[inline]
    pub(super) unsafe fn note(&self) -> u32 {
        // SAFETY: as the caller promises.
        self.note.with(|note| unsafe { (*note).assume_init() })
    }

    /// # Safety
    ///
    /// The waiter is linked or about to be, and the lock is held (Q1).
    #[inline]
    pub(super) unsafe fn set_note(&self, new: u32) {
        // SAFETY: as the caller promises.
        self.note.with_mut(|note| unsafe { _ = (*note).write(new) });
    }

    /// Reads the links.
    ///
    /// # Safety
    ///
    /// The waiter is linked, so its links were set, and the lock is held (Q1).
    #[inline]
    pub(super) unsafe fn links(&self) -> F::Links
    where
        F::Links: Copy,
    {
        // SAFETY: as the caller promises.
        self.links.with(|links| unsafe { (*links).assume_init() })
    }

    /// Sets all links.
    ///
    /// # Safety
    ///
    /// The waiter is linked or about to be, and the lock is held (Q1).
    #[inline]
    pub(super) unsafe fn set_links(&self, new: F::Links) {
        // SAFETY: as the caller promises.
        self.links.with_mut(|links| unsafe { _ = (*links).write(new) });
    }

    /// Changes some links.
    ///
    /// # Safety
    ///
    /// As for [`links`](Self::links).
    #[inline]
    pub(super) unsafe fn relink(&self, change: impl FnOnce(&mut F::Links)) {
        // SAFETY: as the caller promises.
        self.links.with_mut(|links| change(unsafe { (*links).assume_init_mut() }));
    }
}
