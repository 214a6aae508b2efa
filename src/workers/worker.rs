//! One worker: takes an item, runs its future, reports, and again.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use async_lock::futures::LockArc;
use async_lock::{Mutex, MutexGuardArc};
use event_listener::EventListener;
use futures_core::{FusedFuture, Stream};
use pin_project_lite::pin_project;

use super::board::Board;
use crate::semaphore::AcquireOwned;

/// Items that one poll finishes, at most. With futures that never wait, this is how often the task gets its turn.
const MOST_ITEMS: usize = 64;

/// The input that the workers share.
pub(super) struct Source<St> {
    /// None when it is over.
    stream: Option<Pin<Box<St>>>,
    /// How many items were taken.
    taken: usize,
}

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
    /// One future of an item, and 80 bytes or so. Each item takes two locks, one for the source and one for the output, and a
    /// permit; items that wait also register once for the end.
    #[must_use = "a worker does nothing unless it is spawned or polled"]
    pub struct Worker<St, F, Fut>
    where
        St: Stream,
        Fut: Future,
    {
        board: Arc<Board<Fut::Output>>,
        source: Arc<Mutex<Source<St>>>,
        f: Arc<F>,
        quit: Option<EventListener>,
        #[pin]
        stage: Stage<St, Fut>,
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
    //   Idle ──► Place ──► Turn ──► Take ──► Work ──► Idle
    //     └────────┴─────────┴────────┴────────┴────► Over
    // ```
    // Place waits for a place, Turn for the source, Take for an item, Work for its future. From Turn on the worker has a place.
    #[project = StageProjection]
    enum Stage<St, Fut> {
        Idle,
        Place { #[pin] place: AcquireOwned },
        Turn { #[pin] turn: LockArc<Source<St>> },
        Take { source: MutexGuardArc<Source<St>> },
        Work { #[pin] future: Fut, item: usize },
        Over,
    }
}

enum Step {
    /// To the next step.
    On,
    /// An item is done.
    Done,
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

/// Ends an item when it is dropped: first its future, so that what that held is free, then the report.
struct Working<'a, St, Fut: Future> {
    stage: Pin<&'a mut Stage<St, Fut>>,
    reporting: Reporting<'a, Fut::Output>,
}

/// Tells the board that a worker is gone, when all else that it had is.
struct Leaving<'a, T>(&'a Board<T>);

// === impl Source ===

impl<St: Stream> Source<St> {
    pub(super) fn new(stream: St) -> Self {
        Self { stream: Some(Box::pin(stream)), taken: 0 }
    }

    /// The next item and its number. After the end, and after a panic, there is none.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<(usize, St::Item)>> {
        // Taken out, so that a stream that panics is gone.
        let Some(mut stream) = self.stream.take() else { return Poll::Ready(None) };
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                self.stream = Some(stream);
                Poll::Pending
            }
            Poll::Ready(Some(item)) => {
                self.stream = Some(stream);
                self.taken += 1;
                Poll::Ready(Some((self.taken - 1, item)))
            }
        }
    }
}

// === impl Worker ===

impl<St, F, Fut> Worker<St, F, Fut>
where
    St: Stream,
    F: Fn(St::Item) -> Fut,
    Fut: Future,
{
    pub(super) fn new(board: Arc<Board<Fut::Output>>, source: Arc<Mutex<Source<St>>>, f: Arc<F>) -> Self {
        Self { board, source, f, quit: None, stage: Stage::Idle }
    }

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
                return Working { stage: this.stage, reporting }.poll(cx);
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
                Poll::Ready(source) => {
                    this.stage.set(Stage::Take { source });
                    return Step::On;
                }
            },
            StageProjection::Take { source } => {
                let taken = match source.poll_take(cx) {
                    Poll::Pending => return Step::Wait,
                    Poll::Ready(taken) => taken,
                };
                let Some((item, input)) = taken else {
                    board.close();
                    return Step::End;
                };
                this.stage.set(Stage::Idle); // The source is the next one's.
                let reporting = Reporting { board, item, output: None };
                let future = (this.f)(input);
                mem::forget(reporting);
                this.stage.set(Stage::Work { future, item });
                return Step::On;
            }
        }
        // There is a place. Most often the source is free too.
        this.stage.set(match this.source.try_lock_arc() {
            Some(source) => Stage::Take { source },
            None => Stage::Turn { turn: this.source.lock_arc() },
        });
        Step::On
    }

    /// Waits for a notice beside whatever the stage waits for. True if there is one.
    fn poll_quit(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let board = this.board;
        let quit = this.quit.get_or_insert_with(|| board.quit());
        let working = matches!(*this.stage, Stage::Work { .. });
        if board.is_abandoned() || (board.is_closed() && !working) {
            return true;
        }
        let noticed = Pin::new(quit).poll(cx).is_ready();
        if noticed {
            *this.quit = None;
        }
        noticed
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
                    *this.quit = None;
                    end(this.stage, this.board);
                    return Poll::Ready(());
                }
                Step::Wait => {
                    if !self.as_mut().poll_quit(cx) {
                        return Poll::Pending;
                    }
                }
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
            Stage::Turn { .. } => "waiting for the source",
            Stage::Take { .. } => "taking an item",
            Stage::Work { .. } => "working",
            Stage::Over => "over",
        };
        let item = if let Stage::Work { item, .. } = self.stage { Some(item) } else { None };
        f.debug_struct("Worker").field("doing", &doing).field("item", &item).finish()
    }
}

/// Drops what a stage has, accounts for it, and leaves the board.
fn end<St, Fut: Future>(mut stage: Pin<&mut Stage<St, Fut>>, board: &Board<Fut::Output>) {
    let _leaving = Leaving(board);
    match *stage {
        Stage::Work { item, .. } => {
            drop(Working { reporting: Reporting { board, item, output: None }, stage: stage.as_mut() })
        }
        Stage::Turn { .. } | Stage::Take { .. } => {
            stage.set(Stage::Over);
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

impl<St, Fut: Future> Working<'_, St, Fut> {
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

impl<St, Fut: Future> Drop for Working<'_, St, Fut> {
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
