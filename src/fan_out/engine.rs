//! The engine: takes from the source, starts, polls what was woken, hands out. Every decision, and no memory of its own.

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never};
use super::order::{NIL, Policy};
use super::schedule::{Alarm, Schedule};
use super::slots::{Bed, Entry, Plan, Slots, Weight};
use crate::sync::{AtomicUsize, Ordering};

mod overdue;
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

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What runs weighs at most this.
    pub limit: usize,
    /// Items that are taken and not given out, at most.
    pub window: usize,
    /// Whether to take items although one that could start waits for something else.
    pub ahead: bool,
}

pin_project! {
    pub struct Engine<B, O, D> {
        #[pin]
        slots: Slots<B>,
        order: O,
        schedule: D,
        settings: Settings,
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

/// Who has said, in this poll, that there is nothing for now.
#[derive(Default)]
struct Asked {
    source: bool,
    permit: bool,
    /// The source was not asked, because there are no permits at all.
    paused: bool,
    /// There will be no permit again.
    never: bool,
}

impl Asked {
    /// A future has finished, and may have had the permit that is waited for.
    #[inline]
    fn again(&mut self) {
        self.permit = false;
        if mem::take(&mut self.paused) {
            self.source = false;
        }
    }

    /// Gives back a permit that nothing is going to start with, and leaves the queue unless something waits for it.
    #[inline]
    fn rest<I, M: Launch<I>>(&self, launch: Pin<&mut M>) {
        if M::ADMITS && !self.permit {
            launch.rest();
        }
    }
}

impl<B, O: Policy, D: Schedule> Engine<B, O, D> {
    pub fn new(bed: B, settings: Settings) -> Self {
        let window = settings.window.min(MOST);
        Self {
            slots: Slots::new(bed),
            order: O::new(),
            schedule: D::NEW,
            settings: Settings { window, ..settings },
            room: AtomicUsize::new(window),
            begun: false,
            passed: false,
            budget: window.saturating_mul(STEPS_A_SLOT).min(MOST_STEPS),
        }
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    pub fn into_bed(self) -> B {
        self.slots.into_bed()
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

impl<I, F, W, B, O, D> Engine<B, O, D>
where
    F: Future,
    W: Weight,
    B: Bed<Entry = Entry<I, F, W, O::Note, D::Stamp>>,
    O: Policy,
    D: Schedule,
{
    /// One poll.
    ///
    /// Places that are free are filled first, so that as much as possible is running when an output is handed out. What
    /// finishes is handed out at once, without going through its slot, if nothing came before it and its place cannot be
    /// filled meanwhile anyway.
    ///
    /// Whatever is always ready keeps nothing else from happening: a woken future has its turn before places are filled
    /// when outputs wait, and after an item that was ready when it started.
    ///
    /// It is long because it is the hot path: what a poll knows (`asked`, `spent`, `full`) stays in registers.
    #[inline]
    pub fn poll_next<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        mut launch: Pin<&mut M>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<F::Output>>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let mut this = self.as_mut().project();
        *this.begun = true;
        this.slots.as_mut().begin_poll();
        let mut spent = 0;
        let mut asked = Asked::default();
        if mem::take(this.passed) | self.has_output() && !self.slots.is_quiet() {
            spent += 1;
            self.as_mut().poll_first(cx.waker());
        }
        spent += self.as_mut().cut_short_overdue(launch.as_mut(), cx.waker());
        loop {
            if let Some(output) = self.as_mut().fill(source.as_mut(), launch.as_mut(), cx, &mut asked, &mut spent) {
                *self.project().passed = true;
                return Poll::Ready(Some(output));
            }
            if let Some(output) = self.as_mut().hand_out() {
                return Poll::Ready(Some(output));
            }
            // What finishes is handed out at once if its place can be filled only after that.
            let full = self.order.waiting() == NIL && (asked.source || !self.can_take::<M>());
            let front = self.order.front();
            loop {
                if spent >= self.budget {
                    cx.waker().wake_by_ref();
                    asked.rest(launch);
                    return Poll::Pending;
                }
                let Some(number) = self.as_mut().project().slots.next_woken() else {
                    if self.is_over() {
                        self.as_mut().disarm(launch);
                        return Poll::Ready(None);
                    }
                    if self.as_mut().poll_alarm(launch.as_mut(), cx).is_ready() {
                        spent += self.as_mut().cut_short_overdue(launch.as_mut(), cx.waker());
                        asked.again();
                        break;
                    }
                    if self.as_mut().project().slots.sleep(cx.waker()) {
                        asked.rest(launch);
                        return Poll::Pending;
                    }
                    continue;
                };
                spent += 1;
                if !(full && O::may_pass(front, number)) {
                    if self.as_mut().poll_slot(number, cx.waker()) {
                        asked.again();
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

    /// Whether there is room for something of this weight.
    #[inline]
    fn fits(&self, weight: W) -> bool {
        // Without weights the count is never above the limit, and the same as the difference being at least one.
        if W::WEIGHED {
            weight.get() <= self.settings.limit - self.slots.load()
        } else {
            self.slots.running() < self.settings.limit
        }
    }

    #[inline]
    fn can_start_waiting(&self) -> bool {
        let waiting = self.order.waiting();
        waiting != NIL && self.fits(self.slots.weight(waiting))
    }

    #[inline]
    fn can_take<M: Launch<I>>(&self) -> bool {
        // Where items wait for nothing but a place to run in, those that wait were taken ahead on purpose.
        let no_further = W::WEIGHED || M::ADMITS;
        self.slots.taken() < self.room() && (!no_further || self.settings.ahead || self.order.waiting() == NIL)
    }

    /// Asks to let an item in that would start otherwise.
    #[inline]
    fn admits<M>(self: Pin<&mut Self>, launch: Pin<&mut M>, cx: &mut Context<'_>, asked: &mut Asked) -> bool
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        if !M::ADMITS {
            return true;
        }
        if asked.permit {
            return false;
        }
        match launch.poll_admit(cx) {
            Poll::Ready(Ok(())) => return true,
            Poll::Ready(Err(Never)) => {
                asked.never = true;
                self.drop_waiting();
            }
            Poll::Pending => {}
        }
        asked.permit = true;
        false
    }

    /// Nothing will be let in any more: takes nothing more, and drops the items that wait.
    #[cold]
    fn drop_waiting(mut self: Pin<&mut Self>) {
        self.close();
        while self.order.waiting() != NIL {
            let number = self.order.waiting();
            let mut this = self.as_mut().project();
            this.order.started(&mut this.slots);
            let item = this.slots.begin(number);
            let guard = Settle { engine: self.as_mut(), number, starts: None };
            drop(item);
            drop(guard);
        }
    }

    /// Starts what waits and takes from the source, until there is no place or nothing to be had, or until an item is
    /// ready when it starts and nothing is before it.
    #[inline(always)]
    fn fill<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        mut launch: Pin<&mut M>,
        cx: &mut Context<'_>,
        asked: &mut Asked,
        spent: &mut usize,
    ) -> Option<F::Output>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        loop {
            if self.can_start_waiting() && self.as_mut().admits(launch.as_mut(), cx, asked) {
                *spent += 1;
                self.as_mut().start_waiting(launch.as_mut(), cx.waker());
            } else if asked.source || !self.can_take::<M>() {
                return None;
            } else if let Some(item) = self.as_mut().take(source.as_mut(), launch.as_mut(), cx, asked) {
                *spent += 2;
                let weight = launch.as_mut().weight(&item).at_most(self.settings.limit);
                let this = self.as_mut().project();
                let place = this.order.place(&this.slots, || launch.as_mut().key(&item));
                let no_further = W::WEIGHED || M::ADMITS;
                let is_next = O::is_free(&place) && (!no_further || self.order.waiting() == NIL);
                if is_next && self.fits(weight) && self.as_mut().admits(launch.as_mut(), cx, asked) {
                    let future = launch.as_mut().launch(item);
                    let hint = source.as_ref().get_ref();
                    let item = (future, weight, place);
                    let started = self.as_mut().start(launch.as_mut(), item, hint, cx.waker());
                    if started.is_some() {
                        return started;
                    }
                } else {
                    self.as_mut().keep_waiting(item, weight, place, source.as_ref().get_ref());
                    if M::ADMITS && asked.never {
                        self.as_mut().drop_waiting();
                    }
                }
            }
            if *spent >= self.budget || *spent >= STEPS_BESIDE_AN_ITEM && self.has_output() {
                return None;
            }
        }
    }

    /// Takes an item from the source, if there is one to be had.
    #[inline]
    fn take<St, M>(
        mut self: Pin<&mut Self>,
        source: Pin<&mut St>,
        mut launch: Pin<&mut M>,
        cx: &mut Context<'_>,
        asked: &mut Asked,
    ) -> Option<I>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        if M::STOPS && launch.as_mut().poll_stop(cx).is_ready() {
            self.close();
            return None;
        }
        let paused = M::ADMITS && self.order.waiting() == NIL && launch.is_paused();
        // It may have ended before anybody waited for that.
        if paused && !self.as_mut().admits(launch.as_mut(), cx, asked) && launch.is_paused() {
            (asked.source, asked.paused) = (true, true);
            return None;
        }
        match source.poll_next(cx) {
            Poll::Ready(Some(item)) => return Some(item),
            Poll::Ready(None) => self.close(),
            Poll::Pending => asked.source = true,
        }
        None
    }

    /// Puts an item where it waits for its turn.
    #[inline]
    fn keep_waiting<St: Stream>(self: Pin<&mut Self>, item: I, weight: W, place: O::Place, source: &St) {
        let mut this = self.project();
        let window = this.settings.window;
        let number = this.slots.as_mut().insert_item(item, weight, || plan(window, source.size_hint()));
        this.order.taken(&mut this.slots, number, place, false);
    }

    /// Starts a future that was just made: its first poll is now. Its output is handed out if nothing is before it.
    #[inline(always)]
    fn start<St, M>(
        mut self: Pin<&mut Self>,
        launch: Pin<&mut M>,
        (future, weight, place): (F, W, O::Place),
        source: &St,
        task: &Waker,
    ) -> Option<F::Output>
    where
        St: Stream,
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let this = self.as_mut().project();
        let window = this.settings.window;
        let number = this.slots.reserve(|| plan(window, source.size_hint()));
        let mut guard = Settle { engine: self.as_mut(), number, starts: Some(place) };
        let output = guard.engine.as_mut().project().slots.start(future, weight, task);
        let place = guard.starts.take();
        mem::forget(guard);
        let Some(place) = place else { unreachable!("the place of what starts") };
        let mut this = self.as_mut().project();
        match output {
            None => {
                this.order.taken(&mut this.slots, number, place, true);
                self.set_deadline(number, launch);
            }
            Some(output) if this.order.front() != NIL => {
                this.slots.as_mut().keep(output);
                this.order.taken(&mut this.slots, number, place, true);
                this.order.finished(&mut this.slots, number);
            }
            Some(output) => return Some(output),
        }
        None
    }

    /// Starts the first item that waits.
    fn start_waiting<M>(mut self: Pin<&mut Self>, mut launch: Pin<&mut M>, task: &Waker)
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let number = self.order.waiting();
        let mut this = self.as_mut().project();
        this.order.started(&mut this.slots);
        let item = this.slots.begin(number);
        let guard = Settle { engine: self.as_mut(), number, starts: None };
        let future = launch.as_mut().launch(item);
        mem::forget(guard);
        self.as_mut().project().slots.run(number, future);
        if !self.as_mut().poll_slot(number, task) {
            self.set_deadline(number, launch);
        }
    }

    /// Polls the future in a slot, if there is one, and says whether it finished.
    fn poll_slot(mut self: Pin<&mut Self>, number: u32, task: &Waker) -> bool {
        let mut guard = Settle { engine: self.as_mut(), number, starts: None };
        let finished = guard.engine.as_mut().project().slots.poll(number, task);
        mem::forget(guard);
        if finished {
            let mut this = self.project();
            this.schedule.remove(&mut this.slots, number);
            this.order.finished(&mut this.slots, number);
        }
        finished
    }

    /// Polls the future in a slot, if there is one, and hands out its output.
    #[inline(always)]
    fn poll_out(mut self: Pin<&mut Self>, number: u32, task: &Waker) -> Option<F::Output> {
        let mut guard = Settle { engine: self.as_mut(), number, starts: None };
        let finished = guard.engine.as_mut().project().slots.poll_out(number, task);
        mem::forget(guard);
        let (output, link) = finished?;
        let mut this = self.project();
        this.schedule.remove(&mut this.slots, number);
        this.order.passed(number, link);
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
    /// For a slot that is reserved and not taken yet: where its item belongs.
    starts: Option<E::Place>,
}

trait Settles {
    type Place;

    fn settle(self: Pin<&mut Self>, number: u32, starts: Option<Self::Place>);
}

impl<E: Settles> Drop for Settle<'_, E> {
    fn drop(&mut self) {
        self.engine.as_mut().settle(self.number, self.starts.take());
    }
}

impl<I, F, W, B, O, D> Settles for Engine<B, O, D>
where
    F: Future,
    W: Weight,
    B: Bed<Entry = Entry<I, F, W, O::Note, D::Stamp>>,
    O: Policy,
    D: Schedule,
{
    type Place = O::Place;

    #[cold]
    fn settle(self: Pin<&mut Self>, number: u32, starts: Option<O::Place>) {
        let mut this = self.project();
        if let Some(place) = starts {
            if this.slots.as_mut().settle_start() {
                this.order.taken(&mut this.slots, number, place, true);
                this.order.finished(&mut this.slots, number);
            }
            return;
        }
        this.schedule.remove(&mut this.slots, number);
        if this.slots.as_mut().settle(number) {
            this.order.finished(&mut this.slots, number);
        } else {
            this.order.gone(&mut this.slots, number);
            this.slots.release(number);
        }
    }
}
