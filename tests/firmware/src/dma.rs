//! Simulated transfers: begun by a task, completed by the tick interrupt.

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use critical_section::Mutex;

const CHANNELS: usize = 8;

static UNIT: Mutex<RefCell<[Channel; CHANNELS]>> = Mutex::new(RefCell::new([const { Channel::Free }; CHANNELS]));
static POLLS: Mutex<Cell<usize>> = Mutex::new(Cell::new(0));

enum Channel {
    Free,
    Busy { until: u64, waker: Waker },
    Done,
}

/// A transfer that takes so many ticks from its first poll, and has a channel of the unit meanwhile. Its output is `id`.
pub struct Transfer {
    id: usize,
    ticks: u64,
    channel: Option<usize>,
}

/// A transfer that is yet to begin.
pub fn transfer(id: usize, ticks: u64) -> Transfer {
    Transfer { id, ticks, channel: None }
}

/// How many channels are not free.
pub fn busy() -> usize {
    critical_section::with(|cs| UNIT.borrow_ref(cs).iter().filter(|channel| !matches!(channel, Channel::Free)).count())
}

/// How often transfers were polled since this was asked last.
pub fn polls() -> usize {
    critical_section::with(|cs| POLLS.borrow(cs).replace(0))
}

/// The unit's interrupt handler.
pub fn on_tick(now: u64) {
    for channel in 0..CHANNELS {
        let waker = critical_section::with(|cs| {
            let channel = &mut UNIT.borrow_ref_mut(cs)[channel];
            if !matches!(channel, Channel::Busy { until, .. } if *until <= now) {
                return None;
            }
            match core::mem::replace(channel, Channel::Done) {
                Channel::Busy { waker, .. } => Some(waker),
                _ => None,
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Transfer {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let waker = cx.waker().clone();
        let (poll, _drop_outside) = critical_section::with(|cs| {
            POLLS.borrow(cs).set(POLLS.borrow(cs).get() + 1);
            let mut unit = UNIT.borrow_ref_mut(cs);
            let Some(number) = self.channel else {
                let free = unit.iter().position(|channel| matches!(channel, Channel::Free)).expect("a free channel");
                self.channel = Some(free);
                let busy = Channel::Busy { until: crate::now() + self.ticks, waker };
                return (Poll::Pending, core::mem::replace(&mut unit[free], busy));
            };
            let until = match &unit[number] {
                Channel::Busy { until, .. } => *until,
                Channel::Done => {
                    self.channel = None;
                    return (Poll::Ready(self.id), core::mem::replace(&mut unit[number], Channel::Free));
                }
                Channel::Free => panic!("the transfer has lost its channel"),
            };
            (Poll::Pending, core::mem::replace(&mut unit[number], Channel::Busy { until, waker }))
        });
        poll
    }
}

impl Drop for Transfer {
    /// Gives the channel back: a transfer that is dropped is called off.
    fn drop(&mut self) {
        if let Some(channel) = self.channel {
            let _drop_outside =
                critical_section::with(|cs| core::mem::replace(&mut UNIT.borrow_ref_mut(cs)[channel], Channel::Free));
        }
    }
}
