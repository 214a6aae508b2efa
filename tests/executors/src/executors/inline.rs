//! Has no queue: whoever wakes a task polls it, inside of that call and on that thread.
//!
//! ```text
//!            wake: polls it          wake
//!     idle ------------------> polled ----> once more
//!      ^                        |  ^            |
//!      +------- pending --------+  +-- pending -+
//!                               |               |
//!                               +---> ended <---+   ready
//! ```
//!
//! What calls `wake` meets this as a call that may do anything, with the very object that it was called from.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::Task;

/// How many tasks have not ended.
struct Left(Mutex<usize>, Condvar);

enum State {
    Idle(Task),
    Polled,
    OnceMore,
    Ended,
}

struct Node {
    state: Mutex<State>,
    left: Arc<Left>,
}

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task, to be polled by whoever called; `None` if somebody else does it or will.
    fn take(&self) -> Option<Task> {
        let mut state = self.state();
        match std::mem::replace(&mut *state, State::Polled) {
            State::Idle(task) => Some(task),
            State::Polled | State::OnceMore => {
                *state = State::OnceMore;
                None
            }
            State::Ended => {
                *state = State::Ended;
                None
            }
        }
    }

    /// Gives the task back, unless it was woken since it was taken.
    fn put_back(&self, task: Task) -> Option<Task> {
        let mut state = self.state();
        match *state {
            State::OnceMore => {
                *state = State::Polled;
                Some(task)
            }
            _ => {
                *state = State::Idle(task);
                None
            }
        }
    }
}

impl Wake for Node {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut polled = self.take();
        while let Some(mut task) = polled {
            polled = match task.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => self.put_back(task),
                Poll::Ready(()) => {
                    drop(task);
                    *self.state() = State::Ended;
                    *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                    self.left.1.notify_one();
                    None
                }
            };
        }
    }
}

pub fn run(tasks: Vec<Task>) {
    let left = Arc::new(Left(Mutex::new(tasks.len()), Condvar::new()));
    // Nobody but the wakers of a task owns it: one that all of them forget never ends, as a lost wake does.
    for task in tasks {
        Arc::new(Node { state: Mutex::new(State::Idle(task)), left: left.clone() }).wake();
    }
    let mut count = left.0.lock().unwrap_or_else(PoisonError::into_inner);
    while *count > 0 {
        count = left.1.wait(count).unwrap_or_else(PoisonError::into_inner);
    }
}
