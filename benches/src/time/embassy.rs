//! embassy-time above its generic queue, which takes any waker, and a driver that does what its docs say.
//!
//! The driver and its queue are the program's, so one row uses them at a time.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use embassy_time::Timer;
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::polling::Random;

/// How many tasks its queue has room for.
pub const ROOM: usize = 128;

/// Time stands still between ticks; the system's lock stands for a critical section, as for the other rows.
struct Ticks {
    now: AtomicU64,
    queue: Mutex<Queue>,
}

embassy_time_driver::time_driver_impl!(static DRIVER: Ticks = Ticks {
    now: AtomicU64::new(0),
    queue: Mutex::new(Queue::new()),
});

pub fn timeout<F: Future>(inner: F, limit: Duration) -> impl Future {
    embassy_time::with_timeout(ticks(limit), inner)
}

/// Empties the queue, and puts so many other tasks into it, each with a sleep of its own: a task has one entry.
pub fn crowd(live: usize, first: Duration, limit: impl Fn(&mut Random) -> Duration) {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    DRIVER.now.store(1, Ordering::Relaxed);
    *DRIVER.queue.lock().unwrap_or_else(PoisonError::into_inner) = Queue::new();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for task in 0..live {
        let end = if task == 0 { first } else { limit(&mut random) };
        let waker = Waker::from(Arc::new(Task));
        assert!(pin!(Timer::after(ticks(end))).poll(&mut Context::from_waker(&waker)).is_pending());
    }
}

fn ticks(limit: Duration) -> embassy_time::Duration {
    embassy_time::Duration::from_millis(limit.as_millis() as u64)
}

// === impl Ticks ===

impl Driver for Ticks {
    #[inline]
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    #[inline]
    fn schedule_wake(&self, at: u64, waker: &Waker) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.schedule_wake(at, waker) {
            // A chip's compare register would be set to this.
            black_box(queue.next_expiration(self.now()));
        }
    }
}
