//! The end of a source, brought about by a future.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

pin_project! {
    /// A source that ends early, when a future completes; made by [`FanOut::stop_when`](super::FanOut::stop_when).
    #[must_use = "streams do nothing unless polled"]
    pub struct Until<St, Fut> {
        #[pin]
        source: St,
        #[pin]
        stop: Option<Fut>,
        stopped: bool,
    }
}

impl<St, Fut> Until<St, Fut> {
    pub(super) fn new(source: St, stop: Fut) -> Self {
        Self { source, stop: Some(stop), stopped: false }
    }

    /// The source.
    pub fn get_ref(&self) -> &St {
        &self.source
    }

    /// The source. What is taken from it directly is not fanned out.
    pub fn get_mut(&mut self) -> &mut St {
        &mut self.source
    }

    /// The source, pinned. What is taken from it directly is not fanned out.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut St> {
        self.project().source
    }

    /// The source alone.
    pub fn into_inner(self) -> St {
        self.source
    }
}

impl<St: Stream, Fut: Future> Stream for Until<St, Fut> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let mut this = self.project();
        if let Some(stop) = this.stop.as_mut().as_pin_mut() {
            if stop.poll(cx).is_ready() {
                *this.stopped = true;
                this.stop.set(None);
            }
        }
        if *this.stopped { Poll::Ready(None) } else { this.source.poll_next(cx) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.stopped { (0, Some(0)) } else { (0, self.source.size_hint().1) }
    }
}

impl<St: fmt::Debug, Fut> fmt::Debug for Until<St, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").field("source", &self.source).field("stopped", &self.stopped).finish_non_exhaustive()
    }
}
