//! All outputs, those that failed apart.

use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::{FusedFuture, Stream};
use pin_project_lite::pin_project;

use super::MOST_OUTPUTS;

pin_project! {
    /// Collects what worked and what failed; made by [`FanOut::collect_results`](crate::FanOut::collect_results), and by
    /// that of the results of workers.
    #[must_use = "futures do nothing unless polled"]
    pub struct CollectResults<S, T, E> {
        // None when it is over.
        #[pin]
        stream: Option<S>,
        worked: Vec<T>,
        failed: Vec<E>,
    }
}

impl<S, T, E> CollectResults<S, T, E> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: Some(stream), worked: Vec::new(), failed: Vec::new() }
    }
}

impl<S, T, E> Future for CollectResults<S, T, E>
where
    S: Stream<Item = Result<T, E>>,
{
    type Output = (Vec<T>, Vec<E>);

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        for _ in 0..MOST_OUTPUTS {
            let stream = this.stream.as_mut().as_pin_mut();
            let stream = stream.expect("`CollectResults` was polled after it was finished");
            match ready!(stream.poll_next(cx)) {
                Some(Ok(output)) => this.worked.push(output),
                Some(Err(error)) => this.failed.push(error),
                None => {
                    this.stream.set(None);
                    return Poll::Ready((core::mem::take(this.worked), core::mem::take(this.failed)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S, T, E> FusedFuture for CollectResults<S, T, E>
where
    S: Stream<Item = Result<T, E>>,
{
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S: fmt::Debug, T, E> fmt::Debug for CollectResults<S, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectResults")
            .field("stream", &self.stream)
            .field("worked", &self.worked.len())
            .field("failed", &self.failed.len())
            .finish()
    }
}
