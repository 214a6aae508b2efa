//! smol's, which runs wherever a thread runs it.

use async_executor::Executor;
use futures::channel::oneshot::channel;
use futures_lite::future::block_on;

use super::Task;

pub fn run(tasks: Vec<Task>, threads: usize) {
    let executor = Executor::new();
    let tasks: Vec<_> = tasks.into_iter().map(|task| executor.spawn(task)).collect();
    std::thread::scope(|scope| {
        let mut ends = Vec::new();
        for _ in 1..threads {
            let (end, ended) = channel::<()>();
            ends.push(end);
            let executor = &executor;
            scope.spawn(move || block_on(executor.run(ended)).is_err());
        }
        block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
    });
}
