//! Several tasks on one input, and one stream of what they produce: small items, so that handing them about is what it costs.

use std::future::Future;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use futures_util::{Stream, StreamExt, stream};
use par_stream::ParStreamExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::harness::Scenario;
use crate::polling::yield_now;

/// Workers, and the capacity of what is between them and the consumer.
const WORKERS: usize = 4;
const ROOM: usize = 2 * WORKERS;

const OURS: &str = "tollgate";
const PAR_STREAM: &str = "par-stream";
/// Two channels and the loops around them, as one writes them.
const CHANNELS: &str = "async-channel by hand";
/// A task an item, and a semaphore that bounds them.
const JOIN_SET: &str = "tokio JoinSet, semaphore";

pub fn scenarios() -> Vec<Scenario> {
    let what = "an item that is ready at once; 4 workers on tokio's two threads";
    let ready = add(Scenario::new("workers/ready", what).threaded(), threads, square);
    let what = "an item that yields once; 4 workers on tokio's two threads";
    let yielding = add(Scenario::new("workers/yielding", what).threaded(), threads, square_later);
    let what = "an item that is ready at once; 4 workers on tokio's one-thread runtime";
    let alone = add(Scenario::new("workers/one-thread", what), one_thread, square);
    let what = "an item that is ready at once, outputs in the order of the input; 4 workers on tokio's two threads";
    let ordered = Scenario::new("workers/ordered", what)
        .threaded()
        .peer(OURS, || |items| check(items, threads().block_on(ours_ordered(items))))
        .peer(PAR_STREAM, || {
            |items| check(items, threads().block_on(async { sum(numbers(items).par_then(WORKERS, square)).await }))
        });
    vec![ready, yielding, alone, ordered]
}

fn add<F, Fut>(scenario: Scenario, runtime: fn() -> &'static Runtime, work: F) -> Scenario
where
    F: Fn(u64) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send + 'static,
{
    scenario
        .peer(OURS, move || move |items| check(items, runtime().block_on(ours(items, work))))
        .peer(PAR_STREAM, move || {
            move |items| {
                check(items, runtime().block_on(async { sum(numbers(items).par_then_unordered(WORKERS, work)).await }))
            }
        })
        .peer(CHANNELS, move || move |items| check(items, runtime().block_on(channels(items, work))))
        .peer(JOIN_SET, move || move |items| check(items, runtime().block_on(join_set(items, work))))
}

// === runtimes, items ===

fn threads() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).build().expect("a runtime of two threads"))
}

pub fn one_thread() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().build().expect("a runtime of one thread"))
}

fn numbers(items: u64) -> impl Stream<Item = u64> + Send + 'static {
    stream::iter(0..items)
}

async fn square(n: u64) -> u64 {
    black_box(n).wrapping_mul(n)
}

async fn square_later(n: u64) -> u64 {
    yield_now().await;
    black_box(n).wrapping_mul(n)
}

async fn sum(outputs: impl Stream<Item = u64>) -> u64 {
    outputs.fold(0, |sum: u64, n| std::future::ready(sum.wrapping_add(n))).await
}

fn check(items: u64, sum: u64) {
    assert_eq!(sum, (0..items).fold(0, |sum: u64, n| sum.wrapping_add(n.wrapping_mul(n))));
}

// === the peers ===

async fn ours<F, Fut>(items: u64, work: F) -> u64
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send + 'static,
{
    let (workers, results) = tollgate::workers(numbers(items), WORKERS, work);
    for worker in workers {
        tokio::spawn(worker);
    }
    sum(results).await
}

async fn ours_ordered(items: u64) -> u64 {
    let (workers, results) = tollgate::workers(numbers(items), WORKERS, square);
    for worker in workers {
        tokio::spawn(worker);
    }
    sum(results.ordered()).await
}

async fn channels<F, Fut>(items: u64, work: F) -> u64
where
    F: Fn(u64) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send + 'static,
{
    let (give, take) = async_channel::bounded(ROOM);
    let (put, outputs) = async_channel::bounded(ROOM);
    tokio::spawn(async move {
        let mut numbers = numbers(items);
        while let Some(n) = numbers.next().await {
            if give.send(n).await.is_err() {
                return;
            }
        }
    });
    for _ in 0..WORKERS {
        let (take, put) = (take.clone(), put.clone());
        tokio::spawn(async move {
            while let Ok(n) = take.recv().await {
                if put.send(work(n).await).await.is_err() {
                    return;
                }
            }
        });
    }
    drop((take, put));
    sum(outputs).await
}

async fn join_set<F, Fut>(items: u64, work: F) -> u64
where
    F: Fn(u64) -> Fut + Copy + Send + Sync + 'static,
    Fut: Future<Output = u64> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(WORKERS));
    let mut set = JoinSet::new();
    let mut numbers = numbers(items);
    let mut sum = 0_u64;
    while let Some(n) = numbers.next().await {
        let permit = permits.clone().acquire_owned().await.expect("nobody closes it");
        set.spawn(async move {
            let output = work(n).await;
            drop(permit);
            output
        });
        while let Some(output) = set.try_join_next() {
            sum = sum.wrapping_add(output.expect("a task that ends"));
        }
    }
    while let Some(output) = set.join_next().await {
        sum = sum.wrapping_add(output.expect("a task that ends"));
    }
    sum
}
