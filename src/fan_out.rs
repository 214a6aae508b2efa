//! Bounded concurrency on a stream: so many futures at once, and no more.
//!
//! [`FanOutExt::fan_out`] runs the futures that a stream yields; [`FanOutExt::fan_out_with`] makes a future of each item.
//! Either gives a [`FanOut`], a stream of what the futures return, which runs at most `limit` of them at once, within the
//! task that polls it: nothing is spawned, and a future may borrow what its task can borrow.
//!
//! ```
//! use futures_lite::{StreamExt, future::block_on, stream};
//! use tollgate::FanOutExt;
//!
//! let pages = stream::iter(["a", "bb", "ccc"]);
//! let sizes = pages.fan_out_with(2, |page| async move { page.len() }).ordered();
//! assert_eq!(block_on(sizes.collect::<Vec<_>>()), [1, 2, 3]);
//! ```
//!
//! # Which one do I want?
//!
//! | I want | then |
//! |---|---|
//! | each result as soon as it is there | [`fan_out(limit)`](FanOutExt::fan_out), which is [`unordered`](FanOut::unordered) |
//! | results in the order of the input | [`.ordered()`](FanOut::ordered) |
//! | `limit` running also behind a slow first item | `.ordered()` with a [`.window(n)`](FanOut::window) above the limit |
//! | one at a time for each customer, file or row, in their order, and all of those side by side | [`.keyed(key)`](FanOut::keyed) |
//! | a limit in bytes, rows or connections | [`.weighted(weigh)`](FanOut::weighted) |
//! | to change the limit, or to pause, while it runs | [`.limit_by(&limit)`](FanOut::limit_by), a [`Limit`] |
//! | one limit for several streams | the same [`Limit`] for all of them |
//! | one limit for streams and other tasks | [`.shared(&semaphore)`](FanOut::shared) |
//! | the next item running before I ask for the next result | `.window(limit + 1)` or more |
//! | futures from elsewhere than a stream | a [`FutureSet`] |
//! | everything at once | a limit of `usize::MAX`; nothing is allocated ahead for that |
//! | to do something with each output that itself waits | [`.for_each(f)`](FanOut::for_each), [`.fold(init, f)`](FanOut::fold), [`.drive_while(future)`](FanOut::drive_while) |
//! | the first error to end it | [`.try_for_each(f)`](FanOut::try_for_each), [`.try_policy(policy)`](FanOut::try_policy) |
//! | all errors, apart from the rest | [`.collect_results()`](FanOut::collect_results) |
//! | the whole to end with a request: when that is cancelled, or its time is over | [`.within(&context)`](FanOut::within) |
//! | an end from outside | [`.stop_when(future)`](FanOut::stop_when), [`stop()`](FanOut::stop), or drop it |
//! | each item to be finished within some time, with one timer for all | [`.each_timeout(timer, d)`](FanOut::each_timeout) |
//! | nothing allocated | [`fan_out_inline::<N>()`](FanOutExt::fan_out_inline), for more than eight with a [`.wake_table(&TABLE)`](FanOut::wake_table) |
//!
//! # Where the futures are
//!
//! | | [`fan_out`](FanOutExt::fan_out) | [`fan_out_inline`](FanOutExt::fan_out_inline) | `fan_out_inline` + [`wake_table`](FanOut::wake_table) |
//! |---|---|---|---|
//! | futures are in | one allocation | the stream | the stream |
//! | needs | feature `alloc` | nothing | a static [`WakeTable`], 128 bytes for up to 64 futures |
//! | limit | any, at run time | `N`, or [less](FanOut::limit) at run time | the same |
//! | what a wake leads to | a poll of the future that was woken | a poll of all that run | a poll of the future that was woken |
//! | futures see | wakers of this crate | the waker of your executor | wakers of this crate |
//! | a waker that is dropped | may free the allocation | is your executor's | does nothing: fit for interrupts |
//! | can be moved | always | if the futures can | if the futures can |
//! | instructions for one woken of 4, beside those of `fan_out` | 1 | 1 | 1 |
//! | ... of 8 | 1 | 1.3 | 1 |
//! | ... of 16 | 1 | 2 | 1 |
//! | ... of 64 | 1 | 6 | 1 |
//!
//! The last rows are for futures that do next to nothing when they are polled, counted with callgrind on 64-bit x86; what a
//! poll of yours costs comes on top, as often as it is polled. Items that are ready at once cost the same in all three.
//!
//! There is no inline form that knows which future was woken without something static. A waker may be kept for ever and
//! cannot be called back, so what it points to must not be in a stream that can go.
//!
//! # Order
//!
//! Four items, the first of them slow, at a limit of 2. Digits are items, `=` is running, `>` is handed out:
//!
//! ```text
//!  unordered          0 ==============> 0
//!                     1 ===> 1
//!                          2 ===> 2
//!                               3 ===> 3                       out: 1 2 3 0
//!
//!  ordered            0 ==============> 0
//!                     1 ===. . . . . . .> 1
//!                                       2 ===> 2
//!                                       3 ===. > 3             out: 0 1 2 3
//!
//!  ordered, window 4  0 ==============> 0
//!                     1 ===. . . . . . .> 1
//!                          2 ===. . . . .> 2
//!                               3 ===. . .> 3                  out: 0 1 2 3
//!
//!  keyed, window 4    0 ==============> 0                     (0 and 1 have one key, 2 and 3 another)
//!                     1 - - - - - - - - ===> 1
//!                     2 ===> 2
//!                     3 - - ===> 3                            out: 2 3 0 1
//!
//!  weighted           0 ==============> 0                     (1 counts for two, the others for one)
//!                     1 - - - - - - - - ===> 1
//!                     2                     ===> 2
//!                     3                     ===> 3            out: 0 1 2 3
//! ```
//!
//! `-` is an item that was taken and may not start yet. In the second picture item 1 is finished (`.`) and waits for item
//! 0. It takes up room: the window, which bounds what was taken from the source and is not handed out yet, is 2 like the
//! limit. A slow first item thus costs concurrency, and a wider window buys it back with memory. No window makes the
//! memory unbounded.
//!
//! # Snoozing and futurelock
//!
//! What is in flight makes progress only while somebody polls the stream. This loop does not, as long as it saves a page:
//!
//! ```no_run
//! # use futures_lite::{StreamExt, stream};
//! # use tollgate::FanOutExt;
//! # async fn fetch(_: &str) -> String { String::new() }
//! # async fn save(_: String) {}
//! # async fn run() {
//! let mut pages = core::pin::pin!(stream::iter(["a", "b", "c"]).fan_out_with(2, fetch));
//! while let Some(page) = pages.next().await {
//!     save(page).await; // the other page is not fetched meanwhile: it snoozes
//! }
//! # }
//! ```
//!
//! That costs time: a peer gives up on a connection that nobody reads, and a deadline passes unseen. And it may cost
//! everything. Say that `fetch` and `save` each need one of a limited number of connections. A fetch has its turn, and gets
//! the last connection, while nobody polls it. It will give the connection back when the loop comes round, the loop comes
//! round when the page is saved, and that waits for the connection. This is *futurelock*. It needs no threads and no bug
//! in either of the two, and the same goes for a lock, or a channel that is full.
//!
//! A consumer whose body runs beside what is in flight has neither problem:
//!
//! ```
//! # use core::pin::pin;
//! # use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
//! # use tollgate::FanOutExt;
//! use tollgate::Semaphore;
//!
//! static CONNECTIONS: Semaphore = Semaphore::new(1);
//!
//! async fn fetch(page: &str) -> String {
//!     let _connection = CONNECTIONS.acquire().await;
//!     yield_now().await;
//!     page.to_uppercase()
//! }
//!
//! async fn save(page: String) {
//!     let _connection = CONNECTIONS.acquire().await;
//!     yield_now().await;
//! }
//!
//! # block_on(async {
//! let pages = stream::iter(["a", "b", "c"]).fan_out_with(2, fetch);
//! pages.for_each(save).await;
//!
//! // The same with a loop of one's own:
//! let mut pages = pin!(stream::iter(["a", "b", "c"]).fan_out_with(2, fetch));
//! while let Some(page) = pages.next().await {
//!     pages.as_mut().drive_while(save(page)).await;
//! }
//! # });
//! ```
//!
//! Outputs that finish meanwhile wait in their places, so the memory stays within the [window](FanOut::window). What needs
//! no such care is a body that does not wait, or only for what no future in flight can have, and then a loop is as good.
//! What also helps is to save within the future that fetches, if pages may be saved side by side.

use core::fmt;
use core::future::Future;
use core::hash::Hash;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

#[cfg(feature = "alloc")]
mod block;
mod consume;
mod each_timeout;
mod engine;
#[cfg(feature = "alloc")]
mod future_set;
mod inline;
mod keyed;
mod launch;
mod limit;
#[cfg(all(test, feature = "alloc"))]
mod model;
mod order;
mod permitted;
mod progress;
mod ready;
mod schedule;
mod sink;
mod slots;
mod stop;
mod storage;
mod table;
mod try_policy;
mod weighted;

#[cfg(feature = "alloc")]
pub use consume::CollectResults;
pub use consume::{DriveWhile, Fold, ForEach, TryForEach};
pub use each_timeout::{EachTimeout, Timed};
use engine::{Engine, Settings};
#[cfg(feature = "alloc")]
pub use future_set::{FutureSet, Next, Push};
pub use inline::{PollAll, Wakes};
pub use keyed::{Keyed, KeyedBy};
pub use launch::{Direct, Launch, With};
pub use limit::{Limit, LimitHandle};
pub use permitted::{Holding, Permitted};
pub use progress::Progress;
use slots::{Entry, Weight};
pub use stop::StopWhen;
pub use storage::{Heap, Inline, Storage};
pub use table::{Tabled, WakeTable};
pub use try_policy::{TryFanOut, TryPolicy};
pub use weighted::Weighted;

use crate::context::{Contextual, Within};
pub use crate::semaphore::loan::Lender;

/// Fan-out for every [`Stream`].
///
/// ```
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use tollgate::FanOutExt; // all streams have the methods then
///
/// let lengths = stream::iter(["a", "bb", "ccc"]).fan_out_with(2, |text| async move { text.len() });
/// let squares = lengths.fan_out_with(2, |length| async move { length * length }); // a fan-out is one too
/// assert_eq!(block_on(squares.fold(0, |sum, square| async move { sum + square })), 14);
/// ```
pub trait FanOutExt: Stream {
    /// Runs the futures that this stream yields, at most `limit` at once, and yields their outputs.
    ///
    /// See [`FanOut`] for how.
    ///
    /// # Panics
    ///
    /// If `limit` is zero: nothing would ever run.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let outputs = stream::iter([ready(1), ready(2), ready(3)]).fan_out(2);
    /// assert_eq!(block_on(outputs.collect::<Vec<_>>()), [1, 2, 3]);
    /// ```
    #[cfg(feature = "alloc")]
    #[track_caller]
    fn fan_out(self, limit: usize) -> FanOut<Self, Direct>
    where
        Self: Sized,
        Self::Item: Future,
    {
        FanOut::new(self, Direct(()), limit, Heap::NEW)
    }

    /// Makes a future of each item of this stream, runs at most `limit` of them at once, and yields their outputs.
    ///
    /// `f` is called when the item starts, not when it is taken, so what a future holds from the beginning is held by at
    /// most `limit` items, whatever the [window](FanOut::window).
    ///
    /// See [`FanOut`] for how.
    ///
    /// # Panics
    ///
    /// If `limit` is zero: nothing would ever run.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let squares = stream::iter(1..=3).fan_out_with(2, |n| async move { n * n }).ordered();
    /// assert_eq!(block_on(squares.collect::<Vec<_>>()), [1, 4, 9]);
    /// ```
    #[cfg(feature = "alloc")]
    #[track_caller]
    fn fan_out_with<F, Fut>(self, limit: usize, f: F) -> FanOut<Self, With<F>>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        FanOut::new(self, With(f), limit, Heap::NEW)
    }

    /// Runs the futures that this stream yields, at most `N` at once, in slots inside the [`FanOut`]; nothing is allocated.
    ///
    /// Futures are polled with the waker of the task around, and all that run whenever that task is woken. So they see no
    /// waker but that of your executor, which some timers insist on (embassy's integrated queue does), and need nothing
    /// static. For a handful of futures that is as quick as knowing which one was woken; for more than eight, or if polling
    /// one costs much, add a [`wake_table`](FanOut::wake_table).
    ///
    /// The `N` slots are the [window](FanOut::window) and the limit. For fewer at once, and outputs that wait in the rest
    /// of the slots, there is [`limit`](FanOut::limit).
    ///
    /// The futures are in the stream, so it can be moved only as long as they can; elsewhere, pin it.
    ///
    /// # Panics
    ///
    /// If `N` is zero: nothing would ever run.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let outputs = stream::iter([ready(1), ready(2), ready(3)]).fan_out_inline::<2>();
    /// assert_eq!(block_on(outputs.collect::<Vec<_>>()), [1, 2, 3]);
    /// ```
    #[track_caller]
    fn fan_out_inline<const N: usize>(self) -> FanOut<Self, Direct, Unordered, Inline<N>>
    where
        Self: Sized,
        Self::Item: Future,
    {
        FanOut::new(self, Direct(()), N, Inline::NEW)
    }

    /// Makes a future of each item of this stream and runs at most `N` of them at once, in slots inside the [`FanOut`];
    /// nothing is allocated.
    ///
    /// As [`fan_out_inline`](Self::fan_out_inline), with a closure as in [`fan_out_with`](Self::fan_out_with).
    ///
    /// # Panics
    ///
    /// If `N` is zero: nothing would ever run.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// // An async block cannot be moved once it runs, so the stream is pinned.
    /// let mut squares = pin!(stream::iter(1..=3).fan_out_inline_with::<2, _, _>(|n| async move { n * n }).ordered());
    /// assert_eq!(block_on(squares.next()), Some(1));
    /// assert_eq!(block_on(squares.next()), Some(4));
    /// ```
    #[track_caller]
    fn fan_out_inline_with<const N: usize, F, Fut>(self, f: F) -> FanOut<Self, With<F>, Unordered, Inline<N>>
    where
        Self: Sized,
        F: FnMut(Self::Item) -> Fut,
        Fut: Future,
    {
        FanOut::new(self, With(f), N, Inline::NEW)
    }
}

impl<St: Stream + ?Sized> FanOutExt for St {}

pin_project! {
    /// Runs the futures of a stream, a limited number at once; a stream of their outputs.
    ///
    /// Made by [`fan_out`](FanOutExt::fan_out) and [`fan_out_with`](FanOutExt::fan_out_with), or without allocation by
    /// [`fan_out_inline`](FanOutExt::fan_out_inline) and [`fan_out_inline_with`](FanOutExt::fan_out_inline_with). The
    /// [module](self) says which one to take, and has pictures of the orders.
    ///
    /// A poll takes items from the source and starts them until the limit or the window is reached, polls those futures
    /// that were woken and no others (or [all that run](PollAll), if it does not know), and hands out an output. Futures make
    /// progress only inside a poll of this stream: while its consumer is busy with an item they stand still, though not what
    /// they wait for.
    ///
    /// Before an output is handed out, the place of the future that has finished is filled again as far as the window
    /// allows. By default it does not, because the window is as wide as the limit and the output counts as long as you
    /// do not have it. So with `.window(limit + 1)` there are `limit` futures started while you work on the item, and
    /// with the default `limit - 1`.
    ///
    /// An item that is ready when it starts does not go through a place: if no earlier output waits, it is handed out then
    /// and there, and the next poll goes on with what comes after it. Before `Pending`, all places are filled.
    ///
    /// # Fairness
    ///
    /// Items start in the order of the input. In a round each future that was woken is polled once; what is woken
    /// meanwhile belongs to the next round. Polls that have an output to hand out take turns at asking the source and at
    /// polling a woken future, so neither can starve the other; outputs are handed out in the order in which they finished. A
    /// poll that makes many calls without having anything to hand out wakes its task and returns `Pending`, so that
    /// neither futures that wake themselves nor an endless source keep the task for themselves.
    ///
    /// # Cancel safety
    ///
    /// Items and outputs are kept in this stream and not in the future that asks for the next one: dropping a `next()`
    /// future loses nothing. Dropping this stream drops all items, futures and outputs in it at once.
    ///
    /// # Panics
    ///
    /// A panic of a future, of `f` or of the source goes through to whoever polls. The item is gone, its place is free,
    /// and later polls go on with the others.
    ///
    /// # Cost
    ///
    /// One allocation when the first item comes, and none after that: room for as many items as the window, or as the
    /// source can still yield if it says so. With a window above 16384 there is a small allocation first, and more are
    /// made as they are needed. Wakers share that allocation; it is freed when the last of them is gone. Waking is one
    /// atomic operation, and wakes the task only for the first of several.
    ///
    /// The inline forms allocate nothing, and take as many bytes as `N` futures, items or outputs, whatever is largest, and
    /// 16 for each and some 100 for the whole. For their wakers see [`PollAll`] and [`WakeTable`].
    ///
    /// More than 2147483647 items are never taken at a time.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut left = vec![3, 1, 2];
    /// let jobs = stream::iter(left.drain(..)).fan_out_with(3, |steps| async move {
    ///     for _ in 0..steps {
    ///         future::yield_now().await;
    ///     }
    ///     steps
    /// });
    /// assert_eq!(block_on(jobs.collect::<Vec<_>>()), [1, 2, 3]);
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct FanOut<St, M, O = Unordered, S = Heap>
    where
        St: Stream,
        M: Launch<St::Item>,
        O: Order,
        S: Storage,
    {
        #[pin]
        source: St,
        #[pin]
        launch: M,
        #[pin]
        engine: Engine<S::Bed<EntryOf<St::Item, M, O>>, O::Policy<M::Key>, ScheduleOf<St::Item, M>>,
    }
}

type EntryOf<Item, M, O> = Entry<
    Item,
    <M as Launch<Item>>::Future,
    <M as Launch<Item>>::Weight,
    <<O as sealed::Order>::Policy<<M as Launch<Item>>::Key> as order::Policy>::Note,
    <ScheduleOf<Item, M> as schedule::Schedule>::Stamp,
>;

type ScheduleOf<Item, M> = <<M as Launch<Item>>::Alarm as schedule::Alarm>::Schedule;

/// In which order outputs are handed out: [`Unordered`], [`Ordered`] or [`Keyed`].
///
/// This trait is sealed: an order has to keep the books of the engine.
///
/// ```
/// use futures_lite::{Stream, future::ready, stream};
/// use tollgate::FanOutExt;
/// use tollgate::fan_out::{FanOut, Launch, Order, Storage};
///
/// // For fan-outs of all kinds.
/// fn is_idle<St: Stream, M: Launch<St::Item>, O: Order, S: Storage>(outputs: &FanOut<St, M, O, S>) -> bool {
///     outputs.in_flight() + outputs.waiting() + outputs.finished() == 0
/// }
///
/// assert!(is_idle(&stream::iter([ready(1)]).fan_out(2)));
/// assert!(is_idle(&stream::iter([ready(1)]).fan_out_inline::<2>().ordered()));
/// ```
pub trait Order: sealed::Order {}

/// Outputs as they complete; see [`FanOut::unordered`].
#[derive(Debug, Clone, Copy)]
pub struct Unordered(());

/// Outputs in the order of the input; see [`FanOut::ordered`].
#[derive(Debug, Clone, Copy)]
pub struct Ordered(());

const NO_LIMIT: &str = "a fan-out with a limit of 0 would never run anything";

mod sealed {
    use core::hash::Hash;

    pub trait Sealed {}

    pub trait Storage: Sized {
        type Bed<T>: super::slots::Bed<Entry = T>;
        /// A pinned place for what is not an entry.
        type Cell<A>: super::storage::Room<A>;

        /// Entries at most.
        const SLOTS: usize;

        fn bed<T>(self) -> Self::Bed<T>;

        /// What [`bed`](Self::bed) was made of; nothing is in it.
        fn take_back<T>(bed: Self::Bed<T>) -> Self;
    }

    pub trait Order {
        type Policy<K: Hash + Eq>: super::order::Policy<Key = K>;
    }
}

// === impl FanOut ===

impl<St, M, S> FanOut<St, M, Unordered, S>
where
    St: Stream,
    M: Launch<St::Item>,
    S: Storage,
{
    #[track_caller]
    fn new(source: St, launch: M, limit: usize, storage: S) -> Self {
        assert!(limit > 0, "{NO_LIMIT}");
        Self { source, launch, engine: Engine::new(storage.bed(), Settings { limit, window: limit, ahead: false }) }
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Hands out each output as soon as it is there. This is the default.
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let jobs = stream::iter([9, 0]).fan_out_with(2, |steps| async move {
    ///     for _ in 0..steps {
    ///         future::yield_now().await;
    ///     }
    ///     steps
    /// });
    /// let jobs = jobs.ordered(); // a default of ours, and here we know better
    /// assert_eq!(block_on(jobs.unordered().collect::<Vec<_>>()), [0, 9]);
    /// ```
    #[track_caller]
    pub fn unordered(self) -> FanOut<St, M, Unordered, S> {
        self.rebuild(|source, settings| (source, settings))
    }

    /// Hands out the outputs in the order of the input.
    ///
    /// Outputs that are early wait in their slots, which cost room in the [window](Self::window).
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let slow_first = stream::iter([9, 0, 0]).fan_out_with(2, |steps| async move {
    ///     for _ in 0..steps {
    ///         future::yield_now().await;
    ///     }
    ///     steps
    /// });
    /// assert_eq!(block_on(slow_first.ordered().collect::<Vec<_>>()), [9, 0, 0]);
    /// ```
    #[track_caller]
    pub fn ordered(self) -> FanOut<St, M, Ordered, S> {
        self.rebuild(|source, settings| (source, settings))
    }

    /// Bounds the items that were taken from the source and not handed out yet, be they waiting, running or finished, to
    /// `window`. The default is the limit, and the number of slots of an inline form.
    ///
    /// Items are taken ahead up to the window, and those beyond the limit wait. A window above the limit keeps `limit`
    /// futures running while finished outputs have to wait, for the output of an earlier item or for the consumer.
    ///
    /// # Panics
    ///
    /// If `window` is below the limit or above the number of inline slots, or the stream was polled.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// // Two at once, and up to six results kept behind a slow one.
    /// let outputs = stream::iter(0..10).fan_out_with(2, |n| async move { n }).ordered().window(8);
    /// assert_eq!(block_on(outputs.count()), 10);
    /// ```
    #[track_caller]
    pub fn window(self, window: usize) -> Self {
        let Settings { limit, .. } = self.engine.settings();
        let weighed = M::Weight::WEIGHED;
        assert!(window > 0, "a fan-out with a window of 0 would never run anything");
        assert!(weighed || window >= limit, "a window of {window} is too narrow for a limit of {limit}");
        assert!(window <= S::SLOTS, "a window of {window} is more than the {} slots that there are", S::SLOTS);
        let ahead = weighed || window > limit;
        self.rebuild(|source, settings| (source, Settings { window, ahead, ..settings }))
    }

    /// Goes on as long as the context does: outputs as `Ok`; then, if the context was interrupted, one `Err`, and the end.
    ///
    /// With the `Err` everything is dropped, what is in flight included. To finish that first, use
    /// [`stop_when`](Self::stop_when) with [`interrupted`](crate::context::Context::interrupted). The futures are not told;
    /// those that have to know get the context, or a child of it, by the closure that makes them.
    ///
    /// Settings come before it, as do [consumers](#consumers) other than those of any stream.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::context::{Context, Interrupted};
    /// use tollgate::time::ThreadTimer;
    ///
    /// let request = Context::new(ThreadTimer);
    /// let endless = stream::iter(1..).fan_out_with(2, |n| async move { n }).ordered();
    /// let mut endless = pin!(endless.within(&request));
    /// let outcome: Result<u64, Interrupted> = block_on(endless.try_fold(0, |sum, n| {
    ///     if n == 10 {
    ///         request.cancel_with("ten is enough");
    ///     }
    ///     Ok(sum + n)
    /// }));
    /// assert_eq!(outcome, Err(Interrupted::Cancelled("ten is enough".into())));
    /// ```
    pub fn within<C: Contextual>(self, context: &C) -> Within<'_, Self, C::Timer, C::Lock> {
        Within::new(self, context)
    }

    /// The same with another source or other settings, before anything has happened.
    #[track_caller]
    fn rebuild<Src, Ord>(self, f: impl FnOnce(St, Settings) -> (Src, Settings)) -> FanOut<Src, M, Ord, S>
    where
        Src: Stream<Item = St::Item>,
        Ord: Order,
    {
        let (source, launch, settings, storage, closed) = self.take_apart();
        let (source, settings) = f(source, settings);
        FanOut::put_together(source, launch, settings, storage, closed)
    }

    /// The same with items that need something else to start.
    #[track_caller]
    fn relaunch<N, Ord>(self, f: impl FnOnce(M) -> N) -> FanOut<St, N, Ord, S>
    where
        N: Launch<St::Item>,
        Ord: Order,
    {
        let (source, launch, settings, storage, closed) = self.take_apart();
        FanOut::put_together(source, f(launch), settings, storage, closed)
    }

    #[track_caller]
    fn take_apart(self) -> (St, M, Settings, S, bool) {
        let engine = self.engine;
        assert!(!engine.has_begun(), "a fan-out takes no more settings once it was polled");
        let (settings, closed) = (engine.settings(), engine.is_closed());
        (self.source, self.launch, settings, S::take_back(engine.into_bed()), closed)
    }

    fn put_together(source: St, launch: M, settings: Settings, storage: S, closed: bool) -> Self {
        let engine = Engine::new(storage.bed(), settings);
        if closed {
            engine.close();
        }
        Self { source, launch, engine }
    }

    /// Takes no more items from the source. Those that were taken are finished and handed out, and then the stream ends.
    ///
    /// To drop them instead, drop the stream. Takes effect at the next poll.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut endless = stream::repeat(()).fan_out_with(2, |()| yield_now());
    /// assert_eq!(block_on(endless.next()), Some(()));
    /// endless.stop();
    /// assert_eq!(block_on(endless.count()), 1); // the other one that was running
    /// ```
    pub fn stop(&self) {
        self.engine.close();
    }

    /// How many futures are running: started and not finished.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut jobs = stream::iter(0..10).fan_out_with(3, |_| yield_now());
    /// assert_eq!(jobs.in_flight(), 0, "nothing runs before it is polled");
    /// block_on(jobs.next());
    /// assert_eq!(jobs.in_flight(), 2, "of three, one was handed out");
    /// ```
    pub fn in_flight(&self) -> usize {
        self.engine.slots().running()
    }

    /// How many items were taken from the source and wait for a place to run in. Without a [`window`](Self::window) above
    /// the limit there are none.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut jobs = stream::iter(0..10).fan_out_with(1, |_| yield_now()).window(5);
    /// block_on(jobs.next());
    /// assert_eq!(jobs.in_flight(), 1);
    /// assert_eq!(jobs.waiting(), 3, "what fills the window, in which the output just had counts until the next poll");
    /// ```
    pub fn waiting(&self) -> usize {
        self.engine.slots().waiting()
    }

    /// How many outputs are there and not handed out yet.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut outputs = pin!(stream::iter(0..10).fan_out_with(3, |n| async move { n }));
    /// block_on(outputs.as_mut().drive_while(yield_now()));
    /// assert_eq!(outputs.finished(), 3, "while the consumer did something else");
    /// ```
    pub fn finished(&self) -> usize {
        self.engine.slots().finished()
    }

    /// The source.
    ///
    /// ```
    /// use futures_lite::{Stream, StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut jobs = stream::iter(0..10).fan_out_with(3, |_| yield_now());
    /// block_on(jobs.next());
    /// assert_eq!(jobs.get_ref().size_hint(), (7, Some(7))); // what was not even taken
    /// ```
    pub fn get_ref(&self) -> &St {
        &self.source
    }

    /// The source. What is taken from it directly is not fanned out.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut lengths = stream::iter(["a header", "a", "bb"]).fan_out_with(2, |line| async move { line.len() });
    /// assert_eq!(block_on(lengths.get_mut().next()), Some("a header"));
    /// assert_eq!(block_on(lengths.next()), Some(1));
    /// ```
    pub fn get_mut(&mut self) -> &mut St {
        &mut self.source
    }

    /// The source, pinned. What is taken from it directly is not fanned out.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let source = stream::unfold(1, |n| async move { Some((n, n + 1)) }); // cannot be moved once it was polled
    /// let mut squares = pin!(source.fan_out_with(2, |n| async move { n * n }));
    /// assert_eq!(block_on(squares.as_mut().get_pin_mut().next()), Some(1));
    /// assert_eq!(block_on(squares.next()), Some(4));
    /// ```
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut St> {
        self.project().source
    }

    /// The source alone. Items, futures and outputs that are in between are dropped.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let mut jobs = stream::iter(0..10).fan_out_with(3, |_| yield_now());
    /// block_on(jobs.next());
    /// assert_eq!(block_on(jobs.into_inner().collect::<Vec<_>>()), [3, 4, 5, 6, 7, 8, 9]); // what nobody took
    /// ```
    pub fn into_inner(self) -> St {
        self.source
    }
}

impl<St, M, O, const N: usize, K> FanOut<St, M, O, Inline<N, K>>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    K: Wakes,
{
    /// Runs at most `limit` futures at once; the other slots are for items that wait and for outputs. The default is `N`.
    ///
    /// So the [window](Self::window) stays `N`, unless it is set too.
    ///
    /// # Panics
    ///
    /// If `limit` is zero or above the window, or the stream was polled.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// // Two at once, and up to six results kept behind a slow one.
    /// let outputs = stream::iter(0..10).map(ready).fan_out_inline::<8>().limit(2).ordered();
    /// assert_eq!(block_on(outputs.count()), 10);
    /// ```
    #[track_caller]
    pub fn limit(self, limit: usize) -> Self {
        let Settings { window, .. } = self.engine.settings();
        let weighed = M::Weight::WEIGHED;
        assert!(limit > 0, "{NO_LIMIT}");
        assert!(weighed || limit <= window, "a window of {window} is too narrow for a limit of {limit}");
        let ahead = weighed || limit < window;
        self.rebuild(|source, settings| (source, Settings { limit, ahead, ..settings }))
    }
}

impl<St, M, O, const N: usize> FanOut<St, M, O, Inline<N>>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
{
    /// Wakes by the words of `table`, so that only those futures are polled that were woken; nothing is allocated.
    ///
    /// A table serves one stream at a time, from here until the stream is dropped. See [`WakeTable`] for what is in it.
    ///
    /// That `table` has room for `N` futures is checked when the program is compiled.
    ///
    /// # Panics
    ///
    /// If another stream has the table, or if this stream was polled. [`try_wake_table`](Self::try_wake_table) is for where
    /// that may be.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::fan_out::WakeTable;
    ///
    /// static TABLE: WakeTable<1> = WakeTable::new();
    ///
    /// let outputs = stream::iter(0..10).map(ready).fan_out_inline::<32>().wake_table(&TABLE);
    /// assert_eq!(block_on(outputs.count()), 10);
    /// ```
    ///
    /// ```compile_fail
    /// # use core::future::ready;
    /// # use futures_lite::stream;
    /// # use tollgate::{FanOutExt, fan_out::WakeTable};
    /// static TABLE: WakeTable<1> = WakeTable::new();
    ///
    /// let _ = stream::iter([ready(())]).fan_out_inline::<65>().wake_table(&TABLE); // one word has no 65 bits
    /// ```
    #[track_caller]
    pub fn wake_table<const W: usize>(self, table: &'static WakeTable<W>) -> FanOut<St, M, O, Inline<N, Tabled<W>>> {
        match self.try_wake_table(table) {
            Ok(this) => this,
            Err(_) => panic!("the wake table is in use by another fan-out"),
        }
    }

    /// As [`wake_table`](Self::wake_table), but gives the stream back as it was if another one has the table.
    ///
    /// # Errors
    ///
    /// This stream, which [polls all](PollAll).
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::stream;
    /// use tollgate::FanOutExt;
    /// use tollgate::fan_out::WakeTable;
    ///
    /// static TABLE: WakeTable<1> = WakeTable::new();
    ///
    /// let outputs = || stream::iter([ready(1)]).fan_out_inline::<4>();
    /// let first = outputs().try_wake_table(&TABLE);
    /// assert!(first.is_ok());
    /// assert!(outputs().try_wake_table(&TABLE).is_err());
    /// drop(first);
    /// assert!(outputs().try_wake_table(&TABLE).is_ok());
    /// ```
    #[track_caller]
    pub fn try_wake_table<const W: usize>(
        self,
        table: &'static WakeTable<W>,
    ) -> Result<FanOut<St, M, O, Inline<N, Tabled<W>>>, Self> {
        const { assert!(N <= WakeTable::<W>::SLOTS, "the wake table has too few words for that many futures") };
        match table.claim() {
            Some(wakes) => {
                let (source, launch, settings, _, closed) = self.take_apart();
                Ok(FanOut::put_together(source, launch, settings, Inline { wakes }, closed))
            }
            None => Err(self),
        }
    }
}

impl<St, M, O, S> Stream for FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    type Item = <M::Future as Future>::Output;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        rest_unless_pending(this.launch, |launch| this.engine.poll_next(this.source, launch, cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.source.size_hint();
        // What may be stopped promises no more than what is inside.
        self.engine.size_hint((if M::STOPS { 0 } else { lower }, upper))
    }
}

/// Lets go of what no item has started with when the stream is not coming back soon: after an output, and after a panic.
#[inline]
fn rest_unless_pending<Item, M, T>(launch: Pin<&mut M>, poll: impl FnOnce(Pin<&mut M>) -> Poll<T>) -> Poll<T>
where
    M: Launch<Item>,
{
    struct Rest<'a, Item, M: Launch<Item>>(Pin<&'a mut M>, PhantomData<fn() -> Item>);

    impl<Item, M: Launch<Item>> Drop for Rest<'_, Item, M> {
        fn drop(&mut self) {
            self.0.as_mut().rest();
        }
    }

    if !M::ADMITS {
        return poll(launch);
    }
    let mut rest = Rest(launch, PhantomData);
    let result = poll(rest.0.as_mut());
    if result.is_pending() {
        mem::forget(rest);
    }
    result
}

impl<St, M, O, S> FusedStream for FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    fn is_terminated(&self) -> bool {
        self.engine.is_over()
    }
}

impl<St, M, O, S> fmt::Debug for FanOut<St, M, O, S>
where
    St: Stream + fmt::Debug,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("source", &self.source)
            .field("limit", &self.engine.settings().limit)
            .field("window", &self.engine.settings().window)
            .field("waiting", &self.waiting())
            .field("in_flight", &self.in_flight())
            .field("finished", &self.finished())
            .finish_non_exhaustive()
    }
}

// === orders ===

impl Order for Unordered {}

impl sealed::Order for Unordered {
    type Policy<K: Hash + Eq> = order::AsCompleted<K>;
}

impl Order for Ordered {}

impl sealed::Order for Ordered {
    type Policy<K: Hash + Eq> = order::AsTaken<K>;
}
