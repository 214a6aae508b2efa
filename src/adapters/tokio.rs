use core::pin::Pin;
use core::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::FAR;
use crate::time::{Clock, Timer};

/// Tokio's timer; its clock is the one that `tokio::time::pause` stops.
///
/// Tokio is asked for only once a future is pending, so what has a deadline can be made anywhere, and polled in a runtime
/// with its time driver on.
///
/// Tokio's own sleeps look at the time only when its driver has run, which a busy task may not let it do; a
/// [`Deadline`](crate::time::Deadline) also looks at the clock, and so ends in time.
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, TokioTimer};
///
/// async fn read() -> Result<u8, Elapsed> {
///     pending().timeout(TokioTimer, Duration::ZERO).await
/// }
///
/// assert_eq!(futures_lite::future::block_on(read()), Err(Elapsed)); // over at once, it asks for no runtime
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Clock for TokioTimer {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn checked_add(&self, at: Instant, duration: Duration) -> Option<Instant> {
        at.checked_add(duration)
    }

    fn saturating_since(&self, later: Instant, earlier: Instant) -> Duration {
        later.saturating_duration_since(earlier)
    }
}

impl Timer for TokioTimer {
    type Sleep = Sleep;

    fn sleep_until(&self, at: Instant) -> Sleep {
        self.sleep_from(Instant::now(), at)
    }

    fn sleep_from(&self, now: Instant, at: Instant) -> Sleep {
        sleep_until(within_reach(now, at))
    }

    fn reset(&self, sleep: Pin<&mut Sleep>, at: Instant) {
        sleep.reset(within_reach(Instant::now(), at));
    }
}

fn within_reach(now: Instant, at: Instant) -> Instant {
    now.checked_add(FAR).map_or(at, |far| at.min(far))
}
