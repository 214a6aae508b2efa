//! The smallest fair one: a queue of tasks that were woken, and the thread that made it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use super::Task;

#[derive(Default)]
struct Queue {
    woken: Mutex<VecDeque<Arc<Woken>>>,
    one_more: Condvar,
}

/// The waker of a task, which is in the queue once at most.
struct Woken {
    number: usize,
    queued: AtomicBool,
    queue: Arc<Queue>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, SeqCst) {
            let queue = self.queue.clone();
            queue.woken.lock().unwrap_or_else(PoisonError::into_inner).push_back(self);
            queue.one_more.notify_one();
        }
    }
}

impl Queue {
    fn next(&self) -> Arc<Woken> {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match woken.pop_front() {
                Some(next) => return next,
                None => woken = self.one_more.wait(woken).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

pub fn run(tasks: Vec<Task>) {
    let queue = Arc::new(Queue::default());
    let mut left = tasks.len();
    let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
    for number in 0..tasks.len() {
        Arc::new(Woken { number, queued: AtomicBool::new(false), queue: queue.clone() }).wake();
    }
    while left > 0 {
        let woken = queue.next();
        woken.queued.store(false, SeqCst);
        let Some(task) = &mut tasks[woken.number] else { continue };
        if task.as_mut().poll(&mut Context::from_waker(&Waker::from(woken.clone()))).is_ready() {
            tasks[woken.number] = None;
            left -= 1;
        }
    }
}
