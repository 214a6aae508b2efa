//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use core::time::Duration;

use firmware_size::{job, note};
use tollgate::DeadlineExt;
use tollgate::time::EmbassyTimer;

#[path = "../driver.rs"]
mod driver;

#[embassy_executor::task]
async fn worker() {
    loop {
        if let Ok(id) = job(1).timeout(EmbassyTimer, Duration::from_millis(10)).await {
            note(id);
        }
        embassy_time::Timer::after(embassy_time::Duration::from_millis(10)).await;
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
