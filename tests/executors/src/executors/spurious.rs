//! Polls tasks that nobody woke, in an order that a seed decides.
//!
//! Between two polls that somebody asked for there are at most a few that nobody did, and none while all wait: a wake
//! that is lost stays lost. Every other poll comes with a waker that the task has not seen before, and from then on those
//! before it wake nothing; that is all that a future may rely on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use super::Task;

#[derive(Default)]
struct Board {
    tasks: Mutex<Vec<Wanted>>,
    one_more: Condvar,
}

/// Of a task: the number of its latest waker, and whether that has been woken.
#[derive(Clone, Copy)]
struct Wanted {
    waker: u64,
    woken: bool,
}

struct Handle {
    task: usize,
    number: u64,
    board: Arc<Board>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        let mut tasks = self.board.lock();
        let wanted = &mut tasks[self.task];
        if wanted.waker == self.number {
            wanted.woken = true;
            self.board.one_more.notify_one();
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Vec<Wanted>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

pub fn run(tasks: Vec<Task>, seed: u64) {
    let mut random = Random(seed);
    let board = Arc::new(Board::default());
    // A task that has not been polled is as good as woken.
    board.lock().resize(tasks.len(), Wanted { waker: 0, woken: true });
    let mut running: Vec<_> = tasks.into_iter().enumerate().map(|(n, task)| (n, task, None::<Waker>)).collect();
    let mut uninvited = 0;
    while !running.is_empty() {
        let at = if uninvited > 0 {
            uninvited -= 1;
            random.below(running.len())
        } else {
            uninvited = random.below(4);
            woken(&board, &running, &mut random)
        };
        let (number, task, waker) = &mut running[at];
        {
            let mut tasks = board.lock();
            tasks[*number].woken = false;
            if waker.is_none() || random.below(2) == 0 {
                tasks[*number].waker += 1;
                let handle = Handle { task: *number, number: tasks[*number].waker, board: board.clone() };
                *waker = Some(Arc::new(handle).into());
            }
        }
        let Some(waker) = waker else { unreachable!("it was made above") };
        if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            drop(running.swap_remove(at));
        }
    }
}

/// Waits until a task is woken; of several, any.
fn woken(board: &Board, running: &[(usize, Task, Option<Waker>)], random: &mut Random) -> usize {
    let mut tasks = board.lock();
    loop {
        let woken: Vec<_> = (0..running.len()).filter(|at| tasks[running[*at].0].woken).collect();
        if !woken.is_empty() {
            return woken[random.below(woken.len())];
        }
        tasks = board.one_more.wait(tasks).unwrap_or_else(PoisonError::into_inner);
    }
}
