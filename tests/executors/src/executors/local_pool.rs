//! The one of the `futures` crate.

use futures::executor::LocalPool;
use futures::task::SpawnExt;

use super::Task;

pub fn run(tasks: Vec<Task>) {
    let mut pool = LocalPool::new();
    for task in tasks {
        pool.spawner().spawn(task).expect("the pool is there");
    }
    pool.run();
}
