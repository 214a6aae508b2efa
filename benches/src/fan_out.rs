//! Fan-out of a stream: each scenario drives the same futures through each crate's own adaptor.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_buffered::BufferedStreamExt;
use futures_core::Stream;
use futures_util::StreamExt;
use tollgate::FanOutExt;

use crate::harness::Scenario;
use crate::polling::waker;

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for width in [1, 8, 64, 1000, 10_000, 100_000] {
        all.push(ready(width));
        all.push(woken(width));
    }
    all.push(ordered_woken(64));
    for width in [8, 64] {
        all.push(yields(width));
    }
    all.push(weighted_woken(64));
    all.push(keyed_woken(64));
    all
}

/// How many items a stream has at least, so that most of them find it full.
fn turns(width: usize) -> u64 {
    3 * width as u64
}

/// Adds a row for each way to run a stream of `$source(iters)` futures, `$width` at once, to its end.
macro_rules! rows {
    ($scenario:expr, $drive:ident, $width:expr, $source:expr, $($name:literal => |$stream:ident| $adapt:expr),+ $(,)?) => {{
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

/// Futures that are ready at once.
fn ready(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/ready-{width}"), "items whose future is ready at once, unordered")
        .goal(0.6)
        .at_least(turns(width));
    let source = |iters| ((), futures_util::stream::iter(0..iters).map(std::future::ready));
    rows!(scenario, drain, width, source,
        "tollgate" => |stream| |width| stream.fan_out(width),
        "futures-util" => |stream| |width| stream.buffer_unordered(width),
        "futures-buffered" => |stream| |width| stream.buffered_unordered(width),
    )
}

/// Futures that wait, and are woken one a poll, the longest waiting first.
fn woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/woken-{width}"), "items woken one by one from outside, unordered")
        .goal(0.7)
        .at_least(turns(width));
    rows!(scenario, wake_and_drain, width, waiting,
        "tollgate" => |stream| |width| stream.fan_out(width),
        "futures-util" => |stream| |width| stream.buffer_unordered(width),
        "futures-buffered" => |stream| |width| stream.buffered_unordered(width),
    )
}

/// The same with results in the order of the input.
fn ordered_woken(width: usize) -> Scenario {
    let scenario =
        Scenario::new(format!("fan-out/ordered-woken-{width}"), "items woken one by one from outside, ordered")
            .goal(0.7)
            .at_least(turns(width));
    rows!(scenario, wake_and_drain, width, waiting,
        "tollgate" => |stream| |width| stream.fan_out(width).ordered(),
        "futures-util" => |stream| |width| stream.buffered(width),
        "futures-buffered" => |stream| |width| stream.buffered_ordered(width),
    )
}

/// Futures that wake themselves twice.
fn yields(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/yields-{width}"), "items that wake themselves twice, unordered")
        .goal(0.6)
        .at_least(turns(width));
    let source = |iters| ((), futures_util::stream::iter(0..iters).map(|_| Yields { left: 2 }));
    rows!(scenario, drain, width, source,
        "tollgate" => |stream| |width| stream.fan_out(width),
        "futures-util" => |stream| |width| stream.buffer_unordered(width),
        "futures-buffered" => |stream| |width| stream.buffered_unordered(width),
    )
}

/// Futures that wait, with weights of 1 to 4, beside the same without.
fn weighted_woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/weighted-woken-{width}"), "items of weight 1 to 4 woken one by one")
        .goal_against("tollgate unweighted", 1.3)
        .at_least(turns(width));
    rows!(scenario, wake_and_drain, width, waiting,
        "tollgate" => |stream| |width| {
            let mut weight = 0;
            stream.fan_out(width).weighted(move |_: &Waits| {
                weight = weight % 4 + 1;
                weight
            })
        },
        "tollgate unweighted" => |stream| |width| stream.fan_out(width),
    )
}

/// Futures that wait, each with one of 256 keys, beside the same without.
fn keyed_woken(width: usize) -> Scenario {
    let scenario = Scenario::new(format!("fan-out/keyed-woken-{width}"), "items of 256 keys woken one by one")
        .goal_against("tollgate unkeyed", 1.3)
        .at_least(turns(width));
    rows!(scenario, wake_and_drain, width, waiting,
        "tollgate" => |stream| |width| {
            let mut key = 0_u8;
            stream.fan_out(width).keyed(move |_: &Waits| {
                key = key.wrapping_add(1);
                key
            })
        },
        "tollgate unkeyed" => |stream| |width| stream.fan_out(width),
    )
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

/// A future that leaves its waker with the world and is ready when it is polled again.
struct Waits {
    world: World,
    left: bool,
}

impl Future for Waits {
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

fn waiting(iters: u64) -> (World, impl Stream<Item = Waits>) {
    let world = World::default();
    let theirs = world.clone();
    (world, futures_util::stream::iter(0..iters).map(move |_| Waits { world: theirs.clone(), left: false }))
}

fn drain<T>(_world: &(), stream: impl Stream<Item = T>) {
    let mut stream = std::pin::pin!(stream);
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(item)) => drop(std::hint::black_box(item)),
            Poll::Ready(None) => return,
            // It wanted a rest, and has woken itself.
            Poll::Pending => {}
        }
    }
}

fn wake_and_drain<T>(world: &World, stream: impl Stream<Item = T>) {
    let mut stream = std::pin::pin!(stream);
    let waker = waker();
    let mut context = Context::from_waker(&waker);
    loop {
        match stream.as_mut().poll_next(&mut context) {
            Poll::Ready(Some(item)) => drop(std::hint::black_box(item)),
            Poll::Ready(None) => return,
            Poll::Pending => {
                let next = world.borrow_mut().pop_front();
                if let Some(waker) = next {
                    waker.wake();
                }
            }
        }
    }
}
