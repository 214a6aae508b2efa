//! Things to poll, and to poll them with.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use futures_lite::future::yield_now;
use futures_lite::{StreamExt, stream};

/// A waker that counts.
pub struct Wakes(AtomicUsize);

impl Wakes {
    pub fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self(AtomicUsize::new(0)));
        (wakes.clone(), Waker::from(wakes))
    }

    /// How many wakes came since the last time.
    pub fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once.
pub fn poll<S: Stream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<S::Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

/// Polls once with a waker that does nothing.
pub fn peek<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    poll(stream, Waker::noop())
}

/// Something that futures wait for, and that counts their polls.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<GateState>>);

#[derive(Default)]
pub struct GateState {
    open: bool,
    polls: usize,
    waker: Option<Waker>,
}

impl Gate {
    pub fn open(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.open = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The waker of whoever waits.
    pub fn waker(&self) -> Waker {
        self.0.lock().unwrap().waker.clone().expect("somebody waits")
    }

    pub fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }

    /// Can be moved while it is polled, so that a stream with this in itself can be, too.
    pub fn pass(self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(poll_fn(move |cx| {
            let mut state = self.0.lock().unwrap();
            state.polls += 1;
            if state.open {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        }))
    }

    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap().open
    }
}

pub fn gates(n: usize) -> Vec<Gate> {
    (0..n).map(|_| Gate::default()).collect()
}

/// A stream of the numbers of the gates, each through its gate.
pub fn through(gates: &[Gate]) -> impl Stream<Item = Pin<Box<dyn Future<Output = usize>>>> + Unpin {
    let gates = gates.to_vec();
    stream::iter(gates.into_iter().enumerate()).map(|(n, gate)| -> Pin<Box<dyn Future<Output = usize>>> {
        Box::pin(async move {
            gate.pass().await;
            n
        })
    })
}

/// A source that counts what it gave and panics when polled after its end.
pub struct Source {
    left: usize,
    given: Rc<Cell<usize>>,
    ended: bool,
}

impl Source {
    pub fn new(left: usize) -> (Self, Rc<Cell<usize>>) {
        let given = Rc::new(Cell::new(0));
        (Self { left, given: given.clone(), ended: false }, given)
    }
}

impl Stream for Source {
    type Item = usize;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<usize>> {
        assert!(!self.ended, "polled after its end");
        if self.left == 0 {
            self.ended = true;
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.given.set(self.given.get() + 1);
        Poll::Ready(Some(self.given.get() - 1))
    }
}

pub async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// Random enough, and the same each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}
