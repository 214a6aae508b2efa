//! Deadlines for futures, on any clock and any executor, or on none.
//!
//! * [`DeadlineExt`] and [`DeadlineStreamExt`] are what users call, see the table below.
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
//! # When each of them counts from
//!
//! | call | counts from | at its end | a value that is ready then |
//! |---|---|---|---|
//! | [`until(signal)`](DeadlineExt::until) | | `Err` with what the signal gives | wins |
//! | [`timeout(timer, d)`](DeadlineExt::timeout) | the first poll | `Err(Elapsed)` | wins |
//! | [`deadline(timer, at)`](DeadlineExt::deadline) | `at` is absolute | `Err(Elapsed)` | wins |
//! | [`on_elapsed(timer, at, f)`](DeadlineExt::on_elapsed) | `at` is absolute | runs `f`, and goes on | wins, `f` does not run |
//! | [`item_timeout(timer, d)`](DeadlineStreamExt::item_timeout) | the first poll of each wait that finds nothing | an `Err(Elapsed)`, then the end or a fresh wait | wins |
//! | [`stream_deadline(timer, at)`](DeadlineStreamExt::stream_deadline) | `at` is absolute | an `Err(Elapsed)`, then the end | stays in the stream |
//!
//! A single value that is ready has been worked for, and giving it out cannot delay anything, so it wins. A stream that
//! is always ready could delay its end for ever, so there the clock is asked first.
//!
//! # What a deadline promises
//!
//! * *It comes.* The clock is read whenever the future is pending. So a task that keeps itself busy runs into its deadline
//!   even if it never lets the timer's driver run.
//! * *Never early.* A timer is not believed before the clock agrees. Durations are rounded up to the clock's ticks.
//! * *At once if it is past.* A duration of zero or an instant in the past gives its error in the very poll that finds the
//!   future pending, and no timer is made.
//! * *No panic*, for any duration or instant. What the clock cannot represent is never reached.
//! * *No runtime before it is needed.* Making one of these touches neither clock nor timer, and a future that is ready at
//!   its first poll never does.
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
//!
//! Of two deadlines, one around the other, the earlier one comes, and the nesting says which: `Err(Elapsed)` is the outer
//! one's, `Ok(Err(Elapsed))` the inner one's. If both have passed by the time the task runs, the inner one speaks.
//!
//! # Futures that must not be dropped half way
//!
//! A deadline cuts a future short by its being dropped, later, by whoever has it. Some futures lose something then: a
//! message that was taken and not yet sent, a frame that was read in part. Their documentation says whether they are
//! cancel-safe. For one that is not, keep it:
//!
//! * The future is still inside after `Err(Elapsed)`. Give it more time with [`Deadline::extend`] or
//!   [`Deadline::reset`], or all the time it takes with [`Deadline::clear`], and poll on.
//! * Or pin it yourself, and limit the reference: `future.as_mut().timeout(timer, d).await` can be repeated.
//! * Or let it go on, and learn that it is late, with [`on_elapsed`](DeadlineExt::on_elapsed).
//!
//! # Go -> tollgate
//!
//! | Go | tollgate |
//! |---|---|
//! | `select { case v := <-c: .. case <-time.After(d): .. }` | [`receive.timeout(timer, d)`](DeadlineExt::timeout); with any other channel in place of `After`, [`receive.until(signal)`](DeadlineExt::until) |
//! | `ctx, cancel := context.WithTimeout(ctx, d)` for several steps | one `at`, and [`step.deadline(timer, at)`](DeadlineExt::deadline) for each; for a stream of results [`stream_deadline(timer, at)`](DeadlineStreamExt::stream_deadline) |
//! | `t := time.AfterFunc(d, f)`, `t.Stop()` | [`work.on_elapsed(timer, at, f)`](DeadlineExt::on_elapsed), which stops when the work is finished or dropped, or by [`OnElapsed::stop`] |
//!
//! Go's timers live on when nobody waits for them any more, unless they are stopped. These go with their future.

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

pub(crate) use alarm::Stage;
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
mod models;
