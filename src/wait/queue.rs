//! The queue of waiters: a circular doubly linked list whose nodes live in the waiting futures.
//!
//! ```text
//! Queue.head ──► first ⇄ second ⇄ … ⇄ last ⇄ (first)       first.len = how many there are
//! ```
//!
//! One pointer in the queue is enough, for the last is the first's `prev`; the length lives in the first waiter, in what
//! would be padding. That keeps a semaphore at 32 bytes.
//!
//! # Invariants
//!
//! * **Q1** `head`, `state`, `links` and `len` are only touched with the queue's lock held.
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
use core::marker::{PhantomData, PhantomPinned};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr::NonNull;
use core::task::Waker;

use super::batch::Batch;
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
pub(crate) struct Queue<T, L, S = ()> {
    head: UnsafeCell<Link<T>>,
    state: UnsafeCell<S>,
    lock: L,
}

type Link<T> = Option<NonNull<Waiter<T>>>;

/// The queue while its lock is held.
pub(crate) struct List<'a, T, S = ()> {
    head: &'a mut Link<T>,
    /// What the lock protects beside the queue.
    pub(crate) state: &'a mut S,
}

/// What a future that waits has in the queue.
pub(crate) struct Waiter<T> {
    links: UnsafeCell<MaybeUninit<Links<T>>>,
    waker: UnsafeCell<ManuallyDrop<Option<Waker>>>,
    entry: UnsafeCell<T>,
    /// Of the whole queue while this is its first waiter, else meaningless.
    len: UnsafeCell<MaybeUninit<u32>>,
    phase: AtomicU8,
    stage: Cell<Stage>,
    /// Higher ranks may be queued ahead of lower ones.
    rank: u8,
    _pinned: PhantomPinned,
}

struct Links<T> {
    prev: NonNull<Waiter<T>>,
    next: NonNull<Waiter<T>>,
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
unsafe impl<T: Send, L: Send, S: Send> Send for Queue<T, L, S> {}
// SAFETY: as above; the lock itself is shared, so it has to be `Sync`.
unsafe impl<T: Send, L: Sync, S: Send> Sync for Queue<T, L, S> {}

// A panic passes no point at which a queue is half changed: nothing under the lock is code that we do not know.
impl<T, L, S> UnwindSafe for Queue<T, L, S> {}
impl<T, L, S> RefUnwindSafe for Queue<T, L, S> {}
// Nor a point at which a waiter is.
impl<T> UnwindSafe for Waiter<T> {}
impl<T> RefUnwindSafe for Waiter<T> {}

impl<T, L: RawLock> Queue<T, L> {
    const_fn! {
        pub(crate) const fn new() -> Self {
            Self::with_state(())
        }
    }
}

impl<T, L: RawLock, S> Queue<T, L, S> {
    const_fn! {
        pub(crate) const fn with_state(state: S) -> Self {
            Self { head: UnsafeCell::new(None), state: UnsafeCell::new(state), lock: new_lock!(L) }
        }
    }

    /// Runs `f` on the queue with the lock held. `f` must not run code that we do not know.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut List<'_, T, S>) -> R) -> R {
        self.lock.with(|| {
            self.head.with_mut(|head| {
                self.state.with_mut(|state| {
                    // SAFETY: the lock makes these the only references (Q1).
                    let (head, state) = unsafe { (&mut *head, &mut *state) };
                    f(&mut List { head, state })
                })
            })
        })
    }
}

// === impl List ===

impl<T: Copy, S> List<'_, T, S> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        // SAFETY: the head is linked, hence alive (Q3); `len` is ours under the lock (Q1).
        self.head.map_or(0, |head| unsafe { head.as_ref().len() as usize })
    }

    /// The first waiter's entry.
    #[inline]
    pub(crate) fn front(&self) -> Option<T> {
        self.entries().next()
    }

    /// The first waiter's rank.
    #[inline]
    pub(crate) fn front_rank(&self) -> Option<u8> {
        // SAFETY: the head is linked, hence alive (Q3); ranks of linked waiters do not change.
        self.head.map(|head| unsafe { head.as_ref().rank })
    }

    /// All entries, first to last.
    #[inline]
    pub(crate) fn entries(&self) -> Entries<'_, T> {
        Entries { next: *self.head, first: *self.head, _list: PhantomData }
    }

    /// Takes the first waiter out, gives it `entry` and `outcome`, and puts its waker into `batch`.
    ///
    /// # Panics
    ///
    /// If the queue is empty or the batch is full, which callers rule out.
    #[inline]
    pub(crate) fn resolve_front(&mut self, entry: T, outcome: Outcome, batch: &mut Batch) {
        batch.push(self.take_front(entry, outcome));
    }

    /// Whether there is exactly one waiter.
    #[inline]
    pub(crate) fn is_single(&self) -> bool {
        // SAFETY: the head is linked, hence alive (Q3); we hold the lock (Q1).
        self.head.is_some_and(|head| unsafe { head.as_ref().next() } == head)
    }

    /// Whether `waiter` is the first.
    #[inline]
    pub(super) fn is_front(&self, waiter: NonNull<Waiter<T>>) -> bool {
        *self.head == Some(waiter)
    }

    /// As [`resolve_front`](Self::resolve_front), and hands the waker out, to be woken once the lock is let go.
    #[must_use = "a waiter that is resolved has to be woken"]
    #[inline]
    pub(crate) fn take_front(&mut self, entry: T, outcome: Outcome) -> Option<Waker> {
        let first = self.head.expect("a waiter to resolve");
        // SAFETY: `first` is linked here, and we hold the lock.
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

    /// Makes the second waiter the first, and the first the last.
    ///
    /// So a search through the queue may let go of the lock half way: what it has seen is at the back.
    #[inline]
    pub(crate) fn rotate(&mut self) {
        let Some(head) = *self.head else { return };
        // SAFETY: the head and so its neighbours are linked, hence alive (Q3); we hold the lock (Q1).
        unsafe { self.set_front(head.as_ref().next(), head.as_ref().len()) };
    }

    /// Links `waiter` behind the last one that it does not overtake, seen from the back.
    ///
    /// # Safety
    ///
    /// `waiter` is pinned, not linked, stays alive until it is unlinked, and belongs to this queue (Q3).
    pub(super) unsafe fn link(&mut self, waiter: NonNull<Waiter<T>>, overtakes: impl Fn(&Waiter<T>) -> bool) {
        // SAFETY: the caller vouches for `waiter`; all others are linked, hence alive (Q3); we hold the lock (Q1, Q2).
        unsafe {
            let new = waiter.as_ref();
            // ORDERING: Relaxed. Only the owner, who is calling, looks without the lock.
            new.phase.store(QUEUED, Ordering::Relaxed);
            let Some(head) = *self.head else {
                new.set_links(waiter, waiter);
                self.set_front(waiter, 1);
                return;
            };
            let mut next = head;
            let mut prev = head.as_ref().prev();
            let mut leads = false;
            while !leads && overtakes(prev.as_ref()) {
                leads = prev == head;
                next = prev;
                prev = prev.as_ref().prev();
            }
            let len = head.as_ref().len() + 1;
            new.set_links(prev, next);
            prev.as_ref().set_next(waiter);
            next.as_ref().set_prev(waiter);
            self.set_front(if leads { waiter } else { head }, len);
        }
    }

    /// Unlinks `waiter`; its phase is the caller's to set.
    ///
    /// # Safety
    ///
    /// `waiter` is linked in this queue.
    pub(super) unsafe fn unlink(&mut self, waiter: NonNull<Waiter<T>>) {
        // SAFETY: `waiter` and so its neighbours are linked, hence alive (Q3); we hold the lock (Q1).
        unsafe {
            let (prev, next) = (waiter.as_ref().prev(), waiter.as_ref().next());
            let Some(head) = self.head.filter(|_| next != waiter) else {
                *self.head = None;
                return;
            };
            let len = head.as_ref().len() - 1;
            prev.as_ref().set_next(next);
            next.as_ref().set_prev(prev);
            self.set_front(if head == waiter { next } else { head }, len);
        }
    }

    /// # Safety
    ///
    /// `front` is linked.
    #[inline]
    unsafe fn set_front(&mut self, front: NonNull<Waiter<T>>, new: u32) {
        *self.head = Some(front);
        // SAFETY: linked, hence alive (Q3); `len` is ours under the lock (Q1).
        unsafe { front.as_ref().len.with_mut(|len| _ = (*len).write(new)) };
    }
}

/// The entries of a queue, first to last.
pub(crate) struct Entries<'a, T> {
    next: Link<T>,
    first: Link<T>,
    _list: PhantomData<&'a T>,
}

impl<T: Copy> Iterator for Entries<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let current = self.next?;
        // SAFETY: linked, hence alive (Q3), for the list is borrowed and so cannot change; the lock is held (Q1, Q6).
        let (entry, next) = unsafe {
            let waiter = current.as_ref();
            (waiter.entry.with(|entry| *entry), waiter.next())
        };
        self.next = (Some(next) != self.first).then_some(next);
        Some(entry)
    }
}

// === impl Waiter ===

// SAFETY: a waiter that is not linked is plain data; a linked one is only touched under its queue's lock, but for the
// atomic phase and for what Q4 allows.
unsafe impl<T: Send> Send for Waiter<T> {}
// SAFETY: through a shared reference anyone but the queue sees the phase alone; the rest is as above.
unsafe impl<T: Send> Sync for Waiter<T> {}

impl<T: Copy> Waiter<T> {
    const_fn! {
        pub(super) const fn new(entry: T, rank: u8) -> Self {
            Self {
                links: UnsafeCell::new(MaybeUninit::uninit()),
                waker: UnsafeCell::new(ManuallyDrop::new(None)),
                entry: UnsafeCell::new(entry),
                len: UnsafeCell::new(MaybeUninit::uninit()),
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

    /// # Safety
    ///
    /// This is the first waiter of a queue, whose lock is held (Q1).
    #[inline]
    unsafe fn len(&self) -> u32 {
        // SAFETY: as the caller promises; the length was written when this became the first.
        self.len.with(|len| unsafe { (*len).assume_init() })
    }

    fn prev(&self) -> NonNull<Self> {
        // SAFETY: callers hold the lock (Q1), and a linked waiter's links were written.
        self.links.with(|links| unsafe { (*links).assume_init_ref().prev })
    }

    fn next(&self) -> NonNull<Self> {
        // SAFETY: callers hold the lock (Q1), and a linked waiter's links were written.
        self.links.with(|links| unsafe { (*links).assume_init_ref().next })
    }

    fn set_prev(&self, prev: NonNull<Self>) {
        // SAFETY: callers hold the lock (Q1). The place is written without reading it, for it may be new.
        self.links.with_mut(|links| unsafe { (&raw mut (*links.cast::<Links<T>>()).prev).write(prev) });
    }

    fn set_next(&self, next: NonNull<Self>) {
        // SAFETY: as in `set_prev`.
        self.links.with_mut(|links| unsafe { (&raw mut (*links.cast::<Links<T>>()).next).write(next) });
    }

    fn set_links(&self, prev: NonNull<Self>, next: NonNull<Self>) {
        self.set_prev(prev);
        self.set_next(next);
    }
}
