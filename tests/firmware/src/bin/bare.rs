//! The same without any framework: a loop that polls, and sleeps until an interrupt.
#![no_std]
#![no_main]

use core::future::pending;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use core::time::Duration;

use firmware::dma::{busy, polls, transfer};
use firmware::{pass, println};
use futures_lite::future::zip;
use futures_lite::{StreamExt, stream};
use portable_atomic::{AtomicBool, Ordering};
use tollgate::fan_out::WakeTable;
use tollgate::time::TimerQueue;
use tollgate::{CancellationToken, DeadlineExt, Elapsed, FanOutExt, Semaphore, Tracker};

static TIMERS: TimerQueue = TimerQueue::new();
static PERMITS: Semaphore = Semaphore::new(0);
static STOP: CancellationToken = CancellationToken::new();
static WORK: Tracker = Tracker::new();
static TABLE: WakeTable<1> = WakeTable::new();

fn on_tick(now: u64) {
    firmware::dma::on_tick(now);
    TIMERS.advance(now);
    if now <= 9 {
        PERMITS.add_permits(1);
    }
    if now == 150 {
        STOP.cancel();
    }
}

// === an executor in 30 lines ===

static WOKEN: AtomicBool = AtomicBool::new(false);

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| RawWaker::new(core::ptr::null(), &VTABLE),
    |_| WOKEN.store(true, Ordering::Release),
    |_| WOKEN.store(true, Ordering::Release),
    |_| {},
);

fn block_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    // SAFETY: the functions ignore the pointer and may be called anywhere.
    let waker = unsafe { Waker::new(core::ptr::null(), &VTABLE) };
    let mut context = Context::from_waker(&waker);
    loop {
        WOKEN.store(false, Ordering::Relaxed);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // With interrupts off, or one could come between the look and the sleep. A pending one ends the sleep all the same,
        // and is served when they are on again.
        while critical_section::with(|_| {
            let sleep = !WOKEN.load(Ordering::Acquire);
            if sleep {
                firmware::wait_for_interrupt();
            }
            sleep
        }) {}
    }
}

// === what runs on it ===

async fn all() {
    // Three requests, the largest first: it is not overtaken.
    let take = async |n| {
        PERMITS.acquire_many(n).await.unwrap().forget();
        firmware::now()
    };
    let (large, (one, two)) = zip(take(5), zip(take(1), take(3))).await;
    println!("permits from an interrupt at ticks {large}, {one} and {two}");
    assert!(large <= one && one <= two, "in turn");

    // Transfers, with deadlines that two of them miss.
    let jobs = stream::iter([(0, 6), (1, 90), (2, 9), (3, 80), (4, 3)]);
    let outputs = jobs
        .fan_out_inline_with::<4, _, _>(|(id, ticks)| {
            WORK.track(transfer(id, ticks).timeout(&TIMERS, Duration::from_millis(20)))
        })
        .wake_table(&TABLE);
    let mut outputs = pin!(outputs.ordered());
    let mut missed = 0;
    while let Some(output) = outputs.next().await {
        match output {
            Ok(id) => println!("transfer {id} in time"),
            Err(Elapsed) => missed += 1,
        }
    }
    println!("{missed} late, {} polls", polls());
    assert_eq!((missed, busy(), TIMERS.sleepers()), (2, 0, 0));
    assert!(WORK.verify_none().is_ok());
    println!("{} tracked, none left", WORK.finished());

    // And until somebody says stop.
    assert!(STOP.run_until_cancelled(pending::<()>()).await.is_none());
    println!("stopped at tick {}", firmware::now());
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(on_tick);
    firmware::start_clock();
    block_on(pin!(all()));
    pass()
}
