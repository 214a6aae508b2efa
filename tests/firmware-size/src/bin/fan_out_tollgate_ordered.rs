//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use core::pin::pin;

use firmware_size::{job, note};
use futures_lite::{StreamExt, stream};
use tollgate::FanOutExt;

#[embassy_executor::task]
async fn worker() {
    loop {
        let mut outputs = pin!(stream::iter(0..64).fan_out_inline_with::<8, _, _>(job).ordered());
        while let Some(id) = outputs.next().await {
            note(id);
        }
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
