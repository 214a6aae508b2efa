//! Work without handing out: what a poll does while the consumer is busy with something else.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use super::{Asked, Engine, MOST_STEPS, NIL, Policy};
use crate::fan_out::Launch;
use crate::fan_out::slots::{Bed, Entry, Weight};

impl<I, F, W, B, O> Engine<B, O>
where
    F: Future,
    W: Weight,
    B: Bed<Entry = Entry<I, F, W, O::Note>>,
    O: Policy,
{
    /// One poll that takes, starts and polls as `poll_next` does, and keeps all outputs.
    ///
    /// Ready when nothing is left to do before an output is handed out.
    pub fn poll_progress<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        mut launch: Pin<&mut M>,
        cx: &mut Context<'_>,
    ) -> Poll<()>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F, Weight = W, Key = O::Key>,
    {
        *self.as_mut().project().begun = true;
        self.as_mut().project().slots.begin_poll();
        let mut steps = MOST_STEPS;
        let mut asked = Asked::default();
        while steps > 0 {
            let woken = self.as_mut().project().slots.next_woken();
            if let Some(number) = woken {
                steps -= 1;
                if self.as_mut().poll_slot(number, cx.waker()) {
                    asked.again();
                }
            }
            while steps > 0 {
                steps -= 1;
                if self.can_start_waiting() && self.as_mut().admits(launch.as_mut(), cx, &mut asked) {
                    self.as_mut().start_waiting(launch.as_mut(), cx.waker());
                } else if asked.source || !self.can_take::<M>() {
                    break;
                } else if let Some(item) = self.as_mut().take(source.as_mut(), launch.as_mut(), cx, &mut asked) {
                    let weight = launch.as_mut().weight(&item).at_most(self.settings.limit);
                    let this = self.as_mut().project();
                    let place = this.order.place(&this.slots, || launch.as_mut().key(&item));
                    self.as_mut().keep_waiting(item, weight, place, source.as_ref().get_ref());
                }
            }
            if steps > 0 && woken.is_none() && self.as_mut().project().slots.sleep(cx.waker()) {
                let is_idle = self.slots.running() == 0 && self.order.waiting() == NIL && !self.can_take::<M>();
                asked.rest(launch);
                return if is_idle { Poll::Ready(()) } else { Poll::Pending };
            }
        }
        cx.waker().wake_by_ref();
        asked.rest(launch);
        Poll::Pending
    }
}
