//! Exports for `run.mjs`: so many entries, their names, and what came of a run of each.
#![no_std]

use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use futures_lite::{StreamExt, stream};
use tollgate::FanOutExt;
use tollgate::time::TimerQueue;
use tollgate_conformance::{Arena, CASES, Outcome, TEAMS, TIMED};

#[cfg(feature = "alloc")]
mod with_alloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// One thread and no interrupts: whatever runs is alone.
struct Alone;
critical_section::set_impl!(Alone);

// SAFETY: as above.
unsafe impl critical_section::Impl for Alone {
    unsafe fn acquire() {}
    unsafe fn release(_: ()) {}
}

static TIMERS: TimerQueue = TimerQueue::new();
static WOKEN: AtomicBool = AtomicBool::new(false);

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |_| RawWaker::new(core::ptr::null(), &VTABLE),
    |_| WOKEN.store(true, Relaxed),
    |_| WOKEN.store(true, Relaxed),
    |_| {},
);

/// Polls what was woken; when nothing is, the time goes on. A wake that is lost ends in an error, not in a loop.
fn block_on<T>(mut future: Pin<&mut dyn Future<Output = T>>) -> Result<T, &'static str> {
    static mut TICKS: u64 = 0;
    // SAFETY: the functions ignore the pointer and may be called anywhere.
    let waker = unsafe { Waker::new(core::ptr::null(), &VTABLE) };
    let mut context = Context::from_waker(&waker);
    for _ in 0..2000 {
        loop {
            WOKEN.store(false, Relaxed);
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Ok(output);
            }
            // A task that never rests sees the time go on too.
            // SAFETY: one thread, and this function is not called by what it polls.
            let now = unsafe {
                TICKS += 1;
                TICKS
            };
            TIMERS.advance(now);
            if !WOKEN.load(Relaxed) {
                break;
            }
        }
    }
    Err("nobody woke it for 2000 ticks")
}

fn team(number: usize) -> Outcome {
    let team = &TEAMS[number];
    let arena = Arena::new();
    // The members are the futures of a fan-out.
    let members = stream::iter(0..team.members()).fan_out_inline_with::<4, _, _>(|n| team.member(&arena, n));
    let mut outcome = Ok(());
    let mut members = pin!(members);
    let all = pin!(async {
        while let Some(ended) = members.next().await {
            outcome = outcome.and(ended);
        }
    });
    block_on(all)?;
    outcome.and_then(|()| team.verdict(&arena))
}

fn entry(number: usize) -> (&'static str, fn(usize) -> Outcome, usize) {
    let (cases, timed, teams) = (CASES.len(), TIMED.len(), TEAMS.len());
    if number < cases {
        return (CASES[number].name, |n| block_on(pin!(CASES[n].run())).and_then(|outcome| outcome), number);
    }
    let number = number - cases;
    if number < timed {
        return (TIMED[number].name, |n| block_on(pin!(TIMED[n].run(&TIMERS))).and_then(|outcome| outcome), number);
    }
    let number = number - timed;
    if number < teams {
        return (TEAMS[number].name, team, number);
    }
    #[cfg(feature = "alloc")]
    {
        let (name, run) = with_alloc::CASES[number - teams];
        return (name, run, 0);
    }
    #[cfg(not(feature = "alloc"))]
    panic!("no such entry")
}

/// How many entries there are.
#[unsafe(no_mangle)]
pub extern "C" fn count() -> usize {
    let all = CASES.len() + TIMED.len() + TEAMS.len();
    #[cfg(feature = "alloc")]
    let all = all + with_alloc::CASES.len();
    all
}

/// Address and length of an entry's name, as address + length * 2^32.
#[unsafe(no_mangle)]
pub extern "C" fn name(number: usize) -> u64 {
    text(entry(number).0)
}

/// Runs an entry: 0, or address and length of what is wrong.
#[unsafe(no_mangle)]
pub extern "C" fn run(number: usize) -> u64 {
    let (_, run, number) = entry(number);
    run(number).err().map_or(0, text)
}

fn text(text: &str) -> u64 {
    text.as_ptr().addr() as u64 | (text.len() as u64) << 32
}
