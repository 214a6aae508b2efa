//! Sets of futures.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, pending, ready};
use core::pin::{Pin, pin};

use futures_lite::future::{poll_once, zip};
use tollgate::FutureSet;

use crate::Outcome;
use crate::help::{Gauge, Log, ensure, pause, pauses};

type Boxed<'a> = Pin<Box<dyn Future<Output = usize> + Send + 'a>>;

pub(super) async fn a_full_set_takes_one_when_one_is_done() -> Outcome {
    let gauge = Gauge::new();
    let job = async |n: usize| {
        let _inside = gauge.enter();
        pauses(n).await;
        n
    };
    let set = FutureSet::with_capacity(2);
    let push = async {
        for n in 1..=6 {
            set.push(job(n)).await;
        }
    };
    let ((), sum) = zip(push, async {
        let mut sum = 0;
        for _ in 1..=6 {
            loop {
                match set.next().await {
                    Some(n) => break sum += n,
                    None => pause().await,
                }
            }
        }
        sum
    })
    .await;
    ensure!(sum == 21 && set.is_empty());
    ensure!(gauge.peak() <= 2 && gauge.now() == 0);
    Ok(())
}

pub(super) async fn pushing_wakes_whoever_waits_for_outputs() -> Outcome {
    let set = FutureSet::<Boxed<'_>>::with_capacity(4);
    let log = Log::new();
    // Never ready, so that the set has no end.
    ensure!(set.try_push(Box::pin(pending())).is_ok());
    let add = async {
        for n in 0..3 {
            pauses(3).await;
            if set.try_push(Box::pin(async move { n })).is_err() {
                return Err("there is room");
            }
        }
        Ok(())
    };
    let take = async {
        for _ in 0..3 {
            match set.next().await {
                Some(n) => log.note(n),
                None => return Err("it has an end"),
            }
        }
        Ok(())
    };
    let (taken, added) = zip(take, add).await;
    taken.and(added)?;
    ensure!(log.is(&[0, 1, 2]) && set.len() == 1);
    Ok(())
}

pub(super) async fn clearing_drops_what_runs() -> Outcome {
    let gauge = Gauge::new();
    let set = FutureSet::with_capacity(3);
    for _ in 0..3 {
        let run = async {
            let _inside = gauge.enter();
            pending::<()>().await;
        };
        ensure!(set.try_push(run).is_ok());
    }
    ensure!(poll_once(set.next()).await.is_none());
    ensure!(gauge.now() == 3);
    set.clear();
    ensure!(gauge.now() == 0 && set.next().await.is_none());
    Ok(())
}

struct Chains(FutureSet<Boxed<'static>>);

fn chain(set: Arc<Chains>, n: usize) -> Boxed<'static> {
    Box::pin(async move {
        pause().await;
        if n > 0 && set.0.try_push(chain(set.clone(), n - 1)).is_err() {
            return 9;
        }
        n
    })
}

pub(super) async fn a_future_adds_another_one() -> Outcome {
    let set = Arc::new(Chains(FutureSet::with_capacity(2)));
    let log = Log::new();
    ensure!(set.0.try_push(chain(set.clone(), 3)).is_ok());
    while let Some(n) = set.0.next().await {
        log.note(n);
    }
    ensure!(log.is(&[3, 2, 1, 0]));
    Ok(())
}

pub(super) async fn who_waits_for_room_gets_it_in_turn() -> Outcome {
    let job = async |n: usize| {
        pauses(n).await;
        n
    };
    let set = FutureSet::with_capacity(1);
    let log = Log::new();
    ensure!(set.try_push(job(0)).is_ok());
    let add = async |n: usize| {
        set.push(job(n)).await;
        log.note(n);
    };
    // It has no end while somebody waits to add to it.
    let take = async {
        let mut sum = 0;
        while let Some(n) = set.next().await {
            sum = sum * 10 + n;
        }
        sum
    };
    let (((), ()), ((), sum)) = zip(zip(add(1), add(2)), zip(add(3), take)).await;
    ensure!(log.is(&[1, 2, 3]) && sum == 123 && set.is_empty());
    Ok(())
}

pub(super) async fn who_gives_up_leaves_its_turn_to_the_next() -> Outcome {
    let set = FutureSet::with_capacity(1);
    ensure!(set.try_push(ready(1)).is_ok());
    let mut next = pin!(set.push(ready(3)));
    {
        let mut first = pin!(set.push(ready(2)));
        ensure!(poll_once(first.as_mut()).await.is_none());
        ensure!(poll_once(next.as_mut()).await.is_none());
        ensure!(set.next().await == Some(1));
        // The room is for the first one, which leaves without having looked.
        ensure!(set.try_push(ready(4)).is_err());
    }
    let (output, ()) = zip(set.next(), next).await;
    ensure!(output == Some(3) && set.next().await.is_none());
    Ok(())
}
