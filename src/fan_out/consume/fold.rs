//! All outputs, made into one.

use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{Beside, Consumer};
use crate::fan_out::Progress;

pin_project! {
    /// Makes all outputs into one, beside what is in flight; made by [`FanOut::fold`](crate::FanOut::fold).
    #[must_use = "futures do nothing unless polled"]
    pub struct Fold<S, A, F, B> {
        #[pin]
        beside: Beside<S, Accumulate<A, F>, B>,
    }
}

struct Accumulate<A, F> {
    /// None while a body has it, and for good if that panicked.
    sum: Option<A>,
    f: F,
}

impl<A, F> Accumulate<A, F> {
    fn take(&mut self) -> A {
        self.sum.take().expect("what a fold has so far was lost in a panic")
    }
}

impl<T, A, F, B> Consumer<T> for Accumulate<A, F>
where
    F: FnMut(A, T) -> B,
    B: Future<Output = A>,
{
    type Body = B;
    type Break = core::convert::Infallible;

    fn begin(&mut self, output: T) -> ControlFlow<Self::Break, B> {
        let sum = self.take();
        ControlFlow::Continue((self.f)(sum, output))
    }

    fn end(&mut self, sum: A) -> ControlFlow<Self::Break> {
        self.sum = Some(sum);
        ControlFlow::Continue(())
    }
}

impl<S, A, F, B> Fold<S, A, F, B> {
    pub(in crate::fan_out) fn new(stream: S, init: A, f: F) -> Self {
        Self { beside: Beside::new(stream, Accumulate { sum: Some(init), f }) }
    }
}

impl<S, A, F, B> Future for Fold<S, A, F, B>
where
    S: Progress,
    F: FnMut(A, S::Item) -> B,
    B: Future<Output = A>,
{
    type Output = A;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let mut beside = self.project().beside;
        let ControlFlow::Continue(()) = ready!(beside.as_mut().poll(cx));
        Poll::Ready(beside.consumer().take())
    }
}

impl<S, A, F, B> FusedFuture for Fold<S, A, F, B>
where
    Self: Future,
{
    fn is_terminated(&self) -> bool {
        self.beside.is_over()
    }
}

impl<S: fmt::Debug, A, F, B> fmt::Debug for Fold<S, A, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.beside.debug("Fold", f)
    }
}
