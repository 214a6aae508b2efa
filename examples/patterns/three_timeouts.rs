//! The three timeouts: of one call, of several steps together, and of silence.
//!
//! 1. *One call*: how long may this take? It counts from the first poll. The call is kept, so it can be given more time.
//! 2. *Several steps*: by when must all be done? One instant for all of them, which does not move while steps are taken.
//! 3. *Silence*: how long may nothing come? It counts anew with each item, so a stream may go on for ever, but not hang.
//!
//! Time is simulated here, so that the program takes none and prints the same each time. With `ThreadTimer` in place of the
//! `ManualClock`, or a runtime's timer, the same lines run on real time.
//!
//! ```text
//! $ cargo run --example three_timeouts
//! one call: not done after 5 s, done after 7 s
//! several steps: 2 of 3 done after 10 s
//! silence: [1, 2, 3], and then nothing for 2 s
//! ```

use std::pin::pin;
use std::time::Duration;

use futures_lite::future::{block_on, or, yield_now};
use futures_lite::stream::{self, StreamExt};
use tollgate::time::{Clock, Elapsed, ManualClock};
use tollgate::{DeadlineExt, DeadlineStreamExt};

const SECOND: Duration = Duration::from_secs(1);

fn main() {
    let clock = ManualClock::new();
    simulate(&clock, one_call(&clock));
    let clock = ManualClock::new();
    simulate(&clock, several_steps(&clock));
    let clock = ManualClock::new();
    simulate(&clock, silence(&clock));
}

async fn one_call(clock: &ManualClock) {
    let mut call = pin!(clock.sleep(7 * SECOND).timeout(clock, 5 * SECOND));
    assert_eq!(call.as_mut().await, Err(Elapsed));
    let given_up = clock.now();
    // To drop the call would be to give it up. But it is still there, and nearly done.
    call.as_mut().extend(5 * SECOND);
    assert_eq!(call.await, Ok(()));
    println!("one call: not done after {given_up:?}, done after {:?}", clock.now());
    assert_eq!((given_up, clock.now()), (5 * SECOND, 7 * SECOND));
}

async fn several_steps(clock: &ManualClock) {
    let at = clock.checked_add(clock.now(), 10 * SECOND).expect("the clock goes that far");
    let mut done = 0;
    // With a timeout of ten seconds for each step, all three would be done, after twelve.
    while done < 3 && clock.sleep(4 * SECOND).deadline(clock, at).await.is_ok() {
        done += 1;
    }
    println!("several steps: {done} of 3 done after {:?}", clock.now());
    assert_eq!((done, clock.now()), (2, 10 * SECOND));
}

async fn silence(clock: &ManualClock) {
    // Three items, a second apart, and no end.
    let feed = stream::iter(1..=3).then(async |item| {
        clock.sleep(SECOND).await;
        item
    });
    let mut feed = pin!(feed.chain(stream::pending()).item_timeout(clock, 2 * SECOND));
    let mut items = Vec::new();
    while let Some(Ok(item)) = feed.next().await {
        items.push(item);
    }
    println!("silence: {items:?}, and then nothing for 2 s");
    assert_eq!((items, clock.now()), (vec![1, 2, 3], 5 * SECOND));
}

/// Runs `work`, and whenever that waits, moves the clock to what it waits for.
fn simulate(clock: &ManualClock, work: impl Future<Output = ()>) {
    let time = async {
        while clock.step() {
            yield_now().await;
        }
        panic!("it waits for something that the clock does not bring");
    };
    block_on(or(work, time));
}
