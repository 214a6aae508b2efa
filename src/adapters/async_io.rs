use core::pin::Pin;

use async_io::Timer as Sleep;

use super::FAR;
use crate::sync::Instant;
use crate::time::{Clock, StdClock, Timer, std_clock};

/// The timer of async-io, and so of smol: on any executor, driven by async-io's thread.
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{AsyncIoTimer, Elapsed};
///
/// let slow = pending::<()>().timeout(AsyncIoTimer, Duration::ZERO);
/// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct AsyncIoTimer;

std_clock!(AsyncIoTimer);

impl Timer for AsyncIoTimer {
    type Sleep = Sleep;

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sleep_from(StdClock.now(), at)
    }

    fn sleep_from(&self, now: Instant, at: Instant) -> Sleep {
        Sleep::at(within_reach(now, at))
    }

    fn reset(&self, mut sleep: Pin<&mut Sleep>, at: Instant) {
        sleep.set_at(within_reach(StdClock.now(), at));
    }
}

fn within_reach(now: Instant, at: Instant) -> Instant {
    StdClock.checked_add(now, FAR).map_or(at, |far| at.min(far))
}
