//! A leak, caught and shown with its place.
//!
//! A pool of workers is shut down, but one of them waits for something that never comes. The check at the end gives the
//! workers a moment, and then says which of them is still there, and where it was started.
//!
//! ```text
//! $ cargo run --features locations --example leak
//! leak check: 1 leaked: examples/leak.rs:31:54 x1 "listener"
//! ```
//!
//! It needs the feature `locations`; without it the message is `1 leaked`.

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use tollgate::Tracker;
use tollgate::time::ThreadTimer;

fn main() {
    // One tracker for this pool. A test has its own as well, and so is not disturbed by those that run beside it.
    let tracker = Arc::new(Tracker::new());

    for job in 0..4 {
        let worker = tracker.owned().named("worker").track(async move { job * job });
        thread::spawn(move || block_on(worker));
    }
    // The bug: nobody ever tells this one to stop.
    let listener = tracker.owned().named("listener").track(pending::<()>());
    thread::spawn(move || block_on(listener));

    tracker.close();
    match block_on(tracker.verify_none_within(ThreadTimer, Duration::from_millis(200))) {
        Ok(()) => println!("leak check: nothing is left"),
        Err(leaks) => {
            println!("leak check: {leaks}");
            // A test would end here with `.unwrap()`; this example is there to leak.
            assert_eq!(leaks.count(), 1);
        }
    }
}
