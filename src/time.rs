//! Deadlines for futures, on any clock and any executor, or on none.
//!
//! * [`DeadlineExt`] is what users call: [`until`](DeadlineExt::until) any signal, [`timeout`](DeadlineExt::timeout) after
//!   a duration, [`deadline`](DeadlineExt::deadline) at an instant.
//! * [`Clock`] and [`Timer`] are what it stands on: two small traits with no runtime behind them.
//! * The timers:
//!
//! | timer | driven by | needs |
//! |---|---|---|
//! | [`TimerQueue`] | `advance` from a tick interrupt or a loop | nothing, not even an allocator |
//! | [`ManualClock`] | a test | nothing |
#![cfg_attr(feature = "std", doc = "| [`ThreadTimer`] | one thread of its own, started at first use | feature `std` |")]
#![cfg_attr(
    not(feature = "std"),
    doc = "| `ThreadTimer` | one thread of its own, started at first use | feature `std` |"
)]
//! | [`FnTimer`] | any function from a duration to a future | a clock |
//! | `TokioTimer` | tokio | feature `tokio` |
//! | `AsyncIoTimer` | async-io's thread, hence smol | feature `async-io` |
//! | `FuturesTimer` | futures-timer's thread | feature `futures-timer` |
//! | `EmbassyTimer` | embassy's time driver | feature `embassy-time` |
//!
//! # What a deadline promises
//!
//! In each poll the future comes first, then the clock, then the timer. So a value that is ready always wins, and a task that
//! keeps itself busy runs into its deadline even if it never lets the timer's driver run. The deadline is never early,
//! and never panics: an instant that the clock cannot represent is never reached.
//!
//! ```
//! use std::time::Duration;
//! use tollgate::DeadlineExt;
//! use tollgate::time::{Elapsed, ManualClock};
//!
//! let clock = ManualClock::new();
//! let slow = core::future::pending::<()>().timeout(&clock, Duration::ZERO);
//! assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
//! ```

mod alarm;
mod clock;
mod deadline;
mod elapsed;
mod ext;
mod fn_timer;
mod item_timeout;
mod manual;
mod on_elapsed;
mod queue;
#[cfg(feature = "std")]
mod std_clock;
mod stream_deadline;
#[cfg(all(feature = "std", not(tollgate_loom)))]
mod thread;
mod until;

pub use clock::{Clock, Timer};
pub use deadline::Deadline;
pub use elapsed::Elapsed;
pub use ext::{DeadlineExt, DeadlineStreamExt};
pub use fn_timer::FnTimer;
pub use item_timeout::ItemTimeout;
pub use manual::ManualClock;
pub use on_elapsed::OnElapsed;
pub use queue::{QueueSleep, TimerQueue};
#[cfg(feature = "std")]
pub use std_clock::StdClock;
#[cfg(any(feature = "async-io", feature = "futures-timer"))]
pub(crate) use std_clock::std_clock;
pub use stream_deadline::StreamDeadline;
#[cfg(all(feature = "std", not(tollgate_loom)))]
pub use thread::ThreadTimer;
pub use until::Until;

#[allow(unused_imports, reason = "empty without the features of the adapters")]
pub use crate::adapters::*;

#[cfg(test)]
mod model;
