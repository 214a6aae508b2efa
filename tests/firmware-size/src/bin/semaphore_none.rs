//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use firmware_size::job;

#[embassy_executor::task(pool_size = 2)]
async fn worker(id: u32) {
    loop {
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
