//! What the programs stand on: an entry, a tick interrupt, an executor, simulated transfers, an exit status.
#![no_std]

use core::cell::{Cell, RefCell};
use core::task::Waker;

use critical_section::Mutex;
use embassy_executor::{Executor, Spawner};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;
use static_cell::StaticCell;

#[cfg_attr(target_arch = "arm", path = "board_cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "board_riscv.rs")]
mod board;
pub mod dma;
#[cfg(feature = "defmt")]
pub mod logged;

pub use board::{entry, instructions, now, start_clock, wait_for_interrupt};
pub use semihosting::{print, println};

static HOOK: Mutex<Cell<Option<fn(u64)>>> = Mutex::new(Cell::new(None));

/// Has `hook` called with the count in each tick interrupt from now on; there are 1000 a second.
pub fn on_tick(hook: fn(u64)) {
    critical_section::with(|cs| HOOK.borrow(cs).set(Some(hook)));
}

/// The interrupt handler of the boards.
pub(crate) fn tick(now: u64) {
    CLOCK.on_tick(now);
    if let Some(hook) = critical_section::with(|cs| HOOK.borrow(cs).get()) {
        hook(now);
    }
}

/// Starts the tick and runs embassy's thread-mode executor for ever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor = EXECUTOR.init(Executor::new());
    start_clock();
    executor.run(init)
}

/// Says that all is well and ends QEMU with status 0.
pub fn pass() -> ! {
    println!("PASS");
    semihosting::process::exit(0)
}

// === embassy's time driver ===

struct TimeDriver {
    queue: Mutex<RefCell<Queue>>,
}

impl TimeDriver {
    fn on_tick(&self, now: u64) {
        critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().next_expiration(now));
    }
}

impl Driver for TimeDriver {
    fn now(&self) -> u64 {
        board::now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Every tick looks at the queue, so there is no alarm to set.
        critical_section::with(|cs| self.queue.borrow(cs).borrow_mut().schedule_wake(at, waker));
    }
}

embassy_time_driver::time_driver_impl!(static CLOCK: TimeDriver = TimeDriver { queue: Mutex::new(RefCell::new(Queue::new())) });
