//! A task whose assertion does not hold, after the interrupt has woken it. The harness has to see a failure.
#![no_std]
#![no_main]

use firmware::pass;
use tollgate::Semaphore;

static PERMITS: Semaphore = Semaphore::new(0);

#[embassy_executor::task]
async fn wrong() {
    PERMITS.acquire().await.unwrap().forget();
    assert_eq!(PERMITS.available_permits(), 12_345, "this must fail");
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(|now| {
        if now == 3 {
            PERMITS.add_permits(1);
        }
    });
    firmware::run(|spawner| spawner.spawn(wrong().unwrap()))
}
