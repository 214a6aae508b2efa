//! A graceful shutdown, in three steps that each give the one before it a chance.
//!
//! 1. *Stop*: take nothing new.
//! 2. *Drain*: let what was begun finish, for so long.
//! 3. *Cancel*: what has not finished by then is told to give up, and given a moment to clean up.
//!
//! At the end a tracker proves that nothing is left. Three threads serve requests here. One request waits for something that
//! never comes, so all three steps are needed.
//!
//! ```text
//! $ cargo run --example graceful_shutdown
//! serving
//! stop: nothing new is taken
//! drain: not done in 200ms, 1 alive
//! cancel: request 4 was given up, shutting down
//! nothing is left
//! ```

use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use futures_lite::{StreamExt, stream};
use tollgate::cancel::{Cause, OwnedCancellationToken};
use tollgate::time::ThreadTimer;
use tollgate::{DeadlineExt, Elapsed, Tracker, workers};

const STUCK: u64 = 4;
const SHUTDOWN: Cause = Cause::new("shutting down");
/// A server would take ten seconds, or what its supervisor grants it.
const DRAIN: Duration = Duration::from_millis(200);
/// An upper bound: the check is over as soon as nothing is left.
const CLEANUP: Duration = Duration::from_secs(60);

type Outcome = Result<u64, (u64, Cause)>;

fn main() {
    let tracker = Arc::new(Tracker::new());
    let cancel = OwnedCancellationToken::new();

    let requests = tracker.owned().named("request");
    let parent = cancel.clone();
    let serve = move |number| requests.track(serve(number, parent.child_token()));
    let (workers, mut results) = workers(stream::iter(1..), 3, serve);
    let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(|| block_on(worker))).collect();

    block_on(async {
        let mut served: Vec<u64> = Vec::new();
        println!("serving");
        while served.len() < 10 {
            served.extend(results.next().await.expect("there are always more requests"));
        }

        println!("stop: nothing new is taken");
        results.stop();

        // Giving this up loses nothing: what comes later is still there to be had.
        let drain = async {
            while let Some(outcome) = results.next().await {
                served.extend(outcome);
            }
        };
        assert_eq!(drain.timeout(ThreadTimer, DRAIN).await, Err(Elapsed));
        println!("drain: not done in {DRAIN:?}, {} alive", tracker.live());

        cancel.cancel_with(SHUTDOWN);
        let rest: Vec<Outcome> = results.collect().await;
        for (number, why) in rest.iter().filter_map(|outcome| outcome.err()) {
            println!("cancel: request {number} was given up, {why}");
        }

        // Nothing may come after this; and nothing that came is still there.
        tracker.close();
        tracker.verify_none_within(ThreadTimer, CLEANUP).await.expect("all have gone");
        println!("nothing is left");
        assert!(rest.contains(&Err((STUCK, SHUTDOWN))));
        assert_eq!(served.len() + rest.len(), tracker.finished(), "each request had an outcome");
        assert_eq!(tracker.dropped_unfinished(), 0, "no request was torn down half way");
    });
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
}

async fn serve(number: u64, cancel: OwnedCancellationToken) -> Outcome {
    let work = async {
        if number == STUCK {
            pending::<()>().await;
        }
    };
    match cancel.run_until_cancelled(work).await {
        Some(()) => Ok(number),
        None => {
            // No longer under the token. A deadline of its own sees to it that cleaning up ends too.
            let _ = roll_back(number).timeout(ThreadTimer, CLEANUP / 2).await;
            Err((number, cancel.cause().expect("that is why we are here")))
        }
    }
}

async fn roll_back(_request: u64) {}
