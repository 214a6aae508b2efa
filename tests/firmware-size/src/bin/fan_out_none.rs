//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use firmware_size::{job, note};

#[embassy_executor::task]
async fn worker() {
    loop {
        for id in 0..64 {
            note(job(id).await);
        }
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
