//! Deadlines: what runs for too long is dropped, and its error takes its place.

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::{Engine, Policy, Settle};
use crate::fan_out::Launch;
use crate::fan_out::schedule::{Alarm, Schedule};
use crate::fan_out::slots::{Bed, Entry, Weight};

impl<I, F, W, B, O, D> Engine<B, O, D>
where
    F: Future,
    W: Weight,
    B: Bed<Entry = Entry<I, F, W, O::Note, D::Stamp>>,
    O: Policy,
    D: Schedule,
{
    /// The future in a slot was polled for the first time and is pending. Its time begins, and may be over at once.
    #[inline]
    pub(super) fn set_deadline<M>(mut self: Pin<&mut Self>, number: u32, launch: Pin<&mut M>)
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let Some(alarm) = launch.alarm() else { return };
        match alarm.begin() {
            Ok(Some(at)) => {
                let mut this = self.as_mut().project();
                this.schedule.push(&mut this.slots, number, at);
            }
            Ok(None) => {}
            Err(_) => self.cut_short::<M>(number, &alarm),
        }
    }

    /// Reads the clock, if anything that runs has a deadline, and drops what is past its own. That is polled once more
    /// before: a value that is ready wins. Returns how many those were, which is no more than a poll's budget.
    #[inline]
    pub(super) fn cut_short_overdue<M>(mut self: Pin<&mut Self>, launch: Pin<&mut M>, task: &Waker) -> usize
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let Some(alarm) = launch.alarm() else { return 0 };
        let this = self.as_mut().project();
        if this.schedule.first(&this.slots).is_none() {
            return 0;
        }
        let now = alarm.now();
        for done in 0..self.budget {
            let this = self.as_mut().project();
            match this.schedule.first(&this.slots) {
                Some((number, at)) if at <= now => {
                    if !self.as_mut().poll_slot(number, task) {
                        self.as_mut().cut_short::<M>(number, &alarm);
                    }
                }
                _ => return done,
            }
        }
        self.budget
    }

    /// Prepares for `Pending`: the task will be woken at the first deadline, unless that was reached already.
    #[inline]
    pub(super) fn poll_alarm<M>(self: Pin<&mut Self>, launch: Pin<&mut M>, cx: &mut Context<'_>) -> Poll<()>
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        let Some(alarm) = launch.alarm() else { return Poll::Pending };
        let this = self.project();
        match this.schedule.first(&this.slots) {
            Some((_, at)) => alarm.poll(at, cx),
            None => Poll::Pending,
        }
    }

    /// There will be no deadline any more.
    #[inline]
    pub(super) fn disarm<M>(self: Pin<&mut Self>, launch: Pin<&mut M>)
    where
        M: Launch<I, Future = F, Weight = W, Key = O::Key, Alarm: Alarm<Schedule = D>>,
    {
        if let Some(alarm) = launch.alarm() {
            alarm.disarm();
        }
    }

    #[cold]
    fn cut_short<M>(mut self: Pin<&mut Self>, number: u32, alarm: &M::Alarm)
    where
        M: Launch<I, Future = F>,
    {
        let mut guard = Settle { engine: self.as_mut(), number, starts: None };
        guard.engine.as_mut().project().slots.cut_short(number, M::overdue(alarm));
        mem::forget(guard);
        let mut this = self.project();
        this.schedule.remove(&mut this.slots, number);
        this.order.finished(&mut this.slots, number);
    }
}
