//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use firmware_size::{job, note};

#[embassy_executor::task]
async fn worker() {
    loop {
        note(job(1).await);
    }
}

fn on_tick(now: u64) {
    note(now as u32);
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
