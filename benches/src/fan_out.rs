//! Fan-out of a stream: each scenario drives the same futures through each crate's own adaptor, or where it has only
//! a set of futures, through that, filled by hand.

mod by_hand;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn, ready as at_once};
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use future_queue::StreamExt as _;
use futures_buffered::BufferedStreamExt;
use futures_concurrency::concurrent_stream::ConcurrentStream;
use futures_concurrency::future::FutureGroup;
use futures_concurrency::stream::StreamExt as _;
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_util::task::JoinQueue;
use tollgate::FanOutExt;
use unicycle::FuturesUnordered;

use crate::harness::Scenario;
use crate::polling::waker;
use crate::workers::one_thread;
use by_hand::ByHand;

const OURS: &str = "tollgate";
const FUTURES_UTIL: &str = "futures-util";
const FUTURES_BUFFERED: &str = "futures-buffered";
/// Its weights are all 1 where nothing else is said.
const FUTURE_QUEUE: &str = "future-queue";
const GROUPED: &str = "future-queue grouped";
/// Its group, filled by hand; its concurrent stream where that is said.
const FUTURES_CONCURRENCY: &str = "futures-concurrency";
/// Filled by hand.
const UNICYCLE: &str = "unicycle";
/// A task an item on tokio's one-thread runtime, filled by hand.
const JOIN_SET: &str = "tokio JoinSet";
const JOIN_QUEUE: &str = "tokio-util JoinQueue";

/// `FutureGroup` looks through all that is in it on each poll: with 100 000 in flight, one round of it would take minutes.
const GROUP_AT_MOST: usize = 1000;

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for width in [1, 8, 64, 1000, 10_000, 100_000] {
        all.push(ready_at_once(width));
        all.push(woken(width));
    }
    all.push(ordered_woken(64));
    for width in [8, 64] {
        all.push(yields(width));
    }
    for width in [8, 64] {
        all.push(for_each_woken(width));
    }
    all.push(weighted_ready(64));
    for width in [8, 64] {
        all.push(weighted_woken(width));
    }
    all.push(keyed_ready(64));
    all.push(keyed_woken(64));
    all
}

/// How many items a stream has at least, so that most of them find it full.
fn turns(width: usize) -> u64 {
    3 * width as u64
}

/// Adds a row for each way to run a stream of `$source(iters)` futures, `$width` at once, to its end.
macro_rules! rows {
    ($scenario:expr, $drive:ident, $width:expr, $source:expr, $($name:expr => |$stream:ident| $adapt:expr),+ $(,)?) => {{
        let mut scenario = $scenario;
        let width: usize = $width;
        $(scenario = scenario.peer($name, move || {
            move |iters| {
                let (world, $stream) = $source(iters);
                $drive(&world, $adapt(width));
            }
        });)+
        scenario
    }};
}

/// The same for all that run futures in any order. Who joins tasks is driven by the runtime that they are on.
macro_rules! unordered_rows {
    ($scenario:expr, $drive:ident, $drive_on_tokio:ident, $width:expr, $source:expr, group: $group:expr $(,)?) => {{
        let mut scenario = rows!($scenario, $drive, $width, $source,
            OURS => |stream| |width| stream.fan_out(width),
            FUTURES_UTIL => |stream| |width| stream.buffer_unordered(width),
            FUTURES_BUFFERED => |stream| |width| stream.buffered_unordered(width),
            FUTURE_QUEUE => |stream| |width| stream.map(|future| (1, |_| future)).future_queue(width),
            UNICYCLE => |stream| |width| ByHand::new(stream, FuturesUnordered::new(), width),
        );
        if $group {
            scenario = rows!(scenario, $drive, $width, $source,
                FUTURES_CONCURRENCY => |stream| |width| ByHand::new(stream, FutureGroup::with_capacity(width), width),
            );
        }
        rows!(scenario, $drive_on_tokio, $width, $source,
            JOIN_SET => |stream| |width| ByHand::new(stream, JoinSet::new(), width),
        )
    }};
}

/// The same for items that have weights.
macro_rules! weighted_rows {
    ($scenario:expr, $drive:ident, $width:expr, $source:expr) => {
        rows!($scenario, $drive, $width, $source,
            OURS => |stream| |width| {
                let mut weigh = weights();
                stream.fan_out(width).weighted(move |_| weigh())
            },
            "tollgate unweighted" => |stream| |width| stream.fan_out(width),
            FUTURE_QUEUE => |stream| |width| {
                let mut weigh = weights();
                stream.map(move |future| (weigh(), |_| future)).future_queue(width)
            },
        )
    };
}

/// The same for items that have keys. The peer has groups that each run one at once, and are known beforehand.
macro_rules! keyed_rows {
    ($scenario:expr, $drive:ident, $width:expr, $source:expr) => {
        rows!($scenario, $drive, $width, $source,
            OURS => |stream| |width| {
                let mut key = keys();
                stream.fan_out(width).keyed(move |_| key())
            },
            "tollgate unkeyed" => |stream| |width| stream.fan_out(width),
            GROUPED => |stream| |width| {
                let mut key = keys();
                stream.map(move |future| (1, Some(key()), |_| future)).future_queue_grouped(width, (0..=u8::MAX).map(|key| (key, 1)))
            },
        )
    };
}

/// Futures that are ready at once.
fn ready_at_once(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/ready-{width}"), "items whose future is ready at once, unordered")
        .goal(0.6)
        .at_least(turns(width));
    unordered_rows!(scenario, drain, drain_on_tokio, width, at_once_each, group: true)
}

/// Futures that wait, and are woken one a poll, the longest waiting first.
fn woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/woken-{width}"), "items woken one by one from outside, unordered")
        .goal(0.7)
        .at_least(turns(width));
    unordered_rows!(scenario, wake_and_drain, wake_on_tokio, width, waiting::<STREAM>, group: width <= GROUP_AT_MOST)
}

/// The same with results in the order of the input.
fn ordered_woken(width: usize) -> Scenario {
    let scenario =
        Scenario::new(format!("fan-out/ordered-woken-{width}"), "items woken one by one from outside, ordered")
            .goal(0.7)
            .at_least(turns(width));
    let scenario = rows!(scenario, wake_and_drain, width, waiting::<STREAM>,
        OURS => |stream| |width| stream.fan_out(width).ordered(),
        FUTURES_UTIL => |stream| |width| stream.buffered(width),
        FUTURES_BUFFERED => |stream| |width| stream.buffered_ordered(width),
    );
    rows!(scenario, wake_on_tokio, width, waiting::<STREAM>,
        JOIN_QUEUE => |stream| |width| ByHand::new(stream, JoinQueue::new(), width),
    )
}

/// Futures that wake themselves twice.
fn yields(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/yields-{width}"), "items that wake themselves twice, unordered")
        .goal(0.6)
        .at_least(turns(width));
    let source = |iters| ((), futures_util::stream::iter(0..iters).map(|_| Yields { left: 2 }));
    unordered_rows!(scenario, drain, drain_on_tokio, width, source, group: true)
}

/// Futures that wait, whose outputs go to a closure instead of coming out of a stream.
fn for_each_woken(width: usize) -> Scenario {
    let what = "items woken one by one from outside, each output given to a closure";
    let scenario = Scenario::new(format!("fan-out/for-each-woken-{width}"), what).goal(0.7).at_least(turns(width));
    let each = |future: Waits<FOR_EACH>| future;
    rows!(scenario, wake_and_finish, width, waiting::<FOR_EACH>,
        OURS => |stream| |width| stream.fan_out(width).for_each(at_once),
        FUTURES_UTIL => |stream| |width| StreamExt::for_each_concurrent(stream, width, each),
        FUTURES_BUFFERED => |stream| |width| BufferedStreamExt::for_each_concurrent(stream, width, each),
        FUTURES_CONCURRENCY => |stream| |width| stream.co().limit(NonZeroUsize::new(width)).for_each(each),
    )
}

/// Futures that are ready at once, with weights of 1 to 4, beside the same without.
fn weighted_ready(width: usize) -> Scenario {
    let what = "items of weight 1 to 4 whose future is ready at once";
    let scenario = Scenario::new(format!("fan-out/weighted-ready-{width}"), what).goal(0.6).at_least(turns(width));
    weighted_rows!(scenario, drain, width, at_once_each)
}

/// Futures that wait, with weights of 1 to 4, beside the same without.
fn weighted_woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/weighted-woken-{width}"), "items of weight 1 to 4 woken one by one")
        .goal_against("tollgate unweighted", 1.3)
        .at_least(turns(width));
    weighted_rows!(scenario, wake_and_drain, width, waiting::<STREAM>)
}

/// Futures that are ready at once, each with one of the keys, beside the same without.
fn keyed_ready(width: usize) -> Scenario {
    let what = "items of 256 keys whose future is ready at once";
    let scenario = Scenario::new(format!("fan-out/keyed-ready-{width}"), what).goal(0.6).at_least(turns(width));
    keyed_rows!(scenario, drain, width, at_once_each)
}

/// Futures that wait, each with one of the keys, beside the same without.
fn keyed_woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/keyed-woken-{width}"), "items of 256 keys woken one by one")
        .goal_against("tollgate unkeyed", 1.3)
        .at_least(turns(width));
    keyed_rows!(scenario, wake_and_drain, width, waiting::<STREAM>)
}

/// A future that wakes itself a few times, and then is ready.
struct Yields {
    left: u32,
}

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.left == 0 {
            return Poll::Ready(());
        }
        self.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Whoever waits, in turn.
type World = Rc<RefCell<VecDeque<Waker>>>;

/// A future that leaves its waker with the world and is ready when it is polled again. How its output is taken is part of the
/// type: a fan-out that two kinds of rows shared would not be inlined as it is in a program that has one.
struct Waits<const TAKEN: u8> {
    world: World,
    left: bool,
}

/// Out of the stream, or by a closure.
const STREAM: u8 = 0;
const FOR_EACH: u8 = 1;

impl<const TAKEN: u8> Future for Waits<TAKEN> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.left {
            return Poll::Ready(());
        }
        self.left = true;
        self.world.borrow_mut().push_back(cx.waker().clone());
        Poll::Pending
    }
}

fn waiting<const TAKEN: u8>(iters: u64) -> (World, impl Stream<Item = Waits<TAKEN>> + Unpin) {
    let world = World::default();
    let theirs = world.clone();
    (world, futures_util::stream::iter(0..iters).map(move |_| Waits { world: theirs.clone(), left: false }))
}

fn at_once_each(iters: u64) -> ((), impl Stream<Item = std::future::Ready<u64>> + Unpin) {
    ((), futures_util::stream::iter(0..iters).map(at_once))
}

/// 1, 2, 3, 4, and again.
fn weights() -> impl FnMut() -> usize {
    let mut weight = 0;
    move || {
        weight = weight % 4 + 1;
        weight
    }
}

/// 256 keys in turn: more than are in flight, so that hardly an item waits for another of its key.
fn keys() -> impl FnMut() -> u8 {
    let mut key = 0_u8;
    move || {
        key = key.wrapping_add(1);
        key
    }
}

// === what drives them ===

fn drain<T>(_world: &(), stream: impl Stream<Item = T>) {
    let mut stream = pin!(stream);
    // Where it is pending it wanted a rest, and has woken itself.
    run(|context| take_all(stream.as_mut(), context));
}

fn wake_and_drain<T>(world: &World, stream: impl Stream<Item = T>) {
    let mut stream = pin!(stream);
    run(|context| {
        let taken = take_all(stream.as_mut(), context);
        if taken.is_pending() {
            wake_next(world);
        }
        taken
    });
}

fn wake_and_finish(world: &World, future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    run(|context| {
        let finished = future.as_mut().poll(context);
        if finished.is_pending() {
            wake_next(world);
        }
        finished
    });
}

fn drain_on_tokio<T>(_world: &(), stream: impl Stream<Item = T>) {
    let mut stream = pin!(stream);
    one_thread().block_on(poll_fn(|context| take_all(stream.as_mut(), context)));
}

fn wake_on_tokio<T>(world: &World, stream: impl Stream<Item = T>) {
    let mut stream = pin!(stream);
    one_thread().block_on(poll_fn(|context| {
        let taken = take_all(stream.as_mut(), context);
        if taken.is_pending() && !wake_next(world) {
            // The tasks are spawned and have not run yet.
            context.waker().wake_by_ref();
        }
        taken
    }));
}

/// Polls until it is ready, without a pause.
fn run(mut poll: impl FnMut(&mut Context<'_>) -> Poll<()>) {
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    while poll(&mut context).is_pending() {}
}

/// Takes what the stream has. Ready at its end.
#[inline(always)]
fn take_all<T>(mut stream: Pin<&mut impl Stream<Item = T>>, context: &mut Context<'_>) -> Poll<()> {
    while let Some(item) = ready!(stream.as_mut().poll_next(context)) {
        drop(black_box(item));
    }
    Poll::Ready(())
}

/// Wakes who waits longest. Returns whether somebody does.
#[inline(always)]
fn wake_next(world: &World) -> bool {
    let next = world.borrow_mut().pop_front();
    next.map(Waker::wake).is_some()
}
