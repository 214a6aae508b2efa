//! Sets of futures that know no limit, made into a fan-out as one writes it: filled from the stream up to the limit, then polled.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_concurrency::future::FutureGroup;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::Fuse;
use tokio::task::JoinSet;
use tokio_util::task::JoinQueue;

/// A set that takes any number of futures and gives out what they return.
pub trait Set<F: Future> {
    fn len(&self) -> usize;
    fn push(&mut self, future: F);
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>>;
}

/// The outputs of a stream of futures, of which at most `limit` are in the set at once.
pub struct ByHand<St, G> {
    source: Fuse<St>,
    set: G,
    limit: usize,
}

/// A future that stays on the thread that made it.
struct Here<F>(F);

impl<St: Stream, G> ByHand<St, G> {
    pub fn new(source: St, set: G, limit: usize) -> Self {
        Self { source: source.fuse(), set, limit }
    }
}

impl<St, G> Stream for ByHand<St, G>
where
    St: Stream<Item: Future> + Unpin,
    G: Set<St::Item> + Unpin,
{
    type Item = <St::Item as Future>::Output;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while this.set.len() < this.limit {
            let Poll::Ready(Some(future)) = this.source.poll_next_unpin(context) else { break };
            this.set.push(future);
        }
        match this.set.poll(context) {
            Poll::Ready(None) if !this.source.is_done() => Poll::Pending,
            polled => polled,
        }
    }
}

// === the sets ===

impl<F: Future> Set<F> for unicycle::FuturesUnordered<F> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push(&mut self, future: F) {
        self.push(future);
    }

    #[inline]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.poll_next_unpin(context)
    }
}

impl<F: Future + Unpin> Set<F> for FutureGroup<F> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push(&mut self, future: F) {
        self.insert(future);
    }

    #[inline]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.poll_next_unpin(context)
    }
}

/// What joins tasks on the runtime that the caller is in, which must be one of one thread.
macro_rules! joins_tasks {
    ($($set:ident),+) => {$(
        impl<F: Future<Output: Send + 'static> + 'static> Set<F> for $set<F::Output> {
            #[inline]
            fn len(&self) -> usize {
                self.len()
            }

            #[inline]
            fn push(&mut self, future: F) {
                self.spawn(Here(future));
            }

            #[inline]
            fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
                self.poll_join_next(context).map(|joined| joined.map(|output| output.expect("a task that ends")))
            }
        }
    )+};
}

joins_tasks!(JoinSet, JoinQueue);

// === impl Here ===

// SAFETY: it is spawned on a runtime of one thread only, which is the one that made it: `block_on` of `one_thread` returns
// when the set is empty, and nobody else has that runtime.
unsafe impl<F> Send for Here<F> {}

impl<F: Future> Future for Here<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned with the whole; nothing moves out of it.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(context)
    }
}
