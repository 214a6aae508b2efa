//! What consumers ask of a stream that can work without handing out.

use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;

use super::{FanOut, Launch, Order, Storage, rest_unless_pending, sealed};

/// A stream that can go on with what is in flight while its consumer is busy: [`FanOut`] and
/// [`TryFanOut`](super::TryFanOut).
///
/// This trait is sealed: it is only there to name what the consumers work with.
///
/// ```
/// use core::future::ready;
/// use futures_lite::{future::block_on, stream};
/// use tollgate::{FanOutExt, fan_out::{Progress, TryFanOut, TryPolicy}};
///
/// // Whatever is within.
/// fn errors<S: Progress<Item = Result<T, E>>, T, E>(outputs: TryFanOut<S, E>) -> usize {
///     let mut errors = 0;
///     block_on(outputs.for_each(|outcome| ready(errors += usize::from(outcome.is_err()))));
///     errors
/// }
///
/// let outputs = stream::iter([Ok(1), Err("no"), Err("never")]).fan_out_with(2, ready);
/// assert_eq!(errors(outputs.try_policy(TryPolicy::Continue)), 2);
/// ```
pub trait Progress: Stream + sealed::Sealed {
    /// As [`FanOut::poll_progress`].
    #[doc(hidden)]
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// As [`FanOut::stop`].
    #[doc(hidden)]
    fn stop(&self);

    /// The task goes away: lets go of permits, and places in queues, that nothing has started with.
    #[doc(hidden)]
    fn rest(self: Pin<&mut Self>);
}

impl<St, M, O, S> sealed::Sealed for FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
}

impl<St, M, O, S> Progress for FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        rest_unless_pending(this.launch, |launch| this.engine.poll_progress(this.source, launch, cx))
    }

    fn stop(&self) {
        self.engine.close();
    }

    fn rest(self: Pin<&mut Self>) {
        self.project().launch.rest();
    }
}
