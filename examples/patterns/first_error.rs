//! A worker pool that stops at the first error.
//!
//! Four threads take orders from one source, which has no end. One order is bad. Its error reaches the consumer, which
//! leaves its loop by `?`. That drops the results, and with them goes all that the workers have begun, an order included
//! that waits for an answer that never comes. Nobody has to be told one by one, and nobody is left behind.
//!
//! ```text
//! $ cargo run --example first_error
//! first error: order 40 is bad
//! the workers have gone home, and nothing is left of their orders
//! ```

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::thread;

use futures_lite::future::block_on;
use futures_lite::{Stream, StreamExt, stream};
use tollgate::{Tracker, workers};

const BAD: u64 = 40;
const NEVER_ANSWERED: u64 = 7;

fn main() {
    let tracker = Arc::new(Tracker::new());
    let orders = tracker.owned().named("order");

    let (workers, results) = workers(stream::iter(1..), 4, move |order| orders.track(price(order)));
    // A worker is a future, for whatever runs futures. Here that is a thread each.
    let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(|| block_on(worker))).collect();

    let bad = block_on(total(results)).expect_err("there is no end to the orders but an error");
    println!("first error: {bad}");
    assert_eq!(bad, BadOrder(BAD));

    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
    tracker.verify_none().expect("nothing outlives the results");
    assert!(tracker.dropped_unfinished() >= 1, "the order without an answer was begun, and given up");
    println!("the workers have gone home, and nothing is left of their orders");
}

async fn total(mut results: impl Stream<Item = Result<u64, BadOrder>> + Unpin) -> Result<u64, BadOrder> {
    let mut total = 0;
    while let Some(price) = results.next().await {
        total += price?;
    }
    Ok(total)
}

async fn price(order: u64) -> Result<u64, BadOrder> {
    match order {
        BAD => Err(BadOrder(order)),
        NEVER_ANSWERED => pending().await,
        _ => Ok(order * 100),
    }
}

#[derive(Debug, PartialEq)]
struct BadOrder(u64);

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order {} is bad", self.0)
    }
}

impl std::error::Error for BadOrder {}
