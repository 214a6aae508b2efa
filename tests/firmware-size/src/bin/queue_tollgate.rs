//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use core::time::Duration;

use firmware_size::{job, note};
use tollgate::DeadlineExt;
use tollgate::time::TimerQueue;

static TIMERS: TimerQueue = TimerQueue::new();

#[embassy_executor::task]
async fn worker() {
    loop {
        if let Ok(id) = job(1).timeout(&TIMERS, Duration::from_millis(10)).await {
            note(id);
        }
    }
}

fn on_tick(now: u64) {
    note(now as u32);
    TIMERS.advance(now);
}

#[cortex_m_rt::exception]
fn SysTick() {
    static mut TICKS: u64 = 0;
    *TICKS += 1;
    on_tick(*TICKS);
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
