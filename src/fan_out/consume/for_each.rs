//! One thing to do with each output.

use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{Beside, Consumer};
use crate::fan_out::Progress;

pin_project! {
    /// Does something with each output, beside what is in flight; made by [`FanOut::for_each`](crate::FanOut::for_each).
    #[must_use = "futures do nothing unless polled"]
    pub struct ForEach<S, F, B> {
        #[pin]
        beside: Beside<S, Each<F>, B>,
    }
}

struct Each<F>(F);

impl<T, F, B> Consumer<T> for Each<F>
where
    F: FnMut(T) -> B,
    B: Future<Output = ()>,
{
    type Body = B;
    type Break = core::convert::Infallible;

    fn begin(&mut self, output: T) -> ControlFlow<Self::Break, B> {
        ControlFlow::Continue((self.0)(output))
    }

    fn end(&mut self, (): ()) -> ControlFlow<Self::Break> {
        ControlFlow::Continue(())
    }
}

impl<S, F, B> ForEach<S, F, B> {
    pub(in crate::fan_out) fn new(stream: S, f: F) -> Self {
        Self { beside: Beside::new(stream, Each(f)) }
    }
}

impl<S, F, B> Future for ForEach<S, F, B>
where
    S: Progress,
    F: FnMut(S::Item) -> B,
    B: Future<Output = ()>,
{
    type Output = ();

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().beside.poll(cx).map(|ControlFlow::Continue(())| ())
    }
}

impl<S, F, B> FusedFuture for ForEach<S, F, B>
where
    Self: Future,
{
    fn is_terminated(&self) -> bool {
        self.beside.is_over()
    }
}

impl<S: fmt::Debug, F, B> fmt::Debug for ForEach<S, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.beside.debug("ForEach", f)
    }
}
