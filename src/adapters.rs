//! The timers of runtimes, a few lines each, each behind its feature.

#[cfg(feature = "async-io")]
mod async_io;
#[cfg(feature = "embassy-time")]
mod embassy_time;
#[cfg(feature = "futures-timer")]
mod futures_timer;
#[cfg(feature = "tokio")]
mod tokio;

#[cfg(feature = "async-io")]
pub use self::async_io::AsyncIoTimer;
#[cfg(feature = "embassy-time")]
pub use self::embassy_time::EmbassyTimer;
#[cfg(feature = "futures-timer")]
pub use self::futures_timer::FuturesTimer;
#[cfg(feature = "tokio")]
pub use self::tokio::TokioTimer;

/// As far ahead as a runtime is asked to sleep. Several cannot go to the end of their instants, or panic there; who
/// waits for longer is armed again.
#[cfg(any(feature = "async-io", feature = "futures-timer", feature = "tokio"))]
const FAR: core::time::Duration = core::time::Duration::from_secs(365 * 24 * 60 * 60);
