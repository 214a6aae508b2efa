//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use core::array::from_fn;

use embassy_futures::join::join_array;
use firmware_size::{job, note};

#[embassy_executor::task]
async fn worker() {
    loop {
        // Not the same: eight begin together, and the next eight wait for the slowest.
        for first in (0..64).step_by(8) {
            for id in join_array(from_fn::<_, 8, _>(|n| job(first + n as u32))).await {
                note(id);
            }
        }
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
