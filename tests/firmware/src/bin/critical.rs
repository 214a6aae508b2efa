//! How large things are, and how long interrupts are off: the longest critical section of each type, with 40 waiters and with
//! 80. It has to be the same.
//!
//! The numbers, in instructions, go to standard error, as they are others on each target.
#![no_std]
#![no_main]

use core::array::from_fn;
use core::cell::Cell;
use core::pin::{Pin, pin};
use core::task::{Context, Waker};

use critical_section::Mutex;
use firmware::{instructions, pass, print, println};
use semihosting::eprintln;
use tollgate::fan_out::WakeTable;
use tollgate::time::TimerQueue;
use tollgate::{CancellationToken, RawLock, Semaphore};

static LONGEST: Mutex<Cell<u32>> = Mutex::new(Cell::new(0));

/// A critical section that notes how long it was.
struct Measured;

// SAFETY: a critical section excludes every other one.
unsafe impl RawLock for Measured {
    const INIT: Self = Self;
    const CHEAP: bool = true;

    fn with<R>(&self, f: impl FnOnce() -> R) -> R {
        critical_section::with(|cs| {
            let mut result = None;
            let took = instructions(|| result = Some(f()));
            LONGEST.borrow(cs).set(LONGEST.borrow(cs).get().max(took));
            result.expect("the closure has run")
        })
    }
}

/// Polls each of them once, whatever comes of it.
fn poll_all<F: Future, const N: usize>(mut futures: Pin<&mut [F; N]>) {
    for number in 0..N {
        // SAFETY: an element does not move before the array does, and that is pinned.
        let future = unsafe { futures.as_mut().map_unchecked_mut(|futures| &mut futures[number]) };
        let _ = future.poll(&mut Context::from_waker(Waker::noop()));
    }
}

fn semaphore<const N: usize>() {
    // They come, and are served all at once.
    let gate = Semaphore::<Measured>::with_lock(0);
    {
        let mut waits = pin!(from_fn::<_, N, _>(|_| gate.acquire()));
        poll_all(waits.as_mut());
        gate.add_permits(N);
        poll_all(waits);
    }
    // They come, and leave from the first to the last, while there are permits that do not suffice.
    let gate = Semaphore::<Measured>::with_lock(1);
    {
        let mut waits = pin!(from_fn::<_, N, _>(|_| gate.acquire_many(2)));
        poll_all(waits.as_mut());
    }
    // They come, and are sent away.
    let mut waits = pin!(from_fn::<_, N, _>(|_| gate.acquire_many(2)));
    poll_all(waits.as_mut());
    gate.close();
    poll_all(waits);
}

fn timers<const N: usize>() {
    let timers = TimerQueue::<Measured>::with_lock();
    let mut number = 0;
    let mut sleeps = pin!(from_fn::<_, N, _>(|_| {
        number = (number + 37) % 101;
        timers.sleep_until(1 + number)
    }));
    poll_all(sleeps.as_mut());
    for now in [1, 2, 3, 50, 101] {
        timers.advance(now);
    }
    assert_eq!(timers.sleepers(), 0);
}

fn token<const N: usize>() {
    let root = CancellationToken::<Measured>::with_lock();
    let children = [root.child_token(), root.child_token()];
    let mut number = 0;
    let mut waits = pin!(from_fn::<_, N, _>(|_| {
        number += 1;
        children[number % 2].cancelled()
    }));
    poll_all(waits.as_mut());
    children[0].cancel();
    root.cancel();
    poll_all(waits);
}

fn sizes() {
    let (gate, timers, token) = (Semaphore::new(1), TimerQueue::new(), CancellationToken::new());
    let of = |one: usize, other: usize| println!("{one} bytes, and {other} for a wait");
    print!("semaphore: ");
    of(size_of_val(&gate), size_of_val(&gate.acquire()));
    print!("timer queue: ");
    of(size_of_val(&timers), size_of_val(&timers.sleep_until(1)));
    print!("cancellation token: ");
    of(size_of_val(&token), size_of_val(&token.cancelled()));
    println!("wake table for {}: {} bytes", WakeTable::<1>::SLOTS, size_of::<WakeTable<1>>());
}

fn longest(f: fn()) -> u32 {
    critical_section::with(|cs| LONGEST.borrow(cs).set(0));
    f();
    critical_section::with(|cs| LONGEST.borrow(cs).get())
}

fn check(name: &str, most: u32, with_40: fn(), with_80: fn()) {
    let (forty, eighty) = (longest(with_40), longest(with_80));
    eprintln!("# {name}: at most {forty} instructions with interrupts off, and {eighty} with twice as many waiters");
    assert!(eighty <= forty + forty / 8 + 10, "{name}: it grows with the number of waiters");
    assert!(eighty <= most, "{name}: longer than documented");
    println!("{name}: as long with 80 waiters as with 40, and no longer than {most} instructions");
}

#[firmware::entry]
fn main() -> ! {
    sizes();
    firmware::start_clock();
    // No interrupt but the tick, which would count too: it cannot come inside a critical section.
    check("semaphore", 400, semaphore::<40>, semaphore::<80>);
    check("timer queue", 2500, timers::<40>, timers::<80>);
    check("cancellation token", 2000, token::<40>, token::<80>);
    pass()
}
