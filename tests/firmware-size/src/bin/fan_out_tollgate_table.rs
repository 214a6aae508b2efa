//! See `ci/firmware-size`.
#![no_std]
#![no_main]

use core::pin::pin;

use firmware_size::{job, note};
use futures_lite::{StreamExt, stream};
use tollgate::FanOutExt;
use tollgate::fan_out::WakeTable;

static TABLE: WakeTable<1> = WakeTable::new();

#[embassy_executor::task]
async fn worker() {
    loop {
        let jobs = stream::iter(0..64).fan_out_inline_with::<8, _, _>(job);
        let mut outputs = pin!(jobs.wake_table(&TABLE));
        while let Some(id) = outputs.next().await {
            note(id);
        }
    }
}

#[firmware_size::entry]
fn main() -> ! {
    firmware_size::run(|spawner| spawner.spawn(worker().unwrap()))
}
