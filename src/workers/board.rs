//! Where workers and results meet: places to work in, and what was produced in them and is not handed out yet.
//!
//! # Rules
//!
//! * **W1** A *place* is a permit of `places`. A worker takes one before it takes an item. With the item's report the place
//!   goes over to the results, which give it back as they hand the output out. So there are never more items taken and
//!   not handed out than the window has places.
//! * **W2** Each item that was taken is reported once: with its output, or as lost, if its future panicked or was dropped.
//! * **W3** The end: `places` is closed, so no further item is taken, and all places are back, so none is under way. It is
//!   closed by the end of the source, by the last worker that leaves, and by the results.
//! * **W4** Whoever makes one of the two true, adds a first report, or adds the one that the reader waits for in order, wakes
//!   the reader after it; the reader looks once more after it has registered.
//! * **W5** The *turn* is the only permit of `turn`. Who has it has the source for itself. So at most one worker waits for an
//!   item, and a notice for it needs one waker.
//! * **W6** A worker that wakes the next one returns to its executor before it works. An executor may run whom it woke on its
//!   thread and on no other, tokio does, and its work may take long or block.
//!
//! # What tells whom to stop
//!
//! ```text
//!   waits for    is told by
//!   a place      the close of `places`
//!   its turn     the close of `turn`
//!   an item      `taker`
//!   its future   `quit`, and only if the results are gone
//! ```

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::task::{Context, Poll};

use crate::cancel::{CancelledOwned, OwnedCancellationToken};
use crate::semaphore::{AcquireOwned, Semaphore};
use crate::sync::{AtomicUsize, AtomicWaker, DefaultLock, Ordering, hold_panic, resume_panic};
use crate::wait::queue::Queue;

/// An item's number in the order of the input, and its output unless that was lost.
pub type Report<T> = (usize, Option<T>);

pub struct Board<T> {
    /// Only its lock and state are used; nobody waits in it.
    done: Queue<(), DefaultLock, Done<T>>,
    places: Arc<Semaphore>,
    turn: Arc<Semaphore>,
    /// Of the task that reads the results.
    reader: AtomicWaker,
    /// Of the worker that waits for an item.
    taker: AtomicWaker,
    workers: AtomicUsize,
    /// Cancelled when the results are gone.
    quit: OwnedCancellationToken,
}

struct Done<T> {
    reports: VecDeque<Report<T>>,
    /// The item that the reader waits for, if any other is of no use to it.
    awaited: Option<usize>,
}

// === impl Board ===

impl<T> Board<T> {
    pub fn new(workers: usize, window: usize) -> Self {
        Self {
            done: Queue::with_state(Done { reports: VecDeque::with_capacity(window), awaited: None }),
            places: Arc::new(Semaphore::new(window)),
            turn: Arc::new(Semaphore::new(1)),
            reader: AtomicWaker::new(),
            taker: AtomicWaker::new(),
            workers: AtomicUsize::new(workers),
            quit: OwnedCancellationToken::new(),
        }
    }

    // --- the workers' side ---

    /// Takes a place if there is one and nobody waits for one.
    pub fn try_place(&self) -> bool {
        self.places.try_acquire().map(|place| place.forget()).is_ok()
    }

    /// Waits for a place. What it gives is to be forgotten: the place goes on with the item.
    pub fn place(&self) -> AcquireOwned {
        self.places.clone().acquire_owned()
    }

    /// Gives a place back that no item was taken for.
    pub fn unused(&self) {
        self.places.add_permits(1);
        // The close and the count are one word, so whoever closes after this sees the place, and wakes too (W4).
        if self.is_closed() {
            self.reader.wake();
        }
    }

    /// Takes the turn if it is free and nobody waits for it.
    pub fn try_turn(&self) -> bool {
        self.turn.try_acquire().map(|turn| turn.forget()).is_ok()
    }

    /// Waits for the turn. What it gives is to be forgotten: the turn ends with `turn_over`.
    pub fn turn(&self) -> AcquireOwned {
        self.turn.clone().acquire_owned()
    }

    /// The next one has the turn. True if someone was there to take it, and has to run before the caller works (W6).
    #[must_use = "who was woken may not run before the caller lets it"]
    pub fn turn_over(&self) -> bool {
        self.turn.add_permits(1);
        // Not a look at the waiters before: one that comes in between would be missed.
        self.turn.available_permits() == 0
    }

    /// Whoever has the turn is told here when no further item is to be taken. It looks once more after this.
    pub fn register_taker(&self, cx: &mut Context<'_>) {
        self.taker.register(cx.waker());
    }

    /// Whoever had the turn waits no more.
    pub fn forget_taker(&self) {
        drop(self.taker.take());
    }

    /// Reports an item (W2). What nobody will read is dropped, here and not under the lock.
    pub fn report(&self, item: usize, output: Option<T>) {
        let mut report = Some((item, output));
        let due = self.done.with(|list| {
            let done = &mut *list.state;
            // `abandon` takes this lock after it has cancelled: what comes before that it takes along, what comes after is
            // seen here.
            if self.is_abandoned() {
                return false;
            }
            let due = done.awaited.map_or(done.reports.is_empty(), |awaited| awaited == item);
            // No allocation: there is room for as many as there are places (W1).
            done.reports.extend(report.take());
            due
        });
        if due {
            self.reader.wake();
        }
    }

    /// A worker has gone, and so has what it had.
    pub fn leave(&self) {
        // ORDERING: AcqRel, so that the last to leave comes after what the others did.
        if self.workers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.places.close();
        }
        // Also if others are left: a wait for a place may have ended with one (W4).
        self.reader.wake();
    }

    /// Whether no further item is to be taken.
    pub fn is_closed(&self) -> bool {
        self.places.is_closed()
    }

    /// Whether the results are gone.
    pub fn is_abandoned(&self) -> bool {
        self.quit.is_cancelled()
    }

    /// Waits until the results are gone.
    pub fn abandoned(&self) -> CancelledOwned {
        self.quit.clone().cancelled_owned()
    }

    // --- both sides ---

    /// No further item is to be taken. All are told, even if a waker panics.
    pub fn close(&self) {
        let told = [
            hold_panic(|| self.places.close()),
            hold_panic(|| self.turn.close()),
            hold_panic(|| self.taker.wake()),
            hold_panic(|| self.reader.wake()),
        ];
        told.into_iter().filter_map(Result::err).for_each(resume_panic);
    }

    pub fn workers(&self) -> usize {
        // ORDERING: Relaxed; a number to look at.
        self.workers.load(Ordering::Relaxed)
    }

    // --- the results' side ---

    /// Waits for reports and moves them into `reports`, which is empty; for that of the item `awaited`, if there is one. False
    /// at the end (W3), of a window of this size.
    pub fn poll(
        &self,
        cx: &mut Context<'_>,
        reports: &mut VecDeque<Report<T>>,
        window: usize,
        awaited: Option<usize>,
    ) -> Poll<bool> {
        if let Some(more) = self.look(reports, window, awaited) {
            return Poll::Ready(more);
        }
        self.reader.register(cx.waker());
        self.look(reports, window, awaited).map_or(Poll::Pending, Poll::Ready)
    }

    fn look(&self, reports: &mut VecDeque<Report<T>>, window: usize, awaited: Option<usize>) -> Option<bool> {
        self.done.with(|done| {
            core::mem::swap(&mut done.state.reports, reports);
            done.state.awaited = awaited;
        });
        if !reports.is_empty() {
            return Some(true);
        }
        // In this order: after the close, places only come back. Reports keep theirs, so none is left then.
        (self.is_closed() && self.places.available_permits() == window).then_some(false)
    }

    /// Gives the place back of an output that is handed out, or of an item that was lost.
    pub fn handed_out(&self) {
        self.places.add_permits(1);
    }

    /// Changes the number of places from `window` to `new`.
    pub fn resize(&self, window: usize, new: usize) {
        let mut room = VecDeque::with_capacity(new.max(window));
        self.done.with(|done| {
            room.extend(done.state.reports.drain(..));
            core::mem::swap(&mut done.state.reports, &mut room);
        });
        match new.checked_sub(window) {
            Some(more) => self.places.add_permits(more),
            None => self.places.reduce_permits(window - new),
        }
    }

    /// The results go. Workers drop what they do, and what they made is returned.
    pub fn abandon(&self) -> VecDeque<Report<T>> {
        let told = hold_panic(|| self.quit.cancel());
        let reports = self.done.with(|done| core::mem::take(&mut done.state.reports));
        drop(self.reader.take());
        self.close();
        told.map_or_else(resume_panic, |()| {});
        reports
    }
}
