//! embassy's, whose tasks are static: one executor for the whole program, with room for some.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use embassy_executor::{Executor, SendSpawner};

use super::Task;

#[embassy_executor::task(pool_size = 16)]
async fn any(task: Arc<Mutex<Option<Task>>>, _end: Sender<()>) {
    let task = task.lock().expect("nothing panics with it locked").take();
    task.expect("it is taken once").await;
}

pub fn run(tasks: Vec<Task>) {
    static SPAWNER: OnceLock<SendSpawner> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, spawner) = channel();
        std::thread::spawn(move || {
            let executor = Box::leak(Box::new(Executor::new()));
            executor.run(|spawner| sender.send(spawner.make_send()).expect("somebody waits for it"))
        });
        spawner.recv().expect("the executor starts")
    });
    let (end, ended) = channel();
    for task in tasks {
        let task = Arc::new(Mutex::new(Some(task)));
        // One that has ended gives its place back, but a moment later.
        let token = loop {
            match any(task.clone(), end.clone()) {
                Ok(token) => break token,
                Err(_) => std::thread::yield_now(),
            }
        };
        spawner.spawn(token);
    }
    drop(end);
    assert!(ended.recv().is_err());
}
