//! Tasks contend for permits that interrupts release.
#![no_std]
#![no_main]

use core::cell::{Cell, RefCell};
use core::pin::pin;

use critical_section::Mutex;
use embassy_executor::Spawner;
use firmware::{pass, println};
use tollgate::{Permit, Semaphore};

const WORKERS: usize = 4;
const ROUNDS: usize = 5;

/// Two of something; a permit goes to the interrupt handler with the work and is dropped there.
static DMA: Semaphore = Semaphore::new(2);
static IN_HARDWARE: Mutex<RefCell<[Option<Permit<'static>>; 2]>> = Mutex::new(RefCell::new([const { None }; 2]));
/// Permits that the interrupt handler makes.
static TOKENS: Semaphore = Semaphore::new(0);
static FINISHED: Semaphore = Semaphore::new(0);

static TICKETS: Mutex<Cell<usize>> = Mutex::new(Cell::new(0));
static SERVED: Mutex<Cell<usize>> = Mutex::new(Cell::new(0));
static IN_TURN: Mutex<Cell<bool>> = Mutex::new(Cell::new(true));

/// Adds one and says what was there before.
fn next(counter: &Mutex<Cell<usize>>) -> usize {
    critical_section::with(|cs| {
        let counter = counter.borrow(cs);
        counter.replace(counter.get() + 1)
    })
}

fn on_tick(now: u64) {
    // The hardware has done its work; the next in turn is woken from here.
    for slot in 0..2 {
        let permit = critical_section::with(|cs| IN_HARDWARE.borrow_ref_mut(cs)[slot].take());
        drop(permit);
    }
    if now > 100 && now % 2 == 0 {
        // Tokens one by one, and then several at once.
        TOKENS.add_permits(if now < 120 { 1 } else { 3 });
    }
}

#[embassy_executor::task(pool_size = WORKERS)]
async fn worker() {
    for _ in 0..ROUNDS {
        let permit = DMA.acquire().await.unwrap();
        // Into the hardware. The semaphore has two permits, so one of the two places is free.
        critical_section::with(|cs| {
            let mut slots = IN_HARDWARE.borrow_ref_mut(cs);
            let free = slots.iter().position(Option::is_none).expect("no more than two at once");
            slots[free] = Some(permit);
        });
    }
    for _ in 0..ROUNDS {
        let mut acquire = pin!(TOKENS.acquire());
        let ticket = next(&TICKETS);
        acquire.as_mut().enroll();
        acquire.await.unwrap().forget();
        let served = next(&SERVED);
        // Tokens come one at a time at first, and each task has run before the next comes.
        let one_by_one = firmware::now() < 120;
        if one_by_one && ticket != served {
            critical_section::with(|cs| IN_TURN.borrow(cs).set(false));
        }
    }
    FINISHED.add_permits(1);
}

#[embassy_executor::task]
async fn judge() {
    let finished = FINISHED.acquire_many(WORKERS).await.unwrap();
    println!("{} tasks, {} turns each on two units, permits dropped in an interrupt", finished.permits(), ROUNDS);
    assert_eq!((DMA.available_permits(), DMA.waiters()), (2, 0));
    let served = critical_section::with(|cs| SERVED.borrow(cs).get());
    assert!(critical_section::with(|cs| IN_TURN.borrow(cs).get()), "somebody overtook");
    println!("{served} tokens from an interrupt, in the order of the tickets");
    println!("tokens left over: {}", TOKENS.available_permits() > 0);
    TOKENS.close();
    assert!(TOKENS.acquire().await.is_err());
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(on_tick);
    firmware::run(|spawner: Spawner| {
        spawner.spawn(judge().unwrap());
        for _ in 0..WORKERS {
            spawner.spawn(worker().unwrap());
        }
    })
}
