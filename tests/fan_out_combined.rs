//! Settings that stop, pause, limit, time out and interrupt a fan-out, all on the same one and at random.
//!
//! There is no model. What holds for any of them is checked: a stream that is pending and was not woken has nothing to do, it
//! ends once nothing is in its way, and afterwards nothing of it is left anywhere. `fan_out_simulated` knows what each
//! output has to be, of fewer settings.
//!
//! `RUNS` sets how many runs are made, `SEED` the first one. A run that fails says its seed.
#![cfg(feature = "std")]
#![allow(clippy::std_instead_of_core, clippy::std_instead_of_alloc, reason = "tests always have std")]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_lite::StreamExt;
use tollgate::context::Context;
use tollgate::fan_out::{Limit, TryPolicy, WakeTable};
use tollgate::time::ManualClock;
use tollgate::{FanOutExt, Semaphore};

#[path = "fan_out_suite/tools.rs"]
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod tools;
use tools::{Gate, Wakes, gates, poll};

mod support;
use support::seeded::Seeded;

const ITEMS: usize = 14;
const MILLISECOND: Duration = Duration::from_millis(1);

type Outputs<'a> = Pin<Box<dyn Stream<Item = String> + 'a>>;

/// All that is around a stream.
struct World<'a> {
    clock: &'a ManualClock,
    limit: &'a Limit,
    semaphore: &'a Semaphore,
    request: &'a Context<'a, &'a ManualClock>,
    stop: Gate,
    source: Rc<Faucet>,
    gates: Vec<Gate>,
    /// Starts and ends of futures.
    events: Cell<usize>,
}

/// Lets items through while it is open.
#[derive(Default)]
struct Faucet {
    open: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Faucet {
    fn open(&self) {
        self.open.set(true);
        let waker = self.waker.borrow_mut().take();
        waker.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
        if self.open.get() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<'a> World<'a> {
    /// The first so many items, with a break behind every third one.
    fn items(&self, count: usize) -> impl Stream<Item = usize> + use<> {
        let faucet = self.source.clone();
        let mut items = 0..count;
        futures_lite::stream::poll_fn(move |cx| {
            std::task::ready!(faucet.poll(cx));
            let item = items.next();
            faucet.open.set(item.is_none_or(|item| item % 3 != 2));
            Poll::Ready(item)
        })
    }

    /// Every fifth item fails.
    async fn work(&'a self, item: usize) -> Result<usize, usize> {
        struct Event<'a>(&'a Cell<usize>);
        impl Drop for Event<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        drop(Event(&self.events));
        let _end = Event(&self.events);
        self.gates[item].clone().pass().await;
        if item % 5 == 4 { Err(item) } else { Ok(item) }
    }

    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone().pass();
        poll_fn(move |cx| stop.as_mut().poll(cx))
    }
}

fn told<'a, S: Stream<Item: fmt::Debug> + 'a>(outputs: S) -> Outputs<'a> {
    Box::pin(outputs.map(|output| format!("{output:?}")))
}

/// Some of the settings, in some order.
macro_rules! with_settings {
    ($outputs:expr, $world:expr, $random:expr, $window:expr) => {{
        let (outputs, world, random, window) = ($outputs, $world, $random, $window);
        let timeout = if random.below(2) == 0 { Duration::MAX } else { MILLISECOND * random.below(60) as u32 };
        let policy = [TryPolicy::CancelRest, TryPolicy::Drain, TryPolicy::Continue][random.below(3)];
        let World { clock, limit, semaphore, request, .. } = *world;
        let stop = world.stopped();
        match random.below(7) {
            0 => told(outputs.window(window).stop_when(stop).each_timeout(clock, timeout).within(request)),
            1 => told(outputs.shared(semaphore).stop_when(stop).limit_by(limit).try_policy(policy)),
            2 => told(outputs.limit_by(limit).stop_when(stop).window(window).within(request)),
            3 => told(outputs.limit_by(limit).shared(semaphore).each_timeout(clock, timeout).within(request)),
            4 => told(outputs.stop_when(stop).each_timeout(clock, timeout).shared(semaphore).limit_by(limit)),
            5 => {
                let weighed = outputs.weighted(|item: &usize| item * 7 % 4).window(window);
                told(weighed.limit_by(limit).shared(semaphore).each_timeout(clock, timeout).stop_when(stop))
            }
            _ => told(outputs.weighted(|item: &usize| item * 7 % 4).shared(semaphore).stop_when(stop).within(request)),
        }
    }};
}

/// Any order.
macro_rules! with_order {
    ($outputs:expr, $world:expr, $random:expr, $window:expr) => {
        match $random.below(3) {
            0 => with_settings!($outputs, $world, $random, $window),
            1 => with_settings!($outputs.ordered(), $world, $random, $window),
            _ => with_settings!($outputs.keyed(|item| item % 3), $world, $random, $window),
        }
    };
}

fn make<'a>(world: &'a World<'a>, random: &mut Seeded) -> Outputs<'a> {
    static TABLE: WakeTable<1> = WakeTable::new();
    let items = world.items(random.below(ITEMS + 1));
    let work = |item| world.work(item);
    let limit = 1 + random.below(4);
    let window = limit + random.below(4);
    match random.below(3) {
        0 => with_order!(items.fan_out_with(limit, work), world, random, window),
        1 => with_order!(items.fan_out_inline_with::<8, _, _>(work).limit(limit), world, random, window),
        _ => {
            let outputs = items.fan_out_inline_with::<8, _, _>(work).wake_table(&TABLE).limit(limit);
            with_order!(outputs, world, random, window)
        }
    }
}

fn run(seed: u64) {
    let mut random = Seeded::exactly(seed);
    let random = &mut random;
    let clock = ManualClock::new();
    let root = Context::new(&clock);
    let request =
        if random.below(2) == 0 { root.child() } else { root.with_timeout(MILLISECOND * random.below(150) as u32) };
    let limit = Limit::new([0, 1, 2, usize::MAX][random.below(4)]);
    let semaphore = Semaphore::new([0, 1, 3, 100][random.below(4)]);
    let world = World {
        clock: &clock,
        limit: &limit,
        semaphore: &semaphore,
        request: &request,
        stop: Gate::default(),
        source: Rc::default(),
        gates: gates(ITEMS),
        events: Cell::new(0),
    };
    let mut held = Vec::new();
    let (wakes, waker) = Wakes::new();
    let mut outputs = make(&world, random);

    let mut woken = true;
    for _ in 0..200 {
        while woken {
            match poll(&mut outputs, &waker) {
                Poll::Ready(Some(_)) => wakes.take(),
                Poll::Ready(None) => return after(outputs, &world),
                Poll::Pending => {
                    woken = wakes.take() > 0;
                    continue;
                }
            };
        }
        let before = world.events.get();
        assert!(poll(&mut outputs, &waker).is_pending(), "it was not woken for an output, or for its end");
        assert_eq!(world.events.get(), before, "it was not woken for what could start or end");
        match random.below(20) {
            0 | 1 => limit.set(random.below(5)),
            2 => held.extend(semaphore.try_acquire()),
            3 => drop(held.pop()),
            4 => semaphore.add_permits(1),
            5..=9 => world.gates[random.below(ITEMS)].open(),
            10..=13 => world.source.open(),
            14..=16 => clock.advance(MILLISECOND * random.below(20) as u32),
            17 if random.below(6) == 0 => world.stop.open(),
            18 if random.below(6) == 0 => request.cancel(),
            _ => {}
        }
        woken = wakes.take() > 0;
    }

    // Nothing is in its way any more.
    held.clear();
    limit.set(9);
    semaphore.add_permits(9);
    world.gates.iter().for_each(Gate::open);
    loop {
        world.source.open();
        assert!(woken || wakes.take() > 0, "it sleeps, and nothing keeps it from going on");
        woken = false;
        loop {
            match poll(&mut outputs, &waker) {
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return after(outputs, &world),
                Poll::Pending => break,
            }
        }
    }
}

fn after(mut outputs: Outputs<'_>, world: &World<'_>) {
    assert_eq!(poll(&mut outputs, Waker::noop()), Poll::Ready(None), "the end is the end");
    let waits =
        |world: &World<'_>| (world.semaphore.waiters(), world.clock.sleepers(), world.request.token().waiters());
    assert_eq!(waits(world), (0, 0, 0));
    assert_eq!(world.limit.free(), world.limit.get().min(Semaphore::MAX_PERMITS));
    assert_eq!(world.events.get() % 2, 0, "what started is over");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn a_stream_that_is_pending_has_nothing_to_do_and_in_the_end_nothing_is_left() {
    let first = number("SEED").unwrap_or(0);
    for seed in first..first + number("RUNS").unwrap_or(if cfg!(debug_assertions) { 5_000 } else { 100_000 }) {
        let run = std::panic::catch_unwind(|| run(seed));
        assert!(run.is_ok(), "SEED={seed} RUNS=1 shows it again");
    }
}
