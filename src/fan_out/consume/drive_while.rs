//! Whatever the consumer does, beside what is in flight.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::poll_body;
use crate::fan_out::Progress;

pin_project! {
    /// A future, and what is in flight, polled together; made by [`FanOut::drive_while`](crate::FanOut::drive_while).
    #[must_use = "futures do nothing unless polled"]
    pub struct DriveWhile<'a, S, B>
    where
        S: Progress,
    {
        stream: Pin<&'a mut S>,
        // None when it is over.
        #[pin]
        body: Option<B>,
    }

    impl<S, B> PinnedDrop for DriveWhile<'_, S, B>
    where
        S: Progress,
    {
        fn drop(this: Pin<&mut Self>) {
            this.project().stream.as_mut().rest();
        }
    }
}

impl<'a, S: Progress, B> DriveWhile<'a, S, B> {
    pub(in crate::fan_out) fn new(stream: Pin<&'a mut S>, body: B) -> Self {
        Self { stream, body: Some(body) }
    }
}

impl<S, B> Future for DriveWhile<'_, S, B>
where
    S: Progress,
    B: Future,
{
    type Output = B::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B::Output> {
        let this = self.project();
        match ready!(poll_body(this.body, this.stream.as_mut(), cx)) {
            Some(output) => {
                this.stream.as_mut().rest();
                Poll::Ready(output)
            }
            None => panic!("`DriveWhile` was polled after it was finished"),
        }
    }
}

impl<S, B> FusedFuture for DriveWhile<'_, S, B>
where
    S: Progress,
    B: Future,
{
    fn is_terminated(&self) -> bool {
        self.body.is_none()
    }
}

impl<S: Progress + fmt::Debug, B> fmt::Debug for DriveWhile<'_, S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveWhile")
            .field("stream", &self.stream)
            .field("is_over", &self.body.is_none())
            .finish_non_exhaustive()
    }
}
