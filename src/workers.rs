//! Several workers on one input, each a future to be spawned where you like: [`workers()`].
//!
//! A [fan-out](crate::fan_out) runs its futures within one task, and so on one core at a time. Workers are tasks of their own:
//! `n` of them take items from one source, run them on whatever executor, thread or core they are on, and put what comes out
//! into one bounded stream of results.
//!
//! ```
//! use futures_lite::{StreamExt, future::block_on, stream};
//!
//! let (workers, results) = tollgate::workers(stream::iter(1..=100), 4, |n: u64| async move { n * n });
//! for worker in workers {
//!     std::thread::spawn(|| block_on(worker)); // or tokio::spawn(worker), or executor.spawn(worker)
//! }
//! assert_eq!(block_on(results.fold(0, |sum, square| sum + square)), 338_350);
//! ```
//!
//! | I want | then |
//! |---|---|
//! | outputs in the order of the input | [`results.ordered()`](Results::ordered) |
//! | the first error to stop everything | drop the results when it comes, as `try_collect` does |
//! | all errors, apart from the rest | [`results.collect_results()`](Results::collect_results) |
//! | an end with a context | [`results.within(&context)`](Results::within) |
//! | to take nothing new, and finish what runs | [`results.stop()`](Results::stop) |
//! | more room between workers and consumer | [`results.window(n)`](Results::window) |
//!
//! # Stopping
//!
//! Dropping [`Results`] stops the workers where they wait. Dropping a [`Worker`] drops the item it has and no other; when the last
//! one is gone the results end. So neither side can be left waiting for the other.

mod board;
#[cfg(test)]
mod model;
mod results;
mod source;
mod worker;

use alloc::sync::Arc;
use alloc::vec::Vec;

use futures_core::Stream;

use board::Board;
use source::Source;

pub use results::Results;
pub use worker::Worker;

/// Makes `n` workers, which run `f` on the items of one source, and the stream of what they produce.
///
/// Nothing runs before the workers are polled. They share `f`, so it is an `Fn`; what its futures have to own it clones.
///
/// # Fairness
///
/// Workers take their turns at the source, first come first served, one item a turn. A worker that woke the next one lets it
/// run first, so that one which then computes for long, or blocks its thread, does not hold up the others. A worker whose
/// futures are always ready returns to its executor now and then.
///
/// # Cancel safety
///
/// See [`Worker`] and [`Results`].
///
/// # Panics
///
/// If `n` is zero: nothing would ever run.
///
/// # Size and cost
///
/// A handful of allocations at the start, and none an item as long as neither a worker nor the consumer has to wait. A bounded
/// number of outputs is kept, see [`Results::window`].
///
/// ```
/// use futures_lite::{StreamExt, future::block_on, stream};
///
/// let (workers, results) = tollgate::workers(stream::iter(["1", "2", "x"]), 2, |text: &'static str| async move {
///     text.parse::<u32>()
/// });
/// for worker in workers {
///     std::thread::spawn(|| block_on(worker));
/// }
/// assert!(block_on(results.try_collect::<_, _, Vec<_>>()).is_err()); // the first error drops the results
/// ```
#[track_caller]
#[allow(clippy::type_complexity, reason = "two halves, which go separate ways at once")]
pub fn workers<St, F, Fut>(source: St, n: usize, f: F) -> (Vec<Worker<St, F, Fut>>, Results<Fut::Output>)
where
    St: Stream,
    F: Fn(St::Item) -> Fut,
    Fut: Future,
{
    assert!(n > 0, "no workers would never produce anything");
    // Enough for a thread that waits to find more than one thing to do when it comes back.
    let window = n.saturating_mul(8);
    let board = Arc::new(Board::new(n, window));
    let source = Arc::new(Source::new(source));
    let f = Arc::new(f);
    let workers = (0..n).map(|_| Worker::new(board.clone(), source.clone(), f.clone())).collect();
    (workers, Results::new(board, window))
}
