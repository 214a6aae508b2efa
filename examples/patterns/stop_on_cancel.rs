//! Fan-out to several workers, fan-in to one consumer, and all of it stops when somebody cancels.
//!
//! The source has no end, and one of the jobs waits for ever. After a while an operator, on another thread, has had enough.
//! The consumer learns that by one error behind the results that it got, with the operator's reason in it. The workers stop
//! where they are, the waiting one included.
//!
//! ```text
//! $ cargo run --example stop_on_cancel
//! 20 results, then: cancelled: maintenance at noon
//! ```

use std::future::pending;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::thread;

use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::cancel::{CancellationToken, Cause};
use tollgate::context::{Context, Interrupted};
use tollgate::time::ThreadTimer;
use tollgate::{Tracker, workers};

const MAINTENANCE: Cause = Cause::new("maintenance at noon");
const STUCK: u64 = 3;
const ENOUGH: usize = 20;

static SHUTDOWN: CancellationToken = CancellationToken::new();

fn main() {
    let (tell_operator, operator_hears) = mpsc::channel();
    let operator = thread::spawn(move || {
        operator_hears.recv().expect("there is news");
        SHUTDOWN.cancel_with(MAINTENANCE);
    });

    let tracker = Arc::new(Tracker::new());
    let jobs = tracker.owned().named("job");
    // Fan-out: three workers, one source.
    let (workers, results) = workers(stream::iter(0..), 3, move |number| jobs.track(square(number)));
    let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(|| block_on(worker))).collect();

    // Fan-in: one stream, for as long as the context lasts.
    let context = Context::under(&SHUTDOWN, ThreadTimer);
    let (taken, end) = block_on(async {
        let mut results = pin!(results.within(&context));
        let mut taken = 0;
        loop {
            match results.next().await.expect("the source has no end") {
                Err(interrupted) => break (taken, interrupted),
                Ok(_) => taken += 1,
            }
            if taken == ENOUGH {
                tell_operator.send(()).expect("the operator listens");
                // So that the example prints the same each time. Else it may be a few results more.
                context.token().cancelled().await;
            }
        }
    });
    println!("{taken} results, then: {end}");
    assert_eq!((taken, end), (ENOUGH, Interrupted::Cancelled(MAINTENANCE)));

    operator.join().expect("the operator is well");
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
    tracker.verify_none().expect("nothing outlives the cancellation");
    assert!(tracker.dropped_unfinished() >= 1, "the stuck job was given up");
}

async fn square(number: u64) -> u64 {
    if number == STUCK {
        pending::<()>().await;
    }
    number * number
}
