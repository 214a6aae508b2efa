//! What all programs have: an executor, a panic handler without text, and work that is not optimised away.
#![no_std]

use core::pin::Pin;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll};

// For its critical sections.
use cortex_m as _;
use embassy_executor::{Executor, Spawner};
use static_cell::StaticCell;

pub use cortex_m_rt::entry;

static REGISTER: AtomicU32 = AtomicU32::new(0);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Runs embassy's thread-mode executor for ever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    EXECUTOR.init(Executor::new()).run(init)
}

/// Pending once, and then writes its number somewhere.
pub struct Job(pub u32, pub bool);

/// A job that was not polled.
pub fn job(id: u32) -> Job {
    Job(id, false)
}

impl Future for Job {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        if !core::mem::replace(&mut self.1, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        note(self.0);
        Poll::Ready(self.0)
    }
}

/// Writes a number somewhere.
pub fn note(id: u32) {
    REGISTER.store(id, Ordering::Relaxed);
}
