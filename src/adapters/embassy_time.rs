use core::time::Duration;

use embassy_time::{Instant, TICK_HZ, Timer as Sleep};

use crate::time::{Clock, Timer};

// Below 18 GHz the products with nanoseconds fit 64 bits.
const _: () = assert!(TICK_HZ < u64::MAX / 1_000_000_000);

/// The timer of embassy, on whatever time driver the application has.
///
/// A [`Deadline`](crate::time::Deadline) passes its task's own waker down, so this works with embassy's integrated timer
/// queue. Combinators that make wakers need `embassy-time/generic-queue-8` or larger.
///
/// A duration that embassy cannot represent is never over; its own timeouts panic on it.
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, EmbassyTimer};
///
/// let slow = pending::<()>().timeout(EmbassyTimer, Duration::ZERO);
/// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct EmbassyTimer;

impl Clock for EmbassyTimer {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn checked_add(&self, at: Instant, duration: Duration) -> Option<Instant> {
        add_ticks(at, ticks(duration)?)
    }

    fn saturating_since(&self, later: Instant, earlier: Instant) -> Duration {
        let ticks = later.as_ticks().saturating_sub(earlier.as_ticks());
        let nanos = (ticks % TICK_HZ * 1_000_000_000).div_ceil(TICK_HZ);
        Duration::new(ticks / TICK_HZ, nanos as u32)
    }

    fn after(&self, now: Instant, duration: Duration) -> Option<Instant> {
        match ticks(duration)? {
            0 => Some(now),
            // Part of the present tick is over already.
            ticks => add_ticks(now, ticks.checked_add(1)?),
        }
    }
}

impl Timer for EmbassyTimer {
    type Sleep = Sleep;

    fn sleep_until(&self, at: Instant) -> Sleep {
        // A sleep at the very last instant has kept the task from its other ones, before embassy-time-queue-utils 0.3.1.
        Sleep::at(at.min(Instant::from_ticks(u64::MAX - 1)))
    }
}

/// Rounded up.
fn ticks(duration: Duration) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    let nanos = duration.subsec_nanos();
    let part = if SECOND % TICK_HZ == 0 && SECOND / TICK_HZ <= u32::MAX as u64 {
        // A division of 32 bits, which small targets have or can do in little code.
        u64::from(nanos.div_ceil((SECOND / TICK_HZ) as u32))
    } else {
        (u64::from(nanos) * TICK_HZ).div_ceil(SECOND)
    };
    duration.as_secs().checked_mul(TICK_HZ)?.checked_add(part)
}

/// The last instant is none of ours: embassy's queue takes it for "nothing to do".
fn add_ticks(at: Instant, ticks: u64) -> Option<Instant> {
    at.as_ticks().checked_add(ticks).filter(|ticks| *ticks != u64::MAX).map(Instant::from_ticks)
}
