//! Polling by hand: futures in slots, a waker that counts, a thread that parks.

use std::cell::Cell;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread::{self, Thread};

/// Room for a number of pinned futures.
pub struct Slots<F>(Box<[Option<F>]>);

/// Wakes of [`waker`] since the program began.
static WAKES: AtomicU64 = AtomicU64::new(0);

/// A small generator of numbers that are random enough to pick a waiter.
pub struct Random(pub u64);

// === impl Slots ===

impl<F> Slots<F> {
    pub fn new(len: usize) -> Self {
        Self((0..len).map(|_| None).collect())
    }

    /// The slot at `index`. Its future stays where it is until it is replaced.
    #[inline(always)]
    pub fn at(&mut self, index: usize) -> Pin<&mut Option<F>> {
        // SAFETY: the slots never move out of the box, are only reached through here, and the box is never resized.
        unsafe { Pin::new_unchecked(&mut self.0[index]) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<F: Future> Slots<F> {
    /// Polls the future at `index`, which is there.
    #[inline(always)]
    pub fn poll(&mut self, index: usize, context: &mut Context<'_>) -> Poll<F::Output> {
        self.at(index).as_pin_mut().expect("a future in the slot").poll(context)
    }
}

// === wakers ===

/// A waker that counts its wakes. Cloning and dropping it is free: what a peer costs shows undiluted.
pub fn waker() -> Waker {
    const TABLE: RawWakerVTable = RawWakerVTable::new(|_| RawWaker::new(std::ptr::null(), &TABLE), wake, wake, |_| {});
    fn wake(_: *const ()) {
        // One thread wakes at a time, so a load and a store do.
        WAKES.store(WAKES.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
    // SAFETY: the data pointer is never used; the table's functions hold nothing.
    unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) }
}

/// How many wakes of [`waker`] there have been.
pub fn wakes() -> u64 {
    WAKES.load(Ordering::Relaxed)
}

pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Makes a future, polls it once, drops it.
pub fn polling<T: 'static, F: Future>(
    from: &'static T,
    is_ready: bool,
    make: impl Fn(&'static T) -> F,
) -> impl FnMut(u64) {
    move |iters| {
        let waker = waker();
        let mut context = Context::from_waker(&waker);
        for _ in 0..iters {
            let future = pin!(make(black_box(from)));
            assert_eq!(black_box(future.poll(&mut context)).is_ready(), is_ready);
        }
    }
}

/// Runs a future on this thread, which parks while it waits; one waker a thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
        fn wake_by_ref(self: &Arc<Self>) {
            self.0.unpark();
        }
    }
    thread_local! {
        static WAKER: Waker = Waker::from(Arc::new(Unpark(thread::current())));
    }
    let mut future = std::pin::pin!(future);
    WAKER.with(|waker| {
        let mut context = Context::from_waker(waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            thread::park();
        }
    })
}

/// Pending once, woken at once: lets the other tasks of a worker run.
pub fn yield_now() -> impl Future<Output = ()> + Send {
    let yielded = Cell::new(false);
    std::future::poll_fn(move |context| {
        if yielded.replace(true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

// === impl Random ===

impl Random {
    #[inline(always)]
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) as usize * bound) >> 32
    }
}
