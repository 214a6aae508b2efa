//! Deadlines on embassy's timer and on the crate's own queue, which the tick interrupt drives.
#![no_std]
#![no_main]

use core::future::{pending, poll_fn, ready};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use firmware::{pass, println};
use futures_lite::future::{poll_once, zip};
use futures_lite::{StreamExt, stream};
use tollgate::time::{EmbassyTimer, Timer, TimerQueue};
use tollgate::{DeadlineExt, DeadlineStreamExt, Elapsed, FanOutExt};

static TIMERS: TimerQueue = TimerQueue::new();

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn check<T: Timer + Copy>(name: &str, timer: T) {
    // Up to two ticks late: part of the present one is over, and the next one wakes.
    let begin = firmware::now();
    assert_eq!(pending::<()>().timeout(timer, ms(20)).await, Err(Elapsed));
    let took = firmware::now() - begin;
    assert!((20..=22).contains(&took), "20 ms took {took}");
    println!("{name}: 20 ms took {took}");

    // A task that never rests. It polls all the time, so it learns of the end as soon as the clock does.
    let begin = firmware::now();
    let hot = poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    assert_eq!(hot.timeout(timer, ms(10)).await, Err(Elapsed));
    let took = firmware::now() - begin;
    assert!((10..=12).contains(&took), "10 ms of a hot task took {took}");
    println!("{name}: 10 ms of a task that never rests took {took}");

    // Zero, and instants that are past.
    assert_eq!(poll_once(pin!(pending::<()>().timeout(timer, Duration::ZERO))).await, Some(Err(Elapsed)));
    assert_eq!(poll_once(pin!(pending::<()>().deadline(timer, timer.now()))).await, Some(Err(Elapsed)));
    assert_eq!(ready(1).timeout(timer, Duration::ZERO).await, Ok(1));
    println!("{name}: zero is over at once, and a ready value wins");

    // Durations that no clock can represent, and one that it can and nobody will live to see.
    for huge in [Duration::MAX, Duration::from_secs(u64::MAX / 1000), Duration::from_secs(u64::from(u32::MAX))] {
        assert_eq!(pending::<()>().timeout(timer, huge).timeout(timer, ms(3)).await, Err(Elapsed));
    }
    println!("{name}: what is huge is not over");

    // More time for what was late.
    let mut wait = pin!(pending::<()>().timeout(timer, ms(2)));
    assert_eq!(wait.as_mut().await, Err(Elapsed));
    let begin = firmware::now();
    wait.as_mut().extend(ms(6));
    assert_eq!(wait.await, Err(Elapsed));
    assert!(firmware::now() - begin >= 6);

    // Each future of a fan-out has its own, and so has each item of a stream.
    let begin = firmware::now();
    let outputs = stream::iter([9, 3, 6]).fan_out_inline_with::<3, _, _>(|n| pending::<()>().timeout(timer, ms(n)));
    assert!(pin!(outputs).all(|output| output.is_err()).await);
    assert!((9..=12).contains(&(firmware::now() - begin)), "side by side");
    let mut stalled = pin!(stream::pending::<()>().item_timeout(timer, ms(4)));
    assert_eq!(stalled.next().await, Some(Err(Elapsed)));
    println!("{name}: futures of a fan-out and items of a stream have their own");
}

#[embassy_executor::task]
async fn all() {
    check("embassy", EmbassyTimer).await;
    check("queue", &TIMERS).await;
    assert_eq!(TIMERS.sleepers(), 0);

    // Both at once, in one task.
    let (one, two) = zip(pending::<()>().timeout(EmbassyTimer, ms(5)), pending::<()>().timeout(&TIMERS, ms(5))).await;
    assert_eq!((one, two), (Err(Elapsed), Err(Elapsed)));
    pass()
}

#[firmware::entry]
fn main() -> ! {
    firmware::on_tick(|now| _ = TIMERS.advance(now));
    firmware::run(|spawner| spawner.spawn(all().unwrap()))
}
