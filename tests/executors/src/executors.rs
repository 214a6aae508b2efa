//! Executors, all as one thing: a function that runs tasks until they have ended.

mod embassy;
mod inline;
mod local_pool;
mod single;
mod smol;
mod spurious;
mod tokio;

use std::pin::Pin;

/// What is spawned.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An executor.
#[derive(Debug)]
pub struct Executor {
    /// The head of its column.
    pub name: &'static str,
    /// What it is, in a line.
    pub what: &'static str,
    /// Spawns all of them and returns when all have ended. Each run has an executor of its own.
    pub run: fn(tasks: Vec<Task>, seed: u64),
    /// How many threads poll.
    pub threads: usize,
    /// Whether another seed makes another run.
    pub by_seed: bool,
    /// Whether a task may be polled inside of a call that wakes it.
    pub polls_in_wake: bool,
}

const COMMON: Executor =
    Executor { name: "", what: "", run: |_, _| {}, threads: 1, by_seed: false, polls_in_wake: false };

pub const EXECUTORS: &[Executor] = &[
    Executor {
        name: "tokio current-thread",
        what: "tokio's runtime of one thread",
        run: |tasks, _| tokio::current_thread(tasks),
        ..COMMON
    },
    Executor {
        name: "tokio multi-thread",
        what: "tokio's runtime that steals work, with two workers",
        run: |tasks, _| tokio::multi_thread(tasks),
        threads: 2,
        ..COMMON
    },
    Executor {
        name: "smol, 1 thread",
        what: "`async_executor::Executor` run by one thread",
        run: |tasks, _| smol::run(tasks, 1),
        ..COMMON
    },
    Executor {
        name: "smol, 2 threads",
        what: "the same run by two",
        run: |tasks, _| smol::run(tasks, 2),
        threads: 2,
        ..COMMON
    },
    Executor {
        name: "LocalPool",
        what: "`futures::executor::LocalPool`",
        run: |tasks, _| local_pool::run(tasks),
        ..COMMON
    },
    Executor {
        name: "embassy",
        what: "`embassy_executor::Executor` on a thread of the host",
        run: |tasks, _| embassy::run(tasks),
        ..COMMON
    },
    Executor {
        name: "hand-written",
        what: "a queue of woken tasks and a thread that polls them in turn",
        run: |tasks, _| single::run(tasks),
        ..COMMON
    },
    Executor {
        name: "polls in wake",
        what: "whoever wakes a task polls it on the spot, unless it is being polled: then it is polled once more",
        run: |tasks, _| inline::run(tasks),
        polls_in_wake: true,
        ..COMMON
    },
    Executor {
        name: "polls at random",
        what: "polls tasks that nobody woke, in random order, and listens to no waker but that of a task's last poll",
        run: spurious::run,
        by_seed: true,
        ..COMMON
    },
];
