//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use embassy_time::{Duration, Timer};
use firmware_size::{job, note};

#[path = "../driver.rs"]
mod driver;

#[embassy_executor::task]
async fn worker() {
    loop {
        note(job(1).await);
        Timer::after(Duration::from_millis(10)).await;
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
