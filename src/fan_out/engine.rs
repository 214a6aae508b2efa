//! The engine: takes from the source, starts, polls what was woken, hands out. Every decision, and no memory of its own.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Launch;
use super::order::{NIL, Policy};
use super::slots::{Bed, Entry, Plan, Slots};
use crate::sync::{AtomicBool, Ordering};

mod progress;

/// Streams that want no more than this get everything in one allocation; others begin small and grow.
const ONE_ALLOCATION: usize = 16 * 1024;
/// Slots of a stream that may want very many.
const BEGIN_WITH: usize = 64;
/// More cannot be numbered.
const MOST: usize = (u32::MAX >> 1) as usize;

/// Calls into code that we do not know, in one poll: at most this often, and no more than a few times a slot.
const MOST_STEPS: usize = 2048;
const STEPS_A_SLOT: usize = 4;
/// The same while there is an item to hand out.
const STEPS_BESIDE_AN_ITEM: usize = 256;

pin_project! {
    pub struct Engine<B, O> {
        #[pin]
        slots: Slots<B>,
        order: O,
        limit: usize,
        window: usize,
        // Nothing more is taken: the source is at its end, or was stopped. Atomic so that stopping needs no pin.
        closed: AtomicBool,
        begun: bool,
    }
}

/// What one poll may still do.
struct Budget {
    spent: usize,
    most: usize,
}

impl<B, O: Policy> Engine<B, O> {
    pub fn new(bed: B, limit: usize, window: usize) -> Self {
        let window = window.min(MOST);
        Self { slots: Slots::new(bed), order: O::new(), limit, window, closed: AtomicBool::new(false), begun: false }
    }

    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub fn into_bed(self) -> B {
        self.slots.into_bed()
    }

    pub fn window(&self) -> usize {
        self.window
    }

    /// Whether anything was polled.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    pub fn slots(&self) -> &Slots<B> {
        &self.slots
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        // ORDERING: Relaxed. Whoever polls has exclusive access, which carries what was stored before.
        self.closed.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn close(&self) {
        // ORDERING: Relaxed, as in `is_closed`.
        self.closed.store(true, Ordering::Relaxed);
    }

    #[inline]
    pub fn is_over(&self) -> bool {
        self.is_closed() && self.slots.taken() == 0
    }

    pub fn size_hint(&self, source: (usize, Option<usize>)) -> (usize, Option<usize>) {
        let taken = self.slots.taken();
        if self.is_closed() {
            return (taken, Some(taken));
        }
        (source.0.saturating_add(taken), source.1.and_then(|upper| upper.checked_add(taken)))
    }
}

/// What to allocate for the first item of a stream, which is no longer in the hint that its source gives.
#[cold]
fn plan(window: usize, (lower, upper): (usize, Option<usize>)) -> Plan {
    let likely = upper.map_or(window, |upper| upper.saturating_add(1).min(window));
    let first =
        if likely <= ONE_ALLOCATION { likely } else { lower.saturating_add(1).clamp(BEGIN_WITH, ONE_ALLOCATION) };
    Plan { first, most: window }
}

impl<I, F, B, O> Engine<B, O>
where
    F: Future,
    B: Bed<Entry = Entry<I, F>>,
    O: Policy,
{
    /// One poll.
    ///
    /// First one woken future, then the source and what can start, then an item out. So neither of the three can keep
    /// the others from happening, however ready it always is.
    #[inline]
    pub fn poll_next<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        launch: &mut M,
        cx: &mut Context<'_>,
    ) -> Poll<Option<F::Output>>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F>,
    {
        *self.as_mut().project().begun = true;
        self.as_mut().project().slots.begin_poll();
        let mut budget = Budget::new(self.window);
        let mut asked = false;
        loop {
            let woken = self.as_mut().project().slots.next_woken();
            if let Some(number) = woken {
                budget.spend();
                self.as_mut().poll_slot(number, cx.waker());
            }
            if self.can_take() || self.can_start_waiting() {
                self.as_mut().fill(source.as_mut(), launch, cx, &mut asked, &mut budget);
            }
            if let Some(output) = self.as_mut().hand_out() {
                return Poll::Ready(Some(output));
            }
            if self.is_over() {
                return Poll::Ready(None);
            }
            if budget.is_spent() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if woken.is_none() && self.as_mut().project().slots.sleep(cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    #[inline]
    fn can_start_waiting(&self) -> bool {
        self.order.waiting() != NIL && self.slots.running() < self.limit
    }

    #[inline]
    fn can_take(&self) -> bool {
        self.slots.taken() < self.window && !self.is_closed()
    }

    /// Starts what waits and takes from the source, until there is no place or nothing to be had.
    fn fill<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        launch: &mut M,
        cx: &mut Context<'_>,
        asked: &mut bool,
        budget: &mut Budget,
    ) where
        St: Stream<Item = I>,
        M: Launch<I, Future = F>,
    {
        while !(budget.is_spent() || budget.is_late() && self.has_output()) {
            if self.can_start_waiting() {
                budget.spend();
                self.as_mut().start_waiting(launch, cx.waker());
                continue;
            }
            if *asked || !self.can_take() {
                return;
            }
            let item = match source.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => item,
                Poll::Ready(None) => return self.close(),
                Poll::Pending => {
                    *asked = true;
                    return;
                }
            };
            budget.spend();
            if self.slots.running() < self.limit {
                budget.spend();
                self.as_mut().start(launch.launch(item), source.as_ref().get_ref(), cx.waker());
            } else {
                let mut this = self.as_mut().project();
                let window = *this.window;
                let number = this.slots.as_mut().insert_item(item, || plan(window, source.size_hint()));
                this.order.taken(&mut this.slots, number, false);
            }
        }
    }

    /// Starts a future that was just made: its first poll is now.
    #[inline]
    fn start<St: Stream>(mut self: Pin<&mut Self>, future: F, source: &St, task: &Waker) {
        let mut this = self.as_mut().project();
        let window = *this.window;
        let number = this.slots.as_mut().insert_future(future, || plan(window, source.size_hint()));
        this.order.taken(&mut this.slots, number, true);
        self.poll_slot(number, task);
    }

    /// Starts the first item that waits.
    fn start_waiting<M: Launch<I, Future = F>>(mut self: Pin<&mut Self>, launch: &mut M, task: &Waker) {
        let number = self.order.waiting();
        let mut this = self.as_mut().project();
        this.order.started(&mut this.slots);
        let item = this.slots.begin(number);
        let guard = Settle { engine: self.as_mut(), number };
        let future = launch.launch(item);
        core::mem::forget(guard);
        self.as_mut().project().slots.run(number, future);
        self.poll_slot(number, task);
    }

    /// Polls the future in a slot, if there is one.
    #[inline]
    fn poll_slot(mut self: Pin<&mut Self>, number: u32, task: &Waker) {
        let mut guard = Settle { engine: self.as_mut(), number };
        let finished = guard.engine.as_mut().project().slots.poll(number, task);
        core::mem::forget(guard);
        if finished {
            let mut this = self.project();
            this.order.finished(&mut this.slots, number);
        }
    }

    #[inline]
    fn has_output(&self) -> bool {
        let front = self.order.front();
        front != NIL && self.slots.is_done(front)
    }

    #[inline]
    fn hand_out(self: Pin<&mut Self>) -> Option<F::Output> {
        if !self.has_output() {
            return None;
        }
        let mut this = self.project();
        let number = this.order.front();
        this.order.given(&mut this.slots);
        Some(this.slots.take_output(number))
    }
}

/// On the way out of a panic, frees the slot whose future or closure panicked.
struct Settle<'a, E: Settles> {
    engine: Pin<&'a mut E>,
    number: u32,
}

trait Settles {
    fn settle(self: Pin<&mut Self>, number: u32);
}

impl<E: Settles> Drop for Settle<'_, E> {
    fn drop(&mut self) {
        self.engine.as_mut().settle(self.number);
    }
}

impl<I, F, B, O> Settles for Engine<B, O>
where
    F: Future,
    B: Bed<Entry = Entry<I, F>>,
    O: Policy,
{
    #[cold]
    fn settle(self: Pin<&mut Self>, number: u32) {
        let mut this = self.project();
        if this.slots.as_mut().settle(number) {
            this.order.finished(&mut this.slots, number);
        } else {
            this.order.gone(&mut this.slots, number);
            this.slots.release(number);
        }
    }
}

// === impl Budget ===

impl Budget {
    #[inline]
    fn new(window: usize) -> Self {
        Self { spent: 0, most: window.saturating_mul(STEPS_A_SLOT).min(MOST_STEPS) }
    }

    #[inline]
    fn spend(&mut self) {
        self.spent += 1;
    }

    #[inline]
    fn is_spent(&self) -> bool {
        self.spent >= self.most
    }

    #[inline]
    fn is_late(&self) -> bool {
        self.spent >= STEPS_BESIDE_AN_ITEM
    }
}
