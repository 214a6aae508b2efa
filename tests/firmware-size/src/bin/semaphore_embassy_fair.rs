//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::semaphore::{FairSemaphore, Semaphore};
use firmware_size::job;

static GATE: FairSemaphore<CriticalSectionRawMutex, 2> = FairSemaphore::new(1);

#[embassy_executor::task(pool_size = 2)]
async fn worker(id: u32) {
    loop {
        let _permit = GATE.acquire(1).await;
        job(id).await;
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| {
        for id in 0..2 {
            spawner.spawn(worker(id).unwrap());
        }
    })
}
