//! tokio's two.

use tokio::runtime::{Builder, Runtime};

use super::Task;

pub fn current_thread(tasks: Vec<Task>) {
    run(&Builder::new_current_thread().enable_time().build().expect("a runtime"), tasks);
}

pub fn multi_thread(tasks: Vec<Task>) {
    run(&Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime"), tasks);
}

fn run(runtime: &Runtime, tasks: Vec<Task>) {
    let handles: Vec<_> = tasks.into_iter().map(|task| runtime.spawn(task)).collect();
    runtime.block_on(async {
        for handle in handles {
            handle.await.expect("a task does not panic");
        }
    });
}
