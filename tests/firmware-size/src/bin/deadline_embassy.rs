//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use embassy_time::{Duration, Timer, with_timeout};
use firmware_size::{job, note};

#[path = "../driver.rs"]
mod driver;

#[embassy_executor::task]
async fn worker() {
    loop {
        if let Ok(id) = with_timeout(Duration::from_millis(10), job(1)).await {
            note(id);
        }
        Timer::after(Duration::from_millis(10)).await;
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
