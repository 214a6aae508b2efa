//! One worker: takes an item, runs its future, reports, and again.

use alloc::sync::Arc;
use core::fmt;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::{FusedFuture, Stream};
use pin_project_lite::pin_project;

use super::board::Board;
use super::source::Source;
use crate::cancel::CancelledOwned;
use crate::semaphore::AcquireOwned;

/// Items that one poll finishes, at most. With futures that never wait, this is how often the task gets its turn.
const MOST_ITEMS: usize = 64;

pin_project! {
    /// One of the workers of [`workers`](super::workers()): a future that takes items and runs them, one after another, until
    /// there is nothing more to do.
    ///
    /// Spawn it, or poll it on any thread. It is ready when the source has ended, when the results were
    /// [stopped](super::Results::stop), or when they were dropped; it then has nothing left in it.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future that it runs, and that item with it. The other workers go on with the next ones. When
    /// all have been dropped, the results end.
    ///
    /// # Panics
    ///
    /// A panic of the source, of the function or of a future goes through to whoever polls. The other workers go on, and so
    /// does this one if it is polled again; after a panic of the source, as if the source had ended. Polling it after it was
    /// ready panics.
    ///
    /// # Size and cost
    ///
    /// One item, one future of an item, or what a wait for a permit takes, whichever is most, and 120 bytes at most on a 64-bit
    /// machine. An item costs two permits, one for its place and one for its turn at the source, and a short lock for its output.
    #[must_use = "a worker does nothing unless it is spawned or polled"]
    pub struct Worker<St, F, Fut>
    where
        St: Stream,
        Fut: Future,
    {
        board: Arc<Board<Fut::Output>>,
        source: Arc<Source<St>>,
        f: Arc<F>,
        #[pin]
        quit: CancelledOwned,
        #[pin]
        stage: Stage<St::Item, Fut>,
    }

    impl<St, F, Fut> PinnedDrop for Worker<St, F, Fut>
    where
        St: Stream,
        Fut: Future,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !matches!(*this.stage, Stage::Over) {
                end(this.stage, this.board);
            }
        }
    }
}

pin_project! {
    // ```text
    //   Idle ──► Place ──► Turn ──► Take ──► Start ──► Work ──► Idle
    //     └────────┴─────────┴────────┴────────┴─────────┴────► Over
    // ```
    // Place waits for a place, Turn for the turn, Take for an item, Start for whoever took the turn (W6), Work for the item's
    // future; who need not wait passes over Place, Turn and Start. From Turn on the worker has a place, in Take the turn too.
    #[project = StageProjection]
    enum Stage<I, Fut> {
        Idle,
        Place { #[pin] place: AcquireOwned },
        Turn { #[pin] turn: AcquireOwned },
        Take,
        Start { input: Option<I>, item: usize },
        Work { #[pin] future: Fut, item: usize },
        Over,
    }
}

enum Step {
    /// To the next step.
    On,
    /// An item is done.
    Done,
    /// Others first.
    Yield,
    /// The source has ended, or the results have no use for more.
    End,
    Wait,
}

/// Reports an item when it is dropped, so that a panic does not leave it out (W2).
struct Reporting<'a, T> {
    board: &'a Board<T>,
    item: usize,
    output: Option<T>,
}

/// Ends an item when it is dropped: first its input or its future, so that what that held is free, then the report.
struct Working<'a, I, Fut: Future> {
    stage: Pin<&'a mut Stage<I, Fut>>,
    reporting: Reporting<'a, Fut::Output>,
}

/// Tells the board that a worker is gone, when all else that it had is.
struct Leaving<'a, T>(&'a Board<T>);

// === impl Worker ===

impl<St, F, Fut> Worker<St, F, Fut>
where
    St: Stream,
    F: Fn(St::Item) -> Fut,
    Fut: Future,
{
    pub(super) fn new(board: Arc<Board<Fut::Output>>, source: Arc<Source<St>>, f: Arc<F>) -> Self {
        let quit = board.abandoned();
        Self { board, source, f, quit, stage: Stage::Idle }
    }

    /// Goes one step on. All stages are in one function, for it is the match that says which of them has the turn, and so may
    /// reach the source.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Step {
        let mut this = self.project();
        let board = &**this.board;
        if board.is_abandoned() {
            return Step::End;
        }
        match this.stage.as_mut().project() {
            StageProjection::Over => panic!("`Worker` polled after it was finished"),
            StageProjection::Work { item, .. } => {
                let reporting = Reporting { board, item: *item, output: None };
                return match (Working { stage: this.stage, reporting }.poll(cx)) {
                    Step::Wait if this.quit.poll(cx).is_ready() => Step::End,
                    step => step,
                };
            }
            StageProjection::Start { input, item } => {
                let (input, item) = (input.take().expect("an item to start with"), *item);
                this.stage.set(Stage::Idle);
                start(this.stage, Reporting { board, item, output: None }, || (this.f)(input));
                return Step::On;
            }
            _ if board.is_closed() => return Step::End,
            StageProjection::Idle => {
                if !board.try_place() {
                    this.stage.set(Stage::Place { place: board.place() });
                    return Step::On;
                }
            }
            StageProjection::Place { place } => match place.poll(cx) {
                Poll::Pending => return Step::Wait,
                Poll::Ready(Err(_)) => return Step::End,
                Poll::Ready(Ok(place)) => place.forget(),
            },
            StageProjection::Turn { turn } => match turn.poll(cx) {
                Poll::Pending => return Step::Wait,
                Poll::Ready(Err(_)) => return Step::End,
                Poll::Ready(Ok(turn)) => {
                    turn.forget();
                    this.stage.set(Stage::Take);
                    return Step::On;
                }
            },
            StageProjection::Take => {
                // SAFETY: in this stage the worker has the turn (W5).
                let taken = match unsafe { this.source.poll_take(cx) } {
                    Poll::Pending => {
                        board.register_taker(cx);
                        return if board.is_closed() { Step::End } else { Step::Wait };
                    }
                    Poll::Ready(taken) => taken,
                };
                let Some((item, input)) = taken else {
                    board.close();
                    return Step::End;
                };
                let reporting = Reporting { board, item, output: None };
                this.stage.set(Stage::Idle);
                if board.turn_over() {
                    mem::forget(reporting);
                    this.stage.set(Stage::Start { input: Some(input), item });
                    return Step::Yield;
                }
                start(this.stage, reporting, || (this.f)(input));
                return Step::On;
            }
        }
        // There is a place. Most often the turn is free too.
        this.stage.set(if board.try_turn() { Stage::Take } else { Stage::Turn { turn: board.turn() } });
        Step::On
    }
}

impl<St, F, Fut> Future for Worker<St, F, Fut>
where
    St: Stream,
    F: Fn(St::Item) -> Fut,
    Fut: Future,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut items = 0;
        while items < MOST_ITEMS {
            match self.as_mut().step(cx) {
                Step::On => {}
                Step::Done => items += 1,
                Step::End => {
                    let this = self.project();
                    end(this.stage, this.board);
                    return Poll::Ready(());
                }
                Step::Yield => break,
                Step::Wait => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<St, F, Fut> FusedFuture for Worker<St, F, Fut>
where
    St: Stream,
    F: Fn(St::Item) -> Fut,
    Fut: Future,
{
    fn is_terminated(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl<St, F, Fut> fmt::Debug for Worker<St, F, Fut>
where
    St: Stream,
    Fut: Future,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.stage {
            Stage::Idle => "nothing",
            Stage::Place { .. } => "waiting for room among the results",
            Stage::Turn { .. } => "waiting for its turn",
            Stage::Take => "taking an item",
            Stage::Start { .. } | Stage::Work { .. } => "working",
            Stage::Over => "over",
        };
        let item = match self.stage {
            Stage::Start { item, .. } | Stage::Work { item, .. } => Some(item),
            _ => None,
        };
        f.debug_struct("Worker").field("doing", &doing).field("item", &item).finish()
    }
}

/// Makes an item's future. If that panics, the item is lost.
fn start<I, Fut: Future>(
    mut stage: Pin<&mut Stage<I, Fut>>,
    reporting: Reporting<'_, Fut::Output>,
    f: impl FnOnce() -> Fut,
) {
    let item = reporting.item;
    let future = f();
    mem::forget(reporting);
    stage.set(Stage::Work { future, item });
}

/// Drops what a stage has, accounts for it, and leaves the board.
fn end<I, Fut: Future>(mut stage: Pin<&mut Stage<I, Fut>>, board: &Board<Fut::Output>) {
    let _leaving = Leaving(board);
    match *stage {
        Stage::Start { item, .. } | Stage::Work { item, .. } => {
            drop(Working { reporting: Reporting { board, item, output: None }, stage: stage.as_mut() })
        }
        Stage::Turn { .. } => {
            stage.set(Stage::Over);
            board.unused();
        }
        Stage::Take => {
            stage.set(Stage::Over);
            board.forget_taker();
            let _ = board.turn_over(); // this one works no more
            board.unused();
        }
        Stage::Idle | Stage::Place { .. } | Stage::Over => {}
    }
    stage.set(Stage::Over);
}

// === impl Reporting, Working, Leaving ===

impl<T> Drop for Reporting<'_, T> {
    fn drop(&mut self) {
        self.board.report(self.item, self.output.take());
    }
}

impl<I, Fut: Future> Working<'_, I, Fut> {
    /// A panic passes through `drop`, which frees the slot.
    fn poll(mut self, cx: &mut Context<'_>) -> Step {
        let StageProjection::Work { future, .. } = self.stage.as_mut().project() else {
            unreachable!("nothing to poll")
        };
        match future.poll(cx) {
            Poll::Pending => {
                mem::forget(self);
                Step::Wait
            }
            Poll::Ready(output) => {
                self.reporting.output = Some(output);
                Step::Done
            }
        }
    }
}

impl<I, Fut: Future> Drop for Working<'_, I, Fut> {
    fn drop(&mut self) {
        // The report comes after this, being a field.
        self.stage.set(Stage::Idle);
    }
}

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}
