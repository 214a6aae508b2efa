//! A static token that an interrupt cancels; a tracker knows that nothing is left.
#![no_std]
#![no_main]

use core::future::pending;
use core::pin::pin;

use firmware::dma::{busy, transfer};
use firmware::{pass, println};
use futures_lite::{StreamExt, stream};
use tollgate::cancel::Cause;
use tollgate::{CancellationToken, FanOutExt, Semaphore, Tracker};

static STOP: CancellationToken = CancellationToken::new();
static MOTORS: CancellationToken = STOP.child_token();
static FINISHED: Semaphore = Semaphore::new(0);
static WORK: Tracker = Tracker::new();

const UNDER_VOLTAGE: Cause = Cause::new("under-voltage");

fn on_tick(now: u64) {
    firmware::dma::on_tick(now);
    match now {
        20 => MOTORS.cancel_with("limit switch"),
        40 => STOP.cancel_with(UNDER_VOLTAGE),
        _ => {}
    }
}

#[embassy_executor::task(pool_size = 2)]
async fn motor() {
    let stopped = WORK.named("motor").track(MOTORS.run_until_cancelled(pending::<()>())).await;
    assert!(stopped.is_none());
    let now = firmware::now();
    assert!((20..=21).contains(&now), "stopped at {now}");
    assert!(!STOP.is_cancelled());
    FINISHED.add_permits(1);
}

#[embassy_executor::task]
async fn transfers() {
    let endless = stream::repeat(3).fan_out_inline_with::<4, _, _>(|ticks| WORK.track(transfer(0, ticks)));
    let mut count = 0;
    let stopped = STOP
        .run_until_cancelled(async {
            let mut endless = pin!(endless);
            while endless.next().await.is_some() {
                count += 1;
            }
        })
        .await;
    assert!(stopped.is_none());
    assert!(count >= 30, "{count} transfers in 40 ticks");
    // What ran was dropped with the future, and the hardware is free.
    assert_eq!(busy(), 0);
    println!("transfers stopped, and their channels are free");
    FINISHED.add_permits(1);
}

#[embassy_executor::task]
async fn callback() {
    let safe = STOP.on_cancel(|| "outputs are off").await;
    println!("on cancel: {safe}");
    FINISHED.add_permits(1);
}

#[embassy_executor::task]
async fn judge() {
    FINISHED.acquire_many(4).await.unwrap().forget();
    println!("the motors: {}", MOTORS.cause().unwrap());
    println!("all: {}", STOP.cause().unwrap());
    assert_eq!(STOP.cause(), Some(UNDER_VOLTAGE));
    WORK.close();
    WORK.wait_empty().await;
    assert!(WORK.verify_none().is_ok() && WORK.live() == 0);
    assert_eq!(WORK.started(), WORK.finished() + WORK.dropped_unfinished());
    println!(
        "tracked: at most {} at once, {} dropped unfinished, {} left",
        WORK.peak(),
        WORK.dropped_unfinished(),
        WORK.live()
    );
    assert_eq!((STOP.waiters(), MOTORS.waiters(), busy()), (0, 0, 0));
    assert!(STOP.run_until_cancelled(async {}).await.is_none(), "nothing new is begun");
    assert!(STOP.detached().run_until_cancelled(async {}).await.is_some());
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(on_tick);
    firmware::run(|spawner| {
        spawner.spawn(judge().unwrap());
        spawner.spawn(callback().unwrap());
        spawner.spawn(transfers().unwrap());
        spawner.spawn(motor().unwrap());
        spawner.spawn(motor().unwrap());
    })
}
