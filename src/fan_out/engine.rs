//! The engine: takes from the source, starts, polls what was woken, hands out. Every decision, and no memory of its own.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Launch;
use super::order::{NIL, Policy};
use super::slots::{Bed, Entry, Plan, Slots};
use crate::sync::{AtomicUsize, Ordering};

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
        // The window, or 0 when nothing more is taken: the source is at its end, or was stopped. Atomic so that stopping
        // needs no pin.
        room: AtomicUsize,
        begun: bool,
        // The last poll handed out an item that was ready when it started.
        passed: bool,
        // Steps in a poll, at most.
        budget: usize,
    }
}

impl<B, O: Policy> Engine<B, O> {
    pub fn new(bed: B, limit: usize, window: usize) -> Self {
        let window = window.min(MOST);
        Self {
            slots: Slots::new(bed),
            order: O::new(),
            limit,
            window,
            room: AtomicUsize::new(window),
            begun: false,
            passed: false,
            budget: window.saturating_mul(STEPS_A_SLOT).min(MOST_STEPS),
        }
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

    /// How many items may be taken at a time.
    #[inline]
    fn room(&self) -> usize {
        // ORDERING: Relaxed. Whoever polls has exclusive access, which carries what was stored before.
        self.room.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn is_closed(&self) -> bool {
        self.room() == 0
    }

    #[inline]
    pub fn close(&self) {
        // ORDERING: Relaxed, as in `room`.
        self.room.store(0, Ordering::Relaxed);
    }

    #[inline]
    pub fn is_over(&self) -> bool {
        self.slots.taken() == 0 && self.is_closed()
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
    /// Places that are free are filled first, so that as much as possible is running when an output is handed out. What
    /// finishes is handed out at once, without going through its slot, if nothing came before it and its place cannot be
    /// filled meanwhile anyway.
    ///
    /// Whatever is always ready keeps nothing else from happening: a woken future has its turn before places are filled
    /// when outputs wait, and after an item that was ready when it started.
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
        let mut this = self.as_mut().project();
        *this.begun = true;
        this.slots.as_mut().begin_poll();
        let mut spent = 0;
        let mut asked = false;
        if core::mem::take(this.passed) | self.has_output() && !self.slots.is_quiet() {
            spent += 1;
            self.as_mut().poll_first(cx.waker());
        }
        loop {
            if let Some(output) = self.as_mut().fill(source.as_mut(), launch, cx, &mut asked, &mut spent) {
                *self.project().passed = true;
                return Poll::Ready(Some(output));
            }
            if let Some(output) = self.as_mut().hand_out() {
                return Poll::Ready(Some(output));
            }
            // What finishes is handed out at once if its place can be filled only after that.
            let full = self.order.waiting() == NIL && (asked || !self.can_take());
            let front = self.order.front();
            loop {
                if spent >= self.budget {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                let Some(number) = self.as_mut().project().slots.next_woken() else {
                    if self.is_over() {
                        return Poll::Ready(None);
                    }
                    if self.as_mut().project().slots.sleep(cx.waker()) {
                        return Poll::Pending;
                    }
                    continue;
                };
                spent += 1;
                if !(full && O::may_pass(front, number)) {
                    if self.as_mut().poll_slot(number, cx.waker()) {
                        break;
                    }
                } else if let Some(output) = self.as_mut().poll_out(number, cx.waker()) {
                    return Poll::Ready(Some(output));
                }
            }
        }
    }

    /// Polls one future that was woken, if there is any, whatever else there is to do.
    #[inline(never)]
    fn poll_first(mut self: Pin<&mut Self>, task: &Waker) {
        if let Some(number) = self.as_mut().project().slots.next_woken() {
            self.poll_slot(number, task);
        }
    }

    #[inline]
    fn can_start_waiting(&self) -> bool {
        self.order.waiting() != NIL && self.slots.running() < self.limit
    }

    #[inline]
    fn can_take(&self) -> bool {
        self.slots.taken() < self.room()
    }

    /// Starts what waits and takes from the source, until there is no place or nothing to be had, or until an item is
    /// ready when it starts and nothing is before it.
    #[inline(always)]
    fn fill<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        launch: &mut M,
        cx: &mut Context<'_>,
        asked: &mut bool,
        spent: &mut usize,
    ) -> Option<F::Output>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F>,
    {
        loop {
            if self.can_start_waiting() {
                *spent += 1;
                self.as_mut().start_waiting(launch, cx.waker());
            } else if *asked || !self.can_take() {
                return None;
            } else {
                let item = match source.as_mut().poll_next(cx) {
                    Poll::Ready(Some(item)) => item,
                    Poll::Ready(None) => {
                        self.close();
                        return None;
                    }
                    Poll::Pending => {
                        *asked = true;
                        return None;
                    }
                };
                *spent += 1;
                if self.slots.running() < self.limit {
                    *spent += 1;
                    let output = self.as_mut().start(launch.launch(item), source.as_ref().get_ref(), cx.waker());
                    if output.is_some() {
                        return output;
                    }
                } else {
                    let mut this = self.as_mut().project();
                    let window = *this.window;
                    let number = this.slots.as_mut().insert_item(item, || plan(window, source.size_hint()));
                    this.order.taken(&mut this.slots, number, false);
                }
            }
            if *spent >= self.budget || *spent >= STEPS_BESIDE_AN_ITEM && self.has_output() {
                return None;
            }
        }
    }

    /// Starts a future that was just made: its first poll is now. Its output is handed out if nothing is before it.
    #[inline(always)]
    fn start<St: Stream>(mut self: Pin<&mut Self>, future: F, source: &St, task: &Waker) -> Option<F::Output> {
        let this = self.as_mut().project();
        let window = *this.window;
        let number = this.slots.reserve(|| plan(window, source.size_hint()));
        let mut guard = Settle { engine: self.as_mut(), number, starts: true };
        let output = guard.engine.as_mut().project().slots.start(future, task);
        core::mem::forget(guard);
        let mut this = self.project();
        match output {
            None => this.order.taken(&mut this.slots, number, true),
            Some(output) if this.order.front() != NIL => {
                this.slots.as_mut().keep(output);
                this.order.taken(&mut this.slots, number, true);
                this.order.finished(&mut this.slots, number);
            }
            Some(output) => return Some(output),
        }
        None
    }

    /// Starts the first item that waits.
    fn start_waiting<M: Launch<I, Future = F>>(mut self: Pin<&mut Self>, launch: &mut M, task: &Waker) {
        let number = self.order.waiting();
        let mut this = self.as_mut().project();
        this.order.started(&mut this.slots);
        let item = this.slots.begin(number);
        let guard = Settle { engine: self.as_mut(), number, starts: false };
        let future = launch.launch(item);
        core::mem::forget(guard);
        self.as_mut().project().slots.run(number, future);
        self.poll_slot(number, task);
    }

    /// Polls the future in a slot, if there is one, and says whether it finished.
    fn poll_slot(mut self: Pin<&mut Self>, number: u32, task: &Waker) -> bool {
        let mut guard = Settle { engine: self.as_mut(), number, starts: false };
        let finished = guard.engine.as_mut().project().slots.poll(number, task);
        core::mem::forget(guard);
        if finished {
            let mut this = self.project();
            this.order.finished(&mut this.slots, number);
        }
        finished
    }

    /// Polls the future in a slot, if there is one, and hands out its output.
    #[inline(always)]
    fn poll_out(mut self: Pin<&mut Self>, number: u32, task: &Waker) -> Option<F::Output> {
        let mut guard = Settle { engine: self.as_mut(), number, starts: false };
        let finished = guard.engine.as_mut().project().slots.poll_out(number, task);
        core::mem::forget(guard);
        let (output, link) = finished?;
        self.project().order.passed(number, link);
        Some(output)
    }

    #[inline]
    fn has_output(&self) -> bool {
        let front = self.order.front();
        front != NIL && self.slots.is_done(front)
    }

    #[inline(always)]
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
    /// The slot is reserved and not taken yet.
    starts: bool,
}

trait Settles {
    fn settle(self: Pin<&mut Self>, number: u32, starts: bool);
}

impl<E: Settles> Drop for Settle<'_, E> {
    fn drop(&mut self) {
        self.engine.as_mut().settle(self.number, self.starts);
    }
}

impl<I, F, B, O> Settles for Engine<B, O>
where
    F: Future,
    B: Bed<Entry = Entry<I, F>>,
    O: Policy,
{
    #[cold]
    fn settle(self: Pin<&mut Self>, number: u32, starts: bool) {
        let mut this = self.project();
        if starts {
            if this.slots.as_mut().settle_start() {
                this.order.taken(&mut this.slots, number, true);
                this.order.finished(&mut this.slots, number);
            }
        } else if this.slots.as_mut().settle(number) {
            this.order.finished(&mut this.slots, number);
        } else {
            this.order.gone(&mut this.slots, number);
            this.slots.release(number);
        }
    }
}
