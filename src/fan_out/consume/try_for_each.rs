//! One thing to do with each output, until something fails.

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
    /// Does something with each output, beside what is in flight, until one of the two fails; made by
    /// [`FanOut::try_for_each`](crate::FanOut::try_for_each).
    #[must_use = "futures do nothing unless polled"]
    pub struct TryForEach<S, F, B> {
        #[pin]
        beside: Beside<S, TryEach<F>, B>,
    }
}

struct TryEach<F>(F);

impl<T, E, F, B> Consumer<Result<T, E>> for TryEach<F>
where
    F: FnMut(T) -> B,
    B: Future<Output = Result<(), E>>,
{
    type Body = B;
    type Break = E;

    fn begin(&mut self, output: Result<T, E>) -> ControlFlow<E, B> {
        match output {
            Ok(output) => ControlFlow::Continue((self.0)(output)),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn end(&mut self, output: Result<(), E>) -> ControlFlow<E> {
        match output {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl<S, F, B> TryForEach<S, F, B> {
    pub(in crate::fan_out) fn new(stream: S, f: F) -> Self {
        Self { beside: Beside::new(stream, TryEach(f)) }
    }
}

impl<S, T, E, F, B> Future for TryForEach<S, F, B>
where
    S: Progress<Item = Result<T, E>>,
    F: FnMut(T) -> B,
    B: Future<Output = Result<(), E>>,
{
    type Output = Result<(), E>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.project().beside.poll(cx).map(|end| match end {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        })
    }
}

impl<S, F, B> FusedFuture for TryForEach<S, F, B>
where
    Self: Future,
{
    fn is_terminated(&self) -> bool {
        self.beside.is_over()
    }
}

impl<S: fmt::Debug, F, B> fmt::Debug for TryForEach<S, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.beside.debug("TryForEach", f)
    }
}
