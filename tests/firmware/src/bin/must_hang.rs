//! A wait that nobody ends. The harness has to see a failure, and not wait for ever.
#![no_std]
#![no_main]

use tollgate::Semaphore;

static PERMITS: Semaphore = Semaphore::new(0);

#[embassy_executor::task]
async fn waits() {
    let _permit = PERMITS.acquire().await;
    firmware::pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::run(|spawner| spawner.spawn(waits().unwrap()))
}
