//! What the workers produce, as a stream.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::board::{Board, Report};
use crate::context::{Contextual, Within};
use crate::fan_out::CollectResults;

/// What the workers of [`workers`](super::workers()) produce: a stream that ends when nothing more will come.
///
/// It ends when all items of the source are handed out, when it was [stopped](Self::stop) and those in work are, or when
/// all workers are gone.
///
/// # Cancel safety
///
/// Waiting for the next output can be given up at any moment; nothing is lost. Dropping the stream itself tells the workers
/// to stop: each of them drops what it runs when it is polled next, and it is woken for that.
///
/// # Lost items
///
/// An item whose worker was dropped, or whose future panicked, has no output. It is left out, in order too.
#[must_use = "dropping the results stops the workers"]
pub struct Results<T> {
    board: Arc<Board<T>>,
    /// Reports that were taken off the board and are not handed out.
    reports: VecDeque<Report<T>>,
    /// In order: the reports from number `handed_out` on, with gaps.
    line: Option<VecDeque<Option<Report<T>>>>,
    /// How many items were handed out, or left out.
    handed_out: usize,
    window: usize,
    ended: bool,
}

// === impl Results ===

impl<T> Results<T> {
    pub(super) fn new(board: Arc<Board<T>>, window: usize) -> Self {
        Self { board, reports: VecDeque::with_capacity(window), line: None, handed_out: 0, window, ended: false }
    }

    /// Hands outputs out in the order of the input.
    ///
    /// Behind a slow item the others go on, as far as the [window](Self::window) allows.
    ///
    /// # Panics
    ///
    /// If an output was handed out before: the order it came in cannot be mended.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, stream};
    ///
    /// let (workers, results) = tollgate::workers(stream::iter(1..=3), 1, |n: u32| async move { n * n });
    /// let all = future::zip(
    ///     async { for worker in workers { worker.await } },
    ///     results.ordered().collect::<Vec<_>>(),
    /// );
    /// assert_eq!(future::block_on(all).1, [1, 4, 9]);
    /// ```
    #[track_caller]
    pub fn ordered(mut self) -> Self {
        assert!(self.handed_out == 0, "`Results::ordered` after outputs were handed out");
        self.line.get_or_insert_with(|| VecDeque::with_capacity(self.window));
        // What was fetched already goes in line.
        self.line_up();
        self
    }

    /// Bounds how many items are taken from the source and not handed out yet, in work or finished; by default, eight a worker.
    ///
    /// More keep the workers busy while the consumer is not, or while one item holds up the [order](Self::ordered). Memory for
    /// as many outputs is set aside now.
    ///
    /// # Panics
    ///
    /// If `window` is zero, or more than memory can hold.
    ///
    /// ```
    /// use core::{cell::Cell, future::ready};
    /// use futures_lite::{future, stream};
    ///
    /// let taken = Cell::new(0);
    /// let (workers, results) = tollgate::workers(stream::iter(1..=100), 1, |n| ready(taken.set(n)));
    /// let _results = results.window(2);
    /// for worker in workers {
    ///     assert!(future::block_on(future::poll_once(worker)).is_none(), "it waits for somebody to read");
    /// }
    /// assert_eq!(taken.get(), 2);
    /// ```
    #[track_caller]
    pub fn window(mut self, window: usize) -> Self {
        assert!(window > 0, "a window of 0 would never produce anything");
        self.reports.reserve(window.saturating_sub(self.reports.len()));
        self.board.resize(self.window, window);
        self.window = window;
        self
    }

    /// Takes no further items. Those in work are finished and handed out, and then the stream ends.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, stream};
    ///
    /// let (workers, mut results) = tollgate::workers(stream::repeat(1), 1, |n| async move { n });
    /// let drained = future::zip(
    ///     async { for worker in workers { worker.await } },
    ///     async {
    ///         assert_eq!(results.next().await, Some(1));
    ///         results.stop();
    ///         results.count().await
    ///     },
    /// );
    /// assert!(future::block_on(drained).1 <= 8, "what was in work, or waited to be handed out");
    /// ```
    pub fn stop(&self) {
        self.board.close();
    }

    /// Goes on as long as the context does. When that is interrupted the results say so once, and the workers stop.
    ///
    /// The results have to be read for that. To interrupt work also while nobody reads them, run the workers within the
    /// context as well: [`context.run(worker)`](crate::context::Context::run).
    ///
    /// ```
    /// use std::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::context::{Context, Interrupted};
    /// use tollgate::time::ThreadTimer;
    ///
    /// static ROOT: Context<'static, ThreadTimer> = Context::new(ThreadTimer);
    ///
    /// let (workers, results) = tollgate::workers(stream::iter([1, 2]), 2, |n| async move {
    ///     if n == 2 { core::future::pending().await }
    ///     n
    /// });
    /// let threads = workers.into_iter().map(|worker| std::thread::spawn(|| block_on(worker))).collect::<Vec<_>>();
    /// let request = ROOT.with_timeout(Duration::from_millis(10));
    /// let outcomes = block_on(results.within(&request).collect::<Vec<_>>());
    /// assert_eq!(outcomes.last(), Some(&Err(Interrupted::DeadlineExceeded)));
    /// for thread in threads {
    ///     thread.join().unwrap(); // though one of them had a future that is never ready
    /// }
    /// ```
    pub fn within<C: Contextual>(self, context: &C) -> Within<'_, Self, C::Timer, C::Lock> {
        Within::new(self, context)
    }

    /// How many workers there are still: not finished, and not dropped.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{future::block_on, stream};
    ///
    /// let (mut workers, results) = tollgate::workers(stream::iter(1..=3), 2, ready);
    /// drop(workers.pop());
    /// assert_eq!(results.workers(), 1);
    /// block_on(workers.pop().unwrap());
    /// assert_eq!(results.workers(), 0, "all is done, or nobody is left to do it");
    /// ```
    #[must_use]
    pub fn workers(&self) -> usize {
        self.board.workers()
    }

    /// The next of what was fetched from the board.
    fn next_fetched(&mut self) -> Option<T> {
        loop {
            let report = match &mut self.line {
                None => self.reports.pop_front()?,
                Some(line) => {
                    line.front()?.as_ref()?;
                    line.pop_front()??
                }
            };
            self.handed_out += 1;
            self.board.handed_out();
            // Else it was lost, and only its place is given back.
            if report.1.is_some() {
                return report.1;
            }
        }
    }

    /// Puts reports where they belong in the order.
    fn line_up(&mut self) {
        let Some(line) = &mut self.line else { return };
        for report in self.reports.drain(..) {
            let at = report.0 - self.handed_out;
            while line.len() <= at {
                line.push_back(None);
            }
            line[at] = Some(report);
        }
    }
}

impl<T, E> Results<Result<T, E>> {
    /// Collects what worked and what failed.
    ///
    /// ```
    /// use futures_lite::{future::block_on, stream};
    ///
    /// let (workers, results) = tollgate::workers(stream::iter(["1", "x", "3"]), 2, |text: &'static str| async move {
    ///     text.parse::<u32>()
    /// });
    /// for worker in workers {
    ///     std::thread::spawn(|| block_on(worker));
    /// }
    /// let (mut numbers, errors) = block_on(results.collect_results());
    /// numbers.sort();
    /// assert_eq!((numbers, errors.len()), (vec![1, 3], 1));
    /// ```
    pub fn collect_results(self) -> CollectResults<Self, T, E> {
        CollectResults::new(self)
    }
}

impl<T> Stream for Results<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        loop {
            if let Some(output) = this.next_fetched() {
                return Poll::Ready(Some(output));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            let awaited = this.line.is_some().then_some(this.handed_out);
            this.ended = !ready!(this.board.poll(cx, &mut this.reports, this.window, awaited));
            this.line_up();
        }
    }
}

impl<T> FusedStream for Results<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

// Outputs are moved out, never pinned.
impl<T> Unpin for Results<T> {}

impl<T> Drop for Results<T> {
    fn drop(&mut self) {
        drop(self.board.abandon());
    }
}

impl<T> fmt::Debug for Results<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results")
            .field("workers", &self.workers())
            .field("window", &self.window)
            .field("ordered", &self.line.is_some())
            .field("handed_out", &self.handed_out)
            .field("ended", &self.ended)
            .finish()
    }
}
