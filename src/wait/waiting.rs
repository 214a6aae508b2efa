//! A wait in progress: the owner's side of a queue, and the only code that links waiters.

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Poll, Waker};

use pin_project_lite::pin_project;

use super::queue::{Form, List, Outcome, QUEUED, Queue, Stage, Waiter};
use crate::sync::{RawLock, const_fn};

/// Something that can be waited for: it owns a queue and says what happens to waiters that leave it.
pub(crate) trait Waitable {
    type Lock: RawLock;
    /// What a waiter asks for, and once resolved, what it got.
    type Entry: Copy;
    /// What the lock protects beside the queue.
    type State;
    /// How its waiters hang together.
    type Form: Form<Self::Entry>;

    fn queue(&self) -> &Queue<Self::Entry, Self::Lock, Self::State, Self::Form>;

    /// Whether a newcomer is queued ahead of one that is there. Entries and ranks as (entry, rank).
    fn overtakes(newcomer: (Self::Entry, u8), queued: (Self::Entry, u8)) -> bool;

    /// A queued waiter left that was the first, so those behind it may go on now. Runs with the lock held, and returns
    /// whether [`serve_on`](Self::serve_on) has to be called.
    fn left(&self, list: &mut List<'_, Self::Entry, Self::State, Self::Form>) -> bool;

    /// Resolves whoever can go on now. Runs with no lock held.
    fn serve_on(&self);

    /// A waiter was resolved and cancelled before it looked. Runs with no lock held.
    fn unclaimed(&self, outcome: Outcome, entry: Self::Entry);
}

/// What becomes of a waiter that wants to join the queue.
pub(crate) enum Admission {
    /// It takes its place.
    Queue,
    /// It need not wait.
    Now(Outcome),
}

pin_project! {
    /// A waiter together with the handle of what it waits for. Dropping it at any moment is a cancellation.
    pub(crate) struct Waiting<H, W>
    where
        H: Deref<Target = W>,
        W: Waitable,
    {
        // It leads to one and the same queue from when the wait begins until it is over.
        handle: H,
        #[pin]
        waiter: Waiter<W::Entry, W::Form>,
    }

    impl<H, W> PinnedDrop for Waiting<H, W>
    where
        H: Deref<Target = W>,
        W: Waitable,
    {
        fn drop(this: Pin<&mut Self>) {
            // Most waits never began or are over; what follows is for the others.
            if this.waiter.stage() == Stage::Waiting {
                this.cancel();
            }
        }
    }
}

impl<H: Deref<Target = W>, W: Waitable> Waiting<H, W> {
    const_fn! {
        pub(crate) const fn new(handle: H, entry: W::Entry, rank: u8) -> Self {
            Self { handle, waiter: Waiter::new(entry, rank) }
        }
    }

    #[inline]
    pub(crate) fn handle(&self) -> &H {
        &self.handle
    }

    /// The handle of a wait that is over, to take something out of it.
    #[allow(dead_code, reason = "only handles that own something are taken apart")]
    #[inline]
    pub(crate) fn handle_mut(self: Pin<&mut Self>) -> &mut H {
        debug_assert!(self.is_done());
        self.project().handle
    }

    /// Whether nothing has been asked of the queue yet.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiter.stage() == Stage::Idle
    }

    /// Whether the outcome was claimed.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.waiter.stage() == Stage::Done
    }

    /// What is asked for, while that is still up to the owner.
    #[inline]
    pub(crate) fn idle_entry(&self) -> Option<W::Entry> {
        // SAFETY: idle means not linked (Q2).
        self.is_idle().then(|| unsafe { self.waiter.entry() })
    }

    /// Notes that the wait is over without ever having begun.
    ///
    /// # Panics
    ///
    /// If it has begun.
    #[inline]
    pub(crate) fn skip(self: Pin<&mut Self>) {
        debug_assert!(self.is_idle(), "a wait that has begun cannot be skipped");
        self.waiter.set_stage(Stage::Done);
    }

    pub(crate) fn rank(&self) -> u8 {
        self.waiter.rank()
    }

    /// Changes what is asked for before the wait is pinned, hence before it begins.
    pub(crate) fn amend(&mut self, change: impl FnOnce(W::Entry) -> W::Entry) {
        // SAFETY: the owner, and never linked (Q2), as the exclusive reference to something not pinned proves.
        unsafe { self.waiter.set_entry(change(self.waiter.entry())) };
    }

    /// Sets the rank before the wait is pinned, hence before it begins.
    pub(crate) fn set_rank(&mut self, rank: u8) {
        self.waiter.set_rank(rank);
    }

    /// What a wait that came out as `expected` got; the wait is over then.
    #[inline(always)]
    pub(crate) fn claim(self: Pin<&mut Self>, expected: Outcome) -> Option<W::Entry> {
        let waiter = self.project().waiter.into_ref().get_ref();
        if waiter.stage() != Stage::Waiting || waiter.phase() != expected.phase() {
            return None;
        }
        waiter.set_stage(Stage::Done);
        // SAFETY: resolved, hence not linked (Q2).
        Some(unsafe { waiter.entry() })
    }

    /// Begins or goes on waiting.
    ///
    /// The first time, `admit` decides with the lock held; it may change the entry.
    #[inline]
    pub(crate) fn poll(
        mut self: Pin<&mut Self>,
        waker: &Waker,
        admit: impl FnOnce(&W, &mut List<'_, W::Entry, W::State, W::Form>, &mut W::Entry) -> Admission,
    ) -> Poll<(Outcome, W::Entry)> {
        if W::Lock::CHEAP {
            return self.poll_locked(waker, admit);
        }
        if self.is_idle() && !self.as_mut().join(Some(waker.clone()), admit) {
            return Poll::Pending;
        }
        let mut phase = self.waiter.phase();
        if phase == QUEUED {
            self.as_ref().refresh(waker);
            phase = self.waiter.phase();
        }
        let waiter = self.project().waiter.into_ref().get_ref();
        let Some(outcome) = Outcome::from_phase(phase) else { return Poll::Pending };
        waiter.set_stage(Stage::Done);
        // SAFETY: resolved, hence not linked (Q2).
        Poll::Ready((outcome, unsafe { waiter.entry() }))
    }

    /// As [`poll`](Self::poll), in less code: all under the lock, whatever there is to do.
    #[inline]
    fn poll_locked(
        self: Pin<&mut Self>,
        waker: &Waker,
        admit: impl FnOnce(&W, &mut List<'_, W::Entry, W::State, W::Form>, &mut W::Entry) -> Admission,
    ) -> Poll<(Outcome, W::Entry)> {
        let this = self.into_ref().get_ref();
        let (handle, waiter): (&W, _) = (&this.handle, &this.waiter);
        let mut spare = Some(waker.clone());
        let phase = handle.queue().with(|list| {
            if waiter.stage() == Stage::Idle {
                waiter.set_stage(Stage::Waiting);
                // SAFETY: the owner, and not linked (Q2). The waiter is pinned, for `self` was.
                unsafe {
                    waiter.put_waker(None);
                    this.enter(handle, list, waiter.entry(), admit);
                }
            }
            let phase = waiter.phase_locked();
            if phase == QUEUED {
                // SAFETY: the owner, linked with the lock held (Q1), not resolved (Q4).
                spare = unsafe { waiter.replace_waker(spare.take()) };
            }
            phase
        });
        drop(spare);
        let Some(outcome) = Outcome::from_phase(phase) else { return Poll::Pending };
        waiter.set_stage(Stage::Done);
        // SAFETY: resolved, hence not linked (Q2).
        Poll::Ready((outcome, unsafe { waiter.entry() }))
    }

    /// Begins waiting, with nobody to wake yet if `waker` is `None`. Does nothing unless idle.
    ///
    /// Returns whether there is an outcome already.
    #[inline]
    pub(crate) fn join(
        self: Pin<&mut Self>,
        waker: Option<Waker>,
        admit: impl FnOnce(&W, &mut List<'_, W::Entry, W::State, W::Form>, &mut W::Entry) -> Admission,
    ) -> bool {
        if !self.is_idle() {
            return false;
        }
        let this = self.into_ref().get_ref();
        let handle: &W = &this.handle;
        // SAFETY: the owner, and not linked (Q2).
        unsafe { this.waiter.put_waker(waker) };
        this.waiter.set_stage(Stage::Waiting);
        // SAFETY: the owner, and not linked (Q2). The waiter is pinned, for `self` was.
        let now = handle.queue().with(|list| unsafe { this.enter(handle, list, this.waiter.entry(), admit) });
        if now {
            // SAFETY: the owner, not linked (Q2), and not resolved by anyone else.
            drop(unsafe { this.waiter.replace_waker(None) });
        }
        now
    }

    /// Lets `admit` decide about the waiter, with the lock held. Returns whether it need not wait; then its waker is the
    /// caller's to take.
    ///
    /// # Safety
    ///
    /// `self` is pinned and the wait is under way, but the waiter is not linked. `list` is that of the handle.
    #[inline]
    unsafe fn enter(
        &self,
        handle: &W,
        list: &mut List<'_, W::Entry, W::State, W::Form>,
        mut entry: W::Entry,
        admit: impl FnOnce(&W, &mut List<'_, W::Entry, W::State, W::Form>, &mut W::Entry) -> Admission,
    ) -> bool {
        let waiter = &self.waiter;
        let admission = admit(handle, list, &mut entry);
        // SAFETY: the owner, and not linked (Q2).
        unsafe { waiter.set_entry(entry) };
        match admission {
            Admission::Queue => {
                let newcomer = (entry, waiter.rank());
                // SAFETY: pinned and not linked; drop and `cancel` unlink it, and the handle, which leads to this queue,
                // stays until then (Q3). The closure looks at linked waiters with the lock held.
                unsafe {
                    list.link(NonNull::from(waiter), |queued| W::overtakes(newcomer, (queued.entry(), queued.rank())));
                }
                false
            }
            Admission::Now(outcome) => {
                waiter.set_phase(outcome.phase());
                true
            }
        }
    }

    /// Stores a newer waker if it is another task's.
    fn refresh(self: Pin<&Self>, waker: &Waker) {
        let waiter = &self.get_ref().waiter;
        // SAFETY: the owner (Q4).
        if unsafe { waiter.wakes_same(waker) } {
            return;
        }
        let handle: &W = &self.get_ref().handle;
        let mut spare = Some(waker.clone());
        handle.queue().with(|_| {
            if waiter.phase() == QUEUED {
                // SAFETY: the owner, linked with the lock held (Q1), not resolved (Q4).
                spare = unsafe { waiter.replace_waker(spare.take()) };
            }
        });
        drop(spare);
    }

    /// Ends the wait wherever it is, as dropping does, and makes it idle again.
    #[inline(never)]
    pub(crate) fn cancel(self: Pin<&mut Self>) {
        let this = self.project();
        let waiter = this.waiter.into_ref().get_ref();
        let under_way = waiter.stage() == Stage::Waiting;
        waiter.set_stage(Stage::Idle);
        if !under_way {
            return;
        }
        let handle: &W = this.handle;
        let mut waker = None;
        let mut serve_on = false;
        let mut phase = if W::Lock::CHEAP { QUEUED } else { waiter.phase() };
        if phase == QUEUED {
            phase = handle.queue().with(|list| {
                let phase = waiter.phase_locked();
                if phase == QUEUED {
                    let here = NonNull::from(waiter);
                    let was_first = list.is_front(here);
                    // SAFETY: linked (Q2), in this queue (Q3), with the lock held, by its owner, not resolved.
                    waker = unsafe {
                        list.unlink(here);
                        waiter.replace_waker(None)
                    };
                    // Nobody but the first keeps others waiting.
                    serve_on = was_first && handle.left(list);
                }
                phase
            });
        }
        if serve_on {
            handle.serve_on();
        }
        drop(waker);
        if let Some(outcome) = Outcome::from_phase(phase) {
            // SAFETY: resolved, hence not linked (Q2).
            handle.unclaimed(outcome, unsafe { waiter.entry() });
        }
    }

    /// Makes the wait ask for `entry` instead, wherever it is.
    ///
    /// If it is queued, `admit` decides about it anew, and it keeps its waker, which is woken if it need not wait any longer;
    /// its leaving the old place lets nobody else go on. Otherwise this is [`restart`](Self::restart).
    pub(crate) fn requeue(
        self: Pin<&mut Self>,
        entry: W::Entry,
        admit: impl FnOnce(&W, &mut List<'_, W::Entry, W::State, W::Form>, &mut W::Entry) -> Admission,
    ) {
        let this = self.as_ref().get_ref();
        let waiter = &this.waiter;
        if waiter.stage() != Stage::Waiting || waiter.phase() != QUEUED {
            return self.restart(None, entry);
        }
        let handle: &W = &this.handle;
        let mut woken = None;
        let requeued = handle.queue().with(|list| {
            if waiter.phase() != QUEUED {
                return false;
            }
            // SAFETY: linked (Q2), in this queue (Q3), with the lock held, by its owner. After that it is not linked, and
            // it is pinned, for `self` is.
            unsafe {
                list.unlink(NonNull::from(waiter));
                if this.enter(handle, list, entry, admit) {
                    woken = waiter.replace_waker(None);
                }
            }
            true
        });
        if let Some(waker) = woken {
            waker.wake();
        }
        if !requeued {
            self.restart(None, entry);
        }
    }

    /// Cancels the wait and asks for `entry` at the next poll, of `handle` if one is given.
    pub(crate) fn restart(mut self: Pin<&mut Self>, handle: Option<H>, entry: W::Entry) {
        self.as_mut().cancel();
        let this = self.project();
        if let Some(handle) = handle {
            *this.handle = handle;
        }
        // SAFETY: the owner, and not linked (Q2).
        unsafe { this.waiter.set_entry(entry) };
        this.waiter.set_stage(Stage::Idle);
    }
}

impl<H: Deref<Target = W>, W: Waitable> fmt::Debug for Waiting<H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.waiter.stage() {
            Stage::Idle => "idle",
            Stage::Waiting if self.waiter.phase() == QUEUED => "queued",
            Stage::Waiting => "resolved",
            Stage::Done => "done",
        })
    }
}
