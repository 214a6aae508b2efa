use core::pin::Pin;
use core::time::Duration;

use futures_timer::Delay;

use super::FAR;
use crate::sync::Instant;
use crate::time::{Clock, Timer, std_clock};

/// The timer of futures-timer: on any executor, driven by that crate's thread.
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, FuturesTimer};
///
/// let slow = pending::<()>().timeout(FuturesTimer, Duration::ZERO);
/// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct FuturesTimer;

std_clock!(FuturesTimer);

impl Timer for FuturesTimer {
    type Sleep = Delay;

    fn sleep_until(&self, at: Instant) -> Delay {
        self.sleep_from(self.now(), at)
    }

    fn sleep_from(&self, now: Instant, at: Instant) -> Delay {
        Delay::new(until(now, at))
    }

    fn reset(&self, mut sleep: Pin<&mut Delay>, at: Instant) {
        sleep.reset(until(self.now(), at));
    }
}

fn until(now: Instant, at: Instant) -> Duration {
    at.saturating_duration_since(now).min(FAR)
}
