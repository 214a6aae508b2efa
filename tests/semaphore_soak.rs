//! Real threads and real executors: permits are conserved, and never more are out than the limit.
//!
//! Short by default; `TOLLGATE_STEPS` is the number of rounds a worker, `TOLLGATE_SEED` picks what they do.
#![cfg(all(any(feature = "std", feature = "critical-section"), feature = "alloc"))]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once, yield_now, zip};
use support::in_time;
use support::seeded::{Seeded, steps};
use tollgate::Semaphore;

const LIMIT: usize = 5;
const WORKERS: usize = 4;

/// A semaphore, and a count of its permits that are out, kept by those who hold them.
struct Gate {
    semaphore: Arc<Semaphore>,
    out: AtomicUsize,
    peak: AtomicUsize,
    limit: usize,
}

impl Gate {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            semaphore: Arc::new(Semaphore::new(limit)),
            out: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            limit,
        })
    }

    /// Holds `n` permits for as long as the returned value lives. It has to go before the permit does.
    fn hold(&self, n: usize) -> Out<'_> {
        let out = self.out.fetch_add(n, Ordering::Relaxed) + n;
        assert!(out <= self.limit, "{out} permits are out where {} exist", self.limit);
        self.peak.fetch_max(out, Ordering::Relaxed);
        Out { gate: self, n }
    }

    fn settle(&self) {
        assert_eq!(self.out.load(Ordering::Relaxed), 0);
        assert_eq!(self.semaphore.waiters(), 0, "somebody was left in the queue");
        assert_eq!(self.semaphore.available_permits(), self.limit, "permits were lost or made");
        assert!(self.peak.load(Ordering::Relaxed) > 0);
        assert_eq!(Arc::strong_count(&self.semaphore), 1);
    }
}

struct Out<'a> {
    gate: &'a Gate,
    n: usize,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.gate.out.fetch_sub(self.n, Ordering::Relaxed);
    }
}

/// One worker: takes, holds, gives back, gives up, in every form there is.
async fn work(gate: &Gate, mut random: Seeded, rounds: u64, pause: impl AsyncFn()) {
    for _ in 0..rounds {
        let n = random.below(LIMIT + 1);
        let semaphore = &gate.semaphore;
        match random.below(10) {
            0 | 1 => {
                let permit = semaphore.acquire().await.unwrap();
                let _out = gate.hold(permit.permits());
                pause().await;
            }
            2 => {
                let permit = semaphore.clone().acquire_many_owned(n).await.unwrap();
                assert_eq!(permit.permits(), n);
                let _out = gate.hold(n);
                pause().await;
            }
            3 => {
                let mut permit = semaphore.acquire_up_to(1..=LIMIT).priority(n as u8).await.unwrap();
                let half = permit.split(permit.permits() / 2).unwrap();
                {
                    let _out = gate.hold(permit.permits() + half.permits());
                    pause().await;
                }
                drop(permit);
                let _out = gate.hold(half.permits());
            }
            4 => {
                if let Ok(permit) = semaphore.try_acquire_many(n) {
                    let _out = gate.hold(permit.permits());
                }
            }
            5 => {
                let permit = semaphore.acquire().barging().await.unwrap();
                let _out = gate.hold(permit.permits());
            }
            6 => {
                // Given up after one poll, granted or not.
                let permit = poll_once(semaphore.acquire_many(n)).await;
                let _out = permit.as_ref().map(|permit| gate.hold(permit.as_ref().unwrap().permits()));
            }
            7 => {
                // Given up after a while in the queue.
                let mut acquire = pin!(semaphore.clone().acquire_many_owned(n));
                acquire.as_mut().enroll();
                pause().await;
                let permit = poll_once(acquire.as_mut()).await;
                let _out = permit.as_ref().map(|permit| gate.hold(permit.as_ref().unwrap().permits()));
            }
            8 => {
                let mut acquire = pin!(semaphore.acquire_many(n));
                let _ = poll_once(acquire.as_mut()).await.map(drop);
                acquire.as_mut().reset(1);
                let permit = acquire.await.unwrap();
                let _out = gate.hold(permit.permits());
            }
            _ => {
                // Fewer for a moment: the limit may not be exceeded, and comes back exactly.
                semaphore.reduce_permits(n);
                pause().await;
                semaphore.add_permits(n);
            }
        }
    }
}

fn random(worker: usize) -> Seeded {
    Seeded::new(0x50a_4000 + worker as u64)
}

#[test]
fn threads_that_block_on_futures() {
    in_time("threads", || {
        let gate = Gate::new(LIMIT);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let gate = &gate;
                scope.spawn(move || block_on(work(gate, random(worker), steps(5_000, 30_000), yield_now)));
            }
        });
        gate.settle();
    });
}

#[cfg(feature = "std")]
#[test]
fn threads_that_block_without_futures() {
    in_time("blocking threads", || {
        let gate = Gate::new(LIMIT);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let gate = &gate;
                scope.spawn(move || {
                    let mut random = random(worker);
                    for _ in 0..steps(2_000, 10_000) {
                        let n = random.below(LIMIT + 1);
                        let permit = if random.once_in(2) {
                            gate.semaphore.acquire_blocking()
                        } else {
                            gate.semaphore.acquire_many_blocking(n)
                        };
                        let permit = permit.unwrap();
                        let _out = gate.hold(permit.permits());
                    }
                });
            }
        });
        gate.settle();
    });
}

#[test]
fn tasks_on_tokios_threads() {
    in_time("tokio, threads", || {
        let gate = Gate::new(LIMIT);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..3 * WORKERS)
                .map(|worker| {
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        work(&gate, random(worker), steps(1_000, 6_000), tokio::task::yield_now).await;
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        gate.settle();
    });
}

#[test]
fn tasks_on_one_tokio_thread() {
    in_time("tokio, one thread", || {
        let gate = Gate::new(LIMIT);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..3 * WORKERS)
                .map(|worker| {
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        work(&gate, random(worker), steps(1_000, 6_000), tokio::task::yield_now).await;
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        gate.settle();
    });
}

#[test]
fn aborted_tokio_tasks_give_back_what_they_hold_and_their_places() {
    in_time("tokio, aborts", || {
        let gate = Gate::new(LIMIT);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            for round in 0..20 {
                let tasks: Vec<_> = (0..20)
                    .map(|worker| {
                        let gate = gate.clone();
                        tokio::spawn(async move {
                            let permit = gate.semaphore.acquire_many(worker % 3 + 1).await.unwrap();
                            let _out = gate.hold(permit.permits());
                            tokio::time::sleep(Duration::from_micros(200)).await;
                        })
                    })
                    .collect();
                tokio::time::sleep(Duration::from_micros(100 * round)).await;
                for (place, task) in tasks.iter().enumerate() {
                    if place % 2 == 0 {
                        task.abort();
                    }
                }
                for task in tasks {
                    let _ = task.await;
                }
            }
        });
        drop(runtime);
        gate.settle();
    });
}

#[test]
fn a_timeout_of_tokio_around_an_acquire_loses_nothing() {
    in_time("tokio, timeouts", || {
        let gate = Gate::new(1);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..8)
                .map(|worker| {
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        for round in 0..30 {
                            let limit = Duration::from_micros(50 * ((worker + round) % 5));
                            if let Ok(permit) = tokio::time::timeout(limit, gate.semaphore.acquire()).await {
                                let permit = permit.unwrap();
                                let _out = gate.hold(permit.permits());
                                tokio::task::yield_now().await;
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        drop(runtime);
        gate.peak.fetch_max(1, Ordering::Relaxed); // on a slow machine every one of them may time out
        gate.settle();
    });
}

#[test]
fn tasks_on_a_smol_executor_that_threads_share() {
    in_time("async-executor", || {
        let gate = Gate::new(LIMIT);
        let executor = async_executor::Executor::new();
        let stop = Semaphore::new(0);
        thread::scope(|scope| {
            for _ in 0..WORKERS {
                // The semaphore itself says when to stop.
                scope.spawn(|| block_on(executor.run(async { assert!(stop.acquire().await.is_err()) })));
            }
            let tasks: Vec<_> = (0..3 * WORKERS)
                .map(|worker| {
                    let gate = gate.clone();
                    executor.spawn(async move {
                        work(&gate, random(worker), steps(1_000, 6_000), yield_now).await;
                    })
                })
                .collect();
            block_on(async {
                for task in tasks {
                    task.await;
                }
            });
            stop.close();
        });
        drop(executor);
        gate.settle();
    });
}

#[test]
fn two_futures_of_one_task_share_a_semaphore() {
    in_time("zip", || {
        let gate = Gate::new(LIMIT);
        let work_here = |worker| work(&gate, random(worker), steps(1_000, 6_000), yield_now);
        block_on(zip(work_here(1), work_here(2)));
        gate.settle();
    });
}

#[test]
fn a_limit_that_moves_under_load_is_never_exceeded_by_those_who_came_after_it() {
    /// Rounds to one that is looked at.
    const LOOK: usize = 25;
    in_time("moving limit", || {
        let gate = Gate::new(8);
        let stop = AtomicBool::new(false);
        let rounds = steps(500, 10_000) as usize;
        // Which look is under way, and what those hold who came in each. A total would not do: who was granted permits
        // before the limit went down may be late to count them.
        let held: Vec<_> = (0..rounds / LOOK + 2).map(|_| AtomicUsize::new(0)).collect();
        // Until the first look, one that never comes.
        let look = AtomicUsize::new(held.len() - 1);
        thread::scope(|scope| {
            for worker in 0..WORKERS - 1 {
                let (gate, stop, look, held) = (&gate, &stop, &look, &held);
                scope.spawn(move || {
                    let mut random = random(worker);
                    while !stop.load(Ordering::Relaxed) {
                        let n = random.below(3) + 1;
                        let held = &held[look.load(Ordering::Acquire)];
                        // Dropping a waiter in a while keeps a limit of zero from holding the thread for good.
                        let permit = block_on(async {
                            let mut acquire = pin!(gate.semaphore.acquire_many(n));
                            for _ in 0..20 {
                                if let Some(permit) = poll_once(acquire.as_mut()).await {
                                    return permit.ok();
                                }
                                yield_now().await;
                            }
                            None
                        });
                        if let Some(permit) = permit {
                            let out = gate.hold(n);
                            held.fetch_add(n, Ordering::Relaxed);
                            thread::yield_now();
                            held.fetch_sub(n, Ordering::Relaxed);
                            drop(out);
                            drop(permit);
                        }
                    }
                });
            }
            for round in 0..rounds {
                let limit = round % 9;
                gate.semaphore.set_limit(limit);
                if round % LOOK == 0 {
                    look.store(round / LOOK, Ordering::Release);
                    for _ in 0..20 {
                        assert!(gate.semaphore.available_permits() <= limit);
                        assert!(held[round / LOOK].load(Ordering::Relaxed) <= limit);
                        thread::yield_now();
                    }
                }
            }
            gate.semaphore.set_limit(8);
            stop.store(true, Ordering::Relaxed);
        });
        gate.peak.fetch_max(1, Ordering::Relaxed);
        gate.settle();
    });
}

#[test]
fn a_close_under_load_lets_everybody_go_and_loses_nothing() {
    in_time("close under load", || {
        for round in 0..50 {
            let gate = Gate::new(2);
            thread::scope(|scope| {
                for worker in 0..WORKERS {
                    let gate = &gate;
                    scope.spawn(move || {
                        block_on(async {
                            while let Ok(permit) = gate.semaphore.acquire_many(worker % 2 + 1).await {
                                let _out = gate.hold(permit.permits());
                                yield_now().await;
                            }
                            assert!(gate.semaphore.is_closed());
                        });
                    });
                }
                thread::sleep(Duration::from_micros(100 * (round % 10)));
                gate.semaphore.close();
            });
            gate.peak.fetch_max(1, Ordering::Relaxed);
            gate.settle();
        }
    });
}

#[test]
fn what_was_written_under_a_permit_is_seen_by_the_next_holder() {
    use std::cell::UnsafeCell;
    /// A number that only the holder of the one permit touches.
    struct Guarded(UnsafeCell<u64>);
    // SAFETY: it is only reached with the semaphore's single permit in hand.
    unsafe impl Sync for Guarded {}

    in_time("a mutex of one permit", || {
        let gate = Semaphore::new(1);
        let guarded = Guarded(UnsafeCell::new(0));
        let rounds = steps(5_000, 50_000);
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (gate, guarded) = (&gate, &guarded);
                scope.spawn(move || {
                    block_on(async {
                        for round in 0..rounds {
                            let permit = if (round + worker as u64) % 7 == 0 {
                                block_on(gate.acquire_up_to(1..=3)).unwrap()
                            } else {
                                gate.acquire().await.unwrap()
                            };
                            // SAFETY: the one permit is in hand.
                            unsafe { *guarded.0.get() += 1 };
                            drop(permit);
                        }
                    });
                });
            }
        });
        assert_eq!(guarded.0.into_inner(), rounds * WORKERS as u64);
    });
}

#[test]
fn nobody_starves_beside_a_greedy_loop() {
    in_time("a greedy loop", || {
        let gate = Semaphore::new(2);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        drop(gate.try_acquire());
                        drop(block_on(gate.acquire()).unwrap());
                    }
                });
            }
            for _ in 0..20 {
                // Both at once, beside loops that always take one.
                assert_eq!(block_on(gate.acquire_many(2)).unwrap().permits(), 2);
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(gate.available_permits(), 2);
    });
}

#[test]
fn the_futures_of_this_file_are_send() {
    fn is_send<T: Future + Send>(_: &T) {}
    let gate = Gate::new(1);
    is_send(&async { drop(gate.semaphore.acquire_many(1).await) });
    is_send(&gate.semaphore.clone().acquire_owned());
}
