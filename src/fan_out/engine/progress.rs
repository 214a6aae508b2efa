//! Work without handing out: what a poll does while the consumer is busy with something else.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use super::{Engine, MOST_STEPS, Policy, plan};
use crate::fan_out::Launch;
use crate::fan_out::slots::{Bed, Entry};

impl<I, F, B, O> Engine<B, O>
where
    F: Future,
    B: Bed<Entry = Entry<I, F>>,
    O: Policy,
{
    /// One poll that takes, starts and polls as `poll_next` does, and keeps all outputs.
    ///
    /// Ready when nothing is left to do before an output is handed out.
    pub fn poll_progress<St, M>(
        mut self: Pin<&mut Self>,
        mut source: Pin<&mut St>,
        launch: &mut M,
        cx: &mut Context<'_>,
    ) -> Poll<()>
    where
        St: Stream<Item = I>,
        M: Launch<I, Future = F>,
    {
        *self.as_mut().project().begun = true;
        self.as_mut().project().slots.begin_poll();
        let mut steps = MOST_STEPS;
        let mut asked = false;
        while steps > 0 {
            let woken = self.as_mut().project().slots.next_woken();
            if let Some(number) = woken {
                steps -= 1;
                self.as_mut().poll_slot(number, cx.waker());
            }
            while steps > 0 {
                if self.can_start_waiting() {
                    self.as_mut().start_waiting(launch, cx.waker());
                } else if asked || !self.can_take() {
                    break;
                } else {
                    match source.as_mut().poll_next(cx) {
                        Poll::Ready(Some(item)) => self.as_mut().take_to_wait(item, source.as_ref().get_ref()),
                        Poll::Ready(None) => self.close(),
                        Poll::Pending => asked = true,
                    }
                }
                steps -= 1;
            }
            if steps > 0 && woken.is_none() && self.as_mut().project().slots.sleep(cx.waker()) {
                let is_idle = self.slots.running() == 0 && !self.can_take();
                return if is_idle { Poll::Ready(()) } else { Poll::Pending };
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Puts an item where it waits for its turn, which may be now.
    fn take_to_wait<St: Stream>(self: Pin<&mut Self>, item: I, source: &St) {
        let mut this = self.project();
        let window = *this.window;
        let number = this.slots.as_mut().insert_item(item, || plan(window, source.size_hint()));
        this.order.taken(&mut this.slots, number, false);
    }
}
