//! What the cases are written with.

use core::future::poll_fn;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::task::Poll;

/// Ends the case with the place and the condition, unless that holds.
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err(concat!(module_path!(), ":", line!(), ": ", stringify!($condition)));
        }
    };
}
pub(crate) use ensure;

/// Notes who came, in the order in which they did. For one task: it reads and writes, and never both at once.
pub(crate) struct Log {
    seen: [AtomicUsize; 16],
    len: AtomicUsize,
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self { seen: [const { AtomicUsize::new(0) }; 16], len: AtomicUsize::new(0) }
    }

    pub(crate) fn note(&self, who: usize) {
        let len = self.len.load(Relaxed);
        self.seen[len].store(who, Relaxed);
        self.len.store(len + 1, Relaxed);
    }

    pub(crate) fn is(&self, expected: &[usize]) -> bool {
        let len = self.len.load(Relaxed);
        expected.len() == len && self.seen[..len].iter().zip(expected).all(|(seen, who)| seen.load(Relaxed) == *who)
    }
}

/// Counts what is there now and the most that were at once. For one task, as [`Log`] is.
pub(crate) struct Gauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// One that is there.
pub(crate) struct Inside<'a>(&'a Gauge);

impl Gauge {
    pub(crate) const fn new() -> Self {
        Self { now: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    pub(crate) fn enter(&self) -> Inside<'_> {
        let now = self.now() + 1;
        self.now.store(now, Relaxed);
        self.peak.store(now.max(self.peak()), Relaxed);
        Inside(self)
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Relaxed)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.now.store(self.0.now() - 1, Relaxed);
    }
}

/// Pending once, with the task woken at once.
pub(crate) async fn pause() {
    pauses(1).await;
}

/// Pending `n` times, with the task woken at once.
pub(crate) async fn pauses(mut n: usize) {
    poll_fn(|cx| {
        if n == 0 {
            return Poll::Ready(());
        }
        n -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
