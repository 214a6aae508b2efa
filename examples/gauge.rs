//! A live gauge, printed while work runs.
//!
//! Sixty jobs go through a fan-out of eight. Beside them, in the same task, a line is printed ten times a second with what
//! the tracker says: how many are alive, the most that ever were, and how they ended.
//!
//! ```text
//! $ cargo run --example gauge
//! alive 8 [########]  peak 8  finished 12  given up  2
//! ...
//! ```

use std::pin::pin;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::{block_on, or};
use futures_lite::stream;
use tollgate::time::{Clock, ThreadTimer, Timer};
use tollgate::{DeadlineExt, FanOutExt, Tracker};

const JOBS: u64 = 60;
const AT_ONCE: usize = 8;

static TRACKER: Tracker = Tracker::new();

fn main() {
    block_on(or(work(), gauge()));
    print();
    // All jobs are gone, and their numbers add up.
    TRACKER.verify_none().expect("the fan-out is done");
    let counts = TRACKER.counts();
    assert_eq!(counts.started, counts.finished + counts.dropped_unfinished);
    assert!(counts.peak <= AT_ONCE);
}

/// Jobs of 20 to 200 milliseconds, of which those above 150 are given up.
async fn work() {
    let mut results = pin!(stream::iter(0..JOBS).fan_out_with(AT_ONCE, |job| {
        let length = Duration::from_millis(20 + job * 37 % 180);
        let tracked = TRACKER.track(sleep(length));
        tracked.timeout(ThreadTimer, Duration::from_millis(150))
    }));
    while results.next().await.is_some() {}
}

/// Never ends.
async fn gauge() {
    loop {
        print();
        sleep(Duration::from_millis(100)).await;
    }
}

fn print() {
    let counts = TRACKER.counts();
    println!(
        "alive {} [{:8}]  peak {}  finished {:2}  given up {:2}",
        counts.live,
        "#".repeat(counts.live),
        counts.peak,
        counts.finished,
        counts.dropped_unfinished
    );
}

async fn sleep(duration: Duration) {
    let timer = ThreadTimer;
    if let Some(at) = timer.checked_add(timer.now(), duration) {
        timer.sleep_until(at).await;
    }
}
