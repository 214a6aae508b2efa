//! The timer queue of the process, and the thread that drives it.
//!
//! Who drives and who sleeps meet in two places: the queue's lock, and the token of `unpark`. The thread asks for the next end,
//! then parks until then. Whoever comes to sleep for less calls `unpark`, before or after the thread has parked.

use core::pin::Pin;
use core::time::Duration;

use super::queue::NEVER;
use super::std_clock::std_clock;
use super::{QueueSleep, Timer, TimerQueue};
use crate::sync::{Instant, OnceLock, hold_panic, thread};

/// A timer with a thread of its own, one for the process, so that deadlines work with no runtime at all.
///
/// The thread is started when somebody sleeps for the first time, sleeps itself whenever it has nothing to do, and ends with
/// the process. It only wakes tasks; a waker that panics does not end it.
///
/// ```
/// use core::time::Duration;
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, ThreadTimer};
///
/// let slow = core::future::pending::<()>().timeout(ThreadTimer, Duration::from_millis(2));
/// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
/// ```
///
/// # Cost
///
/// Beginning to sleep is what it is in a [`TimerQueue`]. The thread is woken for it only if it would have slept longer.
///
/// # Panics
///
/// The first sleep panics if the system does not start the thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadTimer;

/// In nanoseconds since [`start`].
static QUEUE: TimerQueue = TimerQueue::new().ticks_per_second(1_000_000_000).clock(now).on_earlier(unpark);

static THREAD: OnceLock<thread::Thread> = OnceLock::new();

// === impl ThreadTimer ===

std_clock!(ThreadTimer);

impl Timer for ThreadTimer {
    type Sleep = QueueSleep<'static>;

    fn sleep_until(&self, at: Instant) -> QueueSleep<'static> {
        THREAD.get_or_init(spawn);
        QUEUE.sleep_until(ticks(at))
    }

    fn sleep_from(&self, now: Instant, at: Instant) -> QueueSleep<'static> {
        THREAD.get_or_init(spawn);
        (&QUEUE).sleep_from(ticks(now), ticks(at))
    }

    fn reset(&self, sleep: Pin<&mut QueueSleep<'static>>, at: Instant) {
        sleep.reset(ticks(at));
    }
}

// === the thread ===

fn spawn() -> thread::Thread {
    let thread = thread::Builder::new().name("tollgate-timer".into()).spawn(drive);
    thread.expect("the timer's thread can be started").thread().clone()
}

fn drive() {
    loop {
        let mut next = None;
        if let Err(panic) = hold_panic(|| next = QUEUE.advance(now())) {
            // A waker's panic, which its own hook has reported. Dropping what it carries might panic again.
            core::mem::forget(panic);
            continue;
        }
        match next {
            Some(at) => thread::park_timeout(Duration::from_nanos(at.saturating_sub(now()))),
            None => thread::park(),
        }
    }
}

fn unpark(_: u64) {
    if let Some(thread) = THREAD.get() {
        thread.unpark();
    }
}

// === its time ===

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Rounded down, as a time that has come has to be.
fn now() -> u64 {
    ticks(Instant::now())
}

/// Nanoseconds since the start, none before it, and never after 584 years.
fn ticks(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(start()).as_nanos()).unwrap_or(NEVER)
}
