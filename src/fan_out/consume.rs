//! Consumers of a fan-out whose bodies run beside what is in flight.
//!
//! What they have in common is here: one body at a time, polled together with the fan-out.

use core::fmt;
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::{FanOut, Launch, Order, Progress, Storage, TryFanOut, TryPolicy};

#[cfg(feature = "alloc")]
mod collect_results;
mod drive_while;
mod fold;
mod for_each;
mod try_for_each;

#[cfg(feature = "alloc")]
pub use collect_results::CollectResults;
pub use drive_while::DriveWhile;
pub use fold::Fold;
pub use for_each::ForEach;
pub use try_for_each::TryForEach;

/// Outputs that one poll consumes, at most. With bodies that never wait, this is how often the task gets its turn.
pub(super) const MOST_OUTPUTS: usize = 128;

/// # Consumers
///
/// What is in flight goes on while the consumer is busy with an output.
impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Calls `f` with each output and runs the future that it returns, one after another, beside what is in flight.
    ///
    /// Outputs that finish meanwhile wait in their places, as many as the [window](Self::window) allows, and their
    /// places are filled again as far as it does. A `while let` loop stops what is in flight until it comes back for the
    /// next output, and [why that matters](crate::fan_out#snoozing-and-futurelock) is told there.
    ///
    /// To run several of them at once, put what they do into the futures that are fanned out.
    ///
    /// # Fairness
    ///
    /// A poll of this future polls the body, and as long as that is pending, what is in flight. After some outputs whose
    /// bodies did not wait it returns to its task, which it wakes.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the fan-out and all that is in it, and the body that runs.
    ///
    /// # Panics
    ///
    /// A panic, of `f`, of a body, or of what is in flight, goes through to whoever polls. What panicked is gone, and later
    /// polls go on with the rest. Polling it after it was finished panics.
    ///
    /// ```
    /// use futures_lite::{future::block_on, stream};
    /// use tollgate::{FanOutExt, Semaphore};
    ///
    /// static CONNECTIONS: Semaphore = Semaphore::new(2);
    ///
    /// let pages = stream::iter(["a", "bb", "ccc"]).fan_out_with(2, |page| async move {
    ///     let _connection = CONNECTIONS.acquire().await;
    ///     page.len()
    /// });
    /// let mut sizes = 0;
    /// block_on(pages.for_each(|size| {
    ///     sizes += size;
    ///     async {
    ///         let _connection = CONNECTIONS.acquire().await; // what is in flight may have them all
    ///     }
    /// }));
    /// assert_eq!(sizes, 6);
    /// ```
    pub fn for_each<F, B>(self, f: F) -> ForEach<Self, F, B>
    where
        F: FnMut(<M::Future as Future>::Output) -> B,
        B: Future<Output = ()>,
    {
        ForEach::new(self, f)
    }

    /// As [`for_each`](Self::for_each), until an output or what `f` makes of one is an error.
    ///
    /// # Errors
    ///
    /// The first one. All else, in flight or not yet taken, has been dropped by the time it is there. An error counts when
    /// its turn comes to be handed out.
    ///
    /// # Panics
    ///
    /// As [`for_each`](Self::for_each).
    ///
    /// ```
    /// use futures_lite::{future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let numbers = stream::iter(["1", "2", "three", "4"]).fan_out_with(2, |text| async { text.parse::<i32>() });
    /// let mut seen = Vec::new();
    /// let outcome = block_on(numbers.ordered().try_for_each(|number| {
    ///     seen.push(number);
    ///     async { Ok(()) }
    /// }));
    /// assert!(outcome.is_err());
    /// assert_eq!(seen, [1, 2]);
    /// ```
    pub fn try_for_each<T, E, F, B>(self, f: F) -> TryForEach<Self, F, B>
    where
        M::Future: Future<Output = Result<T, E>>,
        F: FnMut(T) -> B,
        B: Future<Output = Result<(), E>>,
    {
        TryForEach::new(self, f)
    }

    /// Makes all outputs into one: `f` gets what there is so far, which is `init` at first, and an output, and returns a
    /// future of what there is then. That runs beside what is in flight, as in [`for_each`](Self::for_each).
    ///
    /// # Panics
    ///
    /// As [`for_each`](Self::for_each), except that after a panic of `f` or of a body, which has what there is so far,
    /// there is nothing to go on with, and later polls panic too.
    ///
    /// ```
    /// use futures_lite::{future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let squares = stream::iter(1..=3).fan_out_with(2, |n| async move { n * n });
    /// assert_eq!(block_on(squares.fold(0, |sum, square| async move { sum + square })), 14);
    /// ```
    pub fn fold<A, F, B>(self, init: A, f: F) -> Fold<Self, A, F, B>
    where
        F: FnMut(A, <M::Future as Future>::Output) -> B,
        B: Future<Output = A>,
    {
        Fold::new(self, init, f)
    }

    /// Collects what worked and what failed, each in the order in which it is handed out. No error ends it.
    ///
    /// ```
    /// use futures_lite::{future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let numbers = stream::iter(["1", "two", "3"]).fan_out_with(2, |text| async move { text.parse().map_err(|_| text) });
    /// let (numbers, wrong): (Vec<i32>, Vec<&str>) = block_on(numbers.ordered().collect_results());
    /// assert_eq!(numbers, [1, 3]);
    /// assert_eq!(wrong, ["two"]);
    /// ```
    #[cfg(feature = "alloc")]
    pub fn collect_results<T, E>(self) -> CollectResults<Self, T, E>
    where
        M::Future: Future<Output = Result<T, E>>,
    {
        CollectResults::new(self)
    }

    /// Runs `future` beside what is in flight, and returns its output.
    ///
    /// For a loop that is not one of the consumers above: what it awaits between two outputs, it awaits in here.
    /// Outputs that finish meanwhile wait in their places, as many as the [window](Self::window) allows.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `future`; what is in flight stays in the fan-out.
    ///
    /// # Panics
    ///
    /// A panic of `future` or of what is in flight goes through to whoever polls. Polling it after it was finished panics.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut outputs = pin!(stream::iter(0..3).fan_out_with(2, |n| async move {
    ///     yield_now().await;
    ///     n
    /// }));
    /// block_on(async {
    ///     while outputs.next().await.is_some() {
    ///         outputs.as_mut().drive_while(yield_now()).await;
    ///     }
    /// });
    /// ```
    pub fn drive_while<B: Future>(self: Pin<&mut Self>, future: B) -> DriveWhile<'_, Self, B> {
        DriveWhile::new(self, future)
    }

    /// Goes on with what is in flight and hands nothing out: takes items and starts them as far as the
    /// [window](Self::window) allows, and polls futures that were woken.
    ///
    /// Ready when nothing more can be done until an output is handed out, or at all. Pending otherwise, and the task will
    /// be woken.
    ///
    /// ```
    /// use core::future::ready;
    /// use core::pin::Pin;
    /// use core::task::{Context, Waker};
    /// use futures_lite::stream;
    /// use tollgate::FanOutExt;
    ///
    /// let mut outputs = stream::iter([1, 2, 3]).fan_out_with(2, ready);
    /// assert!(Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(Waker::noop())).is_ready());
    /// assert_eq!(outputs.finished(), 2);
    /// ```
    pub fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Progress::poll_progress(self, cx)
    }

    /// Says what the first error does to the rest; the outputs of the futures are [`Result`]s.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::fan_out::TryPolicy;
    ///
    /// let outcomes = |policy| {
    ///     let outputs = stream::iter([Ok(1), Err("no"), Ok(2), Ok(3)]).fan_out_with(3, |outcome| async move { outcome });
    ///     block_on(outputs.ordered().try_policy(policy).collect::<Vec<Result<i32, &str>>>())
    /// };
    /// assert_eq!(outcomes(TryPolicy::CancelRest), [Ok(1), Err("no")]);
    /// assert_eq!(outcomes(TryPolicy::Continue), [Ok(1), Err("no"), Ok(2), Ok(3)]);
    /// // Before the error was noticed, at least what runs beside it was taken. That is finished.
    /// assert_eq!(outcomes(TryPolicy::Drain).first(), Some(&Ok(1)));
    /// assert_eq!(outcomes(TryPolicy::Drain).last(), Some(&Err("no")));
    /// ```
    pub fn try_policy<T, E>(self, policy: TryPolicy) -> TryFanOut<Self, E>
    where
        M::Future: Future<Output = Result<T, E>>,
    {
        TryFanOut::new(self, policy)
    }
}

/// What is done with the outputs, one after another.
trait Consumer<T> {
    type Body: Future;
    /// What ends it early.
    type Break;

    fn begin(&mut self, output: T) -> ControlFlow<Self::Break, Self::Body>;

    fn end(&mut self, output: <Self::Body as Future>::Output) -> ControlFlow<Self::Break>;
}

pin_project! {
    /// A stream, and a body for one of its outputs, polled together.
    struct Beside<S, C, B> {
        // None when it is over.
        #[pin]
        stream: Option<S>,
        consumer: C,
        #[pin]
        body: Option<B>,
    }
}

impl<S, C, B> Beside<S, C, B> {
    fn new(stream: S, consumer: C) -> Self {
        Self { stream: Some(stream), consumer, body: None }
    }

    fn is_over(&self) -> bool {
        self.stream.is_none()
    }

    fn consumer(self: Pin<&mut Self>) -> &mut C {
        self.project().consumer
    }

    fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result
    where
        S: fmt::Debug,
    {
        f.debug_struct(name)
            .field("stream", &self.stream)
            .field("has_body", &self.body.is_some())
            .finish_non_exhaustive()
    }
}

impl<S, C> Beside<S, C, C::Body>
where
    S: Progress,
    C: Consumer<S::Item>,
{
    /// One poll. `Continue` is the end of the stream. Either way, all that is left of the stream is dropped by then.
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ControlFlow<C::Break>> {
        assert!(!self.is_over(), "a consumer of a fan-out was polled after it was finished");
        for _ in 0..MOST_OUTPUTS {
            if let Some(end) = ready!(self.as_mut().step(cx)) {
                self.project().stream.set(None);
                return Poll::Ready(end);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Finishes the body that runs and begins the next one.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ControlFlow<C::Break>>> {
        let mut this = self.project();
        let mut stream = this.stream.as_pin_mut().expect("it is not over");
        if let Some(output) = ready!(poll_body(this.body.as_mut(), stream.as_mut(), cx)) {
            if let end @ ControlFlow::Break(_) = this.consumer.end(output) {
                return Poll::Ready(Some(end));
            }
        }
        let Some(output) = ready!(stream.poll_next(cx)) else {
            return Poll::Ready(Some(ControlFlow::Continue(())));
        };
        match this.consumer.begin(output) {
            ControlFlow::Continue(body) => this.body.set(Some(body)),
            ControlFlow::Break(early) => return Poll::Ready(Some(ControlFlow::Break(early))),
        }
        Poll::Ready(None)
    }
}

/// Polls a body, if there is one, and while it is pending what is in flight. `None` when there is no body.
///
/// A body that finished is dropped, and so is one that panics.
fn poll_body<S: Progress, B: Future>(
    body: Pin<&mut Option<B>>,
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
) -> Poll<Option<B::Output>> {
    struct Discard<'a, B>(Pin<&'a mut Option<B>>);

    impl<B> Drop for Discard<'_, B> {
        fn drop(&mut self) {
            self.0.set(None);
        }
    }

    let mut discard = Discard(body);
    let Some(body) = discard.0.as_mut().as_pin_mut() else {
        return Poll::Ready(None);
    };
    if let Poll::Ready(output) = body.poll(cx) {
        return Poll::Ready(Some(output));
    }
    core::mem::forget(discard);
    // Whether or not there is anything to do, the body is waited for, and it wakes the task.
    let _ = stream.poll_progress(cx);
    Poll::Pending
}
