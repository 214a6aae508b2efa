//! Several tasks that own what they share, on as many threads as the executor likes.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::pending;
use core::pin::pin;

use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use portable_atomic::{AtomicUsize, Ordering::Relaxed};
use tollgate::cancel::Cause;
use tollgate::context::{Interrupted, OwnedContext};
use tollgate::time::TimerQueue;
use tollgate::{CancellationToken, FanOutExt, FutureSet, Limit, OwnedCancellationToken, Semaphore, Tracker, workers};

use super::Run;
use crate::help::{ensure, pause, pauses};

/// How many are inside, of several tasks.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    peak: AtomicUsize,
}

struct Inside<'a>(&'a Crowd);

impl Crowd {
    fn enter(&self) -> Inside<'_> {
        let now = self.now.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

/// A member that only has to end.
fn hand(work: impl Future<Output = ()> + Send + 'static) -> Run {
    Box::pin(async {
        work.await;
        Ok(())
    })
}

fn hands<F: Future<Output = ()> + Send + 'static>(workers: Vec<F>) -> Vec<Run> {
    workers.into_iter().map(hand).collect()
}

pub(super) fn all_items_come_out_once() -> Vec<Run> {
    let (workers, results) = workers(stream::iter(0..200_usize), 4, |n| async move {
        pauses(n % 4).await;
        n
    });
    let mut crew = hands(workers);
    crew.push(Box::pin(async {
        let mut outputs: Vec<_> = results.collect().await;
        outputs.sort_unstable();
        ensure!(outputs.into_iter().eq(0..200));
        Ok(())
    }));
    crew
}

pub(super) fn results_come_in_the_order_of_the_input() -> Vec<Run> {
    let (workers, results) = workers(stream::iter(0..200_usize), 4, |n| async move {
        pauses(7 * n % 5).await;
        n
    });
    let mut crew = hands(workers);
    crew.push(Box::pin(async {
        ensure!(results.ordered().collect::<Vec<_>>().await.into_iter().eq(0..200));
        Ok(())
    }));
    crew
}

pub(super) fn one_leaves_and_the_others_go_on() -> Vec<Run> {
    let (mut workers, results) = workers(stream::iter(0..100_usize), 4, |n| async move {
        pauses(2).await;
        n
    });
    let lost = workers.pop();
    let mut crew = hands(workers);
    crew.push(Box::pin(async {
        let Some(lost) = lost else { return Err("there are four") };
        {
            let mut lost = pin!(lost);
            for _ in 0..4 {
                if poll_once(lost.as_mut()).await.is_some() {
                    // The others had done everything already.
                    break;
                }
                pause().await;
            }
        }
        Ok(())
    }));
    crew.push(Box::pin(async {
        let outputs: Vec<_> = results.ordered().collect().await;
        ensure!(outputs.is_sorted() && (99..=100).contains(&outputs.len()));
        Ok(())
    }));
    crew
}

pub(super) fn without_results_workers_stop() -> Vec<Run> {
    let (workers, mut results) = workers(stream::iter(0..), 4, |n: usize| async move {
        if n > 10 {
            pending::<()>().await;
        }
    });
    let mut crew = hands(workers);
    crew.push(Box::pin(async move {
        for _ in 0..5 {
            ensure!(results.next().await.is_some());
        }
        drop(results);
        Ok(())
    }));
    crew
}

pub(super) fn no_more_is_kept_than_the_window() -> Vec<Run> {
    let taken = Arc::new(AtomicUsize::new(0));
    let source = stream::iter(0..100_usize).map({
        let taken = taken.clone();
        move |n| (taken.fetch_add(1, Relaxed), n).1
    });
    let (workers, results) = workers(source, 4, |n| async move { n });
    let mut results = results.window(6);
    let mut crew = hands(workers);
    crew.push(Box::pin(async move {
        let mut given = 0;
        // The place of the one that is handed out is free at once.
        while results.next().await.is_some() {
            ensure!(taken.load(Relaxed) <= given + 7);
            given += 1;
            pauses(given % 3).await;
        }
        ensure!(given == 100);
        Ok(())
    }));
    crew
}

pub(super) fn permits_go_from_task_to_task() -> Vec<Run> {
    let (gate, crowd) = (Arc::new(Semaphore::new(3)), Arc::new(Crowd::default()));
    (0..4)
        .map(|n| {
            let (gate, crowd) = (gate.clone(), crowd.clone());
            Box::pin(async move {
                for round in 0..25 {
                    let mut permit =
                        gate.clone().acquire_many_owned(1 + (round + n) % 3).await.map_err(|_| "closed")?;
                    let _inside = crowd.enter();
                    ensure!((1..=3).contains(&crowd.peak.load(Relaxed)));
                    pause().await;
                    if permit.permits() > 1 {
                        drop(permit.split(1));
                    }
                    pause().await;
                }
                Ok(())
            }) as Run
        })
        .collect()
}

pub(super) fn several_tasks_add_to_one_set() -> Vec<Run> {
    let set = Arc::new(FutureSet::<Run>::with_capacity(4));
    let crowd = Arc::new(Crowd::default());
    // Keeps the set from being at its end.
    let _ = set.try_push(Box::pin(pending()));
    let mut crew: Vec<Run> = (0..3)
        .map(|_| {
            let (set, crowd) = (set.clone(), crowd.clone());
            Box::pin(async move {
                for n in 0..25 {
                    let crowd = crowd.clone();
                    let job = async move {
                        let _inside = crowd.enter();
                        pauses(n % 4).await;
                        Ok(())
                    };
                    set.push(Box::pin(job) as Run).await;
                }
                Ok(())
            }) as Run
        })
        .collect();
    crew.push(Box::pin(async move {
        for _ in 0..3 * 25 {
            ensure!(set.next().await == Some(Ok(())));
        }
        ensure!(set.len() == 1 && crowd.peak.load(Relaxed) <= 3 && crowd.now.load(Relaxed) == 0);
        set.clear();
        Ok(())
    }));
    crew
}

pub(super) fn streams_in_two_tasks_stay_within_one_limit() -> Vec<Run> {
    let (limit, crowd) = (Arc::new(Limit::new(0)), Arc::new(Crowd::default()));
    let mut crew: Vec<Run> = (0..2)
        .map(|_| {
            let (limit, crowd) = (limit.clone(), crowd.clone());
            let jobs = stream::iter(0..100_usize).fan_out_with(8, move |n| {
                let crowd = crowd.clone();
                async move {
                    let _inside = crowd.enter();
                    pauses(n % 4).await;
                    crowd.peak.load(Relaxed) <= 3
                }
            });
            Box::pin(async move {
                ensure!(pin!(jobs.limit_by(limit)).all(|within| within).await);
                Ok(())
            }) as Run
        })
        .collect();
    crew.push(Box::pin(async move {
        for n in 0..60 {
            pause().await;
            limit.set(n % 4);
        }
        Ok(())
    }));
    crew
}

pub(super) fn streams_and_others_share_permits() -> Vec<Run> {
    let (gate, crowd) = (Arc::new(Semaphore::new(2)), Arc::new(Crowd::default()));
    let mut crew: Vec<Run> = Vec::new();
    for _ in 0..2 {
        let (shared, inside) = (gate.clone(), crowd.clone());
        let jobs = stream::iter(0..50_usize).fan_out_with(4, move |n| {
            let inside = inside.clone();
            async move {
                let _inside = inside.enter();
                pauses(n % 3).await;
                inside.peak.load(Relaxed) <= 2
            }
        });
        crew.push(Box::pin(async move {
            ensure!(pin!(jobs.shared(shared)).all(|within| within).await);
            Ok(())
        }));
        let (gate, crowd) = (gate.clone(), crowd.clone());
        crew.push(Box::pin(async move {
            for _ in 0..25 {
                let permit = gate.clone().acquire_owned().await.map_err(|_| "closed")?;
                let inside = crowd.enter();
                pause().await;
                drop((inside, permit));
            }
            Ok(())
        }));
    }
    crew
}

pub(super) fn a_tree_of_tokens_stops_all_tasks() -> Vec<Run> {
    let root = OwnedCancellationToken::new();
    let ready = Arc::new(Semaphore::new(0));
    let mut crew: Vec<Run> = Vec::new();
    for n in 0..4 {
        let token = if n % 2 == 0 { root.child_token() } else { root.child_token().child_token() };
        let ready = ready.clone();
        crew.push(Box::pin(async move {
            let run = token.run_until_cancelled(async {
                ready.add_permits(1);
                pending::<()>().await;
            });
            ensure!(run.await.is_none() && token.cause() == Some(Cause::new("enough")));
            Ok(())
        }));
    }
    crew.push(Box::pin(async move {
        ready.acquire_many(4).await.map_err(|_| "closed")?.forget();
        root.cancel_with("enough");
        Ok(())
    }));
    crew
}

pub(super) fn one_task_waits_for_the_end_of_the_others() -> Vec<Run> {
    let tracker = Arc::new(Tracker::new());
    let mut crew: Vec<Run> = Vec::new();
    for n in 0..4 {
        let work = tracker.owned().named("member").track(pauses(10 * n));
        crew.push(hand(work));
    }
    crew.push(Box::pin(async move {
        tracker.close();
        tracker.wait_empty().await;
        ensure!(tracker.live() == 0 && tracker.finished() == 4 && tracker.verify_none().is_ok());
        Ok(())
    }));
    crew
}

pub(super) fn a_context_stops_all_tasks() -> Vec<Run> {
    static TIMERS: TimerQueue = TimerQueue::new();
    static ALL: CancellationToken<'static> = CancellationToken::new();
    let root = OwnedContext::under(&ALL.child_token_owned(), &TIMERS).with_value("trace");
    let ready = Arc::new(Semaphore::new(0));
    let mut crew: Vec<Run> = vec![];
    for _ in 0..3 {
        let (request, ready) = (root.child(), ready.clone());
        crew.push(Box::pin(async move {
            ensure!(request.get::<&str>() == Some(&"trace"));
            let jobs = stream::iter(0..9).fan_out_with(3, |_: usize| async {
                ready.add_permits(1);
                pending::<()>().await;
            });
            ensure!(request.run(jobs.for_each(async |()| ())).await == Err(Interrupted::Cancelled("over".into())));
            Ok(())
        }));
    }
    crew.push(Box::pin(async move {
        ready.acquire_many(9).await.map_err(|_| "closed")?.forget();
        root.cancel_with("over");
        Ok(())
    }));
    crew
}

pub(super) fn a_context_stops_them_all() -> Vec<Run> {
    static TIMERS: TimerQueue = TimerQueue::new();
    let request = OwnedContext::new(&TIMERS);
    let ready = Arc::new(Semaphore::new(0));
    let (workers, results) = workers(stream::iter(0..), 4, {
        let ready = ready.clone();
        move |_: usize| {
            let ready = ready.clone();
            async move {
                ready.add_permits(1);
                pending::<()>().await;
            }
        }
    });
    let mut crew = hands(workers);
    let context = request.child();
    crew.push(Box::pin(async move {
        let outcomes: Vec<_> = results.within(&context).collect().await;
        ensure!(outcomes == [Err(Interrupted::Cancelled("over".into()))]);
        Ok(())
    }));
    crew.push(Box::pin(async move {
        ready.acquire_many(4).await.map_err(|_| "closed")?.forget();
        request.cancel_with("over");
        Ok(())
    }));
    crew
}

pub(super) fn a_context_ends_the_streams_of_all_tasks() -> Vec<Run> {
    static TIMERS: TimerQueue = TimerQueue::new();
    let root = OwnedContext::new(&TIMERS);
    let (ready, crowd) = (Arc::new(Semaphore::new(0)), Arc::new(Crowd::default()));
    let mut crew: Vec<Run> = Vec::new();
    for _ in 0..3 {
        let (request, ready, crowd) = (root.child(), ready.clone(), crowd.clone());
        crew.push(Box::pin(async move {
            let jobs = stream::iter(0..9).fan_out_with(3, |_: usize| async {
                let _inside = crowd.enter();
                ready.add_permits(1);
                pending::<()>().await;
            });
            let outcomes: Vec<_> = jobs.within(&request).collect().await;
            ensure!(outcomes == [Err(Interrupted::Cancelled("over".into()))]);
            // What the others run is gone when they say so.
            ready.add_permits(1);
            Ok(())
        }));
    }
    crew.push(Box::pin(async move {
        ready.acquire_many(9).await.map_err(|_| "closed")?.forget();
        ensure!(crowd.now.load(Relaxed) == 9);
        root.cancel_with("over");
        ready.acquire_many(3).await.map_err(|_| "closed")?.forget();
        ensure!(crowd.now.load(Relaxed) == 0);
        Ok(())
    }));
    crew
}

pub(super) fn callbacks_run_in_the_tasks_that_await_them() -> Vec<Run> {
    let root = OwnedCancellationToken::new();
    let count = Arc::new(AtomicUsize::new(0));
    let mut crew: Vec<Run> = Vec::new();
    for n in 0..3 {
        let (token, count) = (root.child_token(), count.clone());
        crew.push(Box::pin(async move {
            let mut callback = pin!(token.clone().on_cancel_owned(|| count.fetch_add(1, Relaxed)));
            ensure!(poll_once(callback.as_mut()).await.is_none());
            if n == 0 {
                // Children leave nothing behind.
                ensure!(callback.as_mut().stop().is_some());
            } else {
                callback.await;
            }
            count.fetch_add(10, Relaxed);
            Ok(())
        }));
    }
    crew.push(Box::pin(async move {
        while root.waiters() < 2 || count.load(Relaxed) < 10 {
            pause().await;
        }
        root.cancel();
        while count.load(Relaxed) < 32 {
            pause().await;
        }
        ensure!(count.load(Relaxed) == 32);
        Ok(())
    }));
    crew
}
