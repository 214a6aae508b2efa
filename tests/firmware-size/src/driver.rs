//! A time driver, for the programs that have time.

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::Mutex;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

struct TimeDriver {
    ticks: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<Queue>>,
}

impl Driver for TimeDriver {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.ticks.borrow(cs).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).schedule_wake(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: TimeDriver = TimeDriver {
    ticks: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

#[cortex_m_rt::exception]
fn SysTick() {
    critical_section::with(|cs| {
        let now = CLOCK.ticks.borrow(cs).get() + 1;
        CLOCK.ticks.borrow(cs).set(now);
        CLOCK.queue.borrow_ref_mut(cs).next_expiration(now);
    });
}
