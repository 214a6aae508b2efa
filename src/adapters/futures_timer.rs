use core::pin::Pin;
use core::time::Duration;

use futures_timer::Delay;

use super::FAR;
use crate::sync::Instant;
use crate::time::{Clock, Timer, std_clock};

/// The timer of futures-timer: on any executor, driven by that crate's thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct FuturesTimer;

std_clock!(FuturesTimer);

impl Timer for FuturesTimer {
    type Sleep = Delay;

    fn sleep_until(&self, at: Instant) -> Delay {
        Delay::new(until(at))
    }

    fn reset(&self, mut sleep: Pin<&mut Delay>, at: Instant) {
        sleep.reset(until(at));
    }
}

fn until(at: Instant) -> Duration {
    FuturesTimer.saturating_since(at, FuturesTimer.now()).min(FAR)
}
